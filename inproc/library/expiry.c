/* SPDX-License-Identifier: MIT */
#include "inproc/library/expiry.h"

#include <datetime.h>
#include <time.h>

#include "lib/base/clock.h"

#define YEAR_LAST 2500 /* nanoseconds in 64 bits last a little longer */
#define S_PER_DAY 86400
#define NS_PER_US 1000

/* Imports the C half of the module `datetime`, which is all that is needed of it, and cheaper. */
static int import_api(void) {
    PyObject *module, *capsule;

    if (PyDateTimeAPI != NULL)
        return 0;
    module = PyImport_ImportModule("_datetime");
    capsule = module == NULL ? NULL : PyObject_GetAttrString(module, "datetime_CAPI");
    if (capsule != NULL)
        PyDateTimeAPI = PyCapsule_GetPointer(capsule, PyDateTime_CAPSULE_NAME);
    Py_XDECREF(capsule);
    Py_XDECREF(module);
    return PyDateTimeAPI == NULL ? -1 : 0;
}

/* What an aware datetime is ahead of UTC, in seconds; 0 of a naive one. */
static int utc_offset(PyObject *expires, int64_t *offset_s) {
    PyObject *delta;

    *offset_s = 0;
    if (PyDateTime_DATE_GET_TZINFO(expires) == Py_None)
        return 0;
    delta = PyObject_CallMethod(expires, "utcoffset", NULL);
    if (delta == NULL)
        return -1;
    if (PyDelta_Check(delta)) /* else None: a tzinfo that does not know is as good as none */
        *offset_s = (int64_t)PyDateTime_DELTA_GET_DAYS(delta) * S_PER_DAY +
                    PyDateTime_DELTA_GET_SECONDS(delta);
    Py_DECREF(delta);
    return 0;
}

static uint64_t to_unix_ns(PyObject *expires, int64_t offset_s) {
    struct tm tm = {
        .tm_year = PyDateTime_GET_YEAR(expires) - 1900,
        .tm_mon = PyDateTime_GET_MONTH(expires) - 1,
        .tm_mday = PyDateTime_GET_DAY(expires),
        .tm_hour = PyDateTime_DATE_GET_HOUR(expires),
        .tm_min = PyDateTime_DATE_GET_MINUTE(expires),
        .tm_sec = PyDateTime_DATE_GET_SECOND(expires),
    };
    int64_t unix_s;

    if (PyDateTime_GET_YEAR(expires) > YEAR_LAST)
        return UINT64_MAX;
    unix_s = (int64_t)timegm(&tm) - offset_s;
    if (unix_s < 1)
        return 1;
    return (uint64_t)unix_s * DIAG_NS_PER_S +
           (uint64_t)PyDateTime_DATE_GET_MICROSECOND(expires) * NS_PER_US;
}

int diag_expiry_parse(PyObject *expires, const char *key, uint64_t *unix_ns) {
    int64_t offset_s;

    if (expires == Py_None) {
        *unix_ns = 0;
        return 0;
    }
    if (import_api() < 0)
        return -1;
    if (!PyDateTime_Check(expires)) {
        PyErr_Format(PyExc_TypeError, "%s: must be a datetime or None, not %.200s", key,
                     Py_TYPE(expires)->tp_name);
        return -1;
    }
    if (utc_offset(expires, &offset_s) < 0)
        return -1;
    *unix_ns = to_unix_ns(expires, offset_s);
    return 0;
}

PyObject *diag_expiry_epoch(void) {
    return import_api() < 0 ? NULL : PyDateTime_FromDateAndTime(1970, 1, 1, 0, 0, 0, 0);
}
