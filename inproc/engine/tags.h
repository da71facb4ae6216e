/* SPDX-License-Identifier: MIT */
/* tags - what a tags expression gave, encoded into an event.
 *
 * Threading: the GIL; runs str() of the values. */
#ifndef DIAG_INPROC_ENGINE_TAGS_H
#define DIAG_INPROC_ENGINE_TAGS_H

#include "inproc/engine/pycompat.h"
#include "lib/base/wire.h"

#define DIAG_TAGS_MAX 32
#define DIAG_TAG_SIZE_MAX 256 /* bytes of key and value together; the value is cut first */

/* A dict: each key and str(value). A list, tuple or set of str: each split at its first colon.
 * -1 with an exception: something else, too many, or a str() raised. */
DIAG_MUST_CHECK int diag_tags_encode(struct diag_wire_writer *writer, PyObject *tags);

#endif
