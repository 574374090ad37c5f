/* The receiving side of sealed datagrams: who has sent what opened, and what was seen of it. */
#include "core/base/assert.h"
#include "core/base/hash.h"
#include "core/base/memory.h"
#include "core/wire/seal_parts.h"

#include <string.h>

#define NO_SENDER    UINT32_MAX
#define WINDOW_WORDS (HM_SEAL_WINDOW_FRAMES / 64)
#define NAMESAKES    4u /* senders that a brief frame is tried for */

/* One process that sent something that opened. */
struct hm_seal_sender {
    uint64_t salt;
    uint8_t subkey[HM_KEY_BYTES];
    uint64_t highest; /* counter of its newest frame */
    uint64_t
        window[WINDOW_WORDS]; /* bit c % 1024: counter c was seen, highest-1024 < c <= highest */
    uint32_t newer;           /* neighbours by last use */
    uint32_t older;
    uint64_t cluster; /* of its last frame in full, the one that was sent last */
    uint64_t told;    /* counter of that; 0: it did not say who speaks */
    uint8_t who[HM_SEAL_WHO_BYTES];
};

void hm_opener_init(struct hm_opener *opener, const struct hm_key *key, size_t senders_max)
{
    HM_ASSERT(senders_max >= 1 && senders_max < NO_SENDER);
    *opener = (struct hm_opener){
        .key = *key,
        .key_id = hm_key_id(key),
        .most = senders_max,
        .newest = NO_SENDER,
        .oldest = NO_SENDER,
    };
}

/* By its end: what a brief frame has of it. */
static uint64_t hash_of_salt(uint64_t salt)
{
    uint32_t end = (uint32_t)salt;
    return hm_hash(0, (struct hm_bytes){(const uint8_t *)&end, sizeof end});
}

static uint32_t find_sender(const struct hm_opener *opener, uint64_t salt)
{
    size_t cursor = 0;
    uint64_t hash = hash_of_salt(salt);
    uint32_t at;
    while ((at = hm_index_next(&opener->by_salt, hash, &cursor)) != HM_INDEX_END) {
        if (opener->senders[at].salt == salt) {
            return at;
        }
    }
    return NO_SENDER;
}

static void unlink_sender(struct hm_opener *opener, uint32_t at)
{
    const struct hm_seal_sender *sender = &opener->senders[at];
    if (sender->newer == NO_SENDER) {
        opener->newest = sender->older;
    } else {
        opener->senders[sender->newer].older = sender->older;
    }
    if (sender->older == NO_SENDER) {
        opener->oldest = sender->newer;
    } else {
        opener->senders[sender->older].newer = sender->newer;
    }
}

static void link_newest(struct hm_opener *opener, uint32_t at)
{
    opener->senders[at].newer = NO_SENDER;
    opener->senders[at].older = opener->newest;
    if (opener->newest == NO_SENDER) {
        opener->oldest = at;
    } else {
        opener->senders[opener->newest].newer = at;
    }
    opener->newest = at;
}

/* A free entry; takes that of whoever was silent longest when there is none. */
static uint32_t make_sender(struct hm_opener *opener, uint64_t salt, const uint8_t *subkey)
{
    uint32_t at;
    if (opener->count < opener->most) {
        if (opener->count == opener->capacity) {
            size_t before = opener->capacity;
            struct hm_seal_sender *old = opener->senders;
            opener->capacity = before ? before * 2 : 8;
            opener->senders = hm_alloc(opener->capacity, sizeof *opener->senders);
            if (before > 0) {
                /* Not resized in place: what realloc frees would keep keys in it. */
                memcpy(opener->senders, old, before * sizeof *old);
                hm_wipe(old, before * sizeof *old);
            }
            hm_free(old);
        }
        at = (uint32_t)opener->count++;
    } else {
        at = opener->oldest;
        unlink_sender(opener, at);
        hm_index_remove(&opener->by_salt, hash_of_salt(opener->senders[at].salt), at);
    }
    struct hm_seal_sender *sender = &opener->senders[at];
    *sender = (struct hm_seal_sender){.salt = salt};
    memcpy(sender->subkey, subkey, HM_KEY_BYTES);
    hm_index_add(&opener->by_salt, hash_of_salt(salt), at);
    link_newest(opener, at);
    return at;
}

static bool was_seen(const struct hm_seal_sender *sender, uint64_t counter)
{
    if (counter > sender->highest) {
        return false;
    }
    if (sender->highest - counter >= HM_SEAL_WINDOW_FRAMES) {
        return true;
    }
    uint64_t bit = counter % HM_SEAL_WINDOW_FRAMES;
    return sender->window[bit / 64] >> (bit % 64) & 1;
}

static void mark_seen(struct hm_seal_sender *sender, uint64_t counter)
{
    if (counter > sender->highest) {
        if (counter - sender->highest >= HM_SEAL_WINDOW_FRAMES) {
            memset(sender->window, 0, sizeof sender->window);
        } else {
            for (uint64_t c = sender->highest + 1; c < counter; c++) {
                uint64_t skipped = c % HM_SEAL_WINDOW_FRAMES;
                sender->window[skipped / 64] &= ~(UINT64_C(1) << (skipped % 64));
            }
        }
        sender->highest = counter;
    }
    uint64_t bit = counter % HM_SEAL_WINDOW_FRAMES;
    sender->window[bit / 64] |= UINT64_C(1) << (bit % 64);
}

/* Counts a frame that opened, once. */
static enum hm_status note_frame(struct hm_opener *opener, uint32_t at, uint64_t counter,
                                 struct hm_buf *out, size_t before)
{
    if (was_seen(&opener->senders[at], counter)) {
        out->size = before;
        return HM_REPLAYED;
    }
    unlink_sender(opener, at);
    link_newest(opener, at);
    mark_seen(&opener->senders[at], counter);
    return HM_OK;
}

/* Of two frames that came the wrong way round the later says who speaks. */
static void note_who(struct hm_seal_sender *sender, uint64_t counter, uint64_t cluster,
                     struct hm_bytes payload)
{
    if (counter > sender->told && payload.size >= HM_SEAL_WHO_BYTES) {
        sender->told = counter;
        sender->cluster = cluster;
        memcpy(sender->who, payload.data, HM_SEAL_WHO_BYTES);
    }
}

static enum hm_status open_full(struct hm_opener *opener, struct hm_bytes frame, uint64_t *cluster,
                                struct hm_buf *out)
{
    if (frame.size < HM_SEAL_FRAME_EXTRA) {
        return HM_BAD_BYTES;
    }
    if (hm_seal_get_le(frame.data + 1, 4) != opener->key_id) {
        return HM_UNSEALED;
    }
    uint64_t salt = hm_seal_get_le(frame.data + 13, 8);
    uint64_t counter = hm_seal_get_le(frame.data + 21, HM_SEAL_COUNTER_BYTES);
    struct hm_bytes head = {frame.data, HM_SEAL_HEADER_BYTES};
    struct hm_bytes sealed = {frame.data + HM_SEAL_HEADER_BYTES, frame.size - HM_SEAL_HEADER_BYTES};
    uint32_t at = find_sender(opener, salt);
    size_t before = out->size;
    if (at == NO_SENDER) {
        uint8_t subkey[HM_KEY_BYTES];
        hm_seal_subkey(&opener->key, salt, subkey);
        if (hm_seal_unseal(subkey, counter, head, sealed, out)) {
            at = make_sender(opener, salt, subkey);
        }
        hm_wipe(subkey, sizeof subkey);
        if (at == NO_SENDER) {
            return HM_UNSEALED;
        }
    } else if (!hm_seal_unseal(opener->senders[at].subkey, counter, head, sealed, out)) {
        return HM_UNSEALED;
    }
    enum hm_status status = note_frame(opener, at, counter, out, before);
    if (status == HM_OK) {
        *cluster = hm_seal_get_le(frame.data + 5, 8);
        note_who(&opener->senders[at], counter, *cluster,
                 (struct hm_bytes){out->data + before, out->size - before});
    }
    return status;
}

/* The counter with this end that is nearest to the newest one of its sender. */
static uint64_t whole_counter(const struct hm_seal_sender *sender, uint32_t end)
{
    int32_t ahead = (int32_t)(end - (uint32_t)sender->highest);
    uint64_t counter = sender->highest + (uint64_t)(int64_t)ahead;
    return counter <= HM_SEAL_COUNTER_MAX ? counter : end; /* it would be below 0 */
}

static bool open_brief_of(const struct hm_seal_sender *sender, struct hm_bytes frame,
                          uint64_t counter, struct hm_buf *out)
{
    struct hm_seal_context context;
    size_t before = out->size;
    struct hm_bytes sealed = {frame.data + HM_SEAL_BRIEF_BYTES, frame.size - HM_SEAL_BRIEF_BYTES};
    hm_buf_append(out, sender->who, HM_SEAL_WHO_BYTES);
    if (!hm_seal_unseal(sender->subkey, counter,
                        hm_seal_context(&context, frame.data, sender->cluster, sender->who), sealed,
                        out)) {
        out->size = before;
        return false;
    }
    return true;
}

static enum hm_status open_brief(struct hm_opener *opener, struct hm_bytes frame, uint64_t *cluster,
                                 struct hm_buf *out)
{
    if (frame.size < HM_SEAL_BRIEF_BYTES + HM_SEAL_TAG_BYTES) {
        return HM_BAD_BYTES;
    }
    uint32_t salt = (uint32_t)hm_seal_get_le(frame.data + 1, 4);
    uint32_t end = (uint32_t)hm_seal_get_le(frame.data + 5, 4);
    size_t cursor = 0;
    size_t before = out->size;
    uint64_t hash = hash_of_salt(salt);
    uint32_t at;
    for (unsigned tried = 0;
         tried < NAMESAKES && (at = hm_index_next(&opener->by_salt, hash, &cursor)) != HM_INDEX_END;
         tried++) {
        const struct hm_seal_sender *sender = &opener->senders[at];
        uint64_t counter = whole_counter(sender, end);
        if ((uint32_t)sender->salt == salt && sender->told &&
            open_brief_of(sender, frame, counter, out)) {
            *cluster = sender->cluster;
            return note_frame(opener, at, counter, out, before);
        }
    }
    return HM_NOT_FOUND;
}

enum hm_status hm_open(struct hm_opener *opener, struct hm_bytes frame, uint64_t *cluster,
                       struct hm_buf *out)
{
    if (frame.size > 0 && frame.data[0] == HM_SEAL_VERSION) {
        return open_full(opener, frame, cluster, out);
    }
    if (frame.size > 0 && frame.data[0] == (HM_SEAL_BRIEF | HM_SEAL_VERSION)) {
        return open_brief(opener, frame, cluster, out);
    }
    return HM_BAD_BYTES;
}

void hm_opener_fini(struct hm_opener *opener)
{
    if (opener->senders != NULL) {
        hm_wipe(opener->senders, opener->capacity * sizeof *opener->senders);
    }
    hm_free(opener->senders);
    hm_index_fini(&opener->by_salt);
    hm_wipe(opener, sizeof *opener);
}
