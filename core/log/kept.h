/* The entries of a log that stay readable: the newest, as many as it is told to keep. They are not
 * kept twice: those that Raft's log still has are looked up there, the others are packed. */
#ifndef HM_LOG_KEPT_H
#define HM_LOG_KEPT_H

#include "core/log/machine.h"
#include "core/log/packed.h"

/* With what else a snapshot carries it stays below what one message may have. */
#define HM_KEEP_ENTRIES_MAX 131072u
#define HM_KEEP_BYTES_MAX   (8u << 20)

/* How much of a log stays readable; zeros: nothing. */
struct hm_keep {
    uint32_t entries; /* <= HM_KEEP_ENTRIES_MAX */
    uint32_t bytes;   /* <= HM_KEEP_BYTES_MAX; the newest entry stays whatever its size */
};

/* Where an entry is in Raft's log, and what the log does not say of it. */
struct hm_kept_place {
    uint64_t raft_index;
    uint64_t time_ms;
    uint32_t bytes; /* of its data */
};

/* The log_request at a Raft index, encoded. False: the log has it no more, because a snapshot takes
 * the place of all of it. */
typedef bool hm_kept_body(void *context, uint64_t raft_index, struct hm_bytes *out);

/* All zero is a valid empty store that keeps nothing. By rising index without a gap: first those
 * that are packed, then the places. */
struct hm_kept {
    struct hm_keep keep;
    hm_kept_body *body; /* NULL: all are packed */
    void *context;      /* of `body` */
    uint64_t last;      /* index of the newest */
    struct hm_packed packed;
    struct hm_kept_place *places; /* at place_first .. place_first + place_count */
    size_t place_first;
    size_t place_count;
    size_t place_capacity;
    uint64_t bytes;
};

/* Makes it smaller at once; what it lacks does not come back. */
void hm_kept_limit(struct hm_kept *kept, struct hm_keep keep);
/* `raft_index`: where `body` finds it as long as it is kept as a place. */
void hm_kept_add(struct hm_kept *kept, const struct hm_log_entry *entry, uint64_t raft_index);
size_t hm_kept_count(const struct hm_kept *kept);
/* False: not kept. What `out` points to is valid until the next change. */
bool hm_kept_find(const struct hm_kept *kept, uint64_t index, struct hm_log_item *out);
/* The index of the entry that this writer made under this seq, looked for from the newest on; 0:
 * not kept. */
uint64_t hm_kept_written(const struct hm_kept *kept, const struct hm_id *session, uint64_t seq);
/* Packs those up to this index of Raft's log, which is going to lose them. */
void hm_kept_pack(struct hm_kept *kept, uint64_t raft_index);
/* Becomes these. HM_BAD_BYTES: they are not dense up to `last`; it is as before. */
HM_MUST_USE enum hm_status hm_kept_load(struct hm_kept *kept, struct hm_keep keep,
                                        const struct hm_log_item *items, size_t count,
                                        uint64_t last);
void hm_kept_fini(struct hm_kept *kept);

#endif
