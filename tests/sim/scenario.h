/* Named scenarios of whole nodes, beside those of a log in scenario.c. */
#ifndef TESTS_SIM_SCENARIO_H
#define TESTS_SIM_SCENARIO_H

#include "tests/sim/run.h"

bool scenario_wiped_founder(uint64_t seed, bool loud, struct sim_totals *totals, char why[256]);
bool scenario_two_releases(uint64_t seed, bool loud, struct sim_totals *totals, char why[256]);
bool scenario_recovery(uint64_t seed, bool loud, struct sim_totals *totals, char why[256]);
bool scenario_restore(uint64_t seed, bool loud, struct sim_totals *totals, char why[256]);

#endif
