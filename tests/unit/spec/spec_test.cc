// SPDX-License-Identifier: MIT
#include "lib/spec/spec.h"

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "lib/spec/spec_status.h"

namespace {

// A valid spec whose strings live in the fixture.
struct Fixture {
    std::string id = "cart-total", target = "shop.cart.Cart.total", type = "log", name = "n",
                value = "elapsed", event = "return", tags;
    std::vector<std::pair<std::string, std::string>> labels;
    uint64_t lifespan_ms = 600000;

    template <typename Use> auto with_spec(Use use) {
        std::vector<struct diag_label> match;
        struct diag_spec spec = {};

        for (auto &label : labels)
            match.push_back({label.first.data(), label.second.data()});
        spec.id = id.data();
        spec.target = target.data();
        spec.instrument = {type.data(), name.data(), value.data(), event.data(),
                           tags.empty() ? nullptr : tags.data()};
        spec.match_labels = match.data();
        spec.match_label_count = match.size();
        spec.lifespan_ms = lifespan_ms;
        return use(&spec);
    }

    std::string problem() {
        return with_spec([](struct diag_spec *spec) {
            struct diag_error err = {};
            if (diag_spec_validate(spec, &err) == DIAG_OK)
                return std::string("valid");
            EXPECT_EQ(err.status, DIAG_ERR_INVALID);
            return std::string(err.message);
        });
    }
};

TEST(Spec, Validation) {
    struct {
        const char *name;
        std::function<void(Fixture &)> change;
        const char *problem;
    } const cases[] = {
        {"as it is", [](Fixture &) {}, "valid"},
        {"longest id", [](Fixture &f) { f.id = std::string(128, 'x'); }, "valid"},
        {"no id", [](Fixture &f) { f.id = ""; }, "id: missing"},
        {"id too long", [](Fixture &f) { f.id = std::string(129, 'x'); },
         "id: 129 bytes, at most 128 are allowed"},
        {"slash", [](Fixture &f) { f.id = "a/b"; },
         "id: \"a/b\" has a character other than A-Z a-z 0-9 . _ - at position 2"},
        {"dot first", [](Fixture &f) { f.id = ".a"; },
         "id: \".a\" does not begin with a letter or a digit"},
        {"not ascii", [](Fixture &f) { f.id = "\xc3\xa9"; },
         "id: \"\xc3\xa9\" does not begin with a letter or a digit"},
        {"no target", [](Fixture &f) { f.target = ""; }, "target: missing"},
        {"no module", [](Fixture &f) { f.target = "main"; },
         "target: \"main\" names no module; expected module.function"},
        {"empty component", [](Fixture &f) { f.target = "a..b"; },
         "target: \"a..b\" has an empty component"},
        {"ends in a dot", [](Fixture &f) { f.target = "a.b."; },
         "target: \"a.b.\" has an empty component"},
        {"call", [](Fixture &f) { f.target = "a.b()"; },
         "target: \"b()\" is not a Python identifier"},
        {"digit", [](Fixture &f) { f.target = "a.1b"; },
         "target: \"1b\" is not a Python identifier"},
        {"other script", [](Fixture &f) { f.target = "\xc3\xa9t\xc3\xa9.x"; }, "valid"},
        {"target too long", [](Fixture &f) { f.target = "a." + std::string(600, 'x'); },
         "target: 602 bytes, at most 512 are allowed"},
        {"type", [](Fixture &f) { f.type = "gauge"; },
         "instrument.type: \"gauge\" is not one of: log, incr, hist"},
        {"incr", [](Fixture &f) { f.type = "incr"; }, "valid"},
        {"hist", [](Fixture &f) { f.type = "hist"; }, "valid"},
        {"no type", [](Fixture &f) { f.type = ""; }, "instrument.type: missing"},
        {"no value", [](Fixture &f) { f.value = ""; }, "instrument.value: missing"},
        {"value too long", [](Fixture &f) { f.value = std::string(8193, '1'); },
         "instrument.value: 8193 bytes, at most 8192 are allowed"},
        {"event", [](Fixture &f) { f.event = "retrun"; },
         "instrument.event: \"retrun\" is not one of: call, return, end, line:N"},
        {"tags too long", [](Fixture &f) { f.tags = std::string(9000, '1'); },
         "instrument.custom.tags: 9000 bytes, at most 8192 are allowed"},
        {"no lifespan", [](Fixture &f) { f.lifespan_ms = 0; },
         "lifespan: missing or 0; give the minutes that the spec shall live"},
        {"lifespan too long", [](Fixture &f) { f.lifespan_ms = 2592000001; },
         "lifespan: 43200 minutes, at most 43200 (30 days) are allowed"},
        {"longest lifespan", [](Fixture &f) { f.lifespan_ms = 2592000000; }, "valid"},
        {"label",
         [](Fixture &f) {
             f.labels = {{"app", ""}};
         },
         "valid"},
        {"label without key",
         [](Fixture &f) {
             f.labels = {{"", "x"}};
         },
         "selector.labels: missing"},
        {"label too long",
         [](Fixture &f) {
             f.labels = {{"app", std::string(321, 'x')}};
         },
         "selector.labels.app: at most 320 bytes are allowed"},
        {"too many labels",
         [](Fixture &f) {
             f.labels.resize(33, {"a", "b"});
         },
         "selector.labels: 33 labels, at most 32 are allowed"},
    };

    for (const auto &c : cases) {
        Fixture fixture;
        c.change(fixture);
        EXPECT_EQ(fixture.problem(), c.problem) << c.name;
    }
}

TEST(Spec, Targets) {
    const std::string not_identifier = " is not a Python identifier";
    const std::string line_rule = " names no line: the line must be a number from 1 to 2147483647, "
                                  "without sign, spaces or leading zeros";
    struct {
        std::string target;
        std::string problem; // behind "target: "
    } const cases[] = {
        {"a.b", ""},
        {"shop.cart.Cart.total", ""},
        {"_a._1", ""},
        {"shop.make.<locals>.inner", ""},
        {"shop.make.<locals>.inner.<locals>.innermost", ""},
        {"shop.make.<locals>.Class.method", ""},
        {"shop.<lambda>", ""},
        {"shop.Cart.<lambda>", ""},
        {"shop.make.<locals>.<lambda>", ""},
        {"shop.<lambda>.<locals>.<genexpr>", ""},
        {"shop.make.<locals>.<listcomp>", ""},
        {"shop.make.<locals>.<setcomp>", ""},
        {"shop.make.<locals>.<dictcomp>.<locals>.<lambda>", ""},
        {"cart.py:1", ""},
        {"shop/cart.py:42", ""},
        {"/srv/my shop (2)/caf\xc3\xa9/cart.py:2147483647", ""},
        {"/usr/local/bin/serve:7", ""},
        {"C:/shop/cart.py:9", ""},
        {"a/<stdin>:3", ""},
        {std::string(499, 'x') + "/a.py:1234567", ""},
        {std::string(500, 'x') + "/a.py:1234567", "513 bytes, at most 512 are allowed"},

        {"f", "\"f\" names no module; expected module.function"},
        {"\xce\xb1\xce\xb2", "\"\xce\xb1\xce\xb2\" names no module; expected module.function"},
        {".", "\".\" has an empty component"},
        {"a.b.", "\"a.b.\" has an empty component"},
        {"a.b c", "\"b c\"" + not_identifier},
        {"a.b[0]", "\"b[0]\"" + not_identifier},
        {"a.b@c", "\"b@c\"" + not_identifier},
        {"a.b>", "\"b>\"" + not_identifier},
        {"a.2", "\"2\"" + not_identifier},
        {"a." + std::string(400, '+'), "\"" + std::string(256, '+') + "\"" + not_identifier},
        {"a." + std::string(255, '+') + "\xc3\xa9",
         "\"" + std::string(255, '+') + "\"" + not_identifier},
        {"<lambda>.a", "\"<lambda>.a\" does not begin with a module's name"},
        {"a.<locals>.b", "\"a.<locals>.b\" has a <locals> that comes behind no function"},
        {"a.b.<locals>.<locals>.c",
         "\"a.b.<locals>.<locals>.c\" has a <locals> that comes behind no function"},
        {"a.b.<locals>", "\"a.b.<locals>\" ends in <locals>; expected a function's name behind it"},
        {"a.b.<local>.c", "\"<local>\" is not one of: <locals>, <lambda>, <listcomp>, <setcomp>, "
                          "<dictcomp>, <genexpr>"},
        {"a.<module>", "\"<module>\" is not one of: <locals>, <lambda>, <listcomp>, <setcomp>, "
                       "<dictcomp>, <genexpr>"},
        {"a.<lambda>.b", "only <locals> can come behind <lambda>, not \"b\""},
        {"a\nb.c", "has a control character at byte 2"},
        {"a.b\x7f", "has a control character at byte 4"},
        {"a.\xc2\x85", "has a control character at byte 3"},
        {"a/b\t.py:3", "has a control character at byte 4"},
        {"shop/cart.py", "\"shop/cart.py\" names no line; expected path/file.py:LINE"},
        {"shop/cart.py:", "\"shop/cart.py:\"" + line_rule},
        {"shop/cart.py:0", "\"shop/cart.py:0\"" + line_rule},
        {"shop/cart.py:-1", "\"shop/cart.py:-1\"" + line_rule},
        {"shop/cart.py:+1", "\"shop/cart.py:+1\"" + line_rule},
        {"shop/cart.py:01", "\"shop/cart.py:01\"" + line_rule},
        {"shop/cart.py: 1", "\"shop/cart.py: 1\"" + line_rule},
        {"shop/cart.py:1x", "\"shop/cart.py:1x\"" + line_rule},
        {"shop/cart.py:2147483648", "\"shop/cart.py:2147483648\"" + line_rule},
        {"shop/cart.py:99999999999999999999", "\"shop/cart.py:99999999999999999999\"" + line_rule},
        {"shop/:3", "\"shop/:3\" names a folder; expected path/file.py:LINE"},
        {":3", "\":3\" is neither module.function nor path/file.py:LINE"},
        {".py:3", "\".py:3\" is neither module.function nor path/file.py:LINE"},
        {"shop.cart:total", "\"shop.cart:total\" is neither module.function nor path/file.py:LINE"},
    };

    for (const auto &c : cases) {
        Fixture fixture;
        fixture.target = c.target;
        EXPECT_EQ(fixture.problem(), c.problem.empty() ? "valid" : "target: " + c.problem)
            << c.target;
    }
}

TEST(Spec, Events) {
    const std::string line_rule = ": the line must be a number from 1 to 2147483647, without sign, "
                                  "spaces or leading zeros";
    const int none = -7;
    struct {
        std::string text;
        enum diag_spec_event event;
        int line;
        std::string problem; // behind "instrument.event: "
    } const cases[] = {
        {"call", DIAG_SPEC_EVENT_CALL, none, ""},
        {"return", DIAG_SPEC_EVENT_RETURN, none, ""},
        {"end", DIAG_SPEC_EVENT_END, none, ""},
        {"line:1", DIAG_SPEC_EVENT_LINE, 1, ""},
        {"line:2147483647", DIAG_SPEC_EVENT_LINE, 2147483647, ""},
        {"Return", {}, none, "\"Return\" is not one of: call, return, end, line:N"},
        {"end ", {}, none, "\"end \" is not one of: call, return, end, line:N"},
        {"lines:1", {}, none, "\"lines:1\" is not one of: call, return, end, line:N"},
        {std::string(63, 'x') + "\xc3\xa9",
         {},
         none,
         "\"" + std::string(63, 'x') + "\" is not one of: call, return, end, line:N"},
        {"hotspots",
         {},
         none,
         "\"hotspots\" is no event, but a name for expressions; use it in instrument.value with "
         "event: return"},
        {"line", {}, none, "\"line\" names no line; expected line:N, such as line:42"},
        {"line:", {}, none, "\"line:\" names no line; expected line:N, such as line:42"},
        {"line:0", {}, none, "\"line:0\"" + line_rule},
        {"line:-1", {}, none, "\"line:-1\"" + line_rule},
        {"line:+1", {}, none, "\"line:+1\"" + line_rule},
        {"line:042", {}, none, "\"line:042\"" + line_rule},
        {"line: 4", {}, none, "\"line: 4\"" + line_rule},
        {"line:4 ", {}, none, "\"line:4 \"" + line_rule},
        {"line:0x10", {}, none, "\"line:0x10\"" + line_rule},
        {"line:1.5", {}, none, "\"line:1.5\"" + line_rule},
        {"line:2147483648", {}, none, "\"line:2147483648\"" + line_rule},
        {"line:18446744073709551617", {}, none, "\"line:18446744073709551617\"" + line_rule},
    };

    for (const auto &c : cases) {
        Fixture fixture;
        enum diag_spec_event event = {};
        int line = none;

        fixture.event = c.text;
        EXPECT_EQ(fixture.problem(), c.problem.empty() ? "valid" : "instrument.event: " + c.problem)
            << c.text;
        EXPECT_EQ(diag_spec_event_parse(c.text.c_str(), &event, &line, nullptr),
                  c.problem.empty() ? DIAG_OK : DIAG_ERR_INVALID)
            << c.text;
        EXPECT_EQ(event, c.event) << c.text;
        EXPECT_EQ(line, c.line) << c.text;
    }
}

TEST(Spec, TargetsWithALine) {
    struct {
        const char *target;
        bool is_line;
        size_t file_size;
        int line;
    } const cases[] = {
        {"a.b", false, 0, 0},
        {"a.b.<locals>.<lambda>", false, 0, 0},
        {"cart.py:12", true, 7, 12},
        {"/srv/a:b/cart.py:2147483647", true, 16, 2147483647},
    };

    for (const auto &c : cases) {
        size_t file_size = 0;
        int line = 0;

        EXPECT_EQ(diag_spec_target_is_line(c.target, &file_size, &line), c.is_line) << c.target;
        EXPECT_EQ(file_size, c.file_size) << c.target;
        EXPECT_EQ(line, c.line) << c.target;
        EXPECT_EQ(diag_spec_target_is_line(c.target, nullptr, nullptr), c.is_line) << c.target;
    }
}

TEST(Spec, Matching) {
    char app[] = "app", shop[] = "shop", bank[] = "bank", zone[] = "zone", eu[] = "eu";
    struct diag_label sidecar[] = {{app, shop}, {zone, eu}};
    struct {
        const char *name;
        std::vector<std::pair<std::string, std::string>> labels;
        bool matches;
    } const cases[] = {
        {"no selector", {}, true},
        {"one label", {{app, shop}}, true},
        {"both", {{zone, eu}, {app, shop}}, true},
        {"other value", {{app, bank}}, false},
        {"label that is not there", {{"team", "x"}}, false},
        {"one matches, one does not", {{app, shop}, {zone, "us"}}, false},
    };

    for (const auto &c : cases) {
        Fixture fixture;
        fixture.labels = c.labels;
        EXPECT_EQ(fixture.with_spec(
                      [&](struct diag_spec *spec) { return diag_spec_matches(spec, sidecar, 2); }),
                  c.matches)
            << c.name;
    }
}

TEST(Spec, EqualityIgnoresTheControllersFields) {
    std::function<void(Fixture &)> const changes[] = {
        [](Fixture &f) { f.id = "other"; },     [](Fixture &f) { f.target = "a.b"; },
        [](Fixture &f) { f.value = "result"; }, [](Fixture &f) { f.event = "call"; },
        [](Fixture &f) { f.name = "m"; },       [](Fixture &f) { f.tags = "{}"; },
        [](Fixture &f) { f.lifespan_ms = 1; },  [](Fixture &f) { f.labels = {{"a", "b"}}; },
        [](Fixture &f) { f.type = "hist"; },
    };
    Fixture base;

    base.with_spec([&](struct diag_spec *a) {
        for (const auto &change : changes) {
            Fixture other;
            change(other);
            other.with_spec([&](struct diag_spec *b) { EXPECT_FALSE(diag_spec_equal(a, b)); });
        }
        Fixture same;
        same.with_spec([&](struct diag_spec *b) {
            b->revision = 9;
            b->expires_unix_ns = 1;
            EXPECT_TRUE(diag_spec_equal(a, b));
        });
    });
}

TEST(Spec, Expiry) {
    struct diag_spec spec = {};

    EXPECT_FALSE(diag_spec_is_expired(&spec, 100));
    spec.expires_unix_ns = 100;
    EXPECT_FALSE(diag_spec_is_expired(&spec, 99));
    EXPECT_TRUE(diag_spec_is_expired(&spec, 100));
}

TEST(Skip, Names) {
    EXPECT_STREQ(diag_skip_name(DIAG_SKIP_REENTRANT), "reentrant");
    EXPECT_STREQ(diag_skip_name(DIAG_SKIP_IN_FLIGHT), "in flight");
    EXPECT_STREQ(diag_skip_name(DIAG_SKIP_UNBOUND), "unbound");
    EXPECT_STREQ(diag_skip_name(DIAG_SKIP_FILTERED), "filtered");
    EXPECT_STREQ(diag_skip_name(static_cast<enum diag_skip>(77)), "unknown");
}

TEST(SpecState, Names) {
    EXPECT_STREQ(diag_spec_state_name(DIAG_SPEC_STATE_ARMED), "ARMED");
    EXPECT_STREQ(diag_spec_state_name(static_cast<enum diag_spec_state>(77)), "UNSPECIFIED");
}

} // namespace
