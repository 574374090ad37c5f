/* Writers and what they wrote: a request that comes twice is applied once. */
#ifndef HM_STATE_SESSIONS_H
#define HM_STATE_SESSIONS_H

#include "core/wire/message.h"

/* All zero is a valid empty table. */
struct hm_sessions {
    struct hm_session *items; /* by rising id */
    size_t count;
    size_t capacity;
};

/* Notes that `seq` (at least 1) of this session is applied at log time `now_ms`. HM_OK: it is new.
 * HM_EXISTS: it was applied before. HM_SESSION_EXPIRED: it lies before the window of 64, so nobody
 * can tell; it must not be applied. */
HM_MUST_USE enum hm_status hm_sessions_note(struct hm_sessions *sessions, const struct hm_id *id,
                                            uint64_t seq, uint64_t now_ms);
void hm_sessions_remove(struct hm_sessions *sessions, const struct hm_id *id);
/* Forgets those last used before `limit_ms` of log time. */
void hm_sessions_expire(struct hm_sessions *sessions, uint64_t limit_ms);
void hm_sessions_fini(struct hm_sessions *sessions);

#endif
