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
         "instrument.event: \"retrun\" is not one of: call, return"},
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
             f.labels = {{"app", std::string(300, 'x')}};
         },
         "selector.labels.app: at most 256 bytes are allowed"},
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

TEST(SpecState, Names) {
    EXPECT_STREQ(diag_spec_state_name(DIAG_SPEC_STATE_ARMED), "ARMED");
    EXPECT_STREQ(diag_spec_state_name(static_cast<enum diag_spec_state>(77)), "UNSPECIFIED");
}

} // namespace
