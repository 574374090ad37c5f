#include "core/log/kept.h"

#include "core/base/memory.h"
#include "core/base/plant.h"

#include <string.h>

static void drop_oldest(struct hm_kept *kept)
{
    if (kept->packed.items) {
        kept->bytes -= hm_packed_drop_oldest(&kept->packed);
    } else {
        kept->bytes -= kept->places[kept->place_first++].bytes;
        kept->place_count--;
    }
}

static void trim(struct hm_kept *kept)
{
    size_t count = hm_kept_count(kept);
    while (count > kept->keep.entries || (count > 1 && kept->bytes > kept->keep.bytes)) {
        drop_oldest(kept);
        count--;
    }
}

void hm_kept_limit(struct hm_kept *kept, struct hm_keep keep)
{
    kept->keep.entries = keep.entries < HM_KEEP_ENTRIES_MAX ? keep.entries : HM_KEEP_ENTRIES_MAX;
    kept->keep.bytes = keep.bytes < HM_KEEP_BYTES_MAX ? keep.bytes : HM_KEEP_BYTES_MAX;
    trim(kept);
}

static void move_places(struct hm_kept *kept)
{
    memmove(kept->places, kept->places + kept->place_first,
            kept->place_count * sizeof *kept->places);
    kept->place_first = 0;
}

static void add_place(struct hm_kept *kept, const struct hm_kept_place *place)
{
    size_t end = kept->place_first + kept->place_count;
    if (end == kept->place_capacity && kept->place_first > end / 4) {
        move_places(kept);
        end = kept->place_count;
    }
    kept->places = hm_grow(kept->places, end, &kept->place_capacity, sizeof *kept->places);
    kept->places[end] = *place;
    kept->place_count++;
}

void hm_kept_add(struct hm_kept *kept, const struct hm_log_entry *entry, uint64_t raft_index)
{
    kept->last = entry->index;
    if (kept->keep.entries == 0) {
        return;
    }
    kept->bytes += entry->request.size;
    if (kept->body) {
        add_place(kept, &(struct hm_kept_place){raft_index, entry->time_ms,
                                                (uint32_t)entry->request.size});
    } else {
        hm_packed_add(&kept->packed, &(struct hm_log_item){.index = entry->index,
                                                           .time_ms = entry->time_ms,
                                                           .session = entry->session,
                                                           .seq = entry->seq,
                                                           .data = entry->request});
    }
    trim(kept);
}

size_t hm_kept_count(const struct hm_kept *kept)
{
    return kept->packed.items + kept->place_count;
}

static bool look_up(const struct hm_kept *kept, uint64_t index, const struct hm_kept_place *place,
                    struct hm_log_item *out)
{
    struct hm_arena arena = {0};
    struct hm_bytes body;
    struct hm_message message;
    bool there = kept->body(kept->context, place->raft_index, &body) &&
                 hm_message_decode_only(body, HM_MSG_log_request, &arena, &message) == HM_OK;
    hm_arena_fini(&arena); /* a request points into the body alone */
    if (!there) {
        return false;
    }
    *out = (struct hm_log_item){.index = index,
                                .time_ms = place->time_ms,
                                .session = message.log_request.session,
                                .seq = message.log_request.seq,
                                .data = message.log_request.request};
    return true;
}

bool hm_kept_find(const struct hm_kept *kept, uint64_t index, struct hm_log_item *out)
{
    uint64_t oldest = kept->last + 1 - hm_kept_count(kept);
    if (index < oldest || index > kept->last) {
        return false;
    }
    size_t at = (size_t)(index - oldest);
    if (at >= kept->packed.items) {
        at += kept->place_first - kept->packed.items;
        return look_up(kept, index, &kept->places[at], out);
    }
    hm_packed_find(&kept->packed, index, out);
    return true;
}

uint64_t hm_kept_written(const struct hm_kept *kept, const struct hm_id *session, uint64_t seq)
{
    struct hm_log_item item;
    uint64_t index = kept->last;
    for (size_t left = kept->place_count; left > 0; left--, index--) {
        if (hm_kept_find(kept, index, &item) && item.seq == seq &&
            hm_id_equal(&item.session, session)) {
            return index;
        }
    }
    return hm_packed_written(&kept->packed, session, seq);
}

void hm_kept_pack(struct hm_kept *kept, uint64_t raft_index)
{
    struct hm_log_item item;
    uint64_t index = kept->last + 1 - kept->place_count;
    raft_index -= hm_plant("packs_one_too_few");
    while (kept->place_count && kept->places[kept->place_first].raft_index <= raft_index &&
           hm_kept_find(kept, index, &item)) {
        hm_packed_add(&kept->packed, &item);
        kept->place_first++;
        kept->place_count--;
        index++;
    }
    if (kept->place_first > kept->place_capacity / 2) {
        move_places(kept);
        kept->places =
            hm_shrink(kept->places, kept->place_count, &kept->place_capacity, sizeof *kept->places);
    }
}

enum hm_status hm_kept_load(struct hm_kept *kept, struct hm_keep keep,
                            const struct hm_log_item *items, size_t count, uint64_t last)
{
    for (size_t i = 0; i < count; i++) {
        if (items[i].index == 0 || items[i].index != last - (count - 1) + i) {
            return HM_BAD_BYTES;
        }
    }
    struct hm_kept loaded = {.body = kept->body, .context = kept->context, .last = last};
    hm_kept_fini(kept);
    for (size_t i = 0; i < count; i++) {
        loaded.bytes += items[i].data.size;
        hm_packed_add(&loaded.packed, &items[i]);
    }
    *kept = loaded;
    hm_kept_limit(kept, keep);
    return HM_OK;
}

void hm_kept_fini(struct hm_kept *kept)
{
    hm_packed_fini(&kept->packed);
    hm_free(kept->places);
    *kept = (struct hm_kept){0};
}
