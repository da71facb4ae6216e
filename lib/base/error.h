/* SPDX-License-Identifier: MIT */
/* error - status codes, and the error object that says more than a code.
 *
 * Functions that can fail return `enum diag_status` and take an optional `struct diag_error *`
 * last. Outputs are untouched on failure. Setting an error never allocates.
 *
 * Threading: none needed; an error object belongs to its caller. */
#ifndef DIAG_LIB_BASE_ERROR_H
#define DIAG_LIB_BASE_ERROR_H

#include "lib/base/compiler.h"

DIAG_DECLS_BEGIN

enum diag_status {
    DIAG_OK = 0,
    DIAG_ERR_INVALID,     /* the caller gave something malformed; the message names it */
    DIAG_ERR_NOT_FOUND,   /* no such thing */
    DIAG_ERR_EXISTS,      /* there is one already */
    DIAG_ERR_FULL,        /* a bounded queue, ring or table has no room */
    DIAG_ERR_TOO_LARGE,   /* over a documented limit */
    DIAG_ERR_NO_MEMORY,   /* allocation failed */
    DIAG_ERR_IO,          /* the operating system refused; os_errno says why */
    DIAG_ERR_PROTOCOL,    /* the peer broke the protocol */
    DIAG_ERR_VERSION,     /* the peer speaks a version that we do not */
    DIAG_ERR_UNAVAILABLE, /* the peer is not there; trying later may help */
    DIAG_ERR_TIMEOUT,     /* a deadline passed */
    DIAG_ERR_CLOSED,      /* the stream or connection is at its end */
    DIAG_ERR_PERMISSION,  /* not allowed */
    DIAG_ERR_BUSY,        /* somebody else holds it */
    DIAG_ERR_UNSUPPORTED, /* well-formed, but not something that we do */
    DIAG_ERR_INTERNAL,    /* a defect of ours */
};

#define DIAG_ERROR_MESSAGE_MAX 512

struct diag_error {
    enum diag_status status;
    int os_errno; /* 0: none */
    char message[DIAG_ERROR_MESSAGE_MAX];
};

/* "invalid", "not found", ... Static. */
const char *diag_status_name(enum diag_status status);

/* Fills `err` (which may be NULL) and returns `status`. A non-zero `os_errno` appends the text of
 * that errno to the message. Messages are cut at DIAG_ERROR_MESSAGE_MAX - 1 bytes. */
enum diag_status diag_error_set(struct diag_error *err, enum diag_status status, int os_errno,
                                const char *format, ...) DIAG_PRINTF(4, 5);

/* Puts "prefix: " before the message, so that a caller can say where it happened. */
void diag_error_prefix(struct diag_error *err, const char *format, ...) DIAG_PRINTF(2, 3);

DIAG_DECLS_END

#endif
