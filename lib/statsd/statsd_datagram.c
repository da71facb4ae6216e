/* SPDX-License-Identifier: MIT */
#include "lib/statsd/statsd_datagram.h"

#include <string.h>

#include "lib/statsd/statsd_number.h"

/* What a byte must not be part of; bytes above 127 belong to UTF-8 and mean nothing here. */
enum part {
    IN_NAME = 1,  /* also of prefixes */
    IN_VALUE = 2, /* of a set */
    IN_TAG = 4,   /* of values of tags, and tags without a value */
    IN_KEY = 8,
};

static unsigned forbidden_in(uint8_t byte) {
    if (byte >= 'a' && byte <= 'z')
        return 0; /* nearly always */
    if (byte < ' ' || byte == 0x7F)
        return IN_NAME | IN_VALUE | IN_TAG | IN_KEY;
    switch (byte) {
    case '|':
        return IN_NAME | IN_VALUE | IN_TAG | IN_KEY;
    case ':':
        return IN_NAME | IN_VALUE | IN_KEY;
    case ',':
        return IN_NAME | IN_TAG | IN_KEY;
    case ' ':
    case '@':
    case '#':
    case '{':
    case '}':
        return IN_NAME;
    default:
        return 0;
    }
}

/* `out` has room for it. */
static void copy_clean(uint8_t *out, struct diag_bytes text, enum part part) {
    for (size_t i = 0; i < text.size; i++)
        out[i] = forbidden_in(text.data[i]) & part ? '_' : text.data[i];
}

static enum diag_status append_clean(struct diag_buffer *out, struct diag_bytes text,
                                     enum part part) {
    enum diag_status status = diag_buffer_reserve(out, text.size);

    if (status != DIAG_OK || text.size == 0)
        return status;
    copy_clean(out->data + out->size, text, part);
    out->size += text.size;
    return DIAG_OK;
}

enum diag_status diag_statsd_put_prefix(struct diag_buffer *out, struct diag_bytes prefix) {
    enum diag_status status = append_clean(out, prefix, IN_NAME);

    if (status != DIAG_OK || prefix.size == 0 || prefix.data[prefix.size - 1] == '.')
        return status;
    return diag_buffer_append(out, diag_bytes_make(".", 1));
}

/* All the room that a tag needs is there before any of it is written. */
static enum diag_status begin_tag(struct diag_buffer *tags, size_t size) {
    enum diag_status status = diag_buffer_reserve(tags, size + 2);

    if (status == DIAG_OK && tags->size > 0)
        tags->data[tags->size++] = ',';
    return status;
}

enum diag_status diag_statsd_put_tag(struct diag_buffer *tags, struct diag_bytes tag) {
    enum diag_status status = DIAG_OK;

    if (tag.size > 0)
        status = begin_tag(tags, tag.size);
    if (status != DIAG_OK)
        return status;
    return append_clean(tags, tag, IN_TAG);
}

enum diag_status diag_statsd_put_pair(struct diag_buffer *tags, struct diag_bytes key,
                                      struct diag_bytes value) {
    enum diag_status status;

    if (key.size == 0)
        key = diag_bytes_make("_", 1);
    status = begin_tag(tags, key.size + value.size);
    if (status == DIAG_OK)
        status = append_clean(tags, key, IN_KEY);
    if (status == DIAG_OK)
        status = diag_buffer_append(tags, diag_bytes_make(":", 1));
    if (status == DIAG_OK)
        status = append_clean(tags, value, IN_TAG);
    return status;
}

/* ---- lines ---- */

static struct diag_bytes type_text(enum diag_statsd_type type) {
    static const char *const texts[] = {
        [DIAG_STATSD_COUNTER] = "|c",      [DIAG_STATSD_GAUGE] = "|g",
        [DIAG_STATSD_HISTOGRAM] = "|h",    [DIAG_STATSD_TIMING] = "|ms",
        [DIAG_STATSD_DISTRIBUTION] = "|d", [DIAG_STATSD_SET] = "|s",
    };

    return diag_bytes_from_text(texts[type]);
}

static uint8_t *put(uint8_t *at, struct diag_bytes bytes) {
    if (bytes.size > 0)
        memcpy(at, bytes.data, bytes.size);
    return at + bytes.size;
}

static enum diag_status check(const struct diag_statsd_metric *metric, size_t line_size,
                              size_t max_size, struct diag_error *err) {
    if (metric->name.size == 0)
        return diag_error_set(err, DIAG_ERR_INVALID, 0, "name: is empty");
    if (metric->value.size == 0)
        return diag_error_set(err, DIAG_ERR_INVALID, 0, "value: is empty");
    if (metric->sample_rate != 1 &&
        !(metric->sample_rate >= DIAG_STATSD_RATE_MIN && metric->sample_rate < 1))
        return diag_error_set(err, DIAG_ERR_INVALID, 0,
                              "sample_rate: must be above 0 and at most 1");
    if (line_size > max_size)
        return diag_error_set(err, DIAG_ERR_TOO_LARGE, 0,
                              "a metric of %zu bytes, a datagram has at most %zu", line_size,
                              max_size);
    return DIAG_OK;
}

/* Agents tell the kinds of lines apart by how they begin; no name has the "{" of an event. */
static bool is_service_check(const uint8_t *line) {
    return memcmp(line, "_sc", 3) == 0;
}

/* `at` has room for the line. */
static uint8_t *put_line(uint8_t *at, const struct diag_statsd_metric *metric,
                         struct diag_bytes rate) {
    at = put(at, metric->prefix);
    copy_clean(at, metric->name, IN_NAME);
    at += metric->name.size;
    *at++ = ':';
    copy_clean(at, metric->value, IN_VALUE);
    at += metric->value.size;
    at = put(at, type_text(metric->type));
    if (rate.size > 0) {
        at = put(at, diag_bytes_make("|@", 2));
        at = put(at, rate);
    }
    if (metric->common_tags.size > 0 || metric->tags.size > 0)
        at = put(at, diag_bytes_make("|#", 2));
    at = put(at, metric->common_tags);
    if (metric->common_tags.size > 0 && metric->tags.size > 0)
        *at++ = ',';
    return put(at, metric->tags);
}

enum diag_status diag_statsd_put_metric(struct diag_buffer *lines, size_t max_size,
                                        const struct diag_statsd_metric *metric,
                                        struct diag_error *err) {
    char rate_text[DIAG_STATSD_NUMBER_MAX];
    struct diag_bytes rate = {NULL, 0};
    size_t tags_size = metric->common_tags.size + metric->tags.size;
    size_t line_size = metric->prefix.size + metric->name.size + 1 + metric->value.size +
                       type_text(metric->type).size;
    enum diag_status status;
    uint8_t *start;

    if (metric->sample_rate != 1) {
        rate = diag_bytes_make(rate_text, diag_statsd_write_rate(metric->sample_rate, rate_text));
        line_size += 2 + rate.size;
    }
    if (tags_size > 0)
        line_size += 2 + tags_size + (metric->common_tags.size > 0 && metric->tags.size > 0);
    status = check(metric, line_size, max_size, err);
    if (status != DIAG_OK)
        return status;
    if (diag_buffer_reserve(lines, line_size + 1) != DIAG_OK)
        return diag_error_set(err, DIAG_ERR_NO_MEMORY, 0, "metric");
    start = lines->data + lines->size;
    *put_line(start, metric, rate) = '\n';
    if (is_service_check(start))
        return diag_error_set(err, DIAG_ERR_INVALID, 0,
                              "name: begins with \"_sc\", as service checks do");
    lines->size += line_size + 1;
    return DIAG_OK;
}

struct diag_bytes diag_statsd_next_datagram(struct diag_bytes *lines, size_t max_size,
                                            size_t *metric_count) {
    struct diag_bytes datagram = {lines->data, 0};
    size_t taken = 0;

    *metric_count = 0;
    while (taken < lines->size) {
        const uint8_t *end = memchr(lines->data + taken, '\n', lines->size - taken);
        size_t size = (size_t)(end - lines->data);

        if (size > max_size)
            break;
        datagram.size = size;
        taken = size + 1;
        ++*metric_count;
    }
    lines->data += taken;
    lines->size -= taken;
    return datagram;
}
