/* SPDX-License-Identifier: MIT */
/* controller_fixture - folders, and protobuf messages of the kinds that the controller handles. */
#ifndef DIAG_TESTS_UNIT_CONTROLLER_CONTROLLER_FIXTURE_H
#define DIAG_TESTS_UNIT_CONTROLLER_CONTROLLER_FIXTURE_H

#include <stdlib.h>

#include <deque>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "diagnose/v1/events_service.pb-c.h"
#include "diagnose/v1/fleet_service.pb-c.h"
#include "diagnose/v1/sync_service.pb-c.h"
#include "lib/base/bytes.h"

/* protoc-c names a member after the method Delete */
#define delete delete_
#include "diagnose/v1/specs_service.pb-c.h"
#undef delete

namespace diag_test {

/* A folder with a name that is short enough for sockets; gone with the object. */
class Folder {
  public:
    Folder() {
        char name[] = "/tmp/diag.XXXXXX";
        EXPECT_NE(nullptr, mkdtemp(name));
        path_ = name;
    }
    ~Folder() { std::filesystem::remove_all(path_); }
    Folder(const Folder &) = delete;
    Folder &operator=(const Folder &) = delete;
    std::string file(const std::string &name) const { return path_ + "/" + name; }

  private:
    std::string path_;
};

inline diag_bytes bytes_of(const std::string &text) {
    return diag_bytes_make(text.data(), text.size());
}

inline std::string text_of(diag_bytes bytes) {
    return bytes.size > 0 ? std::string(reinterpret_cast<const char *>(bytes.data), bytes.size)
                          : std::string();
}

inline char *mutable_text(const std::string &text) {
    return const_cast<char *>(text.c_str());
}

template <class Message> std::string pack(const Message &message) {
    std::string encoded(protobuf_c_message_get_packed_size(&message.base), '\0');
    protobuf_c_message_pack(&message.base, reinterpret_cast<uint8_t *>(encoded.data()));
    return encoded;
}

template <class Message> class Unpacked {
  public:
    Unpacked(const ProtobufCMessageDescriptor *descriptor, const std::string &encoded)
        : message_(reinterpret_cast<Message *>(
              protobuf_c_message_unpack(descriptor, nullptr, encoded.size(),
                                        reinterpret_cast<const uint8_t *>(encoded.data())))) {
        EXPECT_NE(nullptr, message_);
    }
    ~Unpacked() {
        protobuf_c_message_free_unpacked(reinterpret_cast<ProtobufCMessage *>(message_), nullptr);
    }
    Unpacked(const Unpacked &) = delete;
    Unpacked &operator=(const Unpacked &) = delete;
    const Message *operator->() const { return message_; }

  private:
    Message *message_;
};

/* One field of bytes, for messages that are put together by hand. */
inline std::string field(unsigned number, const std::string &content) {
    std::string encoded;
    auto put = [&](uint64_t value) {
        for (; value >= 0x80; value >>= 7)
            encoded.push_back(static_cast<char>(value | 0x80));
        encoded.push_back(static_cast<char>(value));
    };

    put(number << 3 | 2);
    put(content.size());
    return encoded + content;
}

struct SpecOptions {
    std::string target = "shop.cart.total";
    std::string value = "elapsed";
    uint64_t lifespan_ms = 60000;
    std::map<std::string, std::string> labels;
    uint64_t revision = 0, created = 0;
};

/* An encoded diagnose.v1.Spec. */
inline std::string make_spec(const std::string &id, const SpecOptions &options = {}) {
    Diagnose__V1__Spec spec = DIAGNOSE__V1__SPEC__INIT;
    Diagnose__V1__Instrument instrument = DIAGNOSE__V1__INSTRUMENT__INIT;
    Diagnose__V1__Selector selector = DIAGNOSE__V1__SELECTOR__INIT;
    std::vector<Diagnose__V1__Selector__MatchLabelsEntry> entries;
    std::vector<Diagnose__V1__Selector__MatchLabelsEntry *> pointers;
    std::string type = "log";

    entries.reserve(options.labels.size());
    for (const auto &label : options.labels) {
        Diagnose__V1__Selector__MatchLabelsEntry entry =
            DIAGNOSE__V1__SELECTOR__MATCH_LABELS_ENTRY__INIT;
        entry.key = mutable_text(label.first);
        entry.value = mutable_text(label.second);
        entries.push_back(entry);
        pointers.push_back(&entries.back());
    }
    selector.n_match_labels = pointers.size();
    selector.match_labels = pointers.data();
    instrument.type = mutable_text(type);
    instrument.value = mutable_text(options.value);
    spec.id = mutable_text(id);
    spec.target = mutable_text(options.target);
    spec.instrument = &instrument;
    spec.lifespan_ms = options.lifespan_ms;
    spec.selector = pointers.empty() ? nullptr : &selector;
    spec.revision = options.revision;
    spec.created_unix_nanos = options.created;
    return pack(spec);
}

/* 32 hexadecimal digits that end in `number`. */
inline std::string uid_of(unsigned number) {
    char text[33];
    snprintf(text, sizeof text, "%032x", number);
    return text;
}

struct Status {
    std::string id;
    uint64_t revision;
    int state;
    uint64_t hits = 0, errors = 0, dropped = 0;
    std::vector<std::pair<int, uint64_t>> skips = {}; /* cause, count */
};

/* An encoded diagnose.v1.ProcessStatus. */
inline std::string make_process(const std::string &uid, uint32_t pid,
                                const std::vector<Status> &statuses = {}) {
    Diagnose__V1__ProcessStatus process = DIAGNOSE__V1__PROCESS_STATUS__INIT;
    Diagnose__V1__ProcessInfo info = DIAGNOSE__V1__PROCESS_INFO__INIT;
    std::vector<Diagnose__V1__SpecStatus> packed;
    std::vector<Diagnose__V1__SpecStatus *> pointers;
    std::deque<Diagnose__V1__SkipCount> skips;
    std::deque<std::vector<Diagnose__V1__SkipCount *>> skip_pointers;

    packed.reserve(statuses.size());
    for (const Status &status : statuses) {
        Diagnose__V1__SpecStatus one = DIAGNOSE__V1__SPEC_STATUS__INIT;
        one.spec_id = mutable_text(status.id);
        one.spec_revision = status.revision;
        one.state = static_cast<Diagnose__V1__SpecState>(status.state);
        one.hits = status.hits;
        one.errors = status.errors;
        one.dropped = status.dropped;
        skip_pointers.emplace_back();
        for (const auto &[cause, count] : status.skips) {
            skips.push_back(DIAGNOSE__V1__SKIP_COUNT__INIT);
            skips.back().cause = static_cast<Diagnose__V1__SkipCause>(cause);
            skips.back().count = count;
            skip_pointers.back().push_back(&skips.back());
        }
        one.n_skips = skip_pointers.back().size();
        one.skips = skip_pointers.back().data();
        packed.push_back(one);
        pointers.push_back(&packed.back());
    }
    info.uid = mutable_text(uid);
    info.pid = pid;
    process.process = &info;
    process.n_statuses = pointers.size();
    process.statuses = pointers.data();
    return pack(process);
}

/* An encoded diagnose.v1.Event; `size` bytes of error text make it larger. */
inline std::string make_event(const std::string &spec_id, size_t size = 0) {
    Diagnose__V1__Event event = DIAGNOSE__V1__EVENT__INIT;
    std::string text(size, 'x');

    event.spec_id = mutable_text(spec_id);
    event.kind = DIAGNOSE__V1__EVENT__KIND__KIND_HIT;
    event.time_unix_nanos = 1;
    event.error = mutable_text(text);
    return pack(event);
}

/* An encoded diagnose.v1.EventBatch. */
inline std::string make_batch(const std::string &process_uid,
                              const std::vector<std::string> &events, uint64_t lost = 0) {
    Diagnose__V1__EventBatch batch = DIAGNOSE__V1__EVENT_BATCH__INIT;
    std::string encoded;

    batch.process_uid = mutable_text(process_uid);
    batch.pid = 7;
    batch.lost = lost;
    encoded = pack(batch);
    for (const std::string &event : events)
        encoded += field(3, event);
    return encoded;
}

} // namespace diag_test

#endif
