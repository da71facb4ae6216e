/* SPDX-License-Identifier: MIT */
/* How it works: under a lock on the target folder, what a killed run has left is removed, the
 * package is copied to FRESH, and FRESH changes its name. Nothing is flushed to the disk: a copy
 * that a crash of the machine has damaged differs from the original, and the next run replaces it.
 */
#include "deploy/images/inject/package.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>

#include "deploy/images/inject/tree.h"
#include "lib/base/cleanup.h"

#define FRESH ".diagnose-new"
#define STALE ".diagnose-old"
#define EXTENSION "_native.cpython-"
#define OPEN_FOLDER (O_RDONLY | O_DIRECTORY | O_CLOEXEC)

static size_t count_digits(const char *text) {
    return strspn(text, "0123456789");
}

/* "3.12" and "3.12.1" give "312": as in the names of extensions. */
static enum diag_status parse_version(const char *text, char tag[4], struct diag_error *err) {
    size_t major_length = count_digits(text);
    const char *minor = text + major_length + 1;
    size_t minor_length = text[major_length] == '.' ? count_digits(minor) : 0;
    const char *rest = minor + minor_length;

    if (major_length != 1 || minor_length < 1 || minor_length > 2 ||
        (*rest != '\0' && (*rest != '.' || rest[1] == '\0' || rest[1 + count_digits(rest + 1)])))
        return diag_error_set(err, DIAG_ERR_INVALID, 0,
                              "\"%.32s\" is no version of Python, such as 3.12", text);
    snprintf(tag, 4, "%c%.*s", text[0], (int)minor_length, minor);
    return DIAG_OK;
}

/* The version in the name of an extension; of length 0: this is none. */
static const char *extension_tag(const char *name, size_t *length) {
    bool is_extension = strncmp(name, EXTENSION, strlen(EXTENSION)) == 0;
    const char *tag = is_extension ? name + strlen(EXTENSION) : "";

    *length = count_digits(tag);
    return tag;
}

static bool is_for_version(const char *name, const void *context) {
    size_t length;
    const char *wanted = context, *tag = extension_tag(name, &length);

    return length == 0 || (length == strlen(wanted) && strncmp(tag, wanted, length) == 0);
}

static int is_extension(const struct dirent *entry) {
    size_t length;

    extension_tag(entry->d_name, &length);
    return length > 1;
}

/* That there is an extension of this version; the error names all that there are. */
static enum diag_status check_version(int package_fd, const char *python, const char *wanted,
                                      struct diag_error *err) {
    struct dirent **entries;
    int count = scandirat(package_fd, ".", &entries, is_extension, alphasort);
    char found[128] = "";
    bool is_there = false;

    if (count < 0)
        return diag_error_set(err, DIAG_ERR_IO, errno, "the package cannot be read");
    for (int i = 0; i < count; i++) {
        size_t length, used = strlen(found);
        const char *tag = extension_tag(entries[i]->d_name, &length);

        is_there = is_there || is_for_version(entries[i]->d_name, wanted);
        snprintf(found + used, sizeof found - used, "%s%c.%.*s", used > 0 ? ", " : "", tag[0],
                 (int)length - 1, tag + 1);
        free(entries[i]);
    }
    free(entries);
    if (is_there)
        return DIAG_OK;
    return diag_error_set(err, DIAG_ERR_NOT_FOUND, 0,
                          "there is no extension for Python %s, but for: %s", python,
                          found[0] == '\0' ? "none" : found);
}

/* One after the other, should several run on one folder; the lock ends with the descriptor. */
static enum diag_status open_target(const char *path, int *out, struct diag_error *err) {
    DIAG_CLEANUP(diag_closep) int fd = open(path, OPEN_FOLDER);
    int result;

    if (fd < 0)
        return diag_error_set(err, errno == ENOENT ? DIAG_ERR_NOT_FOUND : DIAG_ERR_IO, errno,
                              "%s: the folder to copy to", path);
    do
        result = flock(fd, LOCK_EX);
    while (result != 0 && errno == EINTR);
    if (result != 0)
        return diag_error_set(err, DIAG_ERR_IO, errno, "%s: cannot be locked", path);
    *out = DIAG_TAKE_FD(fd);
    return DIAG_OK;
}

static enum diag_status open_source(const char *path, int *out, struct diag_error *err) {
    DIAG_CLEANUP(diag_closep) int fd = open(path, OPEN_FOLDER);
    int package_fd = fd < 0 ? -1 : openat(fd, DIAG_PACKAGE_NAME, OPEN_FOLDER);

    if (package_fd < 0)
        return diag_error_set(err, errno == ENOENT ? DIAG_ERR_NOT_FOUND : DIAG_ERR_IO, errno,
                              "%s/" DIAG_PACKAGE_NAME ": the package to copy", path);
    *out = package_fd;
    return DIAG_OK;
}

/* Puts FRESH into its place; `change` tells whether it is taken. */
static enum diag_status move_into_place(int target_fd, enum diag_package_change *change,
                                        struct diag_error *err) {
    if (renameat2(target_fd, FRESH, target_fd, DIAG_PACKAGE_NAME, RENAME_NOREPLACE) == 0) {
        *change = DIAG_PACKAGE_INSTALLED;
        return DIAG_OK;
    }
    if (renameat2(target_fd, FRESH, target_fd, DIAG_PACKAGE_NAME, RENAME_EXCHANGE) == 0) {
        *change = DIAG_PACKAGE_REPLACED;
        return diag_tree_remove(target_fd, FRESH, err);
    }
    /* a file system that cannot exchange: for a moment there is none */
    if (renameat(target_fd, DIAG_PACKAGE_NAME, target_fd, STALE) == 0)
        *change = DIAG_PACKAGE_REPLACED;
    else if (errno == ENOENT)
        *change = DIAG_PACKAGE_INSTALLED;
    else
        return diag_error_set(err, DIAG_ERR_IO, errno, DIAG_PACKAGE_NAME ": cannot be replaced");
    if (renameat(target_fd, FRESH, target_fd, DIAG_PACKAGE_NAME) != 0) {
        diag_error_set(err, DIAG_ERR_IO, errno, DIAG_PACKAGE_NAME ": cannot be put in its place");
        (void)renameat(target_fd, STALE, target_fd, DIAG_PACKAGE_NAME);
        return DIAG_ERR_IO;
    }
    return diag_tree_remove(target_fd, STALE, err);
}

static bool is_there_already(int package_fd, int target_fd, const struct diag_tree_filter *filter) {
    DIAG_CLEANUP(diag_closep)
    int fd = openat(target_fd, DIAG_PACKAGE_NAME, OPEN_FOLDER | O_NOFOLLOW);

    return fd >= 0 && diag_tree_equals(package_fd, fd, filter);
}

static enum diag_status install(int package_fd, int target_fd,
                                const struct diag_tree_filter *filter,
                                enum diag_package_change *change, struct diag_error *err) {
    enum diag_status status = diag_tree_remove(target_fd, FRESH, err);

    if (status == DIAG_OK)
        status = diag_tree_remove(target_fd, STALE, err);
    if (status != DIAG_OK)
        return status;
    if (is_there_already(package_fd, target_fd, filter)) {
        *change = DIAG_PACKAGE_UNCHANGED;
        return DIAG_OK;
    }
    status = diag_tree_copy(package_fd, target_fd, FRESH, filter, err);
    if (status == DIAG_OK)
        status = move_into_place(target_fd, change, err);
    if (status != DIAG_OK) {
        struct diag_error ignored; /* the first error is the one to tell */

        (void)!diag_tree_remove(target_fd, FRESH, &ignored);
    }
    return status;
}

enum diag_status diag_package_install(const struct diag_package_options *options,
                                      enum diag_package_change *change, struct diag_error *err) {
    DIAG_CLEANUP(diag_closep) int package_fd = -1;
    DIAG_CLEANUP(diag_closep) int target_fd = -1;
    struct diag_tree_filter filter = {0};
    char tag[4];
    enum diag_status status = open_source(options->source, &package_fd, err);

    if (status == DIAG_OK && options->python != NULL) {
        status = parse_version(options->python, tag, err);
        if (status == DIAG_OK)
            status = check_version(package_fd, options->python, tag, err);
        filter = (struct diag_tree_filter){is_for_version, tag};
    }
    if (status == DIAG_OK)
        status = open_target(options->target, &target_fd, err);
    if (status != DIAG_OK)
        return status;
    status = install(package_fd, target_fd, &filter, change, err);
    if (status != DIAG_OK)
        diag_error_prefix(err, "%s", options->target);
    return status;
}
