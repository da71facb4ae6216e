/* SPDX-License-Identifier: MIT */
/* code_facts - what the bytecode of a function tells about it.
 *
 * Threading: the GIL. */
#ifndef DIAG_INPROC_ENGINE_CODE_FACTS_H
#define DIAG_INPROC_ENGINE_CODE_FACTS_H

#include <stdint.h>

#include "inproc/engine/pycompat.h"

/* The arguments (a bit for each index; the last bit for all from the 64th on) whose variables may
 * hold something else when the function returns: it binds or deletes them, or shares them with
 * inner functions, or may alter them, as its **kwargs. All of them if there is no memory to find
 * out. */
uint64_t diag_code_rebound_arguments(PyCodeObject *code);

#endif
