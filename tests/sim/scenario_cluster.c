/* Named scenarios of whole clusters. */
#include "core/include/hivemind/module.h"
#include "core/node/control/restore.h"
#include "tests/sim/cluster.h"
#include "tests/sim/scenario.h"
#include "tests/unit/backup_feed.h"

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

/* With their disks, a quorum of the old generation, and at last without. */
static void bring_back(size_t survivor)
{
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
}

/* Two of three are lost, the third is recovered; then the two come back. */
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
    bring_back(survivor);
    return finish(why);
}

/* ---- all of the control plane is lost ---- */

static enum hm_status write_ops(void *context, const struct hm_disk_op *ops, size_t count)
{
    return sim_disk_do(context, ops, count);
}

/* The next piece of a log, from the node that was asked first. */
static bool ask_piece(struct cluster_node *node, const struct hm_backup_query *query,
                      struct hm_arena *arena, struct hm_message *piece)
{
    hm_ms end = cluster.world.now + 5000;
    hm_buf_clear(&cluster.reply);
    cluster_ask(node, CLUSTER_CONNECTION,
                &(struct hm_message){.kind = HM_MSG_backup_query, .backup_query = *query});
    while (cluster.reply.size == 0 && cluster.world.now < end) {
        cluster_run(&cluster, cluster.world.now + STEP_MS);
    }
    if (hm_message_decode_only(hm_buf_view(&cluster.reply), HM_MSG_backup_piece, arena, piece) !=
        HM_OK) {
        sim_fail(&cluster.world, "%s hands out no backup", node->config.name.text);
        return false;
    }
    return true;
}

/* As the command does it. There is the event log alone, the other logs are none of this cluster. */
static void back_up(struct cluster_node *node, struct hm_buf *out)
{
    struct hm_backup_writer writer;
    struct hm_backup_query query = {0};
    uint64_t bytes = 1;
    while (query.offset < bytes) {
        struct hm_arena arena = {0};
        struct hm_message message;
        if (!ask_piece(node, &query, &arena, &message)) {
            hm_arena_fini(&arena);
            return;
        }
        const struct hm_backup_piece *piece = &message.backup_piece;
        if (query.offset == 0) {
            hm_backup_begin(&writer, &piece->head, out);
            hm_backup_log(&writer, &piece->about, out);
        }
        hm_backup_data(&writer, piece->data, out);
        bytes = piece->about.bytes;
        query.applied = piece->about.applied;
        query.offset += piece->data.size;
        hm_arena_fini(&arena);
    }
    hm_backup_end(&writer, out);
}

static bool read_file(const struct hm_backup_visitor *visitor, struct hm_bytes file)
{
    struct hm_buf error = {0};
    struct hm_backup_reader *reader = hm_backup_reader_new(visitor, &error);
    bool good = feed_all(reader, file, 4096) == HM_OK;
    if (!good) {
        sim_fail(&cluster.world, "a backup is not read: %.*s", (int)error.size,
                 error.size ? (char *)error.data : "");
    }
    hm_backup_reader_free(reader);
    hm_buf_fini(&error);
    return good;
}

/* Into the disk of a node that lost it, which starts from it under a new id. */
static void restore(struct cluster_node *node, struct hm_bytes file)
{
    struct hm_buf error = {0};
    struct hm_backup_check check;
    struct hm_label role = {.name = hm_name_of(node->role)};
    struct hm_restore_config config = {.self = {.id = hm_random_id(&cluster.world.random),
                                                .name = node->config.name,
                                                .addr = node->config.addr,
                                                .roles = &role,
                                                .roles_count = 1,
                                                .boot = 1,
                                                .feature = node->config.feature},
                                       .history = hm_random_id(&cluster.world.random)};
    hm_backup_check_init(&check, &error);
    struct hm_backup_visitor visitor = hm_backup_check_visitor(&check);
    if (read_file(&visitor, file)) {
        config.head = check.head;
        struct hm_restore *restoring = hm_restore_new(&config, write_ops, &node->disk);
        visitor = hm_restore_visitor(restoring);
        sim_disk_wipe(&node->disk);
        if (hm_restore_may(&check, &config, &error) != HM_OK || !read_file(&visitor, file) ||
            hm_restore_finish(restoring) != HM_OK) {
            sim_fail(&cluster.world, "%s: not restored: %.*s", node->config.name.text,
                     (int)error.size, error.size ? (char *)error.data : "");
        }
        hm_restore_free(restoring);
        const struct hm_view *view = hm_state_view(check.state);
        /* What lets it in is on the disk of the only voter: that is a commit. */
        cluster.joined[cluster.joined_count++] = config.self.id;
        cluster_boot(&cluster, node->slot);
        operator_begin_generation(&cluster, hm_node_generation(node->node), view->index,
                                  view->members_position);
    }
    hm_backup_check_fini(&check);
    hm_buf_fini(&error);
}

/* A backup is made; things go on; all control nodes are lost, and the backup is restored on the
 * empty disk of one. Then the two others come back, a quorum of the old generation. */
bool scenario_restore(uint64_t seed, bool loud, struct sim_totals *totals, char why[256])
{
    struct hm_buf file = {0};
    (void)totals;
    begin(seed, loud);
    settle();
    size_t source = (size_t)sim_between(&cluster.world, 0, cluster.control_count - 1);
    size_t survivor = (size_t)sim_between(&cluster.world, 0, cluster.control_count - 1);
    if (!cluster.world.failed) {
        back_up(&cluster.nodes[source], &file);
        cluster_run(&cluster, cluster.world.now + sim_between(&cluster.world, 100, 8000));
    }
    for (size_t i = 0; i < cluster.control_count && !cluster.world.failed; i++) {
        cluster_crash(&cluster, i, sim_chance(&cluster.world, 500));
        sim_net_died(&cluster.net, i, false);
    }
    if (!cluster.world.failed) {
        cluster_run(&cluster, cluster.world.now + 1000);
        restore(&cluster.nodes[survivor], hm_buf_view(&file));
        cluster_run(&cluster, cluster.world.now + 8000);
        check_followers(survivor);
    }
    bring_back(survivor);
    hm_buf_fini(&file);
    return finish(why);
}
