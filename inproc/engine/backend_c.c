/* SPDX-License-Identifier: MIT */
/* How it works: each kind of callable is changed where all calls of it pass: c_method.h for what
 * has a PyMethodDef, c_slot.h for other objects that can be called. Where a PyMethodDef cannot be
 * changed, c_reference.h changes who refers to the object instead. */
#include "inproc/engine/backend.h"

#include <stdio.h>

#include "inproc/engine/c_callable.h"
#include "inproc/engine/c_listener.h"
#include "inproc/engine/c_method.h"
#include "inproc/engine/c_proxy.h"
#include "inproc/engine/c_reference.h"
#include "inproc/engine/c_slot.h"

#define EXCLUDED_C "calls in C code that do not go through the Python object"
#define EXCLUDED_OPERATOR "; operators and built-in functions reach the type's slot directly"

/* The listener on this callable; NULL: none. */
static struct diag_c_listener *find_any(PyObject *callable) {
    struct diag_c_listener *listener = diag_c_method_find(callable, NULL);

    if (listener == NULL)
        listener = diag_c_slot_find(callable);
    return listener == NULL ? diag_c_reference_find(callable) : listener;
}

static enum diag_status attach_definition(struct diag_c_listener *listener, PyMethodDef *definition,
                                          struct diag_backend_coverage *coverage,
                                          struct diag_error *err) {
    struct diag_error why;
    enum diag_status status = diag_c_method_attach(listener, definition, &why);

    if (status == DIAG_OK) {
        coverage->mechanism = "c-method";
        snprintf(coverage->excluded, sizeof coverage->excluded, "%s%s", EXCLUDED_C,
                 definition->ml_flags & METH_COEXIST ? EXCLUDED_OPERATOR : "");
        return DIAG_OK;
    }
    if (status != DIAG_ERR_FULL && status != DIAG_ERR_PERMISSION) {
        if (err != NULL)
            *err = why;
        return status;
    }
    coverage->mechanism = "c-references";
    status = diag_c_reference_attach(listener, coverage->excluded, sizeof coverage->excluded, err);
    if (status != DIAG_OK)
        diag_error_prefix(err, "%s, and", why.message);
    return status;
}

static enum diag_status attach_instance(struct diag_c_listener *listener,
                                        struct diag_backend_coverage *coverage,
                                        struct diag_error *err) {
    bool has_vectorcall;
    enum diag_status status = diag_c_slot_attach(listener, &has_vectorcall, err);

    if (status != DIAG_OK)
        return status;
    coverage->mechanism = has_vectorcall ? "c-vectorcall" : "c-type-call";
    snprintf(coverage->excluded, sizeof coverage->excluded, "%s", EXCLUDED_C);
    return DIAG_OK;
}

static enum diag_status attach(PyObject *object, struct diag_hook *hook,
                               struct diag_backend_coverage *coverage, struct diag_error *err) {
    struct diag_backend_coverage found = {.mechanism = ""};
    struct diag_c_listener *listener;
    struct diag_c_callable callable;
    enum diag_status status = diag_c_classify(object, &callable, err);

    if (status != DIAG_OK)
        return status;
    if (hook->intercept != NULL)
        return diag_error_set(err, DIAG_ERR_UNSUPPORTED, 0,
                              "what is implemented in C cannot be intercepted");
    if (find_any(object) != NULL)
        return diag_error_set(err, DIAG_ERR_EXISTS, 0, "another engine probes this function");
    listener = diag_c_listener_new(object, &callable, hook);
    if (listener == NULL)
        return diag_error_set(err, DIAG_ERR_NO_MEMORY, 0, "listener");
    status = callable.kind == DIAG_C_KIND_DEFINITION
                 ? attach_definition(listener, callable.definition, &found, err)
                 : attach_instance(listener, &found, err);
    diag_c_listener_unref(listener);
    if (status == DIAG_OK)
        *coverage = found;
    return status;
}

static void detach(PyObject *object, struct diag_hook *hook) {
    struct diag_c_listener *listener = diag_c_method_find(object, hook);

    if (listener != NULL) {
        diag_c_method_detach(listener);
        return;
    }
    listener = diag_c_slot_find(object);
    if (listener != NULL && listener->hook == hook) {
        diag_c_slot_detach(listener);
        return;
    }
    listener = diag_c_reference_find(object);
    if (listener != NULL && listener->hook == hook)
        diag_c_reference_detach(listener);
}

PyObject *diag_backend_c_original(PyObject *callable) {
    PyObject *original = diag_c_proxy_original(callable);

    return original == NULL ? callable : original;
}

const struct diag_backend diag_backend_c = {
    .name = "c",
    .attach = attach,
    .detach = detach,
};
