/* Named scenarios of whole clusters. */
#include "core/include/hivemind/module.h"
#include "tests/sim/cluster.h"
#include "tests/sim/scenario.h"

#include <stdio.h>
#include <string.h>

#define STEP_MS 50u

static uint64_t cluster_of(const struct cluster_node *node)
{
    return node->runs ? hm_node_view(node->node)->cluster : 0;
}

/* The founder loses its whole data directory and is started again: it must not found a second
 * cluster beside the one that lives, and gets in as a new node. */
static void wipe(struct cluster *cluster)
{
    struct cluster_node *founder = &cluster->nodes[0];
    uint64_t founded = cluster_of(founder);
    struct hm_id old = founder->id;
    cluster_crash(cluster, 0, true);
    sim_net_died(&cluster->net, 0, false);
    sim_disk_wipe(&founder->disk);
    cluster_boot(cluster, 0);
    hm_ms end = cluster->world.now + 40000;
    while (cluster->world.now < end && !cluster->world.failed) {
        cluster_run(cluster, cluster->world.now + STEP_MS);
        uint64_t now_in = cluster_of(founder);
        if (now_in != 0 && now_in != founded) {
            sim_fail(&cluster->world, "the founder founded a second cluster");
        }
    }
    if (hm_id_equal(&founder->id, &old)) {
        sim_fail(&cluster->world, "the founder has its old id without its old directory");
    }
}

static struct cluster cluster;

static void begin(uint64_t seed, bool loud)
{
    cluster_init(&cluster, seed, loud);
    cluster.control_count = 3;
    cluster.dns_count = 1;
    cluster.host_count = 1;
    cluster.count = 5;
    cluster.calm = true;
    cluster.upgrades = false;
    cluster_start(&cluster);
}

static void settle(void)
{
    cluster_run(&cluster, cluster.world.now + 10000);
    if (!cluster.world.failed) {
        cluster_check_end(&cluster); /* all are in */
    }
}

static bool finish(char why[256])
{
    bool good = !cluster.world.failed;
    snprintf(why, 256, "%s", cluster.world.why);
    cluster_fini(&cluster);
    return good;
}

bool scenario_wiped_founder(uint64_t seed, bool loud, struct sim_totals *totals, char why[256])
{
    (void)totals;
    begin(seed, loud);
    settle();
    if (!cluster.world.failed) {
        wipe(&cluster);
        cluster_check_end(&cluster);
    }
    return finish(why);
}

/* ---- two releases ---- */

static void start_with(size_t slot, uint32_t feature)
{
    cluster_crash(&cluster, slot, false);
    sim_net_died(&cluster.net, slot, false);
    cluster.nodes[slot].config.feature = feature;
    sim_trace(&cluster.world, "%s: now with level %u", cluster.nodes[slot].config.name.text,
              feature);
    cluster_boot(&cluster, slot);
}

/* All control nodes have the level that the lowest member has, and decided alike on the way, which
 * cluster_check sees to. */
static void check_level(uint32_t wanted)
{
    for (size_t i = 0; i < cluster.control_count; i++) {
        const struct cluster_node *node = &cluster.nodes[i];
        if (!cluster.world.failed && hm_node_feature(node->node) != wanted) {
            sim_fail(&cluster.world, "%s: feature level %u, not %u", node->config.name.text,
                     hm_node_feature(node->node), wanted);
        }
    }
}

/* A cluster of two releases is upgraded node by node; then a control node is started with the older
 * one again. */
bool scenario_two_releases(uint64_t seed, bool loud, struct sim_totals *totals, char why[256])
{
    const uint32_t old = HM_FEATURE_LEVEL;
    const uint32_t next = old + 1;
    (void)totals;
    begin(seed, loud);
    size_t last = (size_t)sim_between(&cluster.world, 0, cluster.count - 1);
    for (size_t i = 0; i < cluster.count; i++) {
        bool upgraded = i != last && sim_chance(&cluster.world, 500);
        cluster.nodes[i].config.feature = upgraded ? next : old;
    }
    settle();
    check_level(old);
    for (size_t i = 1; i <= cluster.count; i++) {
        size_t slot = (last + i) % cluster.count; /* `last` comes last */
        if (!cluster.world.failed && cluster.nodes[slot].config.feature == old) {
            start_with(slot, next);
            settle();
            check_level(slot == last ? next : old);
        }
    }
    size_t slot = (size_t)sim_between(&cluster.world, 0, cluster.control_count - 1);
    if (!cluster.world.failed) {
        start_with(slot, old);
        cluster_run(&cluster, cluster.world.now + 5000);
        if (cluster.nodes[slot].runs) {
            sim_fail(&cluster.world, "a release that lacks the level goes on");
        }
    }
    if (!cluster.world.failed) {
        start_with(slot, next);
        settle();
        check_level(next);
    }
    return finish(why);
}

/* ---- a lost majority ---- */

/* The survivor goes on: all that it had is there, in a new epoch, and the others follow it. */
static void recover(size_t survivor)
{
    struct cluster_node *node = &cluster.nodes[survivor];
    uint64_t had = hm_node_view(node->node)->index;
    cluster_ask(node, 1, &(struct hm_message){.kind = HM_MSG_recover, .recover = {.now = true}});
    cluster.generation = hm_node_generation(node->node);
    memset(cluster.leaders, 0, cluster.leader_count * sizeof *cluster.leaders);
    cluster_run(&cluster, cluster.world.now + 8000);
    const struct hm_view *view = hm_node_view(node->node);
    if (!cluster.world.failed && (view->epoch <= HM_EPOCH_RECOVERY || view->index <= had)) {
        sim_fail(&cluster.world, "%s: epoch %llu at %llu, it had %llu", node->config.name.text,
                 (unsigned long long)view->epoch, (unsigned long long)view->index,
                 (unsigned long long)had);
    }
}

/* Those outside the control plane are where the survivor is. */
static void check_followers(size_t survivor)
{
    uint64_t epoch = hm_node_view(cluster.nodes[survivor].node)->epoch;
    for (size_t i = cluster.control_count; i < cluster.count && !cluster.world.failed; i++) {
        const struct cluster_node *node = &cluster.nodes[i];
        if (hm_node_view(node->node)->epoch != epoch) {
            sim_fail(&cluster.world, "%s: epoch %llu, not %llu", node->config.name.text,
                     (unsigned long long)hm_node_view(node->node)->epoch,
                     (unsigned long long)epoch);
        }
    }
}

static void check_fenced(size_t survivor)
{
    for (size_t i = 0; i < cluster.control_count && !cluster.world.failed; i++) {
        const struct cluster_node *node = &cluster.nodes[i];
        if (i != survivor && !hm_node_is_fenced(node->node)) {
            sim_fail(&cluster.world, "%s goes on in the old generation", node->config.name.text);
        }
    }
}

/* Two of three are lost, the third is recovered; then the two come back with their disks, a quorum
 * of the old generation, and at last without. */
bool scenario_recovery(uint64_t seed, bool loud, struct sim_totals *totals, char why[256])
{
    (void)totals;
    begin(seed, loud);
    settle();
    size_t survivor = (size_t)sim_between(&cluster.world, 0, cluster.control_count - 1);
    for (size_t i = 0; i < cluster.control_count && !cluster.world.failed; i++) {
        if (i != survivor) {
            cluster_crash(&cluster, i, sim_chance(&cluster.world, 500));
            sim_net_died(&cluster.net, i, false);
        }
    }
    if (!cluster.world.failed) {
        cluster_run(&cluster, cluster.world.now + 3000);
        recover(survivor);
        check_followers(survivor);
    }
    for (size_t i = 0; i < cluster.control_count && !cluster.world.failed; i++) {
        if (i != survivor) {
            cluster_boot(&cluster, i);
        }
    }
    if (!cluster.world.failed) {
        cluster_run(&cluster, cluster.world.now + 10000);
        check_fenced(survivor);
        check_followers(survivor);
    }
    for (size_t i = 0; i < cluster.control_count && !cluster.world.failed; i++) {
        if (i != survivor) {
            cluster_crash(&cluster, i, false);
            sim_net_died(&cluster.net, i, false);
            cluster_boot(&cluster, i);
        }
    }
    if (!cluster.world.failed) {
        cluster_run(&cluster, cluster.world.now + 1000);
        check_fenced(survivor); /* over a restart, too */
    }
    for (size_t i = 0; i < cluster.control_count && !cluster.world.failed; i++) {
        if (i != survivor) {
            cluster_crash(&cluster, i, true);
            sim_net_died(&cluster.net, i, false);
            sim_disk_wipe(&cluster.nodes[i].disk);
            cluster_boot(&cluster, i);
        }
    }
    if (!cluster.world.failed) {
        settle();
        settle();
        cluster_check_end(&cluster);
    }
    return finish(why);
}
