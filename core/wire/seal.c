#include "core/wire/seal_parts.h"

#include "core/base/assert.h"
#include "core/base/memory.h"

#include <sodium.h>
#include <string.h>

_Static_assert(HM_SEAL_TAG_BYTES == crypto_aead_chacha20poly1305_ietf_ABYTES, "tag");
_Static_assert(HM_KEY_BYTES == crypto_aead_chacha20poly1305_ietf_KEYBYTES, "key");

void hm_seal_put_le(uint8_t *out, uint64_t value, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        out[i] = (uint8_t)(value >> (8 * i));
    }
}

uint64_t hm_seal_get_le(const uint8_t *in, size_t bytes)
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
    hm_seal_put_le(nonce, counter, sizeof counter);
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

bool hm_seal_unseal(const uint8_t *subkey, uint64_t counter, struct hm_bytes head,
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
    return (uint32_t)hm_seal_get_le(hash, 4);
}

void hm_key_wipe(struct hm_key *key)
{
    hm_wipe(key, sizeof *key);
}

/* ---- datagrams ---- */

void hm_seal_subkey(const struct hm_key *key, uint64_t salt, uint8_t out[HM_KEY_BYTES])
{
    static const char context[] = "hivemind datagram";
    uint8_t input[sizeof context - 1 + 8];
    memcpy(input, context, sizeof context - 1);
    hm_seal_put_le(input + sizeof context - 1, salt, 8);
    crypto_generichash(out, HM_KEY_BYTES, input, sizeof input, key->bytes, HM_KEY_BYTES);
}

void hm_sealer_init(struct hm_sealer *sealer, const struct hm_key *key, uint64_t salt)
{
    *sealer = (struct hm_sealer){.key_id = hm_key_id(key), .salt = salt};
    hm_seal_subkey(key, salt, sealer->subkey);
}

void hm_seal(struct hm_sealer *sealer, uint64_t cluster, struct hm_bytes payload,
             struct hm_buf *out)
{
    HM_ASSERT(sealer->counter < HM_SEAL_COUNTER_MAX);
    uint64_t counter = ++sealer->counter;
    uint8_t *frame = hm_buf_extend(out, payload.size + HM_SEAL_FRAME_EXTRA);
    frame[0] = HM_SEAL_VERSION;
    hm_seal_put_le(frame + 1, sealer->key_id, 4);
    hm_seal_put_le(frame + 5, cluster, 8);
    hm_seal_put_le(frame + 13, sealer->salt, 8);
    hm_seal_put_le(frame + 21, counter, HM_SEAL_COUNTER_BYTES);
    seal(sealer->subkey, counter, (struct hm_bytes){frame, HM_SEAL_HEADER_BYTES}, payload,
         frame + HM_SEAL_HEADER_BYTES);
}

struct hm_bytes hm_seal_context(struct hm_seal_context *context, const uint8_t *header,
                                uint64_t cluster, const uint8_t *who)
{
    memcpy(context->bytes, header, HM_SEAL_BRIEF_BYTES);
    hm_seal_put_le(context->bytes + HM_SEAL_BRIEF_BYTES, cluster, 8);
    memcpy(context->bytes + HM_SEAL_BRIEF_BYTES + 8, who, HM_SEAL_WHO_BYTES);
    return (struct hm_bytes){context->bytes, sizeof context->bytes};
}

void hm_seal_brief(struct hm_sealer *sealer, uint64_t cluster, struct hm_bytes payload,
                   struct hm_buf *out)
{
    HM_ASSERT(sealer->counter < HM_SEAL_COUNTER_MAX && payload.size >= HM_SEAL_WHO_BYTES);
    struct hm_seal_context context;
    uint64_t counter = ++sealer->counter;
    struct hm_bytes rest = {payload.data + HM_SEAL_WHO_BYTES, payload.size - HM_SEAL_WHO_BYTES};
    uint8_t *frame = hm_buf_extend(out, HM_SEAL_BRIEF_BYTES + rest.size + HM_SEAL_TAG_BYTES);
    frame[0] = HM_SEAL_BRIEF | HM_SEAL_VERSION;
    hm_seal_put_le(frame + 1, sealer->salt, 4);
    hm_seal_put_le(frame + 5, counter, 4);
    seal(sealer->subkey, counter, hm_seal_context(&context, frame, cluster, payload.data), rest,
         frame + HM_SEAL_BRIEF_BYTES);
}

void hm_sealer_fini(struct hm_sealer *sealer)
{
    hm_wipe(sealer, sizeof *sealer);
}

/* ---- streams ---- */

void hm_preamble_make(const struct hm_key *key, uint64_t cluster,
                      const uint8_t random[HM_PREAMBLE_RANDOM_BYTES],
                      uint8_t out[HM_PREAMBLE_BYTES])
{
    out[0] = HM_SEAL_VERSION;
    hm_seal_put_le(out + 1, hm_key_id(key), 4);
    hm_seal_put_le(out + 5, cluster, 8);
    memcpy(out + 13, random, HM_PREAMBLE_RANDOM_BYTES);
}

enum hm_status hm_preamble_read(const struct hm_key *key, const uint8_t in[HM_PREAMBLE_BYTES],
                                uint64_t *cluster)
{
    if (in[0] != HM_SEAL_VERSION) {
        return HM_BAD_BYTES;
    }
    if (hm_seal_get_le(in + 1, 4) != hm_key_id(key)) {
        return HM_UNSEALED;
    }
    *cluster = hm_seal_get_le(in + 5, 8);
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
    hm_seal_put_le(frame, payload.size + HM_SEAL_TAG_BYTES, HM_STREAM_LENGTH_BYTES);
    seal(stream->subkey, stream->counter++, (struct hm_bytes){frame, HM_STREAM_LENGTH_BYTES},
         payload, frame + HM_STREAM_LENGTH_BYTES);
}

enum hm_status hm_stream_frame_bytes(struct hm_bytes start, size_t *out)
{
    if (start.size < HM_STREAM_LENGTH_BYTES) {
        *out = 0;
        return HM_OK;
    }
    uint64_t length = hm_seal_get_le(start.data, HM_STREAM_LENGTH_BYTES);
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
    if (!hm_seal_unseal(stream->subkey, stream->counter, head, sealed, out)) {
        return HM_UNSEALED;
    }
    stream->counter++;
    return HM_OK;
}

void hm_stream_seal_fini(struct hm_stream_seal *stream)
{
    hm_wipe(stream, sizeof *stream);
}
