/* SPDX-License-Identifier: MIT */
/* statsd_datagram - metrics in the text form of DogStatsD, and lines packed into datagrams.
 *
 *     prefix.name:2.5|h|@0.5|#key:value,tag
 *
 * https://docs.datadoghq.com/developers/dogstatsd/datagram_shell (its version 1.0; several lines
 * share a datagram, with line feeds between them). Names and tags cannot break that form: what has
 * a meaning in it, and every control character, becomes "_". Beyond that they are what the
 * application says, in UTF-8; servers have rules of their own.
 *
 * Threading: none needed; one owner at a time.
 * Errors:    a metric that is refused leaves the buffer as it was. */
#ifndef DIAG_LIB_STATSD_STATSD_DATAGRAM_H
#define DIAG_LIB_STATSD_STATSD_DATAGRAM_H

#include "lib/base/bytes.h"
#include "lib/base/error.h"

DIAG_DECLS_BEGIN

/* Fits into an Ethernet frame beside the headers of IP and UDP, with room for tunnels. */
#define DIAG_STATSD_DATAGRAM_DEFAULT 1432
#define DIAG_STATSD_DATAGRAM_MIN 64
#define DIAG_STATSD_DATAGRAM_MAX 65507 /* UDP on IPv4 */

enum diag_statsd_type {
    DIAG_STATSD_COUNTER,      /* c */
    DIAG_STATSD_GAUGE,        /* g */
    DIAG_STATSD_HISTOGRAM,    /* h */
    DIAG_STATSD_TIMING,       /* ms: milliseconds */
    DIAG_STATSD_DISTRIBUTION, /* d */
    DIAG_STATSD_SET,          /* s: how many different values there are */
};

struct diag_statsd_metric {
    enum diag_statsd_type type;
    struct diag_bytes prefix; /* of the name; as diag_statsd_put_prefix wrote it */
    struct diag_bytes name;
    double sample_rate;            /* 1: every one is sent */
    struct diag_bytes common_tags; /* both as diag_statsd_put_tag wrote them */
    struct diag_bytes tags;
    struct diag_bytes value; /* as statsd_number wrote it; of a set, any text */
};

/* Writes `prefix` with what has a meaning replaced, and a "." at its end if there is none; nothing
 * for nothing. DIAG_ERR_NO_MEMORY. */
DIAG_MUST_CHECK enum diag_status diag_statsd_put_prefix(struct diag_buffer *out,
                                                        struct diag_bytes prefix);

/* Appends a tag to those in `tags`: "tag" or "key:value", split at its first colon. An empty one
 * is left out. DIAG_ERR_NO_MEMORY. */
DIAG_MUST_CHECK enum diag_status diag_statsd_put_tag(struct diag_buffer *tags,
                                                     struct diag_bytes tag);

/* The same for a key, whose colons are replaced, and its value, which may have some. An empty key
 * becomes "_". */
DIAG_MUST_CHECK enum diag_status
diag_statsd_put_pair(struct diag_buffer *tags, struct diag_bytes key, struct diag_bytes value);

/* Appends the metric as a line that a datagram of `max_size` bytes has room for.
 * DIAG_ERR_INVALID: name or value is empty, the line would begin with "_sc" as service checks do,
 * the sample rate is out of range.
 * DIAG_ERR_TOO_LARGE: no room in any datagram. DIAG_ERR_NO_MEMORY. */
DIAG_MUST_CHECK enum diag_status diag_statsd_put_metric(struct diag_buffer *lines, size_t max_size,
                                                        const struct diag_statsd_metric *metric,
                                                        struct diag_error *err);

/* Cuts as many lines as `max_size` bytes hold off the beginning of `lines`, which
 * diag_statsd_put_metric wrote with the same maximum. Returns them, without the line feed at their
 * end, and their count; no bytes at the end of `lines`. */
struct diag_bytes diag_statsd_next_datagram(struct diag_bytes *lines, size_t max_size,
                                            size_t *metric_count);

DIAG_DECLS_END

#endif
