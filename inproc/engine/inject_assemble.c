/* SPDX-License-Identifier: MIT */
/* How it works: the size of a jump depends on how far it goes, which depends on the sizes of what
 * lies between. So all begin at their smallest, and those that turn out too small grow until
 * nothing does; none ever shrinks, so that comes to an end. */
#include "inproc/engine/inject_body.h"

#if PY_VERSION_HEX < 0x030C0000

#include <stdlib.h>

#include "inproc/engine/inject_tables.h"
#include "lib/base/cleanup.h"

struct assembly {
    struct diag_inject_body *body;
    int *offsets; /* of each instruction in units, its EXTENDED_ARGs included; and of the end */
    uint8_t *prefixes; /* how many EXTENDED_ARGs it has */
    struct diag_inject_bytes code;
    struct diag_inject_bytes locations;
    struct diag_inject_bytes ranges;
};

static void assembly_done(struct assembly *assembly) {
    free(assembly->offsets);
    free(assembly->prefixes);
    diag_inject_bytes_done(&assembly->code);
    diag_inject_bytes_done(&assembly->locations);
    diag_inject_bytes_done(&assembly->ranges);
}

static uint8_t prefixes_of(uint32_t argument) {
    return (uint8_t)((argument > 0xFF) + (argument > 0xFFFF) + (argument > 0xFFFFFF));
}

static void place(struct assembly *assembly) {
    int offset = 0;

    for (int i = 0; i < assembly->body->count; i++) {
        assembly->offsets[i] = offset;
        offset += assembly->prefixes[i] + 1 + assembly->body->instructions[i].cache_count;
    }
    assembly->offsets[assembly->body->count] = offset;
}

/* False: a jump has grown, and the offsets are no longer right. */
static bool measure_jumps(struct assembly *assembly) {
    bool is_stable = true;

    for (int i = 0; i < assembly->body->count; i++) {
        struct diag_inject_instruction *instruction = &assembly->body->instructions[i];
        int distance;

        if (instruction->target == DIAG_INJECT_NONE)
            continue;
        distance = assembly->offsets[instruction->target] - assembly->offsets[i + 1];
        instruction->argument = (uint32_t)(distance < 0 ? -distance : distance);
        if (prefixes_of(instruction->argument) > assembly->prefixes[i]) {
            assembly->prefixes[i] = prefixes_of(instruction->argument);
            is_stable = false;
        }
    }
    return is_stable;
}

static void write_instructions(struct assembly *assembly, int first_line) {
    int line = first_line;

    for (int i = 0; i < assembly->body->count; i++) {
        const struct diag_inject_instruction *instruction = &assembly->body->instructions[i];

        for (int prefix = assembly->prefixes[i]; prefix > 0; prefix--) {
            diag_inject_bytes_put(&assembly->code, EXTENDED_ARG);
            diag_inject_bytes_put(&assembly->code, instruction->argument >> prefix * 8 & 0xFF);
        }
        diag_inject_bytes_put(&assembly->code, instruction->opcode);
        diag_inject_bytes_put(&assembly->code, instruction->argument & 0xFF);
        for (int cache = 0; cache < instruction->cache_count; cache++) {
            diag_inject_bytes_put(&assembly->code, CACHE);
            diag_inject_bytes_put(&assembly->code, 0);
        }
        diag_inject_write_location(&assembly->locations, &instruction->location,
                                   assembly->offsets[i + 1] - assembly->offsets[i], &line);
    }
}

static bool is_same_handler(const struct diag_inject_body *body, int a, int b) {
    const struct diag_inject_handler *first, *second;

    if (a == b)
        return true;
    if (a == DIAG_INJECT_NONE || b == DIAG_INJECT_NONE)
        return false;
    first = &body->handlers[a];
    second = &body->handlers[b];
    return first->target == second->target && first->depth == second->depth &&
           first->has_lasti == second->has_lasti;
}

static void write_ranges(struct assembly *assembly) {
    const struct diag_inject_body *body = assembly->body;

    for (int i = 0, end; i < body->count; i = end) {
        int handler = body->instructions[i].handler;
        struct diag_inject_range range;

        for (end = i + 1; end < body->count; end++)
            if (!is_same_handler(body, handler, body->instructions[end].handler))
                break;
        if (handler == DIAG_INJECT_NONE)
            continue;
        range.start = assembly->offsets[i];
        range.end = assembly->offsets[end];
        range.handler = body->handlers[handler];
        range.handler.target = assembly->offsets[range.handler.target];
        diag_inject_write_range(&assembly->ranges, &range);
    }
}

/* NULL: out of memory. */
static PyObject *bytes_object(const struct diag_inject_bytes *bytes) {
    PyObject *object = NULL;

    if (!bytes->is_out_of_memory)
        object = PyBytes_FromStringAndSize((const char *)bytes->data, (Py_ssize_t)bytes->size);
    if (object == NULL)
        PyErr_Clear();
    return object;
}

static enum diag_status finish(const struct assembly *assembly, struct diag_inject_output *out,
                               struct diag_error *err) {
    PyObject *code = bytes_object(&assembly->code);
    PyObject *locations = bytes_object(&assembly->locations);
    PyObject *ranges = bytes_object(&assembly->ranges);

    if (code == NULL || locations == NULL || ranges == NULL) {
        Py_XDECREF(code);
        Py_XDECREF(locations);
        Py_XDECREF(ranges);
        return diag_error_set(err, DIAG_ERR_NO_MEMORY, 0, "assembly of bytecode");
    }
    *out = (struct diag_inject_output){code, locations, ranges};
    return DIAG_OK;
}

enum diag_status diag_inject_assemble(struct diag_inject_body *body, int first_line,
                                      struct diag_inject_output *out, struct diag_error *err) {
    DIAG_CLEANUP(assembly_done)
    struct assembly assembly = {.body = body};
    size_t count = (size_t)body->count;

    assembly.offsets = calloc(count + 1, sizeof *assembly.offsets);
    assembly.prefixes = calloc(count + 1, sizeof *assembly.prefixes);
    if (assembly.offsets == NULL || assembly.prefixes == NULL)
        return diag_error_set(err, DIAG_ERR_NO_MEMORY, 0, "assembly of bytecode");
    for (int i = 0; i < body->count; i++)
        if (body->instructions[i].target == DIAG_INJECT_NONE)
            assembly.prefixes[i] = prefixes_of(body->instructions[i].argument);
    do {
        place(&assembly);
    } while (!measure_jumps(&assembly));
    write_instructions(&assembly, first_line);
    write_ranges(&assembly);
    return finish(&assembly, out, err);
}

#endif
