/* Sealed frames: what leaves a machine is opened only by those who hold the cluster key. No I/O:
 * whoever calls draws the salts and random bytes. ChaCha20-Poly1305 (RFC 8439), BLAKE2b (RFC 7693),
 * both of libsodium. */
#ifndef HM_WIRE_SEAL_H
#define HM_WIRE_SEAL_H

#include "core/base/bytes.h"
#include "core/base/index.h"
#include "core/base/status.h"
#include "core/wire/message.h"

#define HM_SEAL_VERSION   1
#define HM_KEY_BYTES      32
#define HM_KEY_TEXT_BYTES 66 /* 64 hex digits, a newline, a NUL */

/* ---- the cluster key ---- */

struct hm_key {
    uint8_t bytes[HM_KEY_BYTES];
};

/* A key file's text: 64 hex digits, then at most white space. HM_BAD_BYTES for anything else. */
HM_MUST_USE enum hm_status hm_key_parse(struct hm_bytes text, struct hm_key *out);
/* The same back, with its newline; the caller wipes it. */
void hm_key_format(const struct hm_key *key, char text[HM_KEY_TEXT_BYTES]);
/* From bytes of a good source. */
void hm_key_generate(const uint8_t random[HM_KEY_BYTES], struct hm_key *out);
/* The first four bytes of the key's BLAKE2b hash: tells keys apart and tells nothing of them. */
uint32_t hm_key_id(const struct hm_key *key);
void hm_key_wipe(struct hm_key *key);

/* ---- datagrams ----
 *
 *   version u8 | key id u32 | cluster u64 | salt u64 | counter u48 | sealed payload | tag (16)
 *
 * all lowest byte first, the header in the clear and authenticated. The sealing key is
 * BLAKE2b(cluster key, "hivemind datagram" | salt), the nonce is the counter.
 *
 * A payload begins with who speaks. Whoever heard a sender in full knows that, its cluster and its
 * salt; for it there is a brief form of the same frame, with the end of the salt and of the counter
 * and without what is known:
 *
 *   0x80 + version u8 | salt u32 | counter u32 | sealed rest of the payload | tag (16)
 *
 * What is left out is authenticated all the same: cluster u64 and who speaks follow the header in
 * what the tag covers. So a brief frame opens as exactly the frame that was sent, or not at all:
 * the receiver has not heard the sender in full, or not since it changed. */

#define HM_SEAL_HEADER_BYTES  27
#define HM_SEAL_TAG_BYTES     16
#define HM_SEAL_FRAME_EXTRA   (HM_SEAL_HEADER_BYTES + HM_SEAL_TAG_BYTES)
#define HM_SEAL_WHO_BYTES     17
#define HM_SEAL_BRIEF_BYTES   9
#define HM_SEAL_WINDOW_FRAMES 1024

/* One process's sending side. */
struct hm_sealer {
    uint8_t subkey[HM_KEY_BYTES];
    uint32_t key_id;
    uint64_t salt;
    uint64_t counter; /* of the last frame; < 2^48 (nine years of a million a second) */
};

/* `salt`: 64 random bits, drawn anew at every start of the process. */
void hm_sealer_init(struct hm_sealer *sealer, const struct hm_key *key, uint64_t salt);
/* Appends one frame to `out`. `cluster` is 0 before joining. */
void hm_seal(struct hm_sealer *sealer, uint64_t cluster, struct hm_bytes payload,
             struct hm_buf *out);
/* The same in the brief form; the payload has at least HM_SEAL_WHO_BYTES (asserted). */
void hm_seal_brief(struct hm_sealer *sealer, uint64_t cluster, struct hm_bytes payload,
                   struct hm_buf *out);
void hm_sealer_fini(struct hm_sealer *sealer);

struct hm_seal_sender;

/* The receiving side: one entry for each salt that has sent a frame that opened. What does not
 * open never takes or moves an entry. When all are taken, the one that was silent longest goes;
 * frames that it sent long ago would then open again, which is why messages carry versions. */
struct hm_opener {
    struct hm_key key;
    uint32_t key_id;
    struct hm_seal_sender *senders;
    struct hm_index by_salt; /* its end, which brief frames have */
    size_t count;            /* <= most */
    size_t capacity;
    size_t most;
    uint32_t newest; /* ends of the list by last use, when count > 0 */
    uint32_t oldest;
};

/* `senders_max` >= 1; an entry takes about 230 bytes, made when first needed. */
void hm_opener_init(struct hm_opener *opener, const struct hm_key *key, size_t senders_max);
/* Opens a frame of either form; appends its payload to `out`, whole, and gives the cluster id that
 * it is of. HM_BAD_BYTES: too short, or another version. HM_UNSEALED: another key, or changed on
 * the way. HM_NOT_FOUND: a brief one that fits nobody who was heard in full. HM_REPLAYED: seen
 * before, or more than HM_SEAL_WINDOW_FRAMES behind its sender's newest. On failure nothing is
 * appended and no window moves. */
HM_MUST_USE enum hm_status hm_open(struct hm_opener *opener, struct hm_bytes frame,
                                   uint64_t *cluster, struct hm_buf *out);
void hm_opener_fini(struct hm_opener *opener);

/* ---- streams ----
 *
 * Each side first sends a preamble in the clear: version u8 | key id u32 | cluster u64 | 11 random
 * bytes. Each direction's key is BLAKE2b(cluster key, "hivemind stream" | preamble of who connected
 * | preamble of who accepted | direction u8), so a recorded stream opens for nobody again. Then
 * come frames, length u32 | sealed payload | tag, the length authenticated, the nonce counting
 * frames. */

#define HM_PREAMBLE_BYTES        24
#define HM_PREAMBLE_RANDOM_BYTES 11
#define HM_STREAM_LENGTH_BYTES   4
#define HM_STREAM_FRAME_EXTRA    (HM_STREAM_LENGTH_BYTES + HM_SEAL_TAG_BYTES)
/* A message with its kind and length in front. */
#define HM_STREAM_PAYLOAD_BYTES_MAX (HM_WIRE_MESSAGE_BYTES_MAX + 64u)

void hm_preamble_make(const struct hm_key *key, uint64_t cluster,
                      const uint8_t random[HM_PREAMBLE_RANDOM_BYTES],
                      uint8_t out[HM_PREAMBLE_BYTES]);
/* HM_BAD_BYTES: not a preamble of this version. HM_UNSEALED: of another key. */
HM_MUST_USE enum hm_status hm_preamble_read(const struct hm_key *key,
                                            const uint8_t in[HM_PREAMBLE_BYTES], uint64_t *cluster);

/* One direction of one stream, at either end. */
struct hm_stream_seal {
    uint8_t subkey[HM_KEY_BYTES];
    uint64_t counter; /* frames so far */
};

enum hm_stream_direction { HM_STREAM_FROM_CONNECTOR = 1, HM_STREAM_FROM_ACCEPTOR = 2 };

void hm_stream_seal_init(struct hm_stream_seal *stream, const struct hm_key *key,
                         const uint8_t connector[HM_PREAMBLE_BYTES],
                         const uint8_t acceptor[HM_PREAMBLE_BYTES],
                         enum hm_stream_direction direction);
/* Appends a frame. The payload is at most HM_STREAM_PAYLOAD_BYTES_MAX (asserted). */
void hm_stream_seal(struct hm_stream_seal *stream, struct hm_bytes payload, struct hm_buf *out);
/* How long the whole frame is whose first bytes these are; 0 while too few to tell. HM_BAD_BYTES:
 * no frame can have this length; the connection is to be closed. */
HM_MUST_USE enum hm_status hm_stream_frame_bytes(struct hm_bytes start, size_t *out);
/* Opens one whole frame and appends its payload. HM_UNSEALED: the stream is useless from then on.
 */
HM_MUST_USE enum hm_status hm_stream_open(struct hm_stream_seal *stream, struct hm_bytes frame,
                                          struct hm_buf *out);
void hm_stream_seal_fini(struct hm_stream_seal *stream);

#endif
