/* SPDX-License-Identifier: MIT */
/* stop_signals - SIGTERM and SIGINT, which programs do not take in handlers: they are blocked in
 * all threads, and waited for by sigwait(), sigtimedwait() or signalfd().
 *
 * Threading: any thread. */
#ifndef DIAG_LIB_BASE_STOP_SIGNALS_H
#define DIAG_LIB_BASE_STOP_SIGNALS_H

#include <signal.h>

#include "lib/base/compiler.h"

DIAG_DECLS_BEGIN

/* Both of them. */
sigset_t diag_stop_signals(void);

/* Blocks both in the calling thread and in those that it starts from now on. */
void diag_stop_signals_block(void);

DIAG_DECLS_END

#endif
