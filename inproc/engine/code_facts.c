/* SPDX-License-Identifier: MIT */
#include "inproc/engine/code_facts.h"

#include "lib/base/compiler.h"

#define LAST_BIT 63

static uint64_t bit_of(PyCodeObject *code, int variable) {
    if (variable < 0 || variable >= diag_py_argument_count(code))
        return 0;
    return UINT64_C(1) << (variable < LAST_BIT ? variable : LAST_BIT);
}

static uint64_t shared_arguments(PyCodeObject *code) {
    uint64_t mask = 0;

    for (int i = 0; i < diag_py_argument_count(code); i++)
        if (diag_py_is_cell(code, i))
            mask |= bit_of(code, i);
    if (code->co_flags & CO_VARKEYWORDS)
        mask |= bit_of(code, diag_py_argument_count(code) - 1);
    return mask;
}

uint64_t diag_code_rebound_arguments(PyCodeObject *code) {
    PyObject *instructions = PyCode_GetCode(code);
    uint64_t mask = shared_arguments(code);
    const unsigned char *bytes;
    int argument = 0;

    if (instructions == NULL) {
        PyErr_Clear();
        return UINT64_MAX;
    }
    bytes = (const unsigned char *)PyBytes_AS_STRING(instructions);
    for (Py_ssize_t i = 0; i + 1 < PyBytes_GET_SIZE(instructions); i += 2) {
        int variables[2];

        argument = argument << 8 | bytes[i + 1];
        if (bytes[i] == EXTENDED_ARG)
            continue;
        diag_py_bound_variables(bytes[i], argument, variables);
        mask |= bit_of(code, variables[0]) | bit_of(code, variables[1]);
        argument = 0;
    }
    Py_DECREF(instructions);
    return mask;
}
