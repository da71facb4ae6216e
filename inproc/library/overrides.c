/* SPDX-License-Identifier: MIT */
/* How it works: a method is ours if looking it up in the class gives the descriptor of a function
 * that is listed here. That is done once, and again when the class has another version (Python
 * gives it one whenever an attribute of it or of a base is assigned), or the dict of the instance
 * has. */
#include "inproc/library/overrides.h"

#include "inproc/library/firing.h"
#include "inproc/library/instrument.h"
#include "inproc/library/instrument_methods.h"
#include "inproc/library/log_instrument.h"
#include "inproc/library/probe_test_instrument.h"
#include "inproc/library/statsd_instruments.h"

/* Methods of built-in instruments as Python calls them, and what stands for them at a hit. */
static const struct {
    PyCFunctionWithKeywords method;
    diag_fire_fn *fire;
} fires[] = {
    {diag_instrument_fire_method, diag_instrument_fire},
    {diag_firing_output_method, diag_firing_output},
    {diag_probe_test_fire_method, diag_probe_test_fire},
};

static const struct {
    PyCFunctionWithKeywords method;
    diag_emit_fn *emit;
} emits[] = {
    {diag_log_emit_method, diag_log_emit},
    {diag_histogram_emit_method, diag_histogram_emit},
    {diag_increment_emit_method, diag_increment_emit},
};

/* The function in C that the class has under this name; NULL: something else. */
static PyCFunctionWithKeywords function_of(struct diag_instrument_object *instrument,
                                           enum diag_name method) {
    PyObject *name = instrument->library->names[method];
    PyObject *found = _PyType_Lookup(Py_TYPE(instrument), name);

    if (found == NULL || !Py_IS_TYPE(found, &PyMethodDescr_Type) ||
        !PyType_IsSubtype(Py_TYPE(instrument), PyDescr_TYPE(found)) ||
        diag_py_instance_item((PyObject *)instrument, name) != NULL)
        return NULL;
    return (PyCFunctionWithKeywords)(void (*)(void))((PyMethodDescrObject *)found)
        ->d_method->ml_meth;
}

static diag_fire_fn *find_fire(struct diag_instrument_object *instrument) {
    PyCFunctionWithKeywords method = function_of(instrument, DIAG_NAME_FIRE);

    for (size_t i = 0; i < DIAG_ARRAY_SIZE(fires); i++)
        if (fires[i].method == method)
            return fires[i].fire;
    return NULL;
}

static diag_emit_fn *find_emit(struct diag_instrument_object *instrument) {
    PyCFunctionWithKeywords method = function_of(instrument, DIAG_NAME_EMIT);

    for (size_t i = 0; i < DIAG_ARRAY_SIZE(emits); i++)
        if (emits[i].method == method)
            return emits[i].emit;
    return NULL;
}

static uint64_t dict_version(const struct diag_instrument_object *instrument) {
    return instrument->dict == NULL ? 0 : diag_py_dict_version(instrument->dict);
}

static void find_out(struct diag_instrument_object *instrument) {
    struct diag_overrides *found = &instrument->overrides;

    found->fire = find_fire(instrument);
    found->emit = find_emit(instrument);
    found->has_evaluate = function_of(instrument, DIAG_NAME_EVALUATE) == NULL;
    found->has_merge_tags = function_of(instrument, DIAG_NAME_MERGE_TAGS) == NULL;
    found->has_check_call = function_of(instrument, DIAG_NAME_CHECK_CALL) == NULL;
    found->has_handle_error = function_of(instrument, DIAG_NAME_HANDLE_ERROR) == NULL;
    found->has_finish = function_of(instrument, DIAG_NAME_FINISH) == NULL;
    found->type_version = diag_py_type_version(Py_TYPE(instrument)); /* looking up assigns one */
    found->dict_version = dict_version(instrument);
}

const struct diag_overrides *diag_overrides_of(struct diag_instrument_object *instrument) {
    const struct diag_overrides *known = &instrument->overrides;

    if (DIAG_UNLIKELY(known->type_version == 0 ||
                      known->type_version != diag_py_type_version(Py_TYPE(instrument)) ||
                      known->dict_version != dict_version(instrument)))
        find_out(instrument);
    return known;
}
