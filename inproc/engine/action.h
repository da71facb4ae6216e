/* SPDX-License-Identifier: MIT */
/* action - one spec's instrument at work on one function: evaluates, encodes, emits.
 *
 * Threading: the GIL. Evaluating may release it, so whoever fires an action holds a reference.
 * Ownership: counted. Immutable but for the counters and the state. */
#ifndef DIAG_INPROC_ENGINE_ACTION_H
#define DIAG_INPROC_ENGINE_ACTION_H

#include "inproc/engine/aggregator.h"
#include "inproc/engine/engine.h"
#include "inproc/engine/expression.h"
#include "inproc/engine/handler.h"
#include "lib/event/event_encoder.h"
#include "lib/spec/spec_status.h"

struct diag_action {
    size_t references;
    const struct diag_engine_sink *sink; /* valid while is_active */
    char *spec_id;
    enum diag_point point;
    int line;           /* LINE: which */
    PyObject *function; /* fires only in frames of this one; NULL: in all that share the code */
    PyObject *self;     /* fires only if this is the first argument; NULL: always */
    unsigned needs;     /* DIAG_EXPRESSION_NEEDS_* */
    uint64_t arguments; /* those that may be read: diag_expression_arguments */
    struct diag_expression *value;
    struct diag_expression *tags;       /* NULL: none */
    struct diag_aggregator *aggregator; /* NULL: a log instrument */
    PyObject *constant;                 /* the value if there is nothing to do but hand it over */
    bool is_fetch;                      /* the value is only to be fetched and handed over */
    bool is_elapsed;                    /* the value is `elapsed`, and there are no tags */
    bool is_clocked;                    /* a hit tells when it was */
    bool was_interrupted;               /* a signal handler of the program raised while it ran */
    bool is_active;                     /* false: fires no more */
    bool is_unreported;                 /* the state changed on the hit path */
    uint64_t expires_unix_ns;
    uint8_t prefix[DIAG_EVENT_PREFIX_MAX];
    size_t prefix_size;

    enum diag_spec_state state;
    char message[DIAG_SPEC_STATUS_MESSAGE_MAX + 1];
    uint64_t hits, errors, dropped;
    uint64_t skips[DIAG_SKIP_COUNT];

    /* Last, as hits of the fleet's specs have no use for them. */
    struct diag_runtime *runtime; /* owned */
    struct diag_handler handler;  /* all zero: none; its objects are owned */
};

/* What an action reports to, and takes its Python objects from. */
struct diag_action_context {
    const struct diag_engine_sink *sink;
    struct diag_runtime *runtime;
    const struct diag_handler *handler; /* all zero: none */
};

/* Compiles the instrument of `spec` for the calls of `scope`. `function`, `self`: see above. The
 * caller owns *out, which has one reference. */
DIAG_MUST_CHECK enum diag_status diag_action_new(const struct diag_action_context *context,
                                                 const struct diag_spec *spec, int line,
                                                 const struct diag_scope *scope, PyObject *function,
                                                 PyObject *self, struct diag_action **out,
                                                 struct diag_error *err);
struct diag_action *diag_action_ref(struct diag_action *action);
void diag_action_unref(struct diag_action *action); /* NULL is fine */
static inline DIAG_UNUSED void diag_action_unrefp(struct diag_action **action) {
    diag_action_unref(*action);
}

/* True if firing it runs no Python code, and cannot raise. */
static inline bool diag_action_is_plain(const struct diag_action *action) {
    return action->is_elapsed || action->is_fetch || action->constant != NULL;
}

/* Ends it with a state and a message (may be NULL), and tells the sink. */
void diag_action_stop(struct diag_action *action, enum diag_spec_state state, const char *message);

/* True if the expressions provably have no side effects. */
bool diag_action_is_pure(const struct diag_action *action);

/* True if it is to fire at this call. False: it is not the call's, and has counted that, or does
 * not fire any more. `now_unix_ns`: as below. */
bool diag_action_is_due(struct diag_action *action, const struct diag_call *call,
                        uint64_t now_unix_ns);

/* Evaluates and emits. No exception is set before or after. `now_unix_ns`: 0 if nobody asked for
 * it; whether the action has expired is then left to diag_engine_tick. */
void diag_action_fire(struct diag_action *action, const struct diag_call *call,
                      uint64_t now_unix_ns);

#endif
