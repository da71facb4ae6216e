/* SPDX-License-Identifier: MIT */
/* interception - the handlers that take the place of a call, one inside of the other.
 *
 * Threading: the GIL; an interception belongs to the thread that makes the call. */
#ifndef DIAG_INPROC_ENGINE_INTERCEPTION_H
#define DIAG_INPROC_ENGINE_INTERCEPTION_H

#include "inproc/engine/action_list.h"

/* Answers for the call: by the first action of the list that intercepts it, or by the callable if
 * there is none. A new reference, or NULL with an exception. The caller has references to the list
 * and to the code of the call. `now_unix_ns`: as for diag_action_fire. */
PyObject *diag_interception_run(struct diag_action_list *list, const struct diag_call *call,
                                uint64_t now_unix_ns);

#endif
