/* SPDX-License-Identifier: MIT */
/* target_file - the functions at a line of a file.
 *
 * Threading: the GIL. No Python exception is set afterwards. */
#ifndef DIAG_INPROC_ENGINE_TARGET_FILE_H
#define DIAG_INPROC_ENGINE_TARGET_FILE_H

#include "inproc/engine/target.h"
#include "inproc/engine/target_path.h"

/* As diag_target_resolve, of file.py:LINE. */
void diag_target_resolve_file(const struct diag_target_path *path, bool is_importing,
                              struct diag_target *out);

#endif
