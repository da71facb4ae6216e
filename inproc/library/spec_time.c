/* SPDX-License-Identifier: MIT */
#include "inproc/library/spec_time.h"

#include <datetime.h>
#include <math.h>

#include "inproc/library/spec_document.h"

#define US_PER_SECOND INT64_C(1000000)
#define US_PER_MINUTE (60 * US_PER_SECOND)
#define US_PER_DAY (86400 * US_PER_SECOND)
#define DAYS_PER_400_YEARS 146097
#define DAYS_TO_EPOCH 719468 /* from the 1st of March of the year 0 */
#define END_DAYS 2932897     /* the year 10000 begins, days since the epoch */

/* At first use: there are interpreters without it in which the package is to be imported all the
 * same. */
static int need_datetime(void) {
    if (PyDateTimeAPI == NULL)
        PyDateTime_IMPORT;
    return PyDateTimeAPI == NULL ? -1 : 0;
}

/* Days since the epoch. Years are counted from March, so that the leap day is their last. */
static int64_t days_of(int year, int month, int day) {
    int64_t shifted = year - (month <= 2);
    int64_t era = shifted / 400, year_of_era = shifted % 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

    return era * DAYS_PER_400_YEARS + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 +
           day_of_year - DAYS_TO_EPOCH;
}

/* The error of a tzinfo is one of the document's. */
static void name_key(void) {
    PyObject *error;

    if (!PyErr_ExceptionMatches(PyExc_Exception))
        return;
    error = diag_py_take_exception();
    PyErr_Format(PyExc_ValueError, "lastmodified: its utcoffset() raised %s: %S",
                 Py_TYPE(error)->tp_name, error);
    Py_DECREF(error);
}

/* Microseconds that a tzinfo is ahead of UTC; naive: 0. */
static int offset_of(PyObject *time, int64_t *offset_us) {
    PyObject *offset;

    *offset_us = 0;
    if (PyDateTime_DATE_GET_TZINFO(time) == Py_None)
        return 0;
    offset = PyObject_CallMethod(time, "utcoffset", NULL);
    if (offset == NULL) {
        name_key();
        return -1;
    }
    if (PyDelta_Check(offset))
        *offset_us = PyDateTime_DELTA_GET_DAYS(offset) * US_PER_DAY +
                     PyDateTime_DELTA_GET_SECONDS(offset) * US_PER_SECOND +
                     PyDateTime_DELTA_GET_MICROSECONDS(offset);
    Py_DECREF(offset);
    return 0;
}

static int unix_us_of(PyObject *time, int64_t *unix_us) {
    int64_t offset_us;

    if (!PyDateTime_Check(time)) {
        PyErr_Format(PyExc_TypeError, "lastmodified: must be a datetime, not %s",
                     Py_TYPE(time)->tp_name);
        return -1;
    }
    if (offset_of(time, &offset_us) < 0)
        return -1;
    *unix_us =
        days_of(PyDateTime_GET_YEAR(time), PyDateTime_GET_MONTH(time), PyDateTime_GET_DAY(time)) *
            US_PER_DAY +
        ((PyDateTime_DATE_GET_HOUR(time) * 60 + PyDateTime_DATE_GET_MINUTE(time)) * INT64_C(60) +
         PyDateTime_DATE_GET_SECOND(time)) *
            US_PER_SECOND +
        PyDateTime_DATE_GET_MICROSECOND(time) - offset_us;
    return 0;
}

/* An int that no double can hold is as good as infinite, which a float must not be. */
static int minutes_of(PyObject *lifespan, double *minutes) {
    if (PyFloat_Check(lifespan)) {
        *minutes = PyFloat_AS_DOUBLE(lifespan);
        if (isfinite(*minutes))
            return 0;
        PyErr_Format(PyExc_ValueError,
                     "lifespan: must be a finite number of minutes, or None, not %R", lifespan);
        return -1;
    }
    if (!PyLong_Check(lifespan) || PyBool_Check(lifespan)) {
        PyErr_Format(PyExc_TypeError, "lifespan: must be a number of minutes, or None, not %s",
                     Py_TYPE(lifespan)->tp_name);
        return -1;
    }
    *minutes = PyLong_AsDouble(lifespan);
    if (*minutes == -1.0 && PyErr_Occurred()) {
        int overflow;

        if (!PyErr_ExceptionMatches(PyExc_OverflowError))
            return -1;
        PyErr_Clear();
        PyLong_AsLongAndOverflow(lifespan, &overflow);
        *minutes = overflow > 0 ? INFINITY : -INFINITY;
    }
    return 0;
}

int diag_spec_time_expiry(PyObject *lastmodified, PyObject *lifespan, int64_t *expires_us) {
    int64_t modified_us;
    double minutes;

    if (need_datetime() < 0 || unix_us_of(lastmodified, &modified_us) < 0)
        return -1;
    if (lifespan == Py_None) {
        *expires_us = DIAG_SPEC_NEVER;
        return 0;
    }
    if (minutes_of(lifespan, &minutes) < 0)
        return -1;
    if (minutes <= 0)
        *expires_us = DIAG_SPEC_AT_ONCE;
    else if (minutes >= (double)(END_DAYS * US_PER_DAY - modified_us) / US_PER_MINUTE)
        *expires_us = DIAG_SPEC_NEVER;
    else
        *expires_us = modified_us + (int64_t)(minutes * US_PER_MINUTE);
    return 0;
}

PyObject *diag_spec_time_datetime(int64_t unix_us) {
    int64_t days, rest_us, year_of_era, day_of_year, shifted_month, era, day_of_era;
    int year, month;

    if (unix_us == DIAG_SPEC_NEVER)
        Py_RETURN_NONE;
    if (need_datetime() < 0)
        return NULL;
    if (unix_us == DIAG_SPEC_AT_ONCE)
        unix_us = 0;
    rest_us = unix_us % US_PER_DAY + (unix_us % US_PER_DAY < 0 ? US_PER_DAY : 0);
    days = (unix_us - rest_us) / US_PER_DAY + DAYS_TO_EPOCH;
    era = days / DAYS_PER_400_YEARS;
    day_of_era = days % DAYS_PER_400_YEARS;
    year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    shifted_month = (5 * day_of_year + 2) / 153;
    month = (int)(shifted_month < 10 ? shifted_month + 3 : shifted_month - 9);
    year = (int)(year_of_era + era * 400 + (month <= 2));
    return PyDateTime_FromDateAndTime(
        year, month, (int)(day_of_year - (153 * shifted_month + 2) / 5 + 1),
        (int)(rest_us / (60 * US_PER_MINUTE)), (int)(rest_us / US_PER_MINUTE % 60),
        (int)(rest_us / US_PER_SECOND % 60), (int)(rest_us % US_PER_SECOND));
}
