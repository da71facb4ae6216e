/* SPDX-License-Identifier: MIT */
/* roster - the processes as the controller shall see them, and what it has not been told yet.
 *
 * Threading: the loop's thread. */
#ifndef DIAG_SIDECAR_ROSTER_H
#define DIAG_SIDECAR_ROSTER_H

#include "lib/base/bytes.h"
#include "lib/base/map.h"
#include "lib/rpc/message.h"

DIAG_DECLS_BEGIN

/* About the most that goes into one report; a single process may exceed it. */
#define DIAG_ROSTER_REPORT_SIZE (256u << 10)

struct diag_roster {
    struct diag_map by_uid; /* of struct member */
    size_t news_count;      /* members that changed or ended */
};

/* All zero is an empty roster. */
void diag_roster_done(struct diag_roster *roster);

/* The process has this ProcessStatus now. Takes over the buffer, also on failure.
 * DIAG_ERR_NO_MEMORY. */
DIAG_MUST_CHECK enum diag_status diag_roster_update(struct diag_roster *roster, const char *uid,
                                                    struct diag_buffer *encoded);

/* The process has ended. Nothing if it is not there. */
void diag_roster_end(struct diag_roster *roster, const char *uid);

/* A new stream: everything is to be told again, but what has ended. */
void diag_roster_restart(struct diag_roster *roster);

static inline bool diag_roster_has_news(const struct diag_roster *roster) {
    return roster->news_count > 0;
}

/* An encoded SyncRequest with news, which count as told from now on; the caller drops the message.
 * More may remain: see diag_roster_has_news. NULL: out of memory, nothing told. */
struct diag_rpc_message *diag_roster_report(struct diag_roster *roster);

DIAG_DECLS_END

#endif
