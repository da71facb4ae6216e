/* SPDX-License-Identifier: MIT */
#include "inproc/engine/probe_set.h"

struct entry {
    const void *key; /* the callable or the code */
    void *probe;
};

static enum diag_status no_memory(struct diag_error *err) {
    return diag_error_set(err, DIAG_ERR_NO_MEMORY, 0, "probe");
}

enum diag_status diag_probe_set_of_callable(struct diag_probe_set *set,
                                            const struct diag_backend *backend, PyObject *callable,
                                            struct diag_probe **out, struct diag_error *err) {
    struct entry *found = diag_pointer_table_find(&set->callables, callable, sizeof *found);
    struct diag_probe *probe = NULL;
    enum diag_status status = DIAG_OK;

    if (found != NULL) {
        *out = found->probe;
        return DIAG_OK;
    }
    status = diag_probe_new(backend, callable, &probe, err);
    if (status != DIAG_OK)
        return status;
    if (diag_pointer_table_add(&set->callables, &(struct entry){callable, probe},
                               sizeof(struct entry)) == NULL) {
        diag_probe_free(probe);
        return no_memory(err);
    }
    *out = probe;
    return DIAG_OK;
}

enum diag_status diag_probe_set_of_code(struct diag_probe_set *set,
                                        const struct diag_observer_backend *backend,
                                        PyCodeObject *code, struct diag_frame_probe **out,
                                        struct diag_error *err) {
    struct entry *found = diag_pointer_table_find(&set->codes, code, sizeof *found);
    struct diag_frame_probe *probe = NULL;
    enum diag_status status = DIAG_OK;

    if (found != NULL) {
        *out = found->probe;
        return DIAG_OK;
    }
    status = diag_frame_probe_new(backend, code, &probe, err);
    if (status != DIAG_OK)
        return status;
    if (diag_pointer_table_add(&set->codes, &(struct entry){code, probe}, sizeof(struct entry)) ==
        NULL) {
        diag_frame_probe_free(probe);
        return no_memory(err);
    }
    *out = probe;
    return DIAG_OK;
}

bool diag_probe_set_intercepts(const struct diag_probe_set *set, PyObject *function) {
    const struct entry *found = diag_pointer_table_find(&set->callables, function, sizeof *found);

    return found != NULL && diag_probe_intercepts(found->probe);
}

static void forget(struct diag_pointer_table *table, const void *key) {
    struct entry *entry = diag_pointer_table_find(table, key, sizeof *entry);

    if (entry != NULL)
        diag_pointer_table_remove(table, entry, sizeof *entry);
}

void diag_probe_set_drop(struct diag_probe_set *set, struct diag_probe *probe) {
    if (!diag_probe_is_empty(probe))
        return;
    forget(&set->callables, diag_probe_callable(probe));
    diag_probe_free(probe);
}

void diag_probe_set_drop_frame(struct diag_probe_set *set, struct diag_frame_probe *probe) {
    if (!diag_frame_probe_is_empty(probe))
        return;
    forget(&set->codes, diag_frame_probe_code(probe));
    diag_frame_probe_free(probe);
}

void diag_probe_set_done(struct diag_probe_set *set) {
    diag_pointer_table_done(&set->callables);
    diag_pointer_table_done(&set->codes);
}
