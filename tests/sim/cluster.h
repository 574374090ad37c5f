/* Whole nodes: a control plane, consumers of role `dns`, hosts that change what they serve. */
#ifndef TESTS_SIM_CLUSTER_H
#define TESTS_SIM_CLUSTER_H

#include "core/engine/slice.h"
#include "core/include/hivemind/module.h"
#include "core/state/state.h"
#include "tests/sim/accidents.h"
#include "tests/sim/disk.h"
#include "tests/sim/faults.h"
#include "tests/sim/lites.h"
#include "tests/sim/net.h"
#include "tests/sim/operator.h"
#include "tests/sim/registrar.h"
#include "tests/sim/writer.h"

#define CLUSTER_NODES_MAX     14
#define CLUSTER_WALL_START_MS 1700000000000u

struct cluster;

/* The newest version of a host that a consumer served since it started. A host that was removed and
 * let in again is another member; so is one that the removal brake brings back, as it was
 * committed, when it had gone already with what it had pushed. */
struct cluster_served {
    struct hm_id host;
    uint64_t joined;
    bool braked;
    struct hm_version version;
    bool lite;
};

/* Of another node, from its last datagram in full: what a brief one must agree with. */
struct cluster_heard {
    uint64_t starts;
    uint64_t header_cluster;
};

struct cluster_node {
    struct cluster *cluster;
    size_t slot;
    const char *role;
    uint64_t starts; /* of the process; events for older ones are void */
    bool runs;
    bool in_turn;       /* was told something in this turn of its loop, which is to end */
    bool machine;       /* answers, if only with a refusal */
    bool gone;          /* killed for good */
    bool lost;          /* not to be started for now */
    bool fenced;        /* when it was looked at last, */
    uint64_t fenced_at; /* at this index */
    hm_ms paused_until;
    struct hm_node *node;
    struct hm_node_config config;
    const struct hm_module *modules[2];
    struct sim_disk disk;
    hm_ms wake_at;
    uint64_t header_cluster;                                           /* for the clear header */
    struct cluster_heard heard[CLUSTER_NODES_MAX + CLUSTER_LITES_MAX]; /* since it started */
    bool stopped;
    enum hm_status stop_status;
    struct hm_id id;
    unsigned services;           /* a host's, a bit each */
    struct hm_version published; /* its newest */
    struct cluster_served served[CLUSTER_NODES_MAX + CLUSTER_LITES_MAX];
    size_t served_count;
    uint64_t seen_index;
};

/* What the control plane agreed on at an index, the same on every node for ever. */
struct cluster_fact {
    uint64_t hash; /* 0: not known yet */
};

#define CLUSTER_MEMBERS_MAX 64

/* The members at a position of feed `members`. */
struct cluster_list {
    size_t count; /* 0: not known */
    struct hm_id ids[CLUSTER_MEMBERS_MAX];
};

struct cluster {
    struct sim_world world;
    struct sim_net net;
    struct sim_faults faults;
    size_t control_count;
    size_t dns_count;
    size_t host_count;
    size_t count;
    uint32_t rings;
    uint32_t fanout;
    bool has_turns; /* events that come together are acted on together */
    bool upgrades;  /* nodes go to the next release as they start again, at last all of them */
    bool calm;      /* nothing goes wrong by itself */
    bool churns;    /* hosts change all the time, and many go out and come in again */
    hm_ms until;
    hm_ms settle_ms; /* from then to the end */
    hm_ms brake_ms;  /* how long the removal brake holds; 0: as long as usual */
    struct cluster_node nodes[CLUSTER_NODES_MAX];
    struct cluster_fact *facts;
    size_t fact_count;
    struct cluster_list *lists; /* by position */
    size_t list_count;
    struct hm_id *leaders; /* by term */
    size_t leader_count;
    struct hm_id joined[256]; /* ids that some control node knew as members */
    size_t joined_count;
    uint64_t generation; /* of the event log; others are not compared with it */
    bool recovers;       /* all control nodes but one are lost once, and that one is recovered */
    size_t survivor;
    size_t looks; /* at a survivor that cannot go on yet */
    uint64_t recoveries;
    uint64_t elections;
    uint64_t highest;
    uint64_t versions; /* published */
    struct cluster_writer writers[WRITERS];
    size_t names_count; /* so many control nodes have role names; 0: nobody, and no registrars */
    struct registrar registrars[REGISTRARS];
    uint64_t names_step; /* counts what happened to names */
    size_t names_checked;
    struct hm_buf reply; /* to a question of a scenario, the last one */
    size_t lite_count;
    struct cluster_lite lites[CLUSTER_LITES_MAX];
    size_t keeper_slot; /* of the one that came or went */
    struct accident accident;
};

/* A cluster whose shape follows from the seed; scenarios change it before cluster_start. */
void cluster_init(struct cluster *cluster, uint64_t seed, bool loud);
void cluster_start(struct cluster *cluster);
void cluster_run(struct cluster *cluster, hm_ms until);
void cluster_check_end(struct cluster *cluster);
void cluster_fini(struct cluster *cluster);
void cluster_crash(struct cluster *cluster, size_t slot, bool power);
void cluster_boot(struct cluster *cluster, size_t slot);

struct hm_addr cluster_addr(size_t slot);

/* The connection of scenarios: what is answered there is the cluster's `reply`. */
#define CLUSTER_CONNECTION 61u

/* A question over the control socket of a running node. */
void cluster_ask(struct cluster_node *node, uint64_t connection, const struct hm_message *question);

/* cluster_check.c: after every step of a node. */
void cluster_check(struct cluster_node *node);

#endif
