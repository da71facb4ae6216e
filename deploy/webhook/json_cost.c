/* SPDX-License-Identifier: MIT */
/* How it works: every value but the outermost is announced by a '[', a '{' or a ',', and every
 * member of an object by a ':'; so their numbers bound those of values and members. The sizes are
 * jansson's structures on 64-bit machines, rounded up as malloc does, with tables that have just
 * doubled. */
#include "deploy/webhook/json_cost.h"

#include <stdbool.h>

#define VALUE_SIZE 112  /* a string or number, and its place in a list */
#define OBJECT_SIZE 224 /* with its first table */
#define LIST_SIZE 128   /* with its first table */
#define MEMBER_SIZE                                                                                \
    136          /* its entry without the key, and its share of a table and of the next one */
#define COPIES 4 /* of a text: the value's, and the parser's buffer that has just doubled */

size_t diag_json_cost(struct diag_bytes text) {
    size_t cost = VALUE_SIZE + COPIES * text.size;
    bool is_in_string = false;

    for (size_t i = 0; i < text.size; i++) {
        uint8_t byte = text.data[i];

        if (byte == '"')
            is_in_string = !is_in_string;
        else if (is_in_string)
            i += byte == '\\';
        else if (byte == ',')
            cost += VALUE_SIZE;
        else if (byte == ':')
            cost += MEMBER_SIZE;
        else if (byte == '{')
            cost += VALUE_SIZE + OBJECT_SIZE;
        else if (byte == '[')
            cost += VALUE_SIZE + LIST_SIZE;
    }
    return cost;
}
