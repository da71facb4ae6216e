/* SPDX-License-Identifier: MIT */
/* package - puts the Python package into a folder that other programs import it from.
 *
 * The copy is made beside its place and moved there in one step: whoever imports it sees all of it,
 * all of the one before, or nothing. It may be killed at any instant and run again, also by several
 * processes at once, which wait for each other.
 *
 * Threading: any; no state. */
#ifndef DIAG_DEPLOY_IMAGES_INJECT_PACKAGE_H
#define DIAG_DEPLOY_IMAGES_INJECT_PACKAGE_H

#include "lib/base/error.h"

DIAG_DECLS_BEGIN

/* The package's name, and that of its folder in source and target. */
#define DIAG_PACKAGE_NAME "diagnose"

struct diag_package_options {
    const char *source; /* folder that holds the package's folder */
    const char *target; /* existing folder that is to hold it */
    const char *python; /* "3.12": leave out the extensions of other versions; NULL: copy all */
};

enum diag_package_change {
    DIAG_PACKAGE_UNCHANGED, /* the same was there already; nothing was written */
    DIAG_PACKAGE_INSTALLED, /* there was none */
    DIAG_PACKAGE_REPLACED,  /* there was another one */
};

/* DIAG_ERR_INVALID: `python` is no version. DIAG_ERR_NOT_FOUND: no such folder, or no extension for
 * `python`, with those that there are. DIAG_ERR_IO: the target is read-only, full, or somebody
 * else's. After a failure the package that was there still is. */
DIAG_MUST_CHECK enum diag_status diag_package_install(const struct diag_package_options *options,
                                                      enum diag_package_change *change,
                                                      struct diag_error *err);

DIAG_DECLS_END

#endif
