/* SPDX-License-Identifier: MIT */
/* segment - the shared memory of one process: made by the sidecar, mapped by both.
 *
 * Threading: creation and release by one thread; the mapping is shared as shm_abi.h says.
 * Fork:      the mapping is inherited; a child of the instrumented process only unmaps it.
 * Ownership: the segment owns its descriptor and mapping.
 * Layout:    shm_abi.h */
#ifndef DIAG_LIB_SHM_SEGMENT_H
#define DIAG_LIB_SHM_SEGMENT_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/bytes.h"
#include "lib/shm/shm_abi.h"

DIAG_DECLS_BEGIN

struct diag_segment {
    struct diag_shm_header *header;
    uint8_t *ring;       /* ring_size bytes */
    uint64_t ring_size;  /* checked copy; never read it from the header again */
    uint8_t *aggregates; /* DIAG_SHM_AGGREGATE_REGION_SIZE bytes */
    size_t mapped_size;
    int fd;
};

/* Creates, seals and maps a segment for the process `process_uid`; its memory is taken at once, and
 * charged to the caller. `ring_size`: a power of two from DIAG_SHM_RING_SIZE_MIN to
 * DIAG_SHM_RING_SIZE_MAX. */
DIAG_MUST_CHECK enum diag_status diag_segment_create(const char *process_uid, uint64_t ring_size,
                                                     struct diag_segment *out,
                                                     struct diag_error *err);

/* Takes over a segment that a peer handed us: checks the seals, the size, the version and every
 * field of the header before anything else is looked at. `is_prefaulted`: for a writer, who is not
 * to wait for pages later; a reader's count as its resident memory only once it has read them.
 * Takes ownership of `fd`, also on failure. DIAG_ERR_PROTOCOL, DIAG_ERR_VERSION. */
DIAG_MUST_CHECK enum diag_status
diag_segment_adopt(int fd, bool is_prefaulted, struct diag_segment *out, struct diag_error *err);

/* Unmaps and closes. All zero with fd -1, or a done segment, is fine. */
void diag_segment_done(struct diag_segment *segment);

/* ---- immutable blobs: spec snapshots ---- */

#define DIAG_SHM_SNAPSHOT_MAX (16u << 20)

/* A memfd of `content`, sealed against any change. The caller owns *fd. */
DIAG_MUST_CHECK enum diag_status diag_sealed_memfd_create(const char *name,
                                                          struct diag_bytes content, int *fd,
                                                          struct diag_error *err);

/* Maps a blob that a peer handed us, after checking that nobody can change it any more and that
 * it has at most DIAG_SHM_SNAPSHOT_MAX bytes. Takes ownership of `fd`, also on failure. Release
 * with diag_sealed_memfd_unmap. */
DIAG_MUST_CHECK enum diag_status diag_sealed_memfd_map(int fd, struct diag_bytes *out,
                                                       struct diag_error *err);
void diag_sealed_memfd_unmap(struct diag_bytes content);

DIAG_DECLS_END

#endif
