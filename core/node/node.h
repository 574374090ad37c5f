/* A node: the engines, the state and the modules as one thing that is fed bytes and the time, and
 * says what is to be done. It does no I/O: the daemon, nginx and the simulator each do it for it.
 *
 * An adapter feeds events in, one or as many as there are, then pops acts until there are none,
 * then sleeps until the deadline or the next event. Most of what an event leads to is done by the
 * popping: events that were fed in together share messages, writes and syncs. Nothing here blocks,
 * and nothing calls back into the adapter. */
#ifndef HM_NODE_NODE_H
#define HM_NODE_NODE_H

#include "core/base/bytes.h"
#include "core/base/ids.h"
#include "core/engine/disk.h"
#include "core/wire/message.h"

struct hm_node;
struct hm_module;
struct hm_conf_node; /* a parsed section of the configuration; only modules look inside */
struct hm_module_io;

#define HM_NODE_ROLES_MAX 16
#define HM_NODE_JOIN_MAX  32

/* What the adapter counts below the node; read whenever `hivemind status` is asked for. */
struct hm_node_counter {
    const char *name; /* of the fact */
    const uint64_t *value;
};

/* Counters that the node shows itself: how long a sync of the disk takes, of the latest ones. */
#define HM_NODE_SYNC_P50 "disk.sync_p50_us"
#define HM_NODE_SYNC_P99 "disk.sync_p99_us"

/* Files of the data directory: what a node was whose control data is put aside, as file identity
 * has it; and which other generation of the log fenced it. */
#define HM_NODE_REJOIN_FILE "rejoin"
#define HM_NODE_FENCED_FILE "fenced"

/* What a node is made of; the caller keeps what is pointed to until hm_node_free. */
struct hm_node_config {
    struct hm_name name;
    struct hm_addr addr;                     /* advertised: UDP and TCP */
    struct hm_name roles[HM_NODE_ROLES_MAX]; /* each performed by a loaded module */
    size_t role_count;
    struct hm_addr join[HM_NODE_JOIN_MAX]; /* whom to ask; later ones by hm_node_set_join */
    size_t join_count;
    bool bootstrap;       /* founds a cluster when nobody of `join` answers for found_wait_ms */
    bool serve_joins;     /* answers joiners */
    bool durable;         /* has a data directory; else the journal is memory */
    uint32_t rings;       /* K, 8 by default; 0 means the default */
    uint32_t push_fanout; /* consumers of each role that a host pushes to; 0 means the default, 2 */
    uint32_t voters_target; /* odd; 0 means the default, 3 */
    hm_ms found_wait_ms;    /* 0 means the default, 10 s */
    hm_ms restart_grace_ms; /* 0 means the default, 30 s */
    hm_ms removal_brake_ms; /* as the leader has it; 0 means the default, 30 s */
    uint32_t feature;       /* level that it supports; 0 means this release's */
    uint32_t key_id;        /* of the cluster key, to be told; 0: not known */
    uint64_t seed; /* of all randomness; the node id comes from it when there is none yet */
    const struct hm_module *const *modules; /* roles and middlewares, in the order of the chain */
    const struct hm_conf_node *const *sections; /* one a module; NULL: none given */
    const struct hm_conf_node *root;            /* the whole configuration; may be NULL */
    size_t module_count;
    const struct hm_module_io *io; /* sockets and timers for modules; NULL in the simulator */
    const struct hm_node_counter *counters;
    size_t counter_count;
};

enum hm_log_level { HM_LOG_ERROR, HM_LOG_WARN, HM_LOG_INFO, HM_LOG_DEBUG };

enum hm_act_kind {
    HM_ACT_NONE,
    HM_ACT_SEND,    /* `bytes` to `addr`, over its stream or as a datagram, which may be `brief` */
    HM_ACT_HOLD,    /* a stream to `addr` is to stand though nothing is sent, or (`hold` false) need
                       not any more */
    HM_ACT_DISK,    /* do `ops` in order, then hm_node_disk_done(number) */
    HM_ACT_REPLY,   /* `bytes` (one message) to the control connection `number` */
    HM_ACT_LOG,     /* `bytes`: the rest of a logfmt line after the level: msg="..." key=value */
    HM_ACT_CLUSTER, /* `number`: the cluster id for the clear header from now on */
    HM_ACT_READY,   /* joined, and everything its roles require is there */
    HM_ACT_STOPPED, /* done: `status` says why (HM_OK: asked to; HM_STALE: its control data is to be
                       put aside and the node started anew) */
};

/* What a pointer of an act points to lives until the next call on the node. For the disk one
 * batch is out at a time, and one more that says `beside`: it may be done while the other is. */
struct hm_act {
    enum hm_act_kind kind;
    struct hm_addr addr;
    bool stream;
    bool brief;
    bool hold;
    struct hm_bytes bytes;
    const struct hm_disk_op *ops;
    size_t op_count;
    bool beside;
    uint64_t number;
    enum hm_log_level level;
    enum hm_status status;
};

/* Makes a node; it does nothing before hm_node_start. NULL and a sentence in `error` when a module
 * refuses its configuration or a role has no module. */
struct hm_node *hm_node_new(const struct hm_node_config *config, struct hm_buf *error);
void hm_node_free(struct hm_node *node);

/* Takes over the files of its data directory (none at the first start; borrowed for the call) and
 * starts. `now` is monotonic, `wall_ms` is Unix time. HM_DAMAGED, HM_DENIED (another node's
 * directory): a sentence in `error`, nothing was changed, and the node must not be used. */
HM_MUST_USE enum hm_status hm_node_start(struct hm_node *node, hm_ms now, uint64_t wall_ms,
                                         const struct hm_disk_file *files, size_t file_count,
                                         struct hm_buf *error);

/* ---- events in ---- */

/* An opened payload from a peer. `from` is the source of a datagram and none for a stream;
 * `cluster` is what the clear header said. What does not decode is counted and dropped. */
void hm_node_receive(struct hm_node *node, hm_ms now, const struct hm_addr *from, bool stream,
                     uint64_t cluster, struct hm_bytes payload);
/* Our stream to an address stands. */
void hm_node_stream_up(struct hm_node *node, hm_ms now, const struct hm_addr *addr);
/* It is gone, with what was queued on it: HM_UNREACHABLE refused or timed out, HM_IO reset,
 * HM_UNSEALED the other side has another key, HM_OK closed when idle. */
void hm_node_stream_down(struct hm_node *node, hm_ms now, const struct hm_addr *addr,
                         enum hm_status why);
/* A datagram to this address was refused by its host (ICMP). */
void hm_node_refused(struct hm_node *node, hm_ms now, const struct hm_addr *addr);
/* One message over the control socket; answers come as HM_ACT_REPLY for this connection. */
void hm_node_control(struct hm_node *node, hm_ms now, uint64_t connection, struct hm_bytes message);
void hm_node_control_closed(struct hm_node *node, hm_ms now, uint64_t connection);
void hm_node_disk_done(struct hm_node *node, hm_ms now, uint64_t number, enum hm_status status);
/* SIGTERM: stop, meaning to come back. The node says so to its observers and ends with STOPPED. */
void hm_node_stop(struct hm_node *node, hm_ms now);
void hm_node_set_wall(struct hm_node *node, hm_ms now, uint64_t wall_ms);
/* The configuration was read anew and only keys marked live differ: modules take it over.
 * `sections` and `root` live on; the old ones are no longer used. */
void hm_node_reload(struct hm_node *node, hm_ms now, const struct hm_conf_node *const *sections,
                    const struct hm_conf_node *root);
/* The least severe lines that are wanted from now on; at first all. Others are not even made. */
void hm_node_set_log_level(struct hm_node *node, enum hm_log_level level);
/* The names of `join` were resolved anew. */
void hm_node_set_join(struct hm_node *node, const struct hm_addr *join, size_t count);

/* Time passes: to be called at the deadline, harmless at any time. */
void hm_node_tick(struct hm_node *node, hm_ms now);
hm_ms hm_node_deadline(const struct hm_node *node);

/* Pops what is to be done; false when there is nothing more. */
bool hm_node_output(struct hm_node *node, struct hm_act *out);

/* ---- for tests, the simulator and embedding programs: what a node knows ---- */

struct hm_view;
struct hm_catalog;
const struct hm_view *hm_node_view(const struct hm_node *node);
/* NULL where the node is no consumer. */
const struct hm_catalog *hm_node_catalog(const struct hm_node *node);
struct hm_slice;
/* Whom it knows of the rings. */
const struct hm_slice *hm_node_slice(const struct hm_node *node);
struct hm_keeper;
/* The lite hosts that it keeps. */
const struct hm_keeper *hm_node_keeper(const struct hm_node *node);
struct hm_id hm_node_id(const struct hm_node *node);
bool hm_node_is_ready(const struct hm_node *node);
/* Of the event log; false, 0 and none where the node has none. */
bool hm_node_is_leader(const struct hm_node *node);
uint64_t hm_node_term(const struct hm_node *node);
/* Of the event log as the node knows it; 0: never recovered. */
uint64_t hm_node_generation(const struct hm_node *node);
/* It met another generation of its log and serves nothing. */
bool hm_node_is_fenced(const struct hm_node *node);
/* The committed feature level as a control node knows it; 0 on others. */
uint32_t hm_node_feature(const struct hm_node *node);

#endif
