/* SPDX-License-Identifier: MIT */
/* spec - what to instrument, how and for how long. Pure: no I/O, no Python, no gRPC.
 *
 * Threading: none needed; a spec is immutable once built, and may then be read by any thread.
 * Ownership: a spec owns its strings. */
#ifndef DIAG_LIB_SPEC_SPEC_H
#define DIAG_LIB_SPEC_SPEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/cleanup.h"
#include "lib/base/error.h"

DIAG_DECLS_BEGIN

#define DIAG_SPEC_ID_MAX 128
#define DIAG_SPEC_TARGET_MAX 512
#define DIAG_SPEC_NAME_MAX 256
#define DIAG_SPEC_EXPRESSION_MAX 8192
#define DIAG_SPEC_CUSTOM_MAX 16384
#define DIAG_SPEC_LABELS_MAX 32
#define DIAG_SPEC_LABEL_MAX 320
#define DIAG_SPEC_LIFESPAN_MAX_MS UINT64_C(2592000000) /* 30 days */

struct diag_label {
    char *key;
    char *value;
};

struct diag_instrument {
    char *type;  /* "log", "incr" or "hist" */
    char *name;  /* never empty: the spec's id by default */
    char *value; /* Python expression */
    char *event; /* see enum diag_spec_event */
    char *tags;  /* Python expression out of custom["tags"], or NULL */
};

struct diag_spec {
    char *id;
    char *target;
    struct diag_instrument instrument;
    struct diag_label *match_labels; /* all must match; none: every sidecar */
    size_t match_label_count;
    uint64_t lifespan_ms;
    /* Set by the controller, 0 before. */
    uint64_t revision;
    uint64_t created_unix_ns;
    uint64_t modified_unix_ns;
    uint64_t expires_unix_ns;
};

/* When an instrument fires: "call", "return", "end", "line:N". */
enum diag_spec_event {
    DIAG_SPEC_EVENT_CALL,   /* before the function runs */
    DIAG_SPEC_EVENT_RETURN, /* after it has returned or raised */
    DIAG_SPEC_EVENT_END,    /* inside of it, just before it returns or raises */
    DIAG_SPEC_EVENT_LINE,   /* inside of it, just before line N of its file is executed */
};

/* NULL is fine. */
void diag_spec_free(struct diag_spec *spec);
DIAG_DEFINE_FREEP(diag_spec, struct diag_spec)

/* Checks every field against its limits and form. DIAG_ERR_INVALID; the message begins with the
 * field's path: `instrument.event: "retrun" is not one of: call, return, end, line:N`. */
DIAG_MUST_CHECK enum diag_status diag_spec_validate(const struct diag_spec *spec,
                                                    struct diag_error *err);

/* Checks only an id, as in Get and Delete. */
DIAG_MUST_CHECK enum diag_status diag_spec_validate_id(const char *id, struct diag_error *err);

/* Reads an instrument's event. `*line` is set for LINE only: 1 to INT_MAX. DIAG_ERR_INVALID as from
 * diag_spec_validate. */
DIAG_MUST_CHECK enum diag_status diag_spec_event_parse(const char *text, enum diag_spec_event *out,
                                                       int *line, struct diag_error *err);

/* True if the target is of the form FILE:LINE, not dotted names. The file is the first `*file_size`
 * bytes; outputs may be NULL. For targets that diag_spec_validate has accepted. */
bool diag_spec_target_is_line(const char *target, size_t *file_size, int *line);

/* True if both ask for the same (ids included, the controller's own fields left out). */
bool diag_spec_equal(const struct diag_spec *a, const struct diag_spec *b);

/* True if `labels` has every label of the spec's selector. */
bool diag_spec_matches(const struct diag_spec *spec, const struct diag_label *labels,
                       size_t label_count);

static inline bool diag_spec_is_expired(const struct diag_spec *spec, uint64_t now_unix_ns) {
    return spec->expires_unix_ns != 0 && now_unix_ns >= spec->expires_unix_ns;
}

DIAG_DECLS_END

#endif
