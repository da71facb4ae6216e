/* SPDX-License-Identifier: MIT */
/* version - the release that all programs and the library belong to. */
#ifndef DIAG_LIB_BASE_VERSION_H
#define DIAG_LIB_BASE_VERSION_H

/* https://semver.org */
#define DIAG_VERSION "0.1.0"

#endif
