/* SPDX-License-Identifier: MIT */
#include "sidecar/uplink.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/log.h"

struct parcel {
    struct diag_uplink *uplink;
    struct diag_buffer content;
    char process_uid[DIAG_UID_SIZE];
};

/* Without memory for a parcel the threads' accounts of credits and processes would part; the
 * sidecar is made to be restarted, so it ends. */
static void post(struct diag_uplink *uplink, diag_loop_fn *deliver, const char *uid,
                 struct diag_buffer content) {
    struct parcel *parcel = calloc(1, sizeof *parcel);

    if (parcel != NULL) {
        parcel->uplink = uplink;
        parcel->content = content;
        if (uid != NULL)
            memcpy(parcel->process_uid, uid, DIAG_UID_SIZE);
    }
    if (parcel == NULL || diag_loop_post(uplink->loop, deliver, parcel) != DIAG_OK) {
        diag_log_error("out of memory");
        _Exit(1);
    }
}

static void deliver_request(void *context) {
    struct parcel *parcel = context;

    diag_reporter_add(parcel->uplink->reporter, parcel->content);
    free(parcel);
}

static void deliver_changed(void *context) {
    struct parcel *parcel = context;

    diag_session_process_changed(parcel->uplink->session, parcel->process_uid, &parcel->content);
    free(parcel);
}

static void deliver_ended(void *context) {
    struct parcel *parcel = context;

    diag_session_process_ended(parcel->uplink->session, parcel->process_uid);
    free(parcel);
}

static void deliver_signalled(void *context) {
    struct parcel *parcel = context;

    parcel->uplink->signalled(parcel->uplink->context);
    free(parcel);
}

static void deliver_stopped(void *context) {
    struct parcel *parcel = context;

    parcel->uplink->stopped(parcel->uplink->context);
    free(parcel);
}

static void post_request(void *context, struct diag_buffer body) {
    post(context, deliver_request, NULL, body);
}

static void post_changed(void *context, const char *uid, struct diag_buffer status) {
    post(context, deliver_changed, uid, status);
}

static void post_ended(void *context, const char *uid) {
    post(context, deliver_ended, uid, (struct diag_buffer){0});
}

static void post_signalled(void *context) {
    post(context, deliver_signalled, NULL, (struct diag_buffer){0});
}

static void post_stopped(void *context) {
    post(context, deliver_stopped, NULL, (struct diag_buffer){0});
}

struct diag_local_sink diag_uplink_sink(struct diag_uplink *uplink) {
    return (struct diag_local_sink){
        .context = uplink,
        .request = post_request,
        .process_changed = post_changed,
        .process_ended = post_ended,
        .signalled = post_signalled,
        .stopped = post_stopped,
    };
}
