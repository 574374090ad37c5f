/* Membership alone, of small clusters: a kind of simulation. */
#ifndef TESTS_SIM_MEMBERS_H
#define TESTS_SIM_MEMBERS_H

#include "tests/sim/run.h"

/* As in struct sim_kind. */
bool sim_members(uint64_t seed, bool loud, struct sim_totals *totals, char why[256]);

#endif
