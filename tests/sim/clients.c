/* Clients that append and read, each one operation at a time, retried until it is answered; and the
 * administrator. */
#include "core/base/memory.h"
#include "tests/sim/group.h"

#include <string.h>

#define LAST_WISH_MS 8000 /* after the healing; then nothing is asked for, so that all agree */

static void client_try(struct group_client *client);

static void client_next(void *context, uint64_t number, struct hm_bytes bytes)
{
    (void)number;
    (void)bytes;
    struct group_client *client = context;
    client->op++;
    client->busy = true;
    client->reads = sim_chance(&client->group->world, 300);
    client->floor = client->group->checker.acked_length;
    if (!client->reads) {
        client->seq++;
    }
    client_try(client);
}

/* The answer has come back: `bytes` is how long the list was. */
static void client_told(void *context, uint64_t op, struct hm_bytes bytes)
{
    struct group_client *client = context;
    struct group *group = client->group;
    struct group_checker *checker = &group->checker;
    struct hm_reader in = hm_reader_of(bytes);
    uint64_t length = hm_get_u64(&in);
    if (!client->busy || op != client->op) {
        return;
    }
    client->busy = false;
    if (client->reads && length < client->floor) {
        sim_fail(&group->world, "client %zu read a list of %llu when %llu were acknowledged",
                 client->number, (unsigned long long)length, (unsigned long long)client->floor);
    }
    if (!client->reads) {
        client->acked_seq = client->seq;
        checker->acked_after_heal += group->world.now > group->options.until + 1000;
    }
    group->acked++;
    checker->acked_length = length > checker->acked_length ? length : checker->acked_length;
    sim_trace(&group->world, "client %zu: %s done, length %llu", client->number,
              client->reads ? "read" : "append", (unsigned long long)length);
    if (group->world.now < group->options.until + LAST_WISH_MS) {
        sim_after(&group->world, sim_between(&group->world, 1, group->options.pause_max),
                  client_next, client, 0);
    }
}

static void answer(struct group_client *client, uint64_t op, uint64_t length)
{
    struct hm_buf bytes = {0};
    hm_put_u64(&bytes, length);
    sim_after_with(&client->group->world, sim_between(&client->group->world, 0, 10), client_told,
                   client, op, hm_buf_view(&bytes));
}

/* Client in the upper byte, counted from 1, operation below. */
static uint64_t token_of(const struct group_client *client)
{
    return (uint64_t)(client->number + 1) << 56 | client->op;
}

/* Its session has been forgotten: whether this append was made before, nobody can tell. */
static void give_up(void *context, uint64_t op, struct hm_bytes bytes)
{
    struct group_client *client = context;
    struct hm_reader in = hm_reader_of(bytes);
    uint64_t log_time = hm_get_u64(&in);
    if (client->busy && op == client->op) {
        client->opened_ms = log_time;
        client_next(client, 0, (struct hm_bytes){0});
    }
}

static void refuse(struct group_client *client, const struct group_node *node, uint64_t op)
{
    struct hm_buf bytes = {0};
    hm_put_u64(&bytes, hm_participant_replica(node->log)->time_ms);
    sim_after_with(&client->group->world, sim_between(&client->group->world, 0, 10), give_up,
                   client, op, hm_buf_view(&bytes));
}

void client_answered(struct group_node *node, uint64_t token, const struct hm_outcome *outcome)
{
    struct group_client *client = &node->group->clients[(token >> 56) - 1];
    uint64_t op = token & 0xffffffffffffffu;
    if (outcome->status == HM_SESSION_EXPIRED && op == client->op) {
        refuse(client, node, op);
        return;
    }
    if (outcome->status != HM_OK || op != client->op) {
        return; /* it asks again, or has been told by another */
    }
    if (client->reads) {
        check_kept(node); /* the list may be read from its oldest entry on */
    } else {
        check_told(node, client, outcome->index);
    }
    answer(client, op, client->reads ? node->machine.length : outcome->index);
}

static void propose(struct group_client *client, struct group_node *node)
{
    struct sim_world *world = &client->group->world;
    uint8_t filler[600] = {0};
    struct hm_bytes value = {filler, sim_chance(world, 50) ? sizeof filler : 8};
    struct hm_submission request = {.session = group_session(client->number, client->opened_ms),
                                    .seq = client->seq,
                                    .request = value,
                                    .token = token_of(client)};
    if (hm_participant_propose(node->log, group_now(node), &request) == HM_OK) {
        sim_trace(world, "node %zu: client %zu's %llu proposed in term %llu", node->slot,
                  client->number, (unsigned long long)client->seq,
                  (unsigned long long)hm_raft_term(node->raft));
    }
}

/* The request has come to the node that the client takes for the leader. */
static void client_at_node(void *context, uint64_t attempt, struct hm_bytes bytes)
{
    (void)bytes;
    struct group_client *client = context;
    struct group *group = client->group;
    struct group_node *node = &group->nodes[client->target];
    if (attempt != client->attempt || !client->busy || !node->runs ||
        node->paused_until > group->world.now) {
        return;
    }
    if (client->reads) {
        enum hm_status status = hm_participant_read(node->log, group_now(node), token_of(client));
        (void)status; /* not the leader: the client tries again */
    } else {
        propose(client, node);
    }
    group_pump(node);
}

static void client_timeout(void *context, uint64_t attempt, struct hm_bytes bytes)
{
    (void)bytes;
    struct group_client *client = context;
    if (client->busy && attempt == client->attempt) {
        client->target = sim_between(&client->group->world, 0, client->group->options.nodes - 1);
        client_try(client);
    }
}

static void client_try(struct group_client *client)
{
    struct group *group = client->group;
    client->attempt++;
    const struct group_node *node = &group->nodes[client->target];
    if (node->runs) {
        struct hm_id id = hm_raft_leader(node->raft);
        const struct group_node *leader = group_find(group, &id);
        /* Usually the hint is followed; others must cope with being asked. */
        if (leader && sim_chance(&group->world, 900)) {
            client->target = leader->slot;
        }
    }
    sim_after(&group->world, sim_between(&group->world, 0, 10), client_at_node, client,
              client->attempt);
    sim_after(&group->world, sim_between(&group->world, 100, 800), client_timeout, client,
              client->attempt);
}

void client_start(struct group_client *client)
{
    sim_after(&client->group->world, sim_between(&client->group->world, 1, 100), client_next,
              client, 0);
}

/* ---- the administrator ---- */

static const struct hm_voter *find_voter(struct group_node *leader, const struct group_node *node)
{
    size_t count;
    struct hm_id id = group_peer(node).id;
    const struct hm_voter *voters = hm_raft_voters(leader->raft, &count);
    for (size_t i = 0; i < count; i++) {
        if (hm_id_equal(&voters[i].id, &id)) {
            return &voters[i];
        }
    }
    return NULL;
}

static void change(struct group *group, struct group_node *leader, struct group_node *node)
{
    struct hm_peer peer = group_peer(node);
    const struct hm_voter *voter = find_voter(leader, node);
    hm_ms now = group_now(leader);
    enum hm_status status;
    const char *what;
    /* Grows whenever it can; without churn it only grows. */
    if (!voter && hm_raft_last_index(node->raft)) {
        return; /* removed before: it comes back under a new id */
    }
    if (!voter) {
        what = "add";
        status = hm_raft_add_learner(leader->raft, now, &peer);
    } else if (!voter->voting) {
        what = "promote";
        status = hm_raft_promote(leader->raft, now, &peer);
    } else if (group->options.churn && group->world.now < group->options.until &&
               sim_chance(&group->world, 300)) {
        what = "remove";
        status = hm_raft_remove(leader->raft, now, &peer);
    } else if (group->options.churn && group->world.now < group->options.until &&
               sim_chance(&group->world, 300)) {
        what = "transfer to";
        status = hm_raft_transfer(leader->raft, now, &peer.id);
    } else {
        return;
    }
    sim_trace(&group->world, "node %zu: %s node %zu: %s", leader->slot, what, node->slot,
              hm_status_text(status));
}

static void administer(void *context, uint64_t number, struct hm_bytes bytes)
{
    (void)number;
    (void)bytes;
    struct group *group = context;
    struct group_node *leader = group_leader(group);
    size_t slot = sim_between(&group->world, 0, group->options.nodes - 1);
    if (leader && leader->paused_until <= group->world.now && group->nodes[slot].runs) {
        change(group, leader, &group->nodes[slot]);
        group_pump(leader);
    }
    bool grown = group->checker.member_count >= group->options.nodes;
    if (group->world.now < group->options.until + LAST_WISH_MS) {
        sim_after(&group->world, sim_between(&group->world, 20, grown ? 1500 : 100), administer,
                  group, 0);
    }
}

void admin_start(struct group *group)
{
    sim_after(&group->world, 500, administer, group, 0);
}
