/* SPDX-License-Identifier: MIT */
/* bounded_repr - repr() that stops when it has enough.
 *
 * repr() of a list writes out all of it: gigabytes, for a list of lists of lists. Here built-in
 * containers and texts are written piece by piece until the room is used up; everything else is
 * asked for its own repr().
 *
 * Threading: the GIL; runs user code. */
#ifndef DIAG_INPROC_ENGINE_BOUNDED_REPR_H
#define DIAG_INPROC_ENGINE_BOUNDED_REPR_H

#include <stddef.h>
#include <stdint.h>

#include "inproc/engine/pycompat.h"

/* Writes at most `capacity` bytes of UTF-8, cut between characters, and their number to *size.
 * *full_size is what repr() would have taken, or at least what was known of it when the room was
 * used up: larger than *size exactly if the text was cut. -1 with an exception: a repr() raised.
 */
DIAG_MUST_CHECK int diag_bounded_repr(PyObject *value, char *out, size_t capacity, size_t *size,
                                      uint64_t *full_size);

#endif
