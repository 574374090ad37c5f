/* Entries of a log in little memory: blocks of a few, in each of which an entry says only what the
 * one before it does not. Added at one end, dropped at the other. */
#ifndef HM_LOG_PACKED_H
#define HM_LOG_PACKED_H

#include "core/wire/message.h"

struct hm_packed_block;

/* All zero is a valid empty one. */
struct hm_packed {
    struct hm_packed_block *blocks; /* oldest first, at first .. first + count; none is empty */
    size_t first;
    size_t count;
    size_t capacity;
    size_t items;         /* in all blocks */
    struct hm_buf open;   /* bytes of the newest block, which takes more */
    uint32_t open_count;  /* entries that were ever put into it */
    struct hm_id session; /* of the newest entry */
    uint64_t time_ms;
};

/* Its index is one above that of the newest. */
void hm_packed_add(struct hm_packed *packed, const struct hm_log_item *item);
/* There is one. Returns the size of its data. */
size_t hm_packed_drop_oldest(struct hm_packed *packed);
/* The entry at `index`, which must be there. What `out` points to is valid until the next change.
 */
void hm_packed_find(const struct hm_packed *packed, uint64_t index, struct hm_log_item *out);
/* The index of the newest with this session and seq; 0: none has. */
uint64_t hm_packed_written(const struct hm_packed *packed, const struct hm_id *session,
                           uint64_t seq);
void hm_packed_fini(struct hm_packed *packed);

#endif
