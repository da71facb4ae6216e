/* SPDX-License-Identifier: MIT */
#include "inproc/engine/inject.h"

#if PY_VERSION_HEX < 0x030C0000

#include <internal/pycore_code.h>

#include "inproc/engine/inject_rewrite.h"
#include "lib/base/cleanup.h"

#define STACK_PROBE 1   /* a probe, above whatever is there */
#define STACK_THROWN 2  /* offset of the instruction and probe, beside a handler's exception */
#define STACK_HANDLER 3 /* offset, exception, probe */

PyCodeObject *diag_injection_original(PyCodeObject *code) {
    struct diag_inject_link *link = diag_inject_link_of(code);

    return link == NULL ? code : link->original;
}

static enum diag_status no_memory(struct diag_error *err) {
    PyErr_Clear();
    return diag_error_set(err, DIAG_ERR_NO_MEMORY, 0, "injection of bytecode");
}

/* A new tuple: the original's, and the probes. NULL with an exception: out of memory. */
static PyObject *make_constants(struct diag_inject_link *link,
                                const struct diag_inject_constants *probes) {
    PyObject *old = link->original->co_consts;
    Py_ssize_t old_count = PyTuple_GET_SIZE(old);
    PyObject *constants = PyTuple_New(old_count + probes->count);

    if (constants == NULL)
        return NULL;
    for (Py_ssize_t i = 0; i < old_count; i++)
        PyTuple_SET_ITEM(constants, i, Py_NewRef(PyTuple_GET_ITEM(old, i)));
    for (int i = 0; i < probes->count; i++) {
        PyObject *probe =
            diag_inject_probe_new(link, probes->items[i].event, probes->items[i].line);

        if (probe == NULL) {
            Py_DECREF(constants);
            return NULL;
        }
        PyTuple_SET_ITEM(constants, old_count + i, probe);
    }
    return constants;
}

/* NULL with an exception: out of memory. */
static PyCodeObject *make_code(struct diag_inject_link *link,
                               const struct diag_inject_output *output, PyObject *constants) {
    PyCodeObject *original = link->original;
    /* the same for all versions: see keep_room in backend_injection.c */
    int extra = diag_py_is_generator(original) ? STACK_THROWN : STACK_PROBE;
    struct _PyCodeConstructor constructor = {
        .filename = original->co_filename,
        .name = original->co_name,
        .qualname = original->co_qualname,
        .flags = original->co_flags,
        .code = output->code,
        .firstlineno = original->co_firstlineno,
        .linetable = output->location_table,
        .consts = constants,
        .names = original->co_names,
        .localsplusnames = original->co_localsplusnames,
        .localspluskinds = original->co_localspluskinds,
        .argcount = original->co_argcount,
        .posonlyargcount = original->co_posonlyargcount,
        .kwonlyargcount = original->co_kwonlyargcount,
        .stacksize = Py_MAX(original->co_stacksize + extra, STACK_HANDLER),
        .exceptiontable = output->exception_table,
    };

    return _PyCode_Validate(&constructor) < 0 ? NULL : _PyCode_New(&constructor);
}

static void bodies_done(struct diag_inject_body (*bodies)[2]) {
    diag_inject_body_done(&(*bodies)[0]);
    diag_inject_body_done(&(*bodies)[1]);
}

enum diag_status diag_inject(struct diag_inject_link *link, PyCodeObject **out,
                             struct diag_error *err) {
    DIAG_CLEANUP(bodies_done) struct diag_inject_body bodies[2] = {{0}, {0}};
    DIAG_CLEANUP(diag_inject_constants_done) struct diag_inject_constants probes = {0};
    PyCodeObject *original = link->original, *code = NULL;
    struct diag_inject_output output;
    enum diag_status status;
    PyObject *constants;

    status = diag_inject_decode(original, &bodies[0], err);
    if (status == DIAG_OK)
        status = diag_inject_rewrite(&bodies[0], link->observer,
                                     (int)PyTuple_GET_SIZE(original->co_consts), &bodies[1],
                                     &probes, err);
    if (status == DIAG_OK)
        status = diag_inject_assemble(&bodies[1], original->co_firstlineno, &output, err);
    if (status != DIAG_OK)
        return status;
    constants = make_constants(link, &probes);
    if (constants != NULL)
        code = make_code(link, &output, constants);
    Py_XDECREF(constants);
    Py_DECREF(output.code);
    Py_DECREF(output.location_table);
    Py_DECREF(output.exception_table);
    if (code == NULL)
        return no_memory(err);
    link->version++;
    *out = code;
    return DIAG_OK;
}

#endif
