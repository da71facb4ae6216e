/* SPDX-License-Identifier: MIT */
/* memory_patch - overwrites a pointer in static data of somebody else, which may be read-only.
 *
 * Threading: the GIL: nobody else maps or protects that page meanwhile. Readers see the old pointer
 *            or the new one. */
#ifndef DIAG_INPROC_ENGINE_MEMORY_PATCH_H
#define DIAG_INPROC_ENGINE_MEMORY_PATCH_H

#include "lib/base/error.h"

/* Stores `value` at `address` (aligned). A read-only page is made writable for the moment.
 * DIAG_ERR_PERMISSION: the kernel refuses that. */
DIAG_MUST_CHECK enum diag_status diag_memory_patch(void *address, const void *value,
                                                   struct diag_error *err);

#endif
