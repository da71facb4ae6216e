/* SPDX-License-Identifier: MIT */
#include "inproc/agent/process_identity.h"

#include <stdlib.h>
#include <string.h>

#define SERVICE_NAME "service.name"

size_t diag_process_identity_clean(struct diag_bytes text, char *out, size_t max) {
    size_t size = diag_bytes_utf8_cut(text, max);

    memcpy(out, text.data, size);
    out[size] = '\0';
    if (!diag_bytes_is_utf8(diag_bytes_make(out, size)))
        for (size_t i = 0; i < size; i++)
            if ((unsigned char)out[i] >= 0x80)
                out[i] = '?';
    return size;
}

static int hex_digit(char digit) {
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    if (digit >= 'a' && digit <= 'f')
        return digit - 'a' + 10;
    return digit >= 'A' && digit <= 'F' ? digit - 'A' + 10 : -1;
}

/* Percent-encoding, in place. False: it is malformed, or has a NUL in it. */
static bool decode(char *text) {
    char *out = text;

    for (const char *at = text; *at != '\0'; at++) {
        int high, low;

        if (*at != '%') {
            *out++ = *at;
            continue;
        }
        high = hex_digit(at[1]);
        low = high < 0 ? -1 : hex_digit(at[2]);
        if (low < 0 || (high == 0 && low == 0))
            return false;
        *out++ = (char)(high << 4 | low);
        at += 2;
    }
    *out = '\0';
    return true;
}

static char *trim(char *text) {
    size_t size;

    text += strspn(text, " \t");
    size = strlen(text);
    while (size > 0 && (text[size - 1] == ' ' || text[size - 1] == '\t'))
        size--;
    text[size] = '\0';
    return text;
}

/* The value of service.name in "key=value,key=value", of which the last one counts; NULL: none.
 * Writes into the list. A list with anything malformed in it counts as empty. */
static char *find_service(char *list) {
    char *found = NULL, *rest, *item = strtok_r(list, ",", &rest);

    for (; item != NULL; item = strtok_r(NULL, ",", &rest)) {
        char *equals = strchr(item, '=');

        if (equals == NULL)
            return NULL;
        *equals = '\0';
        if (!decode(item) || !decode(equals + 1))
            return NULL;
        if (strcmp(trim(item), SERVICE_NAME) == 0)
            found = trim(equals + 1);
    }
    return found;
}

static void set(char out[DIAG_PROCESS_IDENTITY_MAX + 1], const char *text) {
    out[0] = '\0';
    if (text != NULL)
        diag_process_identity_clean(diag_bytes_from_text(text), out, DIAG_PROCESS_IDENTITY_MAX);
}

void diag_process_identity_read(struct diag_process_identity *out) {
    const char *attributes = getenv("OTEL_RESOURCE_ATTRIBUTES");
    char *list;

    set(out->container, getenv("DIAGNOSE_CONTAINER"));
    set(out->service, getenv("OTEL_SERVICE_NAME"));
    if (out->service[0] != '\0' || attributes == NULL)
        return;
    list = strdup(attributes);
    if (list != NULL)
        set(out->service, find_service(list));
    free(list);
}
