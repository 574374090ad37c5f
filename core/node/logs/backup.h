/* What a control node has, handed out over the control socket: the state of each of its logs, one
 * after the other and piece by piece. */
#ifndef HM_NODE_BACKUP_H
#define HM_NODE_BACKUP_H

#include "core/node/desk/inside.h"

/* Another node wants to know how far its copy of a log must be. */
struct hm_index_read {
    uint64_t token;
    uint32_t log;
    struct hm_peer peer;
    uint64_t call;
};

/* A backup that is being read. All zero is a valid one: none is. */
struct hm_backup {
    uint64_t connection;          /* whose it is; 0: nobody's */
    struct hm_backup_query query; /* the question that waits */
    uint64_t token;               /* of its asker; 0: none waits */
    uint64_t first_call;          /* what was asked of the leader since the question came */
    uint64_t last_call;
    uint64_t needed; /* Raft index that the copy must have reached; 0: not known yet */
    hm_ms again_at;
    hm_ms until;
    struct hm_backup_log log; /* what is at hand; `applied` 0: nothing */
    struct hm_buf state;
    hm_ms drop_at;
    uint64_t count; /* of all that was ever asked of a log here */
    struct hm_index_read *reads;
    size_t read_count;
    size_t read_capacity;
};

/* From the control socket: takes a state, or hands on what was taken. One asker at a time. */
void hm_node_on_backup_query(struct hm_node *node, const struct hm_request *request);
/* Between control nodes: how far a copy must be. */
void hm_node_on_index_query(struct hm_node *node, const struct hm_peer *from,
                            const struct hm_message *message);
void hm_node_on_index_reply(struct hm_node *node, const struct hm_peer *from,
                            const struct hm_message *message);
/* An ANSWER of a log; true: it was to a question of this file. */
bool hm_node_backup_answered(struct hm_node *node, const struct hm_log_effect *effect);
/* What was waited for may be applied. */
void hm_node_pump_backup(struct hm_node *node);
void hm_node_tick_backup(struct hm_node *node);
hm_ms hm_node_backup_deadline(const struct hm_node *node);
/* This control connection is gone, and what it asked for. */
void hm_node_close_backup(struct hm_node *node, uint64_t connection);

#endif
