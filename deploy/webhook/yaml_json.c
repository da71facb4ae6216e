/* SPDX-License-Identifier: MIT */
/* How it works: libyaml's events become values by recursive descent. Each function has the event
 * that begins its value, and leaves the parser behind the event that ends it. */
#include "deploy/webhook/yaml_json.h"

#include <errno.h>
#include <string.h>
#include <yaml.h>

#include "lib/base/cleanup.h"

struct reader {
    yaml_parser_t parser;
    const char *name;
    int depth;
    struct diag_error *err;
};

static enum diag_status fail(struct reader *reader, const yaml_mark_t *mark, const char *what) {
    return diag_error_set(reader->err, DIAG_ERR_INVALID, 0, "%s:%zu: %s", reader->name,
                          mark->line + 1, what);
}

static enum diag_status no_memory(struct reader *reader) {
    return diag_error_set(reader->err, DIAG_ERR_NO_MEMORY, 0, "%s: out of memory", reader->name);
}

static enum diag_status next(struct reader *reader, yaml_event_t *event) {
    if (yaml_parser_parse(&reader->parser, event))
        return DIAG_OK;
    if (reader->parser.error == YAML_MEMORY_ERROR)
        return no_memory(reader);
    return fail(reader, &reader->parser.problem_mark,
                reader->parser.problem != NULL ? reader->parser.problem : "not YAML");
}

/* ---- scalars ---- */

static bool is_one_of(const char *text, const char *const *words, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (strcmp(text, words[i]) == 0)
            return true;
    return false;
}

/* NULL if the text is not an integer of 64 bits. */
static json_t *integer(const char *text) {
    const char *digits = text + (*text == '-' || *text == '+');
    long long value;
    char *end;
    int base = 10;

    if (strncmp(digits, "0o", 2) == 0) {
        /* strtoll knows no such prefix */
        if (digits != text || digits[2] < '0' || digits[2] > '7')
            return NULL;
        text = digits + 2;
        base = 8;
    } else if (digits[0] == '0' && digits[1] != '\0') {
        base = 8;
    }
    if (*digits < '0' || *digits > '9')
        return NULL;
    errno = 0;
    value = strtoll(text, &end, base);
    return *end == '\0' && errno == 0 ? json_integer(value) : NULL;
}

static json_t *real(const char *text) {
    char *end;
    double value;

    if (text[strspn(text, "+-.0123456789eE")] != '\0' || strpbrk(text, "0123456789") == NULL)
        return NULL;
    errno = 0;
    value = strtod(text, &end);
    return *end == '\0' && errno == 0 ? json_real(value) : NULL;
}

static json_t *plain(const char *text, size_t size) {
    static const char *const NULLS[] = {"", "~", "null", "Null", "NULL"};
    static const char *const TRUES[] = {"true", "True", "TRUE"};
    static const char *const FALSES[] = {"false", "False", "FALSE"};
    json_t *value;

    if (is_one_of(text, NULLS, DIAG_ARRAY_SIZE(NULLS)))
        return json_null();
    if (is_one_of(text, TRUES, DIAG_ARRAY_SIZE(TRUES)))
        return json_true();
    if (is_one_of(text, FALSES, DIAG_ARRAY_SIZE(FALSES)))
        return json_false();
    value = integer(text);
    if (value == NULL)
        value = real(text);
    return value != NULL ? value : json_stringn(text, size);
}

static enum diag_status scalar(struct reader *reader, const yaml_event_t *event, json_t **out) {
    const char *text = (const char *)event->data.scalar.value;
    size_t size = event->data.scalar.length;
    json_t *value;

    if (strlen(text) != size)
        return fail(reader, &event->start_mark, "text with a NUL");
    if (event->data.scalar.tag != NULL)
        return fail(reader, &event->start_mark, "a tag; quote what is text");
    value = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE ? plain(text, size)
                                                                : json_stringn(text, size);
    if (value == NULL)
        return no_memory(reader);
    *out = value;
    return DIAG_OK;
}

/* ---- collections ---- */

static enum diag_status value_of(struct reader *reader, const yaml_event_t *event, json_t **out);

static enum diag_status items(struct reader *reader, json_t *list) {
    for (;;) {
        DIAG_CLEANUP(yaml_event_delete) yaml_event_t event = {0};
        enum diag_status status = next(reader, &event);
        json_t *item = NULL;

        if (status == DIAG_OK && event.type == YAML_SEQUENCE_END_EVENT)
            return DIAG_OK;
        if (status == DIAG_OK)
            status = value_of(reader, &event, &item);
        if (status != DIAG_OK)
            return status;
        if (json_array_append_new(list, item) != 0)
            return no_memory(reader);
    }
}

static enum diag_status members(struct reader *reader, json_t *object) {
    for (;;) {
        DIAG_CLEANUP(yaml_event_delete) yaml_event_t key = {0}, event = {0};
        enum diag_status status = next(reader, &key);
        const char *name;
        json_t *member = NULL;

        if (status != DIAG_OK || key.type == YAML_MAPPING_END_EVENT)
            return status;
        if (key.type != YAML_SCALAR_EVENT)
            return fail(reader, &key.start_mark, "a key that is not text");
        name = (const char *)key.data.scalar.value;
        if (strlen(name) != key.data.scalar.length)
            return fail(reader, &key.start_mark, "text with a NUL");
        if (json_object_get(object, name) != NULL)
            return fail(reader, &key.start_mark, "the same key twice");
        status = next(reader, &event);
        if (status == DIAG_OK)
            status = value_of(reader, &event, &member);
        if (status != DIAG_OK)
            return status;
        if (json_object_set_new(object, name, member) != 0)
            return no_memory(reader);
    }
}

static enum diag_status collection(struct reader *reader, const yaml_event_t *event, json_t **out) {
    bool is_list = event->type == YAML_SEQUENCE_START_EVENT;
    json_auto_t *value = is_list ? json_array() : json_object();
    enum diag_status status;

    if (value == NULL)
        return no_memory(reader);
    if (reader->depth == DIAG_YAML_JSON_DEPTH_MAX)
        return fail(reader, &event->start_mark, "nested too deeply");
    reader->depth++;
    status = is_list ? items(reader, value) : members(reader, value);
    reader->depth--;
    if (status == DIAG_OK)
        *out = DIAG_TAKE_PTR(value);
    return status;
}

static enum diag_status value_of(struct reader *reader, const yaml_event_t *event, json_t **out) {
    if (event->type == YAML_SCALAR_EVENT)
        return scalar(reader, event, out);
    if (event->type == YAML_SEQUENCE_START_EVENT || event->type == YAML_MAPPING_START_EVENT)
        return collection(reader, event, out);
    return fail(reader, &event->start_mark, "an alias; write it out");
}

/* ---- the document ---- */

/* Reads events up to the first that is none of the stream's and document's own. */
static enum diag_status next_content(struct reader *reader, yaml_event_t *event) {
    for (;;) {
        enum diag_status status = next(reader, event);

        if (status != DIAG_OK ||
            (event->type != YAML_STREAM_START_EVENT && event->type != YAML_DOCUMENT_START_EVENT &&
             event->type != YAML_DOCUMENT_END_EVENT))
            return status;
        yaml_event_delete(event);
    }
}

static enum diag_status document(struct reader *reader, json_t **out) {
    DIAG_CLEANUP(yaml_event_delete) yaml_event_t first = {0}, last = {0};
    json_auto_t *value = NULL;
    enum diag_status status = next_content(reader, &first);

    if (status != DIAG_OK)
        return status;
    if (first.type == YAML_STREAM_END_EVENT)
        return fail(reader, &first.start_mark, "no document");
    status = value_of(reader, &first, &value);
    if (status == DIAG_OK)
        status = next_content(reader, &last);
    if (status != DIAG_OK)
        return status;
    if (last.type != YAML_STREAM_END_EVENT)
        return fail(reader, &last.start_mark, "a second document");
    *out = DIAG_TAKE_PTR(value);
    return DIAG_OK;
}

enum diag_status diag_yaml_json_read(const char *name, struct diag_bytes text, json_t **out,
                                     struct diag_error *err) {
    struct reader reader = {.name = name, .err = err};
    enum diag_status status;

    if (!yaml_parser_initialize(&reader.parser))
        return no_memory(&reader);
    yaml_parser_set_encoding(&reader.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&reader.parser, text.data, text.size);
    status = document(&reader, out);
    yaml_parser_delete(&reader.parser);
    return status;
}
