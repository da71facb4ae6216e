/* SPDX-License-Identifier: MIT */
/* manager_placement - one instrument in its place: a probe's `instruments`, under a key.
 *
 * Works on what diagnose.probes offers to Python. An instrument is taken out only if it is still
 * the one that was put in, and a probe is given up only by those who had it made, and only once it
 * is empty: several managers, sensors and the program itself may have instruments on one target.
 *
 * Threading: the GIL; the functions run code of the program.
 * Errors:    Python exceptions.
 * Ownership: a placement owns its references. */
#ifndef DIAG_INPROC_LIBRARY_MANAGER_PLACEMENT_H
#define DIAG_INPROC_LIBRARY_MANAGER_PLACEMENT_H

#include "inproc/engine/pycompat.h"

/* All zero: nothing is placed. */
struct diag_placement {
    PyObject *probe;
    PyObject *key;
    PyObject *instrument;
};

static inline bool diag_placement_is_empty(const struct diag_placement *placement) {
    return placement->probe == NULL;
}

/* The dict {target: probe} of the probes that were made for a manager or sensor of this interpreter
 * and are theirs to give up: an attribute of `type`, made for diag_placement_share. A new
 * reference; NULL with an exception. */
PyObject *diag_placement_made(PyTypeObject *type);

/* Gives these types one such dict. -1 with an exception. */
DIAG_MUST_CHECK int diag_placement_share(PyObject *manager_type, PyObject *sensor_type);

/* Puts `instrument` on the target's probe, which is made and started as needed. Its key is `name`
 * (a str), or, if that is taken by another instrument than that of `former`, "name (2)" and so on.
 * `former` may be NULL; it stays in charge of what it had: diag_placement_remove does nothing for
 * it if this has replaced it. `made`: dict {target: probe}, takes the probes that were made for
 * this. -1: the instrument is not placed, and *placement is untouched. */
DIAG_MUST_CHECK int diag_placement_put(struct diag_placement *placement,
                                       const struct diag_placement *former, PyObject *target,
                                       PyObject *name, PyObject *instrument, PyObject *made);

/* Takes the instrument out, and gives the probe up if it is empty and one of `made`. -1 with the
 * exception of the first step that failed; the others are taken all the same. In either case the
 * placement is empty in the end, and not before: a process that is forked meanwhile can do it
 * again. */
DIAG_MUST_CHECK int diag_placement_remove(struct diag_placement *placement, PyObject *made);

void diag_placement_done(struct diag_placement *placement);
int diag_placement_traverse(const struct diag_placement *placement, visitproc visit, void *arg);

#endif
