/* The founder loses its whole data directory and is started again: it must not found a second
 * cluster beside the one that lives, and gets in as a new node. */
#include "core/include/hivemind/module.h"
#include "tests/sim/cluster.h"
#include "tests/sim/scenario.h"

#include <stdio.h>

#define STEP_MS 50u

static uint64_t cluster_of(const struct cluster_node *node)
{
    return node->runs ? hm_node_view(node->node)->cluster : 0;
}

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

bool scenario_wiped_founder(uint64_t seed, bool loud, struct sim_totals *totals, char why[256])
{
    static struct cluster cluster;
    (void)totals;
    cluster_init(&cluster, seed, loud);
    cluster.control_count = 3;
    cluster.dns_count = 1;
    cluster.host_count = 1;
    cluster.count = 5;
    cluster.calm = true;
    cluster_start(&cluster);
    cluster_run(&cluster, 10000);
    cluster_check_end(&cluster); /* all are in */
    if (!cluster.world.failed) {
        wipe(&cluster);
        cluster_check_end(&cluster);
    }
    bool good = !cluster.world.failed;
    snprintf(why, 256, "%s", cluster.world.why);
    cluster_fini(&cluster);
    return good;
}
