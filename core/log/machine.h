/* What a replicated log carries: entries, and the state machine that they are applied to. */
#ifndef HM_LOG_MACHINE_H
#define HM_LOG_MACHINE_H

#include "core/wire/message.h"

struct hm_sessions;

/* A committed request, as the machine gets it. What it points to lives for the call. */
struct hm_log_entry {
    uint64_t index;               /* counts the entries of the log: dense, from 1 */
    uint64_t time_ms;             /* log time: Unix milliseconds, never going back */
    struct hm_id session;         /* the writer; none: nobody in particular */
    uint64_t seq;                 /* within the session; 0: not deduplicated */
    struct hm_bytes request;      /* opaque to the log */
    struct hm_sessions *sessions; /* the log's writers; a machine may begin and end some */
    bool refused;                 /* of a repeated one: the answer was no */
};

/* What became of a request. */
struct hm_outcome {
    enum hm_status status;
    uint64_t index; /* told to whoever asked: the entry's, unless the machine counts otherwise */
    size_t events;  /* how many the machine emitted, in its own terms */
    struct hm_bytes data; /* what it says besides; its own memory, valid until it is called next */
    char reason[256];
};

/* A state machine. All of it is deterministic: the same entries give the same outcomes and the same
 * bytes on every participant. What is NULL is not needed. */
struct hm_machine {
    /* A session ends when the machine says so (hm_sessions_remove), and never because nothing is
     * written in it for an hour. */
    bool ends_sessions;
    /* A request that is new. `out` is OK with the entry's index before. */
    void (*apply)(void *context, const struct hm_log_entry *entry, struct hm_outcome *out);
    /* One that was applied before; `out` has what is remembered of that, to be made better. */
    void (*repeat)(void *context, const struct hm_log_entry *entry, struct hm_outcome *out);
    /* May this session write? HM_OK: yes, and each seq once. HM_NOT_FOUND: it has no session, the
     * request is applied whenever it comes. Any other status is the answer. A session that
     * `sessions` lacks may have been forgotten: see hm_admit_recent. */
    enum hm_status (*admit)(void *context, const struct hm_log_entry *entry);
    /* Answers a question from what it is now, and changes nothing. `out` is OK with the index of
     * the last entry before. */
    void (*query)(void *context, struct hm_bytes question, struct hm_outcome *out);
    /* Appends the whole state. */
    void (*snapshot)(void *context, struct hm_buf *out);
    /* Becomes what a snapshot says; HM_BAD_BYTES: the state is as before. */
    enum hm_status (*install)(void *context, struct hm_bytes state);
};

#endif
