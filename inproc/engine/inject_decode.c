/* SPDX-License-Identifier: MIT */
#include "inproc/engine/inject_body.h"

#if PY_VERSION_HEX < 0x030C0000

#include <stdlib.h>

#include "inproc/engine/inject_tables.h"
#include "lib/base/cleanup.h"

struct decoding {
    PyCodeObject *code;
    struct diag_inject_body *body;
    struct diag_inject_location *locations; /* of each unit */
    int *indices; /* of the instruction that begins at each unit, and of the end; else NONE */
    int unit_count;
    struct diag_error *err;
};

static void decoding_done(struct decoding *decoding) {
    free(decoding->locations);
    free(decoding->indices);
}

static enum diag_status odd(const struct decoding *decoding, const char *what) {
    return diag_error_set(decoding->err, DIAG_ERR_UNSUPPORTED, 0,
                          "the bytecode is not what the compiler makes: %s", what);
}

static enum diag_status no_memory(struct diag_error *err) {
    return diag_error_set(err, DIAG_ERR_NO_MEMORY, 0, "decoding of bytecode");
}

/* The code as it was compiled, without what the interpreter has specialised; a new reference. */
static PyObject *written_code(PyCodeObject *code) {
    bool was_cached = code->_co_code != NULL;
    PyObject *bytes = PyCode_GetCode(code);

    if (!was_cached)
        Py_CLEAR(code->_co_code); /* leave it as it was */
    if (bytes == NULL)
        PyErr_Clear();
    return bytes;
}

static enum diag_status read_instructions(struct decoding *decoding, const uint8_t *bytes) {
    struct diag_inject_instruction instruction = {
        .target = DIAG_INJECT_NONE, .handler = DIAG_INJECT_NONE, .origin = DIAG_INJECT_NONE};

    for (int unit = 0, begin = 0; unit < decoding->unit_count; begin = unit) {
        uint32_t argument = 0;
        int index;

        while (bytes[unit * 2] == EXTENDED_ARG) {
            argument = (argument | bytes[unit * 2 + 1]) << 8;
            if (++unit == decoding->unit_count)
                return odd(decoding, "EXTENDED_ARG at the end");
        }
        instruction.opcode = bytes[unit * 2];
        instruction.argument = argument | bytes[unit * 2 + 1];
        instruction.location = decoding->locations[begin];
        instruction.cache_count = 0;
        for (unit++; unit < decoding->unit_count && bytes[unit * 2] == CACHE; unit++)
            instruction.cache_count++;
        index = diag_inject_body_append(decoding->body, instruction);
        if (index == DIAG_INJECT_NONE)
            return no_memory(decoding->err);
        decoding->indices[begin] = index;
        if (diag_inject_is_jump(instruction.opcode)) {
            long long offset = diag_inject_is_backward_jump(instruction.opcode)
                                   ? (long long)unit - instruction.argument
                                   : (long long)unit + instruction.argument;

            if (offset < 0 || offset >= decoding->unit_count)
                return odd(decoding, "a jump out of it");
            decoding->body->instructions[index].target = (int)offset;
        }
    }
    decoding->indices[decoding->unit_count] = decoding->body->count;
    return DIAG_OK;
}

/* Jumps name instructions instead of units. */
static enum diag_status resolve_jumps(struct decoding *decoding) {
    for (int i = 0; i < decoding->body->count; i++) {
        struct diag_inject_instruction *instruction = &decoding->body->instructions[i];

        if (instruction->target == DIAG_INJECT_NONE)
            continue;
        instruction->target = decoding->indices[instruction->target];
        if (instruction->target == DIAG_INJECT_NONE)
            return odd(decoding, "a jump into an instruction");
    }
    return DIAG_OK;
}

static enum diag_status read_handlers(struct decoding *decoding) {
    PyObject *table = decoding->code->co_exceptiontable;
    const uint8_t *at = (const uint8_t *)PyBytes_AS_STRING(table);
    const uint8_t *end = at + PyBytes_GET_SIZE(table);
    const int *indices = decoding->indices;

    while (at < end) {
        struct diag_inject_range range;
        int handler;

        if (!diag_inject_read_range(&at, end, &range) || range.end > decoding->unit_count ||
            range.handler.target >= decoding->unit_count ||
            indices[range.start] == DIAG_INJECT_NONE || indices[range.end] == DIAG_INJECT_NONE ||
            indices[range.handler.target] == DIAG_INJECT_NONE)
            return odd(decoding, "its exception table");
        range.handler.target = indices[range.handler.target];
        handler = diag_inject_body_add_handler(decoding->body, range.handler);
        if (handler == DIAG_INJECT_NONE)
            return no_memory(decoding->err);
        for (int i = indices[range.start]; i < indices[range.end]; i++)
            decoding->body->instructions[i].handler = handler;
    }
    return DIAG_OK;
}

static enum diag_status decode(struct decoding *decoding, PyObject *bytes) {
    PyCodeObject *code = decoding->code;
    PyObject *table = code->co_linetable;
    size_t unit_count = (size_t)PyBytes_GET_SIZE(bytes) / 2;
    enum diag_status status;

    decoding->unit_count = (int)unit_count;
    decoding->locations = calloc(unit_count + 1, sizeof *decoding->locations);
    decoding->indices = calloc(unit_count + 1, sizeof *decoding->indices);
    if (decoding->locations == NULL || decoding->indices == NULL)
        return no_memory(decoding->err);
    for (size_t i = 0; i <= unit_count; i++)
        decoding->indices[i] = DIAG_INJECT_NONE;
    if (!diag_inject_read_locations((const uint8_t *)PyBytes_AS_STRING(table),
                                    (size_t)PyBytes_GET_SIZE(table), code->co_firstlineno,
                                    decoding->locations, decoding->unit_count))
        return odd(decoding, "its location table");
    status = read_instructions(decoding, (const uint8_t *)PyBytes_AS_STRING(bytes));
    if (status == DIAG_OK)
        status = resolve_jumps(decoding);
    if (status == DIAG_OK)
        status = read_handlers(decoding);
    return status;
}

enum diag_status diag_inject_decode(PyCodeObject *code, struct diag_inject_body *body,
                                    struct diag_error *err) {
    DIAG_CLEANUP(decoding_done)
    struct decoding decoding = {.code = code, .body = body, .err = err};
    PyObject *bytes = written_code(code);
    enum diag_status status;

    if (bytes == NULL)
        return no_memory(err);
    status = decode(&decoding, bytes);
    Py_DECREF(bytes);
    return status;
}

#endif
