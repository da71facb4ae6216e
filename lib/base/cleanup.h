/* SPDX-License-Identifier: MIT */
/* cleanup - release on every way out of a scope.
 *
 *     DIAG_CLEANUP(diag_freep) char *text = strdup(value);
 *     ...
 *     *out = DIAG_TAKE_PTR(text);   // success: ownership leaves the scope
 *     return DIAG_OK; */
#ifndef DIAG_LIB_BASE_CLEANUP_H
#define DIAG_LIB_BASE_CLEANUP_H

#include <stdlib.h>
#include <unistd.h>

#include "lib/base/compiler.h"

#define DIAG_CLEANUP(function) __attribute__((cleanup(function)))

/* The pointer's value; the variable becomes NULL. */
#define DIAG_TAKE_PTR(pointer)                                                                     \
    __extension__({                                                                                \
        __typeof__(pointer) *diag_source = &(pointer);                                             \
        __typeof__(pointer) diag_taken = *diag_source;                                             \
        *diag_source = NULL;                                                                       \
        diag_taken;                                                                                \
    })

/* The descriptor; the variable becomes -1. */
#define DIAG_TAKE_FD(fd)                                                                           \
    __extension__({                                                                                \
        int diag_taken = (fd);                                                                     \
        (fd) = -1;                                                                                 \
        diag_taken;                                                                                \
    })

/* Defines `NAME_freep` for DIAG_CLEANUP, out of `void NAME_free(type *)`. */
#define DIAG_DEFINE_FREEP(name, type)                                                              \
    static inline DIAG_UNUSED void name##_freep(type **pointer) {                                  \
        name##_free(*pointer);                                                                     \
    }

static inline DIAG_UNUSED void diag_freep(void *pointer) {
    free(*(void **)pointer);
}

/* Closes *fd unless it is negative, and makes it -1. */
static inline DIAG_UNUSED void diag_closep(int *fd) {
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

#endif
