/* SPDX-License-Identifier: MIT */
/* expiry - datetimes as the time at which an instrument ends.
 *
 * Threading: the GIL. */
#ifndef DIAG_INPROC_LIBRARY_EXPIRY_H
#define DIAG_INPROC_LIBRARY_EXPIRY_H

#include "inproc/engine/pycompat.h"

/* None, or a datetime, as Unix nanoseconds: 0 is never; what is out of range (before 1970, after
 * 2500) becomes the end of it. A naive one is UTC, as that of datetime.utcnow(). -1 with an
 * exception, which begins with `key`: something else; or whatever the tzinfo raised. */
DIAG_MUST_CHECK int diag_expiry_parse(PyObject *expires, const char *key, uint64_t *unix_ns);

/* datetime.datetime(1970, 1, 1). A new reference; NULL with an exception. */
PyObject *diag_expiry_epoch(void);

#endif
