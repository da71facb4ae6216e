/* SPDX-License-Identifier: MIT */
/* A producer is killed while it writes; everything that it committed is delivered, and what is
 * missing is accounted for: produced = delivered + dropped + torn. */
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstring>

#include "lib/shm/ring_reader.h"
#include "lib/shm/ring_writer.h"

namespace {

const char kUid[] = "0123456789abcdef0123456789abcdef";

/* Shared by producer and test. */
struct Progress {
    std::atomic<uint64_t> begun; /* puts begun */
    std::atomic<uint64_t> ended;
};

[[noreturn]] void Produce(diag_segment *segment, Progress *progress) {
    diag_ring_writer writer = {segment, -1};
    static uint64_t record[512]; /* 4 KiB: the kill hits the copy often */

    for (uint64_t number = 0;; number++) {
        for (uint64_t &word : record)
            word = number;
        progress->begun++;
        if (diag_ring_writer_put(&writer, diag_bytes_make(record, sizeof record)) ==
            DIAG_ERR_INVALID)
            _exit(1);
        progress->ended++;
    }
}

TEST(RingCrash, NothingCommittedIsLost) {
    const int kRounds = 120;
    uint64_t torn_rounds = 0;
    Progress *progress =
        (Progress *)mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ASSERT_NE((void *)progress, MAP_FAILED);

    for (int round = 0; round < kRounds; round++) {
        diag_segment segment;
        diag_ring_reader reader;
        static uint8_t buffer[DIAG_SHM_RECORD_MAX];
        size_t size;
        uint64_t delivered = 0;
        int64_t last = -1;
        diag_error err;

        progress->begun = 0;
        progress->ended = 0;
        ASSERT_EQ(diag_segment_create(kUid, DIAG_SHM_RING_SIZE_DEFAULT, &segment, &err), DIAG_OK);
        ASSERT_EQ(diag_ring_reader_init(&reader, &segment, &err), DIAG_OK);
        pid_t child = fork();
        if (child == 0)
            Produce(&segment, progress);
        ASSERT_GT(child, 0);

        auto check = [&] {
            uint64_t words[512];
            ASSERT_EQ(size, sizeof words);
            memcpy(words, buffer, size);
            for (uint64_t word : words)
                ASSERT_EQ(word, words[0]) << "a torn record was delivered";
            ASSERT_GT((int64_t)words[0], last);
            last = (int64_t)words[0];
            delivered++;
        };
        /* Kill at another moment in each round. */
        while (delivered < 200u + 13u * (uint64_t)round) {
            diag_status status = diag_ring_reader_next(&reader, buffer, &size);
            if (status == DIAG_ERR_CLOSED)
                continue;
            ASSERT_EQ(status, DIAG_OK);
            check();
            diag_ring_reader_release(&reader);
        }
        kill(child, SIGKILL);
        int how = 0;
        ASSERT_EQ(waitpid(child, &how, 0), child);
        ASSERT_TRUE(WIFSIGNALED(how));

        while (diag_ring_reader_salvage(&reader, buffer, &size) == DIAG_OK)
            check();
        EXPECT_EQ(reader.head, segment.header->tail) << "the ring is drained";
        ASSERT_LE(reader.torn, 1u) << "one thread was in flight";
        torn_rounds += reader.torn;
        uint64_t dropped = diag_ring_reader_take_dropped(&reader);
        uint64_t accounted = delivered + dropped + reader.torn;
        /* The kill may have come between a counter and its put. */
        EXPECT_GE(accounted, progress->ended.load());
        EXPECT_LE(accounted, progress->begun.load());
        diag_segment_done(&segment);
    }
    RecordProperty("torn_rounds", (int)torn_rounds);
    munmap(progress, 4096);
}

} // namespace
