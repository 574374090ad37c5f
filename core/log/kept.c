#include "core/log/kept.h"

#include "core/base/memory.h"

#include <string.h>

static void drop_oldest(struct hm_kept *kept)
{
    struct hm_log_item *oldest = &kept->items[kept->first++];
    kept->bytes -= oldest->data.size;
    hm_bytes_free(oldest->data);
    kept->count--;
}

static void trim(struct hm_kept *kept)
{
    while (kept->count > kept->keep.entries ||
           (kept->count > 1 && kept->bytes > kept->keep.bytes)) {
        drop_oldest(kept);
    }
}

void hm_kept_limit(struct hm_kept *kept, struct hm_keep keep)
{
    kept->keep.entries = keep.entries < HM_KEEP_ENTRIES_MAX ? keep.entries : HM_KEEP_ENTRIES_MAX;
    kept->keep.bytes = keep.bytes < HM_KEEP_BYTES_MAX ? keep.bytes : HM_KEEP_BYTES_MAX;
    trim(kept);
}

static void add(struct hm_kept *kept, const struct hm_log_item *item)
{
    size_t end = kept->first + kept->count;
    if (end == kept->capacity && kept->first > end / 2) {
        memmove(kept->items, kept->items + kept->first, kept->count * sizeof *kept->items);
        kept->first = 0;
        end = kept->count;
    }
    kept->items = hm_grow(kept->items, end, &kept->capacity, sizeof *kept->items);
    kept->items[end] = *item;
    kept->items[end].data = hm_bytes_copy(item->data);
    kept->bytes += item->data.size;
    kept->count++;
}

void hm_kept_add(struct hm_kept *kept, const struct hm_log_entry *entry)
{
    if (kept->keep.entries == 0) {
        return;
    }
    add(kept, &(struct hm_log_item){.index = entry->index,
                                    .time_ms = entry->time_ms,
                                    .session = entry->session,
                                    .seq = entry->seq,
                                    .data = entry->request});
    trim(kept);
}

const struct hm_log_item *hm_kept_find(const struct hm_kept *kept, uint64_t index)
{
    if (kept->count == 0 || index < kept->items[kept->first].index) {
        return NULL;
    }
    uint64_t place = index - kept->items[kept->first].index;
    return place < kept->count ? &kept->items[kept->first + place] : NULL;
}

const struct hm_log_item *hm_kept_written(const struct hm_kept *kept, const struct hm_id *session,
                                          uint64_t seq)
{
    for (size_t i = kept->count; i > 0; i--) {
        const struct hm_log_item *item = &kept->items[kept->first + i - 1];
        if (item->seq == seq && hm_id_equal(&item->session, session)) {
            return item;
        }
    }
    return NULL;
}

enum hm_status hm_kept_load(struct hm_kept *kept, struct hm_keep keep,
                            const struct hm_log_item *items, size_t count, uint64_t last)
{
    for (size_t i = 0; i < count; i++) {
        if (items[i].index == 0 || items[i].index != last - (count - 1) + i) {
            return HM_BAD_BYTES;
        }
    }
    hm_kept_fini(kept);
    for (size_t i = 0; i < count; i++) {
        add(kept, &items[i]);
    }
    hm_kept_limit(kept, keep);
    return HM_OK;
}

void hm_kept_fini(struct hm_kept *kept)
{
    while (kept->count) {
        drop_oldest(kept);
    }
    hm_free(kept->items);
    *kept = (struct hm_kept){0};
}
