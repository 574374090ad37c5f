/* One copy of what a log agreed on: which writers wrote what, log time, and the state machine. Fed
 * with committed requests in order, it is the same on every participant. */
#ifndef HM_LOG_REPLICA_H
#define HM_LOG_REPLICA_H

#include "core/log/kept.h"
#include "core/log/sessions.h"

/* A session that wrote nothing for so long (of log time) is forgotten. */
#define HM_SESSION_IDLE_MS (3600u * 1000u)

struct hm_replica {
    const struct hm_machine *machine;
    void *context;    /* of the machine */
    uint64_t index;   /* of the last entry */
    uint64_t time_ms; /* log time */
    struct hm_sessions sessions;
    struct hm_kept kept;
};

/* A machine that does nothing: the log is the list of what it keeps. Anybody may write to it, in a
 * session whose id is a UUID of version 7 (RFC 9562) made within the last 50 minutes of log time,
 * or none. As idle sessions are forgotten after an hour only, none is taken for new again. */
extern const struct hm_machine hm_list_machine;

void hm_replica_init(struct hm_replica *replica, const struct hm_machine *machine, void *context);
/* Before anything is applied: what is kept is looked up with `body`, at the Raft index that it was
 * applied with, instead of being copied. */
void hm_replica_look_up(struct hm_replica *replica, hm_kept_body *body, void *context);
void hm_replica_fini(struct hm_replica *replica);

/* Applies a committed request, or says why it is not applied (again). */
void hm_replica_apply(struct hm_replica *replica, const struct hm_log_request *request,
                      uint64_t raft_index, struct hm_outcome *out);
/* Index of the oldest entry that is kept; behind the last one: none is. */
uint64_t hm_replica_oldest(const struct hm_replica *replica);

/* Appends all of it as a message log_state; `with_kept` false: but the entries that are kept. */
void hm_replica_snapshot(const struct hm_replica *replica, bool with_kept, struct hm_buf *out);
/* Becomes what a snapshot says. HM_BAD_BYTES: it is as before. */
HM_MUST_USE enum hm_status hm_replica_install(struct hm_replica *replica, struct hm_bytes snapshot);

#endif
