/* SPDX-License-Identifier: MIT */
/* fuzz_input - takes an input apart, and ends the process when a promise is broken. */
#ifndef DIAG_TESTS_FUZZ_FUZZ_INPUT_H
#define DIAG_TESTS_FUZZ_FUZZ_INPUT_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/bytes.h"

#define MUST(condition)                                                                            \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #condition);         \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The next `size` bytes, or what is left. */
static inline struct diag_bytes take_bytes(struct diag_bytes *input, size_t size) {
    struct diag_bytes taken = {input->data, size < input->size ? size : input->size};

    input->data += taken.size;
    input->size -= taken.size;
    return taken;
}

static inline uint64_t take_integer(struct diag_bytes *input, size_t size) {
    struct diag_bytes taken = take_bytes(input, size);
    uint64_t value = 0;

    memcpy(&value, taken.data, taken.size);
    return value;
}

#endif
