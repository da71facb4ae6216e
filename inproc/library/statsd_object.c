/* SPDX-License-Identifier: MIT */
#include "inproc/library/statsd_object.h"

#include <stdlib.h>

#include "inproc/library/statsd_sender.h"
#include "inproc/library/statsd_value.h"

/* ISO C has no conversion from functions to void *, PyType_Slot wants one. */
#define SLOT(function) (__extension__(void *)(function))
#define METHOD(function) (PyCFunction)(void (*)(void))(function), METH_FASTCALL | METH_KEYWORDS

/* No member refers to an object of Python, so that the collector need not know it. */
struct statsd_object {
    PyObject_HEAD struct diag_statsd_sender sender;
};

static struct diag_statsd_sender *sender_of(PyObject *object) {
    return &((struct statsd_object *)object)->sender;
}

int diag_statsd_object_send(PyObject *statsd, enum diag_statsd_type type, PyObject *name,
                            PyObject *value, PyObject *tags) {
    struct diag_statsd_call call = {
        .type = type, .sample_rate = 1, .name = name, .value = value, .tags = tags};

    return diag_statsd_sender_send(sender_of(statsd), &call);
}

/* ---- construction ---- */

static PyObject *object_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    PyObject *self = type->tp_alloc(type, 0);

    (void)args;
    (void)kwargs;
    if (self != NULL)
        sender_of(self)->max_datagram = DIAG_STATSD_DATAGRAM_DEFAULT;
    return self;
}

static void object_free(PyObject *self) {
    PyTypeObject *type = Py_TYPE(self);

    diag_statsd_sender_done(sender_of(self));
    type->tp_free(self);
    Py_DECREF(type);
}

bool diag_statsd_object_is_exact(PyObject *object) {
    /* subclasses have a destructor of their own, which calls this one */
    return Py_TYPE(object)->tp_dealloc == object_free;
}

static int take_host(struct diag_statsd_sender *sender, PyObject *host) {
    const char *text;
    Py_ssize_t size;

    if (host == NULL || host == Py_None)
        return 0;
    if (!PyUnicode_Check(host)) {
        PyErr_Format(PyExc_TypeError, "host: str or None is expected, not %.200s",
                     Py_TYPE(host)->tp_name);
        return -1;
    }
    text = PyUnicode_AsUTF8AndSize(host, &size);
    if (text == NULL)
        return -1;
    if (strlen(text) != (size_t)size) {
        PyErr_SetString(PyExc_ValueError, "host: has a NUL character");
        return -1;
    }
    sender->host = strdup(text);
    if (sender->host == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    return 0;
}

/* An int from `min` to `max`, or what is there already for None and NULL. */
static int take_integer(PyObject *object, const char *argument, long min, long max, long *out) {
    long number;

    if (object == NULL || object == Py_None)
        return 0;
    if (!PyLong_Check(object)) {
        PyErr_Format(PyExc_TypeError, "%s: int is expected, not %.200s", argument,
                     Py_TYPE(object)->tp_name);
        return -1;
    }
    number = PyLong_AsLong(object);
    if (number == -1 && PyErr_Occurred())
        PyErr_Clear();
    if (number < min || number > max) {
        PyErr_Format(PyExc_ValueError, "%s: must be from %ld to %ld", argument, min, max);
        return -1;
    }
    *out = number;
    return 0;
}

static int take_prefix(struct diag_statsd_sender *sender, PyObject *prefix) {
    struct diag_statsd_text text;
    enum diag_status status;

    if (prefix == NULL || prefix == Py_None)
        return 0;
    if (!PyUnicode_Check(prefix)) {
        PyErr_Format(PyExc_TypeError, "prefix: str is expected, not %.200s",
                     Py_TYPE(prefix)->tp_name);
        return -1;
    }
    if (diag_statsd_text_take(&text, prefix, "prefix") < 0)
        return -1;
    status = diag_statsd_put_prefix(&sender->prefix, text.bytes);
    diag_statsd_text_done(&text);
    if (status != DIAG_OK) {
        PyErr_NoMemory();
        return -1;
    }
    return 0;
}

/* What is given is looked at right away; what the environment has to add, when it is needed. */
static int check_peer(const struct diag_statsd_sender *sender) {
    struct diag_statsd_peer peer;
    struct diag_error err;

    if (sender->host == NULL)
        return 0;
    if (diag_statsd_peer_make(sender->host,
                              sender->port == 0 ? DIAG_STATSD_PORT_DEFAULT : sender->port, &peer,
                              &err) != DIAG_OK)
        return diag_statsd_raise(&err);
    return 0;
}

static int object_init(PyObject *self, PyObject *args, PyObject *kwargs) {
    static char host_keyword[] = "host", port_keyword[] = "port", prefix_keyword[] = "prefix",
                tags_keyword[] = "tags", max_keyword[] = "max_datagram";
    static char *keywords[] = {host_keyword, port_keyword, prefix_keyword,
                               tags_keyword, max_keyword,  NULL};
    struct diag_statsd_sender made = {.max_datagram = DIAG_STATSD_DATAGRAM_DEFAULT}, before;
    PyObject *host = NULL, *port = NULL, *prefix = NULL, *tags = NULL, *max = NULL;
    long max_datagram = DIAG_STATSD_DATAGRAM_DEFAULT;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|OOOOO:StatsD", keywords, &host, &port, &prefix,
                                     &tags, &max))
        return -1;
    if (take_host(&made, host) < 0 || take_integer(port, "port", 1, UINT16_MAX, &made.port) < 0 ||
        check_peer(&made) < 0 || take_prefix(&made, prefix) < 0 ||
        diag_statsd_tags_take(&made.common_tags, tags) < 0 ||
        take_integer(max, "max_datagram", DIAG_STATSD_DATAGRAM_MIN, DIAG_STATSD_DATAGRAM_MAX,
                     &max_datagram) < 0) {
        diag_statsd_sender_done(&made);
        return -1;
    }
    made.max_datagram = (size_t)max_datagram;
    made.random_state = (uint64_t)(uintptr_t)self;
    before = *sender_of(self);
    *sender_of(self) = made;
    diag_statsd_sender_done(&before);
    return 0;
}

/* ---- methods that send ---- */

enum { NAME, VALUE, TAGS, SAMPLE_RATE, ARGUMENT_COUNT };
static const char *const argument_names[ARGUMENT_COUNT] = {"name", "value", "tags", "sample_rate"};

static int find_argument(PyObject *keyword) {
    for (int i = 0; i < ARGUMENT_COUNT; i++)
        if (PyUnicode_CompareWithASCIIString(keyword, argument_names[i]) == 0)
            return i;
    return -1;
}

/* Into `out`, which is all NULL; `needed` of them must be there. */
static int parse(const char *method, int needed, PyObject *const *args, Py_ssize_t arg_count,
                 PyObject *keywords, PyObject *out[ARGUMENT_COUNT]) {
    Py_ssize_t keyword_count = keywords == NULL ? 0 : PyTuple_GET_SIZE(keywords);

    if (arg_count > ARGUMENT_COUNT) {
        PyErr_Format(PyExc_TypeError, "%s() takes at most %d arguments (%zd given)", method,
                     ARGUMENT_COUNT, arg_count);
        return -1;
    }
    for (Py_ssize_t i = 0; i < arg_count; i++)
        out[i] = args[i];
    for (Py_ssize_t i = 0; i < keyword_count; i++) {
        PyObject *keyword = PyTuple_GET_ITEM(keywords, i);
        int index = find_argument(keyword);

        if (index < 0 || out[index] != NULL) {
            PyErr_Format(PyExc_TypeError,
                         index < 0 ? "%s() got an unexpected keyword argument '%U'"
                                   : "%s() got multiple values for argument '%U'",
                         method, keyword);
            return -1;
        }
        out[index] = args[arg_count + i];
    }
    for (int i = 0; i < needed; i++)
        if (out[i] == NULL) {
            PyErr_Format(PyExc_TypeError, "%s() missing required argument: '%s'", method,
                         argument_names[i]);
            return -1;
        }
    return 0;
}

static int take_rate(PyObject *object, double *rate) {
    if (object == NULL || object == Py_None)
        return 0;
    if (!PyFloat_Check(object) && !PyLong_Check(object)) {
        PyErr_Format(PyExc_TypeError, "sample_rate: a number is expected, not %.200s",
                     Py_TYPE(object)->tp_name);
        return -1;
    }
    *rate = PyFloat_AsDouble(object);
    return *rate == -1.0 && PyErr_Occurred() ? -1 : 0;
}

static PyObject *call(PyObject *self, const char *method, int needed, struct diag_statsd_call call,
                      PyObject *const *args, Py_ssize_t arg_count, PyObject *keywords) {
    PyObject *given[ARGUMENT_COUNT] = {NULL};

    call.sample_rate = 1;
    if (parse(method, needed, args, arg_count, keywords, given) < 0 ||
        take_rate(given[SAMPLE_RATE], &call.sample_rate) < 0)
        return NULL;
    call.name = given[NAME];
    call.value = given[VALUE];
    call.tags = given[TAGS];
    if (diag_statsd_sender_send(sender_of(self), &call) < 0)
        return NULL;
    Py_RETURN_NONE;
}

#define DEFINE_METHOD(method, needed, ...)                                                         \
    static PyObject *object_##method(PyObject *self, PyObject *const *args, Py_ssize_t arg_count,  \
                                     PyObject *keywords) {                                         \
        return call(self, #method, needed, (struct diag_statsd_call){__VA_ARGS__}, args,           \
                    arg_count, keywords);                                                          \
    }
DEFINE_METHOD(increment, 1, .type = DIAG_STATSD_COUNTER)
DEFINE_METHOD(decrement, 1, .type = DIAG_STATSD_COUNTER, .is_negated = true)
DEFINE_METHOD(histogram, 2, .type = DIAG_STATSD_HISTOGRAM)
DEFINE_METHOD(gauge, 2, .type = DIAG_STATSD_GAUGE)
DEFINE_METHOD(timing, 2, .type = DIAG_STATSD_TIMING)
DEFINE_METHOD(distribution, 2, .type = DIAG_STATSD_DISTRIBUTION)
DEFINE_METHOD(set, 2, .type = DIAG_STATSD_SET)

PyDoc_STRVAR(
    increment_doc,
    "increment($self, name, value=1, tags=None, sample_rate=1)\n--\n\n"
    "Adds to a counter.\n\n"
    "name: str, put after the object's prefix.\n"
    "value: int or float, or a list or tuple of numbers or of (number, tags) pairs: a\n"
    "    metric for each, in as few datagrams as hold them.\n"
    "tags: dict, list of str, or str, beside those of the object and of a pair.\n"
    "sample_rate: above 0, up to 1: the part of the metrics that is sent, by chance; the\n"
    "    server is told and scales counters up.\n\n"
    "Never blocks; what the network makes of it is counted by sent, dropped and failed.\n\n"
    "Raises TypeError or ValueError, and then nothing was sent: an argument is of the\n"
    "wrong type, a number is not finite, name is empty or begins with '_sc', a metric is\n"
    "longer than a datagram, or the environment's address is wrong.");
PyDoc_STRVAR(decrement_doc, "decrement($self, name, value=1, tags=None, sample_rate=1)\n--\n\n"
                            "Subtracts from a counter; the rest is as for increment().");
PyDoc_STRVAR(histogram_doc,
             "histogram($self, name, value, tags=None, sample_rate=1)\n--\n\n"
             "Adds a value to the distribution that the agent works out on each host, of type h.\n"
             "The unit is the application's; the rest is as for increment().");
PyDoc_STRVAR(gauge_doc,
             "gauge($self, name, value, tags=None, sample_rate=1)\n--\n\n"
             "Sets a value that stays until it is set again; the rest is as for increment().\n"
             "Servers do not scale gauges by sample_rate. DogStatsD takes a negative value as it\n"
             "is; the original statsd subtracts it from the gauge.");
PyDoc_STRVAR(timing_doc, "timing($self, name, value, tags=None, sample_rate=1)\n--\n\n"
                         "Adds a duration in milliseconds, of type ms; the rest is as for\n"
                         "increment().");
PyDoc_STRVAR(distribution_doc,
             "distribution($self, name, value, tags=None, sample_rate=1)\n--\n\n"
             "Adds a value to the distribution over all hosts, of type d; the rest is as for\n"
             "histogram().");
PyDoc_STRVAR(set_doc, "set($self, name, value, tags=None, sample_rate=1)\n--\n\n"
                      "Counts how many different values there are. value: a number or a str, or a\n"
                      "list of them as for increment(), where the rest is described.");

/* ---- other methods ---- */

PyDoc_STRVAR(
    connect_doc,
    "connect($self)\n--\n\n"
    "Looks the host up and opens the socket now, which the first send would do otherwise:\n"
    "of a host by name, metrics are dropped until it has been looked up. May block for as\n"
    "long as looking up takes. Calling it again looks the host up again.\n\n"
    "Raises OSError (no such host; with a unix socket, nobody listens) or ValueError (the\n"
    "environment's address is wrong).");

static PyObject *object_connect(PyObject *self, PyObject *Py_UNUSED(ignored)) {
    struct diag_statsd_sender *sender = sender_of(self);
    struct diag_statsd_address address;
    struct diag_statsd_peer peer;
    enum diag_status status;
    struct diag_error err;

    if (diag_statsd_sender_need_client(sender) < 0)
        return NULL;
    peer = *diag_statsd_client_peer(sender->client);
    Py_BEGIN_ALLOW_THREADS;
    status = diag_statsd_address_resolve(&peer, &address, &err);
    Py_END_ALLOW_THREADS;
    /* another thread may have called __init__ meanwhile, and then this is about the past */
    if (status == DIAG_OK && sender->client != NULL &&
        memcmp(diag_statsd_client_peer(sender->client), &peer, sizeof peer) == 0)
        status = diag_statsd_client_open(sender->client, &address, &err);
    if (status != DIAG_OK) {
        diag_statsd_raise(&err);
        return NULL;
    }
    Py_RETURN_NONE;
}

PyDoc_STRVAR(close_doc, "close($self)\n--\n\n"
                        "Closes the socket. The next send opens one again. Idempotent.");

static PyObject *object_close(PyObject *self, PyObject *Py_UNUSED(ignored)) {
    if (sender_of(self)->client != NULL)
        diag_statsd_client_close(sender_of(self)->client);
    Py_RETURN_NONE;
}

static struct diag_statsd_counts counts_of(PyObject *self) {
    static const struct diag_statsd_counts none;
    const struct diag_statsd_client *client = sender_of(self)->client;

    return client == NULL ? none : diag_statsd_client_counts(client);
}

static PyObject *get_sent(PyObject *self, void *Py_UNUSED(closure)) {
    return PyLong_FromUnsignedLongLong(counts_of(self).sent);
}

static PyObject *get_dropped(PyObject *self, void *Py_UNUSED(closure)) {
    return PyLong_FromUnsignedLongLong(counts_of(self).dropped);
}

static PyObject *get_failed(PyObject *self, void *Py_UNUSED(closure)) {
    return PyLong_FromUnsignedLongLong(counts_of(self).failed);
}

static PyObject *get_address(PyObject *self, void *Py_UNUSED(closure)) {
    char text[DIAG_STATSD_PEER_TEXT_MAX];
    struct diag_statsd_peer peer;

    if (diag_statsd_sender_peer(sender_of(self), &peer) < 0)
        return NULL;
    diag_statsd_peer_describe(&peer, text);
    return PyUnicode_FromString(text);
}

static PyObject *object_repr(PyObject *self) {
    struct diag_statsd_counts counts = counts_of(self);
    PyObject *address = get_address(self, NULL), *text;

    if (address == NULL) { /* repr is for those who look for what is wrong */
        PyErr_Clear();
        address = PyUnicode_FromString("(no address)");
        if (address == NULL)
            return NULL;
    }
    text =
        PyUnicode_FromFormat("<%s %U sent=%llu dropped=%llu failed=%llu>", Py_TYPE(self)->tp_name,
                             address, (unsigned long long)counts.sent,
                             (unsigned long long)counts.dropped, (unsigned long long)counts.failed);
    Py_DECREF(address);
    return text;
}

/* ---- the type ---- */

static PyMethodDef methods[] = {
    {"increment", METHOD(object_increment), increment_doc},
    {"decrement", METHOD(object_decrement), decrement_doc},
    {"histogram", METHOD(object_histogram), histogram_doc},
    {"gauge", METHOD(object_gauge), gauge_doc},
    {"timing", METHOD(object_timing), timing_doc},
    {"distribution", METHOD(object_distribution), distribution_doc},
    {"set", METHOD(object_set), set_doc},
    {"connect", object_connect, METH_NOARGS, connect_doc},
    {"close", object_close, METH_NOARGS, close_doc},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef properties[] = {
    {"sent", get_sent, NULL, "int: metrics handed to the system, which has not refused them since.",
     NULL},
    {"dropped", get_dropped, NULL,
     "int: metrics that there was no room for in the socket's buffer, or no address yet.", NULL},
    {"failed", get_failed, NULL,
     "int: metrics refused by the system or the server's host, or with nowhere to go.", NULL},
    {"address", get_address, NULL,
     "str: \"host:port\" or \"unix:///path\". ValueError if the environment's is wrong.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

PyDoc_STRVAR(type_doc,
             "StatsD(host=None, port=None, prefix='', tags=None, max_datagram=1432)\n--\n\n"
             "A client of DogStatsD that never blocks and, unless an argument is wrong, never\n"
             "raises. Nothing is opened before the first send or connect().\n\n"
             "host: name, IPv4 or IPv6 address, or \"unix:///path\". By default $DD_DOGSTATSD_URL\n"
             "    (udp://host:port or unix:///path), or $DD_AGENT_HOST, or localhost; the\n"
             "    environment is read when the first metric is sent.\n"
             "port: 1 to 65535. By default $DD_DOGSTATSD_PORT, or 8125.\n"
             "prefix: put before every name, with a dot between.\n"
             "tags: dict, list of str, or str, put on every metric.\n"
             "max_datagram: bytes, 64 to 65507. Metrics of one call share datagrams up to it.\n\n"
             "What would break the protocol in names and tags becomes \"_\". A process that forks\n"
             "may use the object on both sides; the child's counts begin with its parent's.\n\n"
             "Raises TypeError or ValueError; the message names the argument.");

static PyType_Slot slots[] = {
    {Py_tp_doc, (void *)(uintptr_t)type_doc},
    {Py_tp_new, SLOT(object_new)},
    {Py_tp_init, SLOT(object_init)},
    {Py_tp_dealloc, SLOT(object_free)},
    {Py_tp_repr, SLOT(object_repr)},
    {Py_tp_methods, methods},
    {Py_tp_getset, properties},
    {0, NULL},
};

/* Immutable: what is of this very type has the methods that are written here. */
static PyType_Spec spec = {
    .name = "diagnose.instruments.StatsD",
    .basicsize = sizeof(struct statsd_object),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = slots,
};

int diag_statsd_object_add_type(PyObject *module) {
    PyObject *type = PyType_FromModuleAndSpec(module, &spec, NULL);
    int result = type == NULL ? -1 : PyModule_AddType(module, (PyTypeObject *)type);

    Py_XDECREF(type);
    return result;
}
