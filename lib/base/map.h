/* SPDX-License-Identifier: MIT */
/* map - text to pointer, a hash table with open addressing.
 *
 * Threading: none; one thread, or the caller's lock.
 * Ownership: keys are copied; values are the caller's. */
#ifndef DIAG_LIB_BASE_MAP_H
#define DIAG_LIB_BASE_MAP_H

#include <stddef.h>

#include "lib/base/error.h"

DIAG_DECLS_BEGIN

struct diag_map_entry {
    char *key; /* NULL: never used; "removed" marks keep probe sequences whole */
    void *value;
};

/* All zero is an empty map. */
struct diag_map {
    struct diag_map_entry *entries;
    size_t capacity; /* a power of two, or 0 */
    size_t count;
    size_t used; /* count and tombstones */
};

void diag_map_done(struct diag_map *map);

/* NULL: not there. */
void *diag_map_get(const struct diag_map *map, const char *key);

/* Adds or replaces; `value` is not NULL. DIAG_ERR_NO_MEMORY: the map is as before. */
DIAG_MUST_CHECK enum diag_status diag_map_put(struct diag_map *map, const char *key, void *value);

/* Returns the value that was there, or NULL. */
void *diag_map_remove(struct diag_map *map, const char *key);

/* Walks the values in no order: start with *cursor = 0, until it returns NULL. Removing the
 * value just returned is allowed, adding is not. */
void *diag_map_next(const struct diag_map *map, size_t *cursor);

DIAG_DECLS_END

#endif
