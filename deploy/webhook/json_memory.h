/* SPDX-License-Identifier: MIT */
/* json_memory - a limit on the memory that jansson takes for one request.
 *
 * A few megabytes of JSON can become hundreds of megabytes of objects. Between begin and end, what
 * a thread allocates by jansson is counted, and allocations that go over the limit fail, which
 * jansson reports as "out of memory". Outside of begin and end nothing is counted.
 *
 * Threading: each thread has a count of its own. What was allocated between begin and end is freed
 *            by the same thread before end. */
#ifndef DIAG_DEPLOY_WEBHOOK_JSON_MEMORY_H
#define DIAG_DEPLOY_WEBHOOK_JSON_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/compiler.h"

DIAG_DECLS_BEGIN

/* Makes jansson allocate by this module. Call once, before any JSON is made. */
void diag_json_memory_install(void);

/* `limit`: bytes, 0 lets every allocation fail. */
void diag_json_memory_begin(size_t limit);

/* True if an allocation of this thread failed since begin. To be asked when jansson has read
 * something, even with success: it may have left out what it had no memory for. */
bool diag_json_memory_has_failed(void);

/* Bytes that are still allocated: 0, unless something leaks. */
size_t diag_json_memory_end(void);

/* Gives memory that is free back to the operating system. */
void diag_json_memory_trim(void);

DIAG_DECLS_END

#endif
