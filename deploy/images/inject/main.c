/* SPDX-License-Identifier: MIT */
/* diagnose-inject: see `diagnose-inject --help`. */
#include <stdbool.h>
#include <stdio.h>

#include "deploy/images/inject/package.h"
#include "lib/base/flags.h"
#include "lib/base/version.h"

#define SOURCE "/usr/share/diagnose"
#define FLAG_COUNT 5

struct options {
    struct diag_package_options package;
    bool is_best_effort, has_help, has_version;
};

static void fill_flags(struct options *options, struct diag_flag flags[FLAG_COUNT]) {
    const struct diag_flag own[FLAG_COUNT] = {
        {"python", 0, DIAG_FLAG_TEXT, &options->package.python, "VERSION",
         "leave out the extensions for other versions of Python than this, such as 3.12; empty: "
         "none",
         0, 0},
        {"source", 0, DIAG_FLAG_TEXT, &options->package.source, "FOLDER",
         "where the package is (" SOURCE ")", 0, 0},
        {"best-effort", 0, DIAG_FLAG_SWITCH, &options->is_best_effort, NULL,
         "exit with 0 whatever happens, so that the pod starts, though not instrumented", 0, 0},
        {"version", 0, DIAG_FLAG_SWITCH, &options->has_version, NULL, "show the version", 0, 0},
        {"help", 'h', DIAG_FLAG_SWITCH, &options->has_help, NULL, "show this text", 0, 0},
    };

    for (size_t i = 0; i < FLAG_COUNT; i++)
        flags[i] = own[i];
}

static void print_help(const struct diag_flag flags[FLAG_COUNT]) {
    fputs("Usage: diagnose-inject [FLAGS] FOLDER\n\n"
          "Copies the Python package to FOLDER/" DIAG_PACKAGE_NAME ", in one step, and ends: a\n"
          "pod's init container, with FOLDER a volume that the application's containers have too.\n"
          "May be run again, and killed at any moment.\n\nFlags:\n",
          stdout);
    diag_flags_print(stdout, flags, FLAG_COUNT);
    fputs("\nExample:\n"
          "  diagnose-inject --best-effort --python 3.12 /opt/diagnose\n\n"
          "Exit status: 0 if the package is there, 1 on failure, 2 for a bad command line.\n",
          stdout);
}

static int install(const struct options *options) {
    static const char *const changes[] = {
        [DIAG_PACKAGE_UNCHANGED] = "is there already",
        [DIAG_PACKAGE_INSTALLED] = "is installed",
        [DIAG_PACKAGE_REPLACED] = "has replaced another one",
    };
    enum diag_package_change change;
    struct diag_error err;

    if (diag_package_install(&options->package, &change, &err) != DIAG_OK) {
        fprintf(stderr, "diagnose-inject: %s\n", err.message);
        if (options->is_best_effort)
            fputs("diagnose-inject: the application will start without being instrumented\n",
                  stderr);
        return options->is_best_effort ? 0 : 1;
    }
    printf("diagnose-inject: package " DIAG_VERSION " %s in %s\n", changes[change],
           options->package.target);
    return 0;
}

int main(int argc, char **argv) {
    struct options options = {.package.source = SOURCE};
    struct diag_flag flags[FLAG_COUNT];
    struct diag_error err;
    int positional_count;

    fill_flags(&options, flags);
    if (diag_flags_parse(flags, FLAG_COUNT, argc, argv, &positional_count, &err) != DIAG_OK) {
        fprintf(stderr, "diagnose-inject: %s\nTry diagnose-inject --help.\n", err.message);
        return 2;
    }
    if (options.has_help) {
        print_help(flags);
        return 0;
    }
    if (options.has_version) {
        puts("diagnose-inject " DIAG_VERSION);
        return 0;
    }
    if (positional_count != 1) {
        fprintf(stderr, "diagnose-inject: %s\nTry diagnose-inject --help.\n",
                positional_count == 0 ? "no folder given" : "more than one folder given");
        return 2;
    }
    options.package.target = argv[1];
    /* a pod's template may hand on an annotation that is not there */
    if (options.package.python != NULL && options.package.python[0] == '\0')
        options.package.python = NULL;
    return install(&options);
}
