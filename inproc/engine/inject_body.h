/* SPDX-License-Identifier: MIT */
/* inject_body - the instructions of a code object of CPython 3.11, in a form that can be edited:
 * jumps and handlers name instructions by index, EXTENDED_ARG and the tables are gone.
 *
 * Threading: the GIL. */
#ifndef DIAG_INPROC_ENGINE_INJECT_BODY_H
#define DIAG_INPROC_ENGINE_INJECT_BODY_H

#include "inproc/engine/pycompat.h"
#include "lib/base/error.h"

#if PY_VERSION_HEX < 0x030C0000

#define DIAG_INJECT_NONE (-1)

struct diag_inject_location {
    int line; /* DIAG_INJECT_NONE: no location at all */
    int end_line;
    int column; /* DIAG_INJECT_NONE: not known */
    int end_column;
};

struct diag_inject_instruction {
    uint8_t opcode;
    uint8_t cache_count;
    uint32_t argument; /* of a jump: filled in by diag_inject_assemble */
    int target;        /* index of the instruction that it jumps to, or DIAG_INJECT_NONE */
    int handler;       /* index of the handler of its exceptions, or DIAG_INJECT_NONE */
    struct diag_inject_location location;

    /* diag_inject_rewrite's: the old instruction that this one is or belongs to, or NONE; and
     * whether `target` is a new one already. */
    int origin;
    bool is_target_new;
};

/* Where an exception goes: the stack is cut to `depth`, then gets the offset of the instruction
 * that raised (`has_lasti`) and the exception. */
struct diag_inject_handler {
    int target;
    int depth;
    bool has_lasti;
};

struct diag_inject_body {
    struct diag_inject_instruction *instructions;
    int count;
    int capacity;
    struct diag_inject_handler *handlers;
    int handler_count;
    int handler_capacity;
};

/* A zeroed body is an empty one; done can be called twice. */
void diag_inject_body_done(struct diag_inject_body *body);

/* Index of the new one; DIAG_INJECT_NONE: out of memory. */
int diag_inject_body_append(struct diag_inject_body *body,
                            struct diag_inject_instruction instruction);
int diag_inject_body_add_handler(struct diag_inject_body *body, struct diag_inject_handler handler);

bool diag_inject_is_jump(int opcode);
bool diag_inject_is_backward_jump(int opcode);

/* True if the next instruction may follow. */
bool diag_inject_falls_through(int opcode);

/* Fills the empty *body with what `code` was compiled to. DIAG_ERR_UNSUPPORTED: it does not look
 * like anything that the compiler makes. DIAG_ERR_NO_MEMORY. */
DIAG_MUST_CHECK enum diag_status
diag_inject_decode(PyCodeObject *code, struct diag_inject_body *body, struct diag_error *err);

/* New references: bytes objects for a code object that begins at `first_line`. */
struct diag_inject_output {
    PyObject *code;
    PyObject *location_table;
    PyObject *exception_table;
};

/* Changes nothing of the body but the arguments of its jumps. DIAG_ERR_NO_MEMORY. */
DIAG_MUST_CHECK enum diag_status diag_inject_assemble(struct diag_inject_body *body, int first_line,
                                                      struct diag_inject_output *out,
                                                      struct diag_error *err);

#endif
#endif
