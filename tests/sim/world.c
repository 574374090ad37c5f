#include "tests/sim/world.h"

#include "core/base/memory.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define MOMENT_EVENTS_MAX 100000u

struct sim_event {
    hm_ms at;
    uint64_t order;
    sim_fire *fire;
    void *context;
    uint64_t number;
    struct hm_bytes bytes;
};

void sim_world_init(struct sim_world *world, uint64_t seed, bool loud)
{
    *world = (struct sim_world){.loud = loud};
    hm_random_init(&world->random, seed);
}

void sim_world_fini(struct sim_world *world)
{
    for (size_t i = 0; i < world->event_count; i++) {
        hm_bytes_free(world->events[i].bytes);
    }
    hm_free(world->events);
}

static bool is_before(const struct sim_event *a, const struct sim_event *b)
{
    return a->at != b->at ? a->at < b->at : a->order < b->order;
}

static void swap(struct sim_event *a, struct sim_event *b)
{
    struct sim_event held = *a;
    *a = *b;
    *b = held;
}

void sim_after_with(struct sim_world *world, hm_ms delay, sim_fire *fire, void *context,
                    uint64_t number, struct hm_bytes bytes)
{
    world->events =
        hm_grow(world->events, world->event_count, &world->event_capacity, sizeof *world->events);
    struct sim_event *events = world->events;
    size_t at = world->event_count++;
    events[at] =
        (struct sim_event){world->now + delay, world->order++, fire, context, number, bytes};
    while (at > 0 && is_before(&events[at], &events[(at - 1) / 2])) {
        swap(&events[at], &events[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
}

void sim_after(struct sim_world *world, hm_ms delay, sim_fire *fire, void *context, uint64_t number)
{
    sim_after_with(world, delay, fire, context, number, (struct hm_bytes){0});
}

static struct sim_event pop(struct sim_world *world)
{
    struct sim_event *events = world->events;
    struct sim_event first = events[0];
    events[0] = events[--world->event_count];
    size_t at = 0;
    for (;;) {
        size_t least = at;
        for (size_t child = 2 * at + 1; child <= 2 * at + 2; child++) {
            if (child < world->event_count && is_before(&events[child], &events[least])) {
                least = child;
            }
        }
        if (least == at) {
            return first;
        }
        swap(&events[at], &events[least]);
        at = least;
    }
}

bool sim_step(struct sim_world *world)
{
    if (world->failed || world->event_count == 0) {
        return false;
    }
    struct sim_event event = pop(world);
    world->moment_events = event.at == world->now ? world->moment_events + 1 : 0;
    world->now = event.at;
    if (world->moment_events > MOMENT_EVENTS_MAX) {
        sim_fail(world, "time stands still: something is busy without end");
    }
    event.fire(event.context, event.number, event.bytes);
    hm_bytes_free(event.bytes);
    return !world->failed;
}

static void add_line(struct sim_world *world, const char *format, va_list arguments)
{
    if (world->loud) {
        printf("%8llu ", (unsigned long long)world->now);
        vprintf(format, arguments);
        putchar('\n');
    }
}

void sim_trace(struct sim_world *world, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    add_line(world, format, arguments);
    va_end(arguments);
}

void sim_fail(struct sim_world *world, const char *format, ...)
{
    if (world->failed) {
        return;
    }
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(world->why, sizeof world->why, format, arguments);
    va_end(arguments);
    sim_trace(world, "FAILED: %s", world->why);
    world->failed = true;
}

void *sim_reach(void *array, size_t *count, size_t at, size_t size)
{
    if (at < *count) {
        return array;
    }
    size_t more = at * 2 + 256;
    array = hm_resize(array, more, size);
    memset((char *)array + *count * size, 0, (more - *count) * size);
    *count = more;
    return array;
}

uint64_t sim_between(struct sim_world *world, uint64_t low, uint64_t high)
{
    return hm_random_between(&world->random, low, high);
}

bool sim_chance(struct sim_world *world, uint32_t permille)
{
    return hm_random_chance(&world->random, permille);
}
