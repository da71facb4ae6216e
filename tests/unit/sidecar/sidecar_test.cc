/* SPDX-License-Identifier: MIT */
/* The program between a controller and processes that the test plays. */
#include <dirent.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <fstream>
#include <memory>

#include "tests/unit/sidecar/fake_controller.h"
#include "tests/unit/sidecar/fake_process.h"

extern char **environ;

namespace {

std::string Uid(int number) {
    char uid[33];
    snprintf(uid, sizeof uid, "%032x", number);
    return uid;
}

class Sidecar : public ::testing::Test {
  protected:
    void SetUp() override {
        char pattern[] = "/tmp/dsideXXXXXX";
        ASSERT_NE(mkdtemp(pattern), nullptr);
        folder = pattern;
        path = folder + "/s";
        controller = std::make_unique<FakeController>("unix:" + folder + "/c");
    }
    void TearDown() override {
        if (pid > 0) {
            EXPECT_EQ(Stop(SIGTERM), 0);
        }
        controller.reset();
        EXPECT_EQ(system(("rm -r " + folder).c_str()), 0);
    }

    void Spawn(std::vector<std::string> more = {}) {
        std::vector<std::string> arguments = {
            "sidecar/diagnose-sidecar", "--controller=unix:" + folder + "/c", "--socket=" + path,
            "--host=testhost", "--label=app=shop"};
        arguments.insert(arguments.end(), more.begin(), more.end());
        std::vector<char *> argv;
        for (std::string &argument : arguments)
            argv.push_back(&argument[0]);
        argv.push_back(nullptr);
        ASSERT_EQ(posix_spawn(&pid, argv[0], nullptr, nullptr, argv.data(), environ), 0);
        FakeProcess probe(Uid(0));
        ASSERT_TRUE(controller->Wait([&] { return probe.Connect(path) == DIAG_OK; }));
    }
    /* The exit status, or minus the signal. */
    int Stop(int signal) {
        int how = 0;
        kill(pid, signal);
        EXPECT_TRUE(controller->Wait([&] { return waitpid(pid, &how, WNOHANG) == pid; }));
        pid = 0;
        return WIFEXITED(how) ? WEXITSTATUS(how) : -WTERMSIG(how);
    }
    /* Controller and sidecar connected, spec-1 at revision 7 pushed. */
    void Begin(std::vector<std::string> more = {}) {
        controller->Start();
        Spawn(more);
        Push({{{"spec-1", 7}}});
    }
    void Push(const FakeController::Delta &delta) {
        ASSERT_TRUE(controller->Wait([&] { return controller->sync != nullptr; }));
        ASSERT_TRUE(controller->Wait([&] { return controller->hellos > 0; }));
        controller->Send(delta);
        uint64_t nonce = controller->nonce;
        ASSERT_TRUE(controller->Wait([&] { return controller->acknowledged_nonce == nonce; }));
        ASSERT_TRUE(controller->Wait([&] { return controller->report != nullptr; }));
    }
    void PutEvents(FakeProcess *process, int first, int last) {
        for (int i = first; i <= last; i++)
            ASSERT_EQ(process->Put((uint64_t)i), DIAG_OK);
    }
    bool WaitForEvents(size_t count) {
        return controller->Wait([&] { return controller->events.size() >= count; });
    }
    size_t SidecarFdCount() {
        std::string name = "/proc/" + std::to_string(pid) + "/fd";
        DIR *open = opendir(name.c_str());
        size_t count = 0;
        while (readdir(open) != nullptr)
            count++;
        closedir(open);
        return count;
    }

    std::string folder, path;
    std::unique_ptr<FakeController> controller;
    pid_t pid = 0;
};

TEST_F(Sidecar, SpecsGoDownAndEventsComeUp) {
    Begin();
    EXPECT_EQ(controller->host, "testhost");
    EXPECT_EQ(controller->labels["app"], "shop");
    FakeProcess process(Uid(1));
    ASSERT_EQ(process.Join(path), "welcome");
    ASSERT_EQ(process.Receive(), "snapshot");
    EXPECT_EQ(process.specs, (std::map<std::string, uint64_t>{{"spec-1", 7}}));
    ASSERT_EQ(process.SendStatus("spec-1", 7, DIAGNOSE__V1__SPEC_STATE__SPEC_STATE_ARMED, 0),
              DIAG_OK);
    ASSERT_TRUE(controller->Wait([&] {
        return controller->processes[Uid(1)].statuses["spec-1"].state ==
               DIAGNOSE__V1__SPEC_STATE__SPEC_STATE_ARMED;
    }));
    EXPECT_EQ(controller->processes[Uid(1)].pid, (uint32_t)getpid());
    EXPECT_EQ(controller->processes[Uid(1)].statuses["spec-1"].revision, 7u);

    PutEvents(&process, 1, 3000);
    ASSERT_TRUE(WaitForEvents(3000));
    for (int i = 0; i < 3000; i++)
        ASSERT_EQ(controller->events[(size_t)i], Uid(1) + ":" + std::to_string(i + 1));
    EXPECT_EQ(controller->lost, 0u);
    EXPECT_LT(controller->requests, 1000) << "events travel in batches";

    /* a change reaches the process, and its removal is told */
    Push({{{"spec-2", 8}}, {"spec-1"}});
    ASSERT_EQ(process.Receive(), "snapshot");
    EXPECT_EQ(process.specs, (std::map<std::string, uint64_t>{{"spec-2", 8}}));
    ASSERT_EQ(process.SendStatus("spec-1", 7, DIAGNOSE__V1__SPEC_STATE__SPEC_STATE_REMOVED, 3000),
              DIAG_OK);
    ASSERT_TRUE(controller->Wait([&] {
        return controller->processes[Uid(1)].statuses["spec-1"].state ==
               DIAGNOSE__V1__SPEC_STATE__SPEC_STATE_REMOVED;
    }));
    ASSERT_TRUE(controller->Wait([&] { return controller->processes[Uid(1)].statuses.empty(); }))
        << "REMOVED is shown once";
}

TEST_F(Sidecar, SurvivesTheController) {
    Begin();
    FakeProcess process(Uid(1));
    ASSERT_EQ(process.Join(path), "welcome");
    ASSERT_EQ(process.Receive(), "snapshot");
    PutEvents(&process, 1, 10);
    ASSERT_TRUE(WaitForEvents(10));
    controller->acknowledges_reports = false;
    PutEvents(&process, 11, 20);
    ASSERT_TRUE(WaitForEvents(20));
    controller->Stop();
    PutEvents(&process, 21, 30); /* while there is no controller */
    controller->acknowledges_reports = true;
    controller->events.clear();
    std::string uid = controller->sidecar_uid;
    controller->Start();
    ASSERT_TRUE(controller->Wait([&] { return controller->hellos == 2; }));
    EXPECT_EQ(controller->sidecar_uid, uid);
    EXPECT_EQ(controller->held, (std::map<std::string, uint64_t>{{"spec-1", 7}}));
    Push({});
    ASSERT_TRUE(WaitForEvents(20));
    for (int i = 11; i <= 30; i++)
        EXPECT_EQ(controller->events[(size_t)i - 11], Uid(1) + ":" + std::to_string(i));
    ASSERT_TRUE(controller->Wait([&] { return controller->processes.count(Uid(1)) == 1; }));
    EXPECT_EQ(process.snapshot, 1u);
    pollfd nothing = {process.fd, POLLIN, 0};
    EXPECT_EQ(poll(&nothing, 1, 0), 0) << "nothing changed for the process";
    controller->ServeFor(50);
    EXPECT_EQ(controller->events.size(), 20u) << "nothing comes twice";
}

TEST_F(Sidecar, BoundsWhatIsUnacknowledged) {
    Begin();
    FakeProcess process(Uid(1));
    ASSERT_EQ(process.Join(path), "welcome");
    controller->acknowledges_reports = false;
    int number = 0;
    while (process.Put((uint64_t)++number, 4000) == DIAG_OK && number < 100000)
        controller->ServeFor(0);
    EXPECT_TRUE(controller->Wait([&] { return controller->requests == 8; }));
    controller->ServeFor(100);
    EXPECT_EQ(controller->requests, 8);
    controller->acknowledges_reports = true;
    controller->Acknowledge(8);
    ASSERT_TRUE(controller->Wait([&] { return controller->lost == 1; })) << "the one that failed";
    ASSERT_TRUE(WaitForEvents((size_t)number - 1));
    ASSERT_TRUE(controller->Wait([&] { return controller->processes[Uid(1)].lost_events == 1; }));
}

TEST_F(Sidecar, SurvivesItself) {
    Begin();
    FakeProcess process(Uid(1));
    ASSERT_EQ(process.Join(path), "welcome");
    ASSERT_EQ(process.Receive(), "snapshot");
    EXPECT_EQ(Stop(SIGKILL), -SIGKILL);
    ASSERT_EQ(process.Receive(), "closed");
    PutEvents(&process, 1, 10);
    process.HangUp();
    Spawn();
    ASSERT_EQ(process.Join(path), "welcome");
    ASSERT_TRUE(controller->Wait([&] { return controller->hellos == 2; }));
    EXPECT_TRUE(controller->held.empty());
    pollfd nothing = {process.fd, POLLIN, 0};
    EXPECT_EQ(poll(&nothing, 1, 0), 0) << "no snapshot before a controller has spoken";
    Push({{{"spec-1", 7}}});
    ASSERT_EQ(process.Receive(), "snapshot");
    ASSERT_TRUE(WaitForEvents(10));
    PutEvents(&process, 11, 11);
    ASSERT_TRUE(WaitForEvents(11));
    EXPECT_EQ(controller->lost, 0u);
}

/* A process that is killed while it writes: what it committed arrives, then its end. */
TEST_F(Sidecar, ProcessIsKilled) {
    int ready[2];
    ASSERT_EQ(pipe(ready), 0);
    pid_t child = fork();
    if (child == 0) {
        FakeProcess process(Uid(9));
        char go;
        process.pid = (uint32_t)getpid();
        if (read(ready[0], &go, 1) != 1 || process.Join(path) != "welcome")
            _exit(1);
        for (uint64_t i = 1; i <= 5; i++)
            if (process.Put(i) != DIAG_OK)
                _exit(2);
        process.segment.header->tail += 64; /* reserved, never written */
        if (process.Put(6) != DIAG_OK)
            _exit(3);
        kill(getpid(), SIGKILL);
    }
    Begin();
    ASSERT_EQ(write(ready[1], "g", 1), 1);
    ASSERT_TRUE(controller->Wait([&] { return controller->ended.count(Uid(9)) == 1; }));
    ASSERT_TRUE(controller->Wait([&] { return controller->lost == 1; }));
    EXPECT_EQ(controller->events.size(), 6u);
    int how;
    ASSERT_EQ(waitpid(child, &how, 0), child);
    EXPECT_TRUE(WIFSIGNALED(how));
    close(ready[0]);
    close(ready[1]);
}

TEST_F(Sidecar, DisconnectedProcessEndsAndComesBack) {
    Begin();
    FakeProcess process(Uid(1));
    ASSERT_EQ(process.Join(path), "welcome");
    PutEvents(&process, 1, 5);
    process.HangUp();
    ASSERT_EQ(process.Join(path), "welcome") << "before its leaving was noticed or over";
    ASSERT_EQ(process.Receive(), "snapshot");
    PutEvents(&process, 6, 10);
    ASSERT_TRUE(WaitForEvents(10));
    process.HangUp();
    controller->ended.clear();
    ASSERT_TRUE(controller->Wait([&] { return controller->ended.count(Uid(1)) == 1; }));
    EXPECT_EQ(controller->events.size(), 10u);
    EXPECT_EQ(controller->lost, 0u);
}

TEST_F(Sidecar, UnwantedEventsAreThrownAway) {
    Begin();
    Push({{}, {}, 60000, false});
    FakeProcess process(Uid(1));
    ASSERT_EQ(process.Join(path), "welcome");
    PutEvents(&process, 1, 10);
    ASSERT_TRUE(controller->Wait(
        [&] { return process.segment.header->head == process.segment.header->tail; }));
    Push({{}, {}, 60000, true});
    PutEvents(&process, 11, 12);
    ASSERT_TRUE(WaitForEvents(2));
    EXPECT_EQ(controller->events[0], Uid(1) + ":11");
    EXPECT_EQ(controller->lost, 0u);
}

TEST_F(Sidecar, MalformedEventsCountAsLost) {
    Begin();
    FakeProcess process(Uid(1));
    ASSERT_EQ(process.Join(path), "welcome");
    ASSERT_EQ(process.PutRaw("\xff\xff\xff", 3), DIAG_OK);
    PutEvents(&process, 1, 1);
    ASSERT_TRUE(WaitForEvents(1));
    ASSERT_TRUE(controller->Wait([&] { return controller->lost == 1; }));
    EXPECT_EQ(controller->events.size(), 1u);
}

TEST_F(Sidecar, WithoutControllerSpecsEndWithTheTtl) {
    Begin();
    Push({{}, {}, 300, true});
    FakeProcess process(Uid(1));
    ASSERT_EQ(process.Join(path), "welcome");
    ASSERT_EQ(process.Receive(), "snapshot");
    EXPECT_EQ(process.specs.size(), 1u);
    controller->Stop();
    ASSERT_EQ(process.Receive(), "snapshot");
    EXPECT_TRUE(process.specs.empty());
    controller->Start();
    ASSERT_TRUE(controller->Wait([&] { return controller->hellos == 2; }));
    EXPECT_TRUE(controller->held.empty());
}

TEST_F(Sidecar, RefusesWithReason) {
    Begin({"--max-processes=2"});
    FakeProcess first(Uid(1)), second(Uid(2)), third(Uid(3)), twin(Uid(1)), bad("me"), silent("");
    ASSERT_EQ(first.Join(path), "welcome");
    ASSERT_EQ(bad.Join(path), "refused");
    EXPECT_NE(bad.refusal.find("uid \"me\""), std::string::npos) << bad.refusal;
    ASSERT_EQ(bad.Receive(), "closed");
    ASSERT_EQ(twin.Join(path), "refused");
    EXPECT_NE(twin.refusal.find("connected already"), std::string::npos) << twin.refusal;
    ASSERT_EQ(second.Join(path), "welcome");
    ASSERT_EQ(third.Join(path), "refused");
    EXPECT_NE(third.refusal.find("--max-processes"), std::string::npos) << third.refusal;
    ASSERT_TRUE(controller->Wait([&] { return controller->processes.count(Uid(3)) == 1; }));
    EXPECT_EQ(controller->processes[Uid(3)].refused, third.refusal);
    second.HangUp();
    ASSERT_TRUE(controller->Wait([&] { return controller->ended.count(Uid(2)) == 1; }));
    third.HangUp();
    EXPECT_EQ(third.Join(path), "welcome");
    ASSERT_TRUE(controller->Wait([&] { return controller->processes[Uid(3)].refused.empty(); }));

    FakeProcess thief(Uid(4)); /* comes with the ring of another */
    ASSERT_EQ(diag_segment_adopt(dup(first.segment.fd), true, &thief.segment, nullptr), DIAG_OK);
    ASSERT_EQ(thief.Join(path), "refused");
    PutEvents(&first, 1, 5);
    ASSERT_TRUE(WaitForEvents(5)) << "others are not affected";
}

TEST_F(Sidecar, BoundsTheMemoryOfAll) {
    Begin({"--ring-size=65536", "--max-memory=1000000"});
    FakeProcess first(Uid(1)), second(Uid(2)), third(Uid(3));
    ASSERT_EQ(first.Join(path), "welcome");
    ASSERT_EQ(second.Join(path), "welcome");
    ASSERT_EQ(third.Join(path), "refused");
    EXPECT_NE(third.refusal.find("--max-memory"), std::string::npos) << third.refusal;
    ASSERT_TRUE(controller->Wait([&] { return controller->processes.count(Uid(3)) == 1; }));
    EXPECT_EQ(controller->processes[Uid(3)].refused, third.refusal);
    FakeProcess fourth(Uid(4)), fifth(Uid(5)); /* two in the same turn of its loop */
    kill(pid, SIGSTOP);
    for (FakeProcess *process : {&fourth, &fifth}) {
        ASSERT_EQ(process->Connect(path), DIAG_OK);
        ASSERT_EQ(process->SendHello(), DIAG_OK);
    }
    kill(pid, SIGCONT);
    EXPECT_EQ(fourth.Receive(), "refused");
    EXPECT_EQ(fifth.Receive(), "refused");
    third.HangUp(); /* and does not come back: forgotten */
    ASSERT_TRUE(controller->Wait([&] { return controller->ended.count(Uid(3)) == 1; }));
    first.HangUp();
    ASSERT_TRUE(controller->Wait([&] { return controller->ended.count(Uid(1)) == 1; }));
    EXPECT_EQ(third.Join(path), "welcome");
}

TEST_F(Sidecar, RefusesGarbage) {
    Begin();
    diag_shm_message hello = {DIAG_SHM_SOCKET_MAGIC, 1, 0, DIAG_SHM_MESSAGE_HELLO, 3};
    diag_shm_message version = hello, report = hello;
    version.version_major = 9;
    report.type = DIAG_SHM_MESSAGE_REPORT;
    auto bytes = [](const diag_shm_message &header) {
        return std::string((const char *)&header, sizeof header) + "\xff\xff\xff";
    };
    struct {
        std::string datagram;
        const char *reason;
    } const cases[] = {
        {"GET / HTTP/1.1\r\n\r\n", "magic"},    {"x", "no header"},
        {bytes(version), "version_major is 9"}, {bytes(hello), "no ProcessInfo"},
        {bytes(report), "before HELLO"},        {std::string(70000, 'z'), "magic"},
    };
    FakeProcess good(Uid(1));
    ASSERT_EQ(good.Join(path), "welcome");
    for (auto &c : cases) {
        FakeProcess process(Uid(2));
        ASSERT_EQ(process.Connect(path), DIAG_OK);
        ASSERT_EQ(send(process.fd, c.datagram.data(), c.datagram.size(), MSG_NOSIGNAL),
                  (ssize_t)c.datagram.size());
        for (int i = 0; i < 3; i++) /* unread when it is refused, or refused already */
            (void)!send(process.fd, c.datagram.data(), c.datagram.size(), MSG_NOSIGNAL);
        ASSERT_EQ(process.Receive(), "refused");
        EXPECT_NE(process.refusal.find(c.reason), std::string::npos) << process.refusal;
        EXPECT_EQ(process.Receive(), "closed");
    }
    PutEvents(&good, 1, 5);
    EXPECT_TRUE(WaitForEvents(5));
}

TEST_F(Sidecar, HundredsComeAndGo) {
    Begin();
    FakeProcess last(Uid(1000));
    ASSERT_EQ(last.Join(path), "welcome");
    controller->ServeFor(100);
    size_t before = SidecarFdCount();
    for (int i = 1; i <= 300; i++) {
        FakeProcess process(Uid(i));
        ASSERT_EQ(process.Join(path), "welcome");
        PutEvents(&process, 1, 2);
        process.HangUp();
        ASSERT_TRUE(
            controller->Wait([&] { return i % 40 != 0 || controller->ended.size() == (size_t)i; }));
    }
    ASSERT_TRUE(WaitForEvents(600));
    ASSERT_TRUE(controller->Wait([&] { return controller->ended.size() == 300; }));
    ASSERT_TRUE(controller->Wait([&] { return SidecarFdCount() == before; }))
        << before << " descriptors before, " << SidecarFdCount() << " after";
    EXPECT_EQ(controller->processes.size(), 1u);
}

TEST_F(Sidecar, StopsGracefully) {
    Begin();
    FakeProcess process(Uid(1));
    ASSERT_EQ(process.Join(path), "welcome");
    ASSERT_EQ(process.Receive(), "snapshot");
    PutEvents(&process, 1, 100);
    EXPECT_EQ(Stop(SIGTERM), 0);
    EXPECT_EQ(controller->events.size(), 100u);
    EXPECT_EQ(process.Receive(), "closed");
    EXPECT_NE(access(path.c_str(), F_OK), 0);
    EXPECT_NE(access((path + ".lock").c_str(), F_OK), 0);
}

TEST_F(Sidecar, StopsWithoutController) {
    Spawn();
    EXPECT_EQ(Stop(SIGINT), 0);
    EXPECT_NE(access(path.c_str(), F_OK), 0);
}

TEST_F(Sidecar, NamesOfAProcessHaveALimit) {
    Begin();
    std::string longest(256, 'n'), too_long(257, 'n');
    struct {
        const std::string &container, &service;
        const char *answer;
    } const cases[] = {
        {longest, longest, "welcome"},
        {too_long, longest, "refused"},
        {longest, too_long, "refused"},
    };
    int number = 0;
    for (auto &c : cases) {
        FakeProcess process(Uid(++number));
        Diagnose__V1__ProcessInfo info = DIAGNOSE__V1__PROCESS_INFO__INIT;
        info.uid = (char *)process.uid.c_str();
        info.pid = 7;
        info.container = (char *)c.container.c_str();
        info.service = (char *)c.service.c_str();
        ASSERT_EQ(process.Connect(path), DIAG_OK);
        ASSERT_EQ(process.Send(DIAG_SHM_MESSAGE_HELLO, &info.base), DIAG_OK);
        ASSERT_EQ(process.Receive(), c.answer);
        if (process.refusal != "") {
            EXPECT_NE(process.refusal.find("container or service has over 256 bytes"),
                      std::string::npos)
                << process.refusal;
        }
    }
}

TEST_F(Sidecar, SecondOneIsRefused) {
    Spawn();
    std::string command = "sidecar/diagnose-sidecar --controller=unix:/x --socket=" + path;
    int how = system(command.c_str());
    EXPECT_EQ(WEXITSTATUS(how), 1);
    how = system("sidecar/diagnose-sidecar --label=x 2>&1 | grep -q -e --controller");
    EXPECT_EQ(WEXITSTATUS(how), 0);
    how = system("sidecar/diagnose-sidecar --socket=/x 2>/dev/null");
    EXPECT_EQ(WEXITSTATUS(how), 2);
}

} // namespace
