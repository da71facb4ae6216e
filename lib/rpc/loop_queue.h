/* SPDX-License-Identifier: MIT */
/* loop_queue - a loop's completion queue, for the other modules of lib/rpc that start gRPC
 * operations.
 *
 * Threading: the loop's thread. Internal to lib/rpc. */
#ifndef DIAG_LIB_RPC_LOOP_QUEUE_H
#define DIAG_LIB_RPC_LOOP_QUEUE_H

#include <grpc/grpc.h>

#include "lib/rpc/loop.h"

/* gRPC comes without TSan's instrumentation, and its locks are invisible to TSan: say that what
 * was written before a tag was handed over is visible where the tag comes out. */
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define DIAG_LOOP_HAS_TSAN 1
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define DIAG_LOOP_HAS_TSAN 1
#endif

DIAG_DECLS_BEGIN

#ifdef DIAG_LOOP_HAS_TSAN
void __tsan_acquire(void *address);
void __tsan_release(void *address);
#define DIAG_LOOP_ACQUIRE(address) __tsan_acquire(address)
#define DIAG_LOOP_RELEASE(address) __tsan_release(address)
#else
#define DIAG_LOOP_ACQUIRE(address) ((void)(address))
#define DIAG_LOOP_RELEASE(address) ((void)(address))
#endif

/* `is_ok`: what gRPC calls the event's success. */
typedef void diag_loop_tag_fn(void *context, bool is_ok);

/* What gRPC is given as a tag; in its owner's storage until it has come out of the queue. */
struct diag_loop_tag {
    diag_loop_tag_fn *fn;
    void *context;
};

/* The tag, as an argument for gRPC's functions. */
static inline void *diag_loop_tag_give(struct diag_loop_tag *tag) {
    DIAG_LOOP_RELEASE(tag);
    return tag;
}

grpc_completion_queue *diag_loop_queue(struct diag_loop *loop);

/* A point in time for gRPC; UINT64_MAX: never. */
gpr_timespec diag_loop_time(uint64_t monotonic_ns);

/* CLOCK_MONOTONIC, `delay_ms` from now; UINT64_MAX if that is beyond it. */
uint64_t diag_loop_deadline_ns(uint64_t delay_ms);

DIAG_DECLS_END

#endif
