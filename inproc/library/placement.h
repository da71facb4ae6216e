/* SPDX-License-Identifier: MIT */
/* placement - an instrument of a manager or a sensor in its place: a probe's `instruments`, under a
 * key.
 *
 * It is at work whether the program has started the probe or not, which stays as it was, and so do
 * the instruments that are the program's own. An instrument is taken out only if it is still the
 * one that was put in; a probe that was made for a placement goes when its last instrument does,
 * unless the program has asked for it meanwhile.
 *
 * Threading: the GIL; the functions run code of the program, and may release the GIL.
 * Errors:    Python exceptions.
 * Ownership: a placement owns its references. */
#ifndef DIAG_INPROC_LIBRARY_PLACEMENT_H
#define DIAG_INPROC_LIBRARY_PLACEMENT_H

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

/* Puts `instrument` on the probe of the target (a str), which is made as needed. Its key is `name`
 * (a str), or, if that is taken by another instrument than that of `former`, "name (2)" and so on.
 * `former` may be NULL; it stays in charge of what it had: diag_placement_remove does nothing for
 * it if this has replaced it. -1: the instrument is not placed, and *placement is untouched. */
DIAG_MUST_CHECK int diag_placement_put(struct diag_placement *placement,
                                       const struct diag_placement *former, PyObject *target,
                                       PyObject *name, PyObject *instrument);

/* Takes the instrument out. -1 with the exception of the first step that failed; the others are
 * taken all the same. In either case the placement is empty in the end, and not before: a process
 * that is forked meanwhile can do it again. */
DIAG_MUST_CHECK int diag_placement_remove(struct diag_placement *placement);

/* Has the engine look after targets that were replaced (a reloaded module), and arm what is there
 * now. Never an exception. */
void diag_placement_follow_targets(void);

/* Lets go of the references; what is placed stays in place. */
void diag_placement_done(struct diag_placement *placement);
int diag_placement_traverse(const struct diag_placement *placement, visitproc visit, void *arg);

#endif
