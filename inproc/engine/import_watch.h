/* SPDX-License-Identifier: MIT */
/* import_watch - tells when a module has been imported, without a word to sys.meta_path: a hook
 * on importlib's own function that loads a module.
 *
 * Threading: the GIL. The callback runs in the importing thread, after the module's code. */
#ifndef DIAG_INPROC_ENGINE_IMPORT_WATCH_H
#define DIAG_INPROC_ENGINE_IMPORT_WATCH_H

#include "inproc/engine/backend.h"

struct diag_import_watch;

/* No Python exception is set when `imported` is called, nor may it set one. The caller owns
 * *out. */
DIAG_MUST_CHECK enum diag_status
diag_import_watch_new(const struct diag_backend *backend, void (*imported)(void *context),
                      void *context, struct diag_import_watch **out, struct diag_error *err);

/* `imported` is not called any more. NULL is fine. */
void diag_import_watch_free(struct diag_import_watch *watch);

#endif
