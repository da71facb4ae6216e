/* SPDX-License-Identifier: MIT */
#include "lib/shm/segment.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <functional>
#include <string>

namespace {

const char kUid[] = "0123456789abcdef0123456789abcdef";
const int kSegmentSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

uint64_t SegmentSize(uint64_t ring_size) {
    return DIAG_SHM_HEADER_SIZE + ring_size + DIAG_SHM_AGGREGATE_REGION_SIZE;
}

int OpenFdCount() {
    int count = 0;
    for (int fd = 0; fd < 256; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

diag_shm_header GoodHeader() {
    diag_shm_header header;
    memset(&header, 0, sizeof header);
    header.magic = DIAG_SHM_MAGIC;
    header.version_major = DIAG_SHM_VERSION_MAJOR;
    header.version_minor = DIAG_SHM_VERSION_MINOR;
    header.header_size = DIAG_SHM_HEADER_SIZE;
    header.ring_offset = DIAG_SHM_HEADER_SIZE;
    header.ring_size = DIAG_SHM_RING_SIZE_MIN;
    header.aggregate_offset = DIAG_SHM_HEADER_SIZE + DIAG_SHM_RING_SIZE_MIN;
    header.aggregate_size = DIAG_SHM_AGGREGATE_REGION_SIZE;
    memcpy(header.process_uid, kUid, sizeof kUid);
    return header;
}

/* A memfd as a peer might hand it over. */
int MakeMemfd(const diag_shm_header &header, uint64_t size, int seals) {
    int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    EXPECT_EQ(ftruncate(fd, (off_t)size), 0);
    EXPECT_EQ(pwrite(fd, &header, sizeof header, 0), (ssize_t)sizeof header);
    EXPECT_EQ(fcntl(fd, F_ADD_SEALS, seals), 0);
    return fd;
}

TEST(Segment, GoldenHeader) {
    diag_segment segment;
    diag_error err;
    ASSERT_EQ(diag_segment_create(kUid, DIAG_SHM_RING_SIZE_MIN, &segment, &err), DIAG_OK)
        << err.message;
    const unsigned char expected[] = {
        'D', 'I', 'A', 'S', 'H', 'M', '0', '1', /* magic */
        1,   0,   0,   0,                       /* version 1.0 */
        0,   16,  0,   0,                       /* header_size 4096 */
        0,   16,  0,   0,   0,   0,   0,   0,   /* ring_offset 4096 */
        0,   0,   1,   0,   0,   0,   0,   0,   /* ring_size 65536 */
        '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd',
        'e', 'f', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b',
        'c', 'd', 'e', 'f', 0,   0,   0,   0,   0,   0,   0,   0, /* the uid's end */
        0,   16,  1,   0,   0,   0,   0,   0,                     /* aggregate_offset 69632 */
        0,   80,  6,   0,   0,   0,   0,   0,                     /* aggregate_size 413696 */
    };
    const unsigned char *bytes = (const unsigned char *)segment.header;
    EXPECT_EQ(memcmp(bytes, "DIASHM01", 8), 0) << "shm_abi.h: magic";
    EXPECT_EQ(memcmp(bytes, expected, sizeof expected), 0);
    for (size_t i = sizeof expected; i < SegmentSize(DIAG_SHM_RING_SIZE_MIN); i++)
        ASSERT_EQ(bytes[i], 0) << "at " << i;
    EXPECT_EQ(segment.ring, bytes + 4096);
    EXPECT_EQ(segment.ring_size, DIAG_SHM_RING_SIZE_MIN);
    EXPECT_EQ(segment.aggregates, bytes + 69632);
    EXPECT_EQ(segment.mapped_size, SegmentSize(DIAG_SHM_RING_SIZE_MIN));
    diag_segment_done(&segment);
    EXPECT_EQ(segment.fd, -1);
    diag_segment_done(&segment);
}

TEST(Segment, CreatedOneIsSealedAndPresent) {
    diag_segment segment;
    ASSERT_EQ(diag_segment_create(kUid, DIAG_SHM_RING_SIZE_MIN, &segment, nullptr), DIAG_OK);
    EXPECT_EQ(fcntl(segment.fd, F_GET_SEALS), kSegmentSeals);
    EXPECT_EQ(ftruncate(segment.fd, 4096), -1);
    EXPECT_EQ(ftruncate(segment.fd, 1 << 20), -1);
    EXPECT_EQ(fcntl(segment.fd, F_ADD_SEALS, F_SEAL_WRITE), -1);
    struct stat file;
    ASSERT_EQ(fstat(segment.fd, &file), 0);
    EXPECT_GE((uint64_t)file.st_blocks * 512, SegmentSize(DIAG_SHM_RING_SIZE_MIN));
    EXPECT_EQ(fcntl(segment.fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    diag_segment_done(&segment);
}

TEST(Segment, CreateRefusesBadArguments) {
    const uint64_t bad_sizes[] = {0,
                                  1,
                                  DIAG_SHM_RING_SIZE_MIN / 2,
                                  DIAG_SHM_RING_SIZE_MIN + 1,
                                  DIAG_SHM_RING_SIZE_MIN * 3,
                                  DIAG_SHM_RING_SIZE_MAX * 2};
    diag_segment segment = {};
    diag_error err;
    for (uint64_t size : bad_sizes) {
        EXPECT_EQ(diag_segment_create(kUid, size, &segment, &err), DIAG_ERR_INVALID) << size;
        EXPECT_NE(strstr(err.message, "ring size"), nullptr) << err.message;
    }
    EXPECT_EQ(diag_segment_create("nobody", DIAG_SHM_RING_SIZE_MIN, &segment, &err),
              DIAG_ERR_INVALID);
    EXPECT_NE(strstr(err.message, "nobody"), nullptr) << err.message;
    EXPECT_EQ(segment.header, nullptr) << "outputs are untouched on failure";
}

TEST(Segment, AdoptSharesTheMemory) {
    diag_segment ours, theirs;
    diag_error err;
    ASSERT_EQ(diag_segment_create(kUid, DIAG_SHM_RING_SIZE_DEFAULT, &ours, &err), DIAG_OK);
    ASSERT_EQ(diag_segment_adopt(dup(ours.fd), true, &theirs, &err), DIAG_OK) << err.message;
    EXPECT_EQ(theirs.ring_size, DIAG_SHM_RING_SIZE_DEFAULT);
    EXPECT_STREQ(theirs.header->process_uid, kUid);
    theirs.ring[17] = 99;
    EXPECT_EQ(ours.ring[17], 99);
    diag_segment_done(&theirs);
    diag_segment_done(&ours);
}

/* Bytes of the mapping at `address` that are this process's resident memory. */
size_t Resident(const void *address) {
    std::ifstream maps("/proc/self/smaps");
    char start[32];
    snprintf(start, sizeof start, "%lx-", (unsigned long)address);
    bool is_found = false;
    for (std::string line; std::getline(maps, line);) {
        unsigned long kib;
        is_found = is_found || line.compare(0, strlen(start), start) == 0;
        if (is_found && sscanf(line.c_str(), "Rss: %lu kB", &kib) == 1)
            return kib * 1024;
    }
    return SIZE_MAX;
}

TEST(Segment, OnlyWritersHaveAllPagesAtOnce) {
    diag_segment reader, writer;
    ASSERT_EQ(diag_segment_create(kUid, DIAG_SHM_RING_SIZE_DEFAULT, &reader, nullptr), DIAG_OK);
    ASSERT_EQ(diag_segment_adopt(dup(reader.fd), true, &writer, nullptr), DIAG_OK);
    EXPECT_EQ(Resident(writer.header), writer.mapped_size);
    EXPECT_LT(Resident(reader.header), reader.mapped_size / 4);
    diag_segment_done(&writer);
    diag_segment_done(&reader);
}

struct BadSegment {
    const char *name;
    std::function<int()> make;
    diag_status status;
    const char *message; /* a part of it */
};

int WithHeader(const std::function<void(diag_shm_header &)> &change) {
    diag_shm_header header = GoodHeader();
    change(header);
    return MakeMemfd(header, SegmentSize(DIAG_SHM_RING_SIZE_MIN), kSegmentSeals);
}

TEST(Segment, AdoptTakesAHandMadeOne) {
    diag_segment segment;
    diag_error err;
    /* what a later minor version may have added must not matter */
    int fd = WithHeader([](diag_shm_header &header) {
        header.version_minor = 7;
        header.reserved0[3] = 1;
    });
    ASSERT_EQ(diag_segment_adopt(fd, true, &segment, &err), DIAG_OK) << err.message;
    diag_segment_done(&segment);
}

TEST(Segment, AdoptRefuses) {
    const uint64_t size = SegmentSize(DIAG_SHM_RING_SIZE_MIN);
    const BadSegment cases[] = {
        {"pipe",
         [] {
             int fds[2];
             EXPECT_EQ(pipe(fds), 0);
             close(fds[1]);
             return fds[0];
         },
         DIAG_ERR_PROTOCOL, "not a memfd"},
        {"file", [] { return open("/proc/self/exe", O_RDONLY | O_CLOEXEC); }, DIAG_ERR_PROTOCOL,
         "not a memfd"},
        {"no descriptor", [] { return -1; }, DIAG_ERR_PROTOCOL, "not a memfd"},
        {"unsealed", [=] { return MakeMemfd(GoodHeader(), size, 0); }, DIAG_ERR_PROTOCOL, "seals"},
        {"may shrink", [=] { return MakeMemfd(GoodHeader(), size, F_SEAL_GROW | F_SEAL_SEAL); },
         DIAG_ERR_PROTOCOL, "seals"},
        {"may be sealed further",
         [=] { return MakeMemfd(GoodHeader(), size, F_SEAL_GROW | F_SEAL_SHRINK); },
         DIAG_ERR_PROTOCOL, "seals"},
        {"read-only", [=] { return MakeMemfd(GoodHeader(), size, kSegmentSeals | F_SEAL_WRITE); },
         DIAG_ERR_IO, "mmap"},
        {"too small", [] { return MakeMemfd(GoodHeader(), 4096, kSegmentSeals); },
         DIAG_ERR_PROTOCOL, "4096 bytes"},
        {"too large",
         [] {
             return MakeMemfd(GoodHeader(), SegmentSize(DIAG_SHM_RING_SIZE_MAX) + 4096,
                              kSegmentSeals);
         },
         DIAG_ERR_PROTOCOL, "bytes"},
        {"file larger than the ring",
         [=] { return MakeMemfd(GoodHeader(), size + 4096, kSegmentSeals); }, DIAG_ERR_PROTOCOL,
         "does not fit"},
        {"magic", [] { return WithHeader([](diag_shm_header &h) { h.magic ^= 1; }); },
         DIAG_ERR_PROTOCOL, "magic"},
        {"major", [] { return WithHeader([](diag_shm_header &h) { h.version_major++; }); },
         DIAG_ERR_VERSION, "version_major is 2"},
        {"header size", [] { return WithHeader([](diag_shm_header &h) { h.header_size = 320; }); },
         DIAG_ERR_PROTOCOL, "header_size"},
        {"ring offset", [] { return WithHeader([](diag_shm_header &h) { h.ring_offset = 0; }); },
         DIAG_ERR_PROTOCOL, "ring_offset"},
        {"ring not a power of two",
         [] { return WithHeader([](diag_shm_header &h) { h.ring_size = 65537; }); },
         DIAG_ERR_PROTOCOL, "power of two"},
        {"ring of nothing", [] { return WithHeader([](diag_shm_header &h) { h.ring_size = 0; }); },
         DIAG_ERR_PROTOCOL, "power of two"},
        {"ring larger than the file",
         [] {
             return WithHeader([](diag_shm_header &h) {
                 h.ring_size *= 2;
                 h.aggregate_offset = DIAG_SHM_HEADER_SIZE + h.ring_size;
             });
         },
         DIAG_ERR_PROTOCOL, "does not fit"},
        {"aggregates in the ring",
         [] { return WithHeader([](diag_shm_header &h) { h.aggregate_offset -= 64; }); },
         DIAG_ERR_PROTOCOL, "aggregate_offset"},
        {"aggregates of another size",
         [] { return WithHeader([](diag_shm_header &h) { h.aggregate_size += 64; }); },
         DIAG_ERR_PROTOCOL, "aggregate_size"},
        {"ring so large that a sum wraps",
         [] { return WithHeader([](diag_shm_header &h) { h.ring_size = UINT64_C(1) << 63; }); },
         DIAG_ERR_PROTOCOL, "power of two"},
        {"uid without an end",
         [] {
             return WithHeader(
                 [](diag_shm_header &h) { memset(h.process_uid, 'a', sizeof h.process_uid); });
         },
         DIAG_ERR_PROTOCOL, "process_uid"},
        {"uid malformed",
         [] { return WithHeader([](diag_shm_header &h) { h.process_uid[0] = 'x'; }); },
         DIAG_ERR_PROTOCOL, "process_uid"},
    };
    for (const BadSegment &bad : cases) {
        SCOPED_TRACE(bad.name);
        int before = OpenFdCount();
        diag_segment segment = {};
        diag_error err = {};
        EXPECT_EQ(diag_segment_adopt(bad.make(), true, &segment, &err), bad.status) << err.message;
        EXPECT_NE(strstr(err.message, bad.message), nullptr) << err.message;
        EXPECT_EQ(segment.header, nullptr);
        EXPECT_EQ(OpenFdCount(), before) << "the descriptor is closed on failure too";
    }
}

TEST(SealedMemfd, CarriesContentThatNobodyCanChange) {
    std::string text(100000, 'x');
    text += "end";
    int fd = -1;
    diag_error err;
    diag_bytes mapped;
    ASSERT_EQ(
        diag_sealed_memfd_create("test", diag_bytes_make(text.data(), text.size()), &fd, &err),
        DIAG_OK)
        << err.message;
    EXPECT_EQ(pwrite(fd, "y", 1, 0), -1);
    EXPECT_EQ(errno, EPERM);
    EXPECT_EQ(ftruncate(fd, 1), -1);
    EXPECT_EQ(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), MAP_FAILED);
    ASSERT_EQ(diag_sealed_memfd_map(dup(fd), &mapped, &err), DIAG_OK) << err.message;
    EXPECT_TRUE(diag_bytes_equal(mapped, diag_bytes_make(text.data(), text.size())));
    diag_sealed_memfd_unmap(mapped);
    close(fd);
}

TEST(SealedMemfd, Empty) {
    int fd = -1;
    diag_bytes mapped = diag_bytes_make("x", 1);
    ASSERT_EQ(diag_sealed_memfd_create("test", diag_bytes_make(nullptr, 0), &fd, nullptr), DIAG_OK);
    ASSERT_EQ(diag_sealed_memfd_map(fd, &mapped, nullptr), DIAG_OK);
    EXPECT_EQ(mapped.size, 0u);
    diag_sealed_memfd_unmap(mapped);
}

TEST(SealedMemfd, MapRefusesWhatMayStillChange) {
    const int all = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL;
    const int seals[] = {0, all & ~F_SEAL_WRITE, all & ~F_SEAL_SHRINK, all & ~F_SEAL_GROW};
    for (int some : seals) {
        int before = OpenFdCount();
        diag_bytes mapped = {};
        diag_error err = {};
        EXPECT_EQ(diag_sealed_memfd_map(MakeMemfd(GoodHeader(), 4096, some), &mapped, &err),
                  DIAG_ERR_PROTOCOL);
        EXPECT_NE(strstr(err.message, "seals"), nullptr) << err.message;
        EXPECT_EQ(OpenFdCount(), before);
    }
}

TEST(SealedMemfd, Limits) {
    const int all = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL;
    diag_bytes mapped = {};
    int fd = -1;
    diag_error err = {};
    EXPECT_EQ(diag_sealed_memfd_map(MakeMemfd(GoodHeader(), DIAG_SHM_SNAPSHOT_MAX + 1u, all),
                                    &mapped, &err),
              DIAG_ERR_PROTOCOL);
    EXPECT_NE(strstr(err.message, "16777217"), nullptr) << err.message;
    std::string text(DIAG_SHM_SNAPSHOT_MAX + 1u, 'x');
    EXPECT_EQ(
        diag_sealed_memfd_create("test", diag_bytes_make(text.data(), text.size()), &fd, &err),
        DIAG_ERR_TOO_LARGE);
    EXPECT_EQ(fd, -1);
}

} // namespace
