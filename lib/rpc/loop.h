/* SPDX-License-Identifier: MIT */
/* loop - the completion loop: one gRPC completion queue and the one thread that serves it.
 *
 * Threading: everything in lib/rpc belongs to the thread that runs the loop: callbacks are called
 *            there, and functions may be called only there (or before the loop runs). The two
 *            exceptions are diag_loop_post and diag_loop_stop: any thread.
 * Fork:      never fork with a live loop.
 * Signals:   block them before diag_loop_new; gRPC's threads inherit the mask.
 * Process:   the first diag_loop_new silences gRPC's log and chooses its resolver, unless the
 *            environment has GRPC_VERBOSITY or GRPC_DNS_RESOLVER; call it before other threads
 *            start.
 * Ownership: a loop must outlive its servers, clients and timers. */
#ifndef DIAG_LIB_RPC_LOOP_H
#define DIAG_LIB_RPC_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/error.h"

DIAG_DECLS_BEGIN

struct diag_loop;

typedef void diag_loop_fn(void *context);

DIAG_MUST_CHECK enum diag_status diag_loop_new(struct diag_loop **out, struct diag_error *err);

/* Only after diag_loop_run has returned (or was never called), and with no server, client, stream
 * or timer of this loop left. Posted functions that did not run are dropped. NULL is fine. */
void diag_loop_free(struct diag_loop *loop);

/* Serves until diag_loop_stop. May be called again afterwards. */
void diag_loop_run(struct diag_loop *loop);

/* Serves until `*is_done` or for `timeout_ms`; returns *is_done. For synchronous callers such as
 * diagnosectl, and to drain while shutting down. */
bool diag_loop_run_until(struct diag_loop *loop, const bool *is_done, uint64_t timeout_ms);

/* Any thread. The loop returns from diag_loop_run after the current callback. */
void diag_loop_stop(struct diag_loop *loop);

/* Any thread. Runs `fn(context)` on the loop's thread, in the order of posting. Wakes the loop.
 * DIAG_ERR_NO_MEMORY: not posted. */
DIAG_MUST_CHECK enum diag_status diag_loop_post(struct diag_loop *loop, diag_loop_fn *fn,
                                                void *context);

/* A one-shot timer in its owner's storage. All zero: not running. */
struct diag_loop_timer {
    struct diag_loop_timer *child, *next, *previous; /* see timer_heap.h */
    uint64_t deadline_ns;                            /* CLOCK_MONOTONIC */
    diag_loop_fn *fn;
    void *context;
    bool is_running;
};

/* (Re)starts the timer: `fn(context)` in `delay_ms`. It may restart itself from `fn`. */
void diag_loop_timer_start(struct diag_loop *loop, struct diag_loop_timer *timer, uint64_t delay_ms,
                           diag_loop_fn *fn, void *context);

/* Nothing if it is not running. */
void diag_loop_timer_stop(struct diag_loop *loop, struct diag_loop_timer *timer);

DIAG_DECLS_END

#endif
