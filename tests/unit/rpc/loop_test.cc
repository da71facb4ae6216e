/* SPDX-License-Identifier: MIT */
#include "lib/rpc/loop.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <thread>
#include <vector>

#include "lib/base/clock.h"
#include "lib/rpc/timer_heap.h"

namespace {

constexpr uint64_t kPatienceMs = 30000;

class LoopTest : public ::testing::Test {
  protected:
    void SetUp() override { ASSERT_EQ(DIAG_OK, diag_loop_new(&loop_, nullptr)); }
    void TearDown() override { diag_loop_free(loop_); }

    diag_loop *loop_ = nullptr;
};

struct Note {
    diag_loop *loop;
    std::vector<int> *order;
    int value;
    bool stops;
    diag_loop_timer timer;

    static void run(void *context) {
        auto *note = static_cast<Note *>(context);

        note->order->push_back(note->value);
        if (note->stops)
            diag_loop_stop(note->loop);
    }
};

TEST_F(LoopTest, StopBeforeRunIsNotLost) {
    diag_loop_stop(loop_);
    diag_loop_run(loop_);
    std::thread other([this] { diag_loop_stop(loop_); });
    diag_loop_run(loop_);
    other.join();
}

TEST_F(LoopTest, PostsOfManyThreadsRunEachOnceAndInEachThreadsOrder) {
    constexpr int kThreads = 4, kPosts = 2000;
    std::vector<int> orders[kThreads];
    std::vector<Note> notes[kThreads];
    std::vector<std::thread> threads;

    for (int t = 0; t < kThreads; t++) {
        for (int i = 0; i < kPosts; i++)
            notes[t].push_back(Note{loop_, &orders[t], i, false, {}});
        threads.emplace_back([this, t, &notes] {
            for (Note &note : notes[t])
                ASSERT_EQ(DIAG_OK, diag_loop_post(loop_, Note::run, &note));
        });
    }
    auto count = [&] {
        size_t sum = 0;
        for (auto &order : orders)
            sum += order.size();
        return sum;
    };
    uint64_t limit_ns = diag_clock_monotonic_ns() + kPatienceMs * DIAG_NS_PER_MS;
    while (count() < kThreads * kPosts && diag_clock_monotonic_ns() < limit_ns) {
        bool never = false;
        diag_loop_run_until(loop_, &never, 1);
    }
    for (std::thread &thread : threads)
        thread.join();
    for (auto &order : orders) {
        ASSERT_EQ(size_t{kPosts}, order.size());
        EXPECT_TRUE(std::is_sorted(order.begin(), order.end()));
    }
}

TEST_F(LoopTest, APostWakesALoopThatWaits) {
    std::vector<int> order;
    Note note = {loop_, &order, 1, true, {}};
    std::thread other([&] {
        for (int i = 0; i < 100; i++)
            std::this_thread::yield();
        ASSERT_EQ(DIAG_OK, diag_loop_post(loop_, Note::run, &note));
    });

    diag_loop_run(loop_);
    other.join();
    EXPECT_EQ(std::vector<int>{1}, order);
}

TEST_F(LoopTest, StopReturnsAfterTheCurrentCallbackAndRunGoesOn) {
    std::vector<int> order;
    Note notes[] = {{loop_, &order, 1, false, {}},
                    {loop_, &order, 2, true, {}},
                    {loop_, &order, 3, false, {}},
                    {loop_, &order, 4, true, {}}};

    for (Note &note : notes)
        ASSERT_EQ(DIAG_OK, diag_loop_post(loop_, Note::run, &note));
    diag_loop_run(loop_);
    EXPECT_EQ((std::vector<int>{1, 2}), order);
    diag_loop_run(loop_);
    EXPECT_EQ((std::vector<int>{1, 2, 3, 4}), order);
}

TEST_F(LoopTest, PostsThatDidNotRunAreDropped) {
    std::vector<int> order;
    Note notes[] = {{loop_, &order, 1, true, {}}, {loop_, &order, 2, false, {}}};

    for (Note &note : notes)
        ASSERT_EQ(DIAG_OK, diag_loop_post(loop_, Note::run, &note));
    diag_loop_run(loop_);
    EXPECT_EQ(std::vector<int>{1}, order);
}

TEST_F(LoopTest, RunUntilEndsInTime) {
    bool never = false, already = true;
    uint64_t start_ns = diag_clock_monotonic_ns();

    EXPECT_FALSE(diag_loop_run_until(loop_, &never, 20));
    EXPECT_GE(diag_clock_monotonic_ns() - start_ns, 20 * DIAG_NS_PER_MS);
    EXPECT_TRUE(diag_loop_run_until(loop_, &already, kPatienceMs));
    EXPECT_FALSE(diag_loop_run_until(loop_, &never, 0));
}

TEST_F(LoopTest, RunUntilDoesNotEatAStop) {
    bool never = false;

    diag_loop_stop(loop_);
    EXPECT_FALSE(diag_loop_run_until(loop_, &never, 5));
    diag_loop_run(loop_);
}

TEST_F(LoopTest, TimersFireInTheOrderOfTheirDeadlines) {
    std::vector<int> order;
    Note notes[] = {{loop_, &order, 30, true, {}},
                    {loop_, &order, 10, false, {}},
                    {loop_, &order, 20, false, {}},
                    {loop_, &order, 15, false, {}},
                    {loop_, &order, 0, false, {}}};
    uint64_t start_ns = diag_clock_monotonic_ns();

    for (Note &note : notes)
        diag_loop_timer_start(loop_, &note.timer, static_cast<uint64_t>(note.value), Note::run,
                              &note);
    diag_loop_timer_stop(loop_, &notes[3].timer);
    EXPECT_FALSE(notes[3].timer.is_running);
    EXPECT_TRUE(notes[0].timer.is_running);
    diag_loop_run(loop_);
    EXPECT_EQ((std::vector<int>{0, 10, 20, 30}), order);
    EXPECT_GE(diag_clock_monotonic_ns() - start_ns, 30 * DIAG_NS_PER_MS);
    for (Note &note : notes)
        EXPECT_FALSE(note.timer.is_running);
}

TEST_F(LoopTest, ARestartedTimerFiresOnce) {
    std::vector<int> order;
    Note early = {loop_, &order, 1, false, {}};
    Note late = {loop_, &order, 2, true, {}};

    diag_loop_timer_start(loop_, &early.timer, 1, Note::run, &early);
    diag_loop_timer_start(loop_, &early.timer, 3, Note::run, &early);
    diag_loop_timer_start(loop_, &late.timer, 10, Note::run, &late);
    diag_loop_run(loop_);
    EXPECT_EQ((std::vector<int>{1, 2}), order);
}

struct Ticker {
    diag_loop *loop;
    diag_loop_timer timer;
    int count;

    static void run(void *context) {
        auto *ticker = static_cast<Ticker *>(context);

        if (++ticker->count == 100)
            diag_loop_stop(ticker->loop);
        else
            diag_loop_timer_start(ticker->loop, &ticker->timer, 0, run, ticker);
    }
};

TEST_F(LoopTest, ATimerMayRestartItselfAndHoldsUpNothing) {
    Ticker ticker = {loop_, {}, 0};
    std::vector<int> order;
    Note note = {loop_, &order, 1, false, {}};

    diag_loop_timer_start(loop_, &ticker.timer, 0, Ticker::run, &ticker);
    ASSERT_EQ(DIAG_OK, diag_loop_post(loop_, Note::run, &note));
    diag_loop_run(loop_);
    EXPECT_EQ(100, ticker.count);
    EXPECT_EQ(std::vector<int>{1}, order);
}

TEST_F(LoopTest, AFarTimerDoesNotOverflow) {
    std::vector<int> order;
    Note note = {loop_, &order, 1, false, {}};
    bool never = false;

    diag_loop_timer_start(loop_, &note.timer, UINT64_MAX, Note::run, &note);
    EXPECT_FALSE(diag_loop_run_until(loop_, &never, 2));
    EXPECT_TRUE(order.empty());
    diag_loop_timer_stop(loop_, &note.timer);
}

TEST(TimerHeap, AgreesWithSortingUnderAddsAndRemovals) {
    std::mt19937 random(7);
    std::vector<diag_loop_timer> timers(500);
    diag_timer_heap heap = {};
    std::vector<diag_loop_timer *> in, out;

    for (diag_loop_timer &timer : timers)
        out.push_back(&timer);
    for (int step = 0; step < 20000; step++) {
        bool is_adding = in.empty() || (!out.empty() && random() % 2 == 0);
        auto &from = is_adding ? out : in;
        auto &to = is_adding ? in : out;
        size_t index = random() % from.size();
        diag_loop_timer *timer = from[index];

        if (!is_adding && random() % 3 == 0)
            timer = heap.earliest;
        from.erase(std::find(from.begin(), from.end(), timer));
        to.push_back(timer);
        if (is_adding) {
            timer->deadline_ns = random() % 100;
            diag_timer_heap_add(&heap, timer);
        } else {
            diag_timer_heap_remove(&heap, timer);
        }
        if (in.empty()) {
            ASSERT_EQ(nullptr, heap.earliest);
            continue;
        }
        uint64_t least = UINT64_MAX;
        for (diag_loop_timer *each : in)
            least = std::min(least, each->deadline_ns);
        ASSERT_EQ(least, heap.earliest->deadline_ns);
    }
}

TEST(Loop, FreeOfNothing) {
    diag_loop_free(nullptr);
}

} // namespace
