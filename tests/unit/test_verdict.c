/* The leader's count of what the observers say. Node 0 leads, 1 to 3 are the control plane; of
 * every other node the eight that precede it by number watch it. */
#include "core/engine/verdict.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define NODES 40u
#define WATCH 8u

struct world {
    struct hm_verdict verdict;
    hm_ms now;
    unsigned asked[NODES][NODES]; /* who was asked about whom, how often */
};

static struct hm_peer peer_of(size_t number)
{
    struct hm_peer peer = {.addr = {.family = 4, .ip = {10, 0, 0, (uint8_t)number}, .port = 9610}};
    peer.id.bytes[0] = (uint8_t)(number + 1);
    return peer;
}

static size_t number_of(const struct hm_id *id)
{
    return (size_t)id->bytes[0] - 1;
}

static size_t observers(void *context, const struct hm_id *target,
                        bool (*is_live)(void *live_context, const struct hm_id *id),
                        void *live_context, struct hm_peer *out, size_t most)
{
    size_t count = 0;
    (void)context;
    for (size_t step = 1; step < NODES && count < WATCH && count < most; step++) {
        struct hm_peer peer = peer_of((number_of(target) + NODES - step) % NODES);
        if (is_live(live_context, &peer.id)) {
            out[count++] = peer;
        }
    }
    return count;
}

static size_t controls(void *context, struct hm_peer *out, size_t most)
{
    (void)context;
    (void)most;
    for (size_t i = 0; i < 3; i++) {
        out[i] = peer_of(i + 1);
    }
    return 3;
}

static bool member(void *context, const struct hm_id *id, struct hm_peer *out)
{
    (void)context;
    *out = peer_of(number_of(id));
    return id->bytes[0] > 0 && number_of(id) < NODES;
}

static int begin(void **state)
{
    static struct world world;
    world = (struct world){.now = 1000};
    hm_verdict_init(&world.verdict, &(struct hm_verdict_config){.self = peer_of(0).id,
                                                                .observers = observers,
                                                                .controls = controls,
                                                                .member = member});
    *state = &world;
    return 0;
}

static int end(void **state)
{
    struct world *world = *state;
    hm_verdict_fini(&world->verdict);
    return 0;
}

static void note_asked(struct world *world)
{
    struct hm_effect effect;
    while (hm_verdict_output(&world->verdict, &effect)) {
        struct hm_arena arena = {0};
        struct hm_message message;
        assert_int_equal(hm_message_decode_only(effect.message, HM_MSG_suspect, &arena, &message),
                         HM_OK);
        world->asked[number_of(&message.suspect.target)][number_of(&effect.peer.id)]++;
        hm_arena_fini(&arena);
    }
}

static void pass(struct world *world, hm_ms duration)
{
    for (hm_ms end = world->now + duration; world->now < end; world->now++) {
        hm_verdict_tick(&world->verdict, world->now);
        note_asked(world);
    }
}

static void doubt(struct world *world, size_t from, size_t target)
{
    struct hm_peer peer = peer_of(from);
    struct hm_message message = {.kind = HM_MSG_suspect};
    message.suspect.target = peer_of(target).id;
    message.suspect.by = peer.id;
    hm_verdict_input(&world->verdict, world->now, &peer, &message);
    note_asked(world);
}

static void report(struct world *world, size_t from, size_t target, bool gone)
{
    struct hm_peer peer = peer_of(from);
    struct hm_message message = {.kind = HM_MSG_report};
    message.report.target = peer_of(target).id;
    message.report.gone = gone;
    hm_verdict_input(&world->verdict, world->now, &peer, &message);
    note_asked(world);
}

static size_t gone(struct world *world)
{
    struct hm_node_ref out[NODES];
    return hm_verdict_gone(&world->verdict, world->now, out, NODES);
}

static void test_six_of_eight_remove(void **state)
{
    struct world *world = *state;
    doubt(world, 19, 20);
    for (size_t i = 12; i < 19; i++) {
        assert_int_equal(world->asked[20][i], 1);
    }
    for (size_t i = 12; i < 17; i++) {
        report(world, i, 20, true);
        assert_int_equal(gone(world), 0);
    }
    report(world, 30, 20, true); /* does not watch it */
    assert_int_equal(gone(world), 0);
    report(world, 17, 20, true);
    assert_int_equal(gone(world), 1);
    assert_int_equal(gone(world), 0); /* once */
    pass(world, 1500);
    assert_int_equal(gone(world), 1); /* it was not committed: again */
    struct hm_peer removed = peer_of(20);
    hm_verdict_forget(&world->verdict, &removed.id);
    pass(world, 1500);
    assert_int_equal(gone(world), 0);
}

static void test_a_report_taken_back_does_not_count(void **state)
{
    struct world *world = *state;
    for (size_t i = 12; i < 17; i++) {
        report(world, i, 20, true);
    }
    report(world, 12, 20, false);
    report(world, 17, 20, true);
    assert_int_equal(gone(world), 0);
}

static void test_who_says_nothing_is_asked_about_and_replaced(void **state)
{
    struct world *world = *state;
    doubt(world, 19, 20);
    for (size_t i = 12; i < 18; i++) {
        doubt(world, i, 20); /* all but 18 say that they look */
    }
    pass(world, 350);
    assert_int_equal(world->asked[18][17], 0);
    pass(world, 100);
    assert_int_equal(world->asked[18][17], 1);
    for (size_t i = 10; i < 18; i++) {
        doubt(world, i, 18); /* it answers nobody else either */
    }
    pass(world, 400);
    assert_int_equal(world->asked[20][11], 1); /* the next before them looks in its place */
}

static void test_who_is_only_slow_sets_no_cascade_off(void **state)
{
    struct world *world = *state;
    doubt(world, 19, 20);
    pass(world, 1000); /* nobody has said a word */
    for (size_t i = 12; i < 19; i++) {
        assert_int_equal(world->asked[i][i - 1], 1); /* asked about, as they watch the doubted */
    }
    assert_int_equal(world->asked[11][10], 0); /* but not those who watch them, of whom none is */
}

static void test_one_found_alive_by_some_is_soon_forgotten(void **state)
{
    struct world *world = *state;
    doubt(world, 19, 20);
    report(world, 18, 20, false);
    report(world, 19, 20, false);
    assert_int_equal(world->verdict.count, 1);
    pass(world, 1300); /* the others may be dead */
    for (size_t i = 0; i < world->verdict.count; i++) {
        assert_int_not_equal(number_of(&world->verdict.inquiries[i].target.id), 20);
    }
}

static void test_what_is_disputed_waits_for_what_still_is(void **state)
{
    struct world *world = *state;
    report(world, 19, 20, false); /* no inquiry yet: void */
    report(world, 18, 20, true);
    report(world, 19, 20, false);
    report(world, 38, 39, true);
    report(world, 37, 39, false);
    for (size_t i = 12; i < 18; i++) {
        report(world, i, 20, true);
    }
    assert_int_equal(gone(world), 0); /* 39 may go with it */
    for (size_t i = 31; i < 37; i++) {
        report(world, i, 39, true);
    }
    assert_int_equal(gone(world), 2);
}

static void test_what_is_clear_does_not_wait_for_disputes(void **state)
{
    struct world *world = *state;
    report(world, 38, 39, true);
    report(world, 37, 39, false);
    for (size_t i = 12; i < 18; i++) {
        report(world, i, 20, true);
    }
    pass(world, 801); /* for those that are about to be decided, no longer */
    assert_int_equal(gone(world), 1);
}

/* Five of eight are one too few, unless those who found it alive once say so again. */
static void test_who_found_it_alive_is_asked_again(void **state)
{
    struct world *world = *state;
    doubt(world, 19, 20);
    for (size_t i = 12; i < 15; i++) {
        report(world, i, 20, false);
    }
    for (int i = 0; i < 4; i++) {
        for (size_t from = 15; from < 20; from++) {
            report(world, from, 20, true);
        }
        pass(world, 1000);
    }
    assert_int_equal(gone(world), 0);
    unsigned before = world->asked[20][12];
    for (int i = 0; i < 2; i++) {
        for (size_t from = 15; from < 20; from++) {
            report(world, from, 20, true);
        }
        pass(world, 1000);
    }
    assert_int_equal(world->asked[20][12], before + 1);
    report(world, 12, 20, true);
    assert_int_equal(gone(world), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_six_of_eight_remove, begin, end),
        cmocka_unit_test_setup_teardown(test_a_report_taken_back_does_not_count, begin, end),
        cmocka_unit_test_setup_teardown(test_who_says_nothing_is_asked_about_and_replaced, begin,
                                        end),
        cmocka_unit_test_setup_teardown(test_who_is_only_slow_sets_no_cascade_off, begin, end),
        cmocka_unit_test_setup_teardown(test_one_found_alive_by_some_is_soon_forgotten, begin, end),
        cmocka_unit_test_setup_teardown(test_what_is_disputed_waits_for_what_still_is, begin, end),
        cmocka_unit_test_setup_teardown(test_what_is_clear_does_not_wait_for_disputes, begin, end),
        cmocka_unit_test_setup_teardown(test_who_found_it_alive_is_asked_again, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
