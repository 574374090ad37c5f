/* A hash index: from a 64-bit hash to the slots (small integers) of the caller's own array. The
 * caller compares keys; the index knows none. */
#ifndef HM_BASE_INDEX_H
#define HM_BASE_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct hm_index_cell;

/* All zero is a valid empty index. */
struct hm_index {
    struct hm_index_cell *cells; /* linear probing; capacity is 0 or a power of two */
    size_t capacity;
    size_t used; /* cells that hold a slot; 4 * used <= 3 * capacity */
};

/* Walks the slots filed under one hash: start with cursor 0, stop at HM_INDEX_END. */
#define HM_INDEX_END UINT32_MAX
uint32_t hm_index_next(const struct hm_index *index, uint64_t hash, size_t *cursor);

/* Files `slot` under `hash`; the pair must not be there yet. */
void hm_index_add(struct hm_index *index, uint64_t hash, uint32_t slot);

/* Removes the pair, which must be there. */
void hm_index_remove(struct hm_index *index, uint64_t hash, uint32_t slot);

/* What it takes of memory. */
size_t hm_index_bytes(const struct hm_index *index);

void hm_index_clear(struct hm_index *index);
void hm_index_fini(struct hm_index *index);

#endif
