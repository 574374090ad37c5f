/* The slice of one node, mended by events and by what neighbours tell, against the rings of all. */
#include "core/base/memory.h"
#include "core/base/random.h"
#include "core/engine/rings.h"
#include "core/engine/slice.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define MEMBERS 200u
#define RINGS   4u
#define SELF    0u

struct world {
    struct hm_random random;
    struct hm_peer all[MEMBERS];
    bool present[MEMBERS];
    size_t count; /* present, self among them */
    struct hm_rings rings;
    struct hm_slice slice;
    uint64_t position;
    hm_ms now;
    size_t lost; /* said so often */
    size_t asks;
    bool silent;            /* neighbours do not answer */
    struct hm_message told; /* what waits then */
    struct hm_peer teller;
    struct hm_member members[HM_RINGS_DEPTH];
};

static const struct hm_id *id_of(const void *context, uint32_t member)
{
    return &((const struct world *)context)->all[member].id;
}

static size_t number_of(const struct world *world, const struct hm_id *id)
{
    size_t at = 0;
    while (!hm_id_equal(&world->all[at].id, id)) {
        assert_true(++at < MEMBERS);
    }
    return at;
}

/* What is known of a side is where the rings of all begin there. */
static bool check(const struct world *world)
{
    bool whole = true;
    for (uint32_t side = 0; side < 2 * RINGS; side++) {
        uint32_t expected[HM_RINGS_DEPTH];
        struct hm_peer known[HM_RINGS_DEPTH];
        size_t all = hm_rings_beside(&world->rings, side / 2, &world->all[SELF].id, side % 2 == 0,
                                     expected, HM_RINGS_DEPTH);
        size_t count = hm_slice_beside(&world->slice, side / 2, side % 2 == 0, known);
        assert_true(count <= all);
        whole = whole && count == all;
        for (size_t i = 0; i < count; i++) {
            assert_int_equal(number_of(world, &known[i].id), expected[i]);
            assert_true(hm_addr_equal(&known[i].addr, &world->all[expected[i]].addr));
            assert_true(hm_slice_holds(&world->slice, &known[i].id));
        }
    }
    assert_int_equal(hm_slice_is_whole(&world->slice), whole);
    assert_true(world->slice.count <= 2 * RINGS * HM_RINGS_DEPTH);
    return whole;
}

static struct world *found(uint64_t seed, size_t present)
{
    struct world *world = hm_alloc(1, sizeof *world);
    hm_random_init(&world->random, seed);
    world->position = 100;
    hm_rings_init(&world->rings,
                  &(struct hm_rings_config){.rings = RINGS, .id_of = id_of, .context = world});
    for (uint32_t i = 0; i < MEMBERS; i++) {
        world->all[i].id = hm_random_id(&world->random);
        world->all[i].addr = (struct hm_addr){4, {10}, (uint16_t)(i + 1)};
        world->present[i] = i < present;
        if (i < present) {
            hm_rings_add(&world->rings, i);
        }
    }
    world->count = present;
    struct hm_slice_config config = {world->all[SELF].id, RINGS};
    hm_slice_init(&world->slice, &config, seed);
    hm_slice_start(&world->slice, 0, world->position, present - 1, world->all, present, true);
    assert_true(check(world));
    return world;
}

static void end(struct world *world)
{
    hm_slice_fini(&world->slice);
    hm_rings_fini(&world->rings);
    hm_free(world);
}

static void change(struct world *world, uint32_t i)
{
    if (world->present[i]) {
        hm_rings_remove(&world->rings, i);
        hm_slice_leave(&world->slice, world->now, &world->all[i].id);
    } else {
        hm_rings_add(&world->rings, i);
        hm_slice_join(&world->slice, world->now, &world->all[i]);
    }
    world->present[i] = !world->present[i];
    world->count = world->present[i] ? world->count + 1 : world->count - 1;
    hm_slice_reach(&world->slice, world->now, ++world->position);
}

/* The neighbour answers as its rings are now. */
static void answer(struct world *world, const struct hm_peer *neighbour,
                   const struct hm_slice_ask *ask)
{
    uint32_t beyond[HM_RINGS_DEPTH];
    size_t count = hm_rings_beside(&world->rings, ask->ring, &neighbour->id, ask->forward, beyond,
                                   HM_RINGS_DEPTH);
    assert_int_equal(ask->position, world->position);
    for (size_t i = 0; i < count; i++) {
        world->members[i].id = world->all[beyond[i]].id;
        world->members[i].addr = world->all[beyond[i]].addr;
    }
    world->teller = *neighbour;
    world->told = (struct hm_message){.kind = HM_MSG_slice_tell};
    world->told.slice_tell = (struct hm_slice_tell){.ring = ask->ring,
                                                    .forward = ask->forward,
                                                    .position = world->position,
                                                    .members = world->members,
                                                    .members_count = (uint32_t)count};
    hm_slice_input(&world->slice, world->now, &world->teller, &world->told);
}

static void tick(struct world *world)
{
    struct hm_effect effect;
    world->now = hm_slice_deadline(&world->slice);
    hm_slice_tick(&world->slice, world->now);
    while (hm_slice_output(&world->slice, &effect)) {
        struct hm_arena arena = {0};
        struct hm_message ask;
        if (effect.kind == HM_EFFECT_NOTIFY) {
            assert_int_equal(effect.notice, HM_SLICE_LOST);
            world->lost++;
            continue;
        }
        world->asks++;
        assert_int_equal(hm_message_decode_only(effect.message, HM_MSG_slice_ask, &arena, &ask),
                         HM_OK);
        struct hm_peer neighbour = effect.peer;
        struct hm_slice_ask question = ask.slice_ask;
        if (!world->silent) {
            answer(world, &neighbour, &question);
        }
        hm_arena_fini(&arena);
    }
}

static void mend(struct world *world)
{
    for (size_t tries = 0; !check(world) && tries < 20; tries++) {
        tick(world);
        if (world->lost) { /* somebody who knows everybody helps */
            struct hm_peer peers[MEMBERS];
            size_t count = 0;
            for (size_t i = 0; i < MEMBERS; i++) {
                if (world->present[i]) {
                    peers[count++] = world->all[i];
                }
            }
            world->lost = 0;
            hm_slice_start(&world->slice, world->now, world->position, world->count - 1, peers,
                           count, true);
        }
    }
    assert_true(check(world));
    assert_true(hm_slice_deadline(&world->slice) == HM_NEVER);
}

static void test_events_mend_it(void **unused)
{
    (void)unused;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        /* In small clusters the rings wrap round to oneself. */
        struct world *world = found(seed, seed % 2 ? 1 : MEMBERS / 2);
        for (size_t round = 0; round < 400; round++) {
            uint32_t most = seed % 2 && round < 200 ? 6 : MEMBERS;
            change(world, 1 + (uint32_t)hm_random_below(&world->random, most - 1));
            check(world);
            if (hm_random_chance(&world->random, 500)) {
                mend(world);
            }
        }
        end(world);
    }
}

/* Many at once: what nobody next door knows, the control plane tells. */
static void test_a_massacre_is_survived(void **unused)
{
    (void)unused;
    struct world *world = found(7, MEMBERS);
    for (uint32_t i = 1; i < MEMBERS; i++) {
        if (i % 10) {
            change(world, i);
            check(world);
        }
    }
    assert_false(check(world));
    mend(world);
    end(world);
}

static void test_silent_neighbours_are_given_up(void **unused)
{
    (void)unused;
    struct world *world = found(8, MEMBERS);
    struct hm_peer first[HM_RINGS_DEPTH];
    hm_slice_beside(&world->slice, 0, true, first);
    world->silent = true;
    change(world, (uint32_t)number_of(world, &first[0].id));
    for (size_t i = 0; world->lost == 0; i++) {
        assert_true(i < 10);
        tick(world);
    }
    assert_true(world->asks >= 3);
    assert_true(world->now < 1000);
    end(world);
}

/* An answer from a later position counts when that is reached, and not before. */
static void test_answers_from_the_future_wait(void **unused)
{
    (void)unused;
    struct world *world = found(9, MEMBERS / 2);
    struct hm_peer ahead[HM_RINGS_DEPTH];
    hm_slice_beside(&world->slice, 1, true, ahead);
    world->silent = true;
    change(world, (uint32_t)number_of(world, &ahead[0].id));
    uint32_t beyond[HM_RINGS_DEPTH];
    hm_rings_beside(&world->rings, 1, &ahead[1].id, true, beyond, HM_RINGS_DEPTH);
    /* The one beyond leaves, which the teller knows and we do not: it tells of the next. */
    struct hm_member member = {.id = world->all[beyond[1]].id, .addr = world->all[beyond[1]].addr};
    struct hm_message tell = {.kind = HM_MSG_slice_tell,
                              .slice_tell = {.ring = 1,
                                             .forward = true,
                                             .position = world->position + 1,
                                             .members = &member,
                                             .members_count = 1}};
    assert_false(hm_slice_input(&world->slice, world->now, &ahead[1], &tell));
    assert_false(check(world));
    assert_true(hm_slice_holds(&world->slice, &member.id));
    change(world, beyond[0]);
    struct hm_peer now[HM_RINGS_DEPTH];
    check(world);
    assert_int_equal(hm_slice_beside(&world->slice, 1, true, now), 2);
    /* What is older than what we know, or comes from somebody else, is of no use. */
    hm_slice_leave(&world->slice, world->now, &member.id);
    tell.slice_tell.position = world->position - 1;
    assert_false(hm_slice_input(&world->slice, world->now, &ahead[1], &tell));
    tell.slice_tell.position = world->position;
    assert_false(hm_slice_input(&world->slice, world->now, &world->all[SELF], &tell));
    tell.slice_tell.ring = RINGS;
    assert_false(hm_slice_input(&world->slice, world->now, &ahead[1], &tell));
    /* An epoch's event comes by both feeds. */
    assert_false(hm_slice_reach(&world->slice, world->now, world->position - 1));
    assert_int_equal(world->slice.position, world->position);
    end(world);
}

static void test_moved_and_unvouched(void **unused)
{
    (void)unused;
    struct world *world = found(10, MEMBERS);
    struct hm_peer out[2 * HM_RINGS_MAX];
    size_t subjects = hm_slice_subjects(&world->slice, out);
    assert_true(subjects > 0 && subjects <= RINGS);
    size_t moved = number_of(world, &out[0].id);
    world->all[moved].addr.port = 7;
    assert_true(hm_slice_move(&world->slice, &world->all[moved]));
    assert_false(hm_slice_move(&world->slice, &world->all[moved]));
    check(world);
    size_t observers = hm_slice_observers(&world->slice, out);
    assert_true(hm_slice_neighbours(&world->slice, out) <= subjects + observers);
    /* A list that nobody vouches for tells nothing about the rings. */
    hm_slice_start(&world->slice, 0, world->position, MEMBERS - 1, world->all, MEMBERS, false);
    assert_int_equal(hm_slice_neighbours(&world->slice, out), 0);
    assert_false(check(world));
    tick(world);
    assert_int_equal(world->lost, 1);
    end(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_events_mend_it),
        cmocka_unit_test(test_a_massacre_is_survived),
        cmocka_unit_test(test_silent_neighbours_are_given_up),
        cmocka_unit_test(test_answers_from_the_future_wait),
        cmocka_unit_test(test_moved_and_unvouched),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
