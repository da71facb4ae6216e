/* SPDX-License-Identifier: MIT */
/* manager_background - the thread that calls a manager's apply now and again.
 *
 * A daemon thread of the module threading: it holds up no exit, and is a greenlet where gevent has
 * put greenlets in the place of threads. It keeps its manager alive.
 *
 * Threading: the GIL.
 * Fork:      a child whose parent had the thread gets its own, by os.register_at_fork; a greenlet
 *            goes on there. */
#ifndef DIAG_INPROC_LIBRARY_MANAGER_BACKGROUND_H
#define DIAG_INPROC_LIBRARY_MANAGER_BACKGROUND_H

#include "inproc/library/manager_object.h"

/* Starts the thread, which applies at once and then every `period` seconds (a number); if it runs,
 * gives it this period, and it applies at once. -1 with a TypeError or ValueError that names
 * `period`, or the RuntimeError of a system that has no more threads. */
DIAG_MUST_CHECK int diag_manager_background_start(struct diag_manager *manager, PyObject *period);

/* The thread ends, once it is done with an apply that is under way; nobody waits for it. -1 with an
 * exception. */
DIAG_MUST_CHECK int diag_manager_background_stop(struct diag_manager *manager);

#endif
