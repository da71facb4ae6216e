/* SPDX-License-Identifier: MIT */
#include "inproc/engine/inject_edges.h"

#if PY_VERSION_HEX < 0x030C0000

#include <string.h>

bool diag_inject_begins_line(const struct diag_inject_body *body, int entry, int from, int to) {
    const struct diag_inject_instruction *instruction = &body->instructions[to];

    if (instruction->location.line == DIAG_INJECT_NONE)
        return false;
    if (from == entry || body->instructions[from].location.line != instruction->location.line)
        return true;
    return to < from && instruction->opcode != SEND; /* the loop of an await is no loop */
}

void diag_inject_find_edges(const struct diag_inject_body *body, int entry, uint8_t *edges) {
    memset(edges, 0, (size_t)body->count);
    for (int i = 0; i < body->count; i++) {
        const struct diag_inject_instruction *instruction = &body->instructions[i];

        if (diag_inject_falls_through(instruction->opcode) && i + 1 < body->count)
            edges[i + 1] |= diag_inject_begins_line(body, entry, i, i + 1) ? DIAG_INJECT_FALL_BEGINS
                                                                           : DIAG_INJECT_FALL_QUIET;
        if (instruction->target != DIAG_INJECT_NONE &&
            diag_inject_begins_line(body, entry, i, instruction->target))
            edges[instruction->target] |= DIAG_INJECT_JUMP_BEGINS;
        if (instruction->handler != DIAG_INJECT_NONE) {
            int target = body->handlers[instruction->handler].target;

            if (diag_inject_begins_line(body, entry, i, target))
                edges[target] |= DIAG_INJECT_JUMP_BEGINS;
        }
    }
}

#endif
