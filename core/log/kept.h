/* The entries of a log that stay readable: the newest, as many as it is told to keep. */
#ifndef HM_LOG_KEPT_H
#define HM_LOG_KEPT_H

#include "core/log/machine.h"

/* With what else a snapshot carries it stays below what one message may have. */
#define HM_KEEP_ENTRIES_MAX 131072u
#define HM_KEEP_BYTES_MAX   (8u << 20)

/* How much of a log stays readable; zeros: nothing. */
struct hm_keep {
    uint32_t entries; /* <= HM_KEEP_ENTRIES_MAX */
    uint32_t bytes;   /* <= HM_KEEP_BYTES_MAX; the newest entry stays whatever its size */
};

/* All zero is a valid empty store that keeps nothing. */
struct hm_kept {
    struct hm_keep keep;
    struct hm_log_item *items; /* first .. first + count, by index without a gap; data is owned */
    size_t first;
    size_t count;
    size_t capacity;
    uint64_t bytes;
};

/* Makes it smaller at once; what it lacks does not come back. */
void hm_kept_limit(struct hm_kept *kept, struct hm_keep keep);
void hm_kept_add(struct hm_kept *kept, const struct hm_log_entry *entry);
/* NULL: not kept. Valid until the next change. */
const struct hm_log_item *hm_kept_find(const struct hm_kept *kept, uint64_t index);
/* The entry that this writer made under this seq, looked for from the newest on; NULL: not kept. */
const struct hm_log_item *hm_kept_written(const struct hm_kept *kept, const struct hm_id *session,
                                          uint64_t seq);
/* Becomes these. HM_BAD_BYTES: they are not dense up to `last`; it is as before. */
HM_MUST_USE enum hm_status hm_kept_load(struct hm_kept *kept, struct hm_keep keep,
                                        const struct hm_log_item *items, size_t count,
                                        uint64_t last);
void hm_kept_fini(struct hm_kept *kept);

#endif
