/* SPDX-License-Identifier: MIT */
#include "deploy/images/inject/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/cleanup.h"

#define OPEN_FOLDER (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
#define CHUNK_SIZE 65536

/* Where a walk is, for its messages. */
struct walk {
    const struct diag_tree_filter *filter;
    struct diag_error *err;
    unsigned depth;
    char path[PATH_MAX];
};

static void closedirp(DIR **folder) {
    if (*folder != NULL)
        closedir(*folder);
}

/* The entries of a folder, read through a descriptor of its own, so that `fd` stays where it is. */
static DIR *open_entries(int fd) {
    DIAG_CLEANUP(diag_closep) int own_fd = openat(fd, ".", OPEN_FOLDER);
    DIR *entries = own_fd < 0 ? NULL : fdopendir(own_fd);

    if (entries != NULL)
        (void)DIAG_TAKE_FD(own_fd);
    return entries;
}

/* The next name but "." and ".."; NULL at the end, with errno 0, or after an error. */
static const char *next_name(DIR *entries) {
    struct dirent *entry;

    do {
        errno = 0;
        entry = readdir(entries);
    } while (entry != NULL &&
             (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0));
    return entry == NULL ? NULL : entry->d_name;
}

static bool is_wanted(const struct diag_tree_filter *filter, const char *name) {
    return filter == NULL || filter->wants_fn == NULL || filter->wants_fn(name, filter->context);
}

/* Appends "/name"; returns where the path ended, for leave(). */
static size_t enter(struct walk *walk, const char *name) {
    size_t length = strlen(walk->path);

    snprintf(walk->path + length, sizeof walk->path - length, "%s%s", length > 0 ? "/" : "", name);
    walk->depth++;
    return length;
}

static void leave(struct walk *walk, size_t length) {
    walk->path[length] = '\0';
    walk->depth--;
}

/* Saves errno first: cleanups run after it. */
static enum diag_status fail(const struct walk *walk, const char *what) {
    int os_errno = errno;

    return diag_error_set(walk->err, DIAG_ERR_IO, os_errno, "%s: %s", walk->path, what);
}

static enum diag_status write_all(struct walk *walk, int fd, const char *data, size_t size) {
    while (size > 0) {
        ssize_t written = write(fd, data, size);

        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return fail(walk, "cannot be written");
        data += written;
        size -= (size_t)written;
    }
    return DIAG_OK;
}

/* -1: failed, with errno. */
static ssize_t read_chunk(int fd, char *chunk) {
    size_t size = 0;

    while (size < CHUNK_SIZE) {
        ssize_t got = read(fd, chunk + size, CHUNK_SIZE - size);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -1;
        if (got == 0)
            break;
        size += (size_t)got;
    }
    return (ssize_t)size;
}

static mode_t mode_of_copy(const struct stat *original) {
    return (original->st_mode & S_IXUSR) != 0 ? 0755 : 0644;
}

static enum diag_status copy_file(struct walk *walk, int source_fd, int target_fd, const char *name,
                                  mode_t mode) {
    DIAG_CLEANUP(diag_closep)
    int from = openat(source_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    DIAG_CLEANUP(diag_closep) int to = -1;
    char chunk[CHUNK_SIZE];
    ssize_t size;

    if (from < 0)
        return fail(walk, "cannot be read");
    to = openat(target_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (to < 0)
        return fail(walk, "cannot be made");
    while ((size = read_chunk(from, chunk)) > 0) {
        enum diag_status status = write_all(walk, to, chunk, (size_t)size);

        if (status != DIAG_OK)
            return status;
    }
    if (size < 0)
        return fail(walk, "cannot be read");
    /* whatever the umask says: another user is to read it */
    if (fchmod(to, mode) != 0)
        return fail(walk, "cannot be made readable");
    /* some file systems tell only now that there was no room */
    if (close(DIAG_TAKE_FD(to)) != 0)
        return fail(walk, "cannot be written");
    return DIAG_OK;
}

static enum diag_status copy_folder(struct walk *walk, int source_fd, int target_fd,
                                    const char *name);

static enum diag_status copy_entry(struct walk *walk, int source_fd, int target_fd,
                                   const char *name) {
    struct stat status;

    if (fstatat(source_fd, name, &status, AT_SYMLINK_NOFOLLOW) != 0)
        return fail(walk, "cannot be read");
    if (S_ISDIR(status.st_mode)) {
        DIAG_CLEANUP(diag_closep) int fd = openat(source_fd, name, OPEN_FOLDER);

        return fd < 0 ? fail(walk, "cannot be read") : copy_folder(walk, fd, target_fd, name);
    }
    if (!S_ISREG(status.st_mode))
        return diag_error_set(walk->err, DIAG_ERR_UNSUPPORTED, 0,
                              "%s: neither a folder nor a plain file", walk->path);
    if (!is_wanted(walk->filter, name))
        return DIAG_OK;
    return copy_file(walk, source_fd, target_fd, name, mode_of_copy(&status));
}

/* The walk's path is already that of the new folder. */
static enum diag_status copy_folder(struct walk *walk, int source_fd, int target_fd,
                                    const char *name) {
    DIAG_CLEANUP(closedirp) DIR *entries = open_entries(source_fd);
    DIAG_CLEANUP(diag_closep) int folder_fd = -1;
    enum diag_status status = DIAG_OK;
    const char *entry;

    if (entries == NULL)
        return fail(walk, "cannot be read");
    if (walk->depth > DIAG_TREE_DEPTH_MAX)
        return diag_error_set(walk->err, DIAG_ERR_UNSUPPORTED, 0, "%s: over %d folders deep",
                              walk->path, DIAG_TREE_DEPTH_MAX);
    if (mkdirat(target_fd, name, 0700) != 0)
        return fail(walk, "cannot be made");
    folder_fd = openat(target_fd, name, OPEN_FOLDER);
    if (folder_fd < 0 || fchmod(folder_fd, 0755) != 0)
        return fail(walk, "cannot be made readable");
    while (status == DIAG_OK && (entry = next_name(entries)) != NULL) {
        size_t length = enter(walk, entry);

        status = copy_entry(walk, source_fd, folder_fd, entry);
        leave(walk, length);
    }
    if (status == DIAG_OK && errno != 0)
        return fail(walk, "cannot be read");
    return status;
}

enum diag_status diag_tree_copy(int source_fd, int target_fd, const char *name,
                                const struct diag_tree_filter *filter, struct diag_error *err) {
    struct walk walk = {.filter = filter, .err = err};

    enter(&walk, name);
    return copy_folder(&walk, source_fd, target_fd, name);
}

static bool files_equal(int source_fd, int copy_fd, const char *name) {
    DIAG_CLEANUP(diag_closep) int a = openat(source_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    DIAG_CLEANUP(diag_closep) int b = openat(copy_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    char chunk_a[CHUNK_SIZE], chunk_b[CHUNK_SIZE];
    ssize_t size;

    if (a < 0 || b < 0)
        return false;
    do {
        size = read_chunk(a, chunk_a);
        if (size < 0 || read_chunk(b, chunk_b) != size ||
            memcmp(chunk_a, chunk_b, (size_t)size) != 0)
            return false;
    } while (size > 0);
    return true;
}

static bool entries_equal(int source_fd, int copy_fd, const char *name,
                          const struct diag_tree_filter *filter) {
    struct stat original, copy;

    if (fstatat(source_fd, name, &original, AT_SYMLINK_NOFOLLOW) != 0 ||
        fstatat(copy_fd, name, &copy, AT_SYMLINK_NOFOLLOW) != 0)
        return false;
    if (S_ISDIR(original.st_mode) && S_ISDIR(copy.st_mode)) {
        DIAG_CLEANUP(diag_closep) int a = openat(source_fd, name, OPEN_FOLDER);
        DIAG_CLEANUP(diag_closep) int b = openat(copy_fd, name, OPEN_FOLDER);

        return a >= 0 && b >= 0 && diag_tree_equals(a, b, filter);
    }
    return S_ISREG(original.st_mode) && S_ISREG(copy.st_mode) &&
           (copy.st_mode & 07777) == mode_of_copy(&original) && original.st_size == copy.st_size &&
           files_equal(source_fd, copy_fd, name);
}

/* -1: cannot be read. */
static long count_entries(int fd) {
    DIAG_CLEANUP(closedirp) DIR *entries = open_entries(fd);
    long count = 0;

    if (entries == NULL)
        return -1;
    while (next_name(entries) != NULL)
        count++;
    return errno == 0 ? count : -1;
}

bool diag_tree_equals(int source_fd, int copy_fd, const struct diag_tree_filter *filter) {
    DIAG_CLEANUP(closedirp) DIR *entries = open_entries(source_fd);
    struct stat copy;
    const char *name;
    long count = 0;

    if (entries == NULL || fstat(copy_fd, &copy) != 0 || (copy.st_mode & 07777) != 0755)
        return false;
    while ((name = next_name(entries)) != NULL) {
        struct stat status;

        if (fstatat(source_fd, name, &status, AT_SYMLINK_NOFOLLOW) != 0)
            return false;
        if (S_ISREG(status.st_mode) && !is_wanted(filter, name))
            continue;
        if (!entries_equal(source_fd, copy_fd, name, filter))
            return false;
        count++;
    }
    /* nothing besides */
    return errno == 0 && count_entries(copy_fd) == count;
}

static enum diag_status remove_entry(struct walk *walk, int folder_fd, const char *name);

static enum diag_status remove_contents(struct walk *walk, int fd) {
    DIAG_CLEANUP(closedirp) DIR *entries = open_entries(fd);
    enum diag_status status = DIAG_OK;
    const char *name;

    if (entries == NULL)
        return fail(walk, "cannot be read");
    while (status == DIAG_OK && (name = next_name(entries)) != NULL) {
        size_t length = enter(walk, name);

        status = remove_entry(walk, fd, name);
        leave(walk, length);
    }
    return status;
}

static enum diag_status remove_entry(struct walk *walk, int folder_fd, const char *name) {
    DIAG_CLEANUP(diag_closep) int fd = -1;
    enum diag_status status;
    struct stat entry;

    /* first, as a read-only file system would refuse to remove what is not there */
    if (fstatat(folder_fd, name, &entry, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT ? DIAG_OK : fail(walk, "cannot be removed");
    if (!S_ISDIR(entry.st_mode))
        return unlinkat(folder_fd, name, 0) == 0 ? DIAG_OK : fail(walk, "cannot be removed");
    fd = openat(folder_fd, name, OPEN_FOLDER);
    if (fd < 0)
        return fail(walk, "cannot be removed");
    status = remove_contents(walk, fd);
    if (status == DIAG_OK && unlinkat(folder_fd, name, AT_REMOVEDIR) != 0)
        return fail(walk, "cannot be removed");
    return status;
}

enum diag_status diag_tree_remove(int folder_fd, const char *name, struct diag_error *err) {
    struct walk walk = {.err = err};

    enter(&walk, name);
    return remove_entry(&walk, folder_fd, name);
}
