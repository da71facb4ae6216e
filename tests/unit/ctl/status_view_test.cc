/* SPDX-License-Identifier: MIT */
#include "ctl/status_view.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <string.h>

#include <string>
#include <vector>

namespace {

constexpr auto kArmed = DIAGNOSE__V1__SPEC_STATE__SPEC_STATE_ARMED;
constexpr auto kFailed = DIAGNOSE__V1__SPEC_STATE__SPEC_STATE_FAILED;
constexpr auto kPending = DIAGNOSE__V1__SPEC_STATE__SPEC_STATE_PENDING;

struct Case {
    const char *name;
    Diagnose__V1__SpecState state;
    const char *event;
    const char *message;
    const char *excluded;
    uint64_t hits, errors, dropped;
    std::vector<std::pair<int, uint64_t>> skips; /* cause, count */
    const char *note;
};

TEST(StatusView, NotesTellWhetherItWasCalledOrCannotBeSeen) {
    const Case cases[] = {
        {"hit", kArmed, "call", "", "", 1, 0, 0, {}, ""},
        {"never called", kArmed, "call", "", "", 0, 0, 0, {}, "not called since it was armed"},
        {"never returned",
         kArmed,
         "return",
         "",
         "",
         0,
         0,
         0,
         {},
         "not called since it was armed, or has not returned yet"},
        {"never ended",
         kArmed,
         "end",
         "",
         "",
         0,
         0,
         0,
         {},
         "not called since it was armed, or has not returned yet"},
        {"never at its line",
         kArmed,
         "line:7",
         "",
         "",
         0,
         0,
         0,
         {},
         "its line was not executed since it was armed"},
        {"only dropped", kArmed, "call", "", "", 0, 0, 4, {}, ""},
        {"only errors", kArmed, "call", "", "", 0, 4, 0, {}, ""},
        {"only skipped",
         kArmed,
         "call",
         "",
         "",
         0,
         0,
         0,
         {{1, 3}, {2, 4}, {3, 5}, {4, 6}},
         "no hit since it was armed, only skips; skipped: 3 reentrant, 4 in flight, 5 unbound, "
         "6 filtered"},
        {"newer causes",
         kArmed,
         "call",
         "",
         "",
         1,
         0,
         0,
         {{9, 3}, {0, 4}},
         "skipped: 3 cause 9, 4 cause 0"},
        {"not all seen",
         kArmed,
         "call",
         "",
         "calls from C",
         0,
         0,
         0,
         {},
         "not called since it was armed; not seen: calls from C"},
        {"everything",
         kArmed,
         "call",
         "no 'x' yet",
         "calls from C",
         0,
         0,
         0,
         {{2, 1}},
         "no hit since it was armed, only skips; no 'x' yet; skipped: 1 in flight; not seen: "
         "calls from C"},
        {"failed", kFailed, "call", "no such name", "", 0, 0, 0, {}, "no such name"},
        {"pending", kPending, "call", "not imported", "", 0, 0, 0, {}, "not imported"},
    };

    for (const Case &c : cases) {
        Diagnose__V1__SpecStatus status = DIAGNOSE__V1__SPEC_STATUS__INIT;
        std::vector<Diagnose__V1__SkipCount> skips(c.skips.size());
        std::vector<Diagnose__V1__SkipCount *> pointers;

        for (size_t i = 0; i < skips.size(); i++) {
            diagnose__v1__skip_count__init(&skips[i]);
            skips[i].cause = static_cast<Diagnose__V1__SkipCause>(c.skips[i].first);
            skips[i].count = c.skips[i].second;
            pointers.push_back(&skips[i]);
        }
        status.state = c.state;
        status.message = const_cast<char *>(c.message);
        status.excluded = const_cast<char *>(c.excluded);
        status.hits = c.hits;
        status.errors = c.errors;
        status.dropped = c.dropped;
        status.n_skips = pointers.size();
        status.skips = pointers.data();
        char *note = diag_status_view_note(&status, c.event);
        EXPECT_STREQ(note, c.note) << c.name;
        free(note);
    }
}

TEST(StatusView, DocumentsHaveEveryFieldOfTheProtocol) {
    Diagnose__V1__SpecStatus status = DIAGNOSE__V1__SPEC_STATUS__INIT;
    const ProtobufCMessageDescriptor *type = &diagnose__v1__spec_status__descriptor;
    struct diag_document *document = diag_status_view_document(&status);

    for (unsigned i = 0; i < type->n_fields; i++)
        EXPECT_NE(diag_document_get(document, type->fields[i].name), nullptr)
            << type->fields[i].name;
    diag_document_free(document);
}

TEST(StatusView, OnlyArmedSpecsAreOrAreNotPure) {
    Diagnose__V1__SpecStatus status = DIAGNOSE__V1__SPEC_STATUS__INIT;

    status.pure = true;
    EXPECT_STREQ(diag_status_view_pure(&status), "");
    status.state = kArmed;
    EXPECT_STREQ(diag_status_view_pure(&status), "yes");
    status.pure = false;
    EXPECT_STREQ(diag_status_view_pure(&status), "no");
}

TEST(StatusView, StatesOfNewerReleasesAreUnknown) {
    EXPECT_STREQ(diag_status_view_state(kArmed), "Armed");
    EXPECT_STREQ(diag_status_view_state(static_cast<Diagnose__V1__SpecState>(99)), "Unknown");
}

} // namespace
