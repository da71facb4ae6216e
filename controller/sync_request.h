/* SPDX-License-Identifier: MIT */
/* sync_request - one checked diagnose.v1.SyncRequest, out of its encoding.
 *
 * Threading: any thread.
 * Ownership: a request owns everything that it points to. */
#ifndef DIAG_CONTROLLER_SYNC_REQUEST_H
#define DIAG_CONTROLLER_SYNC_REQUEST_H

#include "lib/base/bytes.h"
#include "lib/spec/spec.h"

DIAG_DECLS_BEGIN

enum diag_sync_request_kind {
    DIAG_SYNC_REQUEST_UNKNOWN = 0, /* of a newer release */
    DIAG_SYNC_REQUEST_HELLO,
    DIAG_SYNC_REQUEST_ACK,
    DIAG_SYNC_REQUEST_REPORT,
};

struct diag_sync_held {
    const char *id;
    uint64_t revision;
};

struct diag_sync_hello {
    const char *sidecar_uid;
    const char *version;
    const char *host;
    struct diag_label *labels;
    size_t label_count;
    struct diag_sync_held *held;
    size_t held_count;
};

struct diag_sync_report {
    struct diag_bytes *changed; /* encoded ProcessStatus messages */
    size_t changed_count;
    char **ended; /* uids */
    size_t ended_count;
};

/* All zero is an empty request. */
struct diag_sync_request {
    enum diag_sync_request_kind kind;
    struct diag_sync_hello hello;
    uint64_t ack_nonce;
    struct diag_sync_report report;
    void *unpacked; /* what the texts above are parts of */
    struct diag_buffer packed;
};

/* DIAG_ERR_INVALID names the field. `out` is to be released with diag_sync_request_done also on
 * failure. */
DIAG_MUST_CHECK enum diag_status diag_sync_request_read(struct diag_bytes encoded,
                                                        struct diag_sync_request *out,
                                                        struct diag_error *err);
void diag_sync_request_done(struct diag_sync_request *request);

DIAG_DECLS_END

#endif
