/* Named scenarios of a replicated log, step by step: what the engines do at each is their own. */
#include "tests/sim/scenario.h"
#include "tests/sim/group.h"
#include "tests/sim/run.h"

#include <stdio.h>
#include <string.h>

#define BY_HAND 3u /* the client in whose name the scenario appends */
#define SLOW_MS 5000u

/* What a scenario needs in order to show anything. */
static void need(struct group *group, bool there, const char *what)
{
    if (!there) {
        sim_fail(&group->world, "the scene is not set: %s", what);
    }
}

static void run_for(struct group *group, hm_ms time)
{
    group_run(group, group->world.now + time);
}

/* Only the nodes of the set (a bit each) hear each other. */
static void connect_only(struct group *group, unsigned set)
{
    for (size_t a = 0; a < group->options.nodes; a++) {
        for (size_t b = 0; b < group->options.nodes; b++) {
            group->net.cut[a][b] = !(set >> a & 1) || !(set >> b & 1);
        }
    }
}

static unsigned bit(const struct group_node *node)
{
    return 1u << node->slot;
}

/* The node that leads next in a term above that one. The run stands where it has just begun to. */
static struct group_node *next_leader(struct group *group, uint64_t above)
{
    hm_ms end = group->world.now + 10000;
    while (group->world.now < end && sim_step(&group->world)) {
        struct group_node *leader = group_leader(group);
        if (leader && hm_raft_term(leader->raft) > above) {
            return leader;
        }
    }
    need(group, false, "nobody leads");
    return NULL;
}

static void append(struct group_node *node, uint64_t seq)
{
    struct group *group = node->group;
    struct hm_submission request = {.session = group_session(BY_HAND, GROUP_WALL_START_MS),
                                    .seq = seq};
    enum hm_status status = hm_participant_propose(node->log, group_now(node), &request);
    need(group, status == HM_OK, "the leader refuses to append");
    group_pump(node);
}

/* A calm group of voters; the leader, or NULL. */
static struct group_node *begin(struct group *group, uint64_t seed, bool loud, size_t nodes)
{
    group_init(group, seed, loud);
    group->options = (struct group_options){.nodes = nodes,
                                            .datagrams = true,
                                            .segment_bytes = 4096,
                                            .pause_max = 60,
                                            .until = HM_NEVER - 100000};
    group->client_count = 0;
    group_start(group);
    group_run(group, 30000);
    size_t voting = 0;
    for (size_t i = 0; i < group->checker.member_count; i++) {
        voting += group->checker.voting[i];
    }
    struct group_node *leader = group_leader(group);
    need(group, voting == nodes && leader, "all vote, one leads");
    return group->world.failed ? NULL : leader;
}

/* Everything is whole again, clients go on, all agree in the end. */
static bool finish(struct group *group, char why[256])
{
    if (!group->world.failed) {
        sim_net_heal(&group->net);
        for (size_t i = 0; i < group->options.nodes; i++) {
            group->nodes[i].disk.latency_min = 0;
            group->nodes[i].disk.latency_max = 4;
            group_boot(group, i);
        }
        group->options.until = group->world.now;
        if (group->client_count == 0) {
            group->client_count = 1;
            group->clients[0] = (struct group_client){.group = group};
            client_start(&group->clients[0]);
        }
        run_for(group, 14000);
        group_check_end(group);
    }
    bool good = !group->world.failed;
    snprintf(why, 256, "%s", group->world.why);
    group_fini(group);
    return good;
}

/* Raft paper, figure 8: an entry of an older term on a majority of the disks is not committed. */
static void figure_8(struct group *group, struct group_node *a)
{
    /* a: the leader brings an entry to one other. */
    struct group_node *b = &group->nodes[a->slot == 0];
    uint64_t before = hm_raft_last_index(a->raft);
    connect_only(group, bit(a) | bit(b));
    append(a, 1);
    run_for(group, 60);
    need(group, hm_raft_last_index(b->raft) == before + 1, "b has the entry");

    /* b: another, elected by the rest, has an entry in its place, and falls silent with it. */
    group_crash(group, a->slot, false);
    connect_only(group, ~(bit(a) | bit(b)));
    struct group_node *e = next_leader(group, hm_raft_term(b->raft));
    if (!e) {
        return;
    }
    for (size_t i = 0; i < group->options.nodes; i++) {
        if (i != e->slot && i != b->slot) {
            group_crash(group, i, false);
        }
    }
    run_for(group, 60);
    uint64_t term = hm_raft_term(e->raft);
    need(group, hm_raft_last_index(e->raft) == before + 1, "e has another entry");
    group_crash(group, e->slot, false);

    /* c: of those with the first entry one leads again and brings it to a third disk; its own entry
     * is on two, as the second disk is slow now. */
    size_t third = 0;
    while (third == a->slot || third == b->slot || third == e->slot) {
        third++;
    }
    struct group_node *c = &group->nodes[third];
    connect_only(group, bit(a) | bit(b) | bit(c));
    group_boot(group, a->slot);
    group_boot(group, third);
    struct group_node *leader = next_leader(group, hm_raft_term(b->raft));
    if (!leader) {
        return;
    }
    b = leader == b ? a : b;
    a = leader;
    b->disk.latency_min = b->disk.latency_max = SLOW_MS;
    need(group, hm_raft_term(a->raft) > term, "a leads in a newer term than e did");
    run_for(group, 400);
    need(group, hm_raft_last_index(c->raft) == before + 2, "c has both entries");

    /* d: they fall, the slow disk without the newer entry; e wins and replaces the first. */
    sim_disk_lose(&b->disk);
    group_crash(group, a->slot, true);
    group_crash(group, b->slot, true);
    group_crash(group, third, true);
    b->disk.latency_min = b->disk.latency_max = 0;
    connect_only(group, ~(bit(a) | bit(c)));
    for (size_t i = 0; i < group->options.nodes; i++) {
        if (i != a->slot && i != third) {
            group_boot(group, i);
        }
    }
    struct group_node *last = next_leader(group, term);
    need(group, last == e, "e leads again");
    run_for(group, 500);
    need(group, e->machine.applied > before && e->machine.last_seq[BY_HAND] == 0,
         "e's entry took the place");
}

/* An entry counts where it is on the disk: neither a leader nor a follower counts before. */
static void unpersisted(struct group *group, struct group_node *a)
{
    for (uint64_t round = 1; round <= 2 && a; round++) {
        struct group_node *b = &group->nodes[(a->slot + 1) % 3];
        struct group_node *c = &group->nodes[(a->slot + 2) % 3];
        struct group_node *slow = round == 1 ? a : b;
        uint64_t last = hm_raft_last_index(a->raft);
        connect_only(group, bit(a) | bit(b));
        slow->disk.latency_min = slow->disk.latency_max = SLOW_MS;
        append(a, round);
        run_for(group, 60);
        need(group, hm_raft_last_index(b->raft) > last, "b has the entry");
        if (a->machine.last_seq[BY_HAND] == round) {
            sim_fail(&group->world, "an entry on one disk of three was committed");
        }
        /* Whoever had it on the disk is away; the others elect, and may not know of it. */
        group_crash(group, slow->slot, true);
        slow->disk.latency_min = slow->disk.latency_max = 0;
        group_boot(group, slow->slot);
        group_crash(group, slow == a ? b->slot : a->slot, false);
        connect_only(group, bit(slow) | bit(c));
        a = next_leader(group, hm_raft_term(slow->raft));
        run_for(group, 500);
        for (size_t i = 0; i < group->options.nodes; i++) {
            group_boot(group, i);
        }
        sim_net_heal(&group->net);
        run_for(group, 2000);
        a = a ? group_leader(group) : NULL;
    }
}

/* A leader whose disk fills gives way; with space again it catches up. */
static void full_disk(struct group *group, struct group_node *a)
{
    group->client_count = 2;
    for (size_t i = 0; i < group->client_count; i++) {
        group->clients[i] = (struct group_client){.group = group, .number = i};
        client_start(&group->clients[i]);
    }
    run_for(group, 1000);
    a = group_leader(group);
    need(group, group->acked > 0 && a, "clients are served");
    if (!a) {
        return;
    }
    a->disk.full = true;
    run_for(group, 5000);
    uint64_t acked = group->acked;
    run_for(group, 3000);
    struct group_node *leader = group_leader(group);
    need(group, hm_logs_disk_failed(a->logs), "the disk is full");
    if (!leader || leader == a) {
        sim_fail(&group->world, "a full disk keeps the lead");
    } else if (group->acked == acked) {
        sim_fail(&group->world, "nobody is served beside a full disk");
    }
    a->disk.full = false;
}

static bool run_figure_8(uint64_t seed, bool loud, struct sim_totals *totals, char why[256])
{
    static struct group group;
    (void)totals;
    struct group_node *leader = begin(&group, seed, loud, 5);
    if (leader) {
        figure_8(&group, leader);
    }
    return finish(&group, why);
}

static bool run_unpersisted(uint64_t seed, bool loud, struct sim_totals *totals, char why[256])
{
    static struct group group;
    (void)totals;
    struct group_node *leader = begin(&group, seed, loud, 3);
    if (leader) {
        unpersisted(&group, leader);
    }
    return finish(&group, why);
}

static bool run_full_disk(uint64_t seed, bool loud, struct sim_totals *totals, char why[256])
{
    static struct group group;
    (void)totals;
    struct group_node *leader = begin(&group, seed, loud, 3);
    if (leader) {
        full_disk(&group, leader);
    }
    return finish(&group, why);
}

const struct sim_kind sim_scenarios[] = {
    {"figure_8", run_figure_8},
    {"unpersisted", run_unpersisted},
    {"full_disk", run_full_disk},
    {"wiped_founder", scenario_wiped_founder},
    {"two_releases", scenario_two_releases},
    {"recovery", scenario_recovery},
    {"restore", scenario_restore},
};
const size_t sim_scenario_count = sizeof sim_scenarios / sizeof *sim_scenarios;

int sim_scenario(const char *name)
{
    for (size_t i = 0; i < sim_scenario_count; i++) {
        char why[256];
        if (!name) {
            printf("%s\n", sim_scenarios[i].name);
        } else if (strcmp(sim_scenarios[i].name, name) == 0) {
            bool good = sim_scenarios[i].run(1, true, NULL, why);
            printf("%s: %s\n", name, good ? "as it should be" : why);
            return !good;
        }
    }
    if (name) {
        fprintf(stderr, "sim: no scenario \"%s\"\n", name);
    }
    return name ? 2 : 0;
}
