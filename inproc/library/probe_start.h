/* SPDX-License-Identifier: MIT */
/* probe_start - arming and disarming what is in a probe, and the functions of diagnose.probes.
 *
 * Threading: the GIL. */
#ifndef DIAG_INPROC_LIBRARY_PROBE_START_H
#define DIAG_INPROC_LIBRARY_PROBE_START_H

#include "inproc/library/function_probe.h"

/* Both are idempotent. start: -1 with one exception for all that cannot be armed; the rest is. */
DIAG_MUST_CHECK int diag_probe_start(struct diag_probe_object *probe);
DIAG_MUST_CHECK int diag_probe_stop(struct diag_probe_object *probe);

/* The probe of a target, made if there is none. A new reference; NULL with an exception. */
PyObject *diag_probe_attach(struct diag_library *library, PyObject *target);

/* The functions attach_to(target) and start_all(). */
PyObject *diag_probes_attach_to(PyObject *module, PyObject *args, PyObject *kwargs);
PyObject *diag_probes_start_all(PyObject *module, PyObject *unused);
extern const char diag_probes_attach_to_doc[];
extern const char diag_probes_start_all_doc[];

#endif
