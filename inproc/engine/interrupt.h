/* SPDX-License-Identifier: MIT */
/* interrupt - exceptions of the program's signal handlers that arrive while an instrument runs.
 *
 * Ctrl-C, or a handler that calls sys.exit(), strikes wherever the main thread happens to be. If
 * that is inside of an expression, or where one is compiled, the exception is the program's and not
 * the instrument's: it is kept, and raised again once the instruments are done.
 *
 * Threading: the GIL; per thread, though signal handlers run in the main thread only. */
#ifndef DIAG_INPROC_ENGINE_INTERRUPT_H
#define DIAG_INPROC_ENGINE_INTERRUPT_H

#include "inproc/engine/pycompat.h"

/* If the exception that is set comes out of a signal handler, takes it and returns true.
 * Otherwise it stays set. Ctrl-C leaves no trace of a handler: only with `may_be_ctrl_c` is a
 * KeyboardInterrupt that no Python code raised taken for it. */
bool diag_interrupt_take(bool may_be_ctrl_c);

/* True if the exception that is set comes out of a signal handler; it stays set. */
bool diag_interrupt_is_set(void);

/* Has the main thread raise what was taken, at the next instruction that it runs. */
void diag_interrupt_deliver(void);

/* The same if something was taken, and as soon as no instrument runs. */
void diag_interrupt_deliver_soon(void);

#endif
