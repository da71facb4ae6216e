/* SPDX-License-Identifier: MIT */
/* version - of this program. No code. */
#ifndef DIAG_CTL_VERSION_H
#define DIAG_CTL_VERSION_H

#define DIAG_CTL_VERSION "0.1.0"

#endif
