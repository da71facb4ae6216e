/* SPDX-License-Identifier: MIT */
/* ring_testpoint - named places between the steps of a put, where a test may strike.
 *
 * Nothing in ordinary builds. With DIAG_TESTPOINTS defined, each place calls
 * diag_ring_testpoint_hook, if one is set.
 *
 * Threading: the hook is set before any put, and is called by the thread that puts. */
#ifndef DIAG_LIB_SHM_RING_TESTPOINT_H
#define DIAG_LIB_SHM_RING_TESTPOINT_H

#include "lib/base/compiler.h"

DIAG_DECLS_BEGIN

enum diag_ring_testpoint {
    DIAG_RING_TESTPOINT_BEGUN,         /* a put, before it has looked at anything */
    DIAG_RING_TESTPOINT_HEAD_READ,     /* before the room is reserved */
    DIAG_RING_TESTPOINT_FULL,          /* no room; not counted yet */
    DIAG_RING_TESTPOINT_DROP_COUNTED,  /* counted as dropped */
    DIAG_RING_TESTPOINT_RESERVED,      /* nothing is written yet */
    DIAG_RING_TESTPOINT_PAD_WRITTEN,   /* PAD, nothing behind it */
    DIAG_RING_TESTPOINT_LOST_UNMARKED, /* LOST without its stamp */
    DIAG_RING_TESTPOINT_LOST_WRITTEN,  /* LOST, told of by nobody */
    DIAG_RING_TESTPOINT_UNSTAMPED,     /* BUSY without its stamp */
    DIAG_RING_TESTPOINT_BUSY,          /* BUSY, no payload */
    DIAG_RING_TESTPOINT_HALF_COPIED,   /* BUSY, half the payload */
    DIAG_RING_TESTPOINT_COPIED,        /* BUSY, all of the payload */
    DIAG_RING_TESTPOINT_COMMITTED,     /* READY; nobody woken yet */
    DIAG_RING_TESTPOINT_WAKE_CLAIMED,  /* the reader's flag cleared, the eventfd not written */
    DIAG_RING_TESTPOINT_ENDED,         /* the put is over */
    DIAG_RING_TESTPOINT_COUNT,
};

#ifdef DIAG_TESTPOINTS
extern void (*diag_ring_testpoint_hook)(enum diag_ring_testpoint point);
#define DIAG_TESTPOINT(name)                                                                       \
    do {                                                                                           \
        if (diag_ring_testpoint_hook != NULL)                                                      \
            diag_ring_testpoint_hook(DIAG_RING_TESTPOINT_##name);                                  \
    } while (0)
#else
#define DIAG_TESTPOINT(name) ((void)0)
#endif

DIAG_DECLS_END

#endif
