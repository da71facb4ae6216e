/* SPDX-License-Identifier: MIT */
#include "deploy/webhook/text_list.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Takes the next part off *rest, which is NULL behind the last one. An empty text has no part. */
static bool next_part(const char **rest, char separator, const char **part, size_t *size) {
    const char *end;

    if (*rest == NULL || ((*rest)[0] == '\0' && *part == NULL))
        return false;
    *part = *rest;
    end = strchr(*part, separator);
    *size = end != NULL ? (size_t)(end - *part) : strlen(*part);
    *rest = end != NULL ? end + 1 : NULL;
    return true;
}

static bool has_part(const char *list, char separator, const char *wanted, size_t wanted_size) {
    const char *part = NULL;
    size_t size;

    while (next_part(&list, separator, &part, &size))
        if (size == wanted_size && memcmp(part, wanted, size) == 0)
            return true;
    return false;
}

static size_t append(char *text, size_t length, char separator, const char *part, size_t size) {
    if (length > 0)
        text[length++] = separator;
    memcpy(text + length, part, size);
    return length + size;
}

char *diag_text_list_put_first(const char *list, char separator, const char *first) {
    size_t first_size = strlen(first), length, size;
    char *made = malloc(first_size + 1 + strlen(list) + 1);
    const char *part = NULL;

    if (made == NULL)
        return NULL;
    length = append(made, 0, separator, first, first_size);
    while (next_part(&list, separator, &part, &size))
        if (size != first_size || memcmp(part, first, size) != 0)
            length = append(made, length, separator, part, size);
    made[length] = '\0';
    return made;
}

char *diag_text_list_append_missing(const char *list, char separator, const char *more) {
    size_t length = strlen(list), size;
    char *made = malloc(length + 1 + strlen(more) + 1);
    const char *part = NULL;

    if (made == NULL)
        return NULL;
    memcpy(made, list, length);
    while (next_part(&more, separator, &part, &size))
        if (!has_part(list, separator, part, size))
            length = append(made, length, separator, part, size);
    made[length] = '\0';
    return made;
}
