/* SPDX-License-Identifier: MIT */
/* print - documents as JSON and YAML, and rows as an aligned table.
 *
 * Nothing that is printed can drive a terminal: control characters are escaped in all three.
 * Whether writing worked is for the caller to ask of `file` at the end.
 *
 * Threading: the caller's lock on `file`. */
#ifndef DIAG_CTL_PRINT_H
#define DIAG_CTL_PRINT_H

#include <stdio.h>

#include "ctl/document.h"

DIAG_DECLS_BEGIN

/* One line, no spaces, no newline. Floats that are not finite become "nan", "inf", "-inf". */
void diag_print_json_line(FILE *file, const struct diag_document *document);

/* Indented by two spaces, with a newline at the end. */
void diag_print_json(FILE *file, const struct diag_document *document);

/* One YAML document; `---` comes before it unless `is_first`. Text that any YAML reader might take
 * for something else is quoted. */
void diag_print_yaml(FILE *file, const struct diag_document *document, bool is_first);

/* A table in the making. All zero is empty. */
struct diag_table {
    char **cells;
    size_t cell_count;
    size_t columns;
};

/* Starts it: names of the columns, ended by NULL. */
void diag_table_init(struct diag_table *table, const char *const *columns);
void diag_table_done(struct diag_table *table);

/* Adds the next cell of a row; escaped here. An empty text shows as "-". */
void diag_table_add(struct diag_table *table, const char *text);
void diag_table_add_uint(struct diag_table *table, uint64_t value);

/* Columns are separated by three spaces; each line begins with `indent` spaces. */
void diag_table_print(FILE *file, const struct diag_table *table, unsigned indent);

DIAG_DECLS_END

#endif
