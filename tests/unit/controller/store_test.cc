/* SPDX-License-Identifier: MIT */
#include "controller/store.h"

#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "lib/spec/spec_codec.h"
#include "tests/unit/controller/controller_fixture.h"

namespace diag_test {
namespace {

constexpr uint64_t kNow = UINT64_C(1700000000000000000);
constexpr uint64_t kSecond = 1000000000;

class StoreTest : public ::testing::Test {
  protected:
    ~StoreTest() override { diag_store_free(store_); }

    void open() {
        diag_store_free(store_);
        store_ = nullptr;
        ASSERT_EQ(DIAG_OK, diag_store_open(path_.c_str(), &store_, &err_)) << err_.message;
    }

    void expect_refused(diag_status status, const char *reason) {
        diag_store *store = nullptr;

        EXPECT_EQ(status, diag_store_open(path_.c_str(), &store, &err_));
        EXPECT_EQ(nullptr, store);
        EXPECT_NE(nullptr, strstr(err_.message, path_.c_str())) << err_.message;
        EXPECT_NE(nullptr, strstr(err_.message, reason)) << err_.message;
    }

    const diag_store_entry *apply(const std::string &encoded, uint64_t now = kNow) {
        const diag_store_entry *entry = nullptr;

        EXPECT_EQ(DIAG_OK,
                  diag_store_apply(store_, bytes_of(encoded), now, &entry, &is_created_, &err_))
            << err_.message;
        return entry;
    }

    void remove(const char *id) {
        uint64_t revision = 0;

        EXPECT_EQ(DIAG_OK, diag_store_delete(store_, id, &revision, &err_)) << err_.message;
        EXPECT_EQ(diag_store_revision(store_), revision);
    }

    void run_sql(const char *sql) {
        sqlite3 *database;

        ASSERT_EQ(SQLITE_OK, sqlite3_open(path_.c_str(), &database));
        EXPECT_EQ(SQLITE_OK, sqlite3_exec(database, sql, nullptr, nullptr, nullptr));
        sqlite3_close(database);
    }

    Folder folder_;
    std::string path_ = folder_.file("specs.db");
    diag_store *store_ = nullptr;
    diag_error err_ = {};
    bool is_created_ = false;
};

TEST_F(StoreTest, SetsTheOutputFieldsAndIgnoresTheRequests) {
    open();
    const diag_store_entry *entry =
        apply(make_spec("a", {.lifespan_ms = 60000, .revision = 99, .created = 5}));
    diag_spec *decoded = nullptr;

    ASSERT_NE(nullptr, entry);
    EXPECT_TRUE(is_created_);
    EXPECT_EQ(1u, entry->spec->revision);
    EXPECT_EQ(kNow, entry->spec->created_unix_ns);
    EXPECT_EQ(kNow, entry->spec->modified_unix_ns);
    EXPECT_EQ(kNow + 60 * kSecond, entry->spec->expires_unix_ns);
    ASSERT_EQ(DIAG_OK, diag_spec_decode(diag_buffer_bytes(&entry->encoded), &decoded, &err_));
    EXPECT_TRUE(diag_spec_equal(entry->spec, decoded));
    EXPECT_EQ(1u, decoded->revision);
    EXPECT_EQ(entry->spec->expires_unix_ns, decoded->expires_unix_ns);
    diag_spec_free(decoded);
}

TEST_F(StoreTest, ApplyingAgainRenewsTheLifespanAndKeepsCreated) {
    open();
    apply(make_spec("a"));
    const diag_store_entry *entry = apply(make_spec("a"), kNow + 30 * kSecond);

    EXPECT_FALSE(is_created_);
    EXPECT_EQ(2u, entry->spec->revision);
    EXPECT_EQ(kNow, entry->spec->created_unix_ns);
    EXPECT_EQ(kNow + 90 * kSecond, entry->spec->expires_unix_ns);
    EXPECT_EQ(1u, diag_store_count(store_));
}

TEST_F(StoreTest, ARestartKeepsEverything) {
    open();
    apply(make_spec("a", {.value = "args", .labels = {{"app", "shop"}}}));
    apply(make_spec("b"));
    std::string encoded = text_of(diag_buffer_bytes(&diag_store_get(store_, "a")->encoded));
    remove("b");
    open();

    EXPECT_EQ(1u, diag_store_count(store_));
    ASSERT_NE(nullptr, diag_store_get(store_, "a"));
    EXPECT_EQ(encoded, text_of(diag_buffer_bytes(&diag_store_get(store_, "a")->encoded)));
    EXPECT_STREQ("args", diag_store_get(store_, "a")->spec->instrument.value);
    EXPECT_EQ(nullptr, diag_store_get(store_, "b"));
    EXPECT_EQ(3u, diag_store_revision(store_));
}

TEST_F(StoreTest, RevisionsAreNeverUsedAgain) {
    open();
    apply(make_spec("a"));
    remove("a");
    open();
    EXPECT_EQ(3u, apply(make_spec("a"))->spec->revision);
    remove("a");
    open();
    EXPECT_EQ(5u, apply(make_spec("b"))->spec->revision);
}

TEST_F(StoreTest, WhatIsRefusedChangesNothing) {
    const struct {
        std::string encoded;
        diag_status status;
        const char *named;
    } cases[] = {
        {make_spec("a/b"), DIAG_ERR_INVALID, "id"},
        {make_spec("a", {.target = ""}), DIAG_ERR_INVALID, "target"},
        {make_spec("a", {.lifespan_ms = 0}), DIAG_ERR_INVALID, "lifespan"},
        {make_spec("a") + field(31, "x"), DIAG_ERR_VERSION, "31"},
        {make_spec("a") + "\xff", DIAG_ERR_INVALID, "spec"},
    };
    uint64_t revision;

    open();
    for (const auto &each : cases) {
        const diag_store_entry *entry = nullptr;

        EXPECT_EQ(each.status, diag_store_apply(store_, bytes_of(each.encoded), kNow, &entry,
                                                &is_created_, &err_));
        EXPECT_NE(nullptr, strstr(err_.message, each.named)) << err_.message;
        EXPECT_EQ(nullptr, entry);
    }
    EXPECT_EQ(DIAG_ERR_NOT_FOUND, diag_store_delete(store_, "a", &revision, &err_));
    EXPECT_EQ(0u, diag_store_count(store_));
    EXPECT_EQ(0u, diag_store_revision(store_));
}

TEST_F(StoreTest, ASecondOpenerIsRefused) {
    open();
    apply(make_spec("a"));
    expect_refused(DIAG_ERR_BUSY, "in use by another controller");

    pid_t child = fork();
    if (child == 0) {
        diag_store *store = nullptr;
        _exit(diag_store_open(path_.c_str(), &store, nullptr) == DIAG_ERR_BUSY ? 0 : 1);
    }
    int status = -1;
    ASSERT_EQ(child, waitpid(child, &status, 0));
    EXPECT_EQ(0, status) << "from another process";
    EXPECT_EQ(2u, apply(make_spec("b"))->spec->revision) << "the first one goes on";
}

TEST_F(StoreTest, RefusesWhatIsNotItsDatabase) {
    std::ofstream(path_) << std::string(8192, 'x');
    expect_refused(DIAG_ERR_IO, "not a database");
    std::filesystem::remove(path_);
    std::filesystem::create_directory(path_);
    expect_refused(DIAG_ERR_IO, "unable to open");
    std::filesystem::remove(path_);
    run_sql("CREATE TABLE somebody_elses (x)");
    expect_refused(DIAG_ERR_INVALID, "something else");
    path_ = folder_.file("missing/specs.db");
    expect_refused(DIAG_ERR_IO, "No such file");
}

TEST_F(StoreTest, RefusesANewerSchema) {
    open();
    diag_store_free(store_);
    store_ = nullptr;
    run_sql("PRAGMA user_version = 2");
    expect_refused(DIAG_ERR_VERSION, "schema 2");
}

TEST_F(StoreTest, RefusesADamagedFile) {
    open();
    for (int i = 0; i < 100; i++)
        apply(make_spec("spec" + std::to_string(i), {.value = std::string(500, 'v')}));
    diag_store_free(store_);
    store_ = nullptr;
    uintmax_t size = std::filesystem::file_size(path_);
    std::fstream file(path_, std::ios::in | std::ios::out | std::ios::binary);
    for (uintmax_t page = 4096; page < size; page += 4096) {
        file.seekp(static_cast<std::streamoff>(page));
        file << std::string(200, '\x5a');
    }
    file.close();
    expect_refused(DIAG_ERR_IO, "");
}

TEST_F(StoreTest, RefusesARowThatIsNotASpec) {
    open();
    apply(make_spec("a"));
    diag_store_free(store_);
    store_ = nullptr;
    run_sql("UPDATE specs SET body = x'ff'");
    expect_refused(DIAG_ERR_INVALID, "spec \"a\"");
}

/* A limit on the size of files stands in for a full disk. */
TEST_F(StoreTest, AFullDiskRefusesTheChangeAndLosesNothing) {
    rlimit before, small;
    const diag_store_entry *entry = nullptr;
    uint64_t revision;
    diag_status status = DIAG_OK;
    void (*old_handler)(int) = signal(SIGXFSZ, SIG_IGN);

    open();
    apply(make_spec("a"));
    ASSERT_EQ(0, getrlimit(RLIMIT_FSIZE, &before));
    small = before;
    small.rlim_cur = std::filesystem::file_size(path_ + "-wal") + 2048;
    ASSERT_EQ(0, setrlimit(RLIMIT_FSIZE, &small));
    std::string big = make_spec("b", {.value = std::string(8000, 'v')});
    status = diag_store_apply(store_, bytes_of(big), kNow, &entry, &is_created_, &err_);
    diag_status delete_status = diag_store_delete(store_, "a", &revision, nullptr);
    ASSERT_EQ(0, setrlimit(RLIMIT_FSIZE, &before));
    signal(SIGXFSZ, old_handler);

    EXPECT_NE(DIAG_OK, status);
    EXPECT_NE(nullptr, strstr(err_.message, path_.c_str())) << err_.message;
    EXPECT_NE(DIAG_OK, delete_status);
    EXPECT_EQ(nullptr, diag_store_get(store_, "b"));
    EXPECT_NE(nullptr, diag_store_get(store_, "a"));
    EXPECT_EQ(1u, diag_store_revision(store_));
    EXPECT_EQ(2u, apply(big)->spec->revision) << "once there is room again";
    open();
    EXPECT_EQ(2u, diag_store_count(store_));
}

TEST_F(StoreTest, ExpiredSpecsAreAnnouncedOnceAndPurgedADayLater) {
    uint64_t end = kNow + 60 * kSecond;

    open();
    apply(make_spec("short"));
    apply(make_spec("long", {.lifespan_ms = 600000}));
    EXPECT_EQ(end, diag_store_next_deadline(store_));
    EXPECT_EQ(nullptr, diag_store_take_expired(store_, end - 1));
    const diag_store_entry *expired = diag_store_take_expired(store_, end);
    ASSERT_NE(nullptr, expired);
    EXPECT_STREQ("short", expired->spec->id);
    EXPECT_EQ(nullptr, diag_store_take_expired(store_, end));
    EXPECT_EQ(kNow + 600 * kSecond, diag_store_next_deadline(store_));

    ASSERT_EQ(DIAG_OK, diag_store_purge(store_, end + DIAG_STORE_EXPIRED_KEPT_NS - 1, &err_));
    EXPECT_EQ(2u, diag_store_count(store_));
    ASSERT_EQ(DIAG_OK, diag_store_purge(store_, end + DIAG_STORE_EXPIRED_KEPT_NS, &err_));
    EXPECT_EQ(1u, diag_store_count(store_));
    open();
    EXPECT_EQ(nullptr, diag_store_get(store_, "short"));
    EXPECT_EQ(2u, diag_store_revision(store_));
}

TEST_F(StoreTest, NothingIsDueWithoutSpecs) {
    open();
    EXPECT_EQ(UINT64_MAX, diag_store_next_deadline(store_));
}

/* Applies and deletes until it is killed, and tells each acknowledged revision. */
[[noreturn]] void change_forever(const char *path, int out) {
    diag_store *store = nullptr;

    if (diag_store_open(path, &store, nullptr) != DIAG_OK)
        _exit(1);
    for (int i = 0;; i++) {
        const diag_store_entry *entry = nullptr;
        bool is_created;
        std::string id = "spec" + std::to_string(i);
        uint64_t revision;

        if (diag_store_apply(store, bytes_of(make_spec(id)), kNow, &entry, &is_created, nullptr) !=
            DIAG_OK)
            _exit(2);
        revision = entry->spec->revision;
        if (write(out, &revision, sizeof revision) != sizeof revision)
            _exit(3);
        if (i % 3 != 2)
            continue;
        if (diag_store_delete(store, id.c_str(), &revision, nullptr) != DIAG_OK ||
            write(out, &revision, sizeof revision) != sizeof revision)
            _exit(4);
    }
}

TEST_F(StoreTest, EverythingAcknowledgedSurvivesKillNine) {
    uint64_t last = 0, revision;
    int count = 0;
    int ends[2];

    for (int round = 0; round < 3; round++) {
        ASSERT_EQ(0, pipe(ends));
        std::filesystem::remove(path_);
        std::filesystem::remove(path_ + "-wal");
        pid_t child = fork();
        ASSERT_GE(child, 0);
        if (child == 0) {
            close(ends[0]);
            change_forever(path_.c_str(), ends[1]);
        }
        close(ends[1]);
        for (count = 0; count < 150 + 37 * round; count++)
            ASSERT_EQ(static_cast<ssize_t>(sizeof revision),
                      read(ends[0], &revision, sizeof revision));
        kill(child, SIGKILL);
        int status;
        ASSERT_EQ(child, waitpid(child, &status, 0));
        ASSERT_TRUE(WIFSIGNALED(status)) << status;
        /* what it told between our last read and its end was acknowledged too */
        while (read(ends[0], &revision, sizeof revision) == sizeof revision)
            count++;
        close(ends[0]);
        last = revision;
        EXPECT_EQ(static_cast<uint64_t>(count), last);

        open();
        /* at most one more change was committed, but not told */
        EXPECT_GE(diag_store_revision(store_), last);
        EXPECT_LE(diag_store_revision(store_), last + 1);
        /* four changes for three specs: apply, apply, apply, delete */
        for (uint64_t change = 0, spec = 0; change < last; change++) {
            std::string id = "spec" + std::to_string(spec);
            bool is_third = change % 4 == 2;
            if (change % 4 == 3) {
                EXPECT_EQ(nullptr, diag_store_get(store_, id.c_str())) << id;
            } else if (!is_third) {
                ASSERT_NE(nullptr, diag_store_get(store_, id.c_str())) << id;
                EXPECT_EQ(change + 1, diag_store_get(store_, id.c_str())->spec->revision);
            }
            spec += is_third ? 0 : 1;
        }
        diag_store_free(store_);
        store_ = nullptr;
    }
}

} // namespace
} // namespace diag_test
