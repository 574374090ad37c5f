/* What the writing and the recovering half of the journal share. */
#ifndef HM_ENGINE_JOURNAL_FORMAT_H
#define HM_ENGINE_JOURNAL_FORMAT_H

#include "core/engine/journal.h"

#define JOURNAL_FORMAT          1u
#define JOURNAL_HEADER_BYTES    64u /* of a segment and of a snapshot file */
#define JOURNAL_LENGTH_AT       32u /* of a snapshot file's body, in its header */
#define JOURNAL_RECORD_BYTES    16u /* crc, length of the messages, sequence */
#define JOURNAL_ALIGN(size)     (((size) + 7u) & ~(uint64_t)7u)
#define JOURNAL_SEGMENT_MAGIC   0x314c4e524a4d4948u /* "HIMJRNL1" */
#define JOURNAL_SNAPSHOT_MAGIC  0x3150414e534d4948u /* "HIMSNAP1" */
#define JOURNAL_RECORD_BODY_MAX UINT32_MAX

/* The highest index that a segment holds of a log. */
struct journal_cover {
    uint32_t log;
    uint64_t last_index;
};

struct journal_segment {
    uint64_t number;
    uint64_t bytes; /* size of the file */
    struct journal_cover *covers;
    size_t cover_count;
    size_t cover_capacity;
};

/* Entries of one term, from first_index to the next run. */
struct journal_run {
    uint64_t first_index;
    uint64_t term;
};

/* What the next segment has to repeat of a log, and the terms of what was written to it, which say
 * whether a snapshot leaves its entries. */
struct journal_log {
    uint32_t log;
    bool has_hard_state;
    struct hm_log_hard_state hard_state;
    uint64_t snapshot_index; /* 0: none; of the newest in a record that was formed */
    uint64_t snapshot_term;
    uint64_t durable_snapshot_index;
    struct journal_run *runs; /* ascending */
    size_t run_count;
    size_t run_capacity;
    uint64_t next_index; /* behind the last entry that was written or queued */
    bool forgotten;
    uint64_t moving_to; /* segment of the first entry of a move */
    bool moved;         /* the last one is in a record that was formed */
    uint64_t held_from; /* no older segment has entries that count; 0: they all may */
};

enum journal_move {
    JOURNAL_NO_MOVE = 0,
    JOURNAL_MOVE = 1,
    JOURNAL_MOVE_FIRST = 2,
    JOURNAL_MOVE_LAST = 4
};

struct journal_pending {
    uint64_t number;
    uint32_t log;
    enum hm_message_kind kind;
    uint64_t last_index;    /* log_append: of its last entry */
    struct hm_buf message;  /* encoded, what the record carries */
    struct hm_buf snapshot; /* log_snapshot: content of its file */
    struct hm_log_hard_state hard_state;
    uint64_t snapshot_term;
    unsigned move; /* log_moved: enum journal_move */
};

/* A snapshot that leaves the entries of its log where they are: its file is replaced beside the
 * journal, then a record names it. */
struct journal_side {
    uint32_t log;
    uint64_t last_index;
    uint64_t last_term;
    struct hm_buf content; /* of the file */
};

enum journal_flight {
    JOURNAL_IDLE,
    JOURNAL_RECORDS, /* a record is being written */
    JOURNAL_UPKEEP,  /* what may as well be done beside is done in between */
};

enum journal_upkeep {
    JOURNAL_NOTHING,
    JOURNAL_ALLOCATE, /* the next segment is being allocated ahead */
    JOURNAL_REMOVE,   /* covered segments are being removed */
    JOURNAL_SNAPSHOT, /* the file of the first of `sides` is being written; only beside */
};

#define JOURNAL_OPS_MAX 8

struct hm_journal {
    struct hm_journal_config config;
    struct journal_segment *segments; /* oldest first, numbers without a gap; the last is written */
    size_t segment_count;
    size_t segment_capacity;
    struct journal_log *logs;
    size_t log_count;
    size_t log_capacity;
    struct journal_pending *pending; /* queued; those of the batch in flight have left it */
    size_t pending_count;
    size_t pending_capacity;

    uint64_t offset;   /* where the next record goes in the last segment */
    uint64_t sequence; /* of the next record */
    bool spare;        /* the segment after the last exists, all zeros */
    uint64_t spare_bytes;
    bool spare_refused; /* it could not be allocated; not tried again before it is needed */
    uint64_t durable;   /* highest number */

    enum journal_flight flight;
    bool out; /* the batch was handed out and is not done */
    bool failed;
    uint64_t flight_number;
    struct hm_buf record; /* header of a new segment, if any, and the record */
    struct hm_buf snapshot;

    uint64_t number;            /* highest that was written or queued */
    struct journal_side *sides; /* at most one a log; the first is out in JOURNAL_SNAPSHOT */
    size_t side_count;
    size_t side_capacity;

    enum journal_upkeep upkeep; /* what is out, or formed to be so */
    struct hm_disk_op *upkeep_ops;
    size_t upkeep_count; /* of the operations; of JOURNAL_REMOVE also of the segments */

    struct hm_arena arena;
    struct hm_disk_op ops[JOURNAL_OPS_MAX];
    size_t op_count;
};

struct journal_log *journal_log_of(struct hm_journal *journal, uint32_t log);
/* The log goes on from `first_index`, which replaces what was there, with an entry of `term`. */
void journal_run(struct journal_log *log, uint64_t first_index, uint64_t term);
struct journal_segment *journal_add_segment(struct hm_journal *journal, uint64_t number,
                                            uint64_t bytes);
void journal_cover(struct journal_segment *segment, uint32_t log, uint64_t last_index);
/* Queues the place of a snapshot whose file is there; `cuts`: no entry of the log stays. */
struct journal_pending *journal_queue_mark(struct hm_journal *journal, uint32_t log,
                                           uint64_t last_index, uint64_t last_term, bool cuts);
void journal_segment_name(char name[HM_DISK_FILE_BYTES_MAX], uint64_t number);
void journal_snapshot_name(char name[HM_DISK_FILE_BYTES_MAX], uint32_t log);
/* Over everything of a record behind its checksum; the segment's number is in it, so that no record
 * is taken for one of another segment. */
uint32_t journal_record_crc(uint64_t segment, struct hm_bytes behind_crc);

#endif
