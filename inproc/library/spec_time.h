/* SPDX-License-Identifier: MIT */
/* spec_time - when a spec expires, out of a datetime and minutes, and back to a datetime.
 *
 * Reckoned in microseconds since the Unix epoch, and not by the datetime's own operators, which
 * subclasses replace and which overflow.
 *
 * Threading: the GIL. Reading an aware datetime calls its utcoffset. */
#ifndef DIAG_INPROC_LIBRARY_SPEC_TIME_H
#define DIAG_INPROC_LIBRARY_SPEC_TIME_H

#include "inproc/engine/pycompat.h"

/* `lastmodified`: a datetime, naive ones are UTC; `lifespan`: minutes as an int or float, or None.
 * A time past the year 9999 is DIAG_SPEC_NEVER; a lifespan of 0 or less gives DIAG_SPEC_AT_ONCE. -1
 * with a TypeError or ValueError that names the key, or whatever utcoffset raised. */
DIAG_MUST_CHECK int diag_spec_time_expiry(PyObject *lastmodified, PyObject *lifespan,
                                          int64_t *expires_us);

/* A naive datetime in UTC; None for DIAG_SPEC_NEVER, the year 1970 for DIAG_SPEC_AT_ONCE. A new
 * reference; NULL with an exception. */
PyObject *diag_spec_time_datetime(int64_t unix_us);

#endif
