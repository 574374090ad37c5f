/* The logs that this node carries: the event log, and which named ones. */
#ifndef HM_NODE_NAMED_H
#define HM_NODE_NAMED_H

#include "core/node/logs/voters.h"

/* The scope of their records: key is the name, value a message log_record. Beside them, in scope
 * log.ids, the record `next` holds the id that the next one gets. */
#define HM_SCOPE_LOGS    "logs"
#define HM_SCOPE_LOG_IDS "log.ids"
#define HM_NAMED_MAX     64u

/* The log of a role has this name, which nobody can make, and an id made from it with this bit, so
 * that what a journal has of it finds its machine before any record is known. */
#define HM_ROLE_LOG_PREFIX "role."
#define HM_ROLE_LOG_BIT    0x80000000u

/* A named log that this node carries. */
struct hm_named {
    uint32_t id;
    struct hm_name name; /* empty: its record is not known yet */
    struct hm_participant *participant;
    struct hm_upkeep upkeep;
    uint64_t recovered; /* Raft index of its last entry when it was recovered; 0: it was not */
    bool progressed;    /* something was applied since those who wait were looked at */
};

/* All zero is a valid empty one. */
struct hm_carried {
    struct hm_upkeep upkeep; /* of the event log; no raft: it is not carried */
    struct hm_named **named; /* by rising id */
    size_t named_count;
    size_t named_capacity;
    uint64_t logs_version; /* of scope logs, when the named ones were looked at last */
};

struct hm_name hm_node_role_log_name(const char *role);
uint32_t hm_node_role_log_id(const char *role);
/* The role whose log has this name; NULL: it is none of a role. */
const char *hm_node_role_of_log(const struct hm_name *name);

/* For a log that was found in the journal. */
bool hm_node_use_log(void *context, uint32_t log, struct hm_participant_config *out);
/* Once the journal is read. */
void hm_node_adopt_logs(struct hm_node *node);
/* Opens and closes them as the records say. */
void hm_node_sync_logs(struct hm_node *node);
struct hm_named *hm_node_find_named(const struct hm_node *node, const struct hm_name *name);
struct hm_named *hm_node_named(const struct hm_node *node, uint32_t id);
/* A named log goes on in this generation with this node as its only voter. As
 * hm_participant_recover. */
HM_MUST_USE enum hm_status hm_node_recover_named(struct hm_node *node, struct hm_named *named,
                                                 uint64_t generation);
/* Nothing of what named logs were recovered with can be taken back by a power cut. */
bool hm_node_named_are_recovered(const struct hm_node *node);
/* The record of a named log, decoded into `arena`; false: there is none. */
bool hm_node_log_record(const struct hm_node *node, const struct hm_name *name,
                        struct hm_arena *arena, struct hm_log_record *out, uint64_t *index);
/* The id that the next log gets: logs below it without a record were deleted. */
uint32_t hm_node_next_log_id(const struct hm_node *node);
/* All that its logs leave, but answers. */
void hm_node_on_named_effect(struct hm_node *node, const struct hm_log_effect *effect);
void hm_node_tick_named(struct hm_node *node);
hm_ms hm_node_named_deadline(const struct hm_node *node);
/* A node that stops leads no longer. */
void hm_node_hand_over_logs(struct hm_node *node);
/* This node votes in some log. */
bool hm_node_votes(const struct hm_node *node);
void hm_node_free_named(struct hm_node *node);

/* In all logs: a member has left, or is one again. */
void hm_node_note_left(struct hm_node *node, const struct hm_id *id);
void hm_node_forget_left(struct hm_node *node, const struct hm_id *id);
/* Which voters have left is not in a snapshot, but in the events that it holds. */
void hm_node_recall_leaves(struct hm_node *node);

#endif
