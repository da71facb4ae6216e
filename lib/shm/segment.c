/* SPDX-License-Identifier: MIT */
#include "lib/shm/segment.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "lib/base/cleanup.h"
#include "lib/base/uid.h"

#define SEGMENT_SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)
#define BLOB_SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL)

static bool is_ring_size(uint64_t size) {
    return size >= DIAG_SHM_RING_SIZE_MIN && size <= DIAG_SHM_RING_SIZE_MAX &&
           (size & (size - 1)) == 0;
}

static enum diag_status make_memfd(const char *name, int *fd, struct diag_error *err) {
    int made = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (made < 0)
        return diag_error_set(err, DIAG_ERR_IO, errno, "memfd_create");
    *fd = made;
    return DIAG_OK;
}

static uint64_t segment_size(uint64_t ring_size) {
    return DIAG_SHM_HEADER_SIZE + ring_size + DIAG_SHM_AGGREGATE_REGION_SIZE;
}

/* An ordinary memfd (huge pages would fault where none are left) with at least these seals. */
static enum diag_status check_memfd(int fd, int wanted_seals, uint64_t *size,
                                    struct diag_error *err) {
    struct statfs filesystem;
    struct stat file;
    int seals = fcntl(fd, F_GET_SEALS);

    if (seals < 0)
        return diag_error_set(err, DIAG_ERR_PROTOCOL, errno, "not a memfd");
    if ((seals & wanted_seals) != wanted_seals)
        return diag_error_set(err, DIAG_ERR_PROTOCOL, 0, "memfd has seals 0x%x, not all of 0x%x",
                              (unsigned)seals, (unsigned)wanted_seals);
    if (fstatfs(fd, &filesystem) != 0 || fstat(fd, &file) != 0)
        return diag_error_set(err, DIAG_ERR_IO, errno, "fstat of a memfd");
    if (filesystem.f_type != TMPFS_MAGIC)
        return diag_error_set(err, DIAG_ERR_PROTOCOL, 0, "not a memfd of ordinary pages");
    *size = (uint64_t)file.st_size;
    return DIAG_OK;
}

static enum diag_status map_segment(int fd, uint64_t ring_size, bool is_prefaulted,
                                    struct diag_segment *out, struct diag_error *err) {
    size_t size = (size_t)segment_size(ring_size);
    int flags = MAP_SHARED | (is_prefaulted ? MAP_POPULATE : 0);
    void *address = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, fd, 0);

    if (address == MAP_FAILED)
        return diag_error_set(err, DIAG_ERR_IO, errno, "mmap of a segment of %zu bytes", size);
    *out = (struct diag_segment){
        .header = address,
        .ring = (uint8_t *)address + DIAG_SHM_HEADER_SIZE,
        .ring_size = ring_size,
        .aggregates = (uint8_t *)address + DIAG_SHM_HEADER_SIZE + ring_size,
        .mapped_size = size,
        .fd = fd,
    };
    return DIAG_OK;
}

enum diag_status diag_segment_create(const char *process_uid, uint64_t ring_size,
                                     struct diag_segment *out, struct diag_error *err) {
    DIAG_CLEANUP(diag_closep) int fd = -1;
    struct diag_segment segment;
    enum diag_status status;

    if (!is_ring_size(ring_size))
        return diag_error_set(
            err, DIAG_ERR_INVALID, 0, "ring size %llu is not a power of two from %llu to %llu",
            (unsigned long long)ring_size, (unsigned long long)DIAG_SHM_RING_SIZE_MIN,
            (unsigned long long)DIAG_SHM_RING_SIZE_MAX);
    if (!diag_uid_is_valid(process_uid))
        return diag_error_set(err, DIAG_ERR_INVALID, 0,
                              "process uid \"%.40s\" is not 32 hexadecimal digits", process_uid);
    status = make_memfd("diagnose-ring", &fd, err);
    if (status != DIAG_OK)
        return status;
    /* Not ftruncate: a lack of memory shall show here, not as SIGBUS in the application. */
    if (fallocate(fd, 0, 0, (off_t)segment_size(ring_size)) != 0)
        return diag_error_set(err, DIAG_ERR_NO_MEMORY, errno, "segment of %llu bytes",
                              (unsigned long long)segment_size(ring_size));
    if (fcntl(fd, F_ADD_SEALS, SEGMENT_SEALS) != 0)
        return diag_error_set(err, DIAG_ERR_IO, errno, "seals of a segment");
    status = map_segment(fd, ring_size, false, &segment, err);
    if (status != DIAG_OK)
        return status;
    segment.header->magic = DIAG_SHM_MAGIC;
    segment.header->version_major = DIAG_SHM_VERSION_MAJOR;
    segment.header->version_minor = DIAG_SHM_VERSION_MINOR;
    segment.header->header_size = DIAG_SHM_HEADER_SIZE;
    segment.header->ring_offset = DIAG_SHM_HEADER_SIZE;
    segment.header->ring_size = ring_size;
    segment.header->aggregate_offset = DIAG_SHM_HEADER_SIZE + ring_size;
    segment.header->aggregate_size = DIAG_SHM_AGGREGATE_REGION_SIZE;
    memcpy(segment.header->process_uid, process_uid, DIAG_UID_SIZE);
    segment.fd = DIAG_TAKE_FD(fd);
    *out = segment;
    return DIAG_OK;
}

/* `header` is a copy: what the peer changes meanwhile does not matter. */
static enum diag_status check_header(const struct diag_shm_header *header, uint64_t file_size,
                                     struct diag_error *err) {
    if (header->magic != DIAG_SHM_MAGIC)
        return diag_error_set(err, DIAG_ERR_PROTOCOL, 0, "segment.magic is 0x%llx",
                              (unsigned long long)header->magic);
    if (header->version_major != DIAG_SHM_VERSION_MAJOR)
        return diag_error_set(err, DIAG_ERR_VERSION, 0, "segment.version_major is %u, ours is %u",
                              header->version_major, DIAG_SHM_VERSION_MAJOR);
    if (header->header_size != DIAG_SHM_HEADER_SIZE)
        return diag_error_set(err, DIAG_ERR_PROTOCOL, 0, "segment.header_size is %u, not %u",
                              header->header_size, DIAG_SHM_HEADER_SIZE);
    if (header->ring_offset != DIAG_SHM_HEADER_SIZE)
        return diag_error_set(err, DIAG_ERR_PROTOCOL, 0, "segment.ring_offset is %llu, not %u",
                              (unsigned long long)header->ring_offset, DIAG_SHM_HEADER_SIZE);
    if (!is_ring_size(header->ring_size))
        return diag_error_set(err, DIAG_ERR_PROTOCOL, 0,
                              "segment.ring_size %llu is not a power of two within the limits",
                              (unsigned long long)header->ring_size);
    if (header->aggregate_offset != DIAG_SHM_HEADER_SIZE + header->ring_size)
        return diag_error_set(err, DIAG_ERR_PROTOCOL, 0,
                              "segment.aggregate_offset is %llu, not the ring's end",
                              (unsigned long long)header->aggregate_offset);
    if (header->aggregate_size != DIAG_SHM_AGGREGATE_REGION_SIZE)
        return diag_error_set(err, DIAG_ERR_PROTOCOL, 0, "segment.aggregate_size is %llu, not %llu",
                              (unsigned long long)header->aggregate_size,
                              (unsigned long long)DIAG_SHM_AGGREGATE_REGION_SIZE);
    if (segment_size(header->ring_size) != file_size)
        return diag_error_set(err, DIAG_ERR_PROTOCOL, 0,
                              "segment.ring_size %llu does not fit a file of %llu bytes",
                              (unsigned long long)header->ring_size, (unsigned long long)file_size);
    if (memchr(header->process_uid, '\0', sizeof header->process_uid) == NULL ||
        !diag_uid_is_valid(header->process_uid))
        return diag_error_set(err, DIAG_ERR_PROTOCOL, 0,
                              "segment.process_uid is not 32 hexadecimal digits");
    return DIAG_OK;
}

enum diag_status diag_segment_adopt(int fd, bool is_prefaulted, struct diag_segment *out,
                                    struct diag_error *err) {
    DIAG_CLEANUP(diag_closep) int owned_fd = fd;
    struct diag_segment segment;
    struct diag_shm_header header;
    enum diag_status status;
    uint64_t size;

    status = check_memfd(owned_fd, SEGMENT_SEALS, &size, err);
    if (status != DIAG_OK)
        return status;
    if (size < segment_size(DIAG_SHM_RING_SIZE_MIN) || size > segment_size(DIAG_SHM_RING_SIZE_MAX))
        return diag_error_set(err, DIAG_ERR_PROTOCOL, 0, "segment has %llu bytes",
                              (unsigned long long)size);
    if (pread(owned_fd, &header, sizeof header, 0) != (ssize_t)sizeof header)
        return diag_error_set(err, DIAG_ERR_IO, errno, "header of a segment");
    status = check_header(&header, size, err);
    if (status != DIAG_OK)
        return status;
    status = map_segment(owned_fd, header.ring_size, is_prefaulted, &segment, err);
    if (status != DIAG_OK)
        return status;
    segment.fd = DIAG_TAKE_FD(owned_fd);
    *out = segment;
    return DIAG_OK;
}

void diag_segment_done(struct diag_segment *segment) {
    if (segment->header != NULL)
        munmap(segment->header, segment->mapped_size);
    diag_closep(&segment->fd);
    *segment = (struct diag_segment){.fd = -1};
}

static enum diag_status write_all(int fd, struct diag_bytes content, struct diag_error *err) {
    while (content.size > 0) {
        ssize_t written = write(fd, content.data, content.size);

        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return diag_error_set(err, errno == ENOSPC ? DIAG_ERR_NO_MEMORY : DIAG_ERR_IO, errno,
                                  "memfd of %zu more bytes", content.size);
        content.data += written;
        content.size -= (size_t)written;
    }
    return DIAG_OK;
}

enum diag_status diag_sealed_memfd_create(const char *name, struct diag_bytes content, int *fd,
                                          struct diag_error *err) {
    DIAG_CLEANUP(diag_closep) int made = -1;
    enum diag_status status;

    if (content.size > DIAG_SHM_SNAPSHOT_MAX)
        return diag_error_set(err, DIAG_ERR_TOO_LARGE, 0, "%s: %zu bytes, at most %u are allowed",
                              name, content.size, DIAG_SHM_SNAPSHOT_MAX);
    status = make_memfd(name, &made, err);
    if (status == DIAG_OK)
        status = write_all(made, content, err);
    if (status != DIAG_OK)
        return status;
    if (fcntl(made, F_ADD_SEALS, BLOB_SEALS) != 0)
        return diag_error_set(err, DIAG_ERR_IO, errno, "%s: seals", name);
    *fd = DIAG_TAKE_FD(made);
    return DIAG_OK;
}

enum diag_status diag_sealed_memfd_map(int fd, struct diag_bytes *out, struct diag_error *err) {
    DIAG_CLEANUP(diag_closep) int owned_fd = fd;
    enum diag_status status;
    uint64_t size;
    void *address;

    status = check_memfd(owned_fd, BLOB_SEALS, &size, err);
    if (status != DIAG_OK)
        return status;
    if (size > DIAG_SHM_SNAPSHOT_MAX)
        return diag_error_set(err, DIAG_ERR_PROTOCOL, 0, "snapshot has %llu bytes, over %u",
                              (unsigned long long)size, DIAG_SHM_SNAPSHOT_MAX);
    if (size == 0) {
        *out = diag_bytes_make(NULL, 0);
        return DIAG_OK;
    }
    address = mmap(NULL, (size_t)size, PROT_READ, MAP_SHARED, owned_fd, 0);
    if (address == MAP_FAILED)
        return diag_error_set(err, DIAG_ERR_IO, errno, "mmap of a snapshot of %llu bytes",
                              (unsigned long long)size);
    *out = diag_bytes_make(address, (size_t)size);
    return DIAG_OK;
}

void diag_sealed_memfd_unmap(struct diag_bytes content) {
    if (content.size > 0)
        munmap((void *)(uintptr_t)content.data, content.size);
}
