/* SPDX-License-Identifier: MIT */
/* channel_args - the settings of gRPC that both ends have in common, and why they are so.
 *
 * Threading: none needed. Internal to lib/rpc. */
#ifndef DIAG_LIB_RPC_CHANNEL_ARGS_H
#define DIAG_LIB_RPC_CHANNEL_ARGS_H

#include <grpc/grpc.h>
#include <limits.h>
#include <stddef.h>

#include "lib/base/compiler.h"

/* A peer that went away without a word (a stopped process, a lost machine) is noticed within the
 * sum of these two. */
#define DIAG_RPC_KEEPALIVE_TIME_MS 10000
#define DIAG_RPC_KEEPALIVE_TIMEOUT_MS 5000

/* More frequent pings make the server hang up; must be well below the clients' interval. */
#define DIAG_RPC_PING_INTERVAL_MIN_MS 5000

#define DIAG_RPC_ARGS_MAX 20

struct diag_rpc_args {
    grpc_arg items[DIAG_RPC_ARGS_MAX];
    size_t count;
};

static inline DIAG_UNUSED void diag_rpc_args_int(struct diag_rpc_args *args, const char *key,
                                                 int value) {
    grpc_arg *arg = &args->items[args->count++];

    arg->type = GRPC_ARG_INTEGER;
    arg->key = (char *)key;
    arg->value.integer = value;
}

/* `value` is borrowed until the arguments have been used. */
static inline DIAG_UNUSED void diag_rpc_args_text(struct diag_rpc_args *args, const char *key,
                                                  const char *value) {
    grpc_arg *arg = &args->items[args->count++];

    arg->type = GRPC_ARG_STRING;
    arg->key = (char *)key;
    arg->value.string = (char *)value;
}

static inline DIAG_UNUSED int diag_rpc_args_clamp(uint64_t value) {
    return value > INT_MAX ? INT_MAX : (int)value;
}

static inline DIAG_UNUSED void diag_rpc_args_common(struct diag_rpc_args *args,
                                                    size_t max_message_size) {
    diag_rpc_args_int(args, GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH,
                      diag_rpc_args_clamp(max_message_size));
    diag_rpc_args_int(args, GRPC_ARG_KEEPALIVE_TIME_MS, DIAG_RPC_KEEPALIVE_TIME_MS);
    diag_rpc_args_int(args, GRPC_ARG_KEEPALIVE_TIMEOUT_MS, DIAG_RPC_KEEPALIVE_TIMEOUT_MS);
    diag_rpc_args_int(args, GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
    diag_rpc_args_int(args, GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
    /* Probing grows the window to megabytes per stream, which a peer that does not read then
     * fills; without it, throughput is the same and our own bounded queues bound the memory. */
    diag_rpc_args_int(args, GRPC_ARG_HTTP2_BDP_PROBE, 0);
    diag_rpc_args_int(args, GRPC_ARG_ENABLE_CHANNELZ, 0);
}

static inline DIAG_UNUSED grpc_channel_args diag_rpc_args_view(struct diag_rpc_args *args) {
    grpc_channel_args view = {args->count, args->items};

    return view;
}

#endif
