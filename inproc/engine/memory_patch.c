/* SPDX-License-Identifier: MIT */
/* How it works: the kernel is asked to copy the pointer's own value over it, which fails on a
 * read-only page instead of ending the process; only then are the mappings looked up, as there may
 * be thousands of them. */
#include "inproc/engine/memory_patch.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#define MAPPING_LINE_MAX 512

static bool is_writable(void *address) {
    void *value = __atomic_load_n((void **)address, __ATOMIC_RELAXED);
    struct iovec from = {&value, sizeof value}, to = {address, sizeof value};

    return process_vm_writev(getpid(), &from, 1, &to, 1, 0) == (ssize_t)sizeof value;
}

/* The page's PROT_* bits; -1: not found. */
static int protection_of(uintptr_t address) {
    FILE *maps = fopen("/proc/self/maps", "re");
    char line[MAPPING_LINE_MAX];
    int protection = -1;

    while (maps != NULL && protection < 0 && fgets(line, sizeof line, maps) != NULL) {
        uintptr_t start, end;
        char flags[5];

        if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %4s", &start, &end, flags) == 3 &&
            address >= start && address < end)
            protection = (flags[0] == 'r' ? PROT_READ : 0) | (flags[1] == 'w' ? PROT_WRITE : 0) |
                         (flags[2] == 'x' ? PROT_EXEC : 0);
    }
    if (maps != NULL)
        fclose(maps);
    return protection;
}

static void store(void *address, const void *value) {
    __atomic_store_n((const void **)address, value, __ATOMIC_RELEASE);
}

enum diag_status diag_memory_patch(void *address, const void *value, struct diag_error *err) {
    uintptr_t page_size = (uintptr_t)sysconf(_SC_PAGESIZE);
    void *page = (void *)((uintptr_t)address & ~(page_size - 1));
    int protection;

    if (is_writable(address)) {
        store(address, value);
        return DIAG_OK;
    }
    protection = protection_of((uintptr_t)address);
    if (protection < 0)
        return diag_error_set(err, DIAG_ERR_PERMISSION, 0,
                              "the memory of the function's definition is not to be found");
    if (!(protection & PROT_WRITE) && mprotect(page, page_size, protection | PROT_WRITE) < 0)
        return diag_error_set(err, DIAG_ERR_PERMISSION, errno,
                              "the memory of the function's definition is read-only");
    store(address, value);
    if (!(protection & PROT_WRITE) && mprotect(page, page_size, protection) < 0)
        return DIAG_OK; /* it stays writable, which harms nobody */
    return DIAG_OK;
}
