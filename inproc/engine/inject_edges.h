/* SPDX-License-Identifier: MIT */
/* inject_edges - which ways from one instruction to another begin a line, as sys.settrace counts.
 *
 * Threading: none needed. */
#ifndef DIAG_INPROC_ENGINE_INJECT_EDGES_H
#define DIAG_INPROC_ENGINE_INJECT_EDGES_H

#include "inproc/engine/inject_body.h"

#if PY_VERSION_HEX < 0x030C0000

/* How an instruction is come to. */
enum {
    DIAG_INJECT_FALL_QUIET = 1,  /* from the one before it, in the same line */
    DIAG_INJECT_FALL_BEGINS = 2, /* from the one before it, and its line begins */
    DIAG_INJECT_JUMP_BEGINS = 4, /* by a jump or an exception, and its line begins */
};

/* True if the line of instruction `to` begins when it comes after `from`: the line is another one,
 * or the way leads back. `entry`: the RESUME that begins the body. */
bool diag_inject_begins_line(const struct diag_inject_body *body, int entry, int from, int to);

/* Fills `edges`, one for each instruction. */
void diag_inject_find_edges(const struct diag_inject_body *body, int entry, uint8_t *edges);

#endif
#endif
