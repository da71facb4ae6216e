/* SPDX-License-Identifier: MIT */
#include "inproc/engine/inject_body.h"

#if PY_VERSION_HEX < 0x030C0000

#include <stdlib.h>
#include <string.h>

void diag_inject_body_done(struct diag_inject_body *body) {
    free(body->instructions);
    free(body->handlers);
    memset(body, 0, sizeof *body);
}

/* Room for one more of `size` bytes; false: out of memory. */
static bool grow(void **items, int count, int *capacity, size_t size) {
    int wanted = *capacity == 0 ? 64 : *capacity * 2;
    void *larger;

    if (count < *capacity)
        return true;
    larger = realloc(*items, (size_t)wanted * size);
    if (larger == NULL)
        return false;
    *items = larger;
    *capacity = wanted;
    return true;
}

int diag_inject_body_append(struct diag_inject_body *body,
                            struct diag_inject_instruction instruction) {
    void *items = body->instructions;

    if (!grow(&items, body->count, &body->capacity, sizeof instruction))
        return DIAG_INJECT_NONE;
    body->instructions = items;
    body->instructions[body->count] = instruction;
    return body->count++;
}

int diag_inject_body_add_handler(struct diag_inject_body *body,
                                 struct diag_inject_handler handler) {
    void *items = body->handlers;

    if (!grow(&items, body->handler_count, &body->handler_capacity, sizeof handler))
        return DIAG_INJECT_NONE;
    body->handlers = items;
    body->handlers[body->handler_count] = handler;
    return body->handler_count++;
}

bool diag_inject_is_backward_jump(int opcode) {
    switch (opcode) {
    case JUMP_BACKWARD:
    case JUMP_BACKWARD_NO_INTERRUPT:
    case POP_JUMP_BACKWARD_IF_FALSE:
    case POP_JUMP_BACKWARD_IF_TRUE:
    case POP_JUMP_BACKWARD_IF_NONE:
    case POP_JUMP_BACKWARD_IF_NOT_NONE:
        return true;
    default:
        return false;
    }
}

bool diag_inject_is_jump(int opcode) {
    switch (opcode) {
    case JUMP_FORWARD:
    case JUMP_IF_FALSE_OR_POP:
    case JUMP_IF_TRUE_OR_POP:
    case POP_JUMP_FORWARD_IF_FALSE:
    case POP_JUMP_FORWARD_IF_TRUE:
    case POP_JUMP_FORWARD_IF_NONE:
    case POP_JUMP_FORWARD_IF_NOT_NONE:
    case FOR_ITER:
    case SEND:
        return true;
    default:
        return diag_inject_is_backward_jump(opcode);
    }
}

bool diag_inject_falls_through(int opcode) {
    switch (opcode) {
    case JUMP_FORWARD:
    case JUMP_BACKWARD:
    case JUMP_BACKWARD_NO_INTERRUPT:
    case RETURN_VALUE:
    case RERAISE:
    case RAISE_VARARGS:
        return false;
    default:
        return true;
    }
}

#endif
