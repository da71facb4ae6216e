/* SPDX-License-Identifier: MIT */
#include "sidecar/mailbox.h"

#include <errno.h>
#include <sys/eventfd.h>

#include "lib/base/cleanup.h"

enum diag_status diag_mailbox_init(struct diag_mailbox *mailbox, struct diag_error *err) {
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

    if (fd < 0)
        return diag_error_set(err, DIAG_ERR_IO, errno, "eventfd");
    *mailbox = (struct diag_mailbox){.mail = {.snapshot_fd = -1}, .event_fd = fd};
    pthread_mutex_init(&mailbox->lock, NULL);
    return DIAG_OK;
}

void diag_mailbox_done(struct diag_mailbox *mailbox) {
    diag_closep(&mailbox->mail.snapshot_fd);
    diag_closep(&mailbox->event_fd);
    pthread_mutex_destroy(&mailbox->lock);
}

static void unlock_and_wake(struct diag_mailbox *mailbox) {
    const uint64_t one = 1;
    ssize_t written;

    pthread_mutex_unlock(&mailbox->lock);
    /* Can only fail when the counter is full, and then it wakes anyway. */
    written = write(mailbox->event_fd, &one, sizeof one);
    (void)written;
}

void diag_mailbox_post_snapshot(struct diag_mailbox *mailbox, int fd, uint64_t snapshot) {
    pthread_mutex_lock(&mailbox->lock);
    diag_closep(&mailbox->mail.snapshot_fd);
    mailbox->mail.snapshot_fd = fd;
    mailbox->mail.snapshot = snapshot;
    unlock_and_wake(mailbox);
}

void diag_mailbox_post_credits(struct diag_mailbox *mailbox, uint32_t credits) {
    pthread_mutex_lock(&mailbox->lock);
    mailbox->mail.credits += credits;
    unlock_and_wake(mailbox);
}

void diag_mailbox_post_events_wanted(struct diag_mailbox *mailbox, bool are_events_wanted) {
    pthread_mutex_lock(&mailbox->lock);
    mailbox->mail.are_events_wanted = are_events_wanted;
    unlock_and_wake(mailbox);
}

void diag_mailbox_post_reporting(struct diag_mailbox *mailbox, bool is_reporting) {
    pthread_mutex_lock(&mailbox->lock);
    mailbox->mail.is_reporting = is_reporting;
    unlock_and_wake(mailbox);
}

void diag_mailbox_post_stop(struct diag_mailbox *mailbox) {
    pthread_mutex_lock(&mailbox->lock);
    mailbox->mail.should_stop = true;
    unlock_and_wake(mailbox);
}

struct diag_mail diag_mailbox_take(struct diag_mailbox *mailbox) {
    struct diag_mail mail;
    uint64_t count;
    /* Before the lock: what is posted from here on wakes again. */
    ssize_t got = read(mailbox->event_fd, &count, sizeof count);

    (void)got;
    pthread_mutex_lock(&mailbox->lock);
    mail = mailbox->mail;
    mailbox->mail.snapshot_fd = -1;
    mailbox->mail.credits = 0;
    pthread_mutex_unlock(&mailbox->lock);
    return mail;
}
