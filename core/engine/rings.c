#include "core/engine/rings.h"

#include "core/base/assert.h"
#include "core/base/memory.h"

#include <string.h>

/* Of one ring: where a member stands, or would. */
struct spot {
    size_t block;
    size_t at;
};

/* An id and its place on a ring. */
struct key {
    const struct hm_id *id;
    uint64_t place;
};

void hm_rings_init(struct hm_rings *rings, const struct hm_rings_config *config)
{
    *rings = (struct hm_rings){.config = *config};
    if (rings->config.rings == 0) {
        rings->config.rings = HM_RINGS_DEFAULT;
    }
    HM_ASSERT(rings->config.rings <= HM_RINGS_MAX);
}

void hm_rings_fini(struct hm_rings *rings)
{
    for (uint32_t i = 0; i < rings->config.rings; i++) {
        struct hm_rings_ring *ring = &rings->rings[i];
        for (size_t block = 0; block < ring->count; block++) {
            hm_free(ring->blocks[block].members);
        }
        hm_free(ring->blocks);
    }
    *rings = (struct hm_rings){0};
}

static struct key key_of(uint32_t ring, const struct hm_id *id)
{
    return (struct key){id, hm_ring_place(ring, hm_ring_hash(id))};
}

static bool is_before(const struct hm_rings *rings, uint32_t ring, uint32_t member,
                      const struct key *key)
{
    struct key other = key_of(ring, rings->config.id_of(rings->config.context, member));
    return other.place != key->place ? other.place < key->place
                                     : hm_id_compare(other.id, key->id) < 0;
}

/* The first member that is not before the key; behind the last block when there is none. */
static struct spot find(const struct hm_rings *rings, uint32_t number, const struct key *key)
{
    const struct hm_rings_ring *ring = &rings->rings[number];
    size_t low = 0;
    size_t high = ring->count;
    while (low < high) { /* the first block whose last member is not before the key */
        size_t middle = low + (high - low) / 2;
        const struct hm_rings_block *block = &ring->blocks[middle];
        if (is_before(rings, number, block->members[block->count - 1], key)) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    struct spot spot = {low, 0};
    if (low == ring->count) {
        return spot;
    }
    const struct hm_rings_block *block = &ring->blocks[low];
    size_t last = block->count - 1;
    while (spot.at < last) {
        size_t middle = spot.at + (last - spot.at) / 2;
        if (is_before(rings, number, block->members[middle], key)) {
            spot.at = middle + 1;
        } else {
            last = middle;
        }
    }
    return spot;
}

static struct hm_rings_block *insert_block(struct hm_rings_ring *ring, size_t at)
{
    ring->blocks = hm_grow(ring->blocks, ring->count, &ring->capacity, sizeof *ring->blocks);
    memmove(ring->blocks + at + 1, ring->blocks + at, (ring->count - at) * sizeof *ring->blocks);
    ring->count++;
    ring->blocks[at] = (struct hm_rings_block){0};
    return &ring->blocks[at];
}

/* In steps of eight: a block is as long as it needs to be, and seldom moves. */
static size_t room_for(uint32_t count)
{
    return ((size_t)count + 7) / 8 * 8;
}

static void resize_block(struct hm_rings_block *block, uint32_t count)
{
    if (!block->members || room_for(count) != room_for(block->count)) {
        block->members = hm_resize(block->members, room_for(count), sizeof *block->members);
    }
    block->count = count;
}

static void split(struct hm_rings_ring *ring, size_t at)
{
    insert_block(ring, at + 1);
    struct hm_rings_block *first = &ring->blocks[at];
    struct hm_rings_block *second = first + 1;
    uint32_t half = first->count / 2;
    resize_block(second, first->count - half);
    memcpy(second->members, first->members + half, second->count * sizeof *second->members);
    resize_block(first, half);
}

static void add(struct hm_rings *rings, uint32_t number, uint32_t member)
{
    struct hm_rings_ring *ring = &rings->rings[number];
    struct key key = key_of(number, rings->config.id_of(rings->config.context, member));
    struct spot spot = find(rings, number, &key);
    if (ring->count == 0) {
        insert_block(ring, 0);
    } else if (spot.block == ring->count) {
        spot = (struct spot){ring->count - 1, ring->blocks[ring->count - 1].count};
    }
    if (ring->blocks[spot.block].count == HM_RINGS_BLOCK) {
        split(ring, spot.block);
        uint32_t half = ring->blocks[spot.block].count;
        if (spot.at > half) {
            spot = (struct spot){spot.block + 1, spot.at - half};
        }
    }
    struct hm_rings_block *block = &ring->blocks[spot.block];
    size_t behind = block->count - spot.at;
    resize_block(block, block->count + 1);
    memmove(block->members + spot.at + 1, block->members + spot.at,
            behind * sizeof *block->members);
    block->members[spot.at] = member;
}

void hm_rings_add(struct hm_rings *rings, uint32_t member)
{
    for (uint32_t ring = 0; ring < rings->config.rings; ring++) {
        add(rings, ring, member);
    }
    rings->count += rings->config.rings > 0;
}

static void take_out(struct hm_rings *rings, uint32_t number, uint32_t member)
{
    struct hm_rings_ring *ring = &rings->rings[number];
    struct key key = key_of(number, rings->config.id_of(rings->config.context, member));
    struct spot spot = find(rings, number, &key);
    HM_ASSERT(spot.block < ring->count && ring->blocks[spot.block].members[spot.at] == member);
    struct hm_rings_block *block = &ring->blocks[spot.block];
    memmove(block->members + spot.at, block->members + spot.at + 1,
            (block->count - spot.at - 1) * sizeof *block->members);
    if (block->count > 1) {
        resize_block(block, block->count - 1);
        return;
    }
    hm_free(block->members);
    ring->count--;
    memmove(block, block + 1, (ring->count - spot.block) * sizeof *block);
}

void hm_rings_remove(struct hm_rings *rings, uint32_t member)
{
    for (uint32_t ring = 0; ring < rings->config.rings; ring++) {
        take_out(rings, ring, member);
    }
    rings->count -= rings->config.rings > 0;
}

size_t hm_rings_bytes(const struct hm_rings *rings)
{
    size_t bytes = sizeof *rings;
    for (uint32_t i = 0; i < rings->config.rings; i++) {
        const struct hm_rings_ring *ring = &rings->rings[i];
        bytes += ring->capacity * sizeof *ring->blocks;
        for (size_t block = 0; block < ring->count; block++) {
            bytes += room_for(ring->blocks[block].count) * sizeof *ring->blocks[block].members;
        }
    }
    return bytes;
}

/* ---- walking round ---- */

/* The next member; `spot` may stand behind the last one. */
static uint32_t step_on(const struct hm_rings_ring *ring, struct spot *spot)
{
    if (spot->block >= ring->count) {
        *spot = (struct spot){0, 0};
    }
    uint32_t member = ring->blocks[spot->block].members[spot->at];
    if (++spot->at == ring->blocks[spot->block].count) {
        *spot = (struct spot){spot->block + 1, 0};
    }
    return member;
}

static uint32_t step_back(const struct hm_rings_ring *ring, struct spot *spot)
{
    if (spot->at == 0) {
        spot->block = (spot->block ? spot->block : ring->count) - 1;
        spot->at = ring->blocks[spot->block].count;
    }
    return ring->blocks[spot->block].members[--spot->at];
}

size_t hm_rings_beside(const struct hm_rings *rings, uint32_t number, const struct hm_id *id,
                       bool forward, uint32_t *out, size_t most)
{
    const struct hm_rings_ring *ring = &rings->rings[number];
    struct key key = key_of(number, id);
    struct spot spot = find(rings, number, &key);
    size_t count = 0;
    for (size_t steps = 0; steps < rings->count && count < most; steps++) {
        uint32_t member = forward ? step_on(ring, &spot) : step_back(ring, &spot);
        if (!hm_id_equal(rings->config.id_of(rings->config.context, member), id)) {
            out[count++] = member;
        } else if (steps > 0) {
            break; /* all the way round */
        }
    }
    return count;
}

static void note(uint32_t *out, size_t *count, size_t most, uint32_t member)
{
    for (size_t i = 0; i < *count; i++) {
        if (out[i] == member) {
            return;
        }
    }
    if (*count < most) {
        out[(*count)++] = member;
    }
}

size_t hm_rings_observers(const struct hm_rings *rings, const struct hm_id *id,
                          bool (*is_live)(void *context, const struct hm_id *id), void *context,
                          uint32_t *out, size_t most)
{
    size_t count = 0;
    for (uint32_t number = 0; number < rings->config.rings; number++) {
        struct key key = key_of(number, id);
        struct spot spot = find(rings, number, &key);
        for (size_t steps = 0; steps < rings->count; steps++) {
            uint32_t member = step_back(&rings->rings[number], &spot);
            const struct hm_id *other = rings->config.id_of(rings->config.context, member);
            if (hm_id_equal(other, id)) {
                break; /* all the way round */
            }
            if (!is_live || is_live(context, other)) {
                note(out, &count, most, member);
                break;
            }
        }
    }
    return count;
}

size_t hm_rings_slice(const struct hm_rings *rings, const struct hm_id *id, uint32_t *out)
{
    size_t count = 0;
    for (uint32_t ring = 0; ring < rings->config.rings; ring++) {
        for (int forward = 0; forward < 2; forward++) {
            uint32_t beside[HM_RINGS_DEPTH];
            size_t found = hm_rings_beside(rings, ring, id, forward, beside, HM_RINGS_DEPTH);
            for (size_t i = 0; i < found; i++) {
                note(out, &count, HM_RINGS_SLICE_MAX, beside[i]);
            }
        }
    }
    return count;
}
