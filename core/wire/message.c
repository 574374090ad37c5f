#include "core/wire/message.h"

#include "core/base/assert.h"

#include <ctype.h>
#include <string.h>

/* ---- fields: put, get, print and make one value of each type ---- */

static void put_u8(struct hm_buf *out, uint8_t value)
{
    hm_put_u8(out, value);
}

static void put_u16(struct hm_buf *out, uint16_t value)
{
    hm_put_varint(out, value);
}

static void put_u32(struct hm_buf *out, uint32_t value)
{
    hm_put_varint(out, value);
}

static void put_u64(struct hm_buf *out, uint64_t value)
{
    hm_put_varint(out, value);
}

static void put_flag(struct hm_buf *out, bool value)
{
    hm_put_u8(out, value);
}

static void put_id(struct hm_buf *out, struct hm_id id)
{
    hm_buf_append(out, id.bytes, sizeof id.bytes);
}

static void put_name(struct hm_buf *out, struct hm_name name)
{
    hm_put_u8(out, name.size);
    hm_buf_append(out, name.text, name.size);
}

static void put_addr(struct hm_buf *out, struct hm_addr addr)
{
    hm_put_u8(out, addr.family);
    if (addr.family) {
        hm_buf_append(out, addr.ip, hm_addr_ip_bytes(&addr));
        hm_put_varint(out, addr.port);
    }
}

static void put_bytes(struct hm_buf *out, struct hm_bytes bytes)
{
    hm_put_varint(out, bytes.size);
    hm_buf_append(out, bytes.data, bytes.size);
}

static void put_text(struct hm_buf *out, struct hm_bytes text)
{
    HM_ASSERT(text.size <= HM_WIRE_TEXT_BYTES_MAX);
    put_bytes(out, text);
}

static uint8_t get_u8(struct hm_reader *in)
{
    return hm_get_u8(in);
}

static uint64_t get_at_most(struct hm_reader *in, uint64_t most)
{
    uint64_t value = hm_get_varint(in);
    if (value > most) {
        in->bad = true;
        return 0;
    }
    return value;
}

static uint16_t get_u16(struct hm_reader *in)
{
    return (uint16_t)get_at_most(in, UINT16_MAX);
}

static uint32_t get_u32(struct hm_reader *in)
{
    return (uint32_t)get_at_most(in, UINT32_MAX);
}

static uint64_t get_u64(struct hm_reader *in)
{
    return hm_get_varint(in);
}

static bool get_flag(struct hm_reader *in)
{
    return get_at_most(in, 1) == 1;
}

static struct hm_id get_id(struct hm_reader *in)
{
    struct hm_id id = {{0}};
    struct hm_bytes bytes = hm_get_bytes(in, sizeof id.bytes);
    if (bytes.size) {
        memcpy(id.bytes, bytes.data, sizeof id.bytes);
    }
    return id;
}

static struct hm_name get_name(struct hm_reader *in)
{
    struct hm_name name = {0};
    struct hm_bytes bytes = hm_get_bytes(in, hm_get_u8(in));
    if (!hm_name_set(&name, (const char *)bytes.data, bytes.size)) {
        in->bad = true;
    }
    return name;
}

static struct hm_addr get_addr(struct hm_reader *in)
{
    struct hm_addr addr = {.family = hm_get_u8(in)};
    if (addr.family != 0 && addr.family != 4 && addr.family != 6) {
        in->bad = true;
    }
    if (in->bad || addr.family == 0) {
        return (struct hm_addr){0};
    }
    struct hm_bytes ip = hm_get_bytes(in, hm_addr_ip_bytes(&addr));
    if (ip.size) {
        memcpy(addr.ip, ip.data, ip.size);
    }
    addr.port = get_u16(in);
    return addr;
}

static struct hm_bytes get_bytes(struct hm_reader *in)
{
    /* As many as there are: what is read is bounded where it comes in. */
    return hm_get_bytes(in, (size_t)get_at_most(in, HM_WIRE_STORED_BYTES_MAX));
}

static struct hm_bytes get_text(struct hm_reader *in)
{
    struct hm_bytes text = hm_get_bytes(in, (size_t)get_at_most(in, HM_WIRE_TEXT_BYTES_MAX));
    if (text.size && memchr(text.data, 0, text.size)) {
        in->bad = true;
    }
    return text;
}

static void print_u64(struct hm_buf *out, uint64_t value)
{
    hm_buf_printf(out, "%llu", (unsigned long long)value);
}

#define print_u8  print_u64
#define print_u16 print_u64
#define print_u32 print_u64

static void print_flag(struct hm_buf *out, bool value)
{
    hm_buf_append_text(out, value ? "yes" : "no");
}

static void print_id(struct hm_buf *out, struct hm_id id)
{
    char text[HM_ID_TEXT_BYTES];
    hm_buf_append_text(out, hm_id_format(&id, text));
}

static void print_addr(struct hm_buf *out, struct hm_addr addr)
{
    char text[HM_ADDR_TEXT_BYTES];
    hm_buf_append_text(out, hm_addr_format(&addr, text));
}

static void print_text(struct hm_buf *out, struct hm_bytes text)
{
    hm_buf_append_text(out, "\"");
    for (size_t i = 0; i < text.size; i++) {
        uint8_t letter = text.data[i];
        if (isprint(letter) && letter != '"' && letter != '\\') {
            hm_put_u8(out, letter);
        } else {
            hm_buf_printf(out, "\\x%02x", letter);
        }
    }
    hm_buf_append_text(out, "\"");
}

static void print_name(struct hm_buf *out, struct hm_name name)
{
    print_text(out, (struct hm_bytes){(const uint8_t *)name.text, name.size});
}

/* Bodies may nest as deep as somebody hostile likes: only short ones are looked into. */
#define PRINTED_BODY_BYTES_MAX 1024u

static bool holds_message(struct hm_bytes bytes, struct hm_arena *arena, struct hm_message *inner)
{
    struct hm_reader in = hm_reader_of(bytes);
    return bytes.size && bytes.size <= PRINTED_BODY_BYTES_MAX &&
           hm_message_decode(&in, arena, inner) == HM_OK && hm_reader_left(&in) == 0;
}

static void print_bytes(struct hm_buf *out, struct hm_bytes bytes)
{
    struct hm_arena arena = {0};
    struct hm_message inner;
    if (holds_message(bytes, &arena, &inner)) {
        hm_buf_append_text(out, "(");
        hm_message_print(out, &inner);
        hm_buf_append_text(out, ")");
    } else {
        hm_buf_printf(out, "<%zu bytes>", bytes.size);
    }
    hm_arena_fini(&arena);
}

static uint64_t make_u64(struct hm_random *random, struct hm_arena *arena)
{
    (void)arena;
    return hm_random_u64(random) >> hm_random_below(random, 64);
}

#define make_u8(random, arena)  (uint8_t) make_u64(random, arena)
#define make_u16(random, arena) (uint16_t) make_u64(random, arena)
#define make_u32(random, arena) (uint32_t) make_u64(random, arena)

static bool make_flag(struct hm_random *random, struct hm_arena *arena)
{
    (void)arena;
    return hm_random_chance(random, 500);
}

static struct hm_id make_id(struct hm_random *random, struct hm_arena *arena)
{
    (void)arena;
    return hm_random_id(random);
}

static struct hm_bytes make_bytes(struct hm_random *random, struct hm_arena *arena)
{
    size_t size = (size_t)hm_random_below(random, 40);
    uint8_t *data = hm_arena_alloc(arena, size, 1);
    hm_random_fill(random, data, size);
    return (struct hm_bytes){data, size};
}

static struct hm_bytes make_text(struct hm_random *random, struct hm_arena *arena)
{
    size_t size = (size_t)hm_random_below(random, 40);
    uint8_t *data = hm_arena_alloc(arena, size, 1);
    for (size_t i = 0; i < size; i++) {
        data[i] = (uint8_t)hm_random_between(random, 1, 255);
    }
    return (struct hm_bytes){data, size};
}

static struct hm_name make_name(struct hm_random *random, struct hm_arena *arena)
{
    struct hm_name name = {0};
    struct hm_bytes text = make_text(random, arena);
    bool fits = hm_name_set(&name, (const char *)text.data, text.size);
    HM_ASSERT(fits);
    return name;
}

static struct hm_addr make_addr(struct hm_random *random, struct hm_arena *arena)
{
    (void)arena;
    static const uint8_t families[] = {0, 4, 6};
    struct hm_addr addr = {.family = families[hm_random_below(random, 3)]};
    if (addr.family) {
        hm_random_fill(random, addr.ip, hm_addr_ip_bytes(&addr));
        addr.port = (uint16_t)hm_random_u64(random);
    }
    return addr;
}

/* ---- structs: the table expanded, one function a struct and verb ---- */

/* clang-format off */
#define HM_STRUCT(struct_name, doc)                                                                \
    static void put_##struct_name(struct hm_buf *out, const struct hm_##struct_name *in) {
#define HM_MESSAGE(number, struct_name, class, doc) HM_STRUCT(struct_name, doc)
#define HM_FIELD(type, field, doc) put_##type(out, in->field);
#define HM_NEST(type, field, doc) put_##type(out, &in->field);
#define HM_LIST(type, field, most, doc)                                                            \
    HM_ASSERT(in->field##_count <= (most));                                                        \
    hm_put_varint(out, in->field##_count);                                                         \
    for (uint32_t i = 0; i < in->field##_count; i++) {                                             \
        put_##type(out, &in->field[i]);                                                            \
    }
#define HM_END(struct_name) }
#include "core/wire/messages.def"
#include "core/wire/undef.h"

/* A list longer than the bytes left cannot be honest: every item takes a byte at least. So memory
 * taken is bounded by what was received. */
#define HM_STRUCT(struct_name, doc)                                                                \
    static void get_##struct_name(struct hm_reader *in, struct hm_arena *arena,                    \
                                  struct hm_##struct_name *out) { (void)arena;
#define HM_MESSAGE(number, struct_name, class, doc) HM_STRUCT(struct_name, doc)
#define HM_FIELD(type, field, doc) out->field = get_##type(in);
#define HM_NEST(type, field, doc) get_##type(in, arena, &out->field);
#define HM_LIST(type, field, most, doc)                                                            \
    out->field##_count = (uint32_t)get_at_most(in, (most));                                        \
    if (out->field##_count > hm_reader_left(in)) {                                                 \
        in->bad = true;                                                                            \
        out->field##_count = 0;                                                                    \
    }                                                                                              \
    out->field = hm_arena_alloc(arena, out->field##_count, sizeof *out->field);                    \
    for (uint32_t i = 0; i < out->field##_count && !in->bad; i++) {                                \
        get_##type(in, arena, &out->field[i]);                                                     \
    }
#define HM_END(struct_name) }
#include "core/wire/messages.def"
#include "core/wire/undef.h"

#define HM_STRUCT(struct_name, doc)                                                                \
    static void print_##struct_name(struct hm_buf *out, const struct hm_##struct_name *in) {
#define HM_MESSAGE(number, struct_name, class, doc) HM_STRUCT(struct_name, doc)
#define HM_FIELD(type, field, doc)                                                                 \
    hm_buf_append_text(out, " " #field "=");                                                       \
    print_##type(out, in->field);
#define HM_NEST(type, field, doc)                                                                  \
    hm_buf_append_text(out, " " #field "={");                                                      \
    print_##type(out, &in->field);                                                                 \
    hm_buf_append_text(out, " }");
#define HM_LIST(type, field, most, doc)                                                            \
    hm_buf_append_text(out, " " #field "=[");                                                      \
    for (uint32_t i = 0; i < in->field##_count; i++) {                                             \
        hm_buf_append_text(out, i ? ";" : "");                                                     \
        print_##type(out, &in->field[i]);                                                          \
    }                                                                                              \
    hm_buf_append_text(out, " ]");
#define HM_END(struct_name) }
#include "core/wire/messages.def"
#include "core/wire/undef.h"

#define HM_STRUCT(struct_name, doc)                                                                \
    static void make_##struct_name(struct hm_random *random, struct hm_arena *arena,               \
                                   struct hm_##struct_name *out) {
#define HM_MESSAGE(number, struct_name, class, doc) HM_STRUCT(struct_name, doc)
#define HM_FIELD(type, field, doc) out->field = make_##type(random, arena);
#define HM_NEST(type, field, doc) make_##type(random, arena, &out->field);
#define HM_LIST(type, field, most, doc)                                                            \
    out->field##_count = (uint32_t)hm_random_below(random, (most) < 4 ? (most) : 4);               \
    out->field = hm_arena_alloc(arena, out->field##_count, sizeof *out->field);                    \
    for (uint32_t i = 0; i < out->field##_count; i++) {                                            \
        make_##type(random, arena, &out->field[i]);                                                \
    }
#define HM_END(struct_name) }
#include "core/wire/messages.def"
#include "core/wire/undef.h"

/* ---- messages: one row of functions a kind ---- */

typedef void put_function(struct hm_buf *out, const struct hm_message *message);
typedef void get_function(struct hm_reader *in, struct hm_arena *arena, struct hm_message *out);
typedef void make_function(struct hm_random *random, struct hm_arena *arena,
                           struct hm_message *out);

struct row {
    const char *name;
    enum hm_message_class class;
    put_function *put;
    put_function *print;
    get_function *get;
    make_function *make;
};

#define HM_STRUCT(struct_name, doc)
#define HM_FIELD(type, field, doc)
#define HM_NEST(type, field, doc)
#define HM_LIST(type, field, most, doc)
#define HM_END(struct_name)
#define HM_MESSAGE(number, struct_name, class, doc)                                                \
    static void put_message_##struct_name(struct hm_buf *out, const struct hm_message *message)    \
    {                                                                                              \
        put_##struct_name(out, &message->struct_name);                                             \
    }                                                                                              \
    static void print_message_##struct_name(struct hm_buf *out, const struct hm_message *message)  \
    {                                                                                              \
        print_##struct_name(out, &message->struct_name);                                           \
    }                                                                                              \
    static void get_message_##struct_name(struct hm_reader *in, struct hm_arena *arena,            \
                                          struct hm_message *out)                                  \
    {                                                                                              \
        get_##struct_name(in, arena, &out->struct_name);                                           \
    }                                                                                              \
    static void make_message_##struct_name(struct hm_random *random, struct hm_arena *arena,       \
                                           struct hm_message *out)                                 \
    {                                                                                              \
        make_##struct_name(random, arena, &out->struct_name);                                      \
    }
#include "core/wire/messages.def"
#undef HM_MESSAGE
#define HM_MESSAGE(number, struct_name, class, doc)                                                \
    [number] = {#struct_name, HM_CLASS_##class, put_message_##struct_name,                         \
                print_message_##struct_name, get_message_##struct_name,                            \
                make_message_##struct_name},
static const struct row rows[] = {
#include "core/wire/messages.def"
};
#include "core/wire/undef.h"
/* clang-format on */

#define ROW_COUNT (sizeof rows / sizeof *rows)

static const struct row *find(uint64_t kind)
{
    return kind < ROW_COUNT && rows[kind].name ? &rows[kind] : NULL;
}

const char *hm_message_name(enum hm_message_kind kind)
{
    const struct row *row = find(kind);
    return row ? row->name : "unknown";
}

enum hm_message_class hm_message_class(enum hm_message_kind kind)
{
    const struct row *row = find(kind);
    HM_ASSERT(row != NULL);
    return row->class;
}

void hm_message_encode(struct hm_buf *out, const struct hm_message *message)
{
    const struct row *row = find(message->kind);
    HM_ASSERT(row != NULL);
    hm_put_varint(out, message->kind);
    /* The body where it will be when its length takes one byte; a longer one moves up. */
    size_t start = out->size;
    hm_put_u8(out, 0);
    row->put(out, message);
    size_t size = out->size - start - 1;
    struct hm_buf length = {0};
    if (size >= 0x80) {
        hm_put_varint(&length, size);
        hm_buf_extend(out, length.size - 1);
        memmove(out->data + start + length.size, out->data + start + 1, size);
        memcpy(out->data + start, length.data, length.size);
        hm_buf_fini(&length);
    } else {
        out->data[start] = (uint8_t)size;
    }
}

enum hm_status hm_message_decode(struct hm_reader *in, struct hm_arena *arena,
                                 struct hm_message *out)
{
    const struct row *row = find(hm_get_varint(in));
    struct hm_reader body = hm_reader_of(get_bytes(in));
    if (!row || in->bad) {
        in->bad = true;
        return HM_BAD_BYTES;
    }
    *out = (struct hm_message){.kind = (enum hm_message_kind)(row - rows)};
    row->get(&body, arena, out);
    if (body.bad || hm_reader_left(&body)) {
        in->bad = true;
        return HM_BAD_BYTES;
    }
    return HM_OK;
}

enum hm_status hm_message_decode_only(struct hm_bytes bytes, enum hm_message_kind kind,
                                      struct hm_arena *arena, struct hm_message *out)
{
    struct hm_reader in = hm_reader_of(bytes);
    struct hm_message message;
    if (hm_message_decode(&in, arena, &message) != HM_OK || hm_reader_left(&in) ||
        message.kind != kind) {
        return HM_BAD_BYTES;
    }
    *out = message;
    return HM_OK;
}

void hm_message_print(struct hm_buf *out, const struct hm_message *message)
{
    const struct row *row = find(message->kind);
    HM_ASSERT(row != NULL);
    hm_buf_append_text(out, row->name);
    row->print(out, message);
}

void hm_message_generate(struct hm_random *random, enum hm_message_kind kind,
                         struct hm_arena *arena, struct hm_message *out)
{
    const struct row *row = find(kind);
    HM_ASSERT(row != NULL);
    *out = (struct hm_message){.kind = kind};
    row->make(random, arena, out);
}

enum hm_message_kind hm_message_kind_after(enum hm_message_kind kind)
{
    for (size_t next = (size_t)kind + 1; next < ROW_COUNT; next++) {
        if (rows[next].name) {
            return (enum hm_message_kind)next;
        }
    }
    return HM_MSG_NONE;
}
