/* SPDX-License-Identifier: MIT */
/* YAML 1.2's core schema (https://yaml.org/spec/1.2.2/#103-core-schema). */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/yaml_reader.h"

static bool is_one_of(const char *text, const char *const *words, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (strcmp(text, words[i]) == 0)
            return true;
    return false;
}

static size_t digits(const char *text) {
    return strspn(text, "0123456789");
}

/* [-+]?[0-9]+ | 0o[0-7]+ | 0x[0-9a-fA-F]+; the base, 0 if it is none. */
static int int_base(const char *text) {
    const char *body = text;

    if (strncmp(text, "0o", 2) == 0)
        return text[2] != '\0' && text[2 + strspn(text + 2, "01234567")] == '\0' ? 8 : 0;
    if (strncmp(text, "0x", 2) == 0)
        return text[2] != '\0' && text[2 + strspn(text + 2, "0123456789abcdefABCDEF")] == '\0' ? 16
                                                                                               : 0;
    if (*body == '-' || *body == '+')
        body++;
    return *body != '\0' && body[digits(body)] == '\0' ? 10 : 0;
}

/* [-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)? */
static bool is_float(const char *text) {
    size_t whole, fraction = 0;

    if (*text == '-' || *text == '+')
        text++;
    whole = digits(text);
    text += whole;
    if (*text == '.') {
        text++;
        fraction = digits(text);
        text += fraction;
    }
    if (whole == 0 && fraction == 0)
        return false;
    if (*text == 'e' || *text == 'E') {
        text++;
        if (*text == '-' || *text == '+')
            text++;
        if (digits(text) == 0)
            return false;
        text += digits(text);
    }
    return *text == '\0';
}

static bool special_float(const char *text, double *value) {
    static const char *const infinities[] = {".inf", ".Inf", ".INF"};
    static const char *const nans[] = {".nan", ".NaN", ".NAN"};
    const char *body = *text == '-' || *text == '+' ? text + 1 : text;

    if (is_one_of(body, infinities, DIAG_ARRAY_SIZE(infinities))) {
        *value = *text == '-' ? -INFINITY : INFINITY;
        return true;
    }
    if (is_one_of(text, nans, DIAG_ARRAY_SIZE(nans))) {
        *value = NAN;
        return true;
    }
    return false;
}

enum diag_status diag_yaml_resolve(struct diag_bytes scalar, struct diag_document **out) {
    static const char *const nulls[] = {"", "null", "Null", "NULL", "~"};
    static const char *const trues[] = {"true", "True", "TRUE"};
    static const char *const falses[] = {"false", "False", "FALSE"};
    const char *text = (const char *)scalar.data; /* libyaml's scalars end with a NUL */
    double number;
    int base = int_base(text);

    if (is_one_of(text, nulls, DIAG_ARRAY_SIZE(nulls)))
        *out = diag_document_null();
    else if (is_one_of(text, trues, DIAG_ARRAY_SIZE(trues)))
        *out = diag_document_bool(true);
    else if (is_one_of(text, falses, DIAG_ARRAY_SIZE(falses)))
        *out = diag_document_bool(false);
    else if (base != 0) {
        long long value;

        errno = 0;
        value = strtoll(base == 10 ? text : text + 2, NULL, base);
        if (errno != 0)
            return DIAG_ERR_TOO_LARGE;
        *out = diag_document_int(value);
    } else if (is_float(text))
        *out = diag_document_float(strtod(text, NULL));
    else if (special_float(text, &number))
        *out = diag_document_float(number);
    else
        *out = diag_document_bytes(scalar);
    return DIAG_OK;
}
