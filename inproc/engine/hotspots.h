/* SPDX-License-Identifier: MIT */
/* hotspots - how long each line of one call took, deeper calls included: the context name
 * `hotspots`, as the seed of the library describes it.
 *
 * Threading: the GIL; one call's, which may move between threads if it is a coroutine's. */
#ifndef DIAG_INPROC_ENGINE_HOTSPOTS_H
#define DIAG_INPROC_ENGINE_HOTSPOTS_H

#include <stdint.h>

#include "inproc/engine/pycompat.h"

struct diag_hotspots;

/* NULL: out of memory. The caller has the one reference. */
struct diag_hotspots *diag_hotspots_new(PyCodeObject *code);
void diag_hotspots_unref(struct diag_hotspots *hotspots); /* NULL is fine */

/* `line` is about to be executed; the one before it is done. */
void diag_hotspots_line(struct diag_hotspots *hotspots, int line, uint64_t now_ns);
/* The frame is suspended and resumed; the time between does not count. */
void diag_hotspots_pause(struct diag_hotspots *hotspots, uint64_t now_ns);
void diag_hotspots_resume(struct diag_hotspots *hotspots, uint64_t now_ns);
/* The last line is done. */
void diag_hotspots_end(struct diag_hotspots *hotspots, uint64_t now_ns);

/* Takes a reference; to be called when the last line is done. A new object with the attributes
 * `slowest` and `worst` (of the line with the slowest single execution, and the worst cumulated
 * time: (time, lineno, source), times in seconds; None if no line was seen), `calls` (a dict of
 * lineno: [count, max, sum]), `filename` and `source(lineno)`. NULL with an exception. */
PyObject *diag_hotspots_object(struct diag_hotspots *hotspots, PyCodeObject *code,
                               PyObject *globals);

#endif
