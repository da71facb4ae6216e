/* SPDX-License-Identifier: MIT */
/* ring_writer - the producer's end of the shared-memory event ring.
 *
 * Threading: any number of threads; not from signal handlers.
 * Fork:      the child must not write: it drops the writer and maps a ring of its own.
 * Ownership: borrows the segment and the eventfd, which must outlive it.
 * Layout:    shm_abi.h */
#ifndef DIAG_LIB_SHM_RING_WRITER_H
#define DIAG_LIB_SHM_RING_WRITER_H

#include "lib/shm/segment.h"

DIAG_DECLS_BEGIN

struct diag_ring_writer {
    struct diag_segment *segment;
    int wake_fd; /* eventfd of the reader, or -1 */
};

/* Copies `event` (1 to DIAG_SHM_RECORD_MAX bytes) into the ring, behind a LOST record if events
 * were dropped since the last one. Never blocks, never allocates; no system call unless the
 * reader sleeps. DIAG_ERR_FULL: nothing written, counted as dropped. DIAG_ERR_INVALID: the size is
 * out of range. */
DIAG_MUST_CHECK enum diag_status diag_ring_writer_put(struct diag_ring_writer *writer,
                                                      struct diag_bytes event);

/* The same for an event that must not be dropped (an error): it may use the part of the ring that
 * is kept from ordinary events. */
DIAG_MUST_CHECK enum diag_status diag_ring_writer_put_kept(struct diag_ring_writer *writer,
                                                           struct diag_bytes event);

DIAG_DECLS_END

#endif
