/* What time a leader puts into the log, by the clocks of those who voted for it and answer it. */
#include "core/base/memory.h"
#include "core/engine/raft.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define NOON UINT64_C(1700000000000)
#define HOUR UINT64_C(3600000)

static struct hm_peer peer(uint8_t number)
{
    return (struct hm_peer){.id = {{number}}, .addr = {.family = 4, .port = number}};
}

static uint64_t durable; /* number of the last PERSIST */

static void drain(struct hm_raft *raft, hm_ms now)
{
    struct hm_effect effect;
    for (bool wrote = true; wrote;) {
        wrote = false;
        while (hm_raft_output(raft, &effect)) {
            wrote = wrote || effect.kind == HM_EFFECT_PERSIST;
            durable = effect.kind == HM_EFFECT_PERSIST ? effect.number : durable;
        }
        if (wrote) {
            hm_raft_durable(raft, now, durable);
        }
    }
}

static void input(struct hm_raft *raft, hm_ms now, uint8_t from, const struct hm_message *message)
{
    struct hm_peer sender = peer(from);
    assert_int_equal(hm_raft_input(raft, now, &sender, message), HM_OK);
    drain(raft, now);
}

static void vote(struct hm_raft *raft, hm_ms now, uint8_t from, bool prevote, uint64_t clock_ms)
{
    struct hm_vote_reply reply = {.term = hm_raft_term(raft) + prevote,
                                  .prevote = prevote,
                                  .granted = true,
                                  .clock_ms = clock_ms};
    input(raft, now, from, &(struct hm_message){.kind = HM_MSG_vote_reply, .vote_reply = reply});
}

static void answer(struct hm_raft *raft, hm_ms now, uint8_t from, uint64_t clock_ms)
{
    struct hm_append_reply reply = {
        .term = hm_raft_term(raft), .accepted = true, .round = 1, .clock_ms = clock_ms};
    input(raft, now, from,
          &(struct hm_message){.kind = HM_MSG_append_reply, .append_reply = reply});
}

/* Leads three voters at `now` = 1000, elected by itself and by voter 2, whose clock is this. */
static struct hm_raft *lead(uint64_t own_ms, uint64_t clock_ms)
{
    struct hm_voter voters[3];
    for (uint8_t i = 0; i < 3; i++) {
        voters[i] = (struct hm_voter){peer(i + 1).id, peer(i + 1).addr, true};
    }
    struct hm_raft *raft = hm_raft_new(&(struct hm_raft_config){.self = peer(1), .seed = 7}, 0);
    assert_int_equal(hm_raft_found_with(raft, 0, 0, voters, 3), HM_OK);
    drain(raft, 0);
    hm_raft_set_wall(raft, 1000, own_ms);
    hm_raft_tick(raft, 1000);
    drain(raft, 1000);
    vote(raft, 1000, 2, true, clock_ms);
    vote(raft, 1000, 2, false, clock_ms);
    assert_int_equal(hm_raft_role(raft), HM_RAFT_LEADER);
    return raft;
}

static void test_votes_bring_the_time(void **unused)
{
    (void)unused;
    struct hm_raft *raft = lead(NOON, NOON + 9000);
    assert_true(hm_raft_time(raft, 1000) == NOON);
    assert_true(hm_raft_time(raft, 1500) == NOON + 500);
    hm_raft_free(raft);
    /* Of two clocks that differ the earlier one counts: nothing leaps. */
    raft = lead(NOON + 48 * HOUR, NOON);
    assert_true(hm_raft_time(raft, 1000) == NOON);
    hm_raft_free(raft);
    raft = lead(NOON, NOON + 48 * HOUR);
    assert_true(hm_raft_time(raft, 1000) == NOON);
    hm_raft_free(raft);
}

static void test_the_median_of_the_voters(void **unused)
{
    (void)unused;
    struct hm_raft *raft = lead(NOON + 48 * HOUR, NOON + 1);
    answer(raft, 1000, 3, NOON + 2);
    assert_true(hm_raft_time(raft, 1000) == NOON + 2);
    hm_raft_set_wall(raft, 1000, NOON - 48 * HOUR);
    assert_true(hm_raft_time(raft, 1000) == NOON + 1);
    /* No further off than 10 s: its own. */
    hm_raft_set_wall(raft, 1000, NOON - 9998);
    assert_true(hm_raft_time(raft, 1000) == NOON - 9998);
    hm_raft_set_wall(raft, 1000, NOON - 10000);
    assert_true(hm_raft_time(raft, 1000) == NOON + 1);
    /* One that lies moves nothing; each has its latest word. */
    hm_raft_set_wall(raft, 1000, NOON);
    answer(raft, 1000, 3, UINT64_MAX);
    assert_true(hm_raft_time(raft, 1000) == NOON);
    answer(raft, 1000, 3, 1);
    assert_true(hm_raft_time(raft, 1000) == NOON);
    answer(raft, 1600, 3, NOON + 600);
    answer(raft, 1600, 2, NOON + 48 * HOUR);
    assert_true(hm_raft_time(raft, 1600) == NOON + 600);
    hm_raft_free(raft);
}

static void test_unknown_clocks_let_time_stand(void **unused)
{
    (void)unused;
    struct hm_raft *raft = lead(NOON, 0);
    assert_true(hm_raft_time(raft, 1000) == 0);
    answer(raft, 1000, 3, NOON + 1);
    assert_true(hm_raft_time(raft, 1000) == NOON);
    hm_raft_set_wall(raft, 1000, 0);
    assert_true(hm_raft_time(raft, 1000) == 0);
    answer(raft, 1000, 2, NOON + 3);
    assert_true(hm_raft_time(raft, 1000) == NOON + 1);
    hm_raft_free(raft);
}

static void test_a_single_voter_has_its_own(void **unused)
{
    (void)unused;
    struct hm_raft *raft = hm_raft_new(&(struct hm_raft_config){.self = peer(1), .seed = 7}, 0);
    hm_raft_set_wall(raft, 0, NOON);
    assert_int_equal(hm_raft_found(raft, 0), HM_OK);
    drain(raft, 0);
    assert_true(hm_raft_time(raft, 10) == NOON + 10);
    hm_raft_set_wall(raft, 10, NOON + 48 * HOUR);
    assert_true(hm_raft_time(raft, 10) == NOON + 48 * HOUR);
    hm_raft_free(raft);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_votes_bring_the_time),
        cmocka_unit_test(test_the_median_of_the_voters),
        cmocka_unit_test(test_unknown_clocks_let_time_stand),
        cmocka_unit_test(test_a_single_voter_has_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
