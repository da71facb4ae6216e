// SPDX-License-Identifier: MIT
#include "deploy/webhook/notice_queue.h"

#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <string>

namespace {

struct diag_review_notice notice_of(const std::string &name, const char *reason = "r") {
    struct diag_review_notice notice = {};

    strcpy(notice.namespace_name, "shop");
    strcpy(notice.name, name.c_str());
    strcpy(notice.reason, reason);
    return notice;
}

class NoticeQueue : public testing::Test {
  protected:
    enum diag_status put(const std::string &name, const char *reason = "r") {
        struct diag_review_notice notice = notice_of(name, reason);
        return diag_notice_queue_put(queue.get(), &notice, now_ns);
    }
    std::string take() {
        struct diag_review_notice notice;
        return diag_notice_queue_take(queue.get(), &notice) ? notice.name : "(none)";
    }

    std::unique_ptr<diag_notice_queue> queue = std::make_unique<diag_notice_queue>();
    uint64_t now_ns = 1;
};

TEST_F(NoticeQueue, GivesThemInOrder) {
    EXPECT_EQ(take(), "(none)");
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < 40; i++)
            EXPECT_EQ(put(std::to_string(round * 100 + i)), DIAG_OK);
        for (int i = 0; i < 40; i++)
            EXPECT_EQ(take(), std::to_string(round * 100 + i));
    }
    EXPECT_EQ(take(), "(none)");
}

TEST_F(NoticeQueue, IsBounded) {
    for (int i = 0; i < DIAG_NOTICE_QUEUE_MAX; i++)
        EXPECT_EQ(put(std::to_string(i)), DIAG_OK);
    EXPECT_EQ(put("x"), DIAG_ERR_FULL);
    EXPECT_EQ(take(), "0");
    EXPECT_EQ(put("x"), DIAG_OK); // it was not taken for one that has been put
}

TEST_F(NoticeQueue, TakesTheSameOnceInAWhile) {
    EXPECT_EQ(put("a"), DIAG_OK);
    EXPECT_EQ(put("a"), DIAG_ERR_EXISTS);
    EXPECT_EQ(put("a", "another reason"), DIAG_OK);
    EXPECT_EQ(put("b"), DIAG_OK);
    EXPECT_EQ(take(), "a");
    EXPECT_EQ(put("a"), DIAG_ERR_EXISTS);
    now_ns += DIAG_NOTICE_QUEUE_REPEAT_NS - 1;
    EXPECT_EQ(put("a"), DIAG_ERR_EXISTS);
    now_ns += 1;
    EXPECT_EQ(put("a"), DIAG_OK);
    EXPECT_EQ(put("a"), DIAG_ERR_EXISTS);
}

TEST_F(NoticeQueue, ForgetsTheOldestOfMany) {
    for (int i = 0; i < DIAG_NOTICE_QUEUE_RECENT_MAX + 1; i++) {
        EXPECT_EQ(put(std::to_string(i)), DIAG_OK);
        take();
    }
    EXPECT_EQ(put("1"), DIAG_ERR_EXISTS);
    EXPECT_EQ(put("0"), DIAG_OK);
}

} // namespace
