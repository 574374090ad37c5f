/* A world in virtual time: an event queue, randomness from one seed, a trace that replays. */
#ifndef TESTS_SIM_WORLD_H
#define TESTS_SIM_WORLD_H

#include "core/base/bytes.h"
#include "core/base/ids.h"
#include "core/base/random.h"

struct sim_event;

/* What an event does; `bytes` are its own and freed after the call. */
typedef void sim_fire(void *context, uint64_t number, struct hm_bytes bytes);

struct sim_world {
    hm_ms now;
    struct hm_random random;
    struct sim_event *events; /* a heap by (time, order made) */
    size_t event_count;
    size_t event_capacity;
    uint64_t order;
    uint64_t moment_events; /* fired at `now` */
    bool loud;              /* print the trace as it comes */
    bool failed;
    char why[256];
};

void sim_world_init(struct sim_world *world, uint64_t seed, bool loud);
void sim_world_fini(struct sim_world *world);

/* Calls `fire` after `delay` ms; events of one moment fire in the order they were made. */
void sim_after(struct sim_world *world, hm_ms delay, sim_fire *fire, void *context,
               uint64_t number);
/* The same with bytes from hm_alloc, taken over. */
void sim_after_with(struct sim_world *world, hm_ms delay, sim_fire *fire, void *context,
                    uint64_t number, struct hm_bytes bytes);
/* Fires the next event; false when there is none, or the run has failed. */
bool sim_step(struct sim_world *world);

/* One line: `  1234 text`. */
void sim_trace(struct sim_world *world, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* An invariant is broken: the first one counts, and the run ends. */
void sim_fail(struct sim_world *world, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* An array of `*count` zeroed items, grown until it has room at `at`; NULL and 0 is an empty one.
 */
void *sim_reach(void *array, size_t *count, size_t at, size_t size);

uint64_t sim_between(struct sim_world *world, uint64_t low, uint64_t high);
bool sim_chance(struct sim_world *world, uint32_t permille);

#endif
