/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "lib/spec/spec.h"
#include "lib/spec/spec_text.h"

#define LINE_PREFIX "line:"
#define SHOWN_MAX 64

static enum diag_status refuse(const char *text, struct diag_error *err) {
    if (strcmp(text, "hotspots") == 0)
        return diag_error_set(err, DIAG_ERR_INVALID, 0,
                              "instrument.event: \"hotspots\" is no event, but a name for "
                              "expressions; use it in instrument.value with event: return");
    if (strcmp(text, "line") == 0 || strcmp(text, LINE_PREFIX) == 0)
        return diag_error_set(err, DIAG_ERR_INVALID, 0,
                              "instrument.event: \"%s\" names no line; expected line:N, such as "
                              "line:42",
                              text);
    return diag_error_set(err, DIAG_ERR_INVALID, 0,
                          "instrument.event: \"%.*s\" is not one of: call, return, end, line:N",
                          diag_spec_shown_size(text, SHOWN_MAX), text);
}

enum diag_status diag_spec_event_parse(const char *text, enum diag_spec_event *out, int *line,
                                       struct diag_error *err) {
    static const char *const names[] = {
        [DIAG_SPEC_EVENT_CALL] = "call",
        [DIAG_SPEC_EVENT_RETURN] = "return",
        [DIAG_SPEC_EVENT_END] = "end",
    };
    const char *number = text + strlen(LINE_PREFIX);

    for (size_t i = 0; i < DIAG_ARRAY_SIZE(names); i++) {
        if (strcmp(text, names[i]) == 0) {
            *out = (enum diag_spec_event)i;
            return DIAG_OK;
        }
    }
    if (strncmp(text, LINE_PREFIX, strlen(LINE_PREFIX)) != 0 || *number == '\0')
        return refuse(text, err);
    if (!diag_spec_line_parse(number, line))
        return diag_error_set(err, DIAG_ERR_INVALID, 0,
                              "instrument.event: \"%.*s\": " DIAG_SPEC_LINE_RULE,
                              diag_spec_shown_size(text, SHOWN_MAX), text);
    *out = DIAG_SPEC_EVENT_LINE;
    return DIAG_OK;
}
