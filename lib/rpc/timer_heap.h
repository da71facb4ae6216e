/* SPDX-License-Identifier: MIT */
/* timer_heap - the running timers of a loop, earliest first: a pairing heap through the timers
 * themselves, so that starting a timer neither allocates nor walks the others.
 *
 * `child` is a timer's first child, `next` its right sibling, `previous` its left sibling or, for a
 * first child, its parent.
 *
 * Threading: the loop's thread. Internal to lib/rpc. */
#ifndef DIAG_LIB_RPC_TIMER_HEAP_H
#define DIAG_LIB_RPC_TIMER_HEAP_H

#include "lib/rpc/loop.h"

DIAG_DECLS_BEGIN

/* All zero is an empty heap. */
struct diag_timer_heap {
    struct diag_loop_timer *earliest; /* NULL: empty */
};

/* The timer is in no heap. */
void diag_timer_heap_add(struct diag_timer_heap *heap, struct diag_loop_timer *timer);

/* The timer is in this heap. */
void diag_timer_heap_remove(struct diag_timer_heap *heap, struct diag_loop_timer *timer);

DIAG_DECLS_END

#endif
