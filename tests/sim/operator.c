#include "tests/sim/operator.h"

#include "tests/sim/cluster.h"

#include <string.h>

#define CONNECTION 60u
#define LOOK_MS    400u
#define PATIENCE                                                                    \
    20u /* looks at a survivor that cannot go on, until the others are brought back \
         */
#define BACK_AFTER_MS 6000u

static void look(void *context, uint64_t number, struct hm_bytes bytes);

static void look_again(struct cluster *cluster)
{
    sim_after(&cluster->world, LOOK_MS, look, cluster, 0);
}

static bool answers(const struct cluster_node *node)
{
    return node->runs && node->paused_until <= node->cluster->world.now;
}

/* ---- the loss ---- */

static void come_back(void *context, uint64_t slot, struct hm_bytes bytes)
{
    (void)bytes;
    struct cluster *cluster = context;
    if (cluster->nodes[slot].lost) {
        cluster->nodes[slot].lost = false;
        cluster_boot(cluster, (size_t)slot);
    }
}

/* All control nodes but one go at once and stay away. */
static void lose(void *context, uint64_t number, struct hm_bytes bytes)
{
    (void)number;
    (void)bytes;
    struct cluster *cluster = context;
    cluster->survivor = (size_t)sim_between(&cluster->world, 0, cluster->control_count - 1);
    sim_trace(&cluster->world, "all control nodes but %zu are lost", cluster->survivor);
    for (size_t i = 0; i < cluster->control_count; i++) {
        if (i != cluster->survivor) {
            cluster->nodes[i].lost = true;
            cluster_crash(cluster, i, sim_chance(&cluster->world, 500));
            sim_net_died(&cluster->net, i, false);
        }
    }
    sim_after(&cluster->world, sim_between(&cluster->world, 100, 3000), look, cluster, 0);
}

/* ---- the recovery ---- */

void operator_begin_generation(struct cluster *cluster, uint64_t generation, uint64_t index,
                               uint64_t position)
{
    cluster->generation = generation;
    cluster->recoveries++;
    for (size_t i = index + 1; i < cluster->fact_count; i++) {
        cluster->facts[i] = (struct cluster_fact){0};
    }
    for (size_t i = position + 1; i < cluster->list_count; i++) {
        cluster->lists[i] = (struct cluster_list){0};
    }
    memset(cluster->leaders, 0, cluster->leader_count * sizeof *cluster->leaders);
}

/* False: it cannot, not yet or not at all. */
static bool recover(struct cluster *cluster)
{
    struct cluster_node *node = &cluster->nodes[cluster->survivor];
    uint64_t before = hm_node_generation(node->node);
    uint64_t index = hm_node_view(node->node)->index;
    uint64_t position = hm_node_view(node->node)->members_position;
    writers_look(cluster, node);
    cluster_ask(node, CONNECTION,
                &(struct hm_message){.kind = HM_MSG_recover, .recover = {.now = true}});
    if (hm_node_generation(node->node) == before) {
        return false;
    }
    sim_trace(&cluster->world, "%s: recovered at %llu", node->config.name.text,
              (unsigned long long)index);
    operator_begin_generation(cluster, hm_node_generation(node->node), index, position);
    writers_lose(cluster);
    return true;
}

static void bring_back(struct cluster *cluster)
{
    for (size_t i = 0; i < cluster->control_count; i++) {
        if (cluster->nodes[i].lost) {
            sim_after(&cluster->world, sim_between(&cluster->world, 10, BACK_AFTER_MS), come_back,
                      cluster, i);
        }
    }
}

/* Goes on until the survivor leads the new generation; a power cut may take a recovery back that
 * was not on the disk yet. */
static void look(void *context, uint64_t number, struct hm_bytes bytes)
{
    (void)number;
    (void)bytes;
    struct cluster *cluster = context;
    struct cluster_node *survivor = &cluster->nodes[cluster->survivor];
    bool done = cluster->recoveries &&
                (!survivor->runs || hm_node_generation(survivor->node) == cluster->generation);
    if (!done && answers(survivor) && recover(cluster) && cluster->recoveries == 1) {
        bring_back(cluster);
    }
    if (cluster->recoveries == 0 && ++cluster->looks == PATIENCE) {
        bring_back(cluster); /* it had never been in, or its disk fails: as if nothing had been */
        return;
    }
    for (size_t i = 0; i < cluster->control_count && cluster->recoveries; i++) {
        struct cluster_node *node = &cluster->nodes[i];
        if (i != cluster->survivor && answers(node) && hm_node_is_fenced(node->node) &&
            sim_chance(&cluster->world, 300)) {
            sim_trace(&cluster->world, "%s: is to rejoin", node->config.name.text);
            cluster_ask(node, CONNECTION, &(struct hm_message){.kind = HM_MSG_rejoin});
        }
    }
    if (!cluster->world.failed) {
        look_again(cluster);
    }
}

static void start_anew(void *context, uint64_t slot, struct hm_bytes bytes)
{
    (void)bytes;
    cluster_boot(context, (size_t)slot);
}

void operator_put_aside(struct cluster_node *node)
{
    sim_disk_put_aside(&node->disk, "identity", HM_NODE_REJOIN_FILE);
    sim_after(&node->cluster->world, 100, start_anew, node->cluster, node->slot);
}

void operator_start(struct cluster *cluster)
{
    sim_after(&cluster->world, sim_between(&cluster->world, 4000, cluster->until), lose, cluster,
              0);
}

/* ---- what is looked at ---- */

void operator_check(struct cluster_node *node)
{
    uint64_t index = hm_node_view(node->node)->index;
    if (!hm_node_is_fenced(node->node)) {
        node->fenced = false;
    } else if (!node->fenced) {
        node->fenced = true;
        node->fenced_at = index;
    } else if (index != node->fenced_at) {
        sim_fail(&node->cluster->world, "%s: fenced at index %llu, now it has %llu",
                 node->config.name.text, (unsigned long long)node->fenced_at,
                 (unsigned long long)index);
    }
    if (node->fenced && hm_node_is_ready(node->node)) {
        sim_fail(&node->cluster->world, "%s: fenced, and serves", node->config.name.text);
    }
}

void operator_check_end(struct cluster *cluster)
{
    for (size_t i = 0; i < cluster->count && cluster->recoveries; i++) {
        const struct cluster_node *node = &cluster->nodes[i];
        if (node->runs && hm_node_generation(node->node) != cluster->generation) {
            sim_fail(&cluster->world, "%s is of another generation", node->config.name.text);
        }
    }
}
