/* SPDX-License-Identifier: MIT */
/* pointer_table - finds entries by an address in a nanosecond or two: a hash table with open
 * addressing and linear probing, at most half full.
 *
 * An entry is a struct whose first member is the pointer that it is found by; NULL means free. All
 * functions take the size of an entry, which is the same for the whole table.
 *
 * Threading: the caller's (the GIL). Ownership: the table owns its memory, nothing else. */
#ifndef DIAG_INPROC_ENGINE_POINTER_TABLE_H
#define DIAG_INPROC_ENGINE_POINTER_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* All zero is an empty table. */
struct diag_pointer_table {
    char *entries;
    size_t capacity; /* a power of two, or 0 */
    size_t count;
};

static inline size_t diag_pointer_table_slot(const struct diag_pointer_table *table,
                                             const void *key) {
    return (size_t)(((uintptr_t)key >> 4) * UINT64_C(0x9E3779B97F4A7C15) >> 32) &
           (table->capacity - 1);
}

/* The entry at an index below the capacity, free or not. */
static inline void *diag_pointer_table_at(const struct diag_pointer_table *table, size_t index,
                                          size_t entry_size) {
    return table->entries + index * entry_size;
}

static inline const void *diag_pointer_table_key(const void *entry) {
    const void *key;

    memcpy(&key, entry, sizeof key);
    return key;
}

/* NULL: not there. */
static inline void *diag_pointer_table_find(const struct diag_pointer_table *table, const void *key,
                                            size_t entry_size) {
    if (table->count == 0)
        return NULL;
    for (size_t i = diag_pointer_table_slot(table, key);; i = (i + 1) & (table->capacity - 1)) {
        void *entry = diag_pointer_table_at(table, i, entry_size);
        const void *found = diag_pointer_table_key(entry);

        if (found == key)
            return entry;
        if (found == NULL)
            return NULL;
    }
}

/* Copies the entry, whose key is not in the table, into it. The copy, until the table is altered
 * the next time; NULL: out of memory, the table is as before. */
void *diag_pointer_table_add(struct diag_pointer_table *table, const void *entry,
                             size_t entry_size);

/* Others may move. */
void diag_pointer_table_remove(struct diag_pointer_table *table, void *entry, size_t entry_size);

/* Frees the memory. */
void diag_pointer_table_done(struct diag_pointer_table *table);

#endif
