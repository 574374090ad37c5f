/* A node from inside: what all of its rooms share. Only core/node includes this. */
#ifndef HM_NODE_INSIDE_H
#define HM_NODE_INSIDE_H

#include "core/base/memory.h"
#include "core/engine/feed.h"
#include "core/engine/keeper.h"
#include "core/engine/push.h"
#include "core/engine/reconcile.h"
#include "core/engine/slice.h"
#include "core/engine/swim.h"
#include "core/include/hivemind/module.h"
#include "core/log/logs.h"
#include "core/node/desk/acts.h"
#include "core/node/desk/calls.h"
#include "core/node/desk/disk.h"
#include "core/node/desk/requests.h"
#include "core/node/desk/standing.h"
#include "core/node/desk/upward.h"
#include "core/state/state.h"

/* Feeds, by their numbers on the wire. */
#define HM_FEED_MEMBERS 0u
#define HM_FEED_STATE   1u
#define HM_FEED_COUNT   2u

struct hm_module_ctx {
    struct hm_node *node;
    const struct hm_module *module;
    const struct hm_conf_node *section;
    void *state;
    struct hm_machine machine; /* of its log, if it has one */
    uint32_t log;              /* the id of that; 0: it has none */
    hm_ms wake_at;
};

/* What a node of the control plane has besides. */
struct hm_control {
    struct hm_logs *logs;       /* NULL: not of the control plane */
    struct hm_participant *log; /* of the event log, log 0 */
    struct hm_raft *raft;       /* the participant's */
    struct hm_state *state;     /* its machine */
};

struct hm_node {
    struct hm_node_config config;
    const struct hm_upward *upward;
    struct hm_random random;
    hm_ms now;
    uint64_t wall_offset; /* wall_ms - now, modulo 2^64 */
    enum hm_log_level log_level;

    /* Who it is, and where it stands. */
    struct hm_id id;
    uint64_t boot;
    uint64_t incarnation;
    bool is_control;
    bool carries_state;
    bool consumes;
    enum hm_node_phase phase;
    uint64_t cluster;
    uint64_t generation; /* of the event log, as this node knows it; 0: never recovered */
    uint64_t met;        /* the highest other one that was met; 0: none */
    bool stale;          /* what is served is of an older generation, until it is replaced */
    bool journal_begun;  /* once, and its identity says so */
    bool caught_up;      /* a control node has applied what was committed before it came (back) */
    struct hm_joining joining;
    hm_ms refusal_at; /* no refusal is sent before */
    hm_ms stop_at;    /* HM_PHASE_STOPPING, LEAVING: ends then */
    enum hm_status stop_status;

    /* What it knows, and the engines that keep it so. */
    struct hm_view own_view;    /* of a node outside the control plane */
    const struct hm_view *view; /* own_view, or the state machine's */
    struct hm_catalog *catalog; /* NULL unless feed state is carried */
    struct hm_control control;
    struct hm_slice slice;
    struct hm_swim swim;
    hm_ms report_at;         /* what it found is reported again then */
    struct hm_peer inquirer; /* of the control plane: who asked last what is found of a node */
    bool ready_told;
    struct hm_feed feeds[HM_FEED_COUNT];
    struct hm_reconcile reconcile; /* of a consumer */
    struct hm_pusher pusher;
    struct hm_keeper keeper;

    /* The desk: what comes in, what goes out, what is waited for. */
    struct hm_arena arena; /* of the event that is being looked into */
    bool fed;              /* an event came in since the last pump */
    struct hm_act_queue acts;
    struct hm_buf mail; /* messages to ourselves: length (u32), message */
    struct hm_requests requests;
    struct hm_calls calls;
    uint64_t submit_seq;
    struct hm_disk_queue disk;
    uint64_t dropped; /* payloads that did not decode */

    struct hm_module_ctx *modules;
    struct hm_disk_file *kept; /* files that modules kept, as found at start; owned */
    size_t kept_count;

    /* What the rooms above keep, opaque here. */
    struct hm_own_host *own;        /* host/host.h */
    struct hm_reports *reports;     /* host/report.h */
    struct hm_bootstrap *bootstrap; /* consumer/consumer.h */
    struct hm_carried *carried;     /* logs/named.h */
    struct hm_log_admin *log_admin; /* logs/log_admin.h */
    struct hm_log_calls *log_calls; /* logs/log_calls.h */
    struct hm_log_waits *log_waits; /* logs/log_reads.h */
    struct hm_backup *backup;       /* logs/backup.h */
    struct hm_office *office;       /* control/control.h */
    struct hm_proposals *proposals; /* control/proposals.h */
    struct hm_judge *judge;         /* control/verdict.h */
    struct hm_joins *joins;         /* control/joins.h */
    struct hm_recovery *recovery;   /* control/recovery.h */
    struct hm_slices *slices;       /* member/slices.h */
    struct hm_required *required;   /* member/required.h */
    struct hm_news *news;           /* member/emit.h */
    struct hm_facts *facts;         /* modules.h */
    struct hm_commands *commands;   /* commands.h */
};

#endif
