/* Runs of bytes: a borrowed view, a growing buffer, a reader that remembers that it failed. */
#ifndef HM_BASE_BYTES_H
#define HM_BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A view: whoever made it says how long what it points to lives. */
struct hm_bytes {
    const uint8_t *data;
    size_t size;
};

/* A buffer that owns its memory. All zero is a valid empty buffer. size <= capacity. */
struct hm_buf {
    uint8_t *data;
    size_t size;
    size_t capacity;
};

/* Reads forward; once `bad`, every read gives zero and stays bad. at <= end. */
struct hm_reader {
    const uint8_t *at;
    const uint8_t *end;
    bool bad;
};

struct hm_bytes hm_bytes_of_text(const char *text);
bool hm_bytes_equal(struct hm_bytes a, struct hm_bytes b);
bool hm_bytes_begin(struct hm_bytes bytes, struct hm_bytes prefix);
/* Orders as memcmp, a prefix first. */
int hm_bytes_compare(struct hm_bytes a, struct hm_bytes b);
/* A copy from hm_alloc (hm_free((void *)copy.data) ends it). */
struct hm_bytes hm_bytes_copy(struct hm_bytes bytes);
void hm_bytes_free(struct hm_bytes bytes);

void hm_buf_append(struct hm_buf *buf, const void *data, size_t size);
/* Memory for `size` bytes more, which are not used yet; never NULL after it. */
void hm_buf_reserve(struct hm_buf *buf, size_t size);
/* Room for `size` bytes more, not zeroed, counted as used; the caller fills them. Never NULL, not
 * even for no bytes in an empty buffer. */
static inline uint8_t *hm_buf_extend(struct hm_buf *buf, size_t size)
{
    if (size > buf->capacity - buf->size || buf->data == NULL) {
        hm_buf_reserve(buf, size);
    }
    uint8_t *room = buf->data + buf->size;
    buf->size += size;
    return room;
}
void hm_buf_append_text(struct hm_buf *buf, const char *text);
void hm_buf_printf(struct hm_buf *buf, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
struct hm_bytes hm_buf_view(const struct hm_buf *buf);
/* Empties it but keeps the memory. */
void hm_buf_clear(struct hm_buf *buf);
/* Empties it; the memory stays only if it is at most `keep` bytes. */
void hm_buf_reuse(struct hm_buf *buf, size_t keep);
/* Frees it and leaves a valid empty buffer. */
void hm_buf_fini(struct hm_buf *buf);

struct hm_reader hm_reader_of(struct hm_bytes bytes);
static inline size_t hm_reader_left(const struct hm_reader *reader)
{
    return reader->bad ? 0 : (size_t)(reader->end - reader->at);
}
/* The next `size` bytes as a view into what is read; empty and bad when fewer are left. */
static inline struct hm_bytes hm_get_bytes(struct hm_reader *reader, size_t size)
{
    if (size > hm_reader_left(reader)) {
        reader->bad = true;
        return (struct hm_bytes){0};
    }
    struct hm_bytes bytes = {reader->at, size};
    reader->at += size;
    return bytes;
}

/* Integers of seven bits a byte, lowest first, at most 10 bytes; the shortest form alone is read.
 */
#define HM_VARINT_BYTES_MAX 10u
/* Into room for HM_VARINT_BYTES_MAX; returns what is behind it. */
static inline uint8_t *hm_store_varint(uint8_t *to, uint64_t value)
{
    for (; value >= 0x80; value >>= 7) {
        *to++ = (uint8_t)(value | 0x80);
    }
    *to++ = (uint8_t)value;
    return to;
}
void hm_put_varint(struct hm_buf *buf, uint64_t value);
/* What is not one byte. */
uint64_t hm_get_long_varint(struct hm_reader *reader);
static inline uint64_t hm_get_varint(struct hm_reader *reader)
{
    if (!reader->bad && reader->at < reader->end && *reader->at < 0x80) {
        return *reader->at++; /* most are small */
    }
    return hm_get_long_varint(reader);
}
/* Fixed-size integers, lowest byte first. */
void hm_put_u8(struct hm_buf *buf, uint8_t value);
void hm_put_u32(struct hm_buf *buf, uint32_t value);
void hm_put_u64(struct hm_buf *buf, uint64_t value);
static inline uint8_t hm_get_u8(struct hm_reader *reader)
{
    struct hm_bytes bytes = hm_get_bytes(reader, 1);
    return bytes.size ? bytes.data[0] : 0;
}
uint32_t hm_get_u32(struct hm_reader *reader);
uint64_t hm_get_u64(struct hm_reader *reader);

#endif
