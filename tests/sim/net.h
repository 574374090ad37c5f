/* A network between numbered nodes. Datagrams are lost, delayed, doubled and overtaken; streams are
 * ordered and reliable until they break, are closed when idle, and stand without use where a node
 * holds them. Links are cut one way or both. */
#ifndef TESTS_SIM_NET_H
#define TESTS_SIM_NET_H

#include "core/base/status.h"
#include "tests/sim/world.h"

#define SIM_NODES_MAX 16

/* What the network tells the nodes. `generation` of a node changes at each of its starts; what was
 * on its way to an older one is gone. */
struct sim_net_hooks {
    bool (*runs)(void *context, size_t node);
    void (*datagram)(void *context, size_t to, size_t from, struct hm_bytes bytes);
    void (*stream)(void *context, size_t to, size_t from, struct hm_bytes bytes);
    void (*up)(void *context, size_t node, size_t peer);
    void (*down)(void *context, size_t node, size_t peer, enum hm_status why);
    /* A datagram came to a node that does not run. */
    void (*refused)(void *context, size_t from, size_t to);
};

struct sim_message;

/* From one node to another, opened by the first send, or to be held. */
struct sim_stream {
    enum { SIM_CLOSED, SIM_CONNECTING, SIM_OPEN } state;
    bool held;           /* stands though nothing is sent, and is opened again when it breaks */
    uint64_t generation; /* of this connection; events of older ones are void */
    hm_ms stuck_since;   /* HM_NEVER: not stuck */
    hm_ms busy_until;    /* delivery of the last one queued */
    hm_ms used;          /* when something was sent last, or it was opened */
    struct sim_message *first;
    struct sim_message *last;
};

struct sim_net {
    struct sim_world *world;
    size_t count;
    const struct sim_net_hooks *hooks;
    void *context;
    bool cut[SIM_NODES_MAX][SIM_NODES_MAX]; /* [from][to] */
    struct sim_stream streams[SIM_NODES_MAX][SIM_NODES_MAX];
    hm_ms delay_min;
    hm_ms delay_max;
    uint32_t loss_permille;
    uint32_t twice_permille;
    uint64_t sent;
    uint64_t lost;
    uint64_t doubled;
};

void sim_net_init(struct sim_net *net, struct sim_world *world, size_t count,
                  const struct sim_net_hooks *hooks, void *context);
void sim_net_fini(struct sim_net *net);
void sim_net_datagram(struct sim_net *net, size_t from, size_t to, struct hm_bytes bytes);
void sim_net_stream(struct sim_net *net, size_t from, size_t to, struct hm_bytes bytes);
/* As hm_transport_hold: what a node says ends with its process. */
void sim_net_hold(struct sim_net *net, size_t from, size_t to, bool hold);
/* The node died. Its peers see a reset when its machine lives on, else silence. */
void sim_net_died(struct sim_net *net, size_t node, bool machine);
/* All links whole; loss and doubles off. */
void sim_net_heal(struct sim_net *net);

#endif
