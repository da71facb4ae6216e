/* SPDX-License-Identifier: MIT */
#include "lib/base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *diag_status_name(enum diag_status status) {
    switch (status) {
    case DIAG_OK:
        return "ok";
    case DIAG_ERR_INVALID:
        return "invalid";
    case DIAG_ERR_NOT_FOUND:
        return "not found";
    case DIAG_ERR_EXISTS:
        return "exists";
    case DIAG_ERR_FULL:
        return "full";
    case DIAG_ERR_TOO_LARGE:
        return "too large";
    case DIAG_ERR_NO_MEMORY:
        return "out of memory";
    case DIAG_ERR_IO:
        return "input/output";
    case DIAG_ERR_PROTOCOL:
        return "protocol";
    case DIAG_ERR_VERSION:
        return "version";
    case DIAG_ERR_UNAVAILABLE:
        return "unavailable";
    case DIAG_ERR_TIMEOUT:
        return "timeout";
    case DIAG_ERR_CLOSED:
        return "closed";
    case DIAG_ERR_PERMISSION:
        return "permission";
    case DIAG_ERR_BUSY:
        return "busy";
    case DIAG_ERR_UNSUPPORTED:
        return "unsupported";
    case DIAG_ERR_INTERNAL:
        return "internal";
    }
    return "unknown";
}

enum diag_status diag_error_set(struct diag_error *err, enum diag_status status, int os_errno,
                                const char *format, ...) {
    va_list arguments;
    int length;

    if (err == NULL)
        return status;
    err->status = status;
    err->os_errno = os_errno;
    va_start(arguments, format);
    length = vsnprintf(err->message, sizeof err->message, format, arguments);
    va_end(arguments);
    if (os_errno != 0 && length >= 0 && (size_t)length < sizeof err->message) {
        char text[128];
        /* the GNU strerror_r, which returns the text */
        snprintf(err->message + length, sizeof err->message - (size_t)length, ": %s",
                 strerror_r(os_errno, text, sizeof text));
    }
    return status;
}

void diag_error_prefix(struct diag_error *err, const char *format, ...) {
    char message[DIAG_ERROR_MESSAGE_MAX];
    va_list arguments;
    int length;

    if (err == NULL)
        return;
    va_start(arguments, format);
    length = vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    if (length < 0 || (size_t)length >= sizeof message)
        return;
    snprintf(message + length, sizeof message - (size_t)length, ": %s", err->message);
    memcpy(err->message, message, sizeof message);
}
