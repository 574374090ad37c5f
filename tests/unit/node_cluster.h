/* A cluster of whole nodes over a perfect network in virtual time, with roles that have no
 * substance. HM_TEST_LOG in the environment shows what the nodes log. */
#ifndef HM_TESTS_UNIT_NODE_CLUSTER_H
#define HM_TESTS_UNIT_NODE_CLUSTER_H

#include "core/include/hivemind/module.h"

#define NODES_MAX    16
#define DELAY_MS     1u
#define PORT_OF_HUGE 666u

/* What the role of a node was told of the feed: a letter an event, or the name of a user event. */
struct told {
    char text[64];
    uint64_t last; /* index */
};

/* Roles control, dns (a consumer) and host (which serves "web"). */
extern const struct hm_module control_module;
extern const struct hm_module dns_module;
extern const struct hm_module host_module;

struct packet {
    hm_ms at;
    size_t from;
    struct hm_addr to;
    bool stream;
    uint64_t cluster;
    struct hm_bytes bytes;
};

struct cluster {
    hm_ms now;
    uint64_t seed;
    uint32_t rings; /* 0: as everywhere */
    struct hm_node *nodes[NODES_MAX];
    struct hm_node_config configs[NODES_MAX];
    const struct hm_module *modules[NODES_MAX][1];
    uint64_t cluster_ids[NODES_MAX];
    bool dead[NODES_MAX];
    bool stopped[NODES_MAX];
    bool held[NODES_MAX][NODES_MAX]; /* streams that stand: [holder][whom] */
    size_t count;
    struct packet *packets;
    size_t packet_count;
    size_t packet_capacity;
    size_t sent;
    size_t datagrams[NODES_MAX];         /* sent to each */
    size_t warnings;                     /* lines of the log */
    struct hm_buf reply;                 /* the last one to a control connection */
    struct hm_buf identities[NODES_MAX]; /* the only file that the roles here have */
};

struct hm_addr addr_of(size_t number);
void drain(struct cluster *cluster, size_t number);
/* Makes and starts a node from what its disk holds. */
void boot(struct cluster *cluster, size_t number);
size_t start(struct cluster *cluster, const char *name, const struct hm_module *module,
             bool bootstrap);
void step(struct cluster *cluster);
void run_for(struct cluster *cluster, hm_ms duration);
void finish(struct cluster *cluster);
size_t members(const struct cluster *cluster, size_t number);
size_t instances(const struct cluster *cluster, size_t number, const char *service);
/* Three control nodes (0-2), two consumers (3, 4), two hosts (5, 6). */
void start_seven(struct cluster *cluster);
size_t leader_of(const struct cluster *cluster);

#endif
