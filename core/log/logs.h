/* The logs that one process takes part in: over one journal, so that one sync serves them all, and
 * over whatever connections its owner has. No I/O. */
#ifndef HM_LOG_LOGS_H
#define HM_LOG_LOGS_H

#include "core/engine/journal.h"
#include "core/log/participant.h"

#define HM_LOGS_MAX 65u /* log 0 and the named ones */
/* A journal that is larger, twice what is kept not counted, is made smaller: by a snapshot of the
 * log whose entries are the oldest in it. */
#define HM_LOGS_JOURNAL_BYTES (16u * HM_JOURNAL_SEGMENT_BYTES)

struct hm_logs;

struct hm_logs_config {
    struct hm_peer self;
    uint64_t seed;
    bool durable;           /* has a directory; else what would be written counts as written */
    uint64_t segment_bytes; /* of the journal; 0: its default */
    bool sides;             /* hm_logs_side_output is asked, too */
};

/* What a log found in the journal is to be opened with; false: this process has no use for it, and
 * it stays there as it is, for who may have it after a later start. */
typedef bool hm_logs_open_hook(void *context, uint32_t log, struct hm_participant_config *out);

struct hm_logs *hm_logs_new(const struct hm_logs_config *config);
void hm_logs_free(struct hm_logs *logs);

/* Takes over the files of the directory, once and before anything is opened (see
 * hm_journal_recover, whose errors and report these are): the logs found in it are open then. */
HM_MUST_USE enum hm_status hm_logs_recover(struct hm_logs *logs, hm_ms now,
                                           const struct hm_disk_file *files, size_t count,
                                           hm_logs_open_hook *open, void *context,
                                           struct hm_buf *error, struct hm_buf *report);

/* Opens a participant of a log that is not open, with nothing in it; lives until hm_logs_forget.
 * `config->raft` needs the log's id alone. NULL: HM_LOGS_MAX are open. */
struct hm_participant *hm_logs_open(struct hm_logs *logs, hm_ms now,
                                    const struct hm_participant_config *config);
/* Begins an open log with nothing in it from a snapshot that another participant took: as if its
 * leader had sent it. HM_BAD_BYTES: it is not of this log; HM_EXISTS: something is there. */
HM_MUST_USE enum hm_status hm_logs_begin(struct hm_logs *logs, hm_ms now, uint32_t log,
                                         const struct hm_message *snapshot);
/* Ends this process's part in a log for good: what is stored of it is given up. The log may not be
 * opened again while hm_logs_is_forgotten. */
void hm_logs_forget(struct hm_logs *logs, uint32_t log);
/* The journal still has records of a log that was forgotten: it may not be opened. */
HM_MUST_USE bool hm_logs_is_forgotten(const struct hm_logs *logs, uint32_t log);
/* NULL: not open. */
struct hm_participant *hm_logs_find(const struct hm_logs *logs, uint32_t log);

/* A message of another participant, by the log that it names. HM_NOT_FOUND: not open here;
 * otherwise as hm_raft_input. */
HM_MUST_USE enum hm_status hm_logs_input(struct hm_logs *logs, hm_ms now,
                                         const struct hm_peer *from,
                                         const struct hm_message *message);
void hm_logs_tick(struct hm_logs *logs, hm_ms now);
hm_ms hm_logs_deadline(const struct hm_logs *logs);
/* Walks the logs that are open, by rising id: start with 0, stop at NULL. */
struct hm_participant *hm_logs_next(const struct hm_logs *logs, size_t *cursor, uint32_t *log);
/* As hm_raft_peer_reset, for all logs. */
void hm_logs_peer_reset(struct hm_logs *logs, hm_ms now, const struct hm_id *peer);

/* As hm_raft_set_wall, for all logs and those that are opened later. */
void hm_logs_set_wall(struct hm_logs *logs, hm_ms now, uint64_t wall_ms);

/* The next effect, of any log (never PERSIST); `out` is valid until the next call. */
bool hm_logs_output(struct hm_logs *logs, hm_ms now, struct hm_log_effect *out);

/* The next batch for the disk, when all effects are out; as hm_journal_output. */
HM_MUST_USE bool hm_logs_disk_output(struct hm_logs *logs, struct hm_journal_batch *out);
/* It is done or failed. */
void hm_logs_disk_done(struct hm_logs *logs, hm_ms now, enum hm_status status);
/* One more batch, to be done beside those; as hm_journal_side_output. */
HM_MUST_USE bool hm_logs_side_output(struct hm_logs *logs, struct hm_journal_batch *out);
bool hm_logs_side_done(struct hm_logs *logs, enum hm_status status);
/* The disk failed: nothing is voted, acknowledged or led until hm_logs_disk_retry succeeded. */
bool hm_logs_disk_failed(const struct hm_logs *logs);
void hm_logs_disk_retry(struct hm_logs *logs);
/* Of the journal, as hm_journal_bytes; 0 without one. */
uint64_t hm_logs_journal_bytes(const struct hm_logs *logs);

#endif
