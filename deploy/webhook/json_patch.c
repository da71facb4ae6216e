/* SPDX-License-Identifier: MIT */
#include "deploy/webhook/json_patch.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

enum diag_status diag_json_patch_add(json_t *operations, json_t *value, struct diag_error *err,
                                     const char *format, ...) {
    char path[DIAG_JSON_PATH_MAX];
    va_list arguments;
    json_t *operation;
    int length;

    va_start(arguments, format);
    length = vsnprintf(path, sizeof path, format, arguments);
    va_end(arguments);
    if (length < 0 || (size_t)length >= sizeof path) {
        json_decref(value);
        return diag_error_set(err, DIAG_ERR_TOO_LARGE, 0, "path of over %d bytes",
                              DIAG_JSON_PATH_MAX - 1);
    }
    operation = json_pack("{s:s, s:s, s:o}", "op", "add", "path", path, "value", value);
    if (operation == NULL || json_array_append_new(operations, operation) != 0)
        return diag_error_set(err, DIAG_ERR_NO_MEMORY, 0, "out of memory for the patch");
    return DIAG_OK;
}

void diag_json_pointer_escape(const char *key, char *escaped, size_t size) {
    size_t length = 0;

    for (; *key != '\0'; key++) {
        bool is_special = *key == '~' || *key == '/';

        if (length + (is_special ? 2 : 1) >= size)
            break;
        if (is_special)
            escaped[length++] = '~';
        escaped[length++] = *key == '~' ? '0' : *key == '/' ? '1' : *key;
    }
    escaped[length] = '\0';
}
