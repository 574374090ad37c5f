#include "core/log/packed.h"

#include "core/base/assert.h"
#include "core/base/memory.h"
#include "core/base/plant.h"

#include <string.h>

/* A block is full with so many entries, or so many bytes. */
#define BLOCK_ENTRIES 32u
#define BLOCK_BYTES   (16u << 10)

/* An entry: twice the size of its data, and one more if its session is another than that of the one
 * before (varint); then that session; seq (varint); log time since the one before it (varint); the
 * data. Before the first of a block: no session, time 0. */
struct hm_packed_block {
    uint64_t first;       /* index of the oldest that is left */
    uint32_t count;       /* that are left, > 0 */
    size_t at;            /* where the oldest begins */
    struct hm_id session; /* of the one before that */
    uint64_t time_ms;
    struct hm_bytes bytes; /* owned; of the newest block they are in `open` instead */
};

struct cursor {
    struct hm_reader in;
    struct hm_log_item item; /* read last */
};

static struct hm_packed_block *block_at(const struct hm_packed *packed, size_t at)
{
    return &packed->blocks[packed->first + at];
}

static struct cursor cursor_of(const struct hm_packed *packed, const struct hm_packed_block *block)
{
    struct hm_bytes bytes = block->bytes.data ? block->bytes : hm_buf_view(&packed->open);
    return (struct cursor){
        .in = hm_reader_of((struct hm_bytes){bytes.data + block->at, bytes.size - block->at}),
        .item = {.index = block->first - 1, .session = block->session, .time_ms = block->time_ms}};
}

static void next(struct cursor *cursor)
{
    struct hm_log_item *item = &cursor->item;
    uint64_t head = hm_get_varint(&cursor->in);
    if (head & 1) {
        struct hm_bytes session = hm_get_bytes(&cursor->in, sizeof item->session.bytes);
        memcpy(item->session.bytes, session.data, session.size);
    }
    item->index++;
    item->seq = hm_get_varint(&cursor->in);
    item->time_ms += hm_get_varint(&cursor->in);
    item->data = hm_get_bytes(&cursor->in, (size_t)(head >> 1));
    HM_ASSERT(!cursor->in.bad);
}

/* ---- added ---- */

/* In as much memory as it takes. */
static void close_newest(struct hm_packed *packed)
{
    if (packed->count) {
        block_at(packed, packed->count - 1)->bytes = hm_bytes_copy(hm_buf_view(&packed->open));
    }
    hm_buf_reuse(&packed->open, 2 * BLOCK_BYTES);
    packed->open_count = 0;
    packed->session = (struct hm_id){{0}};
    packed->time_ms = 0;
}

static void add_block(struct hm_packed *packed, uint64_t first)
{
    size_t end = packed->first + packed->count;
    if (end == packed->capacity && packed->first > end / 4) {
        memmove(packed->blocks, packed->blocks + packed->first,
                packed->count * sizeof *packed->blocks);
        packed->first = 0;
        end = packed->count;
    }
    packed->blocks = hm_grow(packed->blocks, end, &packed->capacity, sizeof *packed->blocks);
    packed->blocks[end] = (struct hm_packed_block){.first = first};
    packed->count++;
}

void hm_packed_add(struct hm_packed *packed, const struct hm_log_item *item)
{
    if (packed->open_count == 0 || packed->open_count == BLOCK_ENTRIES ||
        packed->open.size + item->data.size > BLOCK_BYTES) {
        close_newest(packed);
        add_block(packed, item->index);
    }
    struct hm_packed_block *block = block_at(packed, packed->count - 1);
    HM_ASSERT(item->index == block->first + block->count);
    bool is_other = !hm_id_equal(&item->session, &packed->session);
    hm_put_varint(&packed->open, (uint64_t)item->data.size << 1 | is_other);
    if (is_other) {
        hm_buf_append(&packed->open, item->session.bytes, sizeof item->session.bytes);
    }
    hm_put_varint(&packed->open, item->seq);
    hm_put_varint(&packed->open, item->time_ms - packed->time_ms);
    hm_buf_append(&packed->open, item->data.data, item->data.size);
    packed->session = item->session;
    packed->time_ms = item->time_ms;
    packed->open_count++;
    packed->items++;
    block->count++;
}

/* ---- dropped ---- */

size_t hm_packed_drop_oldest(struct hm_packed *packed)
{
    HM_ASSERT(packed->count > 0);
    struct hm_packed_block *oldest = block_at(packed, 0);
    struct cursor cursor = cursor_of(packed, oldest);
    size_t left = hm_reader_left(&cursor.in);
    next(&cursor);
    oldest->at += left - hm_reader_left(&cursor.in);
    if (!hm_plant("trims_a_session")) {
        oldest->session = cursor.item.session;
    }
    oldest->time_ms = cursor.item.time_ms;
    oldest->first++;
    packed->items--;
    if (--oldest->count == 0) {
        hm_bytes_free(oldest->bytes);
        packed->first++;
        packed->count--;
    }
    if (packed->count == 0) {
        hm_packed_fini(packed);
    }
    return cursor.item.data.size;
}

/* ---- found ---- */

void hm_packed_find(const struct hm_packed *packed, uint64_t index, struct hm_log_item *out)
{
    size_t low = 0;
    size_t high = packed->count;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (block_at(packed, middle)->first <= index) {
            low = middle;
        } else {
            high = middle;
        }
    }
    const struct hm_packed_block *block = block_at(packed, low);
    HM_ASSERT(index >= block->first && index - block->first < block->count);
    struct cursor cursor = cursor_of(packed, block);
    while (cursor.item.index < index) {
        next(&cursor);
    }
    *out = cursor.item;
}

uint64_t hm_packed_written(const struct hm_packed *packed, const struct hm_id *session,
                           uint64_t seq)
{
    uint64_t found = 0;
    for (size_t at = packed->count; at > 0 && found == 0; at--) {
        const struct hm_packed_block *block = block_at(packed, at - 1);
        struct cursor cursor = cursor_of(packed, block);
        for (uint32_t i = 0; i < block->count; i++) {
            next(&cursor);
            bool same = cursor.item.seq == seq && hm_id_equal(&cursor.item.session, session);
            found = same ? cursor.item.index : found;
        }
    }
    return found;
}

void hm_packed_fini(struct hm_packed *packed)
{
    for (size_t i = 0; i < packed->count; i++) {
        hm_bytes_free(block_at(packed, i)->bytes);
    }
    hm_free(packed->blocks);
    hm_buf_fini(&packed->open);
    *packed = (struct hm_packed){0};
}
