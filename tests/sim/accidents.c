#include "tests/sim/accidents.h"

#include "core/base/assert.h"
#include "tests/sim/cluster.h"

#include <string.h>

#define FIRST_MS    12000u /* all are in */
#define KILLS_MS    1500u  /* from the first to the last that falls */
#define SEEN_MS     5000u  /* from then until all know, */
#define ELECTION_MS 4000u  /* later, when the leader falls, too */
#define BACK_MS     1000u  /* then some come back, within so long; */
#define KNOWN_MS    4000u  /* and that is known */
#define GAP_MS      6500u  /* of three that fall one by one: never three within ten seconds */
#define OVER_MS     4000u  /* beyond the end of the brake */
#define WATCH_MS    200u

const char *accident_service(size_t number)
{
    static const char *const names[ACCIDENT_SERVICES] = {"web", "api", "sql"};
    return names[number];
}

/* ---- the places that hosts have ---- */

static struct accident_host *place(struct cluster *cluster, size_t slot)
{
    HM_ASSERT(slot < ACCIDENT_HOSTS_MAX);
    return &cluster->accident.hosts[slot];
}

static size_t places(const struct cluster *cluster)
{
    return cluster->count + cluster->lite_count;
}

static size_t first_place(const struct cluster *cluster)
{
    return cluster->control_count + cluster->dns_count;
}

static unsigned services_of(struct cluster *cluster, size_t slot)
{
    const struct cluster_lite *lite = lite_at(cluster, slot);
    return lite ? lite->services : cluster->nodes[slot].services;
}

static struct hm_id id_at(struct cluster *cluster, size_t slot)
{
    const struct cluster_lite *lite = lite_at(cluster, slot);
    return lite ? lite->id : cluster->nodes[slot].id;
}

static const char *name_at(struct cluster *cluster, size_t slot)
{
    const struct cluster_lite *lite = lite_at(cluster, slot);
    return lite ? lite->name.text : cluster->nodes[slot].config.name.text;
}

/* ---- what a node has of one ---- */

static const char *problem_of_view(struct cluster *cluster, size_t slot, const struct hm_view *view)
{
    const struct accident_host *host = place(cluster, slot);
    struct hm_id id = id_at(cluster, slot);
    struct hm_arena arena = {0};
    struct hm_host_state state;
    struct hm_braked braked;
    bool has = hm_view_host(view, &id, &arena, &state);
    bool marked = hm_view_braked(view, &id, &braked);
    bool member = hm_members_find(&view->members, &id) != NULL;
    hm_arena_fini(&arena);
    if (!host->away) {
        return !has ? "no config of" : marked ? "still marked" : NULL;
    }
    return member                  ? "still as a member"
           : host->held && !marked ? "not kept"
           : host->held && !has    ? "kept without its config"
           : !host->held && marked ? "kept without need"
           : !host->held && has    ? "left over"
                                   : NULL;
}

static const char *problem_of_catalog(struct cluster *cluster, size_t slot,
                                      const struct hm_catalog *catalog)
{
    const struct accident_host *host = place(cluster, slot);
    struct hm_id id = id_at(cluster, slot);
    const struct hm_catalog_host *served = hm_catalog_host(catalog, &id);
    if (host->away && !host->held) {
        return served ? "serves what is gone" : NULL;
    }
    return !served                               ? "does not serve"
           : served->braked != host->away        ? "serves, marked as it should not be,"
           : served->config->services_count == 0 ? "serves nothing of"
                                                 : NULL;
}

/* All nodes that run have what is to be expected of all hosts. */
static void check_all(struct cluster *cluster, const char *when)
{
    struct sim_world *world = &cluster->world;
    for (size_t i = 0; i < first_place(cluster); i++) {
        const struct cluster_node *node = &cluster->nodes[i];
        const struct hm_catalog *catalog = node->runs ? hm_node_catalog(node->node) : NULL;
        for (size_t slot = first_place(cluster); node->runs && slot < places(cluster); slot++) {
            const char *problem = i < cluster->control_count
                                      ? problem_of_view(cluster, slot, hm_node_view(node->node))
                                      : problem_of_catalog(cluster, slot, catalog);
            if (problem) {
                sim_fail(world, "%s, %s: %s %s", when, node->config.name.text, problem,
                         name_at(cluster, slot));
            }
        }
    }
}

/* ---- one accident ---- */

static void start_round(void *context, uint64_t number, struct hm_bytes bytes);

static void fall(void *context, uint64_t slot, struct hm_bytes bytes)
{
    (void)bytes;
    struct cluster *cluster = context;
    struct cluster_lite *lite = lite_at(cluster, (size_t)slot);
    bool power = sim_chance(&cluster->world, 500);
    if (lite) {
        lite_kill(lite);
    } else {
        cluster_crash(cluster, (size_t)slot, power);
        sim_net_died(&cluster->net, (size_t)slot, power);
    }
    place(cluster, (size_t)slot)->away = slot >= first_place(cluster);
}

static void come_back(void *context, uint64_t slot, struct hm_bytes bytes)
{
    (void)bytes;
    struct cluster *cluster = context;
    struct cluster_lite *lite = lite_at(cluster, (size_t)slot);
    if (lite) {
        lite_boot(lite);
    } else {
        cluster_boot(cluster, (size_t)slot);
    }
    place(cluster, (size_t)slot)->away = false;
}

/* Those of the fallen that are to come back now, or all. */
static void bring_back(struct cluster *cluster, bool all)
{
    for (size_t slot = first_place(cluster); slot < places(cluster); slot++) {
        if (place(cluster, slot)->away && (all || place(cluster, slot)->comes_back)) {
            sim_after(&cluster->world, sim_between(&cluster->world, 0, BACK_MS), come_back, cluster,
                      slot);
        }
    }
}

static void round_is_over(void *context, uint64_t number, struct hm_bytes bytes)
{
    (void)bytes;
    struct cluster *cluster = context;
    for (size_t slot = first_place(cluster); slot < places(cluster); slot++) {
        place(cluster, slot)->held = false;
    }
    cluster->accident.over++;
    check_all(cluster, "when the brake has let go");
    bring_back(cluster, true);
    sim_after(&cluster->world, BACK_MS + 2 * KNOWN_MS, start_round, cluster, number);
}

static void some_are_back(void *context, uint64_t number, struct hm_bytes bytes)
{
    (void)number;
    (void)bytes;
    check_all(context, "when some are back");
}

static void all_is_seen(void *context, uint64_t number, struct hm_bytes bytes)
{
    (void)number;
    (void)bytes;
    struct cluster *cluster = context;
    check_all(cluster, "when all is seen");
    bring_back(cluster, false);
}

/* Three hosts or more, and more than half of a service that it has. */
static void expect(struct cluster *cluster, bool together)
{
    size_t falling = 0;
    size_t all[ACCIDENT_SERVICES] = {0};
    size_t lost[ACCIDENT_SERVICES] = {0};
    for (size_t slot = first_place(cluster); slot < places(cluster); slot++) {
        falling += place(cluster, slot)->falls;
        for (size_t i = 0; i < ACCIDENT_SERVICES; i++) {
            bool has = services_of(cluster, slot) >> i & 1;
            all[i] += has;
            lost[i] += has && place(cluster, slot)->falls;
        }
    }
    for (size_t slot = first_place(cluster); slot < places(cluster); slot++) {
        struct accident_host *host = place(cluster, slot);
        for (size_t i = 0; i < ACCIDENT_SERVICES; i++) {
            bool has = services_of(cluster, slot) >> i & 1;
            host->held |= host->falls && together && falling >= 3 && has && 2 * lost[i] > all[i];
        }
        if (host->falls) {
            sim_trace(&cluster->world, "%s is to fall%s", name_at(cluster, slot),
                      host->held ? ", and to be kept" : "");
        }
    }
}

/* Some at once, more or fewer; the leader with them now and then. */
static hm_ms fall_together(struct cluster *cluster)
{
    struct sim_world *world = &cluster->world;
    uint32_t permille = (uint32_t)sim_between(world, 100, 1000);
    hm_ms seen = KILLS_MS + SEEN_MS;
    for (size_t slot = first_place(cluster); slot < places(cluster); slot++) {
        place(cluster, slot)->falls = sim_chance(world, permille);
        if (place(cluster, slot)->falls) {
            sim_after(world, sim_between(world, 0, KILLS_MS), fall, cluster, slot);
        }
    }
    for (size_t i = 0; i < cluster->control_count && sim_chance(world, 400); i++) {
        if (hm_node_is_leader(cluster->nodes[i].node)) {
            hm_ms at = sim_between(world, 0, KILLS_MS);
            sim_after(world, at, fall, cluster, i);
            sim_after(world, at + sim_between(world, 100, 3000), come_back, cluster, i);
            seen += ELECTION_MS;
            break;
        }
    }
    return seen;
}

static hm_ms fall_one_by_one(struct cluster *cluster)
{
    struct sim_world *world = &cluster->world;
    hm_ms at = 0;
    for (size_t slot = first_place(cluster); slot < cluster->count && at < 3 * GAP_MS; slot++) {
        place(cluster, slot)->falls = true;
        sim_after(world, at, fall, cluster, slot);
        at += GAP_MS;
    }
    return at + SEEN_MS;
}

static void start_round(void *context, uint64_t number, struct hm_bytes bytes)
{
    (void)bytes;
    struct cluster *cluster = context;
    struct sim_world *world = &cluster->world;
    check_all(cluster, "when all is well");
    if (number == 0) {
        return;
    }
    bool together = sim_chance(world, 800);
    for (size_t slot = first_place(cluster); slot < places(cluster); slot++) {
        place(cluster, slot)->falls = false;
        place(cluster, slot)->comes_back = sim_chance(world, 500);
    }
    hm_ms seen = together ? fall_together(cluster) : fall_one_by_one(cluster);
    expect(cluster, together);
    sim_after(world, seen, all_is_seen, cluster, 0);
    sim_after(world, seen + BACK_MS + KNOWN_MS, some_are_back, cluster, 0);
    sim_after(world, seen + cluster->brake_ms + OVER_MS, round_is_over, cluster, number - 1);
}

/* ---- all the time ---- */

/* Nobody who lives is removed; not for what was said of it when it was dead, either. */
static void check_member(struct cluster *cluster, size_t slot, const struct hm_view *view)
{
    struct accident_host *host = place(cluster, slot);
    struct hm_id id = id_at(cluster, slot);
    bool member = hm_members_find(&view->members, &id) != NULL;
    if (host->member && !host->away && !member) {
        sim_fail(&cluster->world, "%s is removed, and lives", name_at(cluster, slot));
    }
    host->member = member && !host->away;
}

/* Nothing is held for longer than it was said at first, nor said for longer than the brake holds.
 */
static void watch(void *context, uint64_t number, struct hm_bytes bytes)
{
    (void)bytes;
    struct cluster *cluster = context;
    struct sim_world *world = &cluster->world;
    uint64_t wall = CLUSTER_WALL_START_MS + world->now;
    for (size_t i = 0; i < cluster->control_count; i++) {
        const struct cluster_node *node = &cluster->nodes[i];
        if (!node->runs || !hm_node_is_leader(node->node)) {
            continue;
        }
        for (size_t slot = first_place(cluster); slot < places(cluster); slot++) {
            struct hm_id id = id_at(cluster, slot);
            uint64_t *known = &place(cluster, slot)->until_ms;
            struct hm_braked braked = {0};
            bool held = hm_view_braked(hm_node_view(node->node), &id, &braked);
            if (held && *known && braked.until_ms != *known) {
                sim_fail(world, "%s is held longer than was said", name_at(cluster, slot));
            } else if (held && (braked.until_ms > wall + cluster->brake_ms ||
                                braked.until_ms + OVER_MS < wall)) {
                sim_fail(world, "%s is held for too long", name_at(cluster, slot));
            }
            *known = held ? braked.until_ms : 0;
            check_member(cluster, slot, hm_node_view(node->node));
        }
    }
    sim_after(world, WATCH_MS, watch, cluster, number);
}

void accidents_check_view(struct cluster_node *node, const struct hm_view *view)
{
    struct hm_name scope = hm_name_of(HM_SCOPE_HOSTS);
    struct hm_id id = {{0}};
    struct hm_braked braked;
    size_t expected = view->members.count; /* at most one each, and: */
    size_t count = 0;
    struct hm_name name = {0};
    for (struct hm_lite lite; hm_view_next_lite(view, &name, &lite);) {
        expected++;
    }
    while (hm_view_next_braked(view, &id, &braked)) {
        struct hm_arena arena = {0};
        struct hm_host_state state;
        struct hm_lite lite;
        expected += !hm_view_lite(view, &braked.name, &lite);
        if (hm_members_find(&view->members, &id) || !hm_view_host(view, &id, &arena, &state)) {
            sim_fail(&node->cluster->world, "%s: %s is braked and a member, or not there",
                     node->config.name.text, braked.name.text);
        }
        hm_arena_fini(&arena);
    }
    for (size_t i = hm_records_after(&view->records, &scope, (struct hm_bytes){0});
         i < view->records.count && hm_name_equal(&view->records.items[i]->scope, &scope); i++) {
        count++;
    }
    if (count > expected) {
        sim_fail(&node->cluster->world, "%s: configs of hosts that are gone",
                 node->config.name.text);
    }
}

void accidents_start(struct cluster *cluster)
{
    struct sim_world *world = &cluster->world;
    for (size_t slot = first_place(cluster); slot < places(cluster); slot++) {
        unsigned services = (unsigned)sim_between(world, 1, (1u << ACCIDENT_SERVICES) - 1);
        struct cluster_lite *lite = lite_at(cluster, slot);
        *(lite ? &lite->services : &cluster->nodes[slot].services) = services;
    }
    sim_after(world, FIRST_MS, start_round, cluster, cluster->accident.rounds);
    sim_after(world, FIRST_MS, watch, cluster, 0);
}

void accidents_check_end(struct cluster *cluster)
{
    if (cluster->accident.over != cluster->accident.rounds) {
        sim_fail(&cluster->world, "%zu of %zu accidents are over", cluster->accident.over,
                 cluster->accident.rounds);
    }
}
