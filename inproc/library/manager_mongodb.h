/* SPDX-License-Identifier: MIT */
/* manager_mongodb - the type MongoDBInstrumentManager, whose specs are the documents of a
 * collection.
 *
 * One find() per apply; update_one only for what has changed. Works on what pymongo's collections
 * offer to Python, and is tied to no version of theirs.
 *
 * Threading: the GIL; the collection's own functions release it. Errors: Python exceptions. */
#ifndef DIAG_INPROC_LIBRARY_MANAGER_MONGODB_H
#define DIAG_INPROC_LIBRARY_MANAGER_MONGODB_H

#include "inproc/engine/pycompat.h"

/* Adds the type, a subclass of `manager_type`. -1 with an exception. */
DIAG_MUST_CHECK int diag_manager_mongodb_add_to(PyObject *module, PyObject *manager_type);

#endif
