/* Raft: clusters under faults from seeds, and what hostile messages may not do. */
#include "tests/unit/raft_cluster.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/engine/raft_internal.h"

static void test_clusters_under_faults(void **state)
{
    (void)state;
    const char *one = getenv("HM_SEED");
    uint64_t first = one ? strtoull(one, NULL, 10) : 1;
    const char *more = getenv("HM_SEEDS");
    uint64_t end = first + (one ? 1 : more ? strtoull(more, NULL, 10) : 500);
    struct cluster_totals totals = {0};
    for (uint64_t seed = first; seed < end; seed++) {
        const char *violated = raft_cluster_run(seed, &totals);
        if (violated) {
            fail_msg("seed %llu: %s", (unsigned long long)seed, violated);
        }
    }
    print_message("applied %llu, elections %llu, reads %llu, changes %llu, crashes %llu, "
                  "snapshots %llu\n",
                  (unsigned long long)totals.applied, (unsigned long long)totals.elections,
                  (unsigned long long)totals.reads, (unsigned long long)totals.changes,
                  (unsigned long long)totals.crashes, (unsigned long long)totals.installs);
    assert_true(one != NULL || (totals.applied && totals.elections && totals.reads &&
                                totals.changes && totals.crashes && totals.installs));
}

static uint64_t small(struct hm_random *random)
{
    return hm_random_chance(random, 50) ? hm_random_u64(random) : hm_random_below(random, 9);
}

/* Messages that could almost be true: right kinds, small numbers. */
static void make_plausible(struct hm_random *random, struct hm_arena *arena,
                           struct hm_message *message)
{
    static const enum hm_message_kind kinds[] = {
        HM_MSG_vote_request,   HM_MSG_vote_reply,     HM_MSG_append,     HM_MSG_append_reply,
        HM_MSG_snapshot_chunk, HM_MSG_snapshot_reply, HM_MSG_timeout_now};
    hm_message_generate(random, kinds[hm_random_below(random, 7)], arena, message);
    if (hm_random_chance(random, 100)) {
        return;
    }
    switch ((int)message->kind) {
    case HM_MSG_vote_request:
        message->vote_request.log = 0;
        message->vote_request.term = small(random);
        message->vote_request.last_index = small(random);
        message->vote_request.last_term = small(random);
        break;
    case HM_MSG_vote_reply:
        message->vote_reply.log = 0;
        message->vote_reply.term = small(random);
        break;
    case HM_MSG_append:
        message->append.log = 0;
        message->append.term = small(random);
        message->append.prev_index = small(random);
        message->append.prev_term = small(random);
        message->append.commit = small(random);
        for (uint32_t i = 0; i < message->append.entries_count; i++) {
            struct hm_entry *entry = &message->append.entries[i];
            entry->term = message->append.prev_term + hm_random_below(random, 2);
            entry->kind = hm_random_chance(random, 900) ? HM_RAFT_REQUEST : HM_RAFT_VOTERS;
        }
        break;
    case HM_MSG_append_reply:
        message->append_reply.log = 0;
        message->append_reply.term = small(random);
        message->append_reply.match = small(random);
        message->append_reply.hint_term = small(random);
        message->append_reply.round = small(random);
        break;
    case HM_MSG_snapshot_chunk:
        message->snapshot_chunk.log = 0;
        message->snapshot_chunk.term = small(random);
        message->snapshot_chunk.last_index = small(random);
        message->snapshot_chunk.last_term = small(random);
        message->snapshot_chunk.offset = small(random);
        message->snapshot_chunk.total = small(random);
        break;
    case HM_MSG_snapshot_reply:
        message->snapshot_reply.log = 0;
        message->snapshot_reply.term = small(random);
        message->snapshot_reply.last_index = small(random);
        message->snapshot_reply.offset = small(random);
        message->snapshot_reply.round = small(random);
        break;
    case HM_MSG_timeout_now:
        message->timeout_now.log = 0;
        message->timeout_now.term = small(random);
        break;
    }
}

static void abuse(uint64_t seed)
{
    struct hm_random random;
    hm_random_init(&random, seed);
    struct hm_arena arena = {0};
    struct hm_raft_config config = {.self = {.id = {{1}}},
                                    .seed = seed,
                                    .election_ms = 10,
                                    .heartbeat_ms = 2,
                                    .inflight_max = 2,
                                    .batch_entries_max = 2};
    struct hm_raft *raft = hm_raft_new(&config, 0);
    hm_ms now = 0;
    if (hm_random_chance(&random, 700)) {
        assert_int_equal(hm_raft_found(raft, now), HM_OK);
    }
    for (int round = 0; round < 300; round++) {
        struct hm_message message;
        struct hm_peer from = {.id = {{(uint8_t)hm_random_below(&random, 4)}}};
        struct hm_effect effect;
        uint64_t number = 0;
        make_plausible(&random, &arena, &message);
        enum hm_status status = hm_raft_input(raft, now, &from, &message);
        assert_true(status == HM_OK || status == HM_BAD_BYTES);
        if (hm_random_chance(&random, 100)) {
            (void)!hm_raft_add_learner(raft, now, &from);
            (void)!hm_raft_promote(raft, now, &from);
            (void)!hm_raft_read(raft, now, 1);
            (void)!hm_raft_compact(raft, hm_random_below(&random, 9), hm_bytes_of_text("state"));
        }
        while (hm_raft_output(raft, &effect)) {
            number = effect.kind == HM_EFFECT_PERSIST ? effect.number : number;
        }
        if (number && hm_random_chance(&random, 800)) {
            hm_raft_durable(raft, now, number);
        }
        now += hm_random_below(&random, 4);
        hm_raft_tick(raft, now);
        while (hm_raft_output(raft, &effect)) {
        }
        assert_true(hm_raft_commit(raft) <= hm_raft_last_index(raft));
        assert_true(hm_raft_snapshot_index(raft) <= hm_raft_commit(raft));
        hm_arena_clear(&arena);
    }
    hm_raft_free(raft);
    hm_arena_fini(&arena);
}

static void test_hostile_messages_break_nothing(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 2000; seed++) {
        abuse(seed);
    }
}

static void test_what_is_refused(void **state)
{
    (void)state;
    struct hm_raft_config config = {.self = {.id = {{1}}}, .queue_bytes_max = 100};
    struct hm_raft *raft = hm_raft_new(&config, 0);
    struct hm_effect effect;
    uint64_t index;
    uint64_t term;
    struct hm_bytes body = hm_bytes_of_text("sixteen bytes ok");
    assert_int_equal(hm_raft_propose(raft, 0, body, &index, &term), HM_NOT_LEADER);
    assert_int_equal(hm_raft_found(raft, 0), HM_OK);
    assert_int_equal(hm_raft_found(raft, 0), HM_EXISTS);
    while (hm_raft_output(raft, &effect)) {
    }
    hm_raft_durable(raft, 0, UINT64_MAX);
    assert_int_equal(hm_raft_role(raft), HM_RAFT_LEADER);
    assert_int_equal(hm_raft_remove(raft, 0, &config.self), HM_NOT_READY);
    for (int i = 0; i < 6; i++) {
        assert_int_equal(hm_raft_propose(raft, 0, body, &index, &term), HM_OK);
    }
    assert_int_equal(hm_raft_propose(raft, 0, body, &index, &term), HM_FULL);
    struct hm_bytes large = {body.data, HM_RAFT_ENTRY_BYTES_MAX + 1};
    assert_int_equal(hm_raft_propose(raft, 0, large, &index, &term), HM_TOO_LARGE);
    while (hm_raft_output(raft, &effect)) {
    }
    hm_raft_durable(raft, 0, UINT64_MAX);
    assert_int_equal(hm_raft_commit(raft), index);
    assert_int_equal(hm_raft_propose(raft, 0, body, &index, &term), HM_OK);
    assert_int_equal(hm_raft_remove(raft, 0, &config.self), HM_BAD_ARGUMENT);
    assert_int_equal(hm_raft_compact(raft, index, body), HM_BAD_ARGUMENT);
    hm_raft_persist_failed(raft, 0);
    assert_int_equal(hm_raft_role(raft), HM_RAFT_FOLLOWER);
    assert_int_equal(hm_raft_propose(raft, 0, body, &index, &term), HM_NOT_LEADER);
    assert_true(hm_raft_deadline(raft) == HM_NEVER);
    hm_raft_free(raft);
}

static void test_a_log_gives_back_what_it_does_not_use(void **state)
{
    (void)state;
    struct raft_log log = {0};
    uint8_t byte = 0;
    for (uint64_t i = 1; i <= 10000; i++) {
        raft_log_append(&log, &(struct hm_entry){.term = i, .body = {&byte, 1}});
    }
    assert_true(log.capacity >= 10000);
    raft_log_drop(&log, 9990, 9990);
    assert_int_equal(log.count, 10);
    assert_int_equal(log.bytes, 10);
    assert_true(log.capacity * sizeof *log.entries <= 64u << 10);
    assert_int_equal(raft_log_term_at(&log, 9991), 9991);
    assert_int_equal(raft_log_term_at(&log, 10000), 10000);
    raft_log_fini(&log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_refused),
        cmocka_unit_test(test_hostile_messages_break_nothing),
        cmocka_unit_test(test_clusters_under_faults),
        cmocka_unit_test(test_a_log_gives_back_what_it_does_not_use),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
