/* SPDX-License-Identifier: MIT */
/* How it works: all lines of a call are written before any is sent, into buffers that the sender
 * lends for as long as the call takes. Python code that the values bring may use the same sender
 * meanwhile; it then finds no buffers and makes its own. */
#include "inproc/library/statsd_sender.h"

#include "inproc/library/statsd_value.h"
#include "lib/base/clock.h"
#include "lib/statsd/statsd_number.h"

#define SPARE_CAPACITY_MAX ((size_t)64 * 1024)

int diag_statsd_raise(const struct diag_error *err) {
    PyObject *arguments;

    if (err->status == DIAG_ERR_NO_MEMORY) {
        PyErr_NoMemory();
    } else if (err->status == DIAG_ERR_INVALID || err->status == DIAG_ERR_TOO_LARGE) {
        PyErr_SetString(PyExc_ValueError, err->message);
    } else if (err->os_errno == 0) {
        PyErr_SetString(PyExc_OSError, err->message);
    } else {
        /* with the number, OSError becomes the subclass for it */
        arguments = Py_BuildValue("(is)", err->os_errno, err->message);
        if (arguments != NULL)
            PyErr_SetObject(PyExc_OSError, arguments);
        Py_XDECREF(arguments);
    }
    return -1;
}

int diag_statsd_sender_peer(const struct diag_statsd_sender *sender, struct diag_statsd_peer *out) {
    struct diag_error err;

    if (sender->client != NULL)
        *out = *diag_statsd_client_peer(sender->client);
    else if (diag_statsd_peer_from_environment(sender->host, sender->port, out, &err) != DIAG_OK)
        return diag_statsd_raise(&err);
    return 0;
}

int diag_statsd_sender_need_client(struct diag_statsd_sender *sender) {
    struct diag_statsd_peer peer;
    struct diag_error err;

    if (sender->client != NULL)
        return 0;
    if (diag_statsd_sender_peer(sender, &peer) < 0)
        return -1;
    if (diag_statsd_client_new(&peer, &sender->client, &err) != DIAG_OK)
        return diag_statsd_raise(&err);
    return 0;
}

void diag_statsd_sender_done(struct diag_statsd_sender *sender) {
    diag_statsd_client_free(sender->client);
    free(sender->host);
    diag_buffer_done(&sender->prefix);
    diag_buffer_done(&sender->common_tags);
    diag_buffer_done(&sender->spare.lines);
    diag_buffer_done(&sender->spare.tags);
    memset(sender, 0, sizeof *sender);
}

/* ---- lines ---- */

/* One call. */
struct request {
    struct diag_statsd_sender *sender;
    const struct diag_statsd_call *call;
    struct diag_bytes name;
    size_t max_datagram; /* as it was when the call began */
    struct diag_statsd_buffers buffers;
};

static struct diag_statsd_buffers borrow_buffers(struct diag_statsd_sender *sender) {
    struct diag_statsd_buffers buffers = sender->spare;

    memset(&sender->spare, 0, sizeof sender->spare);
    buffers.lines.size = buffers.tags.size = 0;
    return buffers;
}

static void return_buffer(struct diag_buffer *to, struct diag_buffer *buffer) {
    if (to->data == NULL && buffer->capacity <= SPARE_CAPACITY_MAX)
        *to = *buffer;
    else
        diag_buffer_done(buffer);
}

/* True with a probability of `rate`. The time goes in so that forked processes, which have the same
 * state, differ. */
static bool is_in_sample(struct diag_statsd_sender *sender, double rate) {
    uint64_t bits;

    if (rate >= 1)
        return true;
    /* splitmix64 */
    sender->random_state += UINT64_C(0x9E3779B97F4A7C15);
    bits = sender->random_state ^ diag_clock_monotonic_ns();
    bits = (bits ^ (bits >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    bits = (bits ^ (bits >> 27)) * UINT64_C(0x94D049BB133111EB);
    bits ^= bits >> 31;
    return (double)(bits >> 11) * 0x1p-53 < rate;
}

static int put_line(struct request *request, struct diag_bytes value) {
    struct diag_statsd_sender *sender = request->sender;
    struct diag_statsd_metric metric = {
        .type = request->call->type,
        .prefix = diag_buffer_bytes(&sender->prefix),
        .name = request->name,
        .sample_rate = request->call->sample_rate,
        .common_tags = diag_buffer_bytes(&sender->common_tags),
        .tags = diag_buffer_bytes(&request->buffers.tags),
        .value = value,
    };
    size_t size = request->buffers.lines.size;
    struct diag_error err;

    if (diag_statsd_put_metric(&request->buffers.lines, request->max_datagram, &metric, &err) !=
        DIAG_OK)
        return diag_statsd_raise(&err);
    if (!is_in_sample(sender, request->call->sample_rate))
        request->buffers.lines.size = size;
    return 0;
}

/* 1: it was a number, or a text for a set; 0: it is something else. */
static int put_if_number(struct request *request, PyObject *value) {
    char digits[DIAG_STATSD_NUMBER_MAX];
    struct diag_statsd_text text;
    size_t size;
    int result;

    if (diag_statsd_is_number(value)) {
        if (diag_statsd_number_take(value, request->call->is_negated, digits, &size) < 0)
            return -1;
        return put_line(request, diag_bytes_make(digits, size)) < 0 ? -1 : 1;
    }
    if (request->call->type != DIAG_STATSD_SET || !PyUnicode_Check(value))
        return 0;
    if (diag_statsd_text_take(&text, value, "value") < 0)
        return -1;
    result = put_line(request, text.bytes);
    diag_statsd_text_done(&text);
    return result < 0 ? -1 : 1;
}

static int refuse(const struct request *request, const char *where, PyObject *value) {
    const char *what = request->call->type == DIAG_STATSD_SET ? "a number or a str" : "a number";

    if (where[0] == '\0')
        PyErr_Format(PyExc_TypeError,
                     "value: %s, or a list of numbers or (number, tags) pairs, is expected, not "
                     "%.200s",
                     what, Py_TYPE(value)->tp_name);
    else
        PyErr_Format(PyExc_TypeError,
                     "value: %s: %s, or a (number, tags) pair, is expected, not %.200s", where,
                     what, Py_TYPE(value)->tp_name);
    return -1;
}

/* `common_size`: of the tags that all numbers of the list share. */
static int put_pair(struct request *request, size_t common_size, const char *where,
                    PyObject *pair) {
    PyObject *items = PySequence_Tuple(pair);
    int result = -1;

    if (items == NULL)
        return -1;
    if (PyTuple_GET_SIZE(items) != 2) {
        PyErr_Format(PyExc_TypeError, "value: %s: a (number, tags) pair is expected, not %zd items",
                     where, PyTuple_GET_SIZE(items));
    } else if (diag_statsd_tags_take(&request->buffers.tags, PyTuple_GET_ITEM(items, 1)) == 0) {
        result = put_if_number(request, PyTuple_GET_ITEM(items, 0));
        if (result == 0)
            result = refuse(request, where, PyTuple_GET_ITEM(items, 0));
    }
    request->buffers.tags.size = common_size;
    Py_DECREF(items);
    return result;
}

static int put_list(struct request *request, PyObject *value) {
    size_t common_size = request->buffers.tags.size;
    PyObject *items = PySequence_Tuple(value);
    int result = items == NULL ? -1 : 0;

    for (Py_ssize_t i = 0; result >= 0 && i < PyTuple_GET_SIZE(items); i++) {
        PyObject *item = PyTuple_GET_ITEM(items, i);
        char where[32];

        result = put_if_number(request, item);
        if (result != 0)
            continue;
        snprintf(where, sizeof where, "item %zd", i);
        result = PyTuple_Check(item) || PyList_Check(item)
                     ? put_pair(request, common_size, where, item)
                     : refuse(request, where, item);
    }
    Py_XDECREF(items);
    return result < 0 ? -1 : 0;
}

static int put_value(struct request *request, PyObject *value) {
    int result;

    if (value == NULL)
        return put_line(request, diag_bytes_make(request->call->is_negated ? "-1" : "1",
                                                 request->call->is_negated ? 2 : 1));
    result = put_if_number(request, value);
    if (result != 0)
        return result < 0 ? -1 : 0;
    if (PyList_Check(value) || PyTuple_Check(value))
        return put_list(request, value);
    return refuse(request, "", value);
}

static void send_lines(const struct request *request) {
    struct diag_bytes lines = diag_buffer_bytes(&request->buffers.lines), datagram;
    size_t max_datagram = request->max_datagram, metric_count;

    while ((datagram = diag_statsd_next_datagram(&lines, max_datagram, &metric_count)).size > 0)
        diag_statsd_client_send(request->sender->client, datagram, metric_count);
}

int diag_statsd_sender_send(struct diag_statsd_sender *sender,
                            const struct diag_statsd_call *call) {
    struct request request = {.sender = sender, .call = call, .max_datagram = sender->max_datagram};
    struct diag_statsd_text name;
    int result = -1;

    if (!PyUnicode_Check(call->name)) {
        PyErr_Format(PyExc_TypeError, "name: str is expected, not %.200s",
                     Py_TYPE(call->name)->tp_name);
        return -1;
    }
    if (diag_statsd_text_take(&name, call->name, "name") < 0)
        return -1;
    request.name = name.bytes;
    request.buffers = borrow_buffers(sender);
    if (diag_statsd_tags_take(&request.buffers.tags, call->tags) == 0)
        result = put_value(&request, call->value);
    if (result == 0)
        result = diag_statsd_sender_need_client(sender);
    if (result == 0)
        send_lines(&request);
    return_buffer(&sender->spare.lines, &request.buffers.lines);
    return_buffer(&sender->spare.tags, &request.buffers.tags);
    diag_statsd_text_done(&name);
    return result;
}
