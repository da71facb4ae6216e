/* SPDX-License-Identifier: MIT */
#include "inproc/engine/engine.h"
#include "inproc/library/binding.h"
#include "inproc/library/binding_terms.h"
#include "lib/base/clock.h"

/* What there is to say if the engine has nothing of it. */
static const char *own_state(const struct diag_binding *binding) {
    enum diag_spec_state state = DIAG_SPEC_STATE_PENDING;

    if (!binding->is_wanted)
        return "STOPPED";
    if (binding->message[0] != '\0')
        state = DIAG_SPEC_STATE_FAILED;
    else if (diag_instrument_is_expired(binding->instrument, diag_clock_unix_ns()))
        state = DIAG_SPEC_STATE_EXPIRED;
    return diag_spec_state_name(state);
}

static int put_count(PyObject *skips, const char *cause, uint64_t count) {
    PyObject *number = PyLong_FromUnsignedLongLong(count);
    int result = number == NULL ? -1 : PyDict_SetItemString(skips, cause, number);

    Py_XDECREF(number);
    return result;
}

/* A new reference. */
static PyObject *skips_of(const struct diag_binding *binding,
                          const struct diag_spec_status *status) {
    PyObject *skips = PyDict_New();

    for (int i = 0; skips != NULL && i < DIAG_SKIP_COUNT; i++)
        if (put_count(skips, diag_skip_name((enum diag_skip)i),
                      binding->skips[i] + status->skips[i]) < 0)
            Py_CLEAR(skips);
    if (skips != NULL && put_count(skips, "declined", binding->declined) < 0)
        Py_CLEAR(skips);
    return skips;
}

PyObject *diag_binding_status(struct diag_binding *binding) {
    struct diag_engine *engine = binding->library->engine;
    struct diag_spec_status status = {0};
    char id[DIAG_BINDING_ID_MAX];
    bool is_engines;

    diag_binding_id(binding, id);
    is_engines = binding->is_put && binding->is_on && engine != NULL &&
                 diag_engine_status(engine, id, &status);
    return Py_BuildValue("{s:s,s:s,s:s,s:K,s:K,s:N}", "state",
                         is_engines ? diag_spec_state_name(status.state) : own_state(binding),
                         "message", is_engines ? status.message : binding->message, "mechanism",
                         status.mechanism, "hits", (unsigned long long)binding->hits, "errors",
                         (unsigned long long)binding->errors, "skips", skips_of(binding, &status));
}
