/* SPDX-License-Identifier: MIT */
#include "lib/base/stop_signals.h"

#include <stddef.h>

sigset_t diag_stop_signals(void) {
    sigset_t signals;

    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    return signals;
}

void diag_stop_signals_block(void) {
    sigset_t signals = diag_stop_signals();

    pthread_sigmask(SIG_BLOCK, &signals, NULL);
}
