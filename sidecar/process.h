/* SPDX-License-Identifier: MIT */
/* process - one process beside the sidecar: its socket, its ring, its statuses.
 *
 *     NEW --HELLO--> LIVE --hang-up--> LEAVING --its end, or a while--> ENDED --drained--> (freed)
 *
 * LEAVING waits for the process's end to be certain: the kernel closes sockets a little before it
 * reports the end, and what a living thread still writes must not be taken for torn.
 *
 * Threading: the local thread. */
#ifndef DIAG_SIDECAR_PROCESS_H
#define DIAG_SIDECAR_PROCESS_H

#include "lib/shm/local_socket.h"
#include "sidecar/drain.h"
#include "sidecar/status_set.h"

DIAG_DECLS_BEGIN

enum diag_process_state {
    DIAG_PROCESS_NEW,
    DIAG_PROCESS_LIVE,
    DIAG_PROCESS_LEAVING,
    DIAG_PROCESS_ENDED,
};

/* What an epoll event is about. */
enum diag_watch_kind {
    DIAG_WATCH_LISTENER,
    DIAG_WATCH_MAILBOX,
    DIAG_WATCH_SIGNAL,
    DIAG_WATCH_SOCKET,
    DIAG_WATCH_RING,
    DIAG_WATCH_END,
};

struct diag_process;

struct diag_watch {
    enum diag_watch_kind kind;
    struct diag_process *process; /* NULL for the first three */
};

struct diag_process {
    struct diag_process *next;
    enum diag_process_state state;
    bool is_dead;         /* ENDED: nobody writes its ring any more */
    uint64_t deadline_ns; /* NEW, LEAVING: of that; ENDED: since when. CLOCK_MONOTONIC */

    int socket_fd;
    int wake_fd; /* eventfd that writers of the ring signal */
    int end_fd;  /* pidfd, or -1 where the kernel has none for a peer */
    struct diag_watch socket_watch, wake_watch, end_watch;

    struct diag_buffer info; /* ProcessInfo, encoded */
    struct diag_segment segment;
    struct diag_drain_source source; /* with uid and pid */
    bool has_corrupt_ring;           /* said so in the log */
    uint64_t aggregates_due_ns;      /* when its aggregates are to be read, CLOCK_MONOTONIC */
    bool was_refused_before;         /* said so, too */

    struct diag_status_set statuses;
    uint64_t snapshot_sent;     /* number of the last snapshot that went out */
    bool waits_for_room;        /* a snapshot could not be sent: the socket was full */
    bool has_update;            /* its ProcessStatus is to be told */
    uint64_t update_at_ns;      /* ... at this time */
    uint64_t last_update_at_ns; /* when that was done last */
};

/* Takes ownership of the socket, also on failure. DIAG_ERR_NO_MEMORY. */
DIAG_MUST_CHECK enum diag_status diag_process_new(int socket_fd, struct diag_process **out,
                                                  struct diag_error *err);

/* Closes everything. NULL is fine. */
void diag_process_free(struct diag_process *process);

/* Reads who it is out of HELLO. DIAG_ERR_PROTOCOL names the field. */
DIAG_MUST_CHECK enum diag_status diag_process_identify(struct diag_process *process,
                                                       struct diag_bytes hello,
                                                       struct diag_error *err);

/* Creates its ring, or takes over the one that it brought (*fd, which becomes -1), and sends
 * WELCOME. It is LIVE afterwards. */
DIAG_MUST_CHECK enum diag_status diag_process_welcome(struct diag_process *process, int *fd,
                                                      uint64_t ring_size, struct diag_error *err);

/* Sends the snapshot unless it has gone out already. DIAG_ERR_FULL: to be tried again when the
 * socket is writable. DIAG_ERR_CLOSED: it has gone. */
DIAG_MUST_CHECK enum diag_status diag_process_send_snapshot(struct diag_process *process, int fd,
                                                            uint64_t number,
                                                            struct diag_error *err);

/* Encodes its ProcessStatus. DIAG_ERR_NO_MEMORY. */
DIAG_MUST_CHECK enum diag_status diag_process_encode(const struct diag_process *process,
                                                     struct diag_buffer *out);

/* The same for a process that is refused, with the reason. */
DIAG_MUST_CHECK enum diag_status diag_process_encode_refused(const struct diag_process *process,
                                                             const char *reason,
                                                             struct diag_buffer *out);

/* Its ProcessStatus has changed: news are due at once unless some went just now, counters each
 * second. */
#define DIAG_PROCESS_COUNTERS_INTERVAL_NS UINT64_C(1000000000)
void diag_process_note_update(struct diag_process *process, bool is_news, uint64_t now_ns);

/* What its segment takes, in bytes: the one that it brings as `fd`, or a new one if that is -1. */
uint64_t diag_process_segment_size(int fd, uint64_t ring_size);

/* True if the other end of its socket is closed, even if we have not read that far. */
bool diag_process_has_hung_up(const struct diag_process *process);

/* True if the kernel says that the process has ended. */
bool diag_process_has_ended(const struct diag_process *process);

DIAG_DECLS_END

#endif
