/* SPDX-License-Identifier: MIT */
#include "deploy/webhook/json_read.h"

#include <string.h>

const char *diag_json_text(const json_t *value) {
    const char *text = json_string_value(value);

    return text != NULL && strlen(text) == json_string_length(value) ? text : NULL;
}

const char *diag_json_member_text(const json_t *object, const char *key) {
    return diag_json_text(json_object_get(object, key));
}

bool diag_json_is_text(const json_t *value, const char *text) {
    const char *own = diag_json_text(value);

    return own != NULL && strcmp(own, text) == 0;
}

bool diag_json_is_absent(const json_t *value) {
    return value == NULL || json_is_null(value);
}

const json_t *diag_json_find(const json_t *list, const char *key, const char *text, size_t *index) {
    for (size_t i = json_array_size(list); i-- > 0;) {
        const json_t *item = json_array_get(list, i);

        if (!diag_json_is_text(json_object_get(item, key), text))
            continue;
        if (index != NULL)
            *index = i;
        return item;
    }
    return NULL;
}
