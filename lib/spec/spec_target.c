/* SPDX-License-Identifier: MIT */
/* How it works: a target with a colon is FILE:LINE, any other is made of dotted parts. What no
 * function of any program can be called is refused here, where a person still sees the answer; all
 * else the processes find out. */
#include "lib/spec/spec_target.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

#include "lib/spec/spec.h"
#include "lib/spec/spec_text.h"

#define SHOWN_MAX 256

/* The parts of a __qualname__ that are no identifiers; LOCALS is the only one that has others
 * behind it by itself. */
#define LOCALS "<locals>"
static const char *const markers[] = {LOCALS,      "<lambda>",   "<listcomp>",
                                      "<setcomp>", "<dictcomp>", "<genexpr>"};

static enum diag_status refuse(const char *target, const char *why, struct diag_error *err) {
    return diag_error_set(err, DIAG_ERR_INVALID, 0, "target: \"%.*s\" %s",
                          diag_spec_shown_size(target, SHOWN_MAX), target, why);
}

/* U+0000 to U+001F and U+007F to U+009F. */
static bool is_control(const char *at) {
    const unsigned char *byte = (const unsigned char *)at;

    return iscntrl(byte[0]) || (byte[0] == 0xc2 && byte[1] >= 0x80 && byte[1] < 0xa0);
}

static enum diag_status check_characters(const char *target, struct diag_error *err) {
    for (const char *at = target; *at != '\0'; at++)
        if (is_control(at))
            return diag_error_set(err, DIAG_ERR_INVALID, 0,
                                  "target: has a control character at byte %td", at - target + 1);
    return DIAG_OK;
}

/* ---- FILE:LINE ---- */

static bool ends_in_py(const char *text, size_t size) {
    return size > 3 && memcmp(text + size - 3, ".py", 3) == 0;
}

static enum diag_status check_line(const char *target, const char *colon, struct diag_error *err) {
    size_t size = (size_t)(colon - target);
    int line;

    if (memchr(target, '/', size) == NULL && !ends_in_py(target, size))
        return refuse(target, "is neither module.function nor path/file.py:LINE", err);
    if (colon[-1] == '/')
        return refuse(target, "names a folder; expected path/file.py:LINE", err);
    if (!diag_spec_line_parse(colon + 1, &line))
        return refuse(target, "names no line: " DIAG_SPEC_LINE_RULE, err);
    return DIAG_OK;
}

bool diag_spec_target_is_line(const char *target, size_t *file_size, int *line) {
    const char *colon = strrchr(target, ':');
    int number;

    if (colon == NULL || !diag_spec_line_parse(colon + 1, &number))
        return false;
    if (file_size != NULL)
        *file_size = (size_t)(colon - target);
    if (line != NULL)
        *line = number;
    return true;
}

/* ---- dotted parts ---- */

/* As diag_spec_shown_size, of one part. */
static int shown_size(const char *part, size_t size) {
    return diag_spec_shown_size(part, size < SHOWN_MAX ? size : SHOWN_MAX);
}

static bool is_part(const char *part, size_t size, const char *text) {
    return size == strlen(text) && memcmp(part, text, size) == 0;
}

static enum diag_status check_marker(const char *part, size_t size, struct diag_error *err) {
    for (size_t i = 0; i < DIAG_ARRAY_SIZE(markers); i++)
        if (is_part(part, size, markers[i]))
            return DIAG_OK;
    return diag_error_set(err, DIAG_ERR_INVALID, 0,
                          "target: \"%.*s\" is not one of: <locals>, <lambda>, <listcomp>, "
                          "<setcomp>, <dictcomp>, <genexpr>",
                          shown_size(part, size), part);
}

/* Identifiers in any script are fine; what no Python identifier can have is refused. */
static enum diag_status check_identifier(const char *part, size_t size, struct diag_error *err) {
    bool is_identifier = !isdigit((unsigned char)part[0]);

    for (size_t i = 0; i < size; i++)
        if (isascii(part[i]) && !isalnum((unsigned char)part[i]) && part[i] != '_')
            is_identifier = false;
    if (is_identifier)
        return DIAG_OK;
    return diag_error_set(err, DIAG_ERR_INVALID, 0, "target: \"%.*s\" is not a Python identifier",
                          shown_size(part, size), part);
}

static enum diag_status check_part(const char *part, size_t size, struct diag_error *err) {
    return part[0] == '<' ? check_marker(part, size, err) : check_identifier(part, size, err);
}

/* Where a marker may stand: module.function.<locals>.name, module.<lambda>.<locals>.name. */
static enum diag_status check_places(const char *target, struct diag_error *err) {
    const char *before = NULL;
    size_t size = 0, before_size = 0, index = 0;

    for (const char *part = target;; part += size + 1, index++) {
        size = strcspn(part, ".");
        if (index == 0 && part[0] == '<')
            return refuse(target, "does not begin with a module's name", err);
        if (is_part(part, size, LOCALS)) {
            if (index < 2 || is_part(before, before_size, LOCALS))
                return refuse(target, "has a <locals> that comes behind no function", err);
            if (part[size] == '\0')
                return refuse(target, "ends in <locals>; expected a function's name behind it",
                              err);
        } else if (index > 0 && before[0] == '<' && !is_part(before, before_size, LOCALS)) {
            return diag_error_set(err, DIAG_ERR_INVALID, 0,
                                  "target: only <locals> can come behind %.*s, not \"%.*s\"",
                                  (int)before_size, before, shown_size(part, size), part);
        }
        if (part[size] == '\0')
            return DIAG_OK;
        before = part;
        before_size = size;
    }
}

static enum diag_status check_dotted(const char *target, struct diag_error *err) {
    if (strchr(target, '/') != NULL)
        return refuse(target, "names no line; expected path/file.py:LINE", err);
    if (strchr(target, '.') == NULL)
        return refuse(target, "names no module; expected module.function", err);
    for (const char *part = target;;) {
        size_t size = strcspn(part, ".");
        enum diag_status status;

        if (size == 0)
            return refuse(target, "has an empty component", err);
        status = check_part(part, size, err);
        if (status != DIAG_OK)
            return status;
        if (part[size] == '\0')
            break;
        part += size + 1;
    }
    return check_places(target, err);
}

enum diag_status diag_spec_target_check(const char *target, struct diag_error *err) {
    const char *colon = strrchr(target, ':');
    enum diag_status status = check_characters(target, err);

    if (status != DIAG_OK)
        return status;
    return colon != NULL ? check_line(target, colon, err) : check_dotted(target, err);
}
