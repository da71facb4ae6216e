/* SPDX-License-Identifier: MIT */
#include "controller/port_file.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

enum diag_status diag_port_file_write(const char *path, int port, struct diag_error *err) {
    char temporary[PATH_MAX];
    FILE *file;
    bool is_written;

    if ((size_t)snprintf(temporary, sizeof temporary, "%s.%ld", path, (long)getpid()) >=
        sizeof temporary)
        return diag_error_set(err, DIAG_ERR_TOO_LARGE, 0, "port file %s: path too long", path);
    file = fopen(temporary, "we");
    if (file == NULL)
        return diag_error_set(err, DIAG_ERR_IO, errno, "port file %s", temporary);
    is_written = fprintf(file, "%d\n", port) > 0;
    if (fclose(file) == 0 && is_written && rename(temporary, path) == 0)
        return DIAG_OK;
    diag_error_set(err, DIAG_ERR_IO, errno, "port file %s", path);
    unlink(temporary);
    return DIAG_ERR_IO;
}
