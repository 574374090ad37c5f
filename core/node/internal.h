/* Inside a node: its parts, and what its files share. Only core/node includes this. */
#ifndef HM_NODE_INTERNAL_H
#define HM_NODE_INTERNAL_H

#include "core/base/memory.h"
#include "core/engine/crowd.h"
#include "core/engine/feed.h"
#include "core/engine/keeper.h"
#include "core/engine/push.h"
#include "core/engine/reconcile.h"
#include "core/engine/slice.h"
#include "core/engine/swim.h"
#include "core/engine/verdict.h"
#include "core/include/hivemind/module.h"
#include "core/log/logs.h"
#include "core/node/calls.h"
#include "core/state/state.h"

#include <stdarg.h>

/* Feeds, by their numbers on the wire. */
#define HM_FEED_MEMBERS 0u
#define HM_FEED_STATE   1u
#define HM_FEED_COUNT   2u

enum hm_node_phase {
    HM_PHASE_NEW,
    HM_PHASE_IDENTIFYING, /* its identity is being made durable, then it joins or goes on */
    HM_PHASE_JOINING,     /* asks to be let in, or, after a restart, for a digest */
    HM_PHASE_FOUNDING,    /* is making the cluster's first events */
    HM_PHASE_ADOPTING,    /* was let in; its cluster is being made durable */
    HM_PHASE_MEMBER,
    HM_PHASE_FENCED,   /* a control node that met another generation of its log: serves nothing */
    HM_PHASE_LEAVING,  /* has asked to go */
    HM_PHASE_STOPPING, /* has told its observers; lets what is queued go out */
    HM_PHASE_STOPPED,
};

struct hm_module_ctx {
    struct hm_node *node;
    const struct hm_module *module;
    const struct hm_conf_node *section;
    void *state;
    struct hm_machine machine; /* of its log, if it has one */
    uint32_t log;              /* the id of that; 0: it has none */
    hm_ms wake_at;
};

/* A batch for the disk; one at a time is out. Small files wait in order, the journal comes last.
 * Its large snapshots go beside all that. */
struct hm_file_write {
    struct hm_disk_op op;
    struct hm_buf content;
};

struct hm_disk_queue {
    struct hm_file_write *files;
    size_t count;
    size_t capacity;
    uint64_t number_last;
    uint64_t number;        /* of the batch that is out */
    bool busy;              /* a batch is out */
    bool journal_is_out;    /* it is that of the logs; else it is files[0] */
    hm_ms retry_at;         /* of a journal that failed; HM_NEVER: it did not */
    enum hm_status failure; /* why something waits to be written again; HM_OK: nothing does */
    uint64_t side;          /* number of the batch beside it that is out; 0: none */
    bool side_failed;       /* the last one did */
    hm_ms side_retry_at;    /* HM_NEVER: now */
};

/* Joining, as the joiner sees it. */
struct hm_joining {
    hm_ms ask_at;
    hm_ms found_at; /* founds a cluster then, unless somebody answered; HM_NEVER: never */
    hm_ms backoff_ms;
    size_t next;          /* in config.join */
    size_t hurried;       /* asked without waiting, since the last time that one waited */
    struct hm_addr asked; /* last */
    uint64_t call;
    bool answered; /* somebody of the cluster spoke to us */
};

/* A slice that cannot be mended, as asked of the control plane. */
struct hm_fresh {
    hm_ms at; /* asked (again) then; HM_NEVER: nothing is missing */
    uint64_t call;
    uint32_t tries;
};

/* A consumer's bootstrap: the records, page by page, then every host's own word. */
struct hm_bootstrap {
    bool done;
    bool asked_peer; /* the first try goes to a peer, later ones to the control plane */
    uint64_t call;
    hm_ms retry_at;
    struct hm_name after_scope;
    struct hm_buf after_key;
};

/* Whom a request answers that waits in the log for its commit. */
struct hm_pending {
    uint64_t token; /* what the log calls it */
    struct hm_id session;
    uint64_t call;         /* of joins: their batch */
    struct hm_peer joiner; /* where the session is reached */
    bool is_join;
};

/* A node that waits at the leader to be let in. */
struct hm_waiting_join {
    struct hm_id id;
    uint64_t batch;       /* 0: not in the log yet */
    bool alone;           /* refused in a batch: it is told why when it asks by itself */
    struct hm_bytes join; /* its message, owned */
};

/* Joins are let in together: the more there were lately, the longer one waits for others. */
struct hm_joins {
    struct hm_waiting_join *items;
    size_t count;
    size_t capacity;
    uint64_t batch; /* of the last one */
    hm_ms flush_at; /* HM_NEVER: nobody waits */
    struct hm_crowd crowd;
};

/* The voters of a log, as this node looks after them while it leads. */
struct hm_upkeep {
    struct hm_raft *raft;
    const char *log;  /* its name, for people */
    const char *role; /* who carries it must have this besides `control`; NULL: nothing */
    hm_ms look_at;    /* next look at the voters */
    struct hm_id left[HM_RAFT_VOTERS_MAX]; /* voters that left: to be removed from the voters */
    size_t left_count;
    struct hm_id excluded[HM_RAFT_VOTERS_MAX]; /* control nodes that are not to carry it */
    size_t excluded_count;
};

/* A named log that this node carries. */
struct hm_named {
    uint32_t id;
    struct hm_name name; /* empty: its record is not known yet */
    struct hm_participant *participant;
    struct hm_upkeep upkeep;
    bool progressed; /* something was applied since those who wait were looked at */
};

/* A session of this node for named logs: at most 64 appends of it are on their way, so that
 * none falls out of the window whatever order they arrive in. */
struct hm_lane {
    struct hm_id session;
    uint64_t next_seq;
    uint64_t open; /* bit i: next_seq - 1 - i is on its way */
    hm_ms made_at;
};

/* What a node of the control plane has besides. */
struct hm_control {
    struct hm_logs *logs;       /* NULL: not of the control plane */
    struct hm_participant *log; /* of the event log, log 0 */
    struct hm_raft *raft;       /* the participant's */
    struct hm_state *state;     /* its machine */
    uint64_t next_token;
    struct hm_pending *pending; /* by rising token */
    size_t pending_count;
    size_t pending_capacity;
    struct hm_verdict verdict; /* on the leader */
    struct hm_joins joins;
    struct hm_upkeep upkeep; /* of the event log */
    struct hm_named **named; /* by rising id */
    size_t named_count;
    size_t named_capacity;
    uint64_t logs_version; /* of scope logs, when the named ones were looked at last */
    hm_ms role_logs_at;    /* the logs of roles are founded, or asked for again, not before */
    hm_ms silent_at;       /* until then nothing may say that this node is in; then it asks */
    hm_ms release_at;      /* next look at what the removal brake keeps */
    hm_ms tell_at;         /* next time that those who were left behind are told */
    bool was_leader;
    bool founding;
    uint64_t founding_cluster;
};

/* The host config of this node, as its modules publish it. */
struct hm_own_host {
    struct hm_buf config; /* message host_config; empty: nothing was published */
    struct hm_version version;
    uint64_t submit_call;        /* 0: none under way */
    hm_ms submit_at;             /* not before: the last one was refused */
    bool unheard;                /* the control plane says that it has no quorum */
    struct hm_version submitted; /* what it carries */
    struct hm_version committed; /* highest that is */
    uint64_t committed_index;
    char refused[256]; /* what the commit refused within it */
};

struct hm_origin {
    uint64_t token;
    bool local;
    uint64_t connection;
    struct hm_peer peer;
    uint64_t call; /* as the asker numbered it */
    hm_ms forget_at;
};

struct hm_change_wait;  /* report.c: a change report under way */
struct hm_version_wait; /* report.c: somebody waits for version[host] here */
struct hm_event_wait;   /* commands.c: somebody waits for an event */
struct hm_log_wait;     /* log_reads.c: somebody waits for an entry of a named log */

struct hm_queued_act {
    struct hm_act act;
    size_t offset;
};

struct hm_node {
    struct hm_node_config config;
    struct hm_random random;
    hm_ms now;
    uint64_t wall_offset; /* wall_ms - now, modulo 2^64 */
    enum hm_node_phase phase;
    struct hm_id id;
    uint64_t boot;
    uint64_t cluster;
    uint64_t generation; /* of the event log, as this node knows it; 0: never recovered */
    uint64_t met;        /* the highest other one that was met; 0: none */
    bool stale;          /* what is served is of an older generation, until it is replaced */
    bool journal_begun;  /* once, and its identity says so */
    bool is_control;
    bool carries_state;
    bool consumes;
    bool ready_told;
    enum hm_log_level log_level;
    bool returned;        /* a control node has told the log of its restart */
    bool caught_up;       /* a control node has applied what was committed before it came (back) */
    struct hm_place told; /* the last event of feed members that modules were told of */

    struct hm_module_ctx *modules;
    struct hm_disk_file *kept; /* files that modules kept, as found at start; owned */
    size_t kept_count;

    struct hm_view own_view;    /* of a node outside the control plane */
    const struct hm_view *view; /* own_view, or the state machine's */
    struct hm_catalog *catalog; /* NULL unless feed state is carried */
    struct hm_slice slice;
    bool slice_changed; /* or the nodes of roles that count here */
    struct hm_fresh fresh;
    struct hm_swim swim;
    struct hm_feed feeds[HM_FEED_COUNT];
    struct hm_reconcile reconcile; /* of a consumer */
    struct hm_pusher pusher;
    struct hm_keeper keeper;
    hm_ms report_at; /* reports are repeated then */
    uint64_t incarnation;

    struct hm_control control;
    struct hm_joining joining;
    struct hm_bootstrap bootstrap;
    struct hm_own_host own;
    struct hm_calls calls;
    uint64_t submit_seq;

    struct hm_origin *origins;
    size_t origin_count;
    size_t origin_capacity;
    struct hm_index by_token; /* of the origins */
    uint64_t next_token;
    struct hm_change_wait *change_waits;
    size_t change_wait_count;
    size_t change_wait_capacity;
    struct hm_version_wait *version_waits;
    size_t version_wait_count;
    size_t version_wait_capacity;
    struct hm_event_wait *event_waits;
    size_t event_wait_count;
    size_t event_wait_capacity;
    struct hm_log_wait *log_waits;
    size_t log_wait_count;
    size_t log_wait_capacity;
    size_t log_call_count; /* of kind HM_CALL_LOG */
    size_t log_call_bytes; /* in their messages */
    struct hm_lane *lanes;
    size_t lane_count;
    size_t lane_capacity;

    struct hm_disk_queue disk;
    struct hm_arena arena; /* of the event that is being looked into */
    bool fed;              /* an event came in since the last pump */
    struct hm_queued_act *acts;
    size_t act_first;
    size_t act_count;
    size_t act_capacity;
    struct hm_buf act_bytes;
    struct hm_buf mail; /* messages to ourselves: length (u32), message */
    struct hm_buf facts_bytes;
    struct hm_pair *facts;
    size_t fact_count;
    size_t fact_capacity;
    hm_ms refusal_at; /* no refusal is sent before */
    uint64_t dropped; /* payloads that did not decode */
    hm_ms stop_at;    /* HM_PHASE_STOPPING, LEAVING: ends then */
    enum hm_status stop_status;
    uint64_t leave_token;
};

/* ---- acts.c ---- */

void hm_node_log(struct hm_node *node, enum hm_log_level level, const char *event,
                 const char *format, ...) __attribute__((format(printf, 4, 5)));
void hm_node_act(struct hm_node *node, const struct hm_act *act);
/* Sends over what the message's class says; a datagram that is too large goes as a stream. To
 * ourselves it is delivered by the pump. An unknown address: nothing is sent. */
void hm_node_send(struct hm_node *node, const struct hm_peer *to, const struct hm_message *message);
void hm_node_send_bytes(struct hm_node *node, const struct hm_peer *to,
                        struct hm_bytes encoded_message);
/* Where a node is reached: by its member record, or as it was last heard. False: unknown. */
bool hm_node_find_peer(const struct hm_node *node, const struct hm_id *id, struct hm_peer *out);

/* ---- disk.c ---- */

/* Replaces a small file in the data directory (nothing without one). */
void hm_node_keep_file(struct hm_node *node, const char *file, struct hm_bytes content);
/* True when every small file is durable. */
bool hm_node_files_are_kept(const struct hm_node *node);
void hm_node_pump_disk(struct hm_node *node);
void hm_node_tick_disk(struct hm_node *node);
void hm_node_on_disk_done(struct hm_node *node, uint64_t number, enum hm_status status);
/* The identity file, from what the node knows. */
void hm_node_keep_identity(struct hm_node *node);

/* ---- dispatch.c ---- */

void hm_node_deliver(struct hm_node *node, const struct hm_peer *from,
                     const struct hm_message *message);
void hm_node_deliver_mail(struct hm_node *node);
/* Passes a request through the chain to its handler. */
void hm_node_request(struct hm_node *node, const struct hm_request *request);
/* A new place to answer to. */
uint64_t hm_node_open_request(struct hm_node *node, const struct hm_origin *origin);
/* Answers it: fills in `call` and forgets the token. Unknown tokens are fine (asker gone). */
void hm_node_answer(struct hm_node *node, uint64_t token, struct hm_message *message);
/* A message `answer` with a status and a sentence. */
void hm_node_answer_status(struct hm_node *node, uint64_t token, enum hm_status status,
                           const char *format, ...) __attribute__((format(printf, 4, 5)));
/* Forgets a token that will not be answered. */
void hm_node_close_request(struct hm_node *node, uint64_t token);
const struct hm_origin *hm_node_origin(const struct hm_node *node, uint64_t token);
void hm_node_expire_requests(struct hm_node *node);
/* A text for a wire field, out of `arena`. */
struct hm_bytes hm_node_text(struct hm_arena *arena, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* ---- membership.c ---- */

/* Our own member record as it should be. `roles` has room for HM_NODE_ROLES_MAX. */
struct hm_member hm_node_own_member(const struct hm_node *node, struct hm_label *roles);
/* An event was applied to the view: engines and catalog follow. */
void hm_node_on_event(struct hm_node *node, const struct hm_event *event);
void hm_node_pump_swim(struct hm_node *node);
void hm_node_on_swim(struct hm_node *node, const struct hm_peer *from,
                     const struct hm_message *message);
void hm_node_on_hint(struct hm_node *node, const struct hm_peer *from,
                     const struct hm_message *message);
void hm_node_repeat_reports(struct hm_node *node);
void hm_node_tell_stopping(struct hm_node *node);
void hm_node_check_ready(struct hm_node *node);
/* The members with a role, as peers; returns how many of them were written. */
size_t hm_node_peers_with_role(const struct hm_node *node, const char *role, struct hm_peer *out,
                               size_t most);

/* ---- slices.c ---- */

/* A member joined, or changed: false when this node has no use for it, and forgot it. */
bool hm_node_member_came(struct hm_node *node, const struct hm_member *member, bool joined);
void hm_node_member_went(struct hm_node *node, const struct hm_id *id);
/* The event at this position of feed `members` is in. */
void hm_node_slice_reach(struct hm_node *node, uint64_t position);
/* The members of the view are others than events told. */
void hm_node_reload_slice(struct hm_node *node);
/* Outside the control plane: knows from now on what a digest says. */
void hm_node_take_digest(struct hm_node *node, const struct hm_joined *digest);
/* What a joiner is handed; it points into the view and `arena`. */
void hm_node_fill_digest(const struct hm_node *node, const struct hm_join *join,
                         struct hm_arena *arena, struct hm_joined *digest);
/* The consumers that this node knows, but not the given one, in an order that depends on it;
 * returns how many were written. */
size_t hm_node_consumers(const struct hm_node *node, const struct hm_id *behind,
                         struct hm_peer *out, size_t most);
/* Engines follow the slice and the roles. */
void hm_node_refresh_slices(struct hm_node *node);
void hm_node_on_slice(struct hm_node *node, const struct hm_peer *from,
                      const struct hm_message *message);
void hm_node_pump_slice(struct hm_node *node);
void hm_node_want_fresh_slice(struct hm_node *node);
void hm_node_tick_fresh_slice(struct hm_node *node);
/* True when it was an answer to that. */
bool hm_node_on_fresh_slice(struct hm_node *node, const struct hm_joined *digest);

/* ---- joining.c ---- */

void hm_node_begin_joining(struct hm_node *node);
/* Asks for a digest; returns the call. */
uint64_t hm_node_send_join(struct hm_node *node, const struct hm_peer *to);
void hm_node_tick_joining(struct hm_node *node);
void hm_node_on_joined(struct hm_node *node, const struct hm_peer *from,
                       const struct hm_message *message);
void hm_node_on_refusal(struct hm_node *node, const struct hm_peer *from,
                        const struct hm_message *message);
void hm_node_on_join(struct hm_node *node, const struct hm_request *request);
/* On the leader: those who wait go into the log together; what became of a batch; all must ask
 * again, because this node leads no more. */
void hm_node_tick_joins(struct hm_node *node);
void hm_node_joins_decided(struct hm_node *node, uint64_t batch, const struct hm_outcome *outcome);
void hm_node_drop_joins(struct hm_node *node);
void hm_node_become_member(struct hm_node *node);
/* The stream to this address broke: if it was asked last, another is asked. */
void hm_node_join_peer_lost(struct hm_node *node, const struct hm_addr *addr);
/* The digest for a joiner, or why it is refused. */
void hm_node_send_digest(struct hm_node *node, const struct hm_join *join, enum hm_status status,
                         const char *reason);
/* Tells a stranger that it is not served. At most one a second. */
void hm_node_refuse_peer(struct hm_node *node, const struct hm_peer *peer, enum hm_status status,
                         const char *reason);

/* ---- keeping.c ---- */

void hm_node_on_keepalive(struct hm_node *node, const struct hm_request *request);
/* The members that may keep lite hosts have changed. */
void hm_node_refresh_keepers(struct hm_node *node);
/* SWIM doubts a member, or no longer. */
void hm_node_doubt_keeper(struct hm_node *node, const struct hm_id *id, bool doubtful);
/* lite_kept, lite_gone. */
void hm_node_on_lite_event(struct hm_node *node, const struct hm_message *body);
/* All records were replaced. */
void hm_node_reload_lites(struct hm_node *node);
/* What became of a request of the keeper: `submit` is the message that carried it. */
void hm_node_keep_submitted(struct hm_node *node, struct hm_bytes submit,
                            const struct hm_submitted *answer);
void hm_node_pump_keeper(struct hm_node *node);

/* ---- emit.c ---- */

/* Tells the modules of an event of feed members that was applied, unless they know it. */
void hm_node_tell_event(struct hm_node *node, const struct hm_event *event,
                        const struct hm_message *body);
/* From when on a control node takes what its log says for news. */
void hm_node_note_caught_up(struct hm_node *node);
void hm_node_on_emit(struct hm_node *node, const struct hm_request *request);
/* What became of a user event; NULL: nothing was heard in time. */
void hm_node_emit_submitted(struct hm_node *node, uint64_t token,
                            const struct hm_submitted *answer);

/* ---- control.c, voters.c, verdict.c ---- */

HM_MUST_USE enum hm_status hm_node_open_control(struct hm_node *node,
                                                const struct hm_disk_file *files, size_t count,
                                                struct hm_buf *error);
void hm_node_close_control(struct hm_node *node);
void hm_node_found(struct hm_node *node);
/* The same, for a log that was begun before a restart. */
void hm_node_go_on_founding(struct hm_node *node);
void hm_node_pump_logs(struct hm_node *node);
void hm_node_tick_control(struct hm_node *node);
hm_ms hm_node_control_deadline(const struct hm_node *node);
void hm_node_on_log(struct hm_node *node, const struct hm_peer *from,
                    const struct hm_message *message);
/* Into the event log, on the leader; HM_NOT_LEADER and so on where not. */
HM_MUST_USE enum hm_status hm_node_propose(struct hm_node *node, const struct hm_id *session,
                                           uint64_t seq, struct hm_bytes request,
                                           struct hm_pending *pending);
/* Of the log that this node leads. */
void hm_node_tick_voters(struct hm_node *node, struct hm_upkeep *upkeep);
/* In all logs: a member has left, or is one again. */
void hm_node_note_left(struct hm_node *node, const struct hm_id *id);
void hm_node_forget_left(struct hm_node *node, const struct hm_id *id);
/* Which voters have left is not in a snapshot, but in the events that it holds. */
void hm_node_recall_leaves(struct hm_node *node);
void hm_node_on_report(struct hm_node *node, const struct hm_peer *from,
                       const struct hm_message *message);
void hm_node_open_verdict(struct hm_node *node);
/* What was asked goes out; what is decided goes into the log. */
void hm_node_pump_verdict(struct hm_node *node);
/* Commits the end of what the removal brake keeps, when it is due. */
void hm_node_release_braked(struct hm_node *node);

/* ---- allowed.c ---- */

/* HM_DENIED, and a line in the log: `from` may not ask that, or not for that session. HM_BAD_BYTES
 * what it submits is no message. */
HM_MUST_USE enum hm_status hm_node_may_submit(struct hm_node *node, const struct hm_id *from,
                                              const struct hm_submit *submit);
HM_MUST_USE enum hm_status hm_node_may_join(struct hm_node *node, const struct hm_id *from,
                                            const struct hm_join *join);

/* ---- named.c: which named logs this node carries ---- */

/* The scope of their records: key is the name, value a message log_record. Beside them, in scope
 * log.ids, the record `next` holds the id that the next one gets. */
#define HM_SCOPE_LOGS    "logs"
#define HM_SCOPE_LOG_IDS "log.ids"
#define HM_NAMED_MAX     64u

/* The log of a role has this name, which nobody can make, and an id made from it with this bit, so
 * that what a journal has of it finds its machine before any record is known. */
#define HM_ROLE_LOG_PREFIX "role."
#define HM_ROLE_LOG_BIT    0x80000000u
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
/* The record of a named log, decoded into `arena`; false: there is none. */
bool hm_node_log_record(const struct hm_node *node, const struct hm_name *name,
                        struct hm_arena *arena, struct hm_log_record *out, uint64_t *index);
/* The id that the next log gets: logs below it without a record were deleted. */
uint32_t hm_node_next_log_id(const struct hm_node *node);
void hm_node_on_named_effect(struct hm_node *node, const struct hm_log_effect *effect);
void hm_node_tick_named(struct hm_node *node);
hm_ms hm_node_named_deadline(const struct hm_node *node);
/* A node that stops leads no longer. */
void hm_node_hand_over_logs(struct hm_node *node);
/* This node votes in some log. */
bool hm_node_votes(const struct hm_node *node);
void hm_node_free_named(struct hm_node *node);

/* ---- log_admin.c, log_calls.c, log_reads.c ---- */

/* Makes the logs of this node's roles, if there is none yet. */
void hm_node_found_role_logs(struct hm_node *node);
void hm_node_on_log_create(struct hm_node *node, const struct hm_request *request);
void hm_node_on_log_delete(struct hm_node *node, const struct hm_request *request);
void hm_node_on_log_list(struct hm_node *node, const struct hm_request *request);
void hm_node_on_log_call(struct hm_node *node, const struct hm_request *request);
/* Adds a node to those that carry a log, or takes it out: a change of the record. */
void hm_node_change_log(struct hm_node *node, uint64_t token, const struct hm_log_change *change);
void hm_node_reply_log_members(struct hm_node *node, uint64_t token, const struct hm_named *named);
void hm_node_log_record_submitted(struct hm_node *node, uint64_t token,
                                  const struct hm_submitted *answer);
/* Does a call of kind HM_CALL_LOG here or sends it on. */
void hm_node_send_log_call(struct hm_node *node, struct hm_call *call);
/* What another answered to it; true: that is the end of it. */
void hm_node_log_call_answered(struct hm_node *node, struct hm_call *call,
                               const struct hm_message *answer);
void hm_node_log_call_expired(struct hm_node *node, const struct hm_call *call);
/* The call that a participant's ANSWER is about. */
void hm_node_log_outcome(struct hm_node *node, uint64_t call_id, const struct hm_outcome *outcome);
void hm_node_serve_log(struct hm_node *node, uint64_t token, const struct hm_named *named,
                       const struct hm_log_read *read);
/* Answers now, or when there is something or the time is over. */
void hm_node_wait_for_log(struct hm_node *node, uint64_t token, const struct hm_named *named,
                          const struct hm_log_read *read);
void hm_node_answer_log_waits(struct hm_node *node);
hm_ms hm_node_log_waits_deadline(const struct hm_node *node);

/* ---- submit.c ---- */

/* The first tries to reach a leader come soon after each other. */
#define HM_RETRY_STEP_MS 50u

/* Puts a request into the log from any node: retried until it is answered. Returns the call. */
uint64_t hm_node_submit(struct hm_node *node, const struct hm_message *request,
                        enum hm_call_kind kind, uint64_t user, hm_ms deadline);
void hm_node_on_submit(struct hm_node *node, const struct hm_request *request);
void hm_node_on_submitted(struct hm_node *node, const struct hm_peer *from,
                          const struct hm_message *message);
void hm_node_tick_calls(struct hm_node *node);
/* A control node to ask, another at every try; false when none is known. */
bool hm_node_pick_control(struct hm_node *node, uint32_t attempt, struct hm_peer *out);
/* Another node with this role, another at every try; false when none is known. */
bool hm_node_pick_with_role(struct hm_node *node, const char *role, uint32_t attempt,
                            struct hm_peer *out);
/* The stream to this address broke: what was asked there is asked elsewhere. */
void hm_node_call_lost(struct hm_node *node, const struct hm_addr *addr);
/* Asks a control node, another one when its stream breaks. `call_field` is the question's; returns
 * the call. */
uint64_t hm_node_ask(struct hm_node *node, enum hm_call_kind kind, uint64_t user, hm_ms deadline,
                     const struct hm_message *question, uint64_t *call_field);
/* Passes a command on to the control plane; what it answers goes to `token`. */
void hm_node_forward(struct hm_node *node, uint64_t token, const struct hm_message *command,
                     uint64_t *call_field);
void hm_node_on_reply(struct hm_node *node, const struct hm_peer *from,
                      const struct hm_message *message);

/* ---- consumer.c ---- */

void hm_node_start_bootstrap(struct hm_node *node);
void hm_node_tick_bootstrap(struct hm_node *node);
void hm_node_on_records_pull(struct hm_node *node, const struct hm_request *request);
void hm_node_on_records_page(struct hm_node *node, const struct hm_peer *from,
                             const struct hm_message *message);
void hm_node_on_feed(struct hm_node *node, const struct hm_peer *from,
                     const struct hm_message *message);
void hm_node_pump_feeds(struct hm_node *node);
void hm_node_on_reconcile(struct hm_node *node, const struct hm_peer *from,
                          const struct hm_message *message);
void hm_node_pump_reconcile(struct hm_node *node);
struct hm_place hm_node_place(const struct hm_node *node, unsigned feed);

/* ---- host.c, report.c ---- */

struct hm_version hm_node_publish(struct hm_node *node, const struct hm_host_config *config);
/* The same config under the next version: after a removal consumers have forgotten the old one. */
void hm_node_republish(struct hm_node *node);
void hm_node_pump_host(struct hm_node *node);
void hm_node_host_submitted(struct hm_node *node, const struct hm_submitted *answer);
void hm_node_report_change(struct hm_node *node, uint64_t token, struct hm_version version,
                           const struct hm_addr *addr, uint32_t timeout_ms);
void hm_node_on_version_query(struct hm_node *node, const struct hm_request *request);
void hm_node_report_version(struct hm_node *node, uint64_t call, const struct hm_version *version);
void hm_node_report_members(struct hm_node *node, uint64_t call,
                            const struct hm_members_reply *reply);
void hm_node_check_reports(struct hm_node *node);
hm_ms hm_node_reports_deadline(const struct hm_node *node);
void hm_node_free_reports(struct hm_node *node);
int hm_version_compare(const struct hm_version *a, const struct hm_version *b);

/* ---- commands.c ---- */

void hm_node_on_status_query(struct hm_node *node, const struct hm_request *request);
void hm_node_on_members_query(struct hm_node *node, const struct hm_request *request);
void hm_node_on_services_query(struct hm_node *node, const struct hm_request *request);
void hm_node_on_events_query(struct hm_node *node, const struct hm_request *request);
void hm_node_on_leave(struct hm_node *node, const struct hm_request *request);
void hm_node_answer_event_waits(struct hm_node *node);
hm_ms hm_node_event_waits_deadline(const struct hm_node *node);

/* ---- control_status.c ---- */

void hm_node_on_control_query(struct hm_node *node, const struct hm_request *request);
/* A voter or learner of the event log, for people. */
struct hm_control_node hm_node_describe_voter(const struct hm_node *node,
                                              const struct hm_voter *voter);
/* How the disk of a control node is. */
const char *hm_node_disk_text(const struct hm_node *node);

/* ---- recovery.c ---- */

/* What the clear header says from now on: the cluster, and the generation of its log. Between two
 * generations nothing passes but what is about joining, and refusals. */
uint64_t hm_node_mark(const struct hm_node *node);
void hm_node_take_generation(struct hm_node *node, uint64_t generation);
/* Somebody of our cluster spoke of another generation. A control node whose log is not the newest
 * is fenced; any other node bootstraps anew. */
void hm_node_meet_generation(struct hm_node *node, const struct hm_peer *from, uint64_t generation);
/* On the leader, from time to time. */
void hm_node_tell_generation(struct hm_node *node);
/* At the start: what file `fenced` says. */
void hm_node_recall_fence(struct hm_node *node, struct hm_bytes content);
void hm_node_on_recover(struct hm_node *node, const struct hm_request *request);
void hm_node_on_rejoin(struct hm_node *node, const struct hm_request *request);
/* Why a fenced node serves nothing, as a sentence. */
const char *hm_node_fence_text(void);

/* ---- modules.c ---- */

HM_MUST_USE enum hm_status hm_node_open_modules(struct hm_node *node, struct hm_buf *error);
HM_MUST_USE enum hm_status hm_node_start_modules(struct hm_node *node, struct hm_buf *error);
void hm_node_close_modules(struct hm_node *node);
void hm_node_tick_modules(struct hm_node *node);
hm_ms hm_node_modules_deadline(const struct hm_node *node);
/* Given to the catalog: tells every module of a change. */
void hm_node_catalog_changed(void *context, const struct hm_change_note *note);
/* Gives every module an event of feed members. */
void hm_node_run_event(struct hm_node *node, const struct hm_event *event,
                       const struct hm_message *body);
/* Passes a request through the middlewares; HM_OK: go on to the handler. */
enum hm_status hm_node_run_chain(struct hm_node *node, const struct hm_request *request);
/* Offers it to the modules: HM_NOT_FOUND when none takes it. */
enum hm_status hm_node_offer_request(struct hm_node *node, const struct hm_request *request);
/* A write of the module at this place was answered. */
void hm_node_module_written(struct hm_node *node, uint64_t place,
                            const struct hm_submitted *answer);
void hm_node_status_facts(struct hm_node *node);
/* One fact more for the status that is being answered. */
void hm_node_add_fact(struct hm_node *node, const char *key, const char *format, va_list arguments);
/* Walks the roles that our modules bootstrap from, each once; NULL at the end. */
const char *hm_node_next_bootstrap_role(const struct hm_node *node, size_t *cursor);
/* Walks the roles whose nodes this node must know: those, what its modules require, `control`, and
 * for a consumer `host`. One may come twice. */
const char *hm_node_next_wanted_role(const struct hm_node *node, size_t *cursor);

/* Does everything that is due after events: engines' effects, mail, disk. */
void hm_node_pump(struct hm_node *node);

#endif
