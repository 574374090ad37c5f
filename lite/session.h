/* What a lite host says to those who keep it, and when: no I/O here. It is fed the time and what
 * was received, and says what to send to whom. */
#ifndef HM_LITE_SESSION_H
#define HM_LITE_SESSION_H

#include "core/base/bytes.h"
#include "core/base/ids.h"
#include "core/wire/message.h"

#define LITE_TARGETS_MAX 16
#define LITE_KEEPERS_MAX 3
#define LITE_REASON_MAX  256
/* What a config may take so that its keepalive fits a datagram. */
#define LITE_CONFIG_BYTES_MAX 960u

enum lite_news {
    LITE_NOTHING,
    LITE_KEPT,      /* `current` keeps it, the log does not have it yet */
    LITE_COMMITTED, /* `current` keeps it, and it is in the log */
    LITE_REFUSED,   /* `reason`; it is tried again, later each time */
    LITE_SILENT,    /* nobody answered, a whole round long */
    LITE_LOST,      /* kept until now, but for a lease nobody has answered */
    LITE_WITHDRAWN, /* done: it is gone */
    LITE_ABANDONED, /* done: nobody heard that it goes; its lease ends by itself */
};

struct lite_target {
    struct hm_addr addr;
    hm_ms silent_until; /* not asked before, unless there is no other */
};

struct lite_session {
    struct hm_id id;
    struct hm_name name;
    struct hm_version version; /* seq is even */
    struct hm_bytes config;    /* message host_config, at most LITE_CONFIG_BYTES_MAX; borrowed */
    uint32_t interval_ms;
    uint64_t cluster;   /* 0: not kept yet */
    uint64_t challenge; /* of whom we spoke to last */
    struct lite_target joins[LITE_TARGETS_MAX];
    size_t join_count;                            /* 0: nobody is known that could be asked */
    struct lite_target keepers[LITE_KEEPERS_MAX]; /* as it was last told, best first */
    size_t keeper_count;
    struct hm_addr current; /* asked last */
    bool kept;              /* current keeps us */
    bool committed;
    bool withdrawing;
    uint64_t call;
    bool waiting;      /* for the answer to it */
    unsigned tries;    /* of this call */
    unsigned failures; /* targets in a row that did not help */
    unsigned hops;     /* redirections in a row */
    hm_ms next_at;
    hm_ms answered_at; /* when it was last told that it is kept; 0: never, or lost */
    hm_ms give_up_at;  /* of a withdrawal */
    hm_ms refused_wait_ms;
    char reason[LITE_REASON_MAX]; /* of the last refusal */
};

/* The members that the user named, at most LITE_TARGETS_MAX: before the start, and whenever names
 * were looked up anew. */
void lite_session_set_joins(struct lite_session *session, const struct hm_addr *addrs,
                            size_t count);
/* The fields up to interval_ms and joins are set by the caller. */
void lite_session_start(struct lite_session *session, hm_ms now);
hm_ms lite_session_deadline(const struct lite_session *session);
/* When it is time: the payload to seal and send to session->current; false: nothing to send. Before
 * sending look at `news`. */
bool lite_session_tick(struct lite_session *session, hm_ms now, struct hm_buf *payload,
                       enum lite_news *news);
/* An opened payload from session->current. */
enum lite_news lite_session_receive(struct lite_session *session, hm_ms now,
                                    struct hm_bytes payload);
/* The machine of session->current refused the datagram. */
void lite_session_unreachable(struct lite_session *session, hm_ms now);
/* It shall go: keepalives say so. False: nobody has kept it, so there is nothing to say. */
bool lite_session_withdraw(struct lite_session *session, hm_ms now);

#endif
