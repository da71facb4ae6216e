/* SPDX-License-Identifier: MIT */
#include "deploy/webhook/json_memory.h"

#include <jansson.h>
#include <malloc.h>
#include <stdlib.h>

static _Thread_local struct {
    bool is_counting, has_failed;
    size_t used, limit;
} account;

static void *allocate(size_t size) {
    bool is_over =
        account.is_counting && (size > account.limit || account.used > account.limit - size);
    void *memory = is_over ? NULL : malloc(size);

    if (memory == NULL)
        account.has_failed = true;
    else if (account.is_counting)
        account.used += malloc_usable_size(memory);
    return memory;
}

static void release(void *memory) {
    if (memory != NULL && account.is_counting)
        account.used -= malloc_usable_size(memory);
    free(memory);
}

void diag_json_memory_install(void) {
    json_set_alloc_funcs(allocate, release);
}

void diag_json_memory_begin(size_t limit) {
    account.is_counting = true;
    account.has_failed = false;
    account.used = 0;
    account.limit = limit;
}

bool diag_json_memory_has_failed(void) {
    return account.has_failed;
}

size_t diag_json_memory_end(void) {
    account.is_counting = false;
    return account.used;
}

void diag_json_memory_trim(void) {
    malloc_trim(0);
}
