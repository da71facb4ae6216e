/* SPDX-License-Identifier: MIT */
#include "inproc/engine/pointer_table.h"

#include <stdlib.h>

#define CAPACITY_MIN 16

static void *insert(struct diag_pointer_table *table, const void *entry, size_t entry_size) {
    size_t i = diag_pointer_table_slot(table, diag_pointer_table_key(entry));

    while (diag_pointer_table_key(diag_pointer_table_at(table, i, entry_size)) != NULL)
        i = (i + 1) & (table->capacity - 1);
    table->count++;
    return memcpy(diag_pointer_table_at(table, i, entry_size), entry, entry_size);
}

static bool make_room(struct diag_pointer_table *table, size_t entry_size) {
    struct diag_pointer_table larger = {.capacity = table->capacity == 0 ? CAPACITY_MIN
                                                                         : table->capacity * 2};

    if ((table->count + 1) * 2 <= table->capacity)
        return true;
    larger.entries = calloc(larger.capacity, entry_size);
    if (larger.entries == NULL)
        return false;
    for (size_t i = 0; i < table->capacity; i++) {
        const void *entry = diag_pointer_table_at(table, i, entry_size);

        if (diag_pointer_table_key(entry) != NULL)
            insert(&larger, entry, entry_size);
    }
    free(table->entries);
    *table = larger;
    return true;
}

void *diag_pointer_table_add(struct diag_pointer_table *table, const void *entry,
                             size_t entry_size) {
    return make_room(table, entry_size) ? insert(table, entry, entry_size) : NULL;
}

/* Entries behind the hole that would no longer be found move into it. */
void diag_pointer_table_remove(struct diag_pointer_table *table, void *entry, size_t entry_size) {
    size_t mask = table->capacity - 1;
    size_t hole = (size_t)((char *)entry - table->entries) / entry_size, i = hole;

    for (;;) {
        const void *next, *key;

        i = (i + 1) & mask;
        next = diag_pointer_table_at(table, i, entry_size);
        key = diag_pointer_table_key(next);
        if (key == NULL)
            break;
        if (((i - diag_pointer_table_slot(table, key)) & mask) >= ((i - hole) & mask)) {
            memcpy(diag_pointer_table_at(table, hole, entry_size), next, entry_size);
            hole = i;
        }
    }
    memset(diag_pointer_table_at(table, hole, entry_size), 0, entry_size);
    table->count--;
}

void diag_pointer_table_done(struct diag_pointer_table *table) {
    free(table->entries);
    memset(table, 0, sizeof *table);
}
