/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <gtest/gtest.h>
#include <string>
#include <sys/stat.h>

#include "ctl/manifest.h"
#define delete delete_ /* a method's name in the generated header */
#include "ctl/spec_view.h"
#undef delete

namespace {

constexpr char kGood[] = "id: cart-total\n"
                         "target: shop.cart.Cart.total\n"
                         "instrument:\n"
                         "  type: log\n"
                         "  value: elapsed\n"
                         "lifespan: 10\n";

std::string error_of(const std::string &text) {
    struct diag_manifest *manifest = nullptr;
    struct diag_error err = {};
    if (diag_manifest_parse("m.yaml", diag_bytes_make(text.data(), text.size()), &manifest, &err) ==
        DIAG_OK) {
        diag_manifest_free(manifest);
        return "(ok)";
    }
    EXPECT_EQ(manifest, nullptr);
    return err.message;
}

struct diag_manifest *parse(const std::string &text) {
    struct diag_manifest *manifest = nullptr;
    struct diag_error err = {};
    EXPECT_EQ(
        diag_manifest_parse("m.yaml", diag_bytes_make(text.data(), text.size()), &manifest, &err),
        DIAG_OK)
        << err.message;
    return manifest;
}

/* kGood with one line replaced. */
std::string with(const std::string &line, const std::string &replacement) {
    std::string text = kGood;
    size_t at = text.find(line);
    EXPECT_NE(at, std::string::npos) << line;
    return text.replace(at, line.size(), replacement);
}

TEST(Manifest, ReadsAllFields) {
    struct diag_manifest *manifest =
        parse("id: a\ntarget: m.f\ninstrument:\n  type: log\n  name: n\n  value: args\n"
              "  event: call\n  custom: {tags: '{}', depth: 3, on: true, f: 0.5, z: ~, l: [1, x]}\n"
              "lifespan: 0.5\nselector:\n  labels: {tier: web, zone: '1'}\nstatus: {armed: 3}\n");
    ASSERT_NE(manifest, nullptr);
    ASSERT_EQ(manifest->entry_count, 1u);
    const Diagnose__V1__Spec *spec = manifest->entries[0].spec;
    EXPECT_STREQ(spec->id, "a");
    EXPECT_STREQ(spec->target, "m.f");
    EXPECT_STREQ(spec->instrument->type, "log");
    EXPECT_STREQ(spec->instrument->name, "n");
    EXPECT_STREQ(spec->instrument->value, "args");
    EXPECT_STREQ(spec->instrument->event, "call");
    EXPECT_EQ(spec->lifespan_ms, 30000u);
    ASSERT_EQ(spec->selector->n_match_labels, 2u);
    EXPECT_STREQ(spec->selector->match_labels[1]->key, "zone");
    EXPECT_STREQ(spec->selector->match_labels[1]->value, "1");
    const Diagnose__V1__DictValue *custom = spec->instrument->custom;
    ASSERT_EQ(custom->n_entries, 6u);
    const Diagnose__V1__Value__KindCase kinds[] = {
        DIAGNOSE__V1__VALUE__KIND_STR,  DIAGNOSE__V1__VALUE__KIND_INT,
        DIAGNOSE__V1__VALUE__KIND_BOOL, DIAGNOSE__V1__VALUE__KIND_FLOAT,
        DIAGNOSE__V1__VALUE__KIND_NONE, DIAGNOSE__V1__VALUE__KIND_LIST};
    for (size_t i = 0; i < 6; i++)
        EXPECT_EQ(custom->entries[i]->value->kind_case, kinds[i]) << i;
    diag_manifest_free(manifest);
}

TEST(Manifest, TakesSeveralDocumentsAndListsAndJson) {
    struct diag_manifest *manifest = parse(std::string("---\n---\n") + kGood + "---\n" +
                                           "[{\"id\": \"b\", \"target\": \"m.f\", \"instrument\": "
                                           "{\"type\": \"log\", \"value\": \"1\"}, \"lifespan\": "
                                           "1}]\n");
    ASSERT_NE(manifest, nullptr);
    ASSERT_EQ(manifest->entry_count, 2u);
    EXPECT_STREQ(manifest->entries[1].spec->id, "b");
    EXPECT_EQ(manifest->entries[0].document->line, 3u);
    EXPECT_EQ(diag_manifest_line(&manifest->entries[0], "instrument.value: does not compile"), 7u);
    EXPECT_EQ(diag_manifest_line(&manifest->entries[0], "instrument.event: bad"), 5u);
    EXPECT_EQ(diag_manifest_line(&manifest->entries[0], "nothing of the kind"), 3u);
    diag_manifest_free(manifest);
}

TEST(Manifest, NamesFileLineAndField) {
    const std::string second = std::string(kGood) + "---\n" + kGood;
    const struct {
        std::string text, expected;
    } cases[] = {
        {"", "1: there is no spec in it"},
        {"# nothing\n---\n", "1: there is no spec in it"},
        {"[]", "1: there is no spec in it"},
        {"just text", "1: a spec must be a map, not text"},
        {"[[]]", "1: [0]: a spec must be a map, not a list"},
        {with("id: cart-total\n", ""), "1: id: missing"},
        {with("target: shop.cart.Cart.total\n", ""), "1: target: missing"},
        {with("lifespan: 10\n", ""), "1: lifespan: missing"},
        {with("  type: log\n", ""), "3: instrument.type: missing"},
        {with("  value: elapsed\n", ""), "3: instrument.value: missing"},
        {"id: a\ntarget: b\nlifespan: 1\n", "1: instrument: missing"},
        {with("instrument", "instrumnt"),
         "3: instrumnt: unknown field; did you mean \"instrument\"?"},
        {with("target", "Traget"), "2: Traget: unknown field; did you mean \"target\"?"},
        {with("  value: elapsed", "  value: elapsed\n  vlaue: 1"),
         "6: instrument.vlaue: unknown field; did you mean \"value\"?"},
        {with("lifespan: 10", "lifespan: 10\nlabels: {}"), "7: labels: unknown field"},
        {with("lifespan: 10", "lifespan: 10\n\"\\e[2J\": 1"), "7: \\x1b[2J: unknown field"},
        {with("lifespan: 10", "lifespan: 10\nselector: {label: {}}"),
         "7: selector.label: unknown field; did you mean \"labels\"?"},
        {with("lifespan: 10", "lifespan: 10\nselector: {}"), "7: selector.labels: missing"},
        {with("lifespan: 10", "lifespan: 10\nselector: web"),
         "7: selector: must be a map, not text"},
        {with("lifespan: 10", "lifespan: 10\nselector: {labels: [a]}"),
         "7: selector.labels: must be a map, not a list"},
        {with("lifespan: 10", "lifespan: 10\nselector:\n  labels:\n    zone: 1\n"),
         "9: selector.labels.zone: must be text, not a number; put it in quotes"},
        {with("cart-total", "5"), "1: id: must be text, not a number; put it in quotes"},
        {with("cart-total", ""), "1: id: must be text, not null"},
        {with("elapsed", "true"),
         "5: instrument.value: must be text, not a bool; put it in quotes"},
        {with("elapsed", "[a]"), "5: instrument.value: must be text, not a list"},
        {with("log", "{}"), "4: instrument.type: must be text, not a map"},
        {with("instrument:\n  type: log\n  value: elapsed", "instrument: log"),
         "3: instrument: must be a map, not text"},
        {with("elapsed", "elapsed\n  custom: x"), "6: instrument.custom: must be a map, not text"},
        {with("elapsed", "elapsed\n  custom:\n    tags: {region: self.region}"),
         "7: instrument.custom.tags: must be text (a Python expression), not a map; put it in "
         "quotes"},
        {with("10", "ten"), "6: lifespan: must be a number of minutes, not text"},
        {with("10", "'10'"), "6: lifespan: must be a number of minutes, not text"},
        {with("10", "0"),
         "6: lifespan: must be a number of minutes above 0, at most 43200 (30 days)"},
        {with("10", "-1"),
         "6: lifespan: must be a number of minutes above 0, at most 43200 (30 days)"},
        {with("10", ".nan"),
         "6: lifespan: must be a number of minutes above 0, at most 43200 (30 days)"},
        {with("10", ".inf"),
         "6: lifespan: must be a number of minutes above 0, at most 43200 (30 days)"},
        {with("10", "1e300"),
         "6: lifespan: must be a number of minutes above 0, at most 43200 (30 days)"},
        {with("10", "10\nid: again"), "7: id: given twice"},
        {second, "8: id: \"cart-total\" is the id of the spec in line 1 too"},
        {std::string(kGood) + "---\nid: b\n", "8: target: missing"},
        {"[{id: a, target: b, instrument: {type: log}, lifespan: 1}]",
         "1: [0].instrument.value: missing"},
    };
    for (const auto &c : cases)
        EXPECT_EQ(error_of(c.text), "m.yaml:" + c.expected) << c.text;
}

TEST(Manifest, OptionalFieldsMayBeNull) {
    EXPECT_EQ(error_of(with("elapsed", "elapsed\n  name:\n  event: ~\n  custom:")), "(ok)");
    EXPECT_EQ(error_of(with("10", "10\nselector:\nstatus:")), "(ok)");
}

/* What `get -o yaml` prints can be applied again, down to the fraction of a minute. */
TEST(Manifest, KeepsTheLifespanOverARoundTrip) {
    for (uint64_t ms : {UINT64_C(1), UINT64_C(7), UINT64_C(30000), UINT64_C(59999),
                        UINT64_C(2592000000), UINT64_C(2591999999)}) {
        Diagnose__V1__Spec spec = DIAGNOSE__V1__SPEC__INIT;
        spec.lifespan_ms = ms;
        struct diag_document *view = diag_spec_view_spec(&spec);
        const struct diag_document *lifespan = diag_document_get(view, "lifespan");
        char text[DIAG_DOCUMENT_FLOAT_SIZE];
        if (lifespan->kind == DIAG_DOCUMENT_FLOAT)
            diag_document_format_float(text, lifespan->number);
        else
            snprintf(text, sizeof text, "%llu", (unsigned long long)lifespan->count);
        struct diag_manifest *manifest = parse(with("10", text));
        EXPECT_EQ(manifest->entries[0].spec->lifespan_ms, ms) << text;
        diag_manifest_free(manifest);
        diag_document_free(view);
    }
}

class ManifestFile : public testing::Test {
  protected:
    void SetUp() override {
        ASSERT_NE(mkdtemp(folder_), nullptr);
        path_ = std::string(folder_) + "/m.yaml";
    }
    void TearDown() override {
        unlink(path_.c_str());
        rmdir(folder_);
    }
    std::string read() {
        struct diag_manifest *manifest = nullptr;
        struct diag_error err = {};
        if (diag_manifest_read(path_.c_str(), &manifest, &err) != DIAG_OK)
            return err.message;
        diag_manifest_free(manifest);
        return "(ok)";
    }
    char folder_[32] = "/tmp/manifest.XXXXXX";
    std::string path_;
};

TEST_F(ManifestFile, RefusesMoreThanAMebibyteWithoutReadingIt) {
    int fd = open(path_.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    std::string text = kGood;
    text += "#" + std::string(DIAG_MANIFEST_SIZE_MAX - text.size() - 2, 'x') + "\n";
    ASSERT_EQ(write(fd, text.data(), text.size()), DIAG_MANIFEST_SIZE_MAX);
    EXPECT_EQ(read(), "(ok)");
    ASSERT_EQ(write(fd, "\n", 1), 1);
    const std::string expected =
        path_ + ": the manifest is larger than 1 MiB; split it into several files";
    EXPECT_EQ(read(), expected);
    /* far larger than what could be read before the test's time is up */
    ASSERT_EQ(ftruncate(fd, INT64_C(1) << 40), 0);
    EXPECT_EQ(read(), expected);
    close(fd);
}

TEST_F(ManifestFile, SaysWhyItCannotBeRead) {
    EXPECT_EQ(read(), path_ + ": No such file or directory");
    struct diag_manifest *manifest = nullptr;
    struct diag_error err = {};
    EXPECT_EQ(diag_manifest_read(folder_, &manifest, &err), DIAG_ERR_IO);
    EXPECT_EQ(std::string(err.message), std::string(folder_) + ": Is a directory");
}

} // namespace
