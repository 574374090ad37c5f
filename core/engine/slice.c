#include "core/engine/slice.h"

#include "core/base/assert.h"
#include "core/base/hash.h"
#include "core/base/memory.h"

#include <string.h>

void hm_slice_init(struct hm_slice *slice, const struct hm_slice_config *config)
{
    *slice = (struct hm_slice){.config = *config};
    if (slice->config.rings == 0) {
        slice->config.rings = HM_SLICE_RINGS_DEFAULT;
    }
    HM_ASSERT(slice->config.rings <= HM_SLICE_RINGS_MAX);
    hm_slice_add(slice, &(struct hm_peer){.id = config->self});
}

void hm_slice_fini(struct hm_slice *slice)
{
    for (uint32_t ring = 0; ring < slice->config.rings; ring++) {
        hm_free(slice->rings[ring]);
    }
    hm_free(slice->peers);
    hm_free(slice->subjects.peers);
    hm_free(slice->observers.peers);
    hm_free(slice->neighbours.peers);
    hm_index_fini(&slice->by_id);
    *slice = (struct hm_slice){0};
}

static void forget_lists(struct hm_slice *slice)
{
    slice->subjects.fresh = false;
    slice->observers.fresh = false;
    slice->neighbours.fresh = false;
}

static uint32_t slot_of(const struct hm_slice *slice, const struct hm_id *id)
{
    size_t cursor = 0;
    uint32_t slot;
    while ((slot = hm_index_next(&slice->by_id, hm_hash_id(0, id), &cursor)) != HM_INDEX_END) {
        if (hm_id_equal(&slice->peers[slot].id, id)) {
            break;
        }
    }
    return slot;
}

/* The first seat of a ring that is not before (hash, id). */
static size_t seat_of(const struct hm_slice *slice, uint32_t ring, uint64_t hash,
                      const struct hm_id *id)
{
    size_t low = 0;
    size_t high = slice->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct hm_slice_seat *seat = &slice->rings[ring][middle];
        bool before = seat->hash != hash ? seat->hash < hash
                                         : hm_id_compare(&slice->peers[seat->slot].id, id) < 0;
        if (before) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

bool hm_slice_add(struct hm_slice *slice, const struct hm_peer *peer)
{
    if (hm_slice_move(slice, peer)) {
        return false;
    }
    if (slice->count == slice->capacity) {
        slice->peers = hm_grow(slice->peers, slice->count, &slice->capacity, sizeof *slice->peers);
        for (uint32_t ring = 0; ring < slice->config.rings; ring++) {
            slice->rings[ring] =
                hm_resize(slice->rings[ring], slice->capacity, sizeof *slice->rings[ring]);
        }
    }
    uint32_t slot = (uint32_t)slice->count;
    for (uint32_t ring = 0; ring < slice->config.rings; ring++) {
        uint64_t hash = hm_hash_id(ring, &peer->id);
        size_t at = seat_of(slice, ring, hash, &peer->id);
        struct hm_slice_seat *seats = slice->rings[ring];
        memmove(seats + at + 1, seats + at, (slice->count - at) * sizeof *seats);
        seats[at] = (struct hm_slice_seat){hash, slot};
    }
    slice->peers[slot] = *peer;
    slice->count++;
    hm_index_add(&slice->by_id, hm_hash_id(0, &peer->id), slot);
    forget_lists(slice);
    return true;
}

/* The last peer takes the freed slot, so that `peers` stays dense. */
static void refill_slot(struct hm_slice *slice, uint32_t slot)
{
    uint32_t last = (uint32_t)slice->count;
    if (slot == last) {
        return;
    }
    const struct hm_id *id = &slice->peers[last].id;
    for (uint32_t ring = 0; ring < slice->config.rings; ring++) {
        size_t at = seat_of(slice, ring, hm_hash_id(ring, id), id);
        HM_ASSERT(slice->rings[ring][at].slot == last);
        slice->rings[ring][at].slot = slot;
    }
    hm_index_remove(&slice->by_id, hm_hash_id(0, id), last);
    hm_index_add(&slice->by_id, hm_hash_id(0, id), slot);
    slice->peers[slot] = slice->peers[last];
}

bool hm_slice_remove(struct hm_slice *slice, const struct hm_id *id)
{
    uint32_t slot = slot_of(slice, id);
    if (slot == HM_INDEX_END || slot == 0) {
        return false;
    }
    struct hm_id gone = *id; /* the caller's id may be in `peers` */
    size_t seats_at[HM_SLICE_RINGS_MAX];
    for (uint32_t ring = 0; ring < slice->config.rings; ring++) {
        seats_at[ring] = seat_of(slice, ring, hm_hash_id(ring, &gone), &gone);
    }
    slice->count--;
    for (uint32_t ring = 0; ring < slice->config.rings; ring++) {
        struct hm_slice_seat *seats = slice->rings[ring];
        size_t at = seats_at[ring];
        HM_ASSERT(seats[at].slot == slot);
        memmove(seats + at, seats + at + 1, (slice->count - at) * sizeof *seats);
    }
    hm_index_remove(&slice->by_id, hm_hash_id(0, &gone), slot);
    refill_slot(slice, slot);
    forget_lists(slice);
    return true;
}

bool hm_slice_move(struct hm_slice *slice, const struct hm_peer *peer)
{
    uint32_t slot = slot_of(slice, &peer->id);
    if (slot == HM_INDEX_END) {
        return false;
    }
    if (!hm_addr_equal(&slice->peers[slot].addr, &peer->addr)) {
        slice->peers[slot].addr = peer->addr;
        forget_lists(slice);
    }
    return true;
}

void hm_slice_clear(struct hm_slice *slice)
{
    while (slice->count > 1) {
        struct hm_id last = slice->peers[slice->count - 1].id;
        hm_slice_remove(slice, &last);
    }
}

static bool holds(const struct hm_peer *peers, size_t count, const struct hm_id *id)
{
    for (size_t i = 0; i < count; i++) {
        if (hm_id_equal(&peers[i].id, id)) {
            return true;
        }
    }
    return false;
}

static void note(struct hm_peer *out, size_t *count, size_t max, const struct hm_peer *peer)
{
    if (*count < max && !holds(out, *count, &peer->id)) {
        out[(*count)++] = *peer;
    }
}

static size_t successors_of_self(const struct hm_slice *slice, struct hm_peer *out)
{
    size_t count = 0;
    const struct hm_id *self = &slice->config.self;
    for (uint32_t ring = 0; slice->count > 1 && ring < slice->config.rings; ring++) {
        size_t at = seat_of(slice, ring, hm_hash_id(ring, self), self);
        size_t next = (at + 1) % slice->count;
        note(out, &count, slice->config.rings, &slice->peers[slice->rings[ring][next].slot]);
    }
    return count;
}

/* Empties a stale list; it holds at most two peers a ring. */
static void start_list(const struct hm_slice *slice, struct hm_slice_list *list)
{
    if (!list->peers) {
        list->peers = hm_alloc(2 * (size_t)slice->config.rings, sizeof *list->peers);
    }
    list->count = 0;
    list->fresh = true;
}

const struct hm_peer *hm_slice_subjects(struct hm_slice *slice, size_t *count)
{
    struct hm_slice_list *list = &slice->subjects;
    if (!list->fresh) {
        start_list(slice, list);
        list->count = successors_of_self(slice, list->peers);
    }
    *count = list->count;
    return list->peers;
}

const struct hm_peer *hm_slice_observers(struct hm_slice *slice, size_t *count)
{
    struct hm_slice_list *list = &slice->observers;
    if (!list->fresh) {
        start_list(slice, list);
        list->count =
            hm_slice_observers_of(slice, &slice->config.self, list->peers, slice->config.rings);
    }
    *count = list->count;
    return list->peers;
}

const struct hm_peer *hm_slice_neighbours(struct hm_slice *slice, size_t *count)
{
    struct hm_slice_list *list = &slice->neighbours;
    if (!list->fresh) {
        size_t max = 2 * (size_t)slice->config.rings;
        start_list(slice, list);
        list->count = successors_of_self(slice, list->peers);
        size_t observer_count;
        const struct hm_peer *observers = hm_slice_observers(slice, &observer_count);
        for (size_t i = 0; i < observer_count; i++) {
            note(list->peers, &list->count, max, &observers[i]);
        }
    }
    *count = list->count;
    return list->peers;
}

static bool everyone_is_live(void *context, const struct hm_id *id)
{
    (void)context;
    (void)id;
    return true;
}

size_t hm_slice_observers_of(const struct hm_slice *slice, const struct hm_id *id,
                             struct hm_peer *out, size_t max)
{
    return hm_slice_live_observers_of(slice, id, everyone_is_live, NULL, out, max);
}

size_t hm_slice_live_observers_of(const struct hm_slice *slice, const struct hm_id *id,
                                  bool (*is_live)(void *context, const struct hm_id *id),
                                  void *context, struct hm_peer *out, size_t max)
{
    size_t count = 0;
    for (uint32_t ring = 0; ring < slice->config.rings; ring++) {
        size_t at = seat_of(slice, ring, hm_hash_id(ring, id), id);
        for (size_t back = 1; back <= slice->count; back++) {
            size_t seat = (at + slice->count - back) % slice->count;
            const struct hm_peer *peer = &slice->peers[slice->rings[ring][seat].slot];
            if (hm_id_equal(&peer->id, id)) {
                break; /* all the way round */
            }
            if (is_live(context, &peer->id)) {
                note(out, &count, max, peer);
                break;
            }
        }
    }
    return count;
}

const struct hm_peer *hm_slice_find(const struct hm_slice *slice, const struct hm_id *id)
{
    uint32_t slot = slot_of(slice, id);
    return slot == HM_INDEX_END ? NULL : &slice->peers[slot];
}

size_t hm_slice_count(const struct hm_slice *slice)
{
    return slice->count;
}
