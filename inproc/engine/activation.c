/* SPDX-License-Identifier: MIT */
#include "inproc/engine/activation.h"

#include <stdlib.h>
#include <string.h>

struct diag_activation *diag_activation_add_further(struct diag_activation_table *table,
                                                    const diag_py_frame *frame,
                                                    struct diag_activation *left) {
    struct diag_activation fresh = {.frame = frame};

    diag_activation_take(table, frame, left);
    if (table->first.frame == NULL)
        return &table->first;
    return diag_pointer_table_add(&table->further, &fresh, sizeof fresh);
}

bool diag_activation_take_further(struct diag_activation_table *table, const diag_py_frame *frame,
                                  struct diag_activation *out) {
    struct diag_activation *activation =
        diag_pointer_table_find(&table->further, frame, sizeof *activation);

    if (activation == NULL)
        return false;
    *out = *activation;
    diag_pointer_table_remove(&table->further, activation, sizeof *activation);
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
    for (size_t i = 0; i < old.further.capacity; i++) {
        struct diag_activation *activation =
            diag_pointer_table_at(&old.further, i, sizeof *activation);

        if (activation->frame != NULL)
            diag_activation_done(activation);
    }
    diag_pointer_table_done(&old.further);
}
