/* A network, a clock and hosts with libhivemind, all in one process and the same in every run. */
#ifndef TESTS_UNIT_EMBED_WORLD_H
#define TESTS_UNIT_EMBED_WORLD_H

#include "core/base/memory.h"
#include "core/base/random.h"
#include "core/embed/internal.h"
#include "core/include/hivemind/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define HOSTS_MAX    5
#define FRAMES_MAX   4096
#define OUTCOMES_MAX 8192
#define LETTERS      "abcde"

struct frame {
    int to;
    struct hm_bytes bytes;
};

struct world {
    hm_ms now;
    struct hm_random random;
    uint32_t lost_permille;
    struct frame frames[FRAMES_MAX];
    size_t frame_count;
    struct host *hosts[HOSTS_MAX];
    bool strangers; /* hosts may have been told of others, where nobody is: that gets lost */
};

/* A list of texts, one per log: its state is all of them in order. */
struct list {
    struct hm_buf text;
    uint64_t applied;
    bool refuses_x; /* entries that begin with x */
};

struct host {
    struct world *world;
    int number;
    bool cut;  /* no frame gets to it or away from it */
    bool late; /* nor what its leader appends */
    struct hivemind_server *server;
    struct hivemind_transport transport;
    struct hm_bytes received;
    struct list lists[2];
    struct hivemind_participant *logs[2];
    struct hivemind_outcome outcomes[OUTCOMES_MAX];
    size_t outcome_count;
    uint64_t pushed; /* index told last */
    size_t gaps;
    struct hm_buf pushed_text;
};

extern const struct hivemind_machine world_machine;

const char *world_address(int number);
struct hivemind_peer world_peer(int number);
/* So many hosts with log 0, founded by them all and started. */
void world_start(struct world *world, int hosts);
void world_end(struct world *world);
/* A host without a log, not started. */
struct host *world_add(struct world *world, int number);
void world_remove(struct world *world, int number);
/* Opens log 0 ("list") or 1 ("other") with the first hosts as its peers. */
void world_open(struct host *host, int log, struct hivemind_log_config config, int peers);
void world_step(struct world *world);
/* What its list holds. */
const char *world_text(struct host *host, int log);
struct hivemind_state world_state(struct host *host, int log);
/* NULL: nobody leads with a quorum. */
struct host *world_leader(struct world *world, int log);
/* One that does not lead log 0, which somebody does. */
struct host *world_follower(struct world *world);
/* Notes the outcome with the host that is its context. */
void world_done(void *context, const struct hivemind_outcome *outcome);
void world_submit(struct host *host, int log, const char *text);
bool world_all_have(struct world *world, int log, uint64_t index);

/* Until `condition` holds, at most so many virtual milliseconds. */
#define WAIT(world, condition)                                                 \
    do {                                                                       \
        for (int waited_ = 0; !(condition) && waited_ < 60000; waited_ += 5) { \
            (world)->now += 5;                                                 \
            world_step(world);                                                 \
        }                                                                      \
        assert_true(condition);                                                \
    } while (0)

#endif
