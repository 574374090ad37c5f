/* A cluster of Raft engines in memory, driven by one seed, with an oracle that watches every step.
 */
#ifndef HM_TESTS_RAFT_CLUSTER_H
#define HM_TESTS_RAFT_CLUSTER_H

#include "core/engine/raft.h"

struct cluster_totals {
    uint64_t applied; /* highest index that anyone applied */
    uint64_t elections;
    uint64_t reads;
    uint64_t changes;
    uint64_t crashes;
    uint64_t installs;
};

/* Runs `seed` through faults, heals it and waits for it to settle. NULL, or what was violated (in a
 * static buffer). Adds to `totals`. */
const char *raft_cluster_run(uint64_t seed, struct cluster_totals *totals);

#endif
