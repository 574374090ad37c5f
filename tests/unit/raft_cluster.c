#include "tests/unit/raft_cluster.h"

#include "core/base/hash.h"
#include "core/base/memory.h"

#include <stdio.h>
#include <string.h>

#define NODES       5
#define CHAOS_MS    3000u
#define SETTLE_MS   4000u
#define ELECTION_MS 100u
#define INDEX_MAX   20000u

struct write {
    uint64_t number;
    hm_ms due;
    struct hm_bytes bytes;
};

/* What survives a crash. Entries base + 1 .. base + count. */
struct disk {
    uint64_t term;
    struct hm_id vote;
    uint64_t commit;
    struct hm_bytes snapshot;
    uint64_t snapshot_index;
    uint64_t base;
    struct hm_entry *entries;
    size_t count;
    size_t capacity;
};

struct node {
    struct hm_peer me;
    struct hm_raft *raft; /* NULL: down */
    hm_ms up_at;
    bool disk_broken;
    hm_ms repaired_at;
    struct disk disk;
    struct write *writes;
    size_t writes_count;
    size_t writes_capacity;
    uint64_t applied;
    uint64_t chain;
    uint64_t term;   /* as last seen */
    uint64_t commit; /* as last seen */
    bool leads;
    uint64_t commit_at_election;
    uint64_t first_of_term;
    uint64_t change_index; /* of the last voters change that this leader took */
    uint64_t pre_term;     /* pre-votes for this term came from these */
    uint32_t pre_mask;
    hm_ms heard; /* the leader; 0: not */
    uint64_t heard_term;
};

struct flight {
    hm_ms due;
    int from;
    int to;
    struct hm_bytes bytes;
};

struct read {
    int node;
    uint64_t context;
    uint64_t floor; /* applied by somebody when the read began */
};

struct cluster {
    struct hm_random random;
    hm_ms now;
    struct node nodes[NODES];
    struct flight *flights;
    size_t flights_count;
    size_t flights_capacity;
    bool cut[NODES][NODES]; /* [from][to] */
    uint32_t loss;
    uint32_t duplicates;
    uint32_t delay;
    uint32_t disk_delay;
    uint32_t faults;
    uint64_t chain[INDEX_MAX];
    bool known[INDEX_MAX];
    uint64_t applied;
    int leaders[INDEX_MAX]; /* of each term, plus 1 */
    struct read reads[64];
    size_t reads_count;
    uint64_t context;
    struct cluster_totals *totals;
    bool guarded; /* the request being answered must not get a yes: a leader lives */
};

static char violation[200];

#define CHECK(claim, ...)                                       \
    do {                                                        \
        if (!(claim) && !violation[0]) {                        \
            snprintf(violation, sizeof violation, __VA_ARGS__); \
        }                                                       \
    } while (0)

#define LL(number) ((unsigned long long)(number))

static uint64_t below(struct cluster *c, uint64_t bound)
{
    return hm_random_below(&c->random, bound);
}

static uint64_t disk_last(const struct disk *disk)
{
    return disk->base + disk->count;
}

static void disk_cut(struct disk *disk, uint64_t first)
{
    while (disk->count && disk_last(disk) >= first) {
        hm_bytes_free(disk->entries[--disk->count].body);
    }
}

static void disk_forget(struct disk *disk, uint64_t index)
{
    size_t gone = 0;
    while (gone < disk->count && disk->base + gone < index) {
        hm_bytes_free(disk->entries[gone++].body);
    }
    disk->count -= gone;
    if (disk->count) {
        memmove(disk->entries, disk->entries + gone, disk->count * sizeof *disk->entries);
    }
    disk->base = index > disk->base ? index : disk->base;
}

static void disk_store(struct disk *disk, struct hm_bytes bytes)
{
    struct hm_arena arena = {0};
    struct hm_message message;
    struct hm_reader in = hm_reader_of(bytes);
    bool good = hm_message_decode(&in, &arena, &message) == HM_OK;
    CHECK(good, "a PERSIST does not decode");
    if (message.kind == HM_MSG_log_hard_state) {
        disk->term = message.log_hard_state.term;
        disk->vote = message.log_hard_state.vote;
        disk->commit = message.log_hard_state.commit;
    } else if (message.kind == HM_MSG_log_snapshot) {
        if (disk->snapshot.size) {
            hm_bytes_free(disk->snapshot);
        }
        disk->snapshot = hm_bytes_copy(bytes);
        disk->snapshot_index = message.log_snapshot.last_index;
        disk_forget(disk, disk->snapshot_index);
    } else {
        const struct hm_log_append *append = &message.log_append;
        disk_cut(disk, append->first_index);
        for (uint32_t i = 0; i < append->entries_count; i++) {
            if (append->first_index + i <= disk->base) {
                continue;
            }
            CHECK(append->first_index + i == disk_last(disk) + 1, "a hole in the stored log");
            disk->entries =
                hm_grow(disk->entries, disk->count, &disk->capacity, sizeof *disk->entries);
            struct hm_entry entry = append->entries[i];
            entry.body = hm_bytes_copy(entry.body);
            disk->entries[disk->count++] = entry;
        }
    }
    hm_arena_fini(&arena);
}

static void forget_writes(struct node *node, size_t from)
{
    for (size_t i = from; i < node->writes_count; i++) {
        hm_bytes_free(node->writes[i].bytes);
    }
    node->writes_count = from < node->writes_count ? from : node->writes_count;
}

/* ---- the oracle ---- */

static void watch_send(struct cluster *c, struct node *node, const struct hm_message *message,
                       const struct hm_id *to)
{
    const struct disk *disk = &node->disk;
    size_t voters;
    switch ((int)message->kind) {
    case HM_MSG_vote_reply:
        CHECK(!message->vote_reply.granted || !c->guarded, "a yes while a leader is heard");
        if (message->vote_reply.granted && !message->vote_reply.prevote) {
            CHECK(disk->term == message->vote_reply.term && hm_id_equal(&disk->vote, to),
                  "a vote in term %llu that is not on disk", LL(message->vote_reply.term));
        }
        break;
    case HM_MSG_vote_request: {
        const struct hm_vote_request *request = &message->vote_request;
        CHECK(request->last_index <= disk_last(disk), "an election on entries not on disk");
        if (request->prevote) {
            break;
        }
        CHECK(disk->term == request->term && hm_id_equal(&disk->vote, &node->me.id),
              "a candidacy that is not on disk");
        hm_raft_voters(node->raft, &voters);
        CHECK(request->transfer ||
                  (node->pre_term == request->term && (node->pre_mask != 0 || voters == 1)),
              "an election without pre-votes");
        break;
    }
    case HM_MSG_append_reply:
        CHECK(!message->append_reply.accepted || disk_last(disk) >= message->append_reply.match,
              "an acknowledgement of entries not on disk");
        CHECK(!message->append_reply.accepted || disk->term >= message->append_reply.term,
              "an acknowledgement in a term not on disk");
        break;
    case HM_MSG_snapshot_reply:
        CHECK(disk->term >= message->snapshot_reply.term, "a chunk taken in a term not on disk");
        break;
    }
}

/* A commit needs a majority of disks, and an entry of the leader's own term. */
static void watch_commit(struct cluster *c, struct node *node)
{
    uint64_t commit = hm_raft_commit(node->raft);
    size_t count;
    const struct hm_voter *voters = hm_raft_voters(node->raft, &count);
    uint32_t voting = 0;
    uint32_t hold = 0;
    for (size_t i = 0; i < count; i++) {
        if (voters[i].voting) {
            voting++;
            hold += disk_last(&c->nodes[voters[i].id.bytes[15] - 1].disk) >= commit;
        }
    }
    CHECK(commit >= node->first_of_term, "committed %llu of an older term by counting", LL(commit));
    CHECK(hold > voting / 2, "committed %llu with %u of %u disks", LL(commit), hold, voting);
}

static void watch(struct cluster *c, struct node *node)
{
    uint64_t term = hm_raft_term(node->raft);
    uint64_t commit = hm_raft_commit(node->raft);
    bool leads = hm_raft_role(node->raft) == HM_RAFT_LEADER;
    CHECK(term >= node->term, "a term went back");
    CHECK(commit >= node->commit, "a commit index went back");
    CHECK(!leads || !node->disk_broken, "leads with a broken disk");
    int self = (int)(node - c->nodes) + 1;
    if (leads && (!node->leads || term != node->term)) {
        CHECK(c->leaders[term] == 0 || c->leaders[term] == self, "two leaders in term %llu",
              LL(term));
        c->leaders[term] = self;
        c->totals->elections++;
        node->first_of_term = hm_raft_last_index(node->raft);
        node->commit_at_election = node->commit;
        node->change_index = 0;
    }
    if (leads && commit > node->commit) {
        watch_commit(c, node);
    }
    node->term = term;
    node->commit = commit;
    node->leads = leads;
}

static void applied(struct cluster *c, struct node *node, const struct hm_effect *effect)
{
    uint64_t index = effect->number;
    struct hm_arena arena = {0};
    struct hm_message snapshot;
    if (hm_message_decode_only(effect->message, HM_MSG_log_snapshot, &arena, &snapshot) == HM_OK) {
        CHECK(node->disk.snapshot_index >= index, "a snapshot installed before it is on disk");
        memcpy(&node->chain, snapshot.log_snapshot.state.data, sizeof node->chain);
        CHECK(c->known[index] && c->chain[index] == node->chain, "a snapshot of another history");
        c->totals->installs++;
    } else {
        CHECK(index == node->applied + 1, "applied %llu after %llu", LL(index), LL(node->applied));
        node->chain = hm_hash(node->chain + index, effect->message);
        CHECK(!c->known[index] || c->chain[index] == node->chain,
              "two histories at committed index %llu", LL(index));
        c->known[index] = true;
        c->chain[index] = node->chain;
    }
    hm_arena_fini(&arena);
    node->applied = index;
    c->applied = index > c->applied ? index : c->applied;
}

static void end_read(struct cluster *c, struct node *node, uint64_t context, bool ready)
{
    for (size_t i = 0; i < c->reads_count; i++) {
        if (c->reads[i].context == context) {
            CHECK(!ready || node->applied >= c->reads[i].floor,
                  "a stale read: sees %llu, %llu was committed", LL(node->applied),
                  LL(c->reads[i].floor));
            c->totals->reads += ready;
            c->reads[i] = c->reads[--c->reads_count];
            return;
        }
    }
}

/* ---- the world ---- */

static void post(struct cluster *c, int from, int to, struct hm_bytes bytes)
{
    c->flights = hm_grow(c->flights, c->flights_count, &c->flights_capacity, sizeof *c->flights);
    c->flights[c->flights_count++] = (struct flight){.due = c->now + 1 + below(c, c->delay + 1),
                                                     .from = from,
                                                     .to = to,
                                                     .bytes = hm_bytes_copy(bytes)};
}

static void send(struct cluster *c, struct node *node, const struct hm_effect *effect)
{
    int from = (int)(node - c->nodes);
    int to = effect->peer.id.bytes[15] - 1;
    struct hm_arena arena = {0};
    struct hm_message message;
    struct hm_reader in = hm_reader_of(effect->message);
    CHECK(hm_message_decode(&in, &arena, &message) == HM_OK, "a SEND does not decode");
    watch_send(c, node, &message, &effect->peer.id);
    hm_arena_fini(&arena);
    if (!c->cut[from][to] && !hm_random_chance(&c->random, c->loss)) {
        post(c, from, to, effect->message);
        if (hm_random_chance(&c->random, c->duplicates)) {
            post(c, from, to, effect->message);
        }
    }
}

/* Now and then a state of several chunks. */
static void with_state(struct cluster *c, struct node *node,
                       enum hm_status (*use)(struct hm_raft *raft, uint64_t index,
                                             struct hm_bytes state))
{
    size_t size = sizeof node->chain + (size_t)(below(c, 6) ? 0 : below(c, 200000));
    uint8_t *state = hm_alloc(size, 1);
    memcpy(state, &node->chain, sizeof node->chain);
    enum hm_status status = use(node->raft, node->applied, (struct hm_bytes){state, size});
    hm_free(state);
    CHECK(status == HM_OK || status == HM_STALE || status == HM_NOT_READY ||
              status == HM_BAD_ARGUMENT || status == HM_IO || status == HM_NOT_LEADER,
          "snapshot: %s", hm_status_name(status));
}

static void pump(struct cluster *c, struct node *node)
{
    struct hm_effect effect;
    while (node->raft && !violation[0] && hm_raft_output(node->raft, &effect)) {
        switch (effect.kind) {
        case HM_EFFECT_SEND:
            send(c, node, &effect);
            break;
        case HM_EFFECT_PERSIST:
            if (node->disk_broken) {
                break; /* left in the outbox when the disk broke */
            }
            node->writes = hm_grow(node->writes, node->writes_count, &node->writes_capacity,
                                   sizeof *node->writes);
            node->writes[node->writes_count++] = (struct write){
                effect.number, c->now + below(c, c->disk_delay + 1), hm_bytes_copy(effect.message)};
            break;
        case HM_EFFECT_APPLY:
            applied(c, node, &effect);
            break;
        case HM_EFFECT_NOTIFY:
            if (effect.notice == HM_RAFT_READ_READY || effect.notice == HM_RAFT_READ_LOST) {
                end_read(c, node, effect.number, effect.notice == HM_RAFT_READ_READY);
            } else if (effect.notice == HM_RAFT_SNAPSHOT_LACKING) {
                with_state(c, node, hm_raft_serve);
            }
            break;
        case HM_EFFECT_NONE:
            break;
        }
    }
    if (node->raft) {
        watch(c, node);
    }
}

static void deliver(struct cluster *c, const struct flight *flight)
{
    struct node *node = &c->nodes[flight->to];
    if (!node->raft) {
        return;
    }
    struct hm_arena arena = {0};
    struct hm_message message;
    struct hm_reader in = hm_reader_of(flight->bytes);
    CHECK(hm_message_decode(&in, &arena, &message) == HM_OK, "a message does not decode");
    if (message.kind == HM_MSG_vote_reply && message.vote_reply.prevote &&
        message.vote_reply.granted) {
        node->pre_mask = node->pre_term == message.vote_reply.term ? node->pre_mask : 0;
        node->pre_mask |= 1u << flight->from;
        node->pre_term = message.vote_reply.term;
    }
    c->guarded = message.kind == HM_MSG_vote_request && !message.vote_request.transfer &&
                 node->heard && node->heard_term == hm_raft_term(node->raft) &&
                 hm_raft_role(node->raft) == HM_RAFT_FOLLOWER && c->now < node->heard + ELECTION_MS;
    const struct hm_peer *from = &c->nodes[flight->from].me;
    enum hm_status status = hm_raft_input(node->raft, c->now, from, &message);
    CHECK(status == HM_OK || (status == HM_IO && node->disk_broken), "%s of an honest %s",
          hm_status_name(status), hm_message_name(message.kind));
    if (message.kind == HM_MSG_append && status == HM_OK &&
        message.append.term == hm_raft_term(node->raft)) {
        node->heard = c->now;
        node->heard_term = message.append.term;
    }
    hm_arena_fini(&arena);
    pump(c, node);
    c->guarded = false;
}

static void deliver_due(struct cluster *c)
{
    for (size_t i = 0; i < c->flights_count && !violation[0];) {
        if (c->flights[i].due > c->now) {
            i++;
            continue;
        }
        struct flight flight = c->flights[i];
        c->flights[i] = c->flights[--c->flights_count];
        deliver(c, &flight);
        hm_bytes_free(flight.bytes);
    }
}

static void write_due(struct cluster *c, struct node *node)
{
    size_t done = 0;
    while (done < node->writes_count && node->writes[done].due <= c->now) {
        disk_store(&node->disk, node->writes[done++].bytes);
    }
    if (!done || !node->raft) {
        return;
    }
    uint64_t number = node->writes[done - 1].number;
    for (size_t i = 0; i < done; i++) {
        hm_bytes_free(node->writes[i].bytes);
    }
    node->writes_count -= done;
    memmove(node->writes, node->writes + done, node->writes_count * sizeof *node->writes);
    hm_raft_durable(node->raft, c->now, number);
    pump(c, node);
}

static void restore(struct node *node, const struct hm_message *message)
{
    enum hm_status status = hm_raft_restore(node->raft, message);
    CHECK(status == HM_OK, "what is on disk does not restore: %s", hm_status_name(status));
}

static void start(struct cluster *c, struct node *node)
{
    struct hm_raft_config config = {.self = node->me,
                                    .election_ms = ELECTION_MS,
                                    .heartbeat_ms = 20,
                                    .seed = hm_random_u64(&c->random),
                                    .batch_entries_max = 8,
                                    .inflight_max = 4};
    node->raft = hm_raft_new(&config, c->now);
    node->applied = node->chain = node->commit = node->heard = node->pre_mask = 0;
    node->term = node->disk.term;
    node->leads = node->disk_broken = false;
    struct disk *disk = &node->disk;
    restore(node, &(struct hm_message){.kind = HM_MSG_log_hard_state,
                                       .log_hard_state = {.term = disk->term,
                                                          .vote = disk->vote,
                                                          .commit = disk->commit}});
    if (disk->snapshot.size) {
        struct hm_arena arena = {0};
        struct hm_message message;
        bool good =
            hm_message_decode_only(disk->snapshot, HM_MSG_log_snapshot, &arena, &message) == HM_OK;
        CHECK(good, "the stored snapshot does not decode");
        restore(node, &message);
        hm_arena_fini(&arena);
    }
    if (disk->count) {
        restore(node, &(struct hm_message){.kind = HM_MSG_log_append,
                                           .log_append = {.first_index = disk->base + 1,
                                                          .entries = disk->entries,
                                                          .entries_count = (uint32_t)disk->count}});
    }
    pump(c, node);
}

static void crash(struct cluster *c, struct node *node)
{
    size_t reached = (size_t)below(c, node->writes_count + 1); /* written, and nobody told */
    for (size_t i = 0; i < reached; i++) {
        disk_store(&node->disk, node->writes[i].bytes);
    }
    forget_writes(node, 0);
    hm_raft_free(node->raft);
    node->raft = NULL;
    node->up_at = c->now + below(c, 400);
    for (size_t i = 0; i < c->reads_count;) {
        if (c->reads[i].node == (int)(node - c->nodes)) {
            c->reads[i] = c->reads[--c->reads_count];
        } else {
            i++;
        }
    }
    c->totals->crashes++;
}

/* ---- what happens to it ---- */

static void propose(struct cluster *c, struct node *node)
{
    uint8_t data[24];
    uint64_t index;
    uint64_t term;
    hm_random_fill(&c->random, data, sizeof data);
    struct hm_bytes body = {data, 8 + below(c, 16)};
    enum hm_status status = hm_raft_propose(node->raft, c->now, body, &index, &term);
    CHECK(status == HM_OK || status == HM_NOT_LEADER || status == HM_BUSY, "propose: %s",
          hm_status_name(status));
}

static void begin_read(struct cluster *c, struct node *node)
{
    if (c->reads_count == sizeof c->reads / sizeof *c->reads) {
        return;
    }
    struct read read = {(int)(node - c->nodes), ++c->context, c->applied};
    c->reads[c->reads_count++] = read;
    if (hm_raft_read(node->raft, c->now, read.context) != HM_OK) {
        c->reads_count--;
    }
}

static void change(struct cluster *c, struct node *node)
{
    const struct hm_peer *peer = &c->nodes[below(c, NODES)].me;
    uint64_t commit = hm_raft_commit(node->raft);
    uint64_t kind = below(c, 5);
    enum hm_status status = kind < 2   ? hm_raft_add_learner(node->raft, c->now, peer)
                            : kind < 4 ? hm_raft_promote(node->raft, c->now, peer)
                                       : hm_raft_remove(node->raft, c->now, peer);
    if (status != HM_OK) {
        return;
    }
    CHECK(commit >= node->change_index, "two changes at once");
    CHECK(commit >= node->first_of_term, "a change before the no-op of its term");
    node->change_index = hm_raft_last_index(node->raft);
    c->totals->changes++;
}

static void repartition(struct cluster *c)
{
    bool heal = below(c, 2);
    for (int i = 0; i < NODES; i++) {
        for (int j = 0; j < NODES; j++) {
            c->cut[i][j] = !heal && hm_random_chance(&c->random, 250);
        }
    }
}

static void disturb(struct cluster *c)
{
    struct node *node = &c->nodes[below(c, NODES)];
    if (!node->raft) {
        return;
    }
    switch (below(c, 9)) {
    case 0:
    case 1:
        crash(c, node);
        return;
    case 2:
    case 3:
        repartition(c);
        return;
    case 4:
        if (!node->disk_broken) {
            node->disk_broken = true;
            node->repaired_at = c->now + below(c, 300);
            node->heard = 0;
            forget_writes(node, 0);
            hm_raft_persist_failed(node->raft, c->now);
        }
        break;
    case 5:
        hm_raft_peer_reset(node->raft, c->now, &c->nodes[below(c, NODES)].me.id);
        node->heard = 0;
        break;
    case 6:
        (void)!hm_raft_transfer(node->raft, c->now, NULL);
        break;
    default:
        with_state(c, node, hm_raft_compact);
        break;
    }
    pump(c, node);
}

static void work(struct cluster *c)
{
    struct node *node = &c->nodes[below(c, NODES)];
    if (!node->raft || hm_raft_role(node->raft) != HM_RAFT_LEADER) {
        return;
    }
    uint64_t what = below(c, 20);
    if (what == 0) {
        change(c, node);
    } else if (what < 6) {
        begin_read(c, node);
    } else {
        propose(c, node);
    }
    pump(c, node);
}

static void step(struct cluster *c)
{
    c->now++;
    deliver_due(c);
    for (int i = 0; i < NODES && !violation[0]; i++) {
        struct node *node = &c->nodes[i];
        if (!node->raft && c->now >= node->up_at) {
            start(c, node);
        }
        if (node->raft && node->disk_broken && c->now >= node->repaired_at) {
            node->disk_broken = false;
            hm_raft_persist_recovered(node->raft, c->now);
            pump(c, node);
        }
        write_due(c, node);
        if (node->raft && c->now >= hm_raft_deadline(node->raft)) {
            hm_raft_tick(node->raft, c->now);
            pump(c, node);
        }
    }
}

static void found(struct cluster *c)
{
    struct hm_voter voters[NODES];
    uint32_t count = (uint32_t[]){1, 2, 3, 3, 4, 5}[below(c, 6)];
    for (int i = 0; i < NODES; i++) {
        struct node *node = &c->nodes[i];
        node->me.id.bytes[15] = (uint8_t)(i + 1);
        voters[i] = (struct hm_voter){.id = node->me.id, .voting = true};
    }
    struct hm_message message = {.kind = HM_MSG_log_voters,
                                 .log_voters = {.voters = voters, .voters_count = count}};
    struct hm_buf body = {0};
    hm_message_encode(&body, &message);
    struct hm_entry entry = {.term = 1, .kind = HM_RAFT_VOTERS, .body = hm_buf_view(&body)};
    struct hm_message first = {
        .kind = HM_MSG_log_append,
        .log_append = {.first_index = 1, .entries = &entry, .entries_count = 1}};
    struct hm_buf bytes = {0};
    hm_message_encode(&bytes, &first);
    for (int i = 0; i < NODES; i++) {
        if (i < (int)count) {
            c->nodes[i].disk.term = 1;
            disk_store(&c->nodes[i].disk, hm_buf_view(&bytes));
        }
        start(c, &c->nodes[i]);
    }
    hm_buf_fini(&body);
    hm_buf_fini(&bytes);
}

static const struct node *leader(const struct cluster *c)
{
    const struct node *found = NULL;
    for (int i = 0; i < NODES; i++) {
        const struct node *node = &c->nodes[i];
        if (node->raft && hm_raft_role(node->raft) == HM_RAFT_LEADER &&
            (!found || hm_raft_term(node->raft) > hm_raft_term(found->raft))) {
            found = node;
        }
    }
    return found;
}

/* Without faults there is a leader, and everybody in the log ends at the same place. */
static void settle(struct cluster *c)
{
    c->loss = c->duplicates = 0;
    c->delay = c->disk_delay = 2;
    memset(c->cut, 0, sizeof c->cut);
    for (hm_ms end = c->now + SETTLE_MS; c->now < end && !violation[0];) {
        step(c);
    }
    const struct node *first = leader(c);
    CHECK(first != NULL, "no leader after healing");
    if (!first || violation[0]) {
        return;
    }
    CHECK(hm_raft_has_quorum(first->raft, c->now), "no quorum after healing");
    CHECK(hm_raft_commit(first->raft) == hm_raft_last_index(first->raft),
          "uncommitted entries after healing");
    size_t count;
    const struct hm_voter *voters = hm_raft_voters(first->raft, &count);
    for (size_t i = 0; i < count; i++) {
        const struct node *node = &c->nodes[voters[i].id.bytes[15] - 1];
        CHECK(node->applied == first->applied && node->chain == first->chain,
              "node %d has applied %llu of %llu after healing", voters[i].id.bytes[15],
              LL(node->applied), LL(first->applied));
    }
}

static void end(struct cluster *c)
{
    for (int i = 0; i < NODES; i++) {
        struct node *node = &c->nodes[i];
        hm_raft_free(node->raft);
        forget_writes(node, 0);
        hm_free(node->writes);
        disk_cut(&node->disk, 0);
        hm_free(node->disk.entries);
        if (node->disk.snapshot.size) {
            hm_bytes_free(node->disk.snapshot);
        }
    }
    for (size_t i = 0; i < c->flights_count; i++) {
        hm_bytes_free(c->flights[i].bytes);
    }
    hm_free(c->flights);
    hm_free(c);
}

const char *raft_cluster_run(uint64_t seed, struct cluster_totals *totals)
{
    struct cluster *c = hm_alloc(1, sizeof *c);
    violation[0] = 0;
    c->totals = totals;
    c->now = 1;
    hm_random_init(&c->random, seed);
    c->loss = (uint32_t)below(c, 2) * (uint32_t)below(c, 300);
    c->duplicates = (uint32_t)below(c, 2) * (uint32_t)below(c, 500);
    c->delay = (uint32_t[]){0, 2, 10, 40}[below(c, 4)];
    c->disk_delay = (uint32_t[]){0, 3, 15, 60}[below(c, 4)];
    c->faults = (uint32_t)below(c, 20);
    uint32_t load = 50 + (uint32_t)below(c, 900);
    found(c);
    for (hm_ms until = c->now + CHAOS_MS; c->now < until && !violation[0];) {
        step(c);
        if (hm_random_chance(&c->random, c->faults)) {
            disturb(c);
        }
        if (hm_random_chance(&c->random, load)) {
            work(c);
        }
    }
    if (!violation[0]) {
        settle(c);
    }
    totals->applied += c->applied;
    end(c);
    return violation[0] ? violation : NULL;
}
