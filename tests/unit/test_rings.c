/* Rings of members: compared with a naive recomputation while members come and go. */
#include "core/base/random.h"
#include "core/engine/rings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define MEMBERS 700u /* some blocks */
#define RINGS   4u

struct world {
    struct hm_id all[MEMBERS];
    uint64_t place[RINGS][MEMBERS];
    bool present[MEMBERS];
};

static const struct hm_id *id_of(const void *context, uint32_t member)
{
    return &((const struct world *)context)->all[member];
}

static void invent(struct world *world, struct hm_random *random, size_t i)
{
    world->all[i] = hm_random_id(random);
    for (uint32_t ring = 0; ring < RINGS; ring++) {
        world->place[ring][i] = hm_ring_place(ring, hm_ring_hash(&world->all[i]));
    }
}

static bool before(const struct world *world, uint32_t ring, size_t a, size_t b)
{
    uint64_t x = world->place[ring][a];
    uint64_t y = world->place[ring][b];
    return x != y ? x < y : hm_id_compare(&world->all[a], &world->all[b]) < 0;
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
        bool beyond = before(world, ring, of, i) != back;
        if (beyond && (best == MEMBERS || before(world, ring, i, best) != back)) {
            best = i;
        }
        if (edge == MEMBERS || before(world, ring, i, edge) != back) {
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

/* The next two, naively: the second is the next behind the first, unless that is `of` itself. */
static void check_side(const struct hm_rings *rings, struct world *world, uint32_t ring, size_t of,
                       bool forward)
{
    uint32_t beside[3];
    size_t count = hm_rings_beside(rings, ring, &world->all[of], forward, beside, 2);
    size_t first = naive_next(world, ring, of, !forward);
    if (first == MEMBERS) {
        assert_int_equal(count, 0);
        return;
    }
    assert_int_equal(beside[0], first);
    bool was = world->present[of];
    world->present[of] = true; /* a turn too far would come to it */
    size_t second = naive_next(world, ring, first, !forward);
    world->present[of] = was;
    assert_int_equal(count, second == of ? 1 : 2);
    if (count == 2) {
        assert_int_equal(beside[1], second);
    }
}

static void check(const struct hm_rings *rings, struct world *world, size_t of)
{
    bool observers[MEMBERS] = {false};
    uint32_t out[RINGS];
    for (uint32_t ring = 0; ring < RINGS; ring++) {
        check_side(rings, world, ring, of, true);
        check_side(rings, world, ring, of, false);
    }
    size_t expected = naive(world, of, true, observers);
    size_t count = hm_rings_observers(rings, &world->all[of], NULL, NULL, out, RINGS);
    assert_int_equal(count, expected);
    for (size_t i = 0; i < count; i++) {
        assert_true(observers[out[i]]);
        observers[out[i]] = false; /* each once */
    }
}

static void test_against_naive(void **state)
{
    (void)state;
    struct hm_random random;
    hm_random_init(&random, 7);
    static struct world world;
    struct hm_rings rings;
    for (size_t i = 0; i < MEMBERS; i++) {
        invent(&world, &random, i);
    }
    hm_rings_init(&rings,
                  &(struct hm_rings_config){.rings = RINGS, .id_of = id_of, .context = &world});
    size_t present = 0;
    for (size_t round = 0; round < 6000; round++) {
        uint32_t i = (uint32_t)hm_random_below(&random, MEMBERS);
        /* the first rounds stay among few members, where rings wrap and repeat */
        i = round < 500 ? i % 6 : i;
        /* then they grow beyond what one block takes, and are emptied at last */
        bool add = round < 2500 || hm_random_chance(&random, 300);
        if (world.present[i] && (!add || round < 500)) {
            hm_rings_remove(&rings, i);
            present--;
            world.present[i] = false;
        } else if (!world.present[i] && add) {
            hm_rings_add(&rings, i);
            present++;
            world.present[i] = true;
        }
        assert_int_equal(rings.count, present);
        check(&rings, &world, i);
    }
    hm_rings_fini(&rings);
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
    static struct world world;
    struct hm_rings rings;
    struct hm_rings without;
    struct hm_rings_config config = {.id_of = id_of, .context = &world};
    hm_rings_init(&rings, &config);
    hm_rings_init(&without, &config);
    for (uint32_t i = 0; i < 10; i++) {
        invent(&world, &random, i);
        hm_rings_add(&rings, i);
        if (i != 4) {
            hm_rings_add(&without, i);
        }
    }
    for (size_t i = 0; i < 10; i++) {
        uint32_t live[8];
        uint32_t expected[8];
        size_t count = hm_rings_observers(&rings, &world.all[i], is_not, &world.all[4], live, 8);
        assert_int_equal(count,
                         hm_rings_observers(&without, &world.all[i], NULL, NULL, expected, 8));
        for (size_t j = 0; j < count; j++) {
            assert_int_equal(live[j], expected[j]);
        }
    }
    hm_rings_fini(&rings);
    hm_rings_fini(&without);
}

/* Everybody is reached over successors alone: what gossip needs of the rings. */
static void test_successors_connect_everyone(void **state)
{
    (void)state;
    struct hm_random random;
    hm_random_init(&random, 9);
    static struct world world;
    struct hm_rings rings;
    hm_rings_init(&rings, &(struct hm_rings_config){.rings = 2, .id_of = id_of, .context = &world});
    for (uint32_t i = 0; i < MEMBERS; i++) {
        invent(&world, &random, i);
        hm_rings_add(&rings, i);
    }
    bool reached[MEMBERS] = {true};
    size_t queue[MEMBERS] = {0};
    size_t tail = 1;
    for (size_t head = 0; head < tail; head++) {
        for (uint32_t ring = 0; ring < 2; ring++) {
            uint32_t next;
            assert_int_equal(hm_rings_beside(&rings, ring, &world.all[queue[head]], true, &next, 1),
                             1);
            if (!reached[next]) {
                reached[next] = true;
                queue[tail++] = next;
            }
        }
    }
    assert_int_equal(tail, MEMBERS);
    hm_rings_fini(&rings);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_naive),
        cmocka_unit_test(test_dead_observers_are_replaced),
        cmocka_unit_test(test_successors_connect_everyone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
