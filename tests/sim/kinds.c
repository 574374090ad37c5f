/* The kinds of simulated clusters: one run of each from a seed. */
#include "tests/sim/cluster.h"
#include "tests/sim/group.h"
#include "tests/sim/members.h"
#include "tests/sim/run.h"

#include <stdio.h>

static void add_faults(struct sim_totals *totals, const struct sim_faults *faults,
                       const struct sim_net *net)
{
    for (size_t i = 0; i < SIM_FAULT_COUNT; i++) {
        totals->faults[i] += faults->counts[i];
    }
    totals->messages += net->sent;
    totals->lost += net->lost;
    totals->doubled += net->doubled;
}

static bool run_log(uint64_t seed, bool loud, struct sim_totals *totals, char why[256])
{
    static struct group group;
    group_init(&group, seed, loud);
    group_start(&group);
    group_run(&group, group.options.until + 14000);
    group_check_end(&group);
    totals->runs++;
    totals->ms += group.world.now;
    add_faults(totals, &group.faults, &group.net);
    totals->agreed += group.acked;
    totals->elections += group.elections;
    for (size_t i = 0; i < group.options.nodes; i++) {
        totals->syncs += group.nodes[i].disk.synced;
    }
    bool failed = group.world.failed;
    totals->failed += failed;
    snprintf(why, 256, "%s", group.world.why);
    group_fini(&group);
    return !failed;
}

static struct cluster cluster;

static bool run_nodes(struct sim_totals *totals, char why[256])
{
    cluster_start(&cluster);
    cluster_run(&cluster, cluster.until + cluster.settle_ms);
    cluster_check_end(&cluster);
    totals->runs++;
    totals->ms += cluster.world.now;
    add_faults(totals, &cluster.faults, &cluster.net);
    totals->agreed += cluster.highest;
    totals->elections += cluster.elections;
    for (size_t i = 0; i < cluster.count; i++) {
        totals->syncs += cluster.nodes[i].disk.synced;
    }
    bool failed = cluster.world.failed;
    totals->failed += failed;
    snprintf(why, 256, "%s", cluster.world.why);
    cluster_fini(&cluster);
    return !failed;
}

static bool run_cluster(uint64_t seed, bool loud, struct sim_totals *totals, char why[256])
{
    cluster_init(&cluster, seed, loud);
    return run_nodes(totals, why);
}

/* The same with role names on some control nodes, and those who want names. */
static bool run_names(uint64_t seed, bool loud, struct sim_totals *totals, char why[256])
{
    cluster_init(&cluster, seed, loud);
    cluster.names_count = sim_between(&cluster.world, 1, cluster.control_count);
    return run_nodes(totals, why);
}

/* Several consumers that are often behind each other, and hosts that are out and in again before
 * all have heard of it. */
static bool run_churn(uint64_t seed, bool loud, struct sim_totals *totals, char why[256])
{
    cluster_init(&cluster, seed, loud);
    cluster.churns = true;
    cluster.control_count = 3;
    cluster.dns_count = sim_between(&cluster.world, 2, 4);
    cluster.host_count = sim_between(&cluster.world, 2, 5);
    cluster.count = cluster.control_count + cluster.dns_count + cluster.host_count;
    return run_nodes(totals, why);
}

/* Lite hosts and several who keep them; one of these comes late. */
static bool run_lite(uint64_t seed, bool loud, struct sim_totals *totals, char why[256])
{
    cluster_init(&cluster, seed, loud);
    cluster.upgrades = false;
    cluster.dns_count = sim_between(&cluster.world, 1, 4);
    cluster.host_count = sim_between(&cluster.world, 1, 2);
    cluster.count = cluster.control_count + cluster.dns_count + cluster.host_count;
    cluster.lite_count = sim_between(&cluster.world, 1, CLUSTER_LITES_MAX);
    cluster.brake_ms = sim_between(&cluster.world, 500, 6000);
    cluster.settle_ms = 52000;
    return run_nodes(totals, why);
}

/* Nothing goes wrong but this: hosts, lite ones too, fail at once or one after the other. */
static bool run_brake(uint64_t seed, bool loud, struct sim_totals *totals, char why[256])
{
    cluster_init(&cluster, seed, loud);
    struct sim_world *world = &cluster.world;
    cluster.calm = true;
    cluster.upgrades = false;
    cluster.control_count = 3;
    cluster.dns_count = sim_between(world, 1, 2);
    cluster.host_count = sim_between(world, 3, 7);
    cluster.count = cluster.control_count + cluster.dns_count + cluster.host_count;
    cluster.lite_count = sim_between(world, 0, 4);
    cluster.brake_ms = sim_between(world, 14000, 18000);
    cluster.accident.rounds = 2;
    cluster.settle_ms = 120000;
    return run_nodes(totals, why);
}

/* A majority of the control plane is lost in the midst of other faults, and recovered. */
static bool run_lost(uint64_t seed, bool loud, struct sim_totals *totals, char why[256])
{
    cluster_init(&cluster, seed, loud);
    cluster.count += 3 - cluster.control_count;
    cluster.control_count = 3;
    cluster.recovers = true;
    return run_nodes(totals, why);
}

const struct sim_kind sim_kinds[] = {
    {"cluster", run_cluster, "events committed"}, {"names", run_names, "events committed"},
    {"churn", run_churn, "events committed"},     {"lost", run_lost, "events committed"},
    {"lite", run_lite, "events committed"},       {"brake", run_brake, "events committed"},
    {"log", run_log, "operations acknowledged"},  {"members", sim_members, "events committed"},
};
const size_t sim_kind_count = sizeof sim_kinds / sizeof *sim_kinds;
