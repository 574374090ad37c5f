/* Messages as structs, with codec, printer and generator, all made from messages.def. */
#ifndef HM_WIRE_MESSAGE_H
#define HM_WIRE_MESSAGE_H

#include "core/base/arena.h"
#include "core/base/bytes.h"
#include "core/base/ids.h"
#include "core/base/random.h"

/* The longest datagram payload that is sent (IPv6's minimum MTU less headers and sealing). */
#define HM_WIRE_DATAGRAM_BYTES_MAX 1200u
/* The longest message: what a stream frame may carry. */
#define HM_WIRE_MESSAGE_BYTES_MAX (16u << 20)
/* The longest run of bytes in what is only stored: the state in a snapshot, which travels in
 * pieces.
 */
#define HM_WIRE_STORED_BYTES_MAX (512u << 20)
/* The longest text field. */
#define HM_WIRE_TEXT_BYTES_MAX 4096u

typedef uint8_t hm_wire_u8;
typedef uint16_t hm_wire_u16;
typedef uint32_t hm_wire_u32;
typedef uint64_t hm_wire_u64;
typedef bool hm_wire_flag;
typedef struct hm_id hm_wire_id;
typedef struct hm_name hm_wire_name;
typedef struct hm_addr hm_wire_addr;
typedef struct hm_bytes hm_wire_text; /* no NUL inside; not NUL-terminated */
typedef struct hm_bytes hm_wire_bytes;

/* clang-format off */
#define HM_STRUCT(struct_name, doc) struct hm_##struct_name {
#define HM_MESSAGE(number, struct_name, class, doc) struct hm_##struct_name {
#define HM_FIELD(type, field, doc) hm_wire_##type field;
#define HM_NEST(type, field, doc) struct hm_##type field;
#define HM_LIST(type, field, most, doc) struct hm_##type *field; uint32_t field##_count;
#define HM_END(struct_name) };
#include "core/wire/messages.def"
#include "core/wire/undef.h"

enum hm_message_kind {
    HM_MSG_NONE = 0,
#define HM_STRUCT(struct_name, doc)
#define HM_MESSAGE(number, struct_name, class, doc) HM_MSG_##struct_name = (number),
#define HM_FIELD(type, field, doc)
#define HM_NEST(type, field, doc)
#define HM_LIST(type, field, most, doc)
#define HM_END(struct_name)
#include "core/wire/messages.def"
#include "core/wire/undef.h"
};

/* A message of any kind: `kind` says which member of the union is meant. */
struct hm_message {
    enum hm_message_kind kind;
    union {
#define HM_STRUCT(struct_name, doc)
#define HM_MESSAGE(number, struct_name, class, doc) struct hm_##struct_name struct_name;
#define HM_FIELD(type, field, doc)
#define HM_NEST(type, field, doc)
#define HM_LIST(type, field, most, doc)
#define HM_END(struct_name)
#include "core/wire/messages.def"
#include "core/wire/undef.h"
    };
};
/* clang-format on */

enum hm_message_class {
    HM_CLASS_DATAGRAM,
    HM_CLASS_STREAM,
    HM_CLASS_CONTROL,
    HM_CLASS_REQUEST,
    HM_CLASS_EVENT,
    HM_CLASS_LOCAL,
};

/* "ping"; "unknown" for a number that the table lacks. */
const char *hm_message_name(enum hm_message_kind kind);
enum hm_message_class hm_message_class(enum hm_message_kind kind);

/* Appends kind, length and body. Texts and lists within the table's limits are the caller's duty
 * (asserted): they are bounded where they enter. */
void hm_message_encode(struct hm_buf *out, const struct hm_message *message);

/* Reads one message. Lists live in `arena`, texts and bytes point into what is read. HM_BAD_BYTES:
 * the reader is bad from then on and `out` is not to be used. Every accepted encoding is the
 * shortest one: encoding the result gives the same bytes. */
HM_MUST_USE enum hm_status hm_message_decode(struct hm_reader *in, struct hm_arena *arena,
                                             struct hm_message *out);

/* The same for a run of bytes that must be one message of this kind and nothing else. */
HM_MUST_USE enum hm_status hm_message_decode_only(struct hm_bytes bytes, enum hm_message_kind kind,
                                                  struct hm_arena *arena, struct hm_message *out);

/* One line for people: `ping nonce=7 incarnation=4294967296 members={epoch=1 position=3}`. Bodies
 * that hold a message are printed as such. */
void hm_message_print(struct hm_buf *out, const struct hm_message *message);

/* Fills a message of `kind` with random content within the table's limits; for tests and fuzzers.
 */
void hm_message_generate(struct hm_random *random, enum hm_message_kind kind,
                         struct hm_arena *arena, struct hm_message *out);

/* Walks all kinds of the table: start with HM_MSG_NONE, ends with it. */
enum hm_message_kind hm_message_kind_after(enum hm_message_kind kind);

/* The protocol document (Markdown), printed from the table. */
void hm_message_document(struct hm_buf *out);

#endif
