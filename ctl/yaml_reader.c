/* SPDX-License-Identifier: MIT */
#include "ctl/yaml_reader.h"

#include <stdio.h>
#include <string.h>
#include <yaml.h>

#include "ctl/escape.h"
#include "ctl/memory.h"
#include "lib/base/map.h"

#define KEY_SHOWN_MAX 64

struct reader {
    yaml_parser_t parser;
    const char *name;
    struct diag_buffer path; /* of the field that is being read */
    struct diag_error *err;
};

static enum diag_status read_value(struct reader *reader, yaml_event_t *event, unsigned depth,
                                   struct diag_document **out);

static enum diag_status refuse(struct reader *reader, unsigned line, const char *what) {
    return diag_error_set(reader->err, DIAG_ERR_INVALID, 0, "%s:%u: %.*s%s%s", reader->name, line,
                          (int)reader->path.size, (const char *)reader->path.data,
                          reader->path.size > 0 ? ": " : "", what);
}

static unsigned line_of(const yaml_mark_t *mark) {
    return (unsigned)mark->line + 1;
}

/* On success the event is the caller's, to be deleted. */
static enum diag_status next(struct reader *reader, yaml_event_t *event) {
    const yaml_parser_t *parser = &reader->parser;

    if (yaml_parser_parse(&reader->parser, event))
        return DIAG_OK;
    if (parser->error == YAML_MEMORY_ERROR)
        return diag_error_set(reader->err, DIAG_ERR_NO_MEMORY, 0, "%s", reader->name);
    /* the reader's own errors carry no mark of their own */
    return diag_error_set(
        reader->err, DIAG_ERR_INVALID, 0, "%s:%u: not valid YAML: %s%s%s", reader->name,
        line_of(parser->error == YAML_READER_ERROR ? &parser->mark : &parser->problem_mark),
        parser->problem, parser->context != NULL ? ", " : "",
        parser->context != NULL ? parser->context : "");
}

static enum diag_status check_decoration(struct reader *reader, const yaml_event_t *event) {
    const yaml_char_t *anchor = NULL, *tag = NULL;

    switch (event->type) {
    case YAML_ALIAS_EVENT:
        return refuse(reader, line_of(&event->start_mark), "aliases (*name) are not allowed");
    case YAML_SCALAR_EVENT:
        anchor = event->data.scalar.anchor;
        tag = event->data.scalar.tag;
        break;
    case YAML_SEQUENCE_START_EVENT:
        anchor = event->data.sequence_start.anchor;
        tag = event->data.sequence_start.tag;
        break;
    case YAML_MAPPING_START_EVENT:
        anchor = event->data.mapping_start.anchor;
        tag = event->data.mapping_start.tag;
        break;
    default:
        break;
    }
    if (anchor != NULL)
        return refuse(reader, line_of(&event->start_mark), "anchors (&name) are not allowed");
    if (tag != NULL)
        return refuse(reader, line_of(&event->start_mark), "tags (!name) are not allowed");
    return DIAG_OK;
}

static enum diag_status read_scalar(struct reader *reader, const yaml_event_t *event,
                                    struct diag_document **out) {
    struct diag_bytes text = diag_bytes_make(event->data.scalar.value, event->data.scalar.length);

    if (memchr(text.data, '\0', text.size) != NULL)
        return refuse(reader, line_of(&event->start_mark), "text must not have a NUL in it");
    if (event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
        *out = diag_document_bytes(text);
    else if (diag_yaml_resolve(text, out) != DIAG_OK)
        return refuse(reader, line_of(&event->start_mark), "the number does not fit 64 bits");
    return DIAG_OK;
}

static void enter_key(struct reader *reader, const char *key) {
    DIAG_CLEANUP(diag_freep) char *shown = diag_escape_text(key, KEY_SHOWN_MAX);

    if (reader->path.size > 0)
        diag_memory_append_text(&reader->path, ".");
    diag_memory_append_text(&reader->path, shown);
}

static enum diag_status read_list(struct reader *reader, unsigned depth,
                                  struct diag_document *list) {
    for (;;) {
        size_t path_size = reader->path.size;
        struct diag_document *item;
        yaml_event_t event;
        enum diag_status status = next(reader, &event);

        if (status != DIAG_OK)
            return status;
        if (event.type == YAML_SEQUENCE_END_EVENT) {
            yaml_event_delete(&event);
            return DIAG_OK;
        }
        diag_memory_append_format(&reader->path, "[%zu]", list->item_count);
        status = read_value(reader, &event, depth, &item);
        yaml_event_delete(&event);
        if (status != DIAG_OK)
            return status;
        reader->path.size = path_size;
        diag_document_add(list, item);
    }
}

static enum diag_status read_key(struct reader *reader, const yaml_event_t *event,
                                 struct diag_map *seen) {
    const char *key = (const char *)event->data.scalar.value;
    unsigned line = line_of(&event->start_mark);
    enum diag_status status = check_decoration(reader, event);

    if (status != DIAG_OK)
        return status;
    if (event->type != YAML_SCALAR_EVENT)
        return refuse(reader, line, "keys must be text, not lists or maps");
    if (strlen(key) != event->data.scalar.length)
        return refuse(reader, line, "keys must not have a NUL in them");
    enter_key(reader, key);
    if (diag_map_get(seen, key) != NULL)
        return refuse(reader, line, "given twice");
    if (diag_map_put(seen, key, seen) != DIAG_OK)
        return diag_error_set(reader->err, DIAG_ERR_NO_MEMORY, 0, "%s", reader->name);
    return DIAG_OK;
}

static enum diag_status read_map(struct reader *reader, unsigned depth, struct diag_document *map) {
    DIAG_CLEANUP(diag_map_done) struct diag_map seen = {0};

    for (;;) {
        size_t path_size = reader->path.size;
        struct diag_document *item;
        yaml_event_t key, event;
        enum diag_status status = next(reader, &key);

        if (status != DIAG_OK)
            return status;
        if (key.type == YAML_MAPPING_END_EVENT) {
            yaml_event_delete(&key);
            return DIAG_OK;
        }
        status = read_key(reader, &key, &seen);
        if (status == DIAG_OK)
            status = next(reader, &event);
        if (status == DIAG_OK) {
            status = read_value(reader, &event, depth, &item);
            yaml_event_delete(&event);
        }
        if (status == DIAG_OK) {
            item->line = line_of(&key.start_mark);
            diag_document_put(map, (const char *)key.data.scalar.value, item);
        }
        yaml_event_delete(&key);
        if (status != DIAG_OK)
            return status;
        reader->path.size = path_size;
    }
}

static enum diag_status read_value(struct reader *reader, yaml_event_t *event, unsigned depth,
                                   struct diag_document **out) {
    DIAG_CLEANUP(diag_document_freep) struct diag_document *value = NULL;
    enum diag_status status = check_decoration(reader, event);

    if (status != DIAG_OK)
        return status;
    if (depth == DIAG_YAML_DEPTH_MAX && event->type != YAML_SCALAR_EVENT)
        return diag_error_set(reader->err, DIAG_ERR_INVALID, 0,
                              "%s:%u: nested deeper than %d levels", reader->name,
                              line_of(&event->start_mark), DIAG_YAML_DEPTH_MAX);
    if (event->type == YAML_SEQUENCE_START_EVENT) {
        value = diag_document_list();
        status = read_list(reader, depth + 1, value);
    } else if (event->type == YAML_MAPPING_START_EVENT) {
        value = diag_document_map();
        status = read_map(reader, depth + 1, value);
    } else {
        status = read_scalar(reader, event, &value);
    }
    if (status != DIAG_OK)
        return status;
    value->line = line_of(&event->start_mark);
    *out = DIAG_TAKE_PTR(value);
    return DIAG_OK;
}

static enum diag_status read_documents(struct reader *reader, struct diag_document *documents) {
    for (;;) {
        struct diag_document *document;
        yaml_event_t event;
        yaml_event_type_t type;
        enum diag_status status = next(reader, &event);

        if (status != DIAG_OK)
            return status;
        type = event.type;
        if (type == YAML_SCALAR_EVENT || type == YAML_ALIAS_EVENT ||
            type == YAML_SEQUENCE_START_EVENT || type == YAML_MAPPING_START_EVENT) {
            status = read_value(reader, &event, 0, &document);
            if (status == DIAG_OK)
                diag_document_add(documents, document);
        }
        yaml_event_delete(&event);
        if (status != DIAG_OK || type == YAML_STREAM_END_EVENT)
            return status;
    }
}

/* libyaml would say less: not which line. */
static enum diag_status check_utf8(const char *name, struct diag_bytes text,
                                   struct diag_error *err) {
    unsigned line = 1;

    if (diag_bytes_is_utf8(text))
        return DIAG_OK;
    for (size_t at = 0; at < text.size;) {
        int32_t code_point = diag_escape_next(text, &at);

        if (code_point < 0)
            break;
        line += code_point == '\n';
    }
    return diag_error_set(err, DIAG_ERR_INVALID, 0, "%s:%u: not valid UTF-8", name, line);
}

enum diag_status diag_yaml_read(const char *name, struct diag_bytes text,
                                struct diag_document **out, struct diag_error *err) {
    DIAG_CLEANUP(diag_document_freep) struct diag_document *documents = NULL;
    struct reader reader = {.name = name, .err = err};
    enum diag_status status = check_utf8(name, text, err);

    if (status != DIAG_OK)
        return status;
    if (!yaml_parser_initialize(&reader.parser))
        return diag_error_set(err, DIAG_ERR_NO_MEMORY, 0, "%s", name);
    yaml_parser_set_encoding(&reader.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&reader.parser, text.data, text.size);
    documents = diag_document_list();
    status = read_documents(&reader, documents);
    yaml_parser_delete(&reader.parser);
    diag_buffer_done(&reader.path);
    if (status != DIAG_OK)
        return status;
    *out = DIAG_TAKE_PTR(documents);
    return DIAG_OK;
}
