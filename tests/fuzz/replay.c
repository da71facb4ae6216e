/* SPDX-License-Identifier: MIT */
/* replay - gives a fuzz target every file of a folder, without libFuzzer. */
#include <dirent.h>

#include "tests/fuzz/fuzz_input.h"

static void replay(const char *folder, const char *name) {
    static uint8_t content[1 << 17];
    char path[4096];
    uint8_t *copy;
    size_t size;
    FILE *file;

    snprintf(path, sizeof path, "%s/%s", folder, name);
    file = fopen(path, "rb");
    MUST(file != NULL);
    size = fread(content, 1, sizeof content, file);
    fclose(file);
    fprintf(stderr, "%s: %zu bytes\n", path, size);
    copy = malloc(size > 0 ? size : 1); /* of its exact size, for ASan */
    MUST(copy != NULL);
    memcpy(copy, content, size);
    LLVMFuzzerTestOneInput(copy, size);
    free(copy);
}

int main(int argc, char **argv) {
    const struct dirent *entry;
    size_t count = 0;
    DIR *folder;

    MUST(argc == 2);
    folder = opendir(argv[1]);
    MUST(folder != NULL);
    while ((entry = readdir(folder)) != NULL) {
        if (entry->d_name[0] == '.')
            continue;
        replay(argv[1], entry->d_name);
        count++;
    }
    closedir(folder);
    MUST(count > 0);
    return 0;
}
