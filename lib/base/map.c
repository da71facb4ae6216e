/* SPDX-License-Identifier: MIT */
#include "lib/base/map.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define MIN_CAPACITY 16

/* The key of a removed entry. */
static char tombstone[] = "";

static bool is_live(const struct diag_map_entry *entry) {
    return entry->key != NULL && entry->key != tombstone;
}

/* FNV-1a, 64 bits. */
static uint64_t hash_text(const char *text) {
    uint64_t hash = UINT64_C(0xcbf29ce484222325);

    for (; *text != '\0'; text++)
        hash = (hash ^ (uint8_t)*text) * UINT64_C(0x100000001b3);
    return hash;
}

static struct diag_map_entry *find(const struct diag_map *map, const char *key) {
    size_t mask = map->capacity - 1;

    if (map->capacity == 0)
        return NULL;
    for (size_t i = (size_t)hash_text(key) & mask;; i = (i + 1) & mask) {
        struct diag_map_entry *entry = &map->entries[i];
        if (entry->key == NULL)
            return NULL;
        if (is_live(entry) && strcmp(entry->key, key) == 0)
            return entry;
    }
}

void diag_map_done(struct diag_map *map) {
    for (size_t i = 0; i < map->capacity; i++)
        if (is_live(&map->entries[i]))
            free(map->entries[i].key);
    free(map->entries);
    memset(map, 0, sizeof *map);
}

void *diag_map_get(const struct diag_map *map, const char *key) {
    const struct diag_map_entry *entry = find(map, key);

    return entry != NULL ? entry->value : NULL;
}

/* Puts an owned key that is not in the map into its first free place. */
static void insert(struct diag_map *map, char *key, void *value) {
    size_t mask = map->capacity - 1;
    size_t i = (size_t)hash_text(key) & mask;

    while (map->entries[i].key != NULL)
        i = (i + 1) & mask;
    map->entries[i].key = key;
    map->entries[i].value = value;
    map->count++;
    map->used++;
}

/* Rehashes into a table that is at most half full, without tombstones. */
static enum diag_status grow(struct diag_map *map) {
    struct diag_map bigger = {0};

    bigger.capacity = MIN_CAPACITY;
    while (bigger.capacity < 4 * (map->count + 1))
        bigger.capacity *= 2;
    bigger.entries = calloc(bigger.capacity, sizeof *bigger.entries);
    if (bigger.entries == NULL)
        return DIAG_ERR_NO_MEMORY;
    for (size_t i = 0; i < map->capacity; i++)
        if (is_live(&map->entries[i]))
            insert(&bigger, map->entries[i].key, map->entries[i].value);
    free(map->entries);
    *map = bigger;
    return DIAG_OK;
}

enum diag_status diag_map_put(struct diag_map *map, const char *key, void *value) {
    struct diag_map_entry *entry = find(map, key);
    char *copy;

    if (entry != NULL) {
        entry->value = value;
        return DIAG_OK;
    }
    if (2 * (map->used + 1) > map->capacity) {
        enum diag_status status = grow(map);
        if (status != DIAG_OK)
            return status;
    }
    copy = strdup(key);
    if (copy == NULL)
        return DIAG_ERR_NO_MEMORY;
    insert(map, copy, value);
    return DIAG_OK;
}

void *diag_map_remove(struct diag_map *map, const char *key) {
    struct diag_map_entry *entry = find(map, key);

    if (entry == NULL)
        return NULL;
    free(entry->key);
    entry->key = tombstone;
    map->count--;
    return entry->value;
}

void *diag_map_next(const struct diag_map *map, size_t *cursor) {
    while (*cursor < map->capacity) {
        const struct diag_map_entry *entry = &map->entries[(*cursor)++];
        if (is_live(entry))
            return entry->value;
    }
    return NULL;
}
