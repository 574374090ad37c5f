/* Lite hosts in a simulated cluster: the real session of hivemind-lite over the simulated network.
 * They stop, die, move, come back with another config or a wrong clock; what is known of them in
 * the end is compared with what they are. */
#ifndef TESTS_SIM_LITES_H
#define TESTS_SIM_LITES_H

#include "core/base/bytes.h"
#include "core/base/ids.h"
#include "core/wire/message.h"
#include "lite/session.h"

#define CLUSTER_LITES_MAX 6

struct cluster;
struct cluster_node;

/* Its place in the network comes after those of the nodes. */
struct cluster_lite {
    struct cluster *cluster;
    size_t slot;
    struct hm_id id;
    struct hm_name name;
    bool runs;
    bool gone; /* for good */
    hm_ms paused_until;
    uint64_t starts;  /* of the process; events for older ones are void */
    uint64_t changes; /* of what is to be known of it */
    hm_ms changed_at;
    hm_ms wake_at;
    uint8_t place;       /* third byte of its address: it moves */
    bool clock_is_wrong; /* now and then when it starts */
    unsigned services;   /* a bit each */
    uint16_t port;       /* of all of them: tells its configs apart */
    uint32_t interval_ms;
    struct hm_buf config;
    struct lite_session session;
    uint32_t spoken_to;                /* by this process: a bit for each node */
    struct hm_buf sent;                /* what it said last */
    const struct cluster_node *keeper; /* before another came or went */
};

/* As many as cluster->lite_count says. */
void lites_start(struct cluster *cluster);
void lites_fini(struct cluster *cluster);

/* What the network and the faults ask of a place that may be a lite host's. */
struct cluster_lite *lite_at(struct cluster *cluster, size_t slot); /* NULL: it is a node's */
struct hm_addr lite_addr(const struct cluster_lite *lite);
void lite_receive(struct cluster_lite *lite, size_t from, struct hm_bytes payload);
void lite_refused(struct cluster_lite *lite, size_t by);
void lite_kill(struct cluster_lite *lite);
void lite_boot(struct cluster_lite *lite);

/* ---- lites_check.c ---- */

/* Is it one that starts with a clock that is set back now and then? */
bool lites_clock_is_wrong(const struct cluster *cluster, const struct hm_id *id);
/* So many run. */
size_t lites_running(const struct cluster *cluster);
/* It has changed: looks, when all should know of it, whether they do, unless it has changed again.
 */
void lite_look_later(struct cluster_lite *lite);
/* When all has been well for long they are looked at all the time, a keeper comes and one goes: its
 * share moves, and no other. */
void lites_start_quiet(struct cluster *cluster);
void lites_check_end(struct cluster *cluster);

#endif
