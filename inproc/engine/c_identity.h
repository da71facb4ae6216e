/* SPDX-License-Identifier: MIT */
/* c_identity - keeps the hash and equality of built-in functions what they were: Python makes both
 * of ml_meth, and programs have such functions as keys of dicts.
 *
 * Threading: the GIL. */
#ifndef DIAG_INPROC_ENGINE_C_IDENTITY_H
#define DIAG_INPROC_ENGINE_C_IDENTITY_H

#include "inproc/engine/pycompat.h"

/* What the definition's ml_meth was before it was changed; NULL: it is unchanged. */
typedef PyCFunction diag_c_identity_fn(const PyMethodDef *definition);

/* From now on `original_of` is asked; until the same number of calls of diag_c_identity_release. */
void diag_c_identity_keep(diag_c_identity_fn *original_of);
void diag_c_identity_release(void);

#endif
