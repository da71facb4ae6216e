/* SPDX-License-Identifier: MIT */
/* statsd_resolver - asks for an address on a thread of its own, as asking may block.
 *
 * Threading: one thread at a time, besides the one that asks.
 * Fork:      the child is told by diag_statsd_resolver_poll that nobody is asking for it.
 * Ownership: may be freed while it is asking; the thread then lets go of the rest. */
#ifndef DIAG_LIB_STATSD_STATSD_RESOLVER_H
#define DIAG_LIB_STATSD_STATSD_RESOLVER_H

#include "lib/statsd/statsd_address.h"

DIAG_DECLS_BEGIN

struct diag_statsd_resolver; /* opaque */

/* Starts to ask; the thread takes no signals. The caller owns *out. DIAG_ERR_NO_MEMORY,
 * DIAG_ERR_IO.
 */
DIAG_MUST_CHECK enum diag_status diag_statsd_resolver_new(const struct diag_statsd_peer *peer,
                                                          struct diag_statsd_resolver **out,
                                                          struct diag_error *err);

void diag_statsd_resolver_free(struct diag_statsd_resolver *resolver); /* NULL is fine */

/* Never blocks. DIAG_ERR_BUSY: not yet. DIAG_ERR_UNAVAILABLE: there is no address.
 * DIAG_ERR_CLOSED: this is a forked child, and the thread was its parent's. */
DIAG_MUST_CHECK enum diag_status diag_statsd_resolver_poll(struct diag_statsd_resolver *resolver,
                                                           struct diag_statsd_address *out);

DIAG_DECLS_END

#endif
