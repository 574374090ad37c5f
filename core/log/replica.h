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
void hm_replica_fini(struct hm_replica *replica);

/* Applies a committed request, or says why it is not applied (again). */
void hm_replica_apply(struct hm_replica *replica, const struct hm_log_request *request,
                      struct hm_outcome *out);

/* Appends all of it as a message log_state. */
void hm_replica_snapshot(const struct hm_replica *replica, struct hm_buf *out);
/* Becomes what a snapshot says. HM_BAD_BYTES: it is as before. */
HM_MUST_USE enum hm_status hm_replica_install(struct hm_replica *replica, struct hm_bytes snapshot);

#endif
