/* SPDX-License-Identifier: MIT */
/* signal_watch - SIGINT and SIGTERM as a call on the loop's thread.
 *
 * gRPC's threads inherit the signal mask, so: diag_stop_signals_block, then make the loop, then
 * diag_signal_watch_start.
 *
 * Threading: the loop's thread; `fn` is called there.
 * Ownership: borrows the loop; stop before the loop is freed. */
#ifndef DIAG_CTL_SIGNAL_WATCH_H
#define DIAG_CTL_SIGNAL_WATCH_H

#include <pthread.h>

#include "lib/base/stop_signals.h"
#include "lib/rpc/loop.h"

DIAG_DECLS_BEGIN

struct diag_signal_watch {
    struct diag_loop *loop;
    diag_loop_fn *fn;
    void *context;
    pthread_t thread;
    bool is_running;
    bool is_stopping; /* atomic */
};

/* Calls `fn(context)` once for each signal. DIAG_ERR_IO: no thread to be had. */
DIAG_MUST_CHECK enum diag_status diag_signal_watch_start(struct diag_signal_watch *watch,
                                                         struct diag_loop *loop, diag_loop_fn *fn,
                                                         void *context, struct diag_error *err);

/* All zero is fine. */
void diag_signal_watch_stop(struct diag_signal_watch *watch);

DIAG_DECLS_END

#endif
