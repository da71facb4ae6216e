/* SPDX-License-Identifier: MIT */
/* How it works: a lookup calls the __eq__ of the keys that have the same hash. So the way that the
 * lookup will take through the hash table is gone beforehand, and each such key is looked at. The
 * probing is that of dictobject.c and setobject.c, the same from 3.11 to 3.13; a table is smaller
 * than what is gone, so that the walk ends. */
#include "inproc/engine/pure_lookup.h"

#include "inproc/engine/pure_value.h"

#define PERTURB_SHIFT 5
#define LINEAR_PROBES 9

static Py_ssize_t index_at(PyDictKeysObject *keys, size_t slot) {
    if (DK_LOG_SIZE(keys) < 8)
        return ((const int8_t *)keys->dk_indices)[slot];
    if (DK_LOG_SIZE(keys) < 16)
        return ((const int16_t *)(const void *)keys->dk_indices)[slot];
    if (DK_LOG_SIZE(keys) < 32)
        return ((const int32_t *)(const void *)keys->dk_indices)[slot];
    return (Py_ssize_t)((const int64_t *)(const void *)keys->dk_indices)[slot];
}

/* True if all keys that a lookup of `hash` compares are known. */
static bool is_way_known(PyDictKeysObject *keys, Py_hash_t hash) {
    size_t mask = ((size_t)1 << DK_LOG_SIZE(keys)) - 1, perturb = (size_t)hash;
    size_t slot = (size_t)hash & mask;
    const PyDictKeyEntry *entries = DK_ENTRIES(keys);

    for (;;) {
        Py_ssize_t index = index_at(keys, slot);

        if (index == DKIX_EMPTY)
            return true;
        if (index >= 0 && entries[index].me_hash == hash &&
            !diag_pure_is_key(entries[index].me_key))
            return false;
        perturb >>= PERTURB_SHIFT;
        slot = (slot * 5 + perturb + 1) & mask;
    }
}

/* Of a key that diag_pure_is_key knows; -1: there is none. */
static Py_hash_t hash_of(PyObject *key) {
    Py_hash_t hash = PyObject_Hash(key);

    if (hash == -1)
        PyErr_Clear();
    return hash;
}

enum diag_pure_lookup diag_pure_dict_find(PyObject *dict, PyObject *key, PyObject **value) {
    if (!diag_pure_is_key(key))
        return DIAG_PURE_UNKNOWN;
    if (!diag_py_dict_has_only_text_keys(dict)) {
        Py_hash_t hash = hash_of(key);

        if (hash == -1 || !is_way_known(((PyDictObject *)dict)->ma_keys, hash))
            return DIAG_PURE_UNKNOWN;
    }
    *value = PyDict_GetItemWithError(dict, key);
    if (*value != NULL)
        return DIAG_PURE_FOUND;
    if (!PyErr_Occurred())
        return DIAG_PURE_MISSING;
    PyErr_Clear();
    return DIAG_PURE_UNKNOWN;
}

static bool is_set_way_known(const PySetObject *set, Py_hash_t hash) {
    size_t mask = (size_t)set->mask, perturb = (size_t)hash, slot = (size_t)hash & mask;

    for (;;) {
        const setentry *entry = &set->table[slot];
        size_t probes = slot + LINEAR_PROBES <= mask ? LINEAR_PROBES : 0;

        do {
            if (entry->hash == 0 && entry->key == NULL)
                return true;
            /* the key of a removed one is a dummy, whose hash is -1 */
            if (entry->hash == hash && !diag_pure_is_key(entry->key))
                return false;
            entry++;
        } while (probes-- > 0);
        perturb >>= PERTURB_SHIFT;
        slot = (slot * 5 + 1 + perturb) & mask;
    }
}

enum diag_pure_lookup diag_pure_set_find(PyObject *set, PyObject *key) {
    Py_hash_t hash;
    int result;

    if (!diag_pure_is_key(key))
        return DIAG_PURE_UNKNOWN;
    hash = hash_of(key);
    if (hash == -1 || !is_set_way_known((PySetObject *)set, hash))
        return DIAG_PURE_UNKNOWN;
    result = PySet_Contains(set, key);
    if (result < 0)
        PyErr_Clear();
    return result < 0 ? DIAG_PURE_UNKNOWN : result ? DIAG_PURE_FOUND : DIAG_PURE_MISSING;
}
