/* SPDX-License-Identifier: MIT */
/* c_proxy - an object that stands in for a callable: calls go through a listener, everything else
 * that is asked of it is asked of the callable. Only type() and `is` tell them apart.
 *
 * Threading: the GIL. */
#ifndef DIAG_INPROC_ENGINE_C_PROXY_H
#define DIAG_INPROC_ENGINE_C_PROXY_H

#include "inproc/engine/c_listener.h"

/* A new reference; takes one to the listener. NULL: out of memory; no exception is set. */
PyObject *diag_c_proxy_new(struct diag_c_listener *listener);

/* From now on calls just go on to the callable. */
void diag_c_proxy_silence(PyObject *proxy);

/* Borrowed: what it stands in for; NULL: it is no proxy. */
PyObject *diag_c_proxy_original(PyObject *object);

#endif
