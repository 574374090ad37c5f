/* Writers and what they wrote: a request that comes twice is applied once. */
#ifndef HM_LOG_SESSIONS_H
#define HM_LOG_SESSIONS_H

#include "core/log/machine.h"

#define HM_SESSIONS_MAX   32768u
#define HM_SESSION_WINDOW 64u /* seqs of a session that are remembered */

/* All zero is a valid empty table. */
struct hm_sessions {
    struct hm_session *items; /* by rising id */
    size_t count;             /* <= HM_SESSIONS_MAX */
    size_t capacity;
    uint64_t oldest_ms; /* none was last used before */
};

/* Notes that `seq` (at least 1) of this session is applied at log time `now_ms`. HM_OK: it is new.
 * HM_EXISTS: it was applied before. HM_SESSION_EXPIRED: it lies before the window of 64, so nobody
 * can tell; it must not be applied. HM_FULL: there is no room for another session. */
HM_MUST_USE enum hm_status hm_sessions_note(struct hm_sessions *sessions, const struct hm_id *id,
                                            uint64_t seq, uint64_t now_ms);
/* Remembers what became of it, so that a retry hears the same: of the latest seq all that fits, of
 * those before whether they were refused. */
void hm_sessions_answered(struct hm_sessions *sessions, const struct hm_id *id, uint64_t seq,
                          const struct hm_outcome *outcome);
/* Was this seq, which was applied, answered with anything but OK? */
bool hm_sessions_refused(const struct hm_sessions *sessions, const struct hm_id *id, uint64_t seq);
/* NULL when there is none; valid until the next change. */
const struct hm_session *hm_sessions_find(const struct hm_sessions *sessions,
                                          const struct hm_id *id);
/* A session that begins anew at this seq, which is used up: those more than 63 below it, of an
 * earlier time, are too old from the start. Nothing happens where there is no room for it. */
void hm_sessions_begin(struct hm_sessions *sessions, const struct hm_id *id, uint64_t seq,
                       uint64_t now_ms);
void hm_sessions_remove(struct hm_sessions *sessions, const struct hm_id *id);
/* Forgets those last used before `limit_ms` of log time. */
void hm_sessions_expire(struct hm_sessions *sessions, uint64_t limit_ms);
/* Becomes these. HM_BAD_BYTES: they are not in order; the table is as before. */
HM_MUST_USE enum hm_status hm_sessions_load(struct hm_sessions *sessions,
                                            const struct hm_session *items, size_t count);
void hm_sessions_fini(struct hm_sessions *sessions);

#endif
