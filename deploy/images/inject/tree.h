/* SPDX-License-Identifier: MIT */
/* tree - copies, compares and removes folders of plain files.
 *
 * Everything is relative to open descriptors of folders, so that a path that changes meanwhile
 * leads nowhere else; links are never followed below them.
 *
 * Threading: any; no state.
 * Ownership: descriptors are borrowed.
 * Errors:    DIAG_ERR_IO, with the file's path below the folder, what was done, and the errno. */
#ifndef DIAG_DEPLOY_IMAGES_INJECT_TREE_H
#define DIAG_DEPLOY_IMAGES_INJECT_TREE_H

#include <stdbool.h>

#include "lib/base/error.h"

DIAG_DECLS_BEGIN

/* Folders deeper than this are refused. */
#define DIAG_TREE_DEPTH_MAX 16

/* Which files (not folders) count. */
struct diag_tree_filter {
    bool (*wants_fn)(const char *name, const void *context); /* NULL: all */
    const void *context;
};

/* Makes the folder `name` in `target_fd`, a copy of the folder `source_fd`: files that anybody may
 * read, and execute if the original's owner may. Anything but folders and plain files is
 * DIAG_ERR_UNSUPPORTED; `name` exists already: DIAG_ERR_IO. After a failure `name` holds a part. */
DIAG_MUST_CHECK enum diag_status diag_tree_copy(int source_fd, int target_fd, const char *name,
                                                const struct diag_tree_filter *filter,
                                                struct diag_error *err);

/* True if the folder `copy_fd` is what diag_tree_copy would make of `source_fd`, byte for byte.
 * What cannot be read differs. */
bool diag_tree_equals(int source_fd, int copy_fd, const struct diag_tree_filter *filter);

/* Removes `name`, of whatever type, with all that is in it. It need not exist. */
DIAG_MUST_CHECK enum diag_status diag_tree_remove(int folder_fd, const char *name,
                                                  struct diag_error *err);

DIAG_DECLS_END

#endif
