/* SPDX-License-Identifier: MIT */
/* shm_abi - what a sidecar and a process beside it agree on. Layout only; this header is the
 * specification, docs/shm-format.md gives the reasons.
 *
 * Overview
 *
 *   process                         unix socket (SOCK_SEQPACKET)                    sidecar
 *     |  HELLO   ProcessInfo [+ segment fd, if it holds one from an earlier sidecar]  |
 *     |------------------------------------------------------------------------------>|
 *     |  WELCOME + segment fd + eventfd          (or REFUSED, with the reason)         |
 *     |<------------------------------------------------------------------------------|
 *     |  SNAPSHOT + fully sealed memfd: a SpecSnapshot            (any number of them) |
 *     |<------------------------------------------------------------------------------|
 *     |  REPORT  LocalReport                                      (any number of them) |
 *     |------------------------------------------------------------------------------>|
 *     |  segment: ring of events, process writes, sidecar reads                        |
 *     |==============================================================================>|
 *
 * Segment: a memfd, sealed against shrinking, growing and further seals.
 *
 *   0                     4096                              4096 + ring_size
 *   +---------------------+----------------------------------+----------------------------+
 *   | diag_shm_header     | ring: records, 16-byte aligned   | aggregates                 |
 *   +---------------------+----------------------------------+----------------------------+
 *
 * shm_aggregate_abi.h lays out the aggregates.
 *
 * Ring positions (`tail`, `head`) count bytes from 0 and never wrap; position % ring_size is the
 * offset. A record never crosses the end of the ring: a PAD record fills what is left.
 *
 * Record: a header of 16 bytes, then the payload, then padding to a multiple of 16. The payload of
 * an EVENT is an encoded diagnose.v1.Event, that of a LOST record is a diag_shm_lost: what was
 * dropped before this place in the stream.
 *
 * Ordinary events leave the last 1 / DIAG_SHM_RING_KEPT_PART of the ring free. It is kept for
 * events that must not be dropped (errors) and for LOST records.
 *
 *                 reserve (CAS on tail)        write header           commit (release store)
 *    [free] ----------------------> [reserved] ----------> [BUSY] --------------------> [READY]
 *      ^                             stamp of an             |                              |
 *      |                             earlier lap             | owner died                   |
 *      |                                                     v                              |
 *      +------ reader moves head ------------------------ [torn, skipped] <-----------------+
 *
 * A LOST record has no BUSY: its payload and READY come before its stamp.
 *
 * Who may touch what: `tail`, `dropped`, `dropped_told` and the records from head to tail: the
 * process. `head`, `dropped_reported` and `is_reader_sleeping`: the sidecar (the process clears the
 * latter). Everything else in the header is written by the sidecar before it hands the segment
 * over, and constant from then on. Neither trusts the other: the sidecar keeps its own head and
 * only publishes it; lengths are read once, checked, and the payload is copied before it is looked
 * at.
 *
 * Version policy: `version_major` changes when an old peer would misread; it is refused then.
 * `version_minor` changes when fields are added in reserved space; a peer ignores what it does not
 * know. Byte order and word size are those of the machine, which both share. */
#ifndef DIAG_LIB_SHM_SHM_ABI_H
#define DIAG_LIB_SHM_SHM_ABI_H

#include <stddef.h>
#include <stdint.h>

#define DIAG_SHM_MAGIC UINT64_C(0x31304d4853414944) /* "DIASHM01", little endian */
#define DIAG_SHM_VERSION_MAJOR 1
#define DIAG_SHM_VERSION_MINOR 0

#define DIAG_SHM_HEADER_SIZE 4096
#define DIAG_SHM_RING_SIZE_MIN (UINT64_C(1) << 16)
#define DIAG_SHM_RING_SIZE_DEFAULT (UINT64_C(1) << 20)
#define DIAG_SHM_RING_SIZE_MAX (UINT64_C(1) << 26)

#define DIAG_SHM_AGGREGATE_REGION_SIZE UINT64_C(413696) /* what shm_aggregate_abi.h lays out */

/* Payload of one record: 1 to this many bytes. */
#define DIAG_SHM_RECORD_MAX 16384
#define DIAG_SHM_RECORD_ALIGN 16

/* One part in so many of the ring is kept for what must not be dropped. */
#define DIAG_SHM_RING_KEPT_PART 16

struct diag_shm_header {
    uint64_t magic;
    uint16_t version_major;
    uint16_t version_minor;
    uint32_t header_size;      /* DIAG_SHM_HEADER_SIZE */
    uint64_t ring_offset;      /* from the start of the segment */
    uint64_t ring_size;        /* bytes, a power of two */
    char process_uid[40];      /* NUL-terminated; whose ring this is */
    uint64_t aggregate_offset; /* ring_offset + ring_size */
    uint64_t aggregate_size;   /* DIAG_SHM_AGGREGATE_REGION_SIZE */
    uint8_t reserved0[40];

    /* Where the next record will be reserved. Process: CAS, relaxed. */
    uint64_t tail;
    uint8_t reserved1[56];

    /* Up to where the sidecar has read. Sidecar: release; process: acquire. */
    uint64_t head;
    /* Set by the sidecar before it sleeps; whoever commits and sees it clears it and writes the
     * eventfd. */
    uint32_t is_reader_sleeping;
    uint32_t reserved2;
    /* How much of `dropped` has been reported, so that the next sidecar neither repeats nor loses
     * what was dropped while none ran. Sidecar only. */
    uint64_t dropped_reported;
    uint8_t reserved3[40];

    /* Events that found no room, in all. Process: add, relaxed. */
    uint64_t dropped;
    /* How many of these the last LOST record tells of. Process: relaxed; two writers may tell the
     * same, which does no harm, as LOST gives the total. */
    uint64_t dropped_told;
    uint8_t reserved4[48];
};

/* `size_and_state`: the low 24 bits are the payload's size in bytes, the high 8 the state. */
#define DIAG_SHM_SIZE_MASK UINT32_C(0x00ffffff)
#define DIAG_SHM_STATE_BUSY UINT32_C(0x01000000)  /* being written */
#define DIAG_SHM_STATE_READY UINT32_C(0x02000000) /* committed */
#define DIAG_SHM_STATE_PAD UINT32_C(0x03000000)   /* committed; nothing until the ring's end */
#define DIAG_SHM_STATE_MASK UINT32_C(0xff000000)

struct diag_shm_record {
    uint32_t size_and_state; /* BUSY or PAD before the stamp, READY last, with release */
    uint32_t stamp;          /* low 32 bits of position / 16: tells this lap's from an older one */
    uint16_t type;           /* diag_shm_record_type; written before READY */
    uint16_t reserved0;      /* 0, not read */
    uint32_t reserved1;      /* 0, not read */
};

enum diag_shm_record_type {
    DIAG_SHM_RECORD_EVENT = 1,
    DIAG_SHM_RECORD_LOST = 2,
};

/* Payload of a LOST record. A total, and no difference: it stays right if such a record is lost
 * itself, or told twice. */
struct diag_shm_lost {
    uint64_t dropped_total; /* `dropped` of the header, as it was when this was reserved */
};

/* Messages on the socket: this header, then `payload_size` bytes. */
#define DIAG_SHM_SOCKET_MAGIC UINT32_C(0x53414944) /* "DIAS", little endian */
#define DIAG_SHM_SOCKET_PAYLOAD_MAX 65536

enum diag_shm_message_type {
    DIAG_SHM_MESSAGE_HELLO = 1,    /* payload: diagnose.v1.ProcessInfo; 0 or 1 descriptors */
    DIAG_SHM_MESSAGE_WELCOME = 2,  /* no payload; descriptors: segment, eventfd */
    DIAG_SHM_MESSAGE_REFUSED = 3,  /* payload: the reason, UTF-8 */
    DIAG_SHM_MESSAGE_SNAPSHOT = 4, /* no payload; descriptor: memfd with a SpecSnapshot */
    DIAG_SHM_MESSAGE_REPORT = 5,   /* payload: diagnose.v1.LocalReport */
};

struct diag_shm_message {
    uint32_t magic;
    uint16_t version_major;
    uint16_t version_minor;
    uint32_t type;
    uint32_t payload_size;
};

#ifdef __cplusplus
#define DIAG_SHM_ASSERT(condition) static_assert(condition, #condition)
#else
#define DIAG_SHM_ASSERT(condition) _Static_assert(condition, #condition)
#endif

DIAG_SHM_ASSERT(sizeof(struct diag_shm_header) == 320);
DIAG_SHM_ASSERT(offsetof(struct diag_shm_header, version_major) == 8);
DIAG_SHM_ASSERT(offsetof(struct diag_shm_header, header_size) == 12);
DIAG_SHM_ASSERT(offsetof(struct diag_shm_header, ring_offset) == 16);
DIAG_SHM_ASSERT(offsetof(struct diag_shm_header, ring_size) == 24);
DIAG_SHM_ASSERT(offsetof(struct diag_shm_header, process_uid) == 32);
DIAG_SHM_ASSERT(offsetof(struct diag_shm_header, aggregate_offset) == 72);
DIAG_SHM_ASSERT(offsetof(struct diag_shm_header, aggregate_size) == 80);
DIAG_SHM_ASSERT(offsetof(struct diag_shm_header, tail) == 128);
DIAG_SHM_ASSERT(offsetof(struct diag_shm_header, head) == 192);
DIAG_SHM_ASSERT(offsetof(struct diag_shm_header, is_reader_sleeping) == 200);
DIAG_SHM_ASSERT(offsetof(struct diag_shm_header, dropped_reported) == 208);
DIAG_SHM_ASSERT(offsetof(struct diag_shm_header, dropped) == 256);
DIAG_SHM_ASSERT(offsetof(struct diag_shm_header, dropped_told) == 264);
DIAG_SHM_ASSERT(sizeof(struct diag_shm_record) == 16);
DIAG_SHM_ASSERT(offsetof(struct diag_shm_record, stamp) == 4);
DIAG_SHM_ASSERT(offsetof(struct diag_shm_record, type) == 8);
DIAG_SHM_ASSERT(sizeof(struct diag_shm_lost) == 8);
DIAG_SHM_ASSERT(sizeof(struct diag_shm_message) == 16);
DIAG_SHM_ASSERT(DIAG_SHM_RECORD_MAX <= DIAG_SHM_SIZE_MASK);

#endif
