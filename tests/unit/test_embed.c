/* libhivemind on a network, a clock and a seed of the test's own: several participants in one
 * process, the same in every run. */
#include "tests/unit/embed_world.h"

#include <poll.h>
#include <stdlib.h>

/* ---- tests ---- */

static void test_nothing_runs_before_the_start(void **unused)
{
    (void)unused;
    struct world world = {.now = 1000};
    struct host *host = world_add(&world, 0);
    struct hivemind_entry entry;
    struct hivemind_state state;
    struct hivemind_member member;
    struct hivemind_peer peer = world_peer(1);
    struct hivemind_id id = peer.id;
    const void *data;
    size_t count;
    uint64_t watch;
    world_open(host, 0, (struct hivemind_log_config){0}, 1);
    struct hivemind_participant *log = host->logs[0];
    assert_int_equal(hivemind_step(host->server), HM_NOT_STARTED);
    assert_int_equal(hivemind_state(log, &state), HM_NOT_STARTED);
    assert_int_equal(hivemind_members(log, &member, 1, &count), HM_NOT_STARTED);
    assert_int_equal(hivemind_submit(log, "a", 1, NULL, NULL), HM_NOT_STARTED);
    assert_int_equal(hivemind_submit_once(log, id, 1, "a", 1, NULL, NULL), HM_NOT_STARTED);
    assert_int_equal(hivemind_read(log, 1, &entry, 1, &count), HM_NOT_STARTED);
    assert_int_equal(hivemind_watch(log, 1, NULL, NULL, &watch), HM_NOT_STARTED);
    assert_int_equal(hivemind_barrier(log, NULL, NULL), HM_NOT_STARTED);
    assert_int_equal(hivemind_add(log, &peer, NULL, NULL), HM_NOT_STARTED);
    assert_int_equal(hivemind_remove(log, id, NULL, NULL), HM_NOT_STARTED);
    assert_int_equal(hivemind_transfer(log, id, NULL, NULL), HM_NOT_STARTED);
    assert_int_equal(hivemind_snapshot(log, &data, &count), HM_NOT_STARTED);
    assert_true(strlen(hivemind_error(host->server)) > 0);
    assert_int_equal(hivemind_timeout_ms(host->server), -1);
    hivemind_lost(host->server, world_address(1));
    assert_int_equal(hivemind_add_peers(log, &peer, 1), HM_OK);
    assert_int_equal(hivemind_start(host->server), HM_OK);
    assert_int_equal(hivemind_start(host->server), HM_EXISTS);
    assert_int_equal(hivemind_add_peers(log, &peer, 1), HM_EXISTS);
    assert_int_equal(hivemind_abi(), HIVEMIND_ABI);
    world_end(&world);
}

static void test_what_is_wrong_is_named(void **unused)
{
    (void)unused;
    struct world world = {.now = 1000};
    struct hivemind_server *server;
    char error[256] = "";
    struct hivemind_server_config config = {.id = world_peer(0).id, .address = "nowhere"};
    assert_int_equal(hivemind_server_new(&config, &server, error, sizeof error), HM_BAD_ARGUMENT);
    assert_non_null(strstr(error, "nowhere"));
    config.address = "127.0.0.1:0";
    assert_int_equal(hivemind_server_new(&config, &server, error, sizeof error), HM_BAD_ARGUMENT);
    assert_non_null(strstr(error, "key"));
    struct host *host = world_add(&world, 0);
    struct hivemind_participant *out;
    struct hivemind_peer peers[] = {world_peer(1), world_peer(1)};
    struct hivemind_log_config log = {.name = "list", .machine = world_machine};
    assert_int_equal(hivemind_open(host->server, &log, peers, 2, &out), HM_BAD_ARGUMENT);
    log.snapshot = "not one";
    log.snapshot_size = 7;
    assert_int_equal(hivemind_open(host->server, &log, peers, 1, &out), HM_BAD_ARGUMENT);
    log.joins = true;
    assert_int_equal(hivemind_open(host->server, &log, peers, 1, &out), HM_BAD_BYTES);
    log = (struct hivemind_log_config){.name = "list", .machine = world_machine};
    assert_int_equal(hivemind_open(host->server, &log, peers, 1, &host->logs[0]), HM_OK);
    assert_int_equal(hivemind_open(host->server, &log, peers, 1, &out), HM_EXISTS);
    /* It would found a log that it is not in. */
    assert_int_equal(hivemind_start(host->server), HM_BAD_ARGUMENT);
    assert_non_null(strstr(hivemind_error(host->server), "list"));
    peers[0] = world_peer(0);
    assert_int_equal(hivemind_add_peers(host->logs[0], peers, 1), HM_OK);
    assert_int_equal(hivemind_start(host->server), HM_OK);
    world_end(&world);
}

static void test_any_participant_submits(void **unused)
{
    (void)unused;
    struct world world;
    world_start(&world, 3);
    for (int i = 0; i < 3; i++) {
        world.hosts[i]->lists[0].refuses_x = true;
    }
    world_submit(world.hosts[0], 0, "a"); /* nobody leads yet */
    WAIT(&world, world.hosts[0]->outcome_count == 1);
    struct host *follower = world_follower(&world);
    size_t before = follower->outcome_count;
    world_submit(follower, 0, "b");
    world_submit(follower, 0, "xy");
    world_submit(follower, 0, "c");
    WAIT(&world, follower->outcome_count == before + 3);
    assert_int_equal(follower->outcomes[before].status, HM_OK);
    assert_int_equal(follower->outcomes[before].index, 2);
    assert_int_equal(follower->outcomes[before + 1].status, HM_CONFLICT);
    assert_int_equal(follower->outcomes[before + 1].index, 3);
    assert_int_equal(follower->outcomes[before + 2].index, 4);
    /* Whoever is answered has it. */
    assert_string_equal(world_text(follower, 0), "a b c ");
    WAIT(&world, world_all_have(&world, 0, 4));
    for (int i = 0; i < 3; i++) {
        assert_string_equal(world_text(world.hosts[i], 0), "a b c ");
    }
    char *large = hm_alloc(HIVEMIND_ENTRY_BYTES_MAX + 1, 1);
    assert_int_equal(hivemind_submit(follower->logs[0], large, HIVEMIND_ENTRY_BYTES_MAX + 1,
                                     world_done, follower),
                     HM_TOO_LARGE);
    assert_int_equal(
        hivemind_submit(follower->logs[0], large, HIVEMIND_ENTRY_BYTES_MAX, world_done, follower),
        HM_OK);
    WAIT(&world, follower->outcome_count == before + 4);
    assert_int_equal(follower->outcomes[before + 3].status, HM_OK);
    hm_free(large);
    world_end(&world);
}

/* Every entry is in the log once, whatever leaders and frames get lost meanwhile. */
static void test_nothing_is_lost_or_doubled(void **unused)
{
    (void)unused;
    struct world world;
    size_t asked = 0;
    world_start(&world, 3);
    WAIT(&world, world_leader(&world, 0) != NULL);
    world.lost_permille = 50;
    for (int round = 0; round < 8; round++) {
        for (int i = 0; i < 60; i++) {
            char text[16];
            snprintf(text, sizeof text, "%zu", asked++);
            world_submit(world.hosts[i % 3], 0, text);
        }
        for (int i = 0; i < 10; i++) {
            world.now += 5;
            world_step(&world);
        }
        struct host *leader = world_leader(&world, 0);
        if (leader) {
            leader->cut = true;
        }
        WAIT(&world, world_leader(&world, 0) != NULL);
        if (leader) {
            leader->cut = false;
        }
    }
    WAIT(&world, world.hosts[0]->outcome_count + world.hosts[1]->outcome_count +
                         world.hosts[2]->outcome_count ==
                     asked);
    WAIT(&world, world_all_have(&world, 0, asked));
    bool *seen = hm_alloc(asked, sizeof *seen);
    const char *at = world_text(world.hosts[0], 0);
    for (size_t i = 0; i < asked; i++) {
        char *end;
        size_t number = strtoul(at, &end, 10);
        assert_true(end > at && number < asked && !seen[number]);
        seen[number] = true;
        at = end;
    }
    assert_string_equal(at, " ");
    assert_string_equal(world_text(world.hosts[0], 0), world_text(world.hosts[1], 0));
    assert_string_equal(world_text(world.hosts[0], 0), world_text(world.hosts[2], 0));
    for (int i = 0; i < 3; i++) {
        for (size_t n = 0; n < world.hosts[i]->outcome_count; n++) {
            assert_int_equal(world.hosts[i]->outcomes[n].status, HM_OK);
            assert_true(world.hosts[i]->outcomes[n].index > 0);
        }
    }
    hm_free(seen);
    world_end(&world);
}

static void test_a_session_makes_a_request_once(void **unused)
{
    (void)unused;
    struct world world;
    world_start(&world, 3);
    WAIT(&world, world_leader(&world, 0) != NULL);
    struct host *a = world.hosts[0];
    struct host *b = world.hosts[1];
    struct hivemind_id session = hivemind_session(a->logs[0]);
    assert_int_equal(hivemind_submit_once(a->logs[0], session, 0, "n", 1, world_done, a),
                     HM_BAD_ARGUMENT);
    assert_int_equal(hivemind_submit_once(a->logs[0], session, 1, "one", 3, world_done, a), HM_OK);
    assert_int_equal(hivemind_submit_once(a->logs[0], session, 2, "two", 3, world_done, a), HM_OK);
    WAIT(&world, a->outcome_count == 2);
    /* As after a restart, and from elsewhere. */
    assert_int_equal(hivemind_submit_once(b->logs[0], session, 2, "two", 3, world_done, b), HM_OK);
    WAIT(&world, b->outcome_count == 1);
    assert_int_equal(b->outcomes[0].status, HM_OK);
    assert_int_equal(b->outcomes[0].index, a->outcomes[1].index);
    assert_int_equal(hivemind_submit_once(b->logs[0], session, 1, "one", 3, world_done, b), HM_OK);
    WAIT(&world, b->outcome_count == 2);
    assert_int_equal(b->outcomes[1].status, HM_COMPACTED);
    assert_string_equal(world_text(b, 0), "one two ");
    world_end(&world);
}

static void on_committed(void *context, const struct hivemind_entry *entry)
{
    struct host *host = context;
    if (entry->index == 0) {
        host->gaps++;
        return;
    }
    assert_true(entry->index == host->pushed + 1 || host->gaps);
    host->pushed = entry->index;
    hm_buf_append(&host->pushed_text, entry->data, entry->size);
    hm_put_u8(&host->pushed_text, ' ');
}

static void test_pull_and_push_agree(void **unused)
{
    (void)unused;
    struct world world;
    struct hivemind_entry entries[8];
    size_t count;
    uint64_t watch;
    world_start(&world, 3);
    WAIT(&world, world_leader(&world, 0) != NULL);
    struct host *host = world_follower(&world);
    assert_int_equal(hivemind_read(host->logs[0], 1, entries, 8, &count), HM_OK);
    assert_int_equal(count, 0);
    assert_int_equal(hivemind_read(host->logs[0], 0, entries, 8, &count), HM_BAD_ARGUMENT);
    for (int i = 0; i < 5; i++) {
        char text[16];
        snprintf(text, sizeof text, "%d", i);
        world_submit(host, 0, text);
    }
    WAIT(&world, host->outcome_count == 5);
    assert_int_equal(hivemind_watch(host->logs[0], 1, on_committed, host, &watch), HM_OK);
    world_submit(host, 0, "5");
    WAIT(&world, host->pushed == 6);
    assert_int_equal(hivemind_read(host->logs[0], 3, entries, 8, &count), HM_OK);
    assert_int_equal(count, 4);
    assert_int_equal(entries[0].index, 3);
    assert_memory_equal(entries[0].data, "2", 1);
    hm_put_u8(&host->pushed_text, 0);
    assert_string_equal((char *)host->pushed_text.data, world_text(host, 0));
    hivemind_unwatch(host->logs[0], watch);
    world_submit(host, 0, "6");
    WAIT(&world, host->outcome_count == 7);
    assert_int_equal(host->pushed, 6);
    world_end(&world);
}

static void test_what_is_not_kept_is_said(void **unused)
{
    (void)unused;
    struct world world = {.now = 1000000};
    struct hivemind_entry entries[8];
    size_t count;
    uint64_t watch;
    hm_random_init(&world.random, 1);
    struct host *host = world_add(&world, 0);
    world_open(host, 0, (struct hivemind_log_config){.keep_entries = 4}, 1);
    assert_int_equal(hivemind_start(host->server), HM_OK);
    for (int i = 0; i < 10; i++) {
        world_submit(host, 0, "e");
    }
    WAIT(&world, host->outcome_count == 10);
    assert_int_equal(world_state(host, 0).oldest, 7);
    assert_int_equal(hivemind_read(host->logs[0], 6, entries, 8, &count), HM_COMPACTED);
    assert_non_null(strstr(hivemind_error(host->server), "oldest is 7"));
    assert_int_equal(hivemind_watch(host->logs[0], 6, on_committed, host, &watch), HM_COMPACTED);
    host->pushed = 6;
    assert_int_equal(hivemind_watch(host->logs[0], 7, on_committed, host, &watch), HM_OK);
    WAIT(&world, host->pushed == 10);
    world_end(&world);
}

static void submit_and_wait(struct world *world, struct host *host, const char *text)
{
    size_t before = host->outcome_count;
    world_submit(host, 0, text);
    WAIT(world, host->outcome_count == before + 1);
}

static void test_a_barrier_sees_what_was_committed(void **unused)
{
    (void)unused;
    struct world world;
    world_start(&world, 3);
    WAIT(&world, world_leader(&world, 0) != NULL);
    struct host *leader = world_leader(&world, 0);
    struct host *follower = world_follower(&world);
    world_submit(leader, 0, "seen");
    WAIT(&world, leader->outcome_count == 1);
    assert_int_equal(hivemind_barrier(follower->logs[0], world_done, follower), HM_OK);
    WAIT(&world, follower->outcome_count == 1);
    assert_int_equal(follower->outcomes[0].status, HM_OK);
    assert_int_equal(follower->outcomes[0].index, 1);
    assert_string_equal(world_text(follower, 0), "seen ");
    /* Whoever lacks what was committed waits for it. */
    follower->late = true;
    submit_and_wait(&world, leader, "late");
    assert_int_equal(hivemind_barrier(follower->logs[0], world_done, follower), HM_OK);
    for (int i = 0; i < 20; i++) {
        world.now += 5;
        world_step(&world);
    }
    assert_int_equal(follower->outcome_count, 1);
    follower->late = false;
    WAIT(&world, follower->outcome_count == 2);
    assert_int_equal(follower->outcomes[1].index, 2);
    assert_string_equal(world_text(follower, 0), "seen late ");
    WAIT(&world, world_leader(&world, 0) != NULL);
    leader = world_leader(&world, 0);
    size_t before = leader->outcome_count;
    /* A leader without a quorum answers nothing. */
    leader->cut = true;
    assert_int_equal(hivemind_barrier(leader->logs[0], world_done, leader), HM_OK);
    WAIT(&world, world_leader(&world, 0) != NULL);
    assert_int_equal(leader->outcome_count, before);
    leader->cut = false;
    WAIT(&world, leader->outcome_count == before + 1);
    assert_int_equal(leader->outcomes[before].status, HM_OK);
    world_end(&world);
}

static size_t voters_of(struct host *host)
{
    struct hivemind_member members[HIVEMIND_MEMBERS_MAX];
    size_t count;
    size_t voting = 0;
    assert_int_equal(hivemind_members(host->logs[0], members, HIVEMIND_MEMBERS_MAX, &count), HM_OK);
    for (size_t i = 0; i < count; i++) {
        voting += members[i].votes;
    }
    return voting;
}

static void test_members_come_from_a_snapshot_and_go(void **unused)
{
    (void)unused;
    struct world world;
    const void *data;
    size_t size;
    world_start(&world, 3);
    WAIT(&world, world_leader(&world, 0) != NULL);
    struct host *a = world.hosts[0];
    world_submit(a, 0, "old");
    WAIT(&world, a->outcome_count == 1);
    assert_int_equal(hivemind_snapshot(a->logs[0], &data, &size), HM_OK);
    uint8_t *copy = hm_alloc(size, 1);
    memcpy(copy, data, size);
    world_submit(a, 0, "newer");
    WAIT(&world, a->outcome_count == 2);

    struct host *joiner = world_add(&world, 3);
    copy[size - 5] ^= 1;
    struct hivemind_log_config config = {.name = "list",
                                         .machine = world_machine,
                                         .joins = true,
                                         .snapshot = copy,
                                         .snapshot_size = size};
    assert_int_equal(hivemind_open(joiner->server, &config, NULL, 0, &joiner->logs[0]),
                     HM_BAD_BYTES);
    copy[size - 5] ^= 1;
    world_open(joiner, 0, config, 3);
    assert_int_equal(hivemind_start(joiner->server), HM_OK);
    WAIT(&world, world_state(joiner, 0).index == 1);
    assert_string_equal(world_text(joiner, 0), "old ");
    assert_int_equal(world_state(joiner, 0).role, HIVEMIND_UNJOINED);
    /* It asks for itself, and what it submits before it is in reaches the log too. */
    struct hivemind_peer peer = world_peer(3);
    world_submit(joiner, 0, "early");
    WAIT(&world, joiner->outcome_count == 1);
    assert_int_equal(joiner->outcomes[0].status, HM_OK);
    assert_int_equal(hivemind_add(joiner->logs[0], &peer, world_done, joiner), HM_OK);
    WAIT(&world, joiner->outcome_count == 2);
    assert_int_equal(joiner->outcomes[1].status, HM_OK);
    WAIT(&world, voters_of(joiner) == 4 && world_state(joiner, 0).role == HIVEMIND_FOLLOWER);
    assert_string_equal(world_text(joiner, 0), "old newer early ");
    /* Asked again, it is so already. */
    assert_int_equal(hivemind_add(joiner->logs[0], &peer, world_done, joiner), HM_OK);
    WAIT(&world, joiner->outcome_count == 3);
    assert_int_equal(joiner->outcomes[2].status, HM_OK);

    /* The leader goes by itself; another leads, and the log goes on. */
    struct host *leader = world_leader(&world, 0);
    size_t before = leader->outcome_count;
    assert_int_equal(
        hivemind_remove(leader->logs[0], world_peer(leader->number).id, world_done, leader), HM_OK);
    WAIT(&world, leader->outcome_count == before + 1);
    assert_int_equal(leader->outcomes[before].status, HM_OK);
    WAIT(&world, world_state(leader, 0).role == HIVEMIND_REMOVED);
    world_submit(leader, 0, "gone");
    WAIT(&world, leader->outcome_count == before + 2);
    assert_int_equal(leader->outcomes[before + 1].status, HM_REMOVED);
    WAIT(&world, world_leader(&world, 0) != NULL);
    struct host *other = world_follower(&world);
    before = other->outcome_count;
    world_submit(other, 0, "on");
    WAIT(&world, other->outcome_count == before + 1);
    assert_int_equal(voters_of(other), 3);
    hm_free(copy);
    world_end(&world);
}

static void test_leadership_is_handed_over(void **unused)
{
    (void)unused;
    struct world world;
    world_start(&world, 3);
    WAIT(&world, world_leader(&world, 0) != NULL);
    struct host *follower = world_follower(&world);
    assert_int_equal(
        hivemind_transfer(follower->logs[0], world_peer(follower->number).id, world_done, follower),
        HM_OK);
    WAIT(&world, follower->outcome_count == 1);
    assert_int_equal(follower->outcomes[0].status, HM_OK);
    assert_ptr_equal(world_leader(&world, 0), follower);
    assert_int_equal(hivemind_transfer(follower->logs[0], world_peer(4).id, world_done, follower),
                     HM_OK);
    WAIT(&world, follower->outcome_count == 2);
    assert_int_equal(follower->outcomes[1].status, HM_NOT_FOUND);
    world_end(&world);
}

/* A participant that is behind what the others keep gets a snapshot, and a watch a gap. */
static void test_who_was_away_is_brought_up(void **unused)
{
    (void)unused;
    struct world world = {.now = 1000000};
    const void *data;
    size_t size;
    uint64_t watch;
    hm_random_init(&world.random, 1);
    for (int i = 0; i < 3; i++) {
        struct host *host = world_add(&world, i);
        world_open(host, 0, (struct hivemind_log_config){.keep_entries = 16}, 3);
        assert_int_equal(hivemind_start(host->server), HM_OK);
    }
    WAIT(&world, world_leader(&world, 0) != NULL);
    struct host *away = world_follower(&world);
    assert_int_equal(hivemind_watch(away->logs[0], 1, on_committed, away, &watch), HM_OK);
    away->cut = true;
    struct host *leader = world_leader(&world, 0);
    world_submit(away, 0, "meanwhile");
    hm_ms long_enough = world.now + 3000; /* else the leader waits for it */
    WAIT(&world, world.now >= long_enough);
    for (int i = 0; i < 5500; i++) {
        world_submit(leader, 0, "e");
    }
    WAIT(&world, leader->outcome_count == 5500);
    assert_int_equal(hivemind_snapshot(leader->logs[0], &data, &size), HM_OK);
    for (int i = 0; i < 10; i++) {
        world_submit(leader, 0, "f");
    }
    WAIT(&world, leader->outcome_count == 5510);
    away->cut = false;
    WAIT(&world, away->outcome_count == 1);
    assert_int_equal(away->outcomes[0].status, HM_OK);
    WAIT(&world, world_all_have(&world, 0, 5511) && away->pushed == 5511);
    assert_int_equal(away->gaps, 1);
    assert_string_equal(world_text(away, 0), world_text(leader, 0));
    world_end(&world);
}

/* Submits the next from within the answer to the last; a step within a step is refused. */
static void on_chained(void *context, const struct hivemind_outcome *outcome)
{
    struct host *host = context;
    host->outcomes[host->outcome_count++] = *outcome;
    assert_int_equal(hivemind_step(host->server), HM_BUSY);
    assert_int_equal(hivemind_server_free(host->server), HM_BUSY);
    assert_int_equal(hivemind_close(host->logs[0]), HM_BUSY);
    if (host->outcome_count < 5) {
        assert_int_equal(hivemind_submit(host->logs[0], "n", 1, on_chained, host), HM_OK);
    }
}

/* The number of the watch is in the place of what was pushed last. */
static void on_once(void *context, const struct hivemind_entry *entry)
{
    struct host *host = context;
    uint64_t another;
    assert_int_equal(entry->index, 1);
    hivemind_unwatch(host->logs[0], host->pushed);
    assert_int_equal(hivemind_watch(host->logs[0], 3, on_committed, host, &another), HM_OK);
    host->pushed = 2;
}

static void test_callbacks_may_call(void **unused)
{
    (void)unused;
    struct world world;
    world_start(&world, 3);
    struct host *host = world.hosts[0];
    assert_int_equal(hivemind_watch(host->logs[0], 1, on_once, host, &host->pushed), HM_OK);
    assert_int_equal(hivemind_submit(host->logs[0], "n", 1, on_chained, host), HM_OK);
    WAIT(&world, host->outcome_count == 5);
    assert_int_equal(host->outcomes[4].index, 5);
    WAIT(&world, host->pushed == 5);
    world_end(&world);
}

static void test_logs_do_not_mix(void **unused)
{
    (void)unused;
    struct world world;
    world_start(&world, 3);
    for (int i = 0; i < 3; i++) { /* the second one while the first runs */
        world_open(world.hosts[i], 1, (struct hivemind_log_config){0}, 3);
    }
    WAIT(&world, world_leader(&world, 0) && world_leader(&world, 1));
    for (int i = 0; i < 20; i++) {
        world_submit(world.hosts[i % 3], i % 2, i % 2 ? "odd" : "even");
    }
    WAIT(&world, world_all_have(&world, 0, 10) && world_all_have(&world, 1, 10));
    for (int i = 0; i < 3; i++) {
        assert_null(strstr(world_text(world.hosts[i], 0), "odd"));
        assert_null(strstr(world_text(world.hosts[i], 1), "even"));
        assert_int_equal(world_state(world.hosts[i], 0).index, 10);
        assert_int_equal(world_state(world.hosts[i], 1).index, 10);
    }
    world_end(&world);
}

/* ---- out of a log ---- */

/* What it has not heard the end of, it submits again when it is in again: one entry all the same.
 */
static void test_who_was_removed_comes_again(void **unused)
{
    (void)unused;
    struct world world;
    world_start(&world, 3);
    WAIT(&world, world_leader(&world, 0) != NULL);
    struct host *host = world_follower(&world);
    struct hivemind_peer self = world_peer(host->number);
    struct hivemind_id session = hivemind_session(host->logs[0]);
    assert_int_equal(hivemind_submit_once(host->logs[0], session, 1, "paid", 4, NULL, NULL), HM_OK);
    WAIT(&world, world_all_have(&world, 0, 1));
    struct host *leader = world_leader(&world, 0);
    assert_int_equal(hivemind_remove(host->logs[0], self.id, world_done, host), HM_OK);
    WAIT(&world, world_state(host, 0).role == HIVEMIND_REMOVED && host->outcome_count == 1);
    submit_and_wait(&world, leader, "meanwhile");
    assert_string_equal(world_text(host, 0), "paid ");

    assert_int_equal(hivemind_add(leader->logs[0], &self, world_done, leader), HM_OK);
    WAIT(&world, world_state(host, 0).role == HIVEMIND_FOLLOWER && voters_of(host) == 3);
    assert_int_equal(hivemind_submit_once(host->logs[0], session, 1, "paid", 4, world_done, host),
                     HM_OK);
    WAIT(&world, host->outcome_count == 2);
    assert_int_equal(host->outcomes[1].status, HM_OK);
    assert_int_equal(host->outcomes[1].index, 1);
    submit_and_wait(&world, host, "again");
    assert_string_equal(world_text(host, 0), "paid meanwhile again ");
    world_end(&world);
}

static void test_a_log_is_closed_without_the_others(void **unused)
{
    (void)unused;
    struct world world;
    world_start(&world, 3);
    for (int i = 0; i < 3; i++) {
        world_open(world.hosts[i], 1, (struct hivemind_log_config){0}, 3);
    }
    WAIT(&world, world_leader(&world, 0) && world_leader(&world, 1));
    struct host *host = world_leader(&world, 0);
    struct hivemind_id self = world_peer(host->number).id;
    assert_int_equal(hivemind_close(host->logs[0]), HM_DENIED);
    assert_non_null(strstr(hivemind_error(host->server), "list"));
    assert_int_equal(hivemind_remove(host->logs[0], self, world_done, host), HM_OK);
    WAIT(&world, world_state(host, 0).role == HIVEMIND_REMOVED);
    world_submit(host, 1, "owed");
    assert_int_equal(hivemind_close(host->logs[0]), HM_OK);
    host->logs[0] = NULL;
    WAIT(&world, host->outcome_count == 2 && world_leader(&world, 0) != NULL);
    struct host *leader = world_leader(&world, 0);
    submit_and_wait(&world, leader, "goes on");
    WAIT(&world, world_all_have(&world, 1, 1));
    assert_string_equal(world_text(host, 1), "owed ");
    /* From the beginning, with another memory. */
    host->lists[0] = (struct list){0};
    world_open(host, 0, (struct hivemind_log_config){.joins = true}, 3);
    struct hivemind_peer peer = world_peer(host->number);
    assert_int_equal(hivemind_add(host->logs[0], &peer, world_done, host), HM_OK);
    WAIT(&world, world_state(host, 0).role == HIVEMIND_FOLLOWER);
    assert_string_equal(world_text(host, 0), "goes on ");
    world_end(&world);
}

/* ---- hostile frames ---- */

static void give(struct world *world, int to, struct hm_bytes bytes)
{
    assert_true(world->frame_count < FRAMES_MAX);
    world->frames[world->frame_count++] = (struct frame){to, hm_bytes_copy(bytes)};
}

/* A message of any kind of the table, in a frame that is nearly right. */
static void give_message(struct world *world, int to, struct hm_random *random)
{
    struct hm_arena arena = {0};
    struct hm_message message;
    struct hm_buf bytes = {0};
    enum hm_message_kind kind = HM_MSG_NONE;
    for (uint64_t n = hm_random_below(random, 150) + 1; n > 0 || kind == HM_MSG_NONE; n -= n > 0) {
        kind = hm_message_kind_after(kind);
    }
    struct hm_part_frame frame = {.from = hm_random_id(random),
                                  .addr = {.family = 4, .ip = {10, 0, 0, 5}, .port = 1},
                                  .log = hm_name_of("list")};
    struct hivemind_id id = world_peer(to).id;
    memcpy(&frame.to, &id, sizeof id);
    if (hm_random_chance(random, 100)) {
        frame.to.bytes[0] ^= 1;
    }
    hm_message_encode(&bytes, &(struct hm_message){.kind = HM_MSG_part_frame, .part_frame = frame});
    hm_message_generate(random, kind, &arena, &message);
    hm_message_encode(&bytes, &message);
    if (bytes.size < 100000) {
        size_t cut = hm_random_chance(random, 200) ? hm_random_below(random, bytes.size) : 0;
        give(world, to, (struct hm_bytes){bytes.data, bytes.size - cut});
    }
    hm_buf_fini(&bytes);
    hm_arena_fini(&arena);
}

/* A question of `from` to host 0 that is right but for one thing. */
static void give_question(struct world *world, int wrong)
{
    struct hm_buf bytes = {0};
    struct hivemind_id to = world_peer(wrong == 0 ? 1 : 0).id;
    struct hivemind_id from = world_peer(wrong == 1 ? 0 : 1).id;
    struct hm_message head = {.kind = HM_MSG_part_frame,
                              .part_frame = {.addr = {.family = 4, .ip = {10, 0, 0, 2}, .port = 1},
                                             .log = hm_name_of(wrong == 2 ? "lost" : "list")}};
    memcpy(&head.part_frame.to, &to, sizeof to);
    if (wrong != 3) {
        memcpy(&head.part_frame.from, &from, sizeof from);
    }
    hm_message_encode(&bytes, &head);
    hm_message_encode(&bytes,
                      &(struct hm_message){.kind = HM_MSG_part_read, .part_read = {.call = 9}});
    if (wrong == 4) {
        hm_put_u8(&bytes, 0);
    }
    give(world, 0, hm_buf_view(&bytes));
    hm_buf_fini(&bytes);
    world_step(world);
}

static void test_hostile_frames_change_nothing(void **unused)
{
    (void)unused;
    struct world world;
    struct hm_random random;
    hm_random_init(&random, 3);
    world_start(&world, 3);
    WAIT(&world, world_leader(&world, 0) != NULL);
    world_submit(world.hosts[0], 0, "mine");
    WAIT(&world, world.hosts[0]->outcome_count == 1);
    for (int i = 0; i < 300; i++) {
        uint8_t noise[64];
        size_t size = hm_random_below(&random, sizeof noise);
        hm_random_fill(&random, noise, sizeof noise);
        give(&world, i % 3, (struct hm_bytes){noise, size});
        world.now += 1;
        world_step(&world);
    }
    for (int i = 0; i < 3; i++) {
        assert_int_equal(world_state(world.hosts[i], 0).refused, 100);
        assert_int_equal(world_state(world.hosts[i], 0).index, 1);
    }
    for (int wrong = 0; wrong < 6; wrong++) {
        give_question(&world, wrong);
        assert_int_equal(world_state(world.hosts[0], 0).refused, 100 + (wrong < 5 ? wrong + 1 : 5));
    }
    world_submit(world.hosts[1], 0, "too");
    WAIT(&world, world.hosts[1]->outcome_count == 1);
    WAIT(&world, world_all_have(&world, 0, 2));
    assert_string_equal(world_text(world.hosts[2], 0), "mine too ");
    world_end(&world);
}

/* From one who has the key: nothing that falls over, whatever it says. */
static void test_no_message_of_a_stranger_ends_it(void **unused)
{
    (void)unused;
    struct world world;
    struct hm_random random;
    hm_random_init(&random, 4);
    world_start(&world, 3);
    world.strangers = true; /* a voter of the random messages */
    WAIT(&world, world_leader(&world, 0) != NULL);
    for (int i = 0; i < 3000; i++) {
        give_message(&world, i % 3, &random);
        world.now += 1;
        world_step(&world);
    }
    world_end(&world);
}

/* ---- sockets, by the descriptor alone ---- */

/* Waits for the descriptor and steps, until somebody is told something. */
static size_t serve_until(struct hivemind_server *server, const size_t *count, size_t wanted)
{
    size_t steps = 0;
    struct pollfd fd = {.fd = hivemind_fd(server), .events = POLLIN};
    for (; *count < wanted; steps++) {
        assert_int_equal(poll(&fd, 1, 10000), 1);
        assert_int_equal(hivemind_step(server), HM_OK);
    }
    return steps;
}

static void open_alone(struct host *host, int log, const struct hivemind_peer *self)
{
    struct hivemind_log_config config = {
        .name = log ? "other" : "list", .machine = world_machine, .context = &host->lists[log]};
    assert_int_equal(hivemind_open(host->server, &config, self, 1, &host->logs[log]), HM_OK);
}

/* A server with a new directory of its own: `directory` is mkdtemp's template and becomes its name.
 */
static struct hivemind_server_config begin(struct host *host, char *directory)
{
    static const uint8_t key[32] = {1};
    char error[256];
    assert_non_null(mkdtemp(directory));
    struct hivemind_server_config config = {
        .id = hivemind_id_of("a"), .address = "127.0.0.1:0", .key = key, .directory = directory};
    assert_int_equal(hivemind_server_new(&config, &host->server, error, sizeof error), HM_OK);
    return config;
}

static void end(struct host *host, const char *directory)
{
    char command[64];
    assert_int_equal(hivemind_server_free(host->server), HM_OK);
    hm_buf_fini(&host->lists[0].text);
    hm_buf_fini(&host->lists[1].text);
    snprintf(command, sizeof command, "rm -r %s", directory);
    assert_int_equal(system(command), 0);
}

static void test_the_descriptor_is_enough(void **unused)
{
    (void)unused;
    struct host host = {0};
    char error[256];
    char directory[] = "/tmp/test_embed.XXXXXX";
    struct hivemind_server_config config = begin(&host, directory);
    struct hivemind_peer self = {hivemind_id_of("a"), hivemind_server_address(host.server)};
    for (int i = 0; i < 2; i++) {
        open_alone(&host, i, &self);
    }
    assert_int_equal(hivemind_start(host.server), HM_OK);
    world_submit(&host, 0, "before anybody leads");
    size_t steps = serve_until(host.server, &host.outcome_count, 1);
    for (int i = 0; i < 50; i++) {
        world_submit(&host, i % 2, i % 2 ? "odd" : "even");
        steps += serve_until(host.server, &host.outcome_count, (size_t)i + 2);
    }
    assert_true(steps < 2000); /* it waits, it does not spin */
    assert_int_equal(hivemind_server_free(host.server), HM_OK);

    /* Both logs are found again, by those who open both. */
    for (int i = 0; i < 2; i++) {
        hm_buf_clear(&host.lists[i].text);
        host.lists[i].applied = 0;
    }
    host.outcome_count = 0;
    assert_int_equal(hivemind_server_new(&config, &host.server, error, sizeof error), HM_OK);
    self.address = hivemind_server_address(host.server);
    open_alone(&host, 0, &self);
    assert_int_equal(hivemind_start(host.server), HM_NOT_FOUND);
    assert_non_null(strstr(hivemind_error(host.server), "open all"));
    open_alone(&host, 1, &self);
    assert_int_equal(hivemind_start(host.server), HM_OK);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(hivemind_barrier(host.logs[i], world_done, &host), HM_OK);
        serve_until(host.server, &host.outcome_count, (size_t)i + 1);
        assert_int_equal(host.outcomes[i].index, i ? 25 : 26);
        assert_non_null(strstr(world_text(&host, i), i ? "odd" : "even"));
        assert_null(strstr(world_text(&host, i), i ? "even" : "odd"));
    }
    end(&host, directory);
}

/* The directory forgets the log, and only that one. */
static void test_what_is_closed_is_not_kept(void **unused)
{
    (void)unused;
    struct host host = {0};
    char error[256];
    char directory[] = "/tmp/test_embed.XXXXXX";
    struct hivemind_server_config config = begin(&host, directory);
    struct hivemind_peer self = {hivemind_id_of("a"), hivemind_server_address(host.server)};
    open_alone(&host, 0, &self);
    open_alone(&host, 1, &self);
    assert_int_equal(hivemind_close(host.logs[0]), HM_OK); /* not begun */
    open_alone(&host, 0, &self);
    assert_int_equal(hivemind_start(host.server), HM_OK);
    for (int i = 0; i < 2; i++) {
        world_submit(&host, i, "kept");
        serve_until(host.server, &host.outcome_count, (size_t)i + 1);
    }
    /* A log of one ends with its only member. */
    struct hivemind_log_config again = {.name = "list", .machine = world_machine};
    assert_int_equal(hivemind_close(host.logs[0]), HM_OK);
    assert_int_equal(hivemind_open(host.server, &again, &self, 1, &host.logs[0]), HM_CONFLICT);
    assert_non_null(strstr(hivemind_error(host.server), "was closed"));
    world_submit(&host, 1, "too");
    serve_until(host.server, &host.outcome_count, 3);
    assert_int_equal(hivemind_server_free(host.server), HM_OK);

    hm_buf_clear(&host.lists[1].text);
    host.lists[1].applied = 0;
    assert_int_equal(hivemind_server_new(&config, &host.server, error, sizeof error), HM_OK);
    self.address = hivemind_server_address(host.server);
    open_alone(&host, 1, &self);
    assert_int_equal(hivemind_start(host.server), HM_OK);
    assert_int_equal(hivemind_open(host.server, &again, &self, 1, &host.logs[0]), HM_CONFLICT);
    assert_int_equal(hivemind_barrier(host.logs[1], world_done, &host), HM_OK);
    serve_until(host.server, &host.outcome_count, 4);
    assert_string_equal(world_text(&host, 1), "kept too ");
    end(&host, directory);
}

/* Nothing comes but time, and time is in the descriptor. */
static void test_time_is_in_the_descriptor(void **unused)
{
    (void)unused;
    static const uint8_t key[32] = {1};
    struct host host = {0};
    char error[256];
    struct hivemind_state state = {0};
    struct hivemind_server_config config = {
        .id = hivemind_id_of("a"), .address = "127.0.0.1:0", .key = key, .election_ms = 20};
    assert_int_equal(hivemind_server_new(&config, &host.server, error, sizeof error), HM_OK);
    struct hivemind_peer peers[] = {{hivemind_id_of("a"), hivemind_server_address(host.server)},
                                    {hivemind_id_of("b"), "127.0.0.1:1"}};
    open_alone(&host, 0, &peers[0]);
    assert_int_equal(hivemind_add_peers(host.logs[0], &peers[1], 1), HM_OK);
    assert_int_equal(hivemind_start(host.server), HM_OK);
    struct pollfd fd = {.fd = hivemind_fd(host.server), .events = POLLIN};
    while (state.role != HIVEMIND_CANDIDATE) {
        assert_int_equal(poll(&fd, 1, 10000), 1);
        assert_int_equal(hivemind_step(host.server), HM_OK);
        assert_int_equal(hivemind_state(host.logs[0], &state), HM_OK);
    }
    assert_int_equal(hivemind_server_free(host.server), HM_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_runs_before_the_start),
        cmocka_unit_test(test_what_is_wrong_is_named),
        cmocka_unit_test(test_any_participant_submits),
        cmocka_unit_test(test_nothing_is_lost_or_doubled),
        cmocka_unit_test(test_a_session_makes_a_request_once),
        cmocka_unit_test(test_pull_and_push_agree),
        cmocka_unit_test(test_what_is_not_kept_is_said),
        cmocka_unit_test(test_a_barrier_sees_what_was_committed),
        cmocka_unit_test(test_members_come_from_a_snapshot_and_go),
        cmocka_unit_test(test_leadership_is_handed_over),
        cmocka_unit_test(test_who_was_away_is_brought_up),
        cmocka_unit_test(test_callbacks_may_call),
        cmocka_unit_test(test_logs_do_not_mix),
        cmocka_unit_test(test_who_was_removed_comes_again),
        cmocka_unit_test(test_a_log_is_closed_without_the_others),
        cmocka_unit_test(test_hostile_frames_change_nothing),
        cmocka_unit_test(test_no_message_of_a_stranger_ends_it),
        cmocka_unit_test(test_the_descriptor_is_enough),
        cmocka_unit_test(test_what_is_closed_is_not_kept),
        cmocka_unit_test(test_time_is_in_the_descriptor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
