/* SPDX-License-Identifier: MIT */
/* binding_terms - what a binding gives to the engine, as a spec and a handler.
 *
 * Threading: the GIL. */
#ifndef DIAG_INPROC_LIBRARY_BINDING_TERMS_H
#define DIAG_INPROC_LIBRARY_BINDING_TERMS_H

#include "inproc/library/binding.h"

#define DIAG_BINDING_ID_MAX 40

void diag_binding_id(const struct diag_binding *binding, char id[DIAG_BINDING_ID_MAX]);

/* What holds now. -1 with an exception. */
DIAG_MUST_CHECK int diag_binding_terms_take(struct diag_binding *binding,
                                            struct diag_binding_terms *out);
void diag_binding_terms_done(struct diag_binding_terms *terms);
bool diag_binding_terms_equal(const struct diag_binding_terms *a,
                              const struct diag_binding_terms *b);

/* Hands them to the engine. DIAG_ERR_UNAVAILABLE: the engine is at work on this very thread. */
DIAG_MUST_CHECK enum diag_status diag_binding_terms_put(struct diag_binding *binding,
                                                        const struct diag_binding_terms *terms,
                                                        struct diag_engine *engine,
                                                        struct diag_error *err);

/* True if the engine waits for its target. */
bool diag_binding_is_pending(const struct diag_binding *binding);

/* Of one that waits: DIAG_ERR_NOT_FOUND if it is for a name that its module, imported as it is, has
 * not. */
DIAG_MUST_CHECK enum diag_status diag_binding_check_target(const struct diag_binding *binding,
                                                           struct diag_error *err);

#endif
