/* SPDX-License-Identifier: MIT */
/* manager - the Python types InstrumentManager, MongoDBInstrumentManager and sensor.
 *
 * A manager makes what is armed in this process what a dict of specs says (spec_document.h), by
 * means of diagnose.probes and of its instrument classes, and writes into each spec's `applied`
 * what came of it:
 *
 *     applied = {process id: {"lm": the lastmodified that was applied, "err": None or a str}}
 *
 * Threading: the GIL; any thread may call any method.
 * Fork:      the child inherits what is applied, and goes on from there under its own process id.
 * Ownership: the types belong to the module; a manager keeps alive what it has applied. */
#ifndef DIAG_INPROC_LIBRARY_MANAGER_H
#define DIAG_INPROC_LIBRARY_MANAGER_H

#include "lib/base/compiler.h"

struct _object; /* PyObject */

/* Adds the three types and the function `mag` to the module. -1 with an exception. */
DIAG_MUST_CHECK int diag_manager_add_to(struct _object *module);

#endif
