/* SPDX-License-Identifier: MIT */
#include "inproc/engine/c_reference.h"

#include <stdio.h>
#include <stdlib.h>

#include "inproc/engine/c_proxy.h"
#include "inproc/engine/c_referrers.h"

struct stand_in {
    struct diag_c_listener *listener; /* owned */
    PyObject *proxy;                  /* owned */
    struct stand_in *next;
};

static struct stand_in *stand_ins;

static void describe(const struct diag_c_replaced *replaced, char *text, size_t size) {
    int used = snprintf(text, size,
                        "references that the collector does not know of: local variables, C code, "
                        "sets, keys of dicts");

    if (replaced->left_count > 0 && used >= 0 && (size_t)used < size)
        snprintf(text + used, size - (size_t)used, "; %zu found and left alone, in %s",
                 replaced->left_count, replaced->left_in);
}

enum diag_status diag_c_reference_attach(struct diag_c_listener *listener, char *excluded,
                                         size_t excluded_size, struct diag_error *err) {
    struct stand_in *stand_in = calloc(1, sizeof *stand_in);
    struct diag_c_replaced replaced = {.reference_count = 0};
    enum diag_status status = DIAG_OK;

    if (stand_in != NULL)
        stand_in->proxy = diag_c_proxy_new(listener);
    if (stand_in == NULL || stand_in->proxy == NULL)
        status = diag_error_set(err, DIAG_ERR_NO_MEMORY, 0, "stand-in");
    if (status == DIAG_OK)
        status = diag_c_referrers_replace(listener->callable, stand_in->proxy, stand_in->proxy,
                                          &replaced, err);
    if (status == DIAG_OK && replaced.reference_count == 0)
        status = diag_error_set(err, DIAG_ERR_UNSUPPORTED, 0,
                                "no reference to the function can be replaced");
    if (status != DIAG_OK) {
        if (stand_in != NULL && stand_in->proxy != NULL) {
            diag_c_proxy_silence(stand_in->proxy);
            Py_DECREF(stand_in->proxy);
        }
        free(stand_in);
        return status;
    }
    stand_in->listener = diag_c_listener_ref(listener);
    stand_in->next = stand_ins;
    stand_ins = stand_in;
    describe(&replaced, excluded, excluded_size);
    return DIAG_OK;
}

struct diag_c_listener *diag_c_reference_find(PyObject *callable) {
    for (const struct stand_in *i = stand_ins; i != NULL; i = i->next)
        if (i->listener->callable == callable || i->proxy == callable)
            return i->listener;
    return NULL;
}

void diag_c_reference_detach(struct diag_c_listener *listener) {
    struct stand_in **at = &stand_ins, *gone;
    struct diag_c_replaced replaced;

    while ((*at)->listener != listener)
        at = &(*at)->next;
    gone = *at;
    *at = gone->next;
    listener->hook = NULL;
    diag_c_proxy_silence(gone->proxy);
    if (diag_c_referrers_replace(gone->proxy, listener->callable, NULL, &replaced, NULL) != DIAG_OK)
        PyErr_Clear(); /* out of memory: the stand-ins stay, and go on to the callable */
    Py_DECREF(gone->proxy);
    diag_c_listener_unref(listener);
    free(gone);
}
