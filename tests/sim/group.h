/* A replicated log under test: participants on some nodes, a state machine that counts, clients
 * that append and read with retries, an administrator that changes the voters. */
#ifndef TESTS_SIM_GROUP_H
#define TESTS_SIM_GROUP_H

#include "core/log/logs.h"
#include "tests/sim/disk.h"
#include "tests/sim/faults.h"
#include "tests/sim/net.h"

#define GROUP_NODES_MAX   5
#define GROUP_CLIENTS_MAX 4

/* What a right clock shows when a simulation begins. */
#define GROUP_WALL_START_MS UINT64_C(1700000000000)

/* An ordered set of appended values, as its length and a hash over it. */
struct machine {
    uint64_t applied; /* Raft index */
    uint64_t length;
    uint64_t hash;
    uint64_t time_ms; /* of the log: never goes back, whatever the leaders' wall clocks do */
    uint64_t last_seq[GROUP_CLIENTS_MAX];
    uint64_t place[GROUP_CLIENTS_MAX]; /* of that value */
};

struct group;

struct group_node {
    struct group *group;
    size_t slot;
    uint64_t life;   /* of the id: raised when a removed node comes back as a new one */
    uint64_t starts; /* of the process; events for older ones are void */
    bool runs;
    hm_ms paused_until;
    hm_ms clock_set;  /* world's time when the rate of its clock last changed */
    hm_ms clock_then; /* what its clock showed then */
    uint32_t clock_permille;
    int64_t wall_offset;
    struct hm_logs *logs;
    struct hm_participant *log;
    struct hm_raft *raft; /* the participant's */
    struct sim_disk disk;
    bool disk_busy;
    bool side_busy; /* a snapshot is being written beside the journal */
    hm_ms wake_at;
    struct machine machine;
    uint64_t compact_every;
    bool shortens;      /* compacting leaves what is kept in the log */
    uint64_t shortened; /* Raft index at which it did so last */
};

struct group_client {
    struct group *group;
    size_t number;
    size_t target;
    uint64_t op;      /* counts operations */
    uint64_t attempt; /* counts attempts of all operations */
    bool busy;
    bool reads;
    uint64_t opened_ms; /* its session, in log time */
    uint64_t seq;       /* goes on from session to session */
    uint64_t acked_seq;
    uint64_t floor; /* what a read must see at least */
};

/* What is known of an index: the same for every node, for ever. */
struct group_fact {
    bool known;
    uint64_t entry;
    uint64_t state;
};

struct group_checker {
    uint64_t *kept; /* hash of what is kept, by index of the entry; 0: not known yet */
    size_t kept_count;
    struct group_fact *facts; /* by index */
    size_t fact_count;
    struct hm_id *leaders; /* by term */
    size_t leader_count;
    uint64_t highest;      /* index applied by anyone */
    uint64_t acked_length; /* some client knows that the list is at least so long */
    uint64_t acked_after_heal;
    struct hm_id members[GROUP_NODES_MAX + 1]; /* of the committed configuration */
    bool voting[GROUP_NODES_MAX + 1];
    size_t member_count;
    uint64_t members_index;
};

struct group_options {
    size_t nodes;
    bool churn; /* voters come and go all the time */
    bool faults;
    bool datagrams;  /* messages may be lost, doubled, overtaken */
    hm_ms pause_max; /* of a client between two operations */
    uint64_t segment_bytes;
    uint32_t keep_entries;     /* so many stay readable */
    uint32_t trailing_entries; /* so many stay in memory; 0: as many as usual */
    hm_ms until;               /* of faults */
};

struct group {
    struct sim_world world;
    struct sim_net net;
    struct sim_faults faults;
    struct group_options options;
    struct group_node nodes[GROUP_NODES_MAX];
    struct group_client clients[GROUP_CLIENTS_MAX];
    size_t client_count;
    struct group_checker checker;
    uint64_t acked;
    uint64_t elections;
};

/* A group whose shape follows from the seed; scenarios change `options` before group_start. */
void group_init(struct group *group, uint64_t seed, bool loud);
void group_start(struct group *group);
/* Runs until the time, or until an invariant breaks. */
void group_run(struct group *group, hm_ms until);
/* After everything was healed and has settled: all agree, nothing acknowledged is lost. */
void group_check_end(struct group *group);
void group_fini(struct group *group);

struct hm_peer group_peer(const struct group_node *node);
/* What the node's own clock shows. */
hm_ms group_now(const struct group_node *node);
/* The node with this id in its present life, or NULL. */
struct group_node *group_find(struct group *group, const struct hm_id *id);
/* The running leader of the highest term, or NULL. */
struct group_node *group_leader(struct group *group);
void group_crash(struct group *group, size_t slot, bool power);
void group_boot(struct group *group, size_t slot);
/* Does what the engine wants. To be called after every call on it. */
void group_pump(struct group_node *node);

/* That of the log; its context is a node. */
extern const struct hm_machine group_machine;

/* The session of a client's appends that was opened at this log time. */
struct hm_id group_session(size_t client, uint64_t opened_ms);

/* clients.c */
void client_start(struct group_client *client);
/* What the participant of `node` has to say to the asker with this token. */
void client_answered(struct group_node *node, uint64_t token, const struct hm_outcome *outcome);
void admin_start(struct group *group);

/* archive.c: backups are made, changed now and then, and read. */
void archive_start(struct group *group);

/* check.c */
void check_applied(struct group_node *node, uint64_t index, struct hm_bytes entry);
/* All that a replica keeps is there, and the same everywhere. */
void check_entries(struct group_node *node, const struct hm_replica *replica);
/* The same of the node's own. */
void check_kept(struct group_node *node);
/* An append was told this index: if that entry is kept, it is the client's. */
void check_told(struct group_node *node, const struct group_client *client, uint64_t index);
void check_installed(struct group_node *node, uint64_t index);
void check_role(struct group_node *node);
void check_voters(struct group *group, uint64_t index, const struct hm_log_voters *voters);
bool check_is_member(const struct group *group, const struct hm_id *id);

#endif
