/* SPDX-License-Identifier: MIT */
/* kill_round - one producer process, killed at a chosen step of a put or at a random moment, and
 * what the reader makes of its ring. */
#ifndef DIAG_TESTS_KILL_KILL_ROUND_H
#define DIAG_TESTS_KILL_KILL_ROUND_H

#include <cstdint>
#include <string>

#include "lib/shm/ring_testpoint.h"

namespace kill_round {

struct Plan {
    int threads;               /* that put at once */
    bool is_random;            /* killed by the parent, after `delay_ns` */
    diag_ring_testpoint point; /* otherwise: kills itself there ... */
    uint64_t occurrence;       /* ... when one of its threads comes by for the n-th time */
    uint64_t delay_ns;
    uint64_t reader_pause; /* the reader rests that often, so that the ring is full at times */
    unsigned seed;
};

struct Outcome {
    std::string fault; /* empty: all is as it must be */
    uint64_t produced, delivered, dropped, torn;
    bool is_killed_at_point; /* the point was reached */
};

/* Runs the plan. Needs fork, so that no other thread may run. */
Outcome Run(const Plan &plan);

/* The name of a testpoint. */
const char *Name(diag_ring_testpoint point);

/* A plan out of a number: all points in turn, every fourth at random. */
Plan MakePlan(uint64_t number);

} // namespace kill_round

#endif
