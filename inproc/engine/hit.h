/* SPDX-License-Identifier: MIT */
/* hit - what a handler is given of a hit, and the handlers that specs and actions hold.
 *
 * Threading: the GIL; a hit belongs to the thread that it is on. */
#ifndef DIAG_INPROC_ENGINE_HIT_H
#define DIAG_INPROC_ENGINE_HIT_H

#include "inproc/engine/action.h"

/* What becomes of a hit, for the counts. */
enum diag_hit_outcome {
    DIAG_HIT_FIRED,
    DIAG_HIT_UNBOUND, /* a name had no value */
    DIAG_HIT_DROPPED, /* a signal handler of the program struck */
    DIAG_HIT_FAILED,
};

/* On the stack of whoever fires. */
struct diag_hit {
    struct diag_action *action;
    const struct diag_call *call;
    enum diag_hit_outcome *outcome;
};

/* Adds the outcome to the counts of the action. */
void diag_hit_count(struct diag_action *action, enum diag_hit_outcome outcome);

/* Has the handler of the action take the hit. */
void diag_hit_fire(struct diag_action *action, const struct diag_call *call);

/* All zero is no handler. */
static inline bool diag_handler_is_none(const struct diag_handler *handler) {
    return handler->fire == NULL && handler->intercept == NULL;
}

bool diag_handler_is_same(const struct diag_handler *a, const struct diag_handler *b);

/* Copies `from` (NULL: none), with references to its objects; and gives those back. */
void diag_handler_hold(struct diag_handler *to, const struct diag_handler *from);
void diag_handler_drop(struct diag_handler *handler);

#endif
