/* Small clusters of membership alone, many of them: nodes join, leave, die, stand still, hear
 * nothing, epochs are raised, datagrams are lost, messages of the epoch before arrive. At every
 * step each slice is what the rings of its position give, nobody is in who was not let in, and
 * nothing is acted on that was not committed; in the end all who live are in, and know their slices
 * whole. */
#include "tests/sim/members.h"

#include "tests/sim/scale.h"

#include <stdio.h>

#define TURNS     25u
#define SETTLE_MS 40000u

struct story {
    struct scale scale;
    uint32_t next; /* who has not come yet */
    uint32_t raised;
    uint32_t deaf; /* hears nothing, 0: nobody */
    const char *wrong;
};

static bool is_in(const struct scale *scale, uint32_t node)
{
    return !scale->nodes[node].dead && scale->nodes[node].life == SCALE_IN;
}

static uint32_t pick(struct scale *scale)
{
    return (uint32_t)hm_random_between(&scale->random, SCALE_CONTROLS, scale->count - 1);
}

/* Looks at every node; true when all who live are members and whole. */
static bool check(struct story *story)
{
    const struct scale *scale = &story->scale;
    const struct hm_view *view = hm_state_view(scale->state);
    uint64_t living = 0;
    bool whole = true;
    story->wrong = story->wrong ? story->wrong : scale->wrong;
    for (uint32_t i = 0; i < scale->count; i++) {
        const struct scale_node *node = &scale->nodes[i];
        living += !node->dead && node->life != SCALE_ABSENT;
        if (!is_in(scale, i)) {
            whole = whole && (node->dead || node->life == SCALE_ABSENT);
            continue;
        }
        int known = scale_check(scale, i);
        if (known == 0) {
            story->wrong = "a slice is not that of its position";
        }
        if (node->slice.position == view->members_position && !scale_is_member(scale, i)) {
            story->wrong = "a node is in that was not let in";
        }
        whole = whole && known == 2 && node->slice.position == view->members_position;
    }
    if (scale->totals.healthy_removed > (uint64_t)story->raised * (SCALE_CONTROLS - 1)) {
        story->wrong = "a healthy node was removed";
    }
    return whole && view->total == living;
}

/* For a while one node hears nothing, and finds all whom it watches gone. */
static void deafen(struct story *story, uint32_t node)
{
    if (story->deaf) {
        story->scale.nodes[story->deaf].in_permille = 1; /* its removal may be under way */
    }
    if (node) {
        story->scale.nodes[node].in_permille = 1000;
    }
    story->deaf = node;
}

/* One thing happens. */
static void turn(struct story *story)
{
    struct scale *scale = &story->scale;
    uint32_t node = pick(scale);
    switch (hm_random_below(&scale->random, 11)) {
    case 0:
    case 1:
    case 2:
        for (uint64_t i = hm_random_between(&scale->random, 1, 4); i && story->next < scale->count;
             i--) {
            scale_join(scale, story->next++);
        }
        break;
    case 3:
        if (is_in(scale, node)) {
            scale_leave(scale, node);
        }
        break;
    case 4:
    case 5:
        if (is_in(scale, node)) {
            scale_kill(scale, node, hm_random_chance(&scale->random, 500));
        }
        break;
    case 6:
        scale_pause(scale, node, hm_random_between(&scale->random, 50, 400));
        break;
    case 7:
        if (hm_random_chance(&scale->random, 300) && story->raised < 3) {
            scale_raise_epoch(scale);
            story->raised++;
        }
        break;
    case 8:
        deafen(story, node);
        scale_run(scale, scale->now + hm_random_between(&scale->random, 500, 2500));
        break;
    default:
        if (is_in(scale, node)) {
            scale_send_stale(scale, node, pick(scale));
        }
        break;
    }
}

/* Whom it is about, when in the end not all is as it should be. */
static void tell_missing(const struct scale *scale)
{
    const struct hm_view *view = hm_state_view(scale->state);
    for (uint32_t i = 0; i < scale->count; i++) {
        const struct scale_node *node = &scale->nodes[i];
        if (node->dead || node->life == SCALE_ABSENT) {
            if (scale_is_member(scale, i)) {
                printf("node %u is dead, and a member\n", i);
            }
        } else if (node->life != SCALE_IN || !scale_is_member(scale, i)) {
            printf("node %u lives, and is not in\n", i);
        } else if (scale_check(scale, i) != 2 || node->slice.position != view->members_position) {
            printf("node %u is at %llu of %llu, its slice %s\n", i,
                   (unsigned long long)node->slice.position,
                   (unsigned long long)view->members_position,
                   scale_check(scale, i) == 2 ? "whole" : "not whole");
        }
    }
}

static void run(struct story *story, bool loud)
{
    struct scale *scale = &story->scale;
    scale_run(scale, 500);
    for (unsigned i = 0; i < TURNS && !story->wrong; i++) {
        turn(story);
        for (uint64_t step = hm_random_between(&scale->random, 1, 6); step && !story->wrong;
             step--) {
            scale_run(scale, scale->now + hm_random_between(&scale->random, 1, 40));
            check(story);
        }
        if (loud) {
            printf("%6llu members %llu, index %llu\n", (unsigned long long)scale->now,
                   (unsigned long long)hm_state_view(scale->state)->total,
                   (unsigned long long)hm_state_view(scale->state)->index);
        }
    }
    deafen(story, 0);
    hm_ms end = scale->now + SETTLE_MS;
    while (!story->wrong && !check(story)) {
        scale_run(scale, scale->now + 50);
        if (scale->now >= end) {
            story->wrong = "those who live are not all in, or whole";
            if (loud) {
                tell_missing(scale);
            }
        }
    }
}

bool sim_members(uint64_t seed, bool loud, struct sim_totals *totals, char why[256])
{
    static struct story story;
    struct hm_random random;
    hm_random_init(&random, seed);
    uint32_t count = (uint32_t)hm_random_between(&random, SCALE_CONTROLS + 2, 40);
    uint32_t in = (uint32_t)hm_random_between(&random, SCALE_CONTROLS, count);
    story = (struct story){.next = in};
    scale_init(&story.scale, seed, count, in);
    story.scale.delay_max = hm_random_between(&random, 1, 15);
    story.scale.loss_permille =
        hm_random_chance(&random, 500) ? (uint32_t)hm_random_between(&random, 1, 50) : 0;
    run(&story, loud);
    totals->runs++;
    totals->ms += story.scale.now;
    totals->messages += story.scale.totals.datagrams;
    totals->agreed += hm_state_view(story.scale.state)->index;
    totals->failed += story.wrong != NULL;
    snprintf(why, 256, "%s", story.wrong ? story.wrong : "");
    bool good = story.wrong == NULL;
    scale_fini(&story.scale);
    return good;
}
