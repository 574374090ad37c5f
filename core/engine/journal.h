/* The journal of a node: turns what engines persist into disk operations, with one sync a batch,
 * and finds it again in the files after a crash. No I/O is done here.
 *
 * Files. Segments `journal-NUMBER` (16 hex digits, from 1) are allocated full of zeros, so that
 * writing is overwriting. One starts with a header (magic, format, owner, number, sequence of its
 * first record, checksum); records follow, each a whole batch: checksum, length, sequence, messages
 * of the table. The first record of a segment repeats hard states and snapshot places, so that
 * older segments can go. Snapshots are files of their own, `snapshot-LOG`, replaced as a whole
 * before the record that names them. That of a log that goes on as it is may be written beside the
 * records: until one names it, what it covers is there twice.
 *
 * A batch is written only when the one before it is durable. So at most the last record can be torn
 * by a crash, whatever order its sectors reached the disk in; a bad record with a good one behind
 * it is damage. */
#ifndef HM_ENGINE_JOURNAL_H
#define HM_ENGINE_JOURNAL_H

#include "core/engine/disk.h"
#include "core/wire/message.h"

#define HM_JOURNAL_SEGMENT_BYTES (4u << 20)

struct hm_journal;

struct hm_journal_config {
    uint64_t segment_bytes; /* 0: HM_JOURNAL_SEGMENT_BYTES; one message may make a segment larger */
    struct hm_id owner;     /* the node: files of another are refused */
    bool sides; /* hm_journal_side_output is asked, too, each time before hm_journal_output */
};

/* Operations to do in order. Borrowed until hm_journal_done. */
struct hm_journal_batch {
    const struct hm_disk_op *ops;
    size_t count;
};

struct hm_journal *hm_journal_new(const struct hm_journal_config *config);
/* What was written and is not durable is forgotten. NULL is fine. */
void hm_journal_free(struct hm_journal *journal);

typedef void hm_journal_restore(void *context, const struct hm_message *message);

/* Finds what the files of the directory hold (in any order, foreign names ignored), once, before
 * anything is written. The caller makes what it read durable first (fsync): what a process wrote
 * just before it was killed is there to read, but a power cut could still take it.
 *
 * For each log `restore` is given its latest log_hard_state, its log_snapshot, then log_append
 * messages that follow the snapshot without a gap; they live until recover returns. A torn tail is
 * left out, and said in `report` (appended; empty: nothing unusual).
 *
 * HM_DAMAGED, HM_DENIED (another node's files): `error` has a sentence with file and byte offset,
 * `restore` was not called, the journal can only be freed. Nothing on disk is changed in any case;
 * a torn tail is overwritten by the next batch. */
HM_MUST_USE enum hm_status hm_journal_recover(struct hm_journal *journal,
                                              const struct hm_disk_file *files, size_t count,
                                              hm_journal_restore *restore, void *context,
                                              struct hm_buf *error, struct hm_buf *report);

/* Queues a log_hard_state, log_append, log_snapshot or log_forget, of any log. `number` never goes
 * down. After log_forget the log's room is given back, and nothing of that log may be written
 * again. A log_snapshot follows Raft's rule for the entries: they stay where the log has the entry
 * (last_index, last_term), else all go (section 7, step 6). */
void hm_journal_write(struct hm_journal *journal, const struct hm_message *persist,
                      uint64_t number);
/* The same for a message as an engine's PERSIST has it, encoded, which saves doing that again. */
void hm_journal_write_encoded(struct hm_journal *journal, struct hm_bytes persist, uint64_t number);

/* The next batch to do now; false while one is in flight, after a failure, or with nothing to do.
 * All that was written meanwhile is in it, as far as a segment takes it. */
HM_MUST_USE bool hm_journal_output(struct hm_journal *journal, struct hm_journal_batch *out);

/* With config.sides: one more batch, to be done beside those of hm_journal_output and in no order
 * with them, which so do not wait for it: the next segment, allocated ahead; segments to remove;
 * the file of a snapshot that leaves the entries of its log (what it covers is durable when it is
 * written; nobody waits for it, and its number may become durable before). False while one is out,
 * or with nothing to do. Without config.sides it is always false; segments are then allocated and
 * removed by hm_journal_output, and such a snapshot is as any other. */
HM_MUST_USE bool hm_journal_side_output(struct hm_journal *journal, struct hm_journal_batch *out);
/* It is done, or failed. Returns whether it failed at what has to be tried again: the next
 * hm_journal_side_output does so, perhaps with something newer. A segment that could not be
 * allocated ahead of its need does not count. */
bool hm_journal_side_done(struct hm_journal *journal, enum hm_status status);

/* The batch in flight is done, or failed at some operation. Returns the highest number that is
 * durable now. After a failure nothing is output until hm_journal_retry, what was durable stays so,
 * and writes are still queued. One exception: where only the next segment could not be allocated
 * ahead of its need, writing goes on until the present one is full. */
uint64_t hm_journal_done(struct hm_journal *journal, enum hm_status status);

/* A batch failed, and it waits for hm_journal_retry. */
bool hm_journal_failed(const struct hm_journal *journal);

/* Try what failed again, from its first operation. */
void hm_journal_retry(struct hm_journal *journal);

/* The oldest segment stays for entries of `*log` that a snapshot of it would cover: should nothing
 * more be written to that log, they stay for ever, and all segments with them. False: it does not.
 */
HM_MUST_USE bool hm_journal_is_held(const struct hm_journal *journal, uint32_t *log);

/* Writes entries that are durable already once more, behind all others, for a log of which nobody
 * here can take a snapshot: then it holds no older segment. `moved`: encoded log_moved messages
 * with all entries behind its snapshot, in order; at least one. */
void hm_journal_move(struct hm_journal *journal, const struct hm_bytes *moved, size_t count);

/* A log_forget of this log was written, or was found in the segments. */
HM_MUST_USE bool hm_journal_is_forgotten(const struct hm_journal *journal, uint32_t log);

/* Bytes of the segments, as a measure for when to take a snapshot. */
uint64_t hm_journal_bytes(const struct hm_journal *journal);

#endif
