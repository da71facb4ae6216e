/* SPDX-License-Identifier: MIT */
/* encode_value - Python objects to diagnose.v1.Value, bounded in size, depth and items.
 *
 * None, bool, int of 64 bits, float, str, bytes, bytearray, list, tuple and dict have types of
 * their own on the wire; subclasses travel as their base, without running their code. Anything
 * else travels as its repr(), whatever that does.
 *
 * Threading: the GIL; repr() may release it, so lists and dicts may change meanwhile.
 * Errors:    no Python exception is set afterwards. */
#ifndef DIAG_INPROC_ENGINE_ENCODE_VALUE_H
#define DIAG_INPROC_ENGINE_ENCODE_VALUE_H

#include "inproc/engine/pycompat.h"
#include "lib/base/wire.h"

#define DIAG_ENCODE_TEXT_MAX 2000 /* bytes of a str, bytes or repr */
#define DIAG_ENCODE_ITEMS_MAX 100 /* of a list or dict */
#define DIAG_ENCODE_DEPTH_MAX 6   /* lists and dicts within each other */

/* Writes `value` as field `number`. With too little room it is cut further, and at last shrunk
 * to a repr that fits; false: not even that. The writer is then as it was. */
DIAG_MUST_CHECK bool diag_encode_value(struct diag_wire_writer *writer, uint32_t number,
                                       PyObject *value);

#endif
