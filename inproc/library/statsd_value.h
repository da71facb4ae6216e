/* SPDX-License-Identifier: MIT */
/* statsd_value - what Python code gives as numbers, texts and tags, in the form of datagrams.
 *
 * Threading: the GIL; str() of the values in a dict of tags, and __index__ and __float__ of numbers
 *            of other types than int and float, may run Python code.
 * Errors:    -1 with an exception that names the argument. */
#ifndef DIAG_INPROC_LIBRARY_STATSD_VALUE_H
#define DIAG_INPROC_LIBRARY_STATSD_VALUE_H

#ifndef PY_SSIZE_T_CLEAN
#define PY_SSIZE_T_CLEAN
#endif
#include <Python.h>
#include <stdbool.h>

#include "lib/base/bytes.h"
#include "lib/statsd/statsd_number.h"

/* A text in UTF-8: borrowed from a str, or from the `owner` that was made for it. */
struct diag_statsd_text {
    struct diag_bytes bytes;
    PyObject *owner; /* NULL: none */
};

/* Of a str, which must stay alive. Lone surrogates, which UTF-8 has not, become "?". Texts that no
 * datagram has room for are refused with ValueError. */
int diag_statsd_text_take(struct diag_statsd_text *out, PyObject *text, const char *argument);
void diag_statsd_text_done(struct diag_statsd_text *text);

/* True for int, float, and whatever has __index__ or __float__. */
bool diag_statsd_is_number(PyObject *object);

/* Writes such a number, or what it is below zero. Integers beyond 64 bits are rounded to a double.
 * ValueError: not finite. */
int diag_statsd_number_take(PyObject *number, bool is_negated, char out[DIAG_STATSD_NUMBER_MAX],
                            size_t *size);

/* Appends the tags: a dict of keys and values, a list, tuple or set of str, or one str; nothing for
 * NULL and None. After an error, some of them may have been appended. TypeError, ValueError. */
int diag_statsd_tags_take(struct diag_buffer *out, PyObject *tags);

#endif
