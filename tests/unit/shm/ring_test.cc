/* SPDX-License-Identifier: MIT */
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "lib/shm/ring_reader.h"
#include "lib/shm/ring_writer.h"

namespace {

const char kUid[] = "0123456789abcdef0123456789abcdef";
const uint64_t kRing = DIAG_SHM_RING_SIZE_MIN;

class Ring : public ::testing::Test {
  protected:
    void SetUp() override {
        diag_error err;
        ASSERT_EQ(diag_segment_create(kUid, kRing, &segment, &err), DIAG_OK) << err.message;
        ASSERT_EQ(diag_ring_reader_init(&reader, &segment, &err), DIAG_OK) << err.message;
        writer = {&segment, -1};
    }
    void TearDown() override { diag_segment_done(&segment); }

    diag_status Put(const std::string &text) {
        return diag_ring_writer_put(&writer, diag_bytes_make(text.data(), text.size()));
    }
    /* The next record's payload, or the status in angle brackets. */
    std::string Next() { return Text(diag_ring_reader_next(&reader, buffer, &size)); }
    std::string Salvage() { return Text(diag_ring_reader_salvage(&reader, buffer, &size)); }
    std::string Text(diag_status status) {
        if (status != DIAG_OK)
            return std::string("<") + diag_status_name(status) + ">";
        return std::string((const char *)buffer, size);
    }
    diag_shm_record *At(uint64_t position) {
        return (diag_shm_record *)(segment.ring + position % kRing);
    }
    /* Fills until full and drains, so that the next record goes to `position`, which is a
     * multiple of 16 and at least 32 more than the tail. */
    void MoveTo(uint64_t position) {
        while (segment.header->tail != position) {
            uint64_t extent = position - segment.header->tail;
            if (extent > 4096)
                extent = extent < 8192 ? extent / 32 * 16 : 4096;
            ASSERT_EQ(Put(std::string(extent - 16, 'm')), DIAG_OK);
            ASSERT_EQ(Next().size(), extent - 16);
            diag_ring_reader_release(&reader);
        }
    }

    diag_segment segment;
    diag_ring_reader reader;
    diag_ring_writer writer;
    uint8_t buffer[DIAG_SHM_RECORD_MAX];
    size_t size = 0;
};

const std::string kNothing = "<closed>";
const std::string kCorrupt = "<protocol>";

TEST_F(Ring, StatusNames) {
    EXPECT_EQ(Text(DIAG_ERR_CLOSED), kNothing);
    EXPECT_EQ(Text(DIAG_ERR_PROTOCOL), kCorrupt);
}

TEST_F(Ring, GoldenRecord) {
    ASSERT_EQ(Put("first"), DIAG_OK);
    ASSERT_EQ(Put("0123456789abcdef0"), DIAG_OK);
    const unsigned char first[] = {5, 0, 0, 2, 0, 0,   0,   0,   1,   0,  0,
                                   0, 0, 0, 0, 0, 'f', 'i', 'r', 's', 't'};
    const unsigned char second[] = {17, 0, 0, 2, 2, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, '0', '1'};
    EXPECT_EQ(memcmp(segment.ring, first, sizeof first), 0);
    EXPECT_EQ(memcmp(segment.ring + 32, second, sizeof second), 0);
    EXPECT_EQ(segment.header->tail, 32u + 48u);
}

TEST_F(Ring, InOrder) {
    EXPECT_EQ(Next(), kNothing);
    ASSERT_EQ(Put("a"), DIAG_OK);
    ASSERT_EQ(Put("bb"), DIAG_OK);
    EXPECT_EQ(Next(), "a");
    EXPECT_EQ(Next(), "bb");
    EXPECT_EQ(Next(), kNothing);
    EXPECT_EQ(segment.header->head, 0u) << "published by release only";
    diag_ring_reader_release(&reader);
    EXPECT_EQ(segment.header->head, segment.header->tail);
}

TEST_F(Ring, SizeLimits) {
    EXPECT_EQ(Put(""), DIAG_ERR_INVALID);
    EXPECT_EQ(Put(std::string(DIAG_SHM_RECORD_MAX + 1, 'x')), DIAG_ERR_INVALID);
    EXPECT_EQ(segment.header->tail, 0u);
    EXPECT_EQ(segment.header->dropped, 0u);
    ASSERT_EQ(Put(std::string(DIAG_SHM_RECORD_MAX, 'x')), DIAG_OK);
    EXPECT_EQ(Next(), std::string(DIAG_SHM_RECORD_MAX, 'x'));
}

TEST_F(Ring, PadsAtTheEnd) {
    MoveTo(kRing - 32);
    ASSERT_EQ(Put(std::string(17, 'p')), DIAG_OK); /* 48 bytes do not fit into 32 */
    EXPECT_EQ(At(kRing - 32)->size_and_state, DIAG_SHM_STATE_PAD);
    EXPECT_EQ(At(kRing - 32)->stamp, (kRing - 32) / 16);
    EXPECT_EQ(At(kRing)->stamp, kRing / 16);
    EXPECT_EQ(segment.header->tail, kRing + 48);
    EXPECT_EQ(Next(), std::string(17, 'p'));
    EXPECT_EQ(Next(), kNothing);
}

TEST_F(Ring, FitsExactlyToTheEnd) {
    MoveTo(kRing - 32);
    ASSERT_EQ(Put(std::string(16, 'p')), DIAG_OK);
    EXPECT_EQ(segment.header->tail, kRing);
    EXPECT_EQ(Next(), std::string(16, 'p'));
}

TEST_F(Ring, FullDropsAndCounts) {
    size_t stored = 0, extra = 3;
    while (Put(std::string(1000, 'x')) == DIAG_OK)
        stored++;
    EXPECT_EQ(stored, kRing / 16 * 15 / 1024) << "the rest is kept";
    for (size_t i = 1; i < extra; i++)
        EXPECT_EQ(Put("x"), DIAG_ERR_FULL);
    EXPECT_EQ(diag_ring_reader_take_dropped(&reader), extra);
    EXPECT_EQ(diag_ring_reader_take_dropped(&reader), 0u);
    EXPECT_EQ(Next().size(), 1000u);
    EXPECT_EQ(Put("x"), DIAG_ERR_FULL) << "room comes back with the release only";
    diag_ring_reader_release(&reader);
    EXPECT_EQ(Put("x"), DIAG_OK);
}

TEST_F(Ring, GoldenLost) {
    segment.header->dropped = 0x0102;
    ASSERT_EQ(Put("x"), DIAG_OK);
    const unsigned char lost[] = {8, 0, 0, 2, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0,
                                  2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
    const unsigned char event[] = {1, 0, 0, 2, 2, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 'x'};
    EXPECT_EQ(memcmp(segment.ring, lost, sizeof lost), 0);
    EXPECT_EQ(memcmp(segment.ring + 32, event, sizeof event), 0);
    EXPECT_EQ(segment.header->tail, 64u);
    EXPECT_EQ(segment.header->dropped_told, 0x0102u);
}

TEST_F(Ring, LostSaysWhere) {
    while (Put(std::string(1000, 'x')) == DIAG_OK)
        continue;
    EXPECT_EQ(Put(std::string(1000, 'x')), DIAG_ERR_FULL);
    for (uint64_t i = 0; i < 60; i++) {
        ASSERT_EQ(Next().size(), 1000u);
        EXPECT_EQ(diag_ring_reader_take_dropped_here(&reader), 0u);
    }
    diag_ring_reader_release(&reader);
    ASSERT_EQ(Put("after"), DIAG_OK);
    ASSERT_EQ(Put("later"), DIAG_OK);
    segment.header->dropped += 3; /* after these two */
    EXPECT_EQ(Next(), "after");
    EXPECT_EQ(diag_ring_reader_take_dropped_here(&reader), 2u);
    EXPECT_EQ(segment.header->dropped_reported, 0u) << "not published yet";
    diag_ring_reader_release(&reader);
    EXPECT_EQ(segment.header->dropped_reported, 2u);
    EXPECT_EQ(diag_ring_reader_take_dropped_here(&reader), 0u);
    EXPECT_EQ(Next(), "later");
    EXPECT_EQ(diag_ring_reader_take_dropped_here(&reader), 0u) << "told once";
    EXPECT_EQ(diag_ring_reader_take_dropped(&reader), 3u);
    ASSERT_EQ(Put("last"), DIAG_OK);
    EXPECT_EQ(Next(), "last");
    EXPECT_EQ(diag_ring_reader_take_dropped_here(&reader), 0u) << "taken from the header already";
    EXPECT_EQ(diag_ring_reader_take_dropped(&reader), 0u);
}

TEST_F(Ring, LossesThatNobodyTookGoToTheSuccessor) {
    segment.header->dropped = 5;
    ASSERT_EQ(Put("x"), DIAG_OK);
    EXPECT_EQ(Next(), "x");
    diag_ring_reader_release(&reader); /* and ends, with five drops not reported */
    diag_ring_reader next;
    ASSERT_EQ(diag_ring_reader_init(&next, &segment, nullptr), DIAG_OK);
    EXPECT_EQ(diag_ring_reader_take_dropped(&next), 5u);
}

TEST_F(Ring, LostIsNotBelieved) {
    struct {
        uint64_t total, dropped, expected;
    } const cases[] = {{1000, 3, 3}, {2, 3, 2}, {0, 3, 0}, {UINT64_MAX, 0, 0}};
    for (auto &c : cases) {
        TearDown();
        SetUp();
        segment.header->dropped = 1;
        ASSERT_EQ(Put("x"), DIAG_OK);
        segment.header->dropped = c.dropped;
        memcpy(At(0) + 1, &c.total, sizeof c.total);
        EXPECT_EQ(Next(), "x");
        EXPECT_EQ(diag_ring_reader_take_dropped_here(&reader), c.expected);
        EXPECT_EQ(diag_ring_reader_take_dropped(&reader), c.dropped - c.expected);
    }
}

TEST_F(Ring, UnknownTypesAreSkippedAndCounted) {
    for (bool is_dead : {false, true}) {
        TearDown();
        SetUp();
        segment.header->dropped = 1;
        ASSERT_EQ(Put("one"), DIAG_OK);
        ASSERT_EQ(Put("two"), DIAG_OK);
        At(0)->size_and_state = 7 | DIAG_SHM_STATE_READY; /* a LOST of another size */
        At(32)->type = 3;
        EXPECT_EQ(is_dead ? Salvage() : Next(), "two");
        EXPECT_EQ(reader.torn, 2u);
        EXPECT_EQ(diag_ring_reader_take_dropped(&reader), 1u);
    }
}

/* A full ring takes what must not be dropped, up to its kept part. */
TEST_F(Ring, KeptPart) {
    const std::string error(1000, 'e');
    auto put_kept = [&] {
        return diag_ring_writer_put_kept(&writer, diag_bytes_make(error.data(), error.size()));
    };
    while (Put(std::string(1000, 'x')) == DIAG_OK)
        continue;
    for (int i = 0; i < 3; i++)
        ASSERT_EQ(put_kept(), DIAG_OK);
    EXPECT_EQ(Put("x"), DIAG_ERR_FULL);
    /* 4096 bytes less 3 * 1024 and a LOST of 32: the next one fits without its LOST no more */
    EXPECT_EQ(put_kept(), DIAG_ERR_FULL);
    EXPECT_EQ(segment.header->dropped, 3u);
    EXPECT_EQ(diag_ring_writer_put_kept(&writer, diag_bytes_make(error.data(), 976)), DIAG_OK)
        << "rather the event without its LOST than neither";
    EXPECT_EQ(segment.header->dropped_told, 1u);
    for (int i = 0; i < 60; i++)
        EXPECT_EQ(Next(), std::string(1000, 'x'));
    EXPECT_EQ(diag_ring_reader_take_dropped_here(&reader), 0u);
    EXPECT_EQ(Next(), error);
    EXPECT_EQ(diag_ring_reader_take_dropped_here(&reader), 1u);
    for (int i = 0; i < 2; i++)
        EXPECT_EQ(Next(), error);
    EXPECT_EQ(Next(), std::string(976, 'e'));
    EXPECT_EQ(Next(), kNothing);
    EXPECT_EQ(diag_ring_reader_take_dropped(&reader), 2u);
}

/* Drops do not fill the ring with LOST records. */
TEST_F(Ring, DropsTakeNoRoom) {
    while (Put(std::string(1000, 'x')) == DIAG_OK)
        continue;
    uint64_t tail = segment.header->tail;
    for (int i = 0; i < 1000; i++)
        EXPECT_EQ(Put(std::string(1000, 'x')), DIAG_ERR_FULL);
    EXPECT_EQ(segment.header->tail, tail);
    EXPECT_EQ(segment.header->dropped, 1001u);
}

TEST_F(Ring, LostBehindAPad) {
    MoveTo(kRing - 32);
    segment.header->dropped = 4;
    ASSERT_EQ(Put("x"), DIAG_OK); /* 32 + 32 bytes do not fit into 32 */
    EXPECT_EQ(At(kRing - 32)->size_and_state, DIAG_SHM_STATE_PAD);
    EXPECT_EQ(segment.header->tail, kRing + 64);
    EXPECT_EQ(Next(), "x");
    EXPECT_EQ(diag_ring_reader_take_dropped_here(&reader), 4u);
}

TEST_F(Ring, NonsensicalHeadIsFull) {
    segment.header->head = 1u << 30; /* ahead of the tail */
    EXPECT_EQ(Put("x"), DIAG_ERR_FULL);
    EXPECT_EQ(segment.header->dropped, 1u);
}

TEST_F(Ring, MisalignedTailIsFull) {
    segment.header->head = segment.header->tail = kRing - 1; /* a record would leave the ring */
    EXPECT_EQ(Put("x"), DIAG_ERR_FULL);
    EXPECT_EQ(segment.header->dropped, 1u);
}

TEST_F(Ring, DroppedIsNotRepeatedBySuccessors) {
    segment.header->dropped = 5;
    EXPECT_EQ(diag_ring_reader_take_dropped(&reader), 5u);
    diag_ring_reader_release(&reader);
    segment.header->dropped = 7; /* while no sidecar ran */
    diag_ring_reader next;
    ASSERT_EQ(diag_ring_reader_init(&next, &segment, nullptr), DIAG_OK);
    EXPECT_EQ(diag_ring_reader_take_dropped(&next), 2u);
    segment.header->dropped = 1; /* backwards: a lie */
    EXPECT_EQ(diag_ring_reader_take_dropped(&next), 0u);
}

TEST_F(Ring, SuccessorContinues) {
    ASSERT_EQ(Put("a"), DIAG_OK);
    ASSERT_EQ(Put("b"), DIAG_OK);
    EXPECT_EQ(Next(), "a");
    diag_ring_reader_release(&reader);
    diag_segment adopted;
    ASSERT_EQ(diag_segment_adopt(dup(segment.fd), true, &adopted, nullptr), DIAG_OK);
    ASSERT_EQ(diag_ring_reader_init(&reader, &adopted, nullptr), DIAG_OK);
    EXPECT_EQ(Next(), "b");
    EXPECT_EQ(Next(), kNothing);
    diag_segment_done(&adopted);
}

TEST_F(Ring, InitRefusesNonsense) {
    struct {
        uint64_t head, tail;
    } const cases[] = {{16, 0}, {0, kRing + 16}, {8, 16}, {0, 17}};
    for (auto &c : cases) {
        diag_ring_reader fresh = {};
        diag_error err;
        segment.header->head = c.head;
        segment.header->tail = c.tail;
        EXPECT_EQ(diag_ring_reader_init(&fresh, &segment, &err), DIAG_ERR_PROTOCOL);
        EXPECT_EQ(fresh.segment, nullptr);
    }
}

/* Many laps: stale records of earlier laps must never be taken for new ones. */
TEST_F(Ring, ReservedButUnwrittenIsNotRead) {
    for (int lap = 0; lap < 3; lap++) {
        MoveTo(kRing * (uint64_t)(lap + 1));
        segment.header->tail += 32; /* reserved; a record of an earlier lap lies there */
        EXPECT_EQ(Next(), kNothing);
        EXPECT_TRUE(diag_ring_reader_prepare_sleep(&reader));
        At(reader.head)->size_and_state = 4 | DIAG_SHM_STATE_BUSY;
        At(reader.head)->stamp = (uint32_t)(reader.head / 16);
        EXPECT_EQ(Next(), kNothing);
        EXPECT_TRUE(diag_ring_reader_prepare_sleep(&reader));
        memcpy(At(reader.head) + 1, "late", 4);
        At(reader.head)->type = DIAG_SHM_RECORD_EVENT;
        At(reader.head)->size_and_state = 4 | DIAG_SHM_STATE_READY;
        EXPECT_FALSE(diag_ring_reader_prepare_sleep(&reader));
        EXPECT_EQ(Next(), "late");
        diag_ring_reader_release(&reader);
    }
}

struct Garbage {
    const char *name;
    uint32_t size_and_state;
    uint64_t tail; /* 0: as it is */
};

TEST_F(Ring, CorruptRecordsAreSkippedAndCounted) {
    const Garbage cases[] = {
        {"no size", DIAG_SHM_STATE_READY, 0},
        {"too long", DIAG_SHM_STATE_READY | (DIAG_SHM_RECORD_MAX + 1), 0},
        {"longest that can be said", DIAG_SHM_STATE_READY | DIAG_SHM_SIZE_MASK, 0},
        {"beyond the tail", DIAG_SHM_STATE_READY | 64, 0},
        {"busy beyond the tail", DIAG_SHM_STATE_BUSY | 64, 0},
        {"pad beyond the tail", DIAG_SHM_STATE_PAD, 0},
        {"unknown state", UINT32_C(0x7f000001), 0},
        {"tail too far", DIAG_SHM_STATE_READY | 1, 3 * kRing},
        {"tail misaligned", DIAG_SHM_STATE_READY | 1, 33},
        {"tail behind", DIAG_SHM_STATE_READY | 1, (uint64_t)0 - 32},
    };
    for (const Garbage &garbage : cases) {
        for (bool dead : {false, true}) {
            SCOPED_TRACE(std::string(garbage.name) + (dead ? ", dead" : ", alive"));
            TearDown();
            SetUp();
            ASSERT_EQ(Put("x"), DIAG_OK);
            At(0)->size_and_state = garbage.size_and_state;
            if (garbage.tail != 0)
                segment.header->tail = garbage.tail;
            std::string result = dead ? Salvage() : Next();
            EXPECT_EQ(result, dead && garbage.tail == 0 ? kNothing : kCorrupt);
            EXPECT_EQ(reader.torn, 1u);
            EXPECT_EQ(Next(), kNothing);
            diag_ring_reader_release(&reader);
            if (garbage.tail % 16 == 0) { /* the ring works again */
                EXPECT_EQ(Put("again"), DIAG_OK);
                EXPECT_EQ(Next(), "again");
            }
        }
    }
}

TEST_F(Ring, MisalignedTailRecovers) {
    segment.header->tail = 33;
    EXPECT_EQ(Next(), kCorrupt);
    segment.header->tail = 96;
    EXPECT_EQ(Next(), kCorrupt);
    diag_ring_reader_release(&reader);
    EXPECT_EQ(Put("again"), DIAG_OK);
    EXPECT_EQ(Next(), "again");
    EXPECT_EQ(reader.torn, 2u);
}

TEST_F(Ring, SalvageSkipsWhatDiedHalfWay) {
    ASSERT_EQ(Put("one"), DIAG_OK);
    uint64_t busy = segment.header->tail;
    ASSERT_EQ(Put(std::string(100, 'b')), DIAG_OK);
    ASSERT_EQ(Put("two"), DIAG_OK);
    uint64_t gap = segment.header->tail;
    ASSERT_EQ(Put(std::string(200, 'g')), DIAG_OK);
    ASSERT_EQ(Put("three"), DIAG_OK);
    segment.header->tail += 4096; /* reserved, and no more than that */
    At(busy)->size_and_state = 100 | DIAG_SHM_STATE_BUSY;
    At(gap)->stamp = 0xdead;

    EXPECT_EQ(Next(), "one");
    EXPECT_EQ(Next(), kNothing) << "a living writer may still commit";
    EXPECT_EQ(Salvage(), "two");
    EXPECT_EQ(reader.torn, 1u);
    EXPECT_EQ(Salvage(), "three");
    EXPECT_EQ(reader.torn, 2u);
    EXPECT_EQ(Salvage(), kNothing);
    EXPECT_EQ(reader.torn, 3u);
    EXPECT_EQ(Salvage(), kNothing);
    EXPECT_EQ(reader.torn, 3u);
}

TEST_F(Ring, SalvageFindsRecordsBehindALostPad) {
    MoveTo(kRing - 32);
    ASSERT_EQ(Put(std::string(40, 'p')), DIAG_OK);
    At(kRing - 32)->stamp = 1;
    EXPECT_EQ(Salvage(), std::string(40, 'p'));
    EXPECT_EQ(reader.torn, 1u);
}

TEST_F(Ring, WakesASleepingReaderOnce) {
    int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    uint64_t count = 0;
    writer.wake_fd = fd;
    ASSERT_EQ(Put("x"), DIAG_OK);
    EXPECT_EQ(read(fd, &count, sizeof count), -1) << "nobody sleeps: no system call";
    EXPECT_FALSE(diag_ring_reader_prepare_sleep(&reader)) << "there is something to read";
    EXPECT_EQ(segment.header->is_reader_sleeping, 0u);
    EXPECT_EQ(Next(), "x");
    ASSERT_TRUE(diag_ring_reader_prepare_sleep(&reader));
    ASSERT_EQ(Put("y"), DIAG_OK);
    ASSERT_EQ(Put("z"), DIAG_OK);
    EXPECT_EQ(read(fd, &count, sizeof count), (ssize_t)sizeof count);
    EXPECT_EQ(count, 1u);
    EXPECT_EQ(Next(), "y");
    EXPECT_EQ(Next(), "z");
    ASSERT_TRUE(diag_ring_reader_prepare_sleep(&reader));
    diag_ring_reader_end_sleep(&reader);
    ASSERT_EQ(Put("z"), DIAG_OK);
    EXPECT_EQ(read(fd, &count, sizeof count), -1);
    close(fd);
}

/* Several writers and one reader that sleeps whenever it can: every record comes once, whole and
 * in its writer's order, and no wake-up is lost (the poll has no time limit of its own; the
 * test's is the judge). */
TEST_F(Ring, Threads) {
    const int kThreads = 3;
    const uint32_t kEach = 20000;
    int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    std::atomic<uint64_t> stored{0}, dropped{0};
    std::atomic<int> running{kThreads};
    std::vector<std::thread> threads;
    writer.wake_fd = fd;

    for (uint32_t id = 0; id < kThreads; id++)
        threads.emplace_back([&, id] {
            diag_ring_writer own = {&segment, fd};
            uint32_t words[64];
            for (uint32_t i = 0; i < kEach; i++) {
                size_t count = 2 + (i * 7 + id) % 62;
                for (size_t w = 1; w < count; w++)
                    words[w] = i;
                words[0] = id;
                if (diag_ring_writer_put(&own, diag_bytes_make(words, count * 4)) == DIAG_OK)
                    stored++;
                else
                    dropped++;
            }
            uint64_t one = 1;
            if (--running == 0) { /* the last one ends the reader's sleep */
                EXPECT_EQ(write(fd, &one, sizeof one), (ssize_t)sizeof one);
            }
        });

    uint64_t delivered = 0, told = 0;
    std::vector<int64_t> last(kThreads, -1);
    for (;;) {
        bool was_running = running != 0;
        diag_status status = diag_ring_reader_next(&reader, buffer, &size);
        if (status == DIAG_OK) {
            uint32_t words[64];
            ASSERT_LE(size, sizeof words);
            memcpy(words, buffer, size);
            ASSERT_LT(words[0], (uint32_t)kThreads);
            ASSERT_EQ(size, 4u * (2 + (words[1] * 7 + words[0]) % 62));
            for (size_t w = 1; w < size / 4; w++)
                ASSERT_EQ(words[w], words[1]);
            ASSERT_GT((int64_t)words[1], last[words[0]]);
            last[words[0]] = words[1];
            told += diag_ring_reader_take_dropped_here(&reader);
            delivered++;
            continue;
        }
        ASSERT_EQ(status, DIAG_ERR_CLOSED);
        diag_ring_reader_release(&reader);
        if (!was_running)
            break;
        if (diag_ring_reader_prepare_sleep(&reader)) {
            struct pollfd wait = {fd, POLLIN, 0};
            uint64_t count;
            ASSERT_EQ(poll(&wait, 1, -1), 1);
            ASSERT_EQ(read(fd, &count, sizeof count), (ssize_t)sizeof count);
            diag_ring_reader_end_sleep(&reader);
        }
    }
    for (std::thread &thread : threads)
        thread.join();
    EXPECT_EQ(delivered, stored);
    EXPECT_EQ(stored + dropped, (uint64_t)kThreads * kEach);
    EXPECT_EQ(told + diag_ring_reader_take_dropped(&reader), dropped);
    EXPECT_EQ(reader.torn, 0u);
    close(fd);
}

} // namespace
