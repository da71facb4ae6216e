/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <math.h>

#include "ctl/escape.h"
#include "ctl/print.h"

#define COMPACT (-1)

static void print_text(FILE *file, struct diag_bytes text) {
    size_t at = 0;

    fputc('"', file);
    while (at < text.size) {
        size_t start = at;
        int32_t code_point = diag_escape_next(text, &at);

        if (code_point == '"' || code_point == '\\')
            fprintf(file, "\\%c", (char)code_point);
        else if (code_point == '\n')
            fputs("\\n", file);
        else if (code_point < 0)
            fputs("\\ufffd", file);
        else if (diag_escape_is_unsafe(code_point))
            fprintf(file, "\\u%04x", (unsigned)code_point);
        else
            fwrite(text.data + start, 1, at - start, file);
    }
    fputc('"', file);
}

static void print_float(FILE *file, double number) {
    char text[DIAG_DOCUMENT_FLOAT_SIZE];

    if (isnan(number)) {
        fputs("\"nan\"", file);
    } else if (isinf(number)) {
        fputs(number < 0 ? "\"-inf\"" : "\"inf\"", file);
    } else {
        diag_document_format_float(text, number);
        fputs(text, file);
    }
}

static void new_line(FILE *file, int level) {
    if (level != COMPACT)
        fprintf(file, "\n%*s", level * 2, "");
}

/* `level`: the depth of indentation, or COMPACT. */
static void print(FILE *file, const struct diag_document *document, int level) {
    bool is_map = document->kind == DIAG_DOCUMENT_MAP;
    int inner = level == COMPACT ? COMPACT : level + 1;

    switch (document->kind) {
    case DIAG_DOCUMENT_NULL:
        fputs("null", file);
        return;
    case DIAG_DOCUMENT_BOOL:
        fputs(document->boolean ? "true" : "false", file);
        return;
    case DIAG_DOCUMENT_INT:
        fprintf(file, "%" PRId64, document->integer);
        return;
    case DIAG_DOCUMENT_UINT:
        fprintf(file, "%" PRIu64, document->count);
        return;
    case DIAG_DOCUMENT_FLOAT:
        print_float(file, document->number);
        return;
    case DIAG_DOCUMENT_TEXT:
        print_text(file, diag_bytes_make(document->text, document->text_size));
        return;
    case DIAG_DOCUMENT_LIST:
    case DIAG_DOCUMENT_MAP:
        break;
    }
    fputc(is_map ? '{' : '[', file);
    for (size_t i = 0; i < document->item_count; i++) {
        if (i > 0)
            fputc(',', file);
        new_line(file, inner);
        if (is_map) {
            print_text(file, diag_bytes_from_text(document->keys[i]));
            fputs(level == COMPACT ? ":" : ": ", file);
        }
        print(file, document->items[i], inner);
    }
    if (document->item_count > 0)
        new_line(file, level);
    fputc(is_map ? '}' : ']', file);
}

void diag_print_json_line(FILE *file, const struct diag_document *document) {
    print(file, document, COMPACT);
}

void diag_print_json(FILE *file, const struct diag_document *document) {
    print(file, document, 0);
    fputc('\n', file);
}
