/* What must hold of lite hosts. */
#include "core/base/assert.h"
#include "core/engine/keeper.h"
#include "tests/sim/cluster.h"

#include <string.h>

#define SETTLED_MS  15000u /* from the end of the faults until all that lives is known */
#define KNOWN_MS    5000u  /* in quiet: from a change of one until all know it */
#define GONE_MS     4000u  /* beyond its lease, and the brake if it holds */
#define COME_MS     16000u /* a keeper comes, */
#define GO_MS       24000u /* and one goes; so long after the end of the faults */
#define REPEATED_MS 300u
#define WATCH_MS    100u
#define MOVED_MS    7500u /* until its share has moved */

bool lites_clock_is_wrong(const struct cluster *cluster, const struct hm_id *id)
{
    for (size_t i = 0; i < cluster->lite_count; i++) {
        if (hm_id_equal(&cluster->lites[i].id, id)) {
            return cluster->lites[i].clock_is_wrong;
        }
    }
    return false;
}

size_t lites_running(const struct cluster *cluster)
{
    size_t count = 0;
    for (size_t i = 0; i < cluster->lite_count; i++) {
        count += cluster->lites[i].runs;
    }
    return count;
}

static hm_ms gone_after(const struct cluster_lite *lite)
{
    return 3 * (hm_ms)lite->interval_ms + lite->cluster->brake_ms + GONE_MS;
}

static bool is_keeper(const struct cluster_node *node)
{
    return strcmp(node->role, "dns") == 0;
}

/* The node that is to answer for it as the leader's state has it; NULL: none. */
static struct cluster_node *keeper_of(const struct cluster_lite *lite)
{
    struct cluster *cluster = lite->cluster;
    struct hm_lite known;
    for (size_t i = 0; i < cluster->control_count; i++) {
        struct cluster_node *node = &cluster->nodes[i];
        bool leads = node->runs && hm_node_is_leader(node->node);
        if (!leads || !hm_view_lite(hm_node_view(node->node), &lite->name, &known)) {
            continue;
        }
        for (size_t at = 0; at < cluster->count; at++) {
            if (cluster->nodes[at].runs && hm_id_equal(&cluster->nodes[at].id, &known.keeper)) {
                return &cluster->nodes[at];
            }
        }
    }
    return NULL;
}

/* ---- one lite host, as a node knows it ---- */

/* NULL: the config says what it should. */
static const char *problem_of_config(const struct cluster_lite *lite,
                                     const struct hm_host_config *config)
{
    struct hm_addr addr = lite_addr(lite);
    if (config->services_count == 0 || config->services[0].port != lite->port) {
        return "another config";
    }
    return config->addresses_count == 1 && hm_addr_same_ip(&config->addresses[0].addr, &addr)
               ? NULL
               : "another address";
}

static bool same_version(const struct hm_version *a, const struct hm_version *b)
{
    return a->boot == b->boot && a->seq == b->seq;
}

static const char *problem_of_view(const struct cluster_lite *lite, const struct hm_view *view)
{
    struct hm_arena arena = {0};
    struct hm_lite known;
    struct hm_host_state state;
    struct hm_message message;
    struct hm_addr addr = lite_addr(lite);
    const char *problem = "no record";
    bool has_host = hm_view_host(view, &lite->id, &arena, &state);
    bool has_record = hm_view_lite(view, &lite->name, &known);
    if (!lite->runs) {
        problem = has_host || has_record ? "a record of one that is gone" : NULL;
    } else if (has_record && has_host &&
               hm_message_decode_only(state.config, HM_MSG_host_config, &arena, &message) ==
                   HM_OK) {
        problem = !same_version(&state.version, &lite->session.version) ? "another version"
                  : !hm_addr_same_ip(&known.addr, &addr)
                      ? "a record with another address"
                      : problem_of_config(lite, &message.host_config);
    }
    hm_arena_fini(&arena);
    return problem;
}

static const char *problem_of_catalog(const struct cluster_lite *lite,
                                      const struct hm_catalog *catalog)
{
    const struct hm_catalog_host *host = hm_catalog_host(catalog, &lite->id);
    if (!lite->runs || !host) {
        return lite->runs ? "nothing to serve" : host ? "still to serve" : NULL;
    }
    return host->braked ? "it marked"
           : !same_version(&host->version, &lite->session.version)
               ? "another version to serve"
               : problem_of_config(lite, host->config);
}

static bool has_lease(const struct cluster_node *node, const struct cluster_lite *lite)
{
    const struct hm_keeper *keeper = hm_node_keeper(node->node);
    for (size_t i = 0; i < keeper->count; i++) {
        if (hm_id_equal(&keeper->entries[i].id, &lite->id)) {
            return keeper->entries[i].lease != NULL;
        }
    }
    return false;
}

static void check_lease(const struct cluster_lite *lite, const struct cluster_node *node)
{
    bool has = has_lease(node, lite);
    bool should = lite->runs && keeper_of(lite) == node;
    if (has != should) {
        sim_fail(&lite->cluster->world, "%s: %s %s", node->config.name.text,
                 has ? "keeps, beside another, or nobody," : "has no lease of", lite->name.text);
    }
}

/* Is everything that is known of it, anywhere, as it is? */
static void check_lite(const struct cluster_lite *lite)
{
    struct cluster *cluster = lite->cluster;
    for (size_t i = 0; i < cluster->count && !cluster->world.failed; i++) {
        struct cluster_node *node = &cluster->nodes[i];
        const char *problem = NULL;
        if (!node->runs || !hm_node_is_ready(node->node)) {
            continue; /* looked at elsewhere */
        }
        if (strcmp(node->role, "control") == 0) {
            problem = problem_of_view(lite, hm_node_view(node->node));
        } else if (is_keeper(node)) {
            problem = problem_of_catalog(lite, hm_node_catalog(node->node));
        }
        if (problem) {
            sim_fail(&cluster->world, "%s has %s: %s %s for %llu ms", node->config.name.text,
                     problem, lite->name.text, lite->runs ? "is as it is" : "is gone",
                     (unsigned long long)(cluster->world.now - lite->changed_at));
        } else if (is_keeper(node)) {
            check_lease(lite, node);
        }
    }
}

/* ---- when ---- */

static void look_again(void *context, uint64_t changes, struct hm_bytes bytes)
{
    (void)bytes;
    struct cluster_lite *lite = context;
    if (lite->changes == changes) {
        check_lite(lite);
    }
}

/* Somebody who heard it repeats its last word to all with whom it never spoke: those alone cannot
 * take it for one that they wait for. */
static void repeat(struct cluster_lite *lite)
{
    struct cluster *cluster = lite->cluster;
    for (size_t i = 0; i < cluster->count && lite->sent.size; i++) {
        if (!(lite->spoken_to >> i & 1)) {
            sim_trace(&cluster->world, "%s: its last word again, to node %zu", lite->name.text, i);
            sim_net_datagram(&cluster->net, lite->slot, i, hm_buf_view(&lite->sent));
        }
    }
}

static void look(void *context, uint64_t changes, struct hm_bytes bytes)
{
    struct cluster_lite *lite = context;
    bool settled = lite->changes == changes && !(lite->runs && lite->session.withdrawing);
    if (settled) {
        look_again(lite, changes, bytes);
    }
    if (settled && !lite->runs) {
        repeat(lite);
        sim_after(&lite->cluster->world, REPEATED_MS, look_again, lite, changes);
    }
}

void lite_look_later(struct cluster_lite *lite)
{
    struct sim_world *world = &lite->cluster->world;
    hm_ms at = world->now + (lite->runs ? KNOWN_MS : gone_after(lite));
    hm_ms settled = lite->cluster->until + SETTLED_MS;
    sim_after(world, (at > settled ? at : settled) - world->now, look, lite, lite->changes);
}

/* ---- what moves when a keeper comes or goes ---- */

static void note_keepers(struct cluster *cluster, size_t slot)
{
    cluster->keeper_slot = slot;
    for (size_t i = 0; i < cluster->lite_count; i++) {
        cluster->lites[i].keeper = keeper_of(&cluster->lites[i]);
    }
}

/* Those of the one that came or went, and no others. */
static void check_moved(void *context, uint64_t came, struct hm_bytes bytes)
{
    (void)bytes;
    struct cluster *cluster = context;
    const struct cluster_node *mover = &cluster->nodes[cluster->keeper_slot];
    for (size_t i = 0; i < cluster->lite_count; i++) {
        const struct cluster_lite *lite = &cluster->lites[i];
        const struct cluster_node *now = keeper_of(lite);
        bool may_move = came ? now == mover : lite->keeper == mover;
        if (lite->runs && (!now || (now != lite->keeper && !may_move))) {
            sim_fail(&cluster->world, "%s: kept by %s, as %s %s now by %s", lite->name.text,
                     lite->keeper ? lite->keeper->config.name.text : "nobody",
                     mover->config.name.text, came ? "came" : "went",
                     now ? now->config.name.text : "nobody");
        }
        if (lite->runs) {
            check_lite(lite);
        }
    }
}

static void come(void *context, uint64_t slot, struct hm_bytes bytes)
{
    (void)bytes;
    struct cluster *cluster = context;
    note_keepers(cluster, (size_t)slot);
    cluster->nodes[slot].lost = false;
    cluster_boot(cluster, (size_t)slot);
    sim_after(&cluster->world, MOVED_MS, check_moved, cluster, true);
}

static void go(void *context, uint64_t slot, struct hm_bytes bytes)
{
    (void)bytes;
    struct cluster *cluster = context;
    bool power = sim_chance(&cluster->world, 500);
    note_keepers(cluster, (size_t)slot);
    cluster->nodes[slot].gone = true;
    cluster_crash(cluster, (size_t)slot, power);
    sim_net_died(&cluster->net, (size_t)slot, power);
    sim_after(&cluster->world, MOVED_MS, check_moved, cluster, false);
}

/* Whatever happens to keepers, nobody stops to serve what lives. */
static void watch(void *context, uint64_t number, struct hm_bytes bytes)
{
    (void)bytes;
    struct cluster *cluster = context;
    struct sim_world *world = &cluster->world;
    for (size_t i = 0; i < cluster->lite_count; i++) {
        const struct cluster_lite *lite = &cluster->lites[i];
        if (!lite->runs || lite->session.withdrawing ||
            lite->changed_at + SETTLED_MS > world->now) {
            continue;
        }
        for (size_t at = 0; at < cluster->count; at++) {
            const struct cluster_node *node = &cluster->nodes[at];
            if (!node->runs || !hm_node_is_ready(node->node) || !is_keeper(node)) {
                continue;
            }
            const struct hm_catalog_host *host =
                hm_catalog_host(hm_node_catalog(node->node), &lite->id);
            if (!host || host->braked || problem_of_config(lite, host->config)) {
                sim_fail(world, "%s does not serve %s, which lives", node->config.name.text,
                         lite->name.text);
            }
        }
    }
    sim_after(world, WATCH_MS, watch, cluster, number);
}

void lites_start_quiet(struct cluster *cluster)
{
    struct sim_world *world = &cluster->world;
    if (cluster->lite_count == 0 || cluster->accident.rounds) {
        return;
    }
    sim_after(world, cluster->until + SETTLED_MS, watch, cluster, 0);
    size_t first = cluster->control_count;
    size_t spare = first + cluster->dns_count - 1;
    if (cluster->dns_count > 1) {
        cluster->nodes[spare].lost = true;
        sim_after(world, cluster->until + COME_MS, come, cluster, spare);
        sim_after(world, cluster->until + GO_MS, go, cluster, sim_between(world, first, spare));
    }
}

void lites_check_end(struct cluster *cluster)
{
    for (size_t i = 0; i < cluster->lite_count; i++) {
        check_lite(&cluster->lites[i]);
    }
}
