/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdlib.h>

#include "ctl/escape.h"
#include "ctl/memory.h"
#include "ctl/print.h"

#define CELL_MAX 2048 /* bytes; what is longer is cut and ends with "..." */
#define GAP 3

void diag_table_init(struct diag_table *table, const char *const *columns) {
    struct diag_table empty = {0};

    *table = empty;
    while (columns[table->columns] != NULL)
        table->columns++;
    for (size_t i = 0; i < table->columns; i++)
        diag_table_add(table, columns[i]);
}

void diag_table_done(struct diag_table *table) {
    for (size_t i = 0; i < table->cell_count; i++)
        free(table->cells[i]);
    free(table->cells);
}

void diag_table_add(struct diag_table *table, const char *text) {
    table->cells = diag_memory_resize(table->cells, table->cell_count + 1, sizeof *table->cells);
    table->cells[table->cell_count++] = diag_escape_text(*text != '\0' ? text : "-", CELL_MAX);
}

void diag_table_add_uint(struct diag_table *table, uint64_t value) {
    char text[24];

    snprintf(text, sizeof text, "%" PRIu64, value);
    diag_table_add(table, text);
}

void diag_table_print(FILE *file, const struct diag_table *table, unsigned indent) {
    DIAG_CLEANUP(diag_freep) size_t *widths = diag_memory_new(table->columns, sizeof *widths);

    for (size_t i = 0; i < table->cell_count; i++) {
        size_t width = diag_escape_width(table->cells[i]);

        if (width > widths[i % table->columns])
            widths[i % table->columns] = width;
    }
    for (size_t i = 0; i < table->cell_count; i++) {
        size_t column = i % table->columns;
        size_t width = diag_escape_width(table->cells[i]);

        if (column == 0)
            fprintf(file, "%*s", (int)indent, "");
        fputs(table->cells[i], file);
        if (column + 1 == table->columns)
            fputc('\n', file);
        else
            fprintf(file, "%*s", (int)(widths[column] - width + GAP), "");
    }
}
