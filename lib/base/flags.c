/* SPDX-License-Identifier: MIT */
#include "lib/base/flags.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static const struct diag_flag *find(const struct diag_flag *flags, size_t flag_count,
                                    const char *argument, const char **value) {
    *value = NULL;
    for (size_t i = 0; i < flag_count; i++) {
        size_t length = strlen(flags[i].name);
        if (argument[1] == '-' && strncmp(argument + 2, flags[i].name, length) == 0 &&
            (argument[2 + length] == '\0' || argument[2 + length] == '=')) {
            if (argument[2 + length] == '=')
                *value = argument + 2 + length + 1;
            return &flags[i];
        }
        if (flags[i].letter != 0 && argument[1] == flags[i].letter) {
            if (argument[2] != '\0')
                *value = argument + 2;
            return &flags[i];
        }
    }
    return NULL;
}

static enum diag_status set_uint(const struct diag_flag *flag, const char *value,
                                 struct diag_error *err) {
    char *end;
    unsigned long long number;

    errno = 0;
    number = strtoull(value, &end, 10);
    if (*value < '0' || *value > '9' || *end != '\0' || errno != 0 || number < flag->min ||
        number > flag->max)
        return diag_error_set(err, DIAG_ERR_INVALID, 0,
                              "--%s: \"%s\" is not a number from %llu to %llu", flag->name, value,
                              flag->min, flag->max);
    *(uint64_t *)flag->target = number;
    return DIAG_OK;
}

static enum diag_status set(const struct diag_flag *flag, const char *value,
                            struct diag_error *err) {
    struct diag_flag_list *list;

    switch (flag->kind) {
    case DIAG_FLAG_SWITCH:
        if (value != NULL)
            return diag_error_set(err, DIAG_ERR_INVALID, 0, "--%s takes no value", flag->name);
        *(bool *)flag->target = true;
        return DIAG_OK;
    case DIAG_FLAG_TEXT:
        *(const char **)flag->target = value;
        return DIAG_OK;
    case DIAG_FLAG_UINT:
        return set_uint(flag, value, err);
    case DIAG_FLAG_LIST:
        list = flag->target;
        if (list->count == DIAG_FLAG_LIST_MAX)
            return diag_error_set(err, DIAG_ERR_INVALID, 0, "--%s: given more than %d times",
                                  flag->name, DIAG_FLAG_LIST_MAX);
        list->items[list->count++] = value;
        return DIAG_OK;
    }
    return diag_error_set(err, DIAG_ERR_INTERNAL, 0, "--%s: flag of no kind", flag->name);
}

enum diag_status diag_flags_parse(const struct diag_flag *flags, size_t flag_count, int argc,
                                  char **argv, int *positional_count, struct diag_error *err) {
    int count = 0;
    bool only_positional = false;

    for (int i = 1; i < argc; i++) {
        const struct diag_flag *flag;
        const char *value;
        enum diag_status status;

        if (only_positional || argv[i][0] != '-' || argv[i][1] == '\0') {
            argv[1 + count++] = argv[i];
            continue;
        }
        if (strcmp(argv[i], "--") == 0) {
            only_positional = true;
            continue;
        }
        flag = find(flags, flag_count, argv[i], &value);
        if (flag == NULL)
            return diag_error_set(err, DIAG_ERR_INVALID, 0, "unknown flag %s", argv[i]);
        if (value == NULL && flag->kind != DIAG_FLAG_SWITCH) {
            if (i + 1 == argc)
                return diag_error_set(err, DIAG_ERR_INVALID, 0, "--%s needs a value", flag->name);
            value = argv[++i];
        }
        status = set(flag, value, err);
        if (status != DIAG_OK)
            return status;
    }
    *positional_count = count;
    return DIAG_OK;
}

void diag_flags_print(FILE *file, const struct diag_flag *flags, size_t flag_count) {
    for (size_t i = 0; i < flag_count; i++) {
        char left[64];
        int length = snprintf(left, sizeof left, "--%s%s%s", flags[i].name,
                              flags[i].value_name != NULL ? " " : "",
                              flags[i].value_name != NULL ? flags[i].value_name : "");
        if (flags[i].letter != 0 && length >= 0 && (size_t)length < sizeof left)
            snprintf(left + length, sizeof left - (size_t)length, ", -%c", flags[i].letter);
        fprintf(file, "  %-30s %s\n", left, flags[i].help);
    }
}
