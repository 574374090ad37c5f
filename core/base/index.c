#include "core/base/index.h"

#include "core/base/assert.h"
#include "core/base/memory.h"

#include <string.h>

struct hm_index_cell {
    uint32_t hash; /* folded: the caller compares keys */
    uint32_t slot; /* HM_INDEX_END when free */
};

/* Numbers that count up make hashes too: multiplied (Knuth 6.4), they do not lie side by side in
 * one run that every removal walks. */
static uint32_t fold(uint64_t hash)
{
    return (uint32_t)((hash ^ hash >> 32) * UINT64_C(0x9E3779B97F4A7C15) >> 32);
}

static size_t home(const struct hm_index *index, uint32_t hash)
{
    return hash & (index->capacity - 1);
}

static void place(struct hm_index *index, uint32_t hash, uint32_t slot)
{
    size_t at = home(index, hash);
    while (index->cells[at].slot != HM_INDEX_END) {
        at = (at + 1) & (index->capacity - 1);
    }
    index->cells[at] = (struct hm_index_cell){hash, slot};
}

static void grow(struct hm_index *index)
{
    struct hm_index old = *index;
    index->capacity = old.capacity ? old.capacity * 2 : 16;
    index->cells = hm_alloc(index->capacity, sizeof *index->cells);
    hm_index_clear(index);
    for (size_t i = 0; i < old.capacity; i++) {
        if (old.cells[i].slot != HM_INDEX_END) {
            place(index, old.cells[i].hash, old.cells[i].slot);
        }
    }
    index->used = old.used;
    hm_free(old.cells);
}

uint32_t hm_index_next(const struct hm_index *index, uint64_t hash, size_t *cursor)
{
    uint32_t folded = fold(hash);
    while (*cursor < index->capacity) {
        const struct hm_index_cell *cell =
            &index->cells[(home(index, folded) + *cursor) & (index->capacity - 1)];
        ++*cursor;
        if (cell->slot == HM_INDEX_END) {
            break;
        }
        if (cell->hash == folded) {
            return cell->slot;
        }
    }
    return HM_INDEX_END;
}

void hm_index_add(struct hm_index *index, uint64_t hash, uint32_t slot)
{
    HM_ASSERT(slot != HM_INDEX_END);
    if (4 * (index->used + 1) > 3 * index->capacity) {
        grow(index);
    }
    place(index, fold(hash), slot);
    index->used++;
}

/* Closes the gap behind a removed cell, so that no tombstones are needed (Knuth 6.4, algorithm R).
 */
static void close_gap(struct hm_index *index, size_t gap)
{
    size_t mask = index->capacity - 1;
    for (size_t at = (gap + 1) & mask; index->cells[at].slot != HM_INDEX_END;
         at = (at + 1) & mask) {
        size_t from_home = (at - home(index, index->cells[at].hash)) & mask;
        size_t from_gap = (at - gap) & mask;
        if (from_home >= from_gap) {
            index->cells[gap] = index->cells[at];
            gap = at;
        }
    }
    index->cells[gap].slot = HM_INDEX_END;
}

void hm_index_remove(struct hm_index *index, uint64_t hash, uint32_t slot)
{
    HM_ASSERT(index->used > 0);
    size_t mask = index->capacity - 1;
    uint32_t folded = fold(hash);
    size_t at = home(index, folded);
    while (index->cells[at].hash != folded || index->cells[at].slot != slot) {
        HM_ASSERT(index->cells[at].slot != HM_INDEX_END);
        at = (at + 1) & mask;
    }
    close_gap(index, at);
    index->used--;
}

size_t hm_index_bytes(const struct hm_index *index)
{
    return index->capacity * sizeof *index->cells;
}

void hm_index_clear(struct hm_index *index)
{
    for (size_t i = 0; i < index->capacity; i++) {
        index->cells[i].slot = HM_INDEX_END;
    }
    index->used = 0;
}

void hm_index_fini(struct hm_index *index)
{
    hm_free(index->cells);
    *index = (struct hm_index){0};
}
