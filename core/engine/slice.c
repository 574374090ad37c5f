#include "core/engine/slice.h"

#include "core/base/assert.h"
#include "core/base/memory.h"
#include "core/base/plant.h"

#include <string.h>

#define PATIENCE_MS 20u  /* removals come in batches: the gaps of all are asked for together */
#define ANSWER_MS   100u /* then asked again */
#define TRIES       4u   /* then somebody who knows everybody must help */
#define LOST_MS     1000u
#define TOLD_MAX    32u
#define PEERS_FULL  192u /* more than the sides hold together: some stand on none */

void hm_slice_init(struct hm_slice *slice, const struct hm_slice_config *config, uint64_t seed)
{
    *slice = (struct hm_slice){
        .config = *config, .self_hash = hm_ring_hash(&config->self), .ask_at = HM_NEVER};
    if (slice->config.rings == 0) {
        slice->config.rings = HM_RINGS_DEFAULT;
    }
    HM_ASSERT(slice->config.rings <= HM_RINGS_MAX);
    slice->sides = hm_alloc(2 * (size_t)slice->config.rings, sizeof *slice->sides);
    hm_random_init(&slice->random, seed);
}

void hm_slice_fini(struct hm_slice *slice)
{
    hm_free(slice->peers);
    hm_free(slice->sides);
    hm_free(slice->told);
    hm_outbox_fini(&slice->outbox);
    *slice = (struct hm_slice){0};
}

/* ---- peers ---- */

static uint32_t side_count(const struct hm_slice *slice)
{
    return 2 * slice->config.rings;
}

static size_t find(const struct hm_slice *slice, const struct hm_id *id)
{
    size_t at = 0;
    while (at < slice->count && !hm_id_equal(&slice->peers[at].id, id)) {
        at++;
    }
    return at;
}

static uint8_t keep(struct hm_slice *slice, const struct hm_peer *peer)
{
    size_t at = find(slice, &peer->id);
    if (at < slice->count) {
        return (uint8_t)at;
    }
    if (slice->count == slice->capacity) {
        slice->capacity = (uint8_t)(slice->capacity + 4);
        slice->peers = hm_resize(slice->peers, slice->capacity, sizeof *slice->peers);
    }
    slice->peers[slice->count] = *peer;
    return slice->count++;
}

/* Forgets those that stand on no side any more. */
static void sweep(struct hm_slice *slice)
{
    uint8_t moved_to[256];
    bool used[256] = {false};
    for (uint32_t side = 0; side < side_count(slice); side++) {
        for (uint8_t i = 0; i < slice->sides[side].known; i++) {
            used[slice->sides[side].peers[i]] = true;
        }
    }
    uint8_t count = 0;
    for (uint8_t at = 0; at < slice->count; at++) {
        moved_to[at] = count;
        if (used[at]) {
            slice->peers[count++] = slice->peers[at];
        }
    }
    slice->count = count;
    for (uint32_t side = 0; side < side_count(slice); side++) {
        for (uint8_t i = 0; i < slice->sides[side].known; i++) {
            slice->sides[side].peers[i] = moved_to[slice->sides[side].peers[i]];
        }
    }
}

/* ---- sides ---- */

/* How far it is to a place from self, on a side's ring in its direction: never 0 for another. */
static uint64_t distance(const struct hm_slice *slice, uint32_t side, uint64_t hash)
{
    uint64_t from = hm_ring_place(side / 2, slice->self_hash);
    uint64_t to = hm_ring_place(side / 2, hash);
    return side % 2 == 0 ? to - from : from - to;
}

static bool is_nearer(const struct hm_slice *slice, uint32_t side, const struct hm_id *id,
                      uint64_t hash, const struct hm_peer *other)
{
    uint64_t here = distance(slice, side, hash);
    uint64_t there = distance(slice, side, hm_ring_hash(&other->id));
    return here != there ? here < there : (hm_id_compare(id, &other->id) < 0) == (side % 2 == 0);
}

static uint64_t wanted(const struct hm_slice *slice)
{
    return slice->others < HM_RINGS_DEPTH ? slice->others : HM_RINGS_DEPTH;
}

/* Puts a peer where it belongs on one side. `closed`: nobody unknown stands between the last known
 * one and it, so that it may also be the new last. */
static bool place(struct hm_slice *slice, uint32_t number, const struct hm_peer *peer,
                  uint64_t hash, bool closed)
{
    struct hm_slice_side *side = &slice->sides[number];
    uint8_t at = 0;
    if (side->known == HM_RINGS_DEPTH &&
        !is_nearer(slice, number, &peer->id, hash,
                   &slice->peers[side->peers[HM_RINGS_DEPTH - 1]])) {
        return false; /* as nearly all of a large cluster: one look is enough */
    }
    for (; at < side->known; at++) {
        const struct hm_peer *other = &slice->peers[side->peers[at]];
        if (hm_id_equal(&other->id, &peer->id)) {
            return false;
        }
        if (is_nearer(slice, number, &peer->id, hash, other)) {
            break;
        }
    }
    if (at == HM_RINGS_DEPTH || (at == side->known && !closed)) {
        return false;
    }
    uint8_t kept = keep(slice, peer);
    side->known = side->known < HM_RINGS_DEPTH ? (uint8_t)(side->known + 1) : side->known;
    for (uint8_t i = (uint8_t)(side->known - 1); i > at; i--) {
        side->peers[i] = side->peers[i - 1];
    }
    side->peers[at] = kept;
    return true;
}

static void look_for_gaps(struct hm_slice *slice, hm_ms now)
{
    if (hm_slice_is_whole(slice)) {
        slice->ask_at = HM_NEVER;
        slice->tries = 0;
    } else if (slice->ask_at == HM_NEVER) {
        slice->tries = 0;
        slice->ask_at = now + PATIENCE_MS + hm_random_below(&slice->random, PATIENCE_MS);
    }
}

void hm_slice_start(struct hm_slice *slice, hm_ms now, uint64_t position, uint64_t others,
                    const struct hm_peer *peers, size_t count, bool whole)
{
    for (uint32_t side = 0; side < side_count(slice); side++) {
        slice->sides[side] = (struct hm_slice_side){0};
    }
    slice->count = 0;
    slice->told_count = 0;
    slice->started = true;
    slice->position = position;
    slice->others = others;
    slice->ask_at = HM_NEVER;
    for (size_t i = 0; whole && i < count; i++) {
        uint64_t hash = hm_ring_hash(&peers[i].id);
        if (hm_id_equal(&peers[i].id, &slice->config.self)) {
            continue;
        }
        for (uint32_t side = 0; side < side_count(slice); side++) {
            place(slice, side, &peers[i], hash, true);
        }
        if (slice->count >= PEERS_FULL) {
            sweep(slice);
        }
    }
    sweep(slice);
    look_for_gaps(slice, now);
}

/* ---- events ---- */

bool hm_slice_join(struct hm_slice *slice, hm_ms now, const struct hm_peer *peer)
{
    if (!slice->started || hm_id_equal(&peer->id, &slice->config.self)) {
        return false;
    }
    uint64_t hash = hm_ring_hash(&peer->id);
    bool changed = false;
    for (uint32_t side = 0; side < side_count(slice); side++) {
        /* All that there are, are known: then so is who comes behind them. */
        bool closed = slice->sides[side].known == slice->others;
        if (!hm_plant("slice_skips_join")) {
            changed = place(slice, side, peer, hash, closed) || changed;
        }
    }
    slice->others++;
    if (changed) {
        sweep(slice);
    }
    look_for_gaps(slice, now);
    return changed;
}

bool hm_slice_leave(struct hm_slice *slice, hm_ms now, const struct hm_id *id)
{
    if (!slice->started || hm_id_equal(id, &slice->config.self)) {
        return false;
    }
    size_t gone = find(slice, id);
    bool changed = false;
    slice->others -= slice->others > 0;
    for (uint32_t number = 0; gone < slice->count && number < side_count(slice); number++) {
        struct hm_slice_side *side = &slice->sides[number];
        for (uint8_t i = 0; i < side->known; i++) {
            if (side->peers[i] == gone) {
                memmove(side->peers + i, side->peers + i + 1, (size_t)(side->known - i - 1));
                side->known--;
                changed = true;
            }
        }
    }
    if (changed) {
        sweep(slice);
    }
    look_for_gaps(slice, now);
    return changed;
}

bool hm_slice_move(struct hm_slice *slice, const struct hm_peer *peer)
{
    size_t at = find(slice, &peer->id);
    if (at == slice->count || hm_addr_equal(&slice->peers[at].addr, &peer->addr)) {
        return false;
    }
    slice->peers[at].addr = peer->addr;
    return true;
}

/* ---- gaps ---- */

/* Takes over what follows the last one known on a side. Only what lies beyond it, in order, counts.
 */
static bool extend(struct hm_slice *slice, const struct hm_slice_told *told)
{
    struct hm_slice_side *side = &slice->sides[told->side];
    bool changed = false;
    if (side->known == 0 ||
        !hm_id_equal(&slice->peers[side->peers[side->known - 1]].id, &told->after)) {
        return false;
    }
    for (uint8_t i = 0; i < told->count && side->known < wanted(slice); i++) {
        uint64_t hash = hm_ring_hash(&told->peers[i].id);
        if (hm_id_equal(&told->peers[i].id, &slice->config.self) ||
            is_nearer(slice, told->side, &told->peers[i].id, hash,
                      &slice->peers[side->peers[side->known - 1]]) ||
            !place(slice, told->side, &told->peers[i], hash, true)) {
            break;
        }
        changed = true;
    }
    return changed;
}

bool hm_slice_reach(struct hm_slice *slice, hm_ms now, uint64_t position)
{
    bool changed = false;
    if (position < slice->position) {
        return false; /* an event that came by the other feed as well, and later */
    }
    slice->position = position;
    for (uint8_t i = slice->told_count; i > 0; i--) {
        struct hm_slice_told told = slice->told[i - 1];
        if (told.position <= position) {
            slice->told[i - 1] = slice->told[--slice->told_count];
            changed = (told.position == position && extend(slice, &told)) || changed;
        }
    }
    if (slice->told && slice->told_count == 0) {
        hm_free(slice->told);
        slice->told = NULL;
    }
    if (changed) {
        look_for_gaps(slice, now);
    }
    return changed;
}

bool hm_slice_input(struct hm_slice *slice, hm_ms now, const struct hm_peer *from,
                    const struct hm_message *message)
{
    const struct hm_slice_tell *tell = &message->slice_tell;
    if (message->kind != HM_MSG_slice_tell || !slice->started ||
        tell->ring >= slice->config.rings || tell->position < slice->position) {
        return false; /* who is behind us is asked again */
    }
    struct hm_slice_told told = {.position = tell->position,
                                 .side = (uint8_t)(2 * tell->ring + !tell->forward),
                                 .after = from->id};
    for (uint32_t i = 0; i < tell->members_count && told.count < HM_RINGS_DEPTH; i++) {
        told.peers[told.count++] = (struct hm_peer){tell->members[i].id, tell->members[i].addr};
    }
    if (told.position > slice->position) {
        if (slice->told_count < TOLD_MAX) {
            slice->told =
                hm_resize(slice->told, (size_t)slice->told_count + 1, sizeof *slice->told);
            slice->told[slice->told_count++] = told;
        }
        return false;
    }
    bool changed = extend(slice, &told);
    look_for_gaps(slice, now);
    return changed;
}

static void ask(struct hm_slice *slice, uint32_t number)
{
    const struct hm_slice_side *side = &slice->sides[number];
    struct hm_message message = {.kind = HM_MSG_slice_ask};
    message.slice_ask.ring = (uint8_t)(number / 2);
    message.slice_ask.forward = number % 2 == 0;
    message.slice_ask.position = slice->position;
    hm_outbox_send(&slice->outbox, &slice->peers[side->peers[side->known - 1]], &message);
}

void hm_slice_tick(struct hm_slice *slice, hm_ms now)
{
    if (now < slice->ask_at) {
        return;
    }
    bool lost = slice->tries >= TRIES;
    for (uint32_t side = 0; side < side_count(slice); side++) {
        uint8_t known = slice->sides[side].known;
        lost = lost || (known == 0 && wanted(slice) > 0);
        if (known > 0 && known < wanted(slice)) {
            ask(slice, side);
        }
    }
    hm_ms wait = lost ? LOST_MS : ANSWER_MS;
    slice->tries++;
    slice->ask_at = now + wait / 2 + hm_random_below(&slice->random, wait);
    if (lost) {
        hm_outbox_notify(&slice->outbox, HM_SLICE_LOST, NULL, slice->position);
    }
}

hm_ms hm_slice_deadline(const struct hm_slice *slice)
{
    return slice->ask_at;
}

bool hm_slice_output(struct hm_slice *slice, struct hm_effect *out)
{
    return hm_outbox_pop(&slice->outbox, out);
}

/* ---- looked at ---- */

static void note(struct hm_peer *out, size_t *count, const struct hm_peer *peer)
{
    for (size_t i = 0; i < *count; i++) {
        if (hm_id_equal(&out[i].id, &peer->id)) {
            return;
        }
    }
    out[(*count)++] = *peer;
}

static void note_nearest(const struct hm_slice *slice, uint32_t direction, struct hm_peer *out,
                         size_t *count)
{
    for (uint32_t ring = 0; ring < slice->config.rings; ring++) {
        const struct hm_slice_side *side = &slice->sides[2 * ring + direction];
        if (side->known) {
            note(out, count, &slice->peers[side->peers[0]]);
        }
    }
}

size_t hm_slice_subjects(const struct hm_slice *slice, struct hm_peer *out)
{
    size_t count = 0;
    note_nearest(slice, 0, out, &count);
    return count;
}

size_t hm_slice_observers(const struct hm_slice *slice, struct hm_peer *out)
{
    size_t count = 0;
    note_nearest(slice, 1, out, &count);
    return count;
}

size_t hm_slice_neighbours(const struct hm_slice *slice, struct hm_peer *out)
{
    size_t count = 0;
    note_nearest(slice, 0, out, &count);
    note_nearest(slice, 1, out, &count);
    return count;
}

size_t hm_slice_beside(const struct hm_slice *slice, uint32_t ring, bool forward,
                       struct hm_peer *out)
{
    const struct hm_slice_side *side = &slice->sides[2 * ring + !forward];
    for (uint8_t i = 0; i < side->known; i++) {
        out[i] = slice->peers[side->peers[i]];
    }
    return side->known;
}

bool hm_slice_holds(const struct hm_slice *slice, const struct hm_id *id)
{
    if (find(slice, id) < slice->count) {
        return true;
    }
    for (uint8_t i = 0; i < slice->told_count; i++) {
        for (uint8_t j = 0; j < slice->told[i].count; j++) {
            if (hm_id_equal(&slice->told[i].peers[j].id, id)) {
                return true;
            }
        }
    }
    return false;
}

bool hm_slice_is_whole(const struct hm_slice *slice)
{
    for (uint32_t side = 0; side < side_count(slice); side++) {
        if (slice->sides[side].known < wanted(slice)) {
            return false;
        }
    }
    return true;
}
