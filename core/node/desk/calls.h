/* Questions that this node has asked others and that are not answered yet. */
#ifndef HM_NODE_CALLS_H
#define HM_NODE_CALLS_H

#include "core/base/bytes.h"
#include "core/base/ids.h"
#include "core/base/index.h"

enum hm_call_kind {
    HM_CALL_HOST,    /* a submit of our host config */
    HM_CALL_RETURN,  /* a submit of our own member record after a restart */
    HM_CALL_LEAVE,   /* a submit of our leave */
    HM_CALL_WRITE,   /* a submit of a module's write: `user` is the module's place */
    HM_CALL_EMIT,    /* a submit of a user event: `user` is the token to answer */
    HM_CALL_KEEP,    /* a submit of our keeper's */
    HM_CALL_FORWARD, /* a command passed on: `user` is the token to answer */
    HM_CALL_MEMBERS, /* who the consumers are: `user` is the number of a change report */
    HM_CALL_LOGS,    /* a submit that changes which named logs there are: `user` is the token */
    HM_CALL_LOG,     /* for the leader of a named log: `user` is the token */
    HM_CALL_VERSION, /* version[host] of a consumer: `user` as above */
    HM_CALL_KIND_COUNT,
};

struct hm_call {
    uint64_t id;
    enum hm_call_kind kind;
    uint64_t user;
    struct hm_buf message; /* what to send again; owned; empty: never */
    struct hm_addr asked;  /* last */
    uint32_t attempt;
    uint32_t
        lane; /* HM_CALL_LOG: of the append, counted from 1; 0: the asker has its own session */
    uint64_t lane_seq;
    hm_ms retry_at; /* HM_NEVER: not before its stream breaks */
    hm_ms deadline; /* HM_NEVER: it waits for ever */
};

/* All zero is a valid empty table. */
struct hm_calls {
    struct hm_call *items;
    size_t count;
    size_t capacity;
    uint64_t last_id;
    struct hm_index by_id;
    hm_ms due; /* nothing is due before; meaningless while there are none */
};

/* A new call; valid until the next add or remove. */
struct hm_call *hm_calls_add(struct hm_calls *calls, enum hm_call_kind kind, uint64_t user);
struct hm_call *hm_calls_find(struct hm_calls *calls, uint64_t id);
void hm_calls_remove(struct hm_calls *calls, uint64_t id);
/* Removes a call that is there; its message is the caller's from now on. */
struct hm_call hm_calls_take(struct hm_calls *calls, struct hm_call *call);
/* After its times were set: they count for the deadline. */
void hm_calls_timed(struct hm_calls *calls, const struct hm_call *call);
/* Nothing is due before, but perhaps not at this time either: hm_calls_look finds when. */
hm_ms hm_calls_deadline(const struct hm_calls *calls);
void hm_calls_look(struct hm_calls *calls);
void hm_calls_fini(struct hm_calls *calls);

#endif
