/* SPDX-License-Identifier: MIT */
/* How it works: the table of locations is that of CPython 3.11 and later
 * (Objects/locations.md): each entry begins with a byte 1CCCCLLL, where C says how the location is
 * written and L + 1 is the number of code units that it is for; a line is given as the difference
 * to the one before. Read here, as the interpreter's own reader is not exported, and co_lines()
 * makes a tuple per entry. */
#include "inproc/engine/target_line.h"

#include <limits.h>
#include <stdio.h>

#include "inproc/engine/describe.h"
#include "inproc/engine/target.h"
#include "inproc/engine/target_code.h"

#define NAME_MAX_SHOWN 200
#define INNER_DEPTH_MAX 100

void diag_target_lines_init(struct diag_target_lines *lines, PyCodeObject *code) {
    const unsigned char *table = (const unsigned char *)PyBytes_AS_STRING(code->co_linetable);

    *lines = (struct diag_target_lines){
        .at = table,
        .end = table + PyBytes_GET_SIZE(code->co_linetable),
        .computed_line = code->co_firstlineno,
        .first_unit = code->_co_firsttraceable + 1,
    };
}

static unsigned read_varint(const unsigned char **at, const unsigned char *end) {
    unsigned value = 0;

    for (int shift = 0; *at < end && shift < 30; shift += 6) {
        unsigned char byte = *(*at)++;

        value |= (byte & 0x3Fu) << shift;
        if (!(byte & 0x40))
            break;
    }
    return value;
}

static int read_signed_varint(const unsigned char **at, const unsigned char *end) {
    unsigned value = read_varint(at, end);

    return value & 1 ? -(int)(value >> 1) : (int)(value >> 1);
}

bool diag_target_lines_next(struct diag_target_lines *lines) {
    int form, more = 0;

    if (lines->at >= lines->end)
        return false;
    form = *lines->at >> 3 & 0xF;
    lines->unit += (*lines->at & 7) + 1;
    lines->is_body = lines->unit > lines->first_unit;
    lines->at++;
    if (form == PY_CODE_LOCATION_INFO_LONG) {
        lines->computed_line += read_signed_varint(&lines->at, lines->end);
        more = (int)read_varint(&lines->at, lines->end);
    } else if (form == PY_CODE_LOCATION_INFO_NO_COLUMNS) {
        lines->computed_line += read_signed_varint(&lines->at, lines->end);
    } else if (form >= PY_CODE_LOCATION_INFO_ONE_LINE0 && form <= PY_CODE_LOCATION_INFO_ONE_LINE2) {
        lines->computed_line += form - PY_CODE_LOCATION_INFO_ONE_LINE0;
    }
    lines->line = form == PY_CODE_LOCATION_INFO_NONE ? 0 : lines->computed_line;
    lines->last_line = lines->line + (lines->line == 0 ? 0 : more);
    while (lines->at < lines->end && !(*lines->at & 0x80)) /* entries begin with a high bit */
        lines->at++;
    return true;
}

bool diag_target_has_line(PyCodeObject *code, int line) {
    struct diag_target_lines lines;

    diag_target_lines_init(&lines, code);
    while (diag_target_lines_next(&lines))
        if (lines.is_body && lines.line == line)
            return true;
    return false;
}

static struct diag_target_span span_to(PyCodeObject *code, int depth) {
    struct diag_target_span span = {code->co_firstlineno, code->co_firstlineno};
    struct diag_target_lines lines;

    diag_target_lines_init(&lines, code);
    while (diag_target_lines_next(&lines))
        if (lines.last_line > span.last)
            span.last = lines.last_line;
    for (Py_ssize_t i = 0; depth > 0 && i < diag_target_constant_count(code); i++) {
        PyCodeObject *inner = diag_target_inner_code(code, i);

        if (inner != NULL) {
            struct diag_target_span inner_span = span_to(inner, depth - 1);

            if (inner_span.last > span.last)
                span.last = inner_span.last;
        }
    }
    return span;
}

struct diag_target_span diag_target_span(PyCodeObject *code) {
    return span_to(code, INNER_DEPTH_MAX);
}

/* ---- is there code at a line? ---- */

struct nearest {
    int below, above; /* lines with code; 0: none */
    struct diag_target_span span;
};

static void look_near(struct nearest *nearest, PyCodeObject *code, int line) {
    struct diag_target_span span = diag_target_span(code);
    struct diag_target_lines lines;

    if (nearest->span.first == 0 || span.first < nearest->span.first)
        nearest->span.first = span.first;
    if (span.last > nearest->span.last)
        nearest->span.last = span.last;
    diag_target_lines_init(&lines, code);
    while (diag_target_lines_next(&lines)) {
        if (!lines.is_body || lines.line == 0)
            continue;
        if (lines.line < line && lines.line > nearest->below)
            nearest->below = lines.line;
        if (lines.line > line && (nearest->above == 0 || lines.line < nearest->above))
            nearest->above = lines.line;
    }
}

/* The inner function that the line belongs to, or NULL. */
static PyCodeObject *inner_with_line(PyCodeObject *code, int line, int depth) {
    PyCodeObject *found = NULL;

    for (Py_ssize_t i = 0; depth > 0 && found == NULL && i < diag_target_constant_count(code);
         i++) {
        PyCodeObject *inner = diag_target_inner_code(code, i);

        if (inner == NULL)
            continue;
        found = diag_target_has_line(inner, line) ? inner : inner_with_line(inner, line, depth - 1);
    }
    return found;
}

static const char *describe_name(PyCodeObject *code, char name[NAME_MAX_SHOWN]) {
    name[diag_describe_str(code->co_qualname, name, NAME_MAX_SHOWN - 1, NULL)] = '\0';
    return name;
}

static void describe_nearest(const struct nearest *nearest, char *out, size_t capacity) {
    if (nearest->below != 0 && nearest->above != 0)
        snprintf(out, capacity, "the nearest lines with code are %d and %d", nearest->below,
                 nearest->above);
    else if (nearest->below == 0 && nearest->above == 0)
        snprintf(out, capacity, "no line is known to have any");
    else
        snprintf(out, capacity, "the nearest line with code is %d",
                 nearest->below != 0 ? nearest->below : nearest->above);
}

enum diag_status diag_target_check_line(PyCodeObject *const *codes, size_t code_count, int line,
                                        struct diag_error *err) {
    struct nearest nearest = {0};
    char name[NAME_MAX_SHOWN], near_text[100];

    for (size_t i = 0; i < code_count; i++) {
        if (diag_target_has_line(codes[i], line))
            return DIAG_OK;
        look_near(&nearest, codes[i], line);
    }
    if (!diag_target_span_has(nearest.span, line))
        return diag_error_set(err, DIAG_ERR_INVALID, 0,
                              "line %d is outside of %s, which is lines %d to %d", line,
                              describe_name(codes[0], name), nearest.span.first, nearest.span.last);
    describe_nearest(&nearest, near_text, sizeof near_text);
    for (size_t i = 0; i < code_count; i++) {
        PyCodeObject *inner = inner_with_line(codes[i], line, INNER_DEPTH_MAX);

        if (inner != NULL)
            return diag_error_set(err, DIAG_ERR_INVALID, 0, "line %d is in %s, inside of %s; %s",
                                  line, describe_name(inner, name),
                                  describe_name(codes[0], (char[NAME_MAX_SHOWN]){0}), near_text);
    }
    return diag_error_set(err, DIAG_ERR_INVALID, 0, "line %d has no code; %s", line, near_text);
}
