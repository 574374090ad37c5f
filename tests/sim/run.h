/* What the command line runs: clusters of a kind from seeds, named scenarios, planted bugs. */
#ifndef TESTS_SIM_RUN_H
#define TESTS_SIM_RUN_H

#include "tests/sim/faults.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What runs add up to, shared between processes. */
struct sim_totals {
    uint64_t runs;
    uint64_t failed;
    uint64_t ms;
    uint64_t faults[SIM_FAULT_COUNT];
    uint64_t lost; /* messages */
    uint64_t doubled;
    uint64_t agreed; /* operations acknowledged, or events committed */
    uint64_t elections;
    uint64_t messages;
    uint64_t syncs;
};

struct sim_kind {
    const char *name;
    /* False, and in `why` which invariant was broken. */
    bool (*run)(uint64_t seed, bool loud, struct sim_totals *totals, char why[256]);
    const char *agreed; /* what its totals call that; NULL in a scenario, which counts nothing */
};

extern const struct sim_kind sim_kinds[]; /* the first is the default */
extern const size_t sim_kind_count;

/* Named ones, that take a seed too; they count nothing. */
extern const struct sim_kind sim_scenarios[];
extern const size_t sim_scenario_count;

/* Both return an exit code. NULL: lists the scenarios. */
int sim_scenario(const char *name);
/* Looks for all planted bugs, or those named; `arguments` end with NULL. */
int sim_planted(char **arguments);

#endif
