/* SPDX-License-Identifier: MIT */
/* target_judge - what can be probed of the object that a path has led to.
 *
 * Threading: the GIL. No Python exception is set afterwards. */
#ifndef DIAG_INPROC_ENGINE_TARGET_JUDGE_H
#define DIAG_INPROC_ENGINE_TARGET_JUDGE_H

#include "inproc/engine/target.h"
#include "inproc/engine/target_walk.h"

/* FOUND or REFUSED. `text`: the path, for messages. `place` is used up. */
void diag_target_judge(struct diag_target_place *place, const char *text, enum diag_point point,
                       struct diag_target *out);

#endif
