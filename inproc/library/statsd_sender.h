/* SPDX-License-Identifier: MIT */
/* statsd_sender - what a StatsD object is apart from being an object: values of Python in,
 * datagrams out.
 *
 * Threading: the GIL; see statsd_value about Python code that values and tags may run.
 * Errors:    -1 with an exception. */
#ifndef DIAG_INPROC_LIBRARY_STATSD_SENDER_H
#define DIAG_INPROC_LIBRARY_STATSD_SENDER_H

#ifndef PY_SSIZE_T_CLEAN
#define PY_SSIZE_T_CLEAN
#endif
#include <Python.h>
#include <stdbool.h>

#include "lib/base/bytes.h"
#include "lib/statsd/statsd_client.h"
#include "lib/statsd/statsd_datagram.h"

struct diag_statsd_buffers {
    struct diag_buffer lines, tags;
};

/* All zero but max_datagram is one without prefix and tags, to where the environment says. */
struct diag_statsd_sender {
    struct diag_statsd_client *client; /* NULL until it is needed: the environment is read then */
    char *host;                        /* NULL: of the environment */
    long port;                         /* 0: of the environment */
    size_t max_datagram;
    struct diag_buffer prefix, common_tags; /* as statsd_datagram wrote them */
    struct diag_statsd_buffers spare;
    uint64_t random_state;
};

struct diag_statsd_call {
    enum diag_statsd_type type;
    bool is_negated;
    double sample_rate;
    PyObject *name;
    PyObject *value; /* a number, or a list or tuple of numbers or pairs; NULL: 1 */
    PyObject *tags;  /* NULL: none */
};

/* Sends all metrics of the call, or none. */
int diag_statsd_sender_send(struct diag_statsd_sender *sender, const struct diag_statsd_call *call);

/* Where metrics go, or would go. ValueError: the environment is wrong. */
int diag_statsd_sender_peer(const struct diag_statsd_sender *sender, struct diag_statsd_peer *out);

/* Makes the client if there is none; opens nothing. ValueError, MemoryError. */
int diag_statsd_sender_need_client(struct diag_statsd_sender *sender);

void diag_statsd_sender_done(struct diag_statsd_sender *sender);

/* Makes an exception of an error: ValueError, MemoryError or OSError. Returns -1. */
int diag_statsd_raise(const struct diag_error *err);

#endif
