/* SPDX-License-Identifier: MIT */
#include "inproc/engine/target_path.h"

#include <string.h>

size_t diag_target_path_start(const struct diag_target_path *path, size_t part) {
    return part == 0 ? 0 : path->ends[part - 1] + 1;
}

const char *diag_target_path_text(const struct diag_target_path *path, size_t first, size_t end,
                                  char out[DIAG_SPEC_TARGET_MAX + 1]) {
    size_t start = diag_target_path_start(path, first);
    size_t size = path->ends[end - 1] - start;

    memcpy(out, path->text + start, size);
    out[size] = '\0';
    return out;
}

bool diag_target_path_is_text(const struct diag_target_path *path, size_t part, const char *name) {
    size_t start = diag_target_path_start(path, part), size = strlen(name);

    return path->ends[part] - start == size && memcmp(path->text + start, name, size) == 0;
}

bool diag_target_path_is(const struct diag_target_path *path, size_t part, PyObject *name) {
    const char *text = PyUnicode_AsUTF8(name);

    if (text == NULL) {
        PyErr_Clear();
        return false;
    }
    return diag_target_path_is_text(path, part, text);
}

static enum diag_status refuse(struct diag_error *err, const char *reason) {
    return diag_error_set(err, DIAG_ERR_UNSUPPORTED, 0, "target: %s", reason);
}

static enum diag_status parse_names(struct diag_target_path *path, struct diag_error *err) {
    for (size_t start = 0, i = 0;; i++) {
        if (path->text[i] != '.' && path->text[i] != '\0')
            continue;
        if (i == start)
            return refuse(err, "has an empty name in it");
        if (path->count == DIAG_TARGET_PARTS_MAX)
            return refuse(err, "has too many names in it");
        path->ends[path->count++] = i;
        start = i + 1;
        if (path->text[i] == '\0')
            break;
    }
    path->plain_count = path->count;
    for (size_t i = path->count; i-- > 0;)
        if (path->text[diag_target_path_start(path, i)] == '<')
            path->plain_count = i;
    return DIAG_OK;
}

enum diag_status diag_target_path_parse(const char *text, struct diag_target_path *out,
                                        struct diag_error *err) {
    struct diag_target_path path = {0};
    enum diag_status status = DIAG_OK;
    size_t size;

    while (strncmp(text, "./", 2) == 0)
        text += 2;
    size = strlen(text);
    if (size > DIAG_SPEC_TARGET_MAX)
        return refuse(err, "too long");
    memcpy(path.text, text, size + 1);
    if (diag_spec_target_is_line(text, &size, &path.line))
        path.text[size] = '\0';
    else
        status = parse_names(&path, err);
    if (status == DIAG_OK)
        *out = path;
    return status;
}
