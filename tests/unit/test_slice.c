/* Rings of members: compared with a naive recomputation while members come and go. */
#include "core/base/hash.h"
#include "core/base/random.h"
#include "core/engine/slice.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define MEMBERS 120u
#define RINGS   4u

struct world {
    struct hm_peer all[MEMBERS];
    bool present[MEMBERS];
};

static bool before(uint32_t ring, const struct hm_id *a, const struct hm_id *b)
{
    uint64_t x = hm_hash_id(ring, a);
    uint64_t y = hm_hash_id(ring, b);
    return x != y ? x < y : hm_id_compare(a, b) < 0;
}

/* The next member behind `of` (ahead of it when `back`) on a ring, by looking at everyone. */
static size_t naive_next(const struct world *world, uint32_t ring, size_t of, bool back)
{
    size_t best = MEMBERS;
    size_t edge = MEMBERS; /* first, or last, of the ring: where it wraps */
    for (size_t i = 0; i < MEMBERS; i++) {
        if (!world->present[i] || i == of) {
            continue;
        }
        const struct hm_id *id = &world->all[i].id;
        bool beyond = before(ring, &world->all[of].id, id) != back;
        if (beyond && (best == MEMBERS || before(ring, id, &world->all[best].id) != back)) {
            best = i;
        }
        if (edge == MEMBERS || before(ring, id, &world->all[edge].id) != back) {
            edge = i;
        }
    }
    return best == MEMBERS ? edge : best;
}

static size_t naive(const struct world *world, size_t of, bool back, bool out[MEMBERS])
{
    size_t count = 0;
    for (uint32_t ring = 0; ring < RINGS; ring++) {
        size_t next = naive_next(world, ring, of, back);
        if (next < MEMBERS && !out[next]) {
            out[next] = true;
            count++;
        }
    }
    return count;
}

static void expect_same(const struct world *world, const bool expected[MEMBERS], size_t count,
                        const struct hm_peer *peers, size_t peer_count)
{
    assert_int_equal(peer_count, count);
    for (size_t i = 0; i < peer_count; i++) {
        size_t at = 0;
        while (!hm_id_equal(&world->all[at].id, &peers[i].id)) {
            assert_true(++at < MEMBERS);
        }
        assert_true(expected[at]);
        assert_true(hm_addr_equal(&world->all[at].addr, &peers[i].addr));
        for (size_t j = 0; j < i; j++) {
            assert_false(hm_id_equal(&peers[i].id, &peers[j].id));
        }
    }
}

static void check(struct hm_slice *slice, const struct world *world, size_t other)
{
    size_t count;
    bool subjects[MEMBERS] = {false};
    bool both[MEMBERS] = {false};
    size_t expected = naive(world, 0, false, subjects);
    const struct hm_peer *peers = hm_slice_subjects(slice, &count);
    expect_same(world, subjects, expected, peers, count);

    bool observers[MEMBERS] = {false};
    expected = naive(world, 0, true, observers);
    peers = hm_slice_observers(slice, &count);
    expect_same(world, observers, expected, peers, count);

    expected = naive(world, 0, false, both);
    expected += naive(world, 0, true, both);
    peers = hm_slice_neighbours(slice, &count);
    expect_same(world, both, expected, peers, count);

    bool of_other[MEMBERS] = {false};
    struct hm_peer out[RINGS];
    expected = naive(world, other, true, of_other);
    count = hm_slice_observers_of(slice, &world->all[other].id, out, RINGS);
    expect_same(world, of_other, expected, out, count);
}

static void test_against_naive(void **state)
{
    (void)state;
    struct hm_random random;
    hm_random_init(&random, 7);
    struct world world = {0};
    for (size_t i = 0; i < MEMBERS; i++) {
        world.all[i].id = hm_random_id(&random);
        world.all[i].addr = (struct hm_addr){4, {10}, (uint16_t)(i + 1)};
    }
    struct hm_slice slice;
    hm_slice_init(&slice, &(struct hm_slice_config){world.all[0].id, RINGS});
    hm_slice_add(&slice, &world.all[0]);
    world.present[0] = true;
    size_t present = 1;
    for (size_t round = 0; round < 2000; round++) {
        size_t i = hm_random_between(&random, 1, MEMBERS - 1);
        /* the first rounds stay among few members, where rings wrap and repeat */
        i = round < 500 ? 1 + i % 6 : i;
        if (hm_random_chance(&random, 100)) {
            world.all[i].addr.port ^= 0x4000;
            assert_int_equal(hm_slice_move(&slice, &world.all[i]), world.present[i]);
        } else if (world.present[i]) {
            assert_true(hm_slice_remove(&slice, &world.all[i].id));
            assert_false(hm_slice_remove(&slice, &world.all[i].id));
            present--;
            world.present[i] = false;
        } else {
            assert_true(hm_slice_add(&slice, &world.all[i]));
            assert_false(hm_slice_add(&slice, &world.all[i]));
            present++;
            world.present[i] = true;
        }
        assert_int_equal(hm_slice_count(&slice), present);
        assert_int_equal(hm_slice_find(&slice, &world.all[i].id) != NULL, world.present[i]);
        check(&slice, &world, i);
    }
    hm_slice_clear(&slice);
    memset(world.present, 0, sizeof world.present);
    world.present[0] = true;
    check(&slice, &world, 1);
    hm_slice_fini(&slice);
}

static bool is_not(void *context, const struct hm_id *id)
{
    return !hm_id_equal(context, id);
}

static void test_dead_observers_are_replaced(void **state)
{
    (void)state;
    struct hm_random random;
    hm_random_init(&random, 8);
    struct hm_peer peers[10] = {0};
    struct hm_slice slice;
    struct hm_slice without;
    for (size_t i = 0; i < 10; i++) {
        peers[i].id = hm_random_id(&random);
    }
    hm_slice_init(&slice, &(struct hm_slice_config){.self = peers[0].id});
    hm_slice_init(&without, &(struct hm_slice_config){.self = peers[0].id});
    for (size_t i = 1; i < 10; i++) {
        hm_slice_add(&slice, &peers[i]);
        if (i != 4) {
            hm_slice_add(&without, &peers[i]);
        }
    }
    for (size_t i = 0; i < 10; i++) {
        struct hm_peer live[8];
        struct hm_peer expected[8];
        size_t count =
            hm_slice_live_observers_of(&slice, &peers[i].id, is_not, &peers[4].id, live, 8);
        assert_int_equal(count, hm_slice_observers_of(&without, &peers[i].id, expected, 8));
        for (size_t j = 0; j < count; j++) {
            assert_true(hm_id_equal(&live[j].id, &expected[j].id));
        }
    }
    hm_slice_fini(&slice);
    hm_slice_fini(&without);
}

/* Everybody is reached over subjects alone: what gossip needs of the rings. */
static void test_subjects_connect_everyone(void **state)
{
    (void)state;
    struct hm_random random;
    hm_random_init(&random, 9);
    struct hm_peer peers[MEMBERS] = {0};
    struct hm_slice slices[MEMBERS];
    for (size_t i = 0; i < MEMBERS; i++) {
        peers[i].id = hm_random_id(&random);
        hm_slice_init(&slices[i], &(struct hm_slice_config){peers[i].id, 2});
    }
    for (size_t i = 0; i < MEMBERS; i++) {
        for (size_t j = 0; j < MEMBERS; j++) {
            hm_slice_add(&slices[i], &peers[j]);
        }
    }
    bool reached[MEMBERS] = {true};
    size_t queue[MEMBERS] = {0};
    size_t tail = 1;
    for (size_t head = 0; head < tail; head++) {
        size_t count;
        const struct hm_peer *subjects = hm_slice_subjects(&slices[queue[head]], &count);
        for (size_t s = 0; s < count; s++) {
            for (size_t j = 0; j < MEMBERS; j++) {
                if (!reached[j] && hm_id_equal(&peers[j].id, &subjects[s].id)) {
                    reached[j] = true;
                    queue[tail++] = j;
                }
            }
        }
    }
    assert_int_equal(tail, MEMBERS);
    for (size_t i = 0; i < MEMBERS; i++) {
        hm_slice_fini(&slices[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_naive),
        cmocka_unit_test(test_dead_observers_are_replaced),
        cmocka_unit_test(test_subjects_connect_everyone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
