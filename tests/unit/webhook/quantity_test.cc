// SPDX-License-Identifier: MIT
#include "deploy/webhook/quantity.h"

#include "tests/unit/webhook/json_testing.h"

namespace {

TEST(Quantity, IsRead) {
    const struct {
        const char *quantity;
        int64_t thousandths;
    } cases[] = {
        {"'0'", 0},
        {"'1'", 1000},
        {"'500m'", 500},
        {"'0.5'", 500},
        {"'.5'", 500},
        {"'2.'", 2000},
        {"'0.001'", 1},
        {"'128974848'", 128974848000},
        {"'1k'", 1000000},
        {"'3M'", 3000000000},
        {"'1Ki'", 1024000},
        {"'32Mi'", 33554432000},
        {"'1.5Gi'", 1610612736000},
        {"'2T'", 2000000000000000},
        {"'8Ti'", 8796093022208000},
        {"1", 1000},
        {"0.1", 100},
        {"134217728", 134217728000},
    };

    for (const auto &c : cases) {
        int64_t thousandths = -1;
        EXPECT_TRUE(diag_quantity_read(parse(c.quantity).get(), &thousandths)) << c.quantity;
        EXPECT_EQ(thousandths, c.thousandths) << c.quantity;
    }
}

TEST(Quantity, IsNotGuessed) {
    for (const char *quantity : {"''",
                                 "'m'",
                                 "'.'",
                                 "'1.2.3'",
                                 "'-1'",
                                 "'+1'",
                                 "-1",
                                 "' 1'",
                                 "'1 '",
                                 "'1e3'",
                                 "'1E'",
                                 "'100u'",
                                 "'0.0001'",
                                 "'1Zi'",
                                 "'1mi'",
                                 "'99999999999999999999'",
                                 "'99999999999Ti'",
                                 "'0.00000000000000000000000000001'",
                                 "1e300",
                                 "null",
                                 "true",
                                 "{}",
                                 "['1']"}) {
        int64_t thousandths = -1;
        EXPECT_FALSE(diag_quantity_read(parse(quantity).get(), &thousandths)) << quantity;
        EXPECT_EQ(thousandths, -1) << quantity;
    }
    int64_t thousandths;
    EXPECT_FALSE(diag_quantity_read(nullptr, &thousandths));
}

} // namespace
