/* SPDX-License-Identifier: MIT */
/* action_list - the actions of one probe, and firing them.
 *
 * Never altered: a new list takes its place, calls in flight keep theirs.
 *
 * Threading: the GIL. Ownership: counted; a list holds a reference to each of its actions. */
#ifndef DIAG_INPROC_ENGINE_ACTION_LIST_H
#define DIAG_INPROC_ENGINE_ACTION_LIST_H

#include "inproc/engine/action.h"

struct diag_action_list {
    size_t references;
    size_t count;
    unsigned points;         /* 1 << enum diag_point */
    unsigned needs;          /* DIAG_EXPRESSION_NEEDS_* of all */
    bool needs_start;        /* somebody must know at the end how it began */
    unsigned clocked_points; /* those whose hits tell when they were */
    unsigned guarded_points; /* those with an action that may run Python code */
    uint64_t arguments;      /* that must be known as they were at the start */
    struct diag_action *actions[];
};

static inline bool diag_action_list_has(const struct diag_action_list *list,
                                        enum diag_point point) {
    return list->points & 1u << point;
}

/* A new list: that of `old` (may be NULL) and one more, or without one. NULL: out of memory, or
 * nothing is left. The caller owns one reference. */
struct diag_action_list *diag_action_list_with(const struct diag_action_list *old,
                                               struct diag_action *action);
struct diag_action_list *diag_action_list_without(const struct diag_action_list *old,
                                                  const struct diag_action *action);
bool diag_action_list_contains(const struct diag_action_list *list,
                               const struct diag_action *action);
void diag_action_list_free(struct diag_action_list *list);

/* NULL is fine. */
static inline void diag_action_list_unref(struct diag_action_list *list) {
    if (list != NULL && --list->references == 0)
        diag_action_list_free(list);
}

/* Fires the actions of `point`; of LINE, those of `line`; of RETURN and END without `has_start`,
 * only those that need not know when the call began. No exception is set before or after; the
 * caller has a reference to the list. */
void diag_action_list_fire(struct diag_action_list *list, enum diag_point point, int line,
                           bool has_start, const struct diag_call *call, uint64_t now_unix_ns);

/* The same for END and then RETURN where an exception is the call's result: `exception` is not set,
 * and reaches its handlers as it was: with the same traceback, context and cause. */
void diag_action_list_fire_raised(struct diag_action_list *list, bool has_start,
                                  struct diag_call *call, PyObject *exception,
                                  uint64_t now_unix_ns);

#endif
