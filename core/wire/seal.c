#include "core/wire/seal.h"

#include "core/base/assert.h"
#include "core/base/hash.h"
#include "core/base/memory.h"

#include <sodium.h>
#include <string.h>

#define COUNTER_BYTES 6
#define COUNTER_MAX   ((UINT64_C(1) << 48) - 1)
#define NO_SENDER     UINT32_MAX
#define WINDOW_WORDS  (HM_SEAL_WINDOW_FRAMES / 64)

_Static_assert(HM_SEAL_TAG_BYTES == crypto_aead_chacha20poly1305_ietf_ABYTES, "tag");
_Static_assert(HM_KEY_BYTES == crypto_aead_chacha20poly1305_ietf_KEYBYTES, "key");

/* One process that sent something that opened. */
struct hm_seal_sender {
    uint64_t salt;
    uint8_t subkey[HM_KEY_BYTES];
    uint64_t highest; /* counter of its newest frame */
    uint64_t
        window[WINDOW_WORDS]; /* bit c % 1024: counter c was seen, highest-1024 < c <= highest */
    uint32_t newer;           /* neighbours by last use */
    uint32_t older;
};

static void put_le(uint8_t *out, uint64_t value, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        out[i] = (uint8_t)(value >> (8 * i));
    }
}

static uint64_t get_le(const uint8_t *in, size_t bytes)
{
    uint64_t value = 0;
    for (size_t i = 0; i < bytes; i++) {
        value |= (uint64_t)in[i] << (8 * i);
    }
    return value;
}

static void nonce_of(uint64_t counter, uint8_t nonce[crypto_aead_chacha20poly1305_ietf_NPUBBYTES])
{
    memset(nonce, 0, crypto_aead_chacha20poly1305_ietf_NPUBBYTES);
    put_le(nonce, counter, sizeof counter);
}

/* Appends the sealed payload and its tag. */
static void seal(const uint8_t *subkey, uint64_t counter, struct hm_bytes head,
                 struct hm_bytes payload, uint8_t *out)
{
    uint8_t nonce[crypto_aead_chacha20poly1305_ietf_NPUBBYTES];
    unsigned long long written = 0;
    nonce_of(counter, nonce);
    crypto_aead_chacha20poly1305_ietf_encrypt(out, &written, payload.data, payload.size, head.data,
                                              head.size, NULL, nonce, subkey);
    HM_ASSERT(written == payload.size + HM_SEAL_TAG_BYTES);
}

static bool unseal(const uint8_t *subkey, uint64_t counter, struct hm_bytes head,
                   struct hm_bytes sealed, struct hm_buf *out)
{
    uint8_t nonce[crypto_aead_chacha20poly1305_ietf_NPUBBYTES];
    size_t before = out->size;
    uint8_t *plain = hm_buf_extend(out, sealed.size - HM_SEAL_TAG_BYTES);
    nonce_of(counter, nonce);
    if (crypto_aead_chacha20poly1305_ietf_decrypt(plain, NULL, NULL, sealed.data, sealed.size,
                                                  head.data, head.size, nonce, subkey) != 0) {
        out->size = before;
        return false;
    }
    return true;
}

/* ---- the cluster key ---- */

static int hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

enum hm_status hm_key_parse(struct hm_bytes text, struct hm_key *out)
{
    struct hm_key key;
    size_t end = text.size;
    while (end > 0 && text.data[end - 1] <= ' ' && text.data[end - 1] != 0) {
        end--;
    }
    if (end != 2 * (size_t)HM_KEY_BYTES) {
        return HM_BAD_BYTES;
    }
    int bad = 0;
    for (size_t i = 0; i < HM_KEY_BYTES; i++) {
        int high = hex_digit(text.data[2 * i]);
        int low = hex_digit(text.data[2 * i + 1]);
        bad |= high < 0 || low < 0;
        key.bytes[i] = (uint8_t)((unsigned)high << 4 | (unsigned)low);
    }
    if (!bad) {
        *out = key;
    }
    hm_key_wipe(&key);
    return bad ? HM_BAD_BYTES : HM_OK;
}

void hm_key_format(const struct hm_key *key, char text[HM_KEY_TEXT_BYTES])
{
    sodium_bin2hex(text, HM_KEY_TEXT_BYTES, key->bytes, HM_KEY_BYTES);
    text[HM_KEY_TEXT_BYTES - 2] = '\n';
    text[HM_KEY_TEXT_BYTES - 1] = 0;
}

void hm_key_generate(const uint8_t random[HM_KEY_BYTES], struct hm_key *out)
{
    memcpy(out->bytes, random, HM_KEY_BYTES);
}

uint32_t hm_key_id(const struct hm_key *key)
{
    uint8_t hash[crypto_generichash_BYTES];
    crypto_generichash(hash, sizeof hash, key->bytes, HM_KEY_BYTES, NULL, 0);
    return (uint32_t)get_le(hash, 4);
}

void hm_key_wipe(struct hm_key *key)
{
    hm_wipe(key, sizeof *key);
}

/* ---- datagrams ---- */

static void subkey_of_salt(const struct hm_key *key, uint64_t salt, uint8_t out[HM_KEY_BYTES])
{
    static const char context[] = "hivemind datagram";
    uint8_t input[sizeof context - 1 + 8];
    memcpy(input, context, sizeof context - 1);
    put_le(input + sizeof context - 1, salt, 8);
    crypto_generichash(out, HM_KEY_BYTES, input, sizeof input, key->bytes, HM_KEY_BYTES);
}

void hm_sealer_init(struct hm_sealer *sealer, const struct hm_key *key, uint64_t salt)
{
    *sealer = (struct hm_sealer){.key_id = hm_key_id(key), .salt = salt};
    subkey_of_salt(key, salt, sealer->subkey);
}

void hm_seal(struct hm_sealer *sealer, uint64_t cluster, struct hm_bytes payload,
             struct hm_buf *out)
{
    HM_ASSERT(sealer->counter < COUNTER_MAX);
    uint64_t counter = ++sealer->counter;
    uint8_t *frame = hm_buf_extend(out, payload.size + HM_SEAL_FRAME_EXTRA);
    frame[0] = HM_SEAL_VERSION;
    put_le(frame + 1, sealer->key_id, 4);
    put_le(frame + 5, cluster, 8);
    put_le(frame + 13, sealer->salt, 8);
    put_le(frame + 21, counter, COUNTER_BYTES);
    seal(sealer->subkey, counter, (struct hm_bytes){frame, HM_SEAL_HEADER_BYTES}, payload,
         frame + HM_SEAL_HEADER_BYTES);
}

void hm_sealer_fini(struct hm_sealer *sealer)
{
    hm_wipe(sealer, sizeof *sealer);
}

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

static uint64_t hash_of_salt(uint64_t salt)
{
    return hm_hash(0, (struct hm_bytes){(const uint8_t *)&salt, sizeof salt});
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

enum hm_status hm_open(struct hm_opener *opener, struct hm_bytes frame, uint64_t *cluster,
                       struct hm_buf *out)
{
    if (frame.size < HM_SEAL_FRAME_EXTRA || frame.data[0] != HM_SEAL_VERSION) {
        return HM_BAD_BYTES;
    }
    if (get_le(frame.data + 1, 4) != opener->key_id) {
        return HM_UNSEALED;
    }
    uint64_t salt = get_le(frame.data + 13, 8);
    uint64_t counter = get_le(frame.data + 21, COUNTER_BYTES);
    struct hm_bytes head = {frame.data, HM_SEAL_HEADER_BYTES};
    struct hm_bytes sealed = {frame.data + HM_SEAL_HEADER_BYTES, frame.size - HM_SEAL_HEADER_BYTES};
    uint32_t at = find_sender(opener, salt);
    size_t before = out->size;
    if (at == NO_SENDER) {
        uint8_t subkey[HM_KEY_BYTES];
        subkey_of_salt(&opener->key, salt, subkey);
        if (unseal(subkey, counter, head, sealed, out)) {
            at = make_sender(opener, salt, subkey);
        }
        hm_wipe(subkey, sizeof subkey);
        if (at == NO_SENDER) {
            return HM_UNSEALED;
        }
    } else {
        if (!unseal(opener->senders[at].subkey, counter, head, sealed, out)) {
            return HM_UNSEALED;
        }
        if (was_seen(&opener->senders[at], counter)) {
            out->size = before;
            return HM_REPLAYED;
        }
        unlink_sender(opener, at);
        link_newest(opener, at);
    }
    mark_seen(&opener->senders[at], counter);
    *cluster = get_le(frame.data + 5, 8);
    return HM_OK;
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

/* ---- streams ---- */

void hm_preamble_make(const struct hm_key *key, uint64_t cluster,
                      const uint8_t random[HM_PREAMBLE_RANDOM_BYTES],
                      uint8_t out[HM_PREAMBLE_BYTES])
{
    out[0] = HM_SEAL_VERSION;
    put_le(out + 1, hm_key_id(key), 4);
    put_le(out + 5, cluster, 8);
    memcpy(out + 13, random, HM_PREAMBLE_RANDOM_BYTES);
}

enum hm_status hm_preamble_read(const struct hm_key *key, const uint8_t in[HM_PREAMBLE_BYTES],
                                uint64_t *cluster)
{
    if (in[0] != HM_SEAL_VERSION) {
        return HM_BAD_BYTES;
    }
    if (get_le(in + 1, 4) != hm_key_id(key)) {
        return HM_UNSEALED;
    }
    *cluster = get_le(in + 5, 8);
    return HM_OK;
}

void hm_stream_seal_init(struct hm_stream_seal *stream, const struct hm_key *key,
                         const uint8_t connector[HM_PREAMBLE_BYTES],
                         const uint8_t acceptor[HM_PREAMBLE_BYTES],
                         enum hm_stream_direction direction)
{
    static const char context[] = "hivemind stream";
    const uint8_t way = (uint8_t)direction;
    crypto_generichash_state state;
    stream->counter = 0;
    crypto_generichash_init(&state, key->bytes, HM_KEY_BYTES, HM_KEY_BYTES);
    crypto_generichash_update(&state, (const uint8_t *)context, sizeof context - 1);
    crypto_generichash_update(&state, connector, HM_PREAMBLE_BYTES);
    crypto_generichash_update(&state, acceptor, HM_PREAMBLE_BYTES);
    crypto_generichash_update(&state, &way, 1);
    crypto_generichash_final(&state, stream->subkey, HM_KEY_BYTES);
    hm_wipe(&state, sizeof state);
}

void hm_stream_seal(struct hm_stream_seal *stream, struct hm_bytes payload, struct hm_buf *out)
{
    HM_ASSERT(payload.size <= HM_STREAM_PAYLOAD_BYTES_MAX);
    uint8_t *frame = hm_buf_extend(out, payload.size + HM_STREAM_FRAME_EXTRA);
    put_le(frame, payload.size + HM_SEAL_TAG_BYTES, HM_STREAM_LENGTH_BYTES);
    seal(stream->subkey, stream->counter++, (struct hm_bytes){frame, HM_STREAM_LENGTH_BYTES},
         payload, frame + HM_STREAM_LENGTH_BYTES);
}

enum hm_status hm_stream_frame_bytes(struct hm_bytes start, size_t *out)
{
    if (start.size < HM_STREAM_LENGTH_BYTES) {
        *out = 0;
        return HM_OK;
    }
    uint64_t length = get_le(start.data, HM_STREAM_LENGTH_BYTES);
    if (length < HM_SEAL_TAG_BYTES || length > HM_STREAM_PAYLOAD_BYTES_MAX + HM_SEAL_TAG_BYTES) {
        return HM_BAD_BYTES;
    }
    *out = HM_STREAM_LENGTH_BYTES + (size_t)length;
    return HM_OK;
}

enum hm_status hm_stream_open(struct hm_stream_seal *stream, struct hm_bytes frame,
                              struct hm_buf *out)
{
    HM_ASSERT(frame.size >= HM_STREAM_FRAME_EXTRA);
    struct hm_bytes head = {frame.data, HM_STREAM_LENGTH_BYTES};
    struct hm_bytes sealed = {frame.data + HM_STREAM_LENGTH_BYTES,
                              frame.size - HM_STREAM_LENGTH_BYTES};
    if (!unseal(stream->subkey, stream->counter, head, sealed, out)) {
        return HM_UNSEALED;
    }
    stream->counter++;
    return HM_OK;
}

void hm_stream_seal_fini(struct hm_stream_seal *stream)
{
    hm_wipe(stream, sizeof *stream);
}
