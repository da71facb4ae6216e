/* SPDX-License-Identifier: MIT */
/* kill - kills producers of a ring by the thousand and reports the accounts. */
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "tests/kill/kill_round.h"

int main(int argc, char **argv) {
    uint64_t kills = 10000;
    uint64_t at_point[DIAG_RING_TESTPOINT_COUNT] = {}, at_random = 0, faults = 0;
    kill_round::Outcome sum = {};

    if (argc == 3 && strcmp(argv[1], "--kills") == 0) {
        kills = strtoull(argv[2], nullptr, 10);
    } else if (argc != 1) {
        fprintf(stderr, "usage: kill [--kills N]\n");
        return 2;
    }
    for (uint64_t number = 0; number < kills; number++) {
        kill_round::Plan plan = kill_round::MakePlan(number);
        kill_round::Outcome outcome = kill_round::Run(plan);
        if (!outcome.fault.empty()) {
            faults++;
            printf("FAULT in round %" PRIu64 " (%d threads, %s): %s\n", number, plan.threads,
                   plan.is_random ? "at random" : kill_round::Name(plan.point),
                   outcome.fault.c_str());
        }
        if (plan.is_random)
            at_random++;
        else
            at_point[plan.point]++;
        sum.delivered += outcome.delivered;
        sum.dropped += outcome.dropped;
        sum.torn += outcome.torn;
        sum.produced += outcome.produced;
    }
    printf("killed at   ");
    for (int i = 0; i < DIAG_RING_TESTPOINT_COUNT; i++)
        printf("%s %" PRIu64 ", ", kill_round::Name((diag_ring_testpoint)i), at_point[i]);
    printf("at random %" PRIu64 "\n", at_random);
    printf("produced    %" PRIu64 " = %" PRIu64 " delivered + %" PRIu64 " dropped + %" PRIu64
           " torn\n",
           sum.produced, sum.delivered, sum.dropped, sum.torn);
    printf("%" PRIu64 " kills, %" PRIu64 " faults\n", kills, faults);
    return faults == 0 ? 0 : 1;
}
