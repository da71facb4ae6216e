/* SPDX-License-Identifier: MIT */
/* names - the interned texts that the library looks things up by.
 *
 * Threading: the GIL. */
#ifndef DIAG_INPROC_LIBRARY_NAMES_H
#define DIAG_INPROC_LIBRARY_NAMES_H

#define DIAG_NAMES(F)                                                                              \
    F(MODULE, "__module__")                                                                        \
    F(QUALNAME, "__qualname__")                                                                    \
    F(FUNC, "__func__")                                                                            \
    F(NAME, "name")                                                                                \
    F(VALUE, "value")                                                                              \
    F(EVENT, "event")                                                                              \
    F(EXPIRES, "expires")                                                                          \
    F(CUSTOM, "custom")                                                                            \
    F(MGR, "mgr")                                                                                  \
    F(TAGS, "tags")                                                                                \
    F(OUT, "out")                                                                                  \
    F(ALTERS, "alters")                                                                            \
    F(ERROR_EXPIRATION, "error_expiration")                                                        \
    F(EVALUATE, "evaluate")                                                                        \
    F(MERGE_TAGS, "merge_tags")                                                                    \
    F(FIRE, "fire")                                                                                \
    F(EMIT, "emit")                                                                                \
    F(CHECK_CALL, "check_call")                                                                    \
    F(HANDLE_ERROR, "handle_error")                                                                \
    F(FINISH, "finish")                                                                            \
    F(INTERCEPT, "intercept")                                                                      \
    F(GET_TAGS, "get_tags")                                                                        \
    F(GLOBAL_NAMESPACE, "global_namespace")                                                        \
    F(MANAGER, "manager")                                                                          \
    F(STATSD, "statsd")                                                                            \
    F(HISTOGRAM, "histogram")                                                                      \
    F(INCREMENT, "increment")                                                                      \
    F(WRITE, "write")                                                                              \
    F(UTCOFFSET, "utcoffset")

enum diag_name {
#define DIAG_NAME_MEMBER(name, text) DIAG_NAME_##name,
    DIAG_NAMES(DIAG_NAME_MEMBER)
#undef DIAG_NAME_MEMBER
        DIAG_NAME_COUNT
};

#endif
