/* SPDX-License-Identifier: MIT */
#include "ctl/signal_watch.h"

#include <stddef.h>
#include <unistd.h>

static void *wait_for_signals(void *context) {
    struct diag_signal_watch *watch = context;
    sigset_t signals = diag_stop_signals();

    for (;;) {
        int number;

        if (sigwait(&signals, &number) != 0)
            continue;
        /* acquire; pairs with the release in diag_signal_watch_stop */
        if (__atomic_load_n(&watch->is_stopping, __ATOMIC_ACQUIRE))
            return NULL;
        if (diag_loop_post(watch->loop, watch->fn, watch->context) != DIAG_OK)
            _exit(128 + number);
    }
}

enum diag_status diag_signal_watch_start(struct diag_signal_watch *watch, struct diag_loop *loop,
                                         diag_loop_fn *fn, void *context, struct diag_error *err) {
    int error;

    watch->loop = loop;
    watch->fn = fn;
    watch->context = context;
    watch->is_stopping = false;
    error = pthread_create(&watch->thread, NULL, wait_for_signals, watch);
    if (error != 0)
        return diag_error_set(err, DIAG_ERR_IO, error, "thread for signals");
    watch->is_running = true;
    return DIAG_OK;
}

void diag_signal_watch_stop(struct diag_signal_watch *watch) {
    if (!watch->is_running)
        return;
    __atomic_store_n(&watch->is_stopping, true, __ATOMIC_RELEASE);
    /* wakes it; the signal is blocked everywhere, so it does nothing else */
    pthread_kill(watch->thread, SIGTERM);
    pthread_join(watch->thread, NULL);
    watch->is_running = false;
}
