/* SPDX-License-Identifier: MIT */
#include "sidecar/labels_file.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/cleanup.h"

#define KEY_SHOWN 64

/* A value while its quotes and escapes are taken off. */
struct unquoted {
    char *text; /* DIAG_SIDECAR_LABEL_MAX + 1 bytes */
    size_t size;
};

static const char *put_byte(struct unquoted *out, unsigned char byte) {
    if (byte == 0)
        return "a NUL character";
    if (out->size == DIAG_SIDECAR_LABEL_MAX)
        return "a value that is too long";
    out->text[out->size++] = (char)byte;
    return NULL;
}

static const char *put_character(struct unquoted *out, uint32_t code) {
    unsigned char bytes[4];
    size_t count = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    const char *wrong = NULL;

    if (count == 1) {
        bytes[0] = (unsigned char)code;
    } else {
        for (size_t i = count - 1; i > 0; i--, code >>= 6)
            bytes[i] = (unsigned char)(0x80 | (code & 0x3f));
        bytes[0] = (unsigned char)((0xf00 >> count & 0xff) | code);
    }
    for (size_t i = 0; i < count && wrong == NULL; i++)
        wrong = put_byte(out, bytes[i]);
    return wrong;
}

/* The number that `digits` hexadecimal digits make; they are taken off `text`. */
static bool take_hex(struct diag_bytes *text, size_t digits, uint32_t *out) {
    uint32_t number = 0;

    if (text->size < digits)
        return false;
    for (size_t i = 0; i < digits; i++) {
        unsigned char digit = text->data[i];

        if (digit >= '0' && digit <= '9')
            number = number << 4 | (uint32_t)(digit - '0');
        else if ((digit | 0x20) >= 'a' && (digit | 0x20) <= 'f')
            number = number << 4 | (uint32_t)((digit | 0x20) - 'a' + 10);
        else
            return false;
    }
    *text = diag_bytes_make(text->data + digits, text->size - digits);
    *out = number;
    return true;
}

/* What comes after a backslash. NULL, or what is wrong. */
static const char *take_escape(struct diag_bytes *text, struct unquoted *out) {
    static const char names[] = "abfnrtv\\\"'", meanings[] = "\a\b\f\n\r\t\v\\\"'";
    char name = text->size > 0 ? (char)text->data[0] : '\0';
    const char *found = name != '\0' ? strchr(names, name) : NULL;
    uint32_t number;

    if (text->size > 0)
        *text = diag_bytes_make(text->data + 1, text->size - 1);
    if (found != NULL)
        return put_byte(out, (unsigned char)meanings[found - names]);
    if (name == 'x' && take_hex(text, 2, &number))
        return put_byte(out, (unsigned char)number);
    if (((name == 'u' && take_hex(text, 4, &number)) ||
         (name == 'U' && take_hex(text, 8, &number))) &&
        number <= 0x10ffff)
        return put_character(out, number);
    return "a backslash that begins no escape";
}

/* NULL, or what is wrong with the quoted value. */
static const char *unquote(struct diag_bytes text, char *value) {
    struct unquoted out = {value, 0};
    const char *wrong = NULL;

    if (text.size == 0 || text.data[0] != '"')
        return "a value without quotes";
    text = diag_bytes_make(text.data + 1, text.size - 1);
    while (wrong == NULL && text.size > 0 && text.data[0] != '"') {
        unsigned char byte = text.data[0];

        text = diag_bytes_make(text.data + 1, text.size - 1);
        wrong = byte == '\\' ? take_escape(&text, &out) : put_byte(&out, byte);
    }
    if (wrong != NULL)
        return wrong;
    if (text.size == 0)
        return "a value without its closing quote";
    if (text.size > 1)
        return "something after the closing quote";
    if (!diag_bytes_is_utf8(diag_bytes_make(value, out.size)))
        return "a value that is not UTF-8";
    value[out.size] = '\0';
    return NULL;
}

static enum diag_status parse_line(struct diag_bytes line, size_t number,
                                   struct diag_labels_file_entry *out, struct diag_error *err) {
    const uint8_t *equals = memchr(line.data, '=', line.size);
    struct diag_labels_file_entry entry;
    const char *wrong;
    size_t key_size;

    if (equals == NULL || equals == line.data)
        return diag_error_set(err, DIAG_ERR_INVALID, 0, "line %zu is not KEY=\"VALUE\"", number);
    key_size = (size_t)(equals - line.data);
    if (!diag_bytes_is_utf8(diag_bytes_make(line.data, key_size)) ||
        memchr(line.data, '\0', key_size) != NULL)
        return diag_error_set(err, DIAG_ERR_INVALID, 0, "line %zu: the key is not UTF-8 text",
                              number);
    if (key_size > DIAG_SIDECAR_LABEL_MAX)
        return diag_error_set(err, DIAG_ERR_INVALID, 0,
                              "line %zu: the key \"%.*s...\" has over %d bytes", number,
                              (int)diag_bytes_utf8_cut(line, KEY_SHOWN), (const char *)line.data,
                              DIAG_SIDECAR_LABEL_MAX);
    memcpy(entry.key, line.data, key_size);
    entry.key[key_size] = '\0';
    wrong = unquote(diag_bytes_make(equals + 1, line.size - key_size - 1), entry.value);
    if (wrong != NULL)
        return diag_error_set(err, DIAG_ERR_INVALID, 0, "line %zu: the key \"%s\" has %s", number,
                              entry.key, wrong);
    *out = entry;
    return DIAG_OK;
}

enum diag_status diag_labels_file_next(struct diag_labels_file *file,
                                       struct diag_labels_file_entry *out, struct diag_error *err) {
    while (file->rest.size > 0) {
        const uint8_t *end = memchr(file->rest.data, '\n', file->rest.size);
        struct diag_bytes line = file->rest;
        size_t taken;

        if (end != NULL)
            line.size = (size_t)(end - line.data);
        taken = line.size + (end != NULL);
        file->rest = diag_bytes_make(file->rest.data + taken, file->rest.size - taken);
        file->line++;
        if (line.size > 0)
            return parse_line(line, file->line, out, err);
    }
    return DIAG_ERR_CLOSED;
}

static void close_file(FILE **file) {
    if (*file != NULL)
        fclose(*file);
}

enum diag_status diag_labels_file_load(const char *path, struct diag_buffer *text,
                                       struct diag_error *err) {
    DIAG_CLEANUP(close_file) FILE *file = fopen(path, "re");
    size_t size;

    if (file == NULL)
        return diag_error_set(err, errno == ENOENT ? DIAG_ERR_NOT_FOUND : DIAG_ERR_IO, errno,
                              "cannot open %s", path);
    if (diag_buffer_reserve(text, DIAG_LABELS_FILE_SIZE_MAX + 1) != DIAG_OK)
        return diag_error_set(err, DIAG_ERR_NO_MEMORY, errno, "%s", path);
    size = fread(text->data + text->size, 1, DIAG_LABELS_FILE_SIZE_MAX + 1, file);
    if (ferror(file))
        return diag_error_set(err, DIAG_ERR_IO, errno, "cannot read %s", path);
    if (size > DIAG_LABELS_FILE_SIZE_MAX)
        return diag_error_set(err, DIAG_ERR_TOO_LARGE, 0, "%s is longer than %u bytes", path,
                              DIAG_LABELS_FILE_SIZE_MAX);
    text->size += size;
    return DIAG_OK;
}
