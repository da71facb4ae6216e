/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <strings.h>
#include <yaml.h>

#include "ctl/escape.h"
#include "ctl/print.h"

#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define WIDTH_UNLIMITED (-1)

/* libyaml takes ownership of the event whether it works or not; it fails only when memory or the
 * file does, and the latter is seen by the caller. */
static void emit(yaml_emitter_t *emitter, yaml_event_t *event) {
    if (!yaml_emitter_emit(emitter, event) && emitter->error == YAML_MEMORY_ERROR)
        fputs("diagnosectl: out of memory\n", stderr);
}

/* Words that YAML 1.1 readers take for bools and nulls. */
static bool is_reserved(const char *text) {
    static const char *const words[] = {"null", "true", "false", "yes", "no",
                                        "on",   "off",  "y",     "n"};

    for (size_t i = 0; i < DIAG_ARRAY_SIZE(words); i++)
        if (strcasecmp(text, words[i]) == 0)
            return true;
    return false;
}

/* Text that every reader takes for text, as it is: a letter, then letters, digits and -_./ */
static bool is_plain(struct diag_bytes text) {
    const char *chars = (const char *)text.data;

    return text.size > 0 && strchr(LETTERS "_", chars[0]) != NULL &&
           strspn(chars, LETTERS "0123456789-_./") == text.size && !is_reserved(chars);
}

static bool is_unsafe(struct diag_bytes text) {
    size_t at = 0;

    while (at < text.size) {
        int32_t code_point = diag_escape_next(text, &at);

        if (code_point != '\n' && diag_escape_is_unsafe(code_point))
            return true;
    }
    return false;
}

static void emit_scalar(yaml_emitter_t *emitter, struct diag_bytes text,
                        yaml_scalar_style_t style) {
    yaml_event_t event;

    if (yaml_scalar_event_initialize(&event, NULL, NULL, text.data, (int)text.size, 1, 1, style))
        emit(emitter, &event);
}

static void emit_text(yaml_emitter_t *emitter, struct diag_bytes text) {
    if (is_unsafe(text) || memchr(text.data, '\n', text.size) != NULL)
        emit_scalar(emitter, text, YAML_DOUBLE_QUOTED_SCALAR_STYLE);
    else
        emit_scalar(emitter, text,
                    is_plain(text) ? YAML_PLAIN_SCALAR_STYLE : YAML_SINGLE_QUOTED_SCALAR_STYLE);
}

static void emit_plain(yaml_emitter_t *emitter, const char *text) {
    emit_scalar(emitter, diag_bytes_from_text(text), YAML_PLAIN_SCALAR_STYLE);
}

static void emit_number(yaml_emitter_t *emitter, const struct diag_document *document) {
    char text[DIAG_DOCUMENT_FLOAT_SIZE];

    if (document->kind == DIAG_DOCUMENT_INT)
        snprintf(text, sizeof text, "%" PRId64, document->integer);
    else if (document->kind == DIAG_DOCUMENT_UINT)
        snprintf(text, sizeof text, "%" PRIu64, document->count);
    else if (isnan(document->number))
        strcpy(text, ".nan");
    else if (isinf(document->number))
        strcpy(text, document->number < 0 ? "-.inf" : ".inf");
    else
        diag_document_format_float(text, document->number);
    emit_plain(emitter, text);
}

static void emit_node(yaml_emitter_t *emitter, const struct diag_document *document) {
    bool is_map = document->kind == DIAG_DOCUMENT_MAP;
    yaml_event_t event;

    switch (document->kind) {
    case DIAG_DOCUMENT_NULL:
        emit_plain(emitter, "null");
        return;
    case DIAG_DOCUMENT_BOOL:
        emit_plain(emitter, document->boolean ? "true" : "false");
        return;
    case DIAG_DOCUMENT_INT:
    case DIAG_DOCUMENT_UINT:
    case DIAG_DOCUMENT_FLOAT:
        emit_number(emitter, document);
        return;
    case DIAG_DOCUMENT_TEXT:
        emit_text(emitter, diag_bytes_make(document->text, document->text_size));
        return;
    case DIAG_DOCUMENT_LIST:
    case DIAG_DOCUMENT_MAP:
        break;
    }
    if (is_map
            ? yaml_mapping_start_event_initialize(&event, NULL, NULL, 1, YAML_ANY_MAPPING_STYLE)
            : yaml_sequence_start_event_initialize(&event, NULL, NULL, 1, YAML_ANY_SEQUENCE_STYLE))
        emit(emitter, &event);
    for (size_t i = 0; i < document->item_count; i++) {
        if (is_map)
            emit_text(emitter, diag_bytes_from_text(document->keys[i]));
        emit_node(emitter, document->items[i]);
    }
    if (is_map ? yaml_mapping_end_event_initialize(&event)
               : yaml_sequence_end_event_initialize(&event))
        emit(emitter, &event);
}

static bool has_unsafe_text(const struct diag_document *document) {
    if (document->kind == DIAG_DOCUMENT_TEXT)
        return is_unsafe(diag_bytes_make(document->text, document->text_size));
    if (document->kind != DIAG_DOCUMENT_LIST && document->kind != DIAG_DOCUMENT_MAP)
        return false;
    for (size_t i = 0; i < document->item_count; i++)
        if (has_unsafe_text(document->items[i]) ||
            (document->kind == DIAG_DOCUMENT_MAP &&
             is_unsafe(diag_bytes_from_text(document->keys[i]))))
            return true;
    return false;
}

void diag_print_yaml(FILE *file, const struct diag_document *document, bool is_first) {
    yaml_emitter_t emitter;
    yaml_event_t event;

    if (!yaml_emitter_initialize(&emitter))
        return;
    yaml_emitter_set_output_file(&emitter, file);
    /* told to print more than ASCII, libyaml prints some of what is unsafe as it is (NEL,
     * bidirectional formatting) */
    yaml_emitter_set_unicode(&emitter, !has_unsafe_text(document));
    yaml_emitter_set_width(&emitter, WIDTH_UNLIMITED);
    if (!is_first)
        fputs("---\n", file);
    if (yaml_stream_start_event_initialize(&event, YAML_UTF8_ENCODING))
        emit(&emitter, &event);
    if (yaml_document_start_event_initialize(&event, NULL, NULL, NULL, 1))
        emit(&emitter, &event);
    emit_node(&emitter, document);
    if (yaml_document_end_event_initialize(&event, 1))
        emit(&emitter, &event);
    if (yaml_stream_end_event_initialize(&event))
        emit(&emitter, &event);
    yaml_emitter_delete(&emitter);
}
