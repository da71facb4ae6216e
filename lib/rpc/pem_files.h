/* SPDX-License-Identifier: MIT */
/* pem_files - the contents of the files that a diag_rpc_tls names.
 *
 * Threading: any thread. Internal to lib/rpc.
 * Ownership: owns the texts, and wipes the key. */
#ifndef DIAG_LIB_RPC_PEM_FILES_H
#define DIAG_LIB_RPC_PEM_FILES_H

#include "lib/rpc/credentials.h"

DIAG_DECLS_BEGIN

#define DIAG_RPC_PEM_SIZE_MAX (1u << 20)

/* NUL-terminated; NULL: not given. All zero is empty. */
struct diag_rpc_pem_files {
    char *cert, *key, *ca;
};

void diag_rpc_pem_files_done(struct diag_rpc_pem_files *files);

/* Into an empty `files`. The message names flag and file. DIAG_ERR_NOT_FOUND, DIAG_ERR_IO,
 * DIAG_ERR_TOO_LARGE, DIAG_ERR_INVALID: it is no PEM of the right kind. To be _done after a
 * failure, too. */
DIAG_MUST_CHECK enum diag_status diag_rpc_pem_files_read(const struct diag_rpc_tls *tls,
                                                         struct diag_rpc_pem_files *files,
                                                         struct diag_error *err);

DIAG_DECLS_END

#endif
