/* The invariants of a whole cluster. */
#include "core/base/assert.h"
#include "core/base/hash.h"
#include "core/base/memory.h"
#include "core/node/member/slices.h"
#include "tests/sim/cluster.h"

#include <string.h>

#define TERMS_MAX 100000u

static void check_leader(struct cluster_node *node)
{
    struct cluster *cluster = node->cluster;
    if (!hm_node_is_leader(node->node) || hm_node_generation(node->node) != cluster->generation) {
        return;
    }
    uint64_t term = hm_node_term(node->node);
    if (term >= TERMS_MAX) {
        sim_fail(&cluster->world, "term %llu: elections without end", (unsigned long long)term);
        return;
    }
    cluster->leaders =
        sim_reach(cluster->leaders, &cluster->leader_count, term, sizeof *cluster->leaders);
    struct hm_id *leader = &cluster->leaders[term];
    if (hm_id_is_none(leader)) {
        *leader = node->id;
        cluster->elections++;
        sim_trace(&cluster->world, "%s: leads in term %llu", node->config.name.text,
                  (unsigned long long)term);
    } else if (!hm_id_equal(leader, &node->id)) {
        sim_fail(&cluster->world, "two leaders in term %llu", (unsigned long long)term);
    }
}

static bool was_joined(const struct cluster *cluster, const struct hm_id *id)
{
    for (size_t i = 0; i < cluster->joined_count; i++) {
        if (hm_id_equal(&cluster->joined[i], id)) {
            return true;
        }
    }
    return false;
}

/* ---- slices ---- */

/* The members at a position of feed `members`, as a control node first said. */
static struct cluster_list *list_at(struct cluster *cluster, uint64_t position)
{
    cluster->lists =
        sim_reach(cluster->lists, &cluster->list_count, position, sizeof *cluster->lists);
    return &cluster->lists[position];
}

static void note_list(struct cluster *cluster, const struct hm_view *view)
{
    struct cluster_list *list = list_at(cluster, view->members_position);
    for (size_t i = 0; list->count == 0 && i < view->members.count; i++) {
        HM_ASSERT(i < CLUSTER_MEMBERS_MAX);
        list->ids[i] = view->members.items[i]->id;
    }
    list->count = view->members.count;
}

static uint64_t distance(uint32_t ring, bool forward, const struct hm_id *from,
                         const struct hm_id *to)
{
    uint64_t a = hm_ring_place(ring, hm_ring_hash(from));
    uint64_t b = hm_ring_place(ring, hm_ring_hash(to));
    return forward ? b - a : a - b;
}

/* The nearest of a list beyond `limit`, by looking at all. NULL: there is none. */
static const struct hm_id *nearest_beyond(const struct cluster_list *list, uint32_t ring,
                                          bool forward, const struct hm_id *self, uint64_t limit)
{
    const struct hm_id *best = NULL;
    for (size_t i = 0; i < list->count; i++) {
        uint64_t there = distance(ring, forward, self, &list->ids[i]);
        if (there > limit && (!best || there < distance(ring, forward, self, best))) {
            best = &list->ids[i];
        }
    }
    return best;
}

/* What a node knows of each side is where the list of all begins there, at its position. */
static void check_slice(struct cluster_node *node, const struct hm_view *view)
{
    const struct hm_slice *slice = hm_node_slice(node->node);
    struct cluster_list *list = list_at(node->cluster, slice->position);
    if (!slice->started || list->count == 0) {
        return; /* no control node has stopped there */
    }
    for (uint32_t side = 0; side < 2 * slice->config.rings; side++) {
        struct hm_peer known[HM_RINGS_DEPTH];
        size_t count = hm_slice_beside(slice, side / 2, side % 2 == 0, known);
        uint64_t limit = 0;
        for (size_t i = 0; i < count; i++) {
            const struct hm_id *expected =
                nearest_beyond(list, side / 2, side % 2 == 0, &node->id, limit);
            if (!expected || !hm_id_equal(expected, &known[i].id)) {
                sim_fail(&node->cluster->world,
                         "%s: its slice is not that of position %llu (ring %u, %s, number %zu)",
                         node->config.name.text, (unsigned long long)slice->position, side / 2,
                         side % 2 ? "backward" : "forward", i);
                return;
            }
            limit = distance(side / 2, side % 2 == 0, &node->id, expected);
            if (!hm_members_find(&view->members, &known[i].id)) {
                sim_fail(&node->cluster->world, "%s: has no record of a neighbour",
                         node->config.name.text);
            }
        }
    }
}

/* Each node holds a stream to those who come next on the first rings, and to nobody else. */
static void check_held(struct cluster_node *node)
{
    struct cluster *cluster = node->cluster;
    const struct hm_slice *slice = hm_node_slice(node->node);
    bool wanted[CLUSTER_NODES_MAX] = {false};
    if (!slice->started) {
        return;
    }
    for (uint32_t ring = 0; ring < HM_NODE_HELD && ring < slice->config.rings; ring++) {
        struct hm_peer next[HM_RINGS_DEPTH];
        if (hm_slice_beside(slice, ring, true, next) > 0) {
            wanted[next[0].addr.ip[3] - 1] = true;
        }
    }
    for (size_t i = 0; i < cluster->count; i++) {
        if (wanted[i] != cluster->net.streams[node->slot][i].held) {
            sim_fail(&cluster->world, "%s: %s a stream to %s", node->config.name.text,
                     wanted[i] ? "does not hold" : "holds", cluster->nodes[i].config.name.text);
        }
    }
}

/* Control nodes have the state machine: at one index all have the same. What they know as members
 * was committed. */
static void check_control(struct cluster_node *node, const struct hm_view *view)
{
    struct cluster *cluster = node->cluster;
    uint64_t hash = hm_hash(view->members_position, (struct hm_bytes){0});
    for (size_t i = 0; i < view->members.count; i++) {
        const struct hm_member *member = view->members.items[i];
        hash = hm_hash_id(hash ^ member->joined, &member->id);
        size_t known = sizeof cluster->joined / sizeof *cluster->joined;
        if (!was_joined(cluster, &member->id) && cluster->joined_count < known) {
            cluster->joined[cluster->joined_count++] = member->id;
        }
    }
    hash = hash ? hash : 1;
    cluster->highest = view->index > cluster->highest ? view->index : cluster->highest;
    if (hm_node_generation(node->node) != cluster->generation) {
        return; /* left behind, and others may still follow it */
    }
    note_list(cluster, view);
    accidents_check_view(node, view);
    cluster->facts =
        sim_reach(cluster->facts, &cluster->fact_count, view->index, sizeof *cluster->facts);
    struct cluster_fact *fact = &cluster->facts[view->index];
    if (fact->hash == 0) {
        fact->hash = hash;
    } else if (fact->hash != hash) {
        sim_fail(&cluster->world, "%s: other members at index %llu than were committed there",
                 node->config.name.text, (unsigned long long)view->index);
    }
}

static void check_known(struct cluster_node *node, const struct hm_view *view)
{
    for (size_t i = 0; i < view->members.count; i++) {
        if (!was_joined(node->cluster, &view->members.items[i]->id)) {
            sim_fail(&node->cluster->world, "%s: %s is a member without a commit",
                     node->config.name.text, view->members.items[i]->name.text);
        }
    }
    if (view->index > node->cluster->highest) {
        sim_fail(&node->cluster->world, "%s: knows index %llu, which nobody committed",
                 node->config.name.text, (unsigned long long)view->index);
    }
}

static bool is_older(const struct hm_version *a, const struct hm_version *b)
{
    return a->boot != b->boot ? a->boot < b->boot : a->seq < b->seq;
}

static bool is_another(const struct cluster_served *served, const struct hm_catalog_host *host,
                       const struct hm_member *member)
{
    return (member && member->joined != served->joined) || (host->braked && !served->braked);
}

/* One that comes back when nobody knows it any more may begin anew. */
static void forget_gone_lites(struct cluster_node *node, const struct hm_catalog *catalog)
{
    for (size_t i = node->served_count; i-- > 0;) {
        if (node->served[i].lite && !hm_catalog_host(catalog, &node->served[i].host)) {
            node->served[i] = node->served[--node->served_count];
        }
    }
}

static void check_served(struct cluster_node *node, const struct hm_view *view,
                         const struct hm_catalog *catalog)
{
    size_t cursor = 0;
    const struct hm_catalog_host *host;
    while ((host = hm_catalog_next_host(catalog, &cursor))) {
        const struct hm_member *member = hm_members_find(&view->members, &host->id);
        size_t at = 0;
        while (at < node->served_count && !hm_id_equal(&node->served[at].host, &host->id)) {
            at++;
        }
        if (at == sizeof node->served / sizeof *node->served) {
            continue;
        }
        struct cluster_served *served = &node->served[at];
        if (at == node->served_count || is_another(served, host, member)) {
            node->served_count += at == node->served_count;
            *served =
                (struct cluster_served){.host = host->id, .joined = member ? member->joined : 0};
        } else if (is_older(&host->version, &served->version) &&
                   !lites_clock_is_wrong(node->cluster, &host->id)) {
            sim_fail(&node->cluster->world, "%s: %s went back from version %llu.%llu to %llu.%llu",
                     node->config.name.text, host->name.text,
                     (unsigned long long)served->version.boot,
                     (unsigned long long)served->version.seq,
                     (unsigned long long)host->version.boot, (unsigned long long)host->version.seq);
        }
        served->version = host->version;
        served->braked = host->braked;
        served->lite = !hm_id_is_none(&host->keeper);
    }
    forget_gone_lites(node, catalog);
}

void cluster_check(struct cluster_node *node)
{
    const struct hm_view *view = hm_node_view(node->node);
    const struct hm_catalog *catalog = hm_node_catalog(node->node);
    check_leader(node);
    if (view->cluster && view->index != node->seen_index) {
        if (strcmp(node->role, "control") == 0) {
            check_control(node, view);
        } else {
            check_known(node, view);
        }
        node->seen_index = view->index;
    }
    if (view->cluster && hm_node_generation(node->node) == node->cluster->generation) {
        check_slice(node, view);
    }
    check_held(node);
    operator_check(node);
    if (hm_node_is_ready(node->node) && !was_joined(node->cluster, &node->id)) {
        sim_fail(&node->cluster->world, "%s: serves without a commit that lets it in",
                 node->config.name.text);
    }
    if (catalog && strcmp(node->role, "dns") == 0) {
        check_served(node, view, catalog);
    }
}

static void check_consumer_end(struct cluster_node *node)
{
    struct cluster *cluster = node->cluster;
    const struct hm_catalog *catalog = hm_node_catalog(node->node);
    size_t served = 0;
    size_t expected = lites_running(cluster);
    size_t cursor = 0;
    while (hm_catalog_next_host(catalog, &cursor)) {
        served++;
    }
    for (size_t i = 0; i < cluster->count; i++) {
        struct cluster_node *host = &cluster->nodes[i];
        if (!host->runs || strcmp(host->role, "host") != 0) {
            continue;
        }
        expected++;
        const struct hm_catalog_host *found = hm_catalog_host(catalog, &host->id);
        if (!found) {
            sim_fail(&cluster->world, "%s does not serve %s", node->config.name.text,
                     host->config.name.text);
        } else if (is_older(&found->version, &host->published)) {
            sim_fail(
                &cluster->world, "%s serves %s at %llu.%llu of %llu.%llu", node->config.name.text,
                host->config.name.text, (unsigned long long)found->version.boot,
                (unsigned long long)found->version.seq, (unsigned long long)host->published.boot,
                (unsigned long long)host->published.seq);
        }
    }
    if (served > expected) {
        sim_fail(&cluster->world, "%s serves %zu hosts of %zu", node->config.name.text, served,
                 expected);
    }
}

/* A stream that is held stands by now, though nobody has used it. */
static void check_held_end(const struct cluster_node *node)
{
    struct cluster *cluster = node->cluster;
    for (size_t i = 0; i < cluster->count; i++) {
        const struct sim_stream *stream = &cluster->net.streams[node->slot][i];
        if (stream->held && cluster->nodes[i].runs && stream->state != SIM_OPEN) {
            sim_fail(&cluster->world, "%s: its stream to %s does not stand", node->config.name.text,
                     cluster->nodes[i].config.name.text);
        }
    }
}

void cluster_check_end(struct cluster *cluster)
{
    size_t running = 0;
    for (size_t i = 0; i < cluster->count; i++) {
        running += cluster->nodes[i].runs;
    }
    for (size_t i = 0; i < cluster->count && !cluster->world.failed; i++) {
        struct cluster_node *node = &cluster->nodes[i];
        if (!node->runs) {
            if (!node->gone) {
                sim_fail(&cluster->world, "%s does not run", node->config.name.text);
            }
            continue;
        }
        const struct hm_view *view = hm_node_view(node->node);
        check_held_end(node);
        if (!hm_node_is_ready(node->node)) {
            sim_fail(&cluster->world, "%s is not ready", node->config.name.text);
        } else if (view->total != running) {
            sim_fail(&cluster->world, "%s knows of %llu members, %zu nodes run",
                     node->config.name.text, (unsigned long long)view->total, running);
        } else if (!hm_slice_is_whole(hm_node_slice(node->node))) {
            sim_fail(&cluster->world, "%s does not know its slice", node->config.name.text);
        } else if (cluster->upgrades && i < cluster->control_count &&
                   hm_node_feature(node->node) != HM_FEATURE_LEVEL + 1) {
            sim_fail(&cluster->world, "%s: feature level %u after all were upgraded",
                     node->config.name.text, hm_node_feature(node->node));
        } else if (strcmp(node->role, "dns") == 0) {
            check_consumer_end(node);
        }
    }
    operator_check_end(cluster);
    lites_check_end(cluster);
    accidents_check_end(cluster);
    if (!cluster->calm) {
        writers_check_end(cluster);
    }
    if (cluster->names_count) {
        registrars_check_end(cluster);
    }
}
