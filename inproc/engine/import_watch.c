/* SPDX-License-Identifier: MIT */
#include "inproc/engine/import_watch.h"

#include <stddef.h>
#include <stdlib.h>

struct diag_import_watch {
    struct diag_hook hook;
    const struct diag_backend *backend;
    PyObject *function;
    void (*imported)(void *context); /* NULL: freed, but imports are in flight */
    void *context;
    size_t references;
};

static void unref(struct diag_import_watch *watch) {
    if (--watch->references > 0)
        return;
    Py_DECREF(watch->function);
    free(watch);
}

static bool enter(struct diag_hook *hook, struct diag_call *call) {
    struct diag_import_watch *watch = DIAG_CONTAINER_OF(hook, struct diag_import_watch, hook);

    watch->references++;
    call->state = watch;
    return true;
}

static void leave(struct diag_call *call, PyObject *result) {
    struct diag_import_watch *watch = call->state;

    if (result != NULL && watch->imported != NULL)
        watch->imported(watch->context);
    unref(watch);
}

/* Imports nested this deep are left to diag_engine_tick, as is everything after them. */
static void exhausted(struct diag_hook *hook) {
    (void)hook;
}

/* Borrowed; NULL: this interpreter imports in another way. */
static PyObject *find_loader(void) {
    PyObject *module = PyDict_GetItemString(PyImport_GetModuleDict(), "_frozen_importlib");
    PyObject *function;

    if (module == NULL || !PyModule_Check(module))
        return NULL;
    function = PyDict_GetItemString(PyModule_GetDict(module), "_load_unlocked");
    return function != NULL && diag_py_is_function(function) ? function : NULL;
}

enum diag_status diag_import_watch_new(const struct diag_backend *backend,
                                       void (*imported)(void *context), void *context,
                                       struct diag_import_watch **out, struct diag_error *err) {
    PyObject *function = find_loader();
    struct diag_backend_coverage coverage;
    struct diag_import_watch *watch;
    enum diag_status status;

    if (function == NULL)
        return diag_error_set(err, DIAG_ERR_UNSUPPORTED, 0, "importlib is not as expected");
    watch = calloc(1, sizeof *watch);
    if (watch == NULL)
        return diag_error_set(err, DIAG_ERR_NO_MEMORY, 0, "import watch");
    watch->hook.is_never_left_out = true; /* instruments import modules, too */
    watch->hook.enter = enter;
    watch->hook.leave = leave;
    watch->hook.exhausted = exhausted;
    watch->backend = backend;
    watch->function = Py_NewRef(function);
    watch->imported = imported;
    watch->context = context;
    watch->references = 1;
    status = backend->attach(function, &watch->hook, &coverage, err);
    if (status != DIAG_OK) {
        unref(watch);
        return status;
    }
    *out = watch;
    return DIAG_OK;
}

void diag_import_watch_free(struct diag_import_watch *watch) {
    if (watch == NULL)
        return;
    watch->imported = NULL;
    watch->backend->detach(watch->function, &watch->hook);
    unref(watch);
}
