/* SPDX-License-Identifier: MIT */
/* describe - Python objects as text for messages and events, whatever their own code does.
 *
 * Threading: the GIL. No Python exception is set afterwards. */
#ifndef DIAG_INPROC_ENGINE_DESCRIBE_H
#define DIAG_INPROC_ENGINE_DESCRIBE_H

#include "inproc/engine/pycompat.h"
#include "lib/base/bytes.h"

/* Copies `text` (a str) as UTF-8 into `out`, at most `capacity` bytes, cut between characters;
 * lone surrogates become \udcxx. Returns the bytes written; *full_size (optional) receives what
 * the whole text would take. Allocates nothing, runs no user code. */
size_t diag_describe_str(PyObject *text, char *out, size_t capacity, uint64_t *full_size);

/* "decimal.Decimal", "int"; NUL-terminated, cut at `capacity`. Runs no user code. */
void diag_describe_type(PyTypeObject *type, char *out, size_t capacity);

/* Takes the exception that is set, and describes it: "NameError: name 'x' is not defined"; of a
 * SyntaxError also the position. NUL-terminated, cut at `capacity`. Runs the exception's
 * __str__. */
void diag_describe_exception(char *out, size_t capacity);

#endif
