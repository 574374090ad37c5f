/* scale: experiments with up to 100,000 nodes; each prints lines `name value`, and fails when what
 * it is to show does not hold. */
#include "tests/sim/scale.h"

#include "core/base/memory.h"
#include "core/base/plant.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#ifdef HM_PLANTED
const char *hm_planted_bug;
#endif

#define SETTLE_MS 10000u
#define WHOLE_MS  5000u /* after most of the nodes died */

static int broken;

static void print(const char *name, double value)
{
    printf("%s %.6g\n", name, value);
}

static void expect(bool good, const char *what)
{
    if (!good) {
        printf("BROKEN: %s\n", what);
        broken = 1;
    }
}

/* Every slice is what the rings of its position give; returns how many of the living are whole. */
static double check_slices(const struct scale *scale)
{
    size_t living = 0;
    size_t whole = 0;
    for (uint32_t i = 0; i < scale->count; i++) {
        if (scale->nodes[i].dead || scale->nodes[i].life != SCALE_IN) {
            continue;
        }
        int known = scale_check(scale, i);
        expect(known != 0, "a slice is not that of its position");
        living++;
        whole += known == 2;
    }
    return living ? (double)whole / (double)living : 1;
}

static uint32_t pick_living(struct scale *scale)
{
    uint32_t node;
    do {
        node = (uint32_t)hm_random_between(&scale->random, SCALE_CONTROLS, scale->count - 1);
    } while (scale->nodes[node].dead);
    return node;
}

/* ---- how it grows ---- */

static hm_ms silence(struct scale *scale, hm_ms *worst)
{
    hm_ms sum = 0;
    unsigned turns = scale->count < 20 ? scale->count / 4 : 10; /* most are to live on */
    for (unsigned i = 0; i < turns; i++) {
        uint32_t node = pick_living(scale);
        hm_ms since = scale->now;
        scale_kill(scale, node, false);
        while (scale_is_member(scale, node) && scale->now < since + 20000) {
            scale_run(scale, scale->now + 1);
        }
        hm_ms took = scale->now - since;
        *worst = took > *worst ? took : *worst;
        sum += took;
        scale_run(scale, scale->now + 137 + 31 * i);
    }
    return sum / turns;
}

static void event_to_all(struct scale *scale)
{
    scale_emit(scale);
    hm_ms since = scale->now + 5;
    hm_ms last = 0;
    uint64_t before = scale->totals.bytes;
    (void)before;
    scale_run(scale, scale->now + 1000);
    size_t got = 0;
    size_t living = 0;
    for (uint32_t i = 0; i < scale->count; i++) {
        const struct scale_node *node = &scale->nodes[i];
        living += !node->dead;
        got += !node->dead && node->event_at >= since;
        if (!node->dead && node->event_at > last) {
            last = node->event_at;
        }
    }
    print("event_hops", (double)(last - since) / 2.0);
    print("event_reached", (double)got / (double)living);
    expect(got == living, "an event did not reach everybody within a second");
}

/* Links that bring only repeats go quiet. */
static void grow_tree(struct scale *scale)
{
    for (unsigned i = 0; i < 8; i++) {
        scale_emit(scale);
        scale_run(scale, scale->now + 500);
    }
}

static int law(uint32_t count, uint64_t seed)
{
    struct scale scale;
    size_t heap = scale_heap_bytes();
    clock_t began = clock();
    hm_ms worst = 0;
    scale_init(&scale, seed, count, count);
    size_t list = hm_members_bytes(&hm_state_view(scale.state)->members);
    scale.delay_min = scale.delay_max = 2;
    scale_run(&scale, SETTLE_MS);
    uint64_t bytes = scale.totals.bytes;
    scale_run(&scale, SETTLE_MS + 20000);
    print("idle_bytes_a_second", (double)(scale.totals.bytes - bytes) / 20.0 / count);
    print("heap_bytes_a_node", (double)(scale_heap_bytes() - heap - scale.state_bytes) / count);
    print("list_bytes_a_member", (double)list / count);
    grow_tree(&scale);
    event_to_all(&scale);
    print("silent_removed_mean_ms", (double)silence(&scale, &worst));
    print("silent_removed_worst_ms", (double)worst);
    expect(worst < 2000, "a silent node was a member for two seconds");
    expect(scale.totals.healthy_removed == 0, "a healthy node was removed");
    scale_run(&scale, scale.now < 60000 ? 60000 : scale.now + 2000);
    expect(check_slices(&scale) >= 1, "a slice is not whole");
    print("cpu_seconds", (double)(clock() - began) / CLOCKS_PER_SEC);
    print("simulated_seconds", (double)scale.now / 1000);
    scale_fini(&scale);
    return broken;
}

/* ---- what goes wrong ---- */

/* 1 % hear nothing (say nothing) by turns, or lose four fifths both ways: these go, nobody else. */
static int loss(uint32_t count, uint64_t seed, bool flips)
{
    struct scale scale;
    scale_init(&scale, seed, count, count);
    scale_run(&scale, SETTLE_MS);
    uint32_t sick = count / 100 ? count / 100 : 1;
    uint32_t *ids = hm_alloc(sick, sizeof *ids);
    for (uint32_t i = 0; i < sick; i++) {
        do {
            ids[i] = pick_living(&scale);
        } while (scale.nodes[ids[i]].in_permille);
        scale.nodes[ids[i]].in_permille = 1;
    }
    for (unsigned turn = 0; turn < 6; turn++) {
        for (uint32_t i = 0; i < sick; i++) {
            scale.nodes[ids[i]].in_permille = flips ? (turn % 2 == 0 ? 1000 : 1) : 800;
            scale.nodes[ids[i]].out_permille = flips ? 1 : 800;
        }
        scale_run(&scale, scale.now + 10000);
    }
    uint32_t left = 0;
    for (uint32_t i = 0; i < sick; i++) {
        left += scale.nodes[ids[i]].life == SCALE_IN && scale_is_member(&scale, ids[i]);
    }
    print("sick", sick);
    print("removed", (double)scale.totals.removed);
    print("healthy_removed", (double)scale.totals.healthy_removed);
    print("batches", (double)scale.totals.fail_batches);
    expect(scale.totals.healthy_removed == 0, "a healthy node was removed");
    expect(flips || left == 0, "a sick node was not removed");
    expect(scale.totals.removed == (flips ? 3 : 1) * sick, "others than the sick were removed");
    expect(scale.totals.fail_batches <= 3, "in too many batches");
    check_slices(&scale);
    hm_free(ids);
    scale_fini(&scale);
    return broken;
}

/* Of the living, how many know the feed so far. */
static double share_at(const struct scale *scale, uint64_t position)
{
    size_t living = 0;
    size_t there = 0;
    for (uint32_t i = 0; i < scale->count; i++) {
        const struct scale_node *node = &scale->nodes[i];
        living += !node->dead;
        there += !node->dead && hm_feed_place(&node->feed).position >= position;
    }
    return living ? (double)there / (double)living : 1;
}

/* So many of a hundred die at once, the control plane not. */
static int massacre(uint32_t count, uint64_t seed, uint32_t percent)
{
    struct scale scale;
    scale_init(&scale, seed, count, count);
    scale_run(&scale, SETTLE_MS);
    grow_tree(&scale);
    for (uint32_t i = SCALE_CONTROLS; i < count; i++) {
        if (hm_random_below(&scale.random, 100) < percent) {
            scale_kill(&scale, i, false);
        }
    }
    hm_ms died = scale.now;
    uint64_t next = hm_state_view(scale.state)->members_position + 1;
    hm_ms whole_at = 0;
    double reached = 0;
    double needed = percent == 50 ? 1 : percent == 80 ? 0.999 : 0.99;
    size_t living = 0;
    for (uint32_t i = 0; i < count; i++) {
        living += !scale.nodes[i].dead;
    }
    scale_emit(&scale);
    while (scale.now < died + 30000 && (whole_at == 0 || scale.now < died + WHOLE_MS)) {
        scale_run(&scale, scale.now + 100);
        uint64_t members = hm_state_view(scale.state)->total;
        if (scale.now - died == WHOLE_MS) {
            reached = share_at(&scale, next);
        }
        if (!whole_at && members == living && check_slices(&scale) >= 1) {
            whole_at = scale.now;
        }
    }
    print("survivors", (double)living);
    print("got_the_next_event", reached);
    print("whole_again_ms", whole_at ? (double)(whole_at - died) : -1);
    print("batches", (double)scale.totals.fail_batches);
    print("fresh_slices", (double)scale.totals.fresh_slices);
    print("members", (double)hm_state_view(scale.state)->total);
    expect(reached >= needed, "too few survivors got the next event");
    expect(whole_at != 0 && whole_at - died <= WHOLE_MS, "the graph is not whole again in time");
    expect(scale.totals.healthy_removed == 0, "a healthy node was removed");
    scale_fini(&scale);
    return broken;
}

/* A third of the nodes stand still now and then, shorter than it takes to be sure. */
static int stalls(uint32_t count, uint64_t seed, hm_ms duration)
{
    struct scale scale;
    scale_init(&scale, seed, count, count);
    scale_run(&scale, SETTLE_MS);
    for (unsigned turn = 0; turn < 30; turn++) {
        for (uint32_t i = SCALE_CONTROLS; i < count; i += 3) {
            if (hm_random_chance(&scale.random, 500)) {
                scale_pause(&scale, i, hm_random_between(&scale.random, duration / 2, duration));
            }
        }
        scale_run(&scale, scale.now + 2000);
    }
    print("removed", (double)scale.totals.removed);
    expect(scale.totals.removed == 0, "somebody who only stood still was removed");
    check_slices(&scale);
    scale_fini(&scale);
    return broken;
}

/* All come within a second. */
static int bootstrap(uint32_t count, uint64_t seed)
{
    struct scale scale;
    hm_ms since;
    scale_init(&scale, seed, count, SCALE_CONTROLS);
    scale_run(&scale, 1000);
    since = scale.now;
    for (uint32_t i = SCALE_CONTROLS; i < count; i++) {
        if (i % (count / 1000 + 1) == 0) {
            scale_run(&scale, scale.now + 1);
        }
        scale_join(&scale, i);
    }
    while (scale.now < since + 60000 &&
           (hm_state_view(scale.state)->total < count || check_slices(&scale) < 1)) {
        scale_run(&scale, scale.now + 50);
    }
    print("all_in_ms", (double)(scale.now - since));
    print("batches", (double)scale.totals.join_batches);
    print("fresh_slices", (double)scale.totals.fresh_slices);
    expect(scale.now - since <= (count <= 2000 ? 5000u : 30000u), "it took too long");
    expect(count > 2000 || scale.totals.join_batches <= 8, "in too many batches");
    expect(scale.totals.removed == 0, "somebody was removed meanwhile");
    scale_fini(&scale);
    return broken;
}

/* They come and go, and every slice is right at every moment. */
static int churn(uint32_t count, uint64_t seed)
{
    struct scale scale;
    scale_init(&scale, seed, count, count / 2);
    uint32_t next = count / 2;
    scale_run(&scale, 2000);
    for (unsigned turn = 0; turn < 400 && !broken; turn++) {
        if (turn % 4 == 0 && next < count) {
            scale_join(&scale, next++);
        }
        if (turn % 13 == 0) {
            uint32_t node = pick_living(&scale);
            if (scale.nodes[node].life == SCALE_IN) {
                scale_kill(&scale, node, turn % 2 == 0);
            }
        }
        scale_run(&scale, scale.now + 1 + hm_random_below(&scale.random, 60));
        check_slices(&scale);
    }
    scale_run(&scale, scale.now + 10000);
    double whole = check_slices(&scale);
    print("whole", whole);
    expect(whole >= 1, "a slice is not whole in the end");
    expect(scale.totals.healthy_removed == 0, "a healthy node was removed");
    scale_fini(&scale);
    return broken;
}

static const char usage[] =
    "scale law|flips|loss|kill50|kill80|kill90|stalls|bootstrap|churn NODES "
    "[SEED]\n";

int main(int argc, char **argv)
{
    uint32_t count = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 0;
    uint64_t seed = argc > 3 ? strtoull(argv[3], NULL, 10) : 1;
#ifdef HM_PLANTED
    hm_planted_bug = getenv("HM_PLANT");
#endif
    if (count < 10 || count > 200000) {
        fputs(usage, stderr);
        return 2;
    }
    if (strcmp(argv[1], "law") == 0) {
        return law(count, seed);
    }
    if (strcmp(argv[1], "flips") == 0 || strcmp(argv[1], "loss") == 0) {
        return loss(count, seed, argv[1][0] == 'f');
    }
    if (strncmp(argv[1], "kill", 4) == 0) {
        return massacre(count, seed, (uint32_t)strtoul(argv[1] + 4, NULL, 10));
    }
    if (strcmp(argv[1], "stalls") == 0) {
        return stalls(count, seed, 700);
    }
    if (strcmp(argv[1], "bootstrap") == 0) {
        return bootstrap(count, seed);
    }
    if (strcmp(argv[1], "churn") == 0) {
        return churn(count, seed);
    }
    fputs(usage, stderr);
    return 2;
}
