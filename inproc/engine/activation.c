/* SPDX-License-Identifier: MIT */
#include "inproc/engine/activation.h"

#include <stdlib.h>
#include <string.h>

#define CAPACITY_MIN 16

static size_t slot_of(const struct diag_activation_table *table, const void *frame) {
    return (size_t)(((uintptr_t)frame >> 4) * UINT64_C(0x9E3779B97F4A7C15) >> 32) &
           (table->capacity - 1);
}

struct diag_activation *diag_activation_find_further(const struct diag_activation_table *table,
                                                     const diag_py_frame *frame) {
    if (table->count == 0)
        return NULL;
    for (size_t i = slot_of(table, frame);; i = (i + 1) & (table->capacity - 1)) {
        if (table->entries[i].frame == frame)
            return &table->entries[i];
        if (table->entries[i].frame == NULL)
            return NULL;
    }
}

static struct diag_activation *free_slot(struct diag_activation_table *table,
                                         const diag_py_frame *frame) {
    size_t i = slot_of(table, frame);

    while (table->entries[i].frame != NULL)
        i = (i + 1) & (table->capacity - 1);
    table->count++;
    return &table->entries[i];
}

static bool make_room(struct diag_activation_table *table) {
    struct diag_activation *old = table->entries;
    size_t old_capacity = table->capacity;
    size_t capacity = old_capacity == 0 ? CAPACITY_MIN : old_capacity * 2;
    struct diag_activation *entries;

    if ((table->count + 1) * 2 <= old_capacity)
        return true;
    entries = calloc(capacity, sizeof *entries);
    if (entries == NULL)
        return false;
    table->entries = entries;
    table->capacity = capacity;
    table->count = 0;
    for (size_t i = 0; i < old_capacity; i++)
        if (old[i].frame != NULL)
            *free_slot(table, old[i].frame) = old[i];
    free(old);
    return true;
}

/* Entries behind the hole that would no longer be found move into it. */
static void erase(struct diag_activation_table *table, struct diag_activation *activation) {
    size_t mask = table->capacity - 1, hole = (size_t)(activation - table->entries), i = hole;

    for (;;) {
        i = (i + 1) & mask;
        if (table->entries[i].frame == NULL)
            break;
        if (((i - slot_of(table, table->entries[i].frame)) & mask) >= ((i - hole) & mask)) {
            table->entries[hole] = table->entries[i];
            hole = i;
        }
    }
    table->entries[hole].frame = NULL;
    table->count--;
}

struct diag_activation *diag_activation_add_further(struct diag_activation_table *table,
                                                    const diag_py_frame *frame,
                                                    struct diag_activation *left) {
    diag_activation_take(table, frame, left);
    if (table->first.frame == NULL)
        return &table->first;
    return make_room(table) ? free_slot(table, frame) : NULL;
}

bool diag_activation_take_further(struct diag_activation_table *table, const diag_py_frame *frame,
                                  struct diag_activation *out) {
    struct diag_activation *activation = diag_activation_find_further(table, frame);

    if (activation == NULL)
        return false;
    *out = *activation;
    erase(table, activation);
    return true;
}

void diag_activation_free_notes(struct diag_activation *activation) {
    for (int i = 0; i < __builtin_popcountll(activation->captured_mask); i++)
        Py_XDECREF(activation->captured[i]);
    if (activation->captured_mask != 0)
        free(activation->captured);
    diag_hotspots_unref(activation->hotspots);
}

void diag_activation_table_done(struct diag_activation_table *table) {
    struct diag_activation_table old = *table;

    memset(table, 0, sizeof *table);
    if (old.first.frame != NULL)
        diag_activation_done(&old.first);
    for (size_t i = 0; i < old.capacity; i++)
        if (old.entries[i].frame != NULL)
            diag_activation_done(&old.entries[i]);
    free(old.entries);
}
