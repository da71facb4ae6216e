/* SPDX-License-Identifier: MIT */
/* compiler - what we ask of the compiler, by name. No code. */
#ifndef DIAG_LIB_BASE_COMPILER_H
#define DIAG_LIB_BASE_COMPILER_H

#ifdef __cplusplus
#define DIAG_DECLS_BEGIN extern "C" {
#define DIAG_DECLS_END }
#else
#define DIAG_DECLS_BEGIN
#define DIAG_DECLS_END
#endif

#define DIAG_MUST_CHECK __attribute__((warn_unused_result))
#define DIAG_PRINTF(format_index, first_argument)                                                  \
    __attribute__((format(printf, format_index, first_argument)))
#define DIAG_UNUSED __attribute__((unused))
#define DIAG_LIKELY(condition) __builtin_expect(!!(condition), 1)
#define DIAG_UNLIKELY(condition) __builtin_expect(!!(condition), 0)
#define DIAG_ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

/* The struct that holds `member`, given the member's address. */
#define DIAG_CONTAINER_OF(pointer, type, member)                                                   \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

#endif
