/* SPDX-License-Identifier: MIT */
/* mailbox - what the loop's thread wants of the local thread.
 *
 * Not a queue: of each thing only the latest matters (credits add up), so that nothing is
 * allocated, nothing can fail, and a slow receiver costs nothing.
 *
 * Threading: any thread posts; one thread takes, woken by `event_fd`.
 * Ownership: a snapshot's descriptor belongs to the mailbox until it is taken. */
#ifndef DIAG_SIDECAR_MAILBOX_H
#define DIAG_SIDECAR_MAILBOX_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/base/error.h"

DIAG_DECLS_BEGIN

struct diag_mail {
    int snapshot_fd;   /* a new snapshot, owned by whoever took it; -1: none */
    uint64_t snapshot; /* its number */
    uint32_t credits;  /* further report requests that may be sent */
    bool are_events_wanted;
    bool is_reporting; /* there is a controller that takes reports */
    bool should_stop;
};

struct diag_mailbox {
    pthread_mutex_t lock; /* guards `mail` */
    struct diag_mail mail;
    int event_fd; /* readable while there is something new */
};

DIAG_MUST_CHECK enum diag_status diag_mailbox_init(struct diag_mailbox *mailbox,
                                                   struct diag_error *err);
void diag_mailbox_done(struct diag_mailbox *mailbox);

/* Takes ownership of `fd`; replaces one that nobody took. */
void diag_mailbox_post_snapshot(struct diag_mailbox *mailbox, int fd, uint64_t snapshot);
void diag_mailbox_post_credits(struct diag_mailbox *mailbox, uint32_t credits);
void diag_mailbox_post_events_wanted(struct diag_mailbox *mailbox, bool are_events_wanted);
void diag_mailbox_post_reporting(struct diag_mailbox *mailbox, bool is_reporting);
void diag_mailbox_post_stop(struct diag_mailbox *mailbox);

/* The present state, and what has come since the last call. */
struct diag_mail diag_mailbox_take(struct diag_mailbox *mailbox);

DIAG_DECLS_END

#endif
