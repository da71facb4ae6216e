/* SPDX-License-Identifier: MIT */
/* port_file - tells the bound port to whoever started the program with port 0.
 *
 * Threading: any thread. */
#ifndef DIAG_CONTROLLER_PORT_FILE_H
#define DIAG_CONTROLLER_PORT_FILE_H

#include "lib/base/error.h"

DIAG_DECLS_BEGIN

/* Writes the port and a newline. The file appears with its content, or is replaced, at once. */
DIAG_MUST_CHECK enum diag_status diag_port_file_write(const char *path, int port,
                                                      struct diag_error *err);

DIAG_DECLS_END

#endif
