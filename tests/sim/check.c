/* The invariants of a replicated log, looked at after every step. */
#include "core/base/hash.h"
#include "core/base/memory.h"
#include "tests/sim/group.h"

#include <string.h>

#define TERMS_MAX 100000u

static struct group_fact *fact_of(struct group_checker *checker, uint64_t index)
{
    checker->facts = sim_reach(checker->facts, &checker->fact_count, index, sizeof *checker->facts);
    return &checker->facts[index];
}

void check_applied(struct group_node *node, uint64_t index, struct hm_bytes entry)
{
    struct group_checker *checker = &node->group->checker;
    uint64_t hash = hm_hash(index, entry);
    struct group_fact *fact = fact_of(checker, index);
    if (!fact->known) {
        *fact = (struct group_fact){true, hash, node->machine.hash};
    } else if (fact->entry != hash) {
        sim_fail(&node->group->world, "node %zu applied another entry at index %llu", node->slot,
                 (unsigned long long)index);
    } else if (fact->state != node->machine.hash) {
        sim_fail(&node->group->world, "node %zu has another state at index %llu", node->slot,
                 (unsigned long long)index);
    }
    checker->highest = index > checker->highest ? index : checker->highest;
}

static uint64_t *kept_of(struct group_checker *checker, uint64_t index)
{
    checker->kept = sim_reach(checker->kept, &checker->kept_count, index, sizeof *checker->kept);
    return &checker->kept[index];
}

void check_entries(struct group_node *node, const struct hm_replica *replica)
{
    for (uint64_t index = hm_replica_oldest(replica); index <= replica->index; index++) {
        struct hm_log_item item;
        if (!hm_kept_find(&replica->kept, index, &item)) {
            sim_fail(&node->group->world, "node %zu: entry %llu is not there, though it is kept",
                     node->slot, (unsigned long long)index);
            return;
        }
        uint64_t words[2] = {item.seq, item.time_ms};
        uint64_t hash = hm_hash(hm_hash_id(index, &item.session),
                                (struct hm_bytes){(uint8_t *)words, sizeof words});
        uint64_t *known = kept_of(&node->group->checker, index);
        hash = hm_hash(hash, item.data) | 1;
        if (*known && *known != hash) {
            sim_fail(&node->group->world, "node %zu keeps another entry %llu", node->slot,
                     (unsigned long long)index);
        }
        *known = hash;
    }
}

void check_kept(struct group_node *node)
{
    if (hm_raft_snapshot_index(node->raft) > node->machine.applied) {
        return; /* a snapshot takes the place of all of it */
    }
    check_entries(node, hm_participant_replica(node->log));
}

void check_told(struct group_node *node, const struct group_client *client, uint64_t index)
{
    struct hm_log_item item;
    struct hm_id session = group_session(client->number, client->opened_ms);
    if (hm_raft_snapshot_index(node->raft) <= node->machine.applied &&
        hm_kept_find(&hm_participant_replica(node->log)->kept, index, &item) &&
        (item.seq != client->seq || !hm_id_equal(&item.session, &session))) {
        sim_fail(&node->group->world,
                 "client %zu is told that its %llu is entry %llu, which is not", client->number,
                 (unsigned long long)client->seq, (unsigned long long)index);
    }
}

static void check_keeps_enough(struct group_node *node)
{
    const struct hm_replica *replica = hm_participant_replica(node->log);
    uint32_t keep = node->group->options.keep_entries;
    uint64_t expected = replica->index > keep ? replica->index - keep + 1 : 1;
    if (hm_replica_oldest(replica) != expected) {
        sim_fail(&node->group->world, "node %zu keeps its entries from %llu instead of %llu",
                 node->slot, (unsigned long long)hm_replica_oldest(replica),
                 (unsigned long long)expected);
    }
    check_kept(node);
}

void check_installed(struct group_node *node, uint64_t index)
{
    struct group_fact *fact = fact_of(&node->group->checker, index);
    if (!fact->known || fact->state != node->machine.hash) {
        sim_fail(&node->group->world, "node %zu installed a snapshot at %llu of a state that %s",
                 node->slot, (unsigned long long)index, fact->known ? "differs" : "never was");
    }
}

void check_role(struct group_node *node)
{
    struct group_checker *checker = &node->group->checker;
    if (hm_raft_role(node->raft) != HM_RAFT_LEADER) {
        return;
    }
    uint64_t term = hm_raft_term(node->raft);
    if (term >= TERMS_MAX) {
        sim_fail(&node->group->world, "term %llu: elections without end", (unsigned long long)term);
        return;
    }
    if (term >= checker->leader_count) {
        size_t count = (size_t)term + 64;
        checker->leaders = hm_resize(checker->leaders, count, sizeof *checker->leaders);
        memset(checker->leaders + checker->leader_count, 0,
               (count - checker->leader_count) * sizeof *checker->leaders);
        checker->leader_count = count;
    }
    struct hm_id id = group_peer(node).id;
    struct hm_id *leader = &checker->leaders[term];
    if (hm_id_is_none(leader)) {
        *leader = id;
        node->group->elections++;
        sim_trace(&node->group->world, "node %zu leads in term %llu", node->slot,
                  (unsigned long long)term);
    } else if (!hm_id_equal(leader, &id)) {
        sim_fail(&node->group->world, "two leaders in term %llu: node %u and node %zu",
                 (unsigned long long)term, leader->bytes[1], node->slot);
    }
}

void check_voters(struct group *group, uint64_t index, const struct hm_log_voters *voters)
{
    struct group_checker *checker = &group->checker;
    if (index <= checker->members_index) {
        return;
    }
    checker->members_index = index;
    checker->member_count = 0;
    for (uint32_t i = 0; i < voters->voters_count && i <= GROUP_NODES_MAX; i++) {
        checker->voting[checker->member_count] = voters->voters[i].voting;
        checker->members[checker->member_count++] = voters->voters[i].id;
    }
    sim_trace(&group->world, "voters committed at %llu: %zu nodes", (unsigned long long)index,
              checker->member_count);
}

bool check_is_member(const struct group *group, const struct hm_id *id)
{
    for (size_t i = 0; i < group->checker.member_count; i++) {
        if (hm_id_equal(&group->checker.members[i], id)) {
            return true;
        }
    }
    return false;
}

void group_check_end(struct group *group)
{
    struct group_checker *checker = &group->checker;
    struct group_node *leader = group_leader(group);
    if (group->world.failed) {
        return;
    }
    if (!leader) {
        sim_fail(&group->world, "no leader after everything was healed");
        return;
    }
    if (!checker->acked_after_heal) {
        sim_fail(&group->world, "nothing was committed after everything was healed");
    }
    for (size_t i = 0; i < checker->member_count; i++) {
        struct group_node *node = group_find(group, &checker->members[i]);
        if (!node || !node->runs) {
            sim_fail(&group->world, "a member does not run");
        } else if (node->machine.applied != checker->highest) {
            sim_fail(&group->world, "node %zu applied up to %llu of %llu", node->slot,
                     (unsigned long long)node->machine.applied,
                     (unsigned long long)checker->highest);
        } else {
            check_keeps_enough(node);
        }
    }
    if (leader->machine.length < checker->acked_length) {
        sim_fail(&group->world, "of %llu acknowledged values %llu are left",
                 (unsigned long long)checker->acked_length,
                 (unsigned long long)leader->machine.length);
    }
    for (size_t i = 0; i < group->client_count; i++) {
        if (leader->machine.last_seq[i] < group->clients[i].acked_seq) {
            sim_fail(&group->world, "client %zu: value %llu was acknowledged and is lost", i,
                     (unsigned long long)group->clients[i].acked_seq);
        }
    }
}
