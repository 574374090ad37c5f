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
/* Room for `size` bytes more, not zeroed, counted as used; the caller fills them. Never NULL, not
 * even for no bytes in an empty buffer. */
uint8_t *hm_buf_extend(struct hm_buf *buf, size_t size);
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

/* Integers of seven bits a byte, lowest first, at most 10 bytes; the shortest form alone is read.
 */
void hm_put_varint(struct hm_buf *buf, uint64_t value);
uint64_t hm_get_varint(struct hm_reader *reader);
/* The same into room for HM_VARINT_BYTES_MAX; returns what is behind it. Where many are written. */
#define HM_VARINT_BYTES_MAX 10u
static inline uint8_t *hm_store_varint(uint8_t *to, uint64_t value)
{
    for (; value >= 0x80; value >>= 7) {
        *to++ = (uint8_t)(value | 0x80);
    }
    *to++ = (uint8_t)value;
    return to;
}
/* Fixed-size integers, lowest byte first. */
void hm_put_u8(struct hm_buf *buf, uint8_t value);
void hm_put_u32(struct hm_buf *buf, uint32_t value);
void hm_put_u64(struct hm_buf *buf, uint64_t value);
uint8_t hm_get_u8(struct hm_reader *reader);
uint32_t hm_get_u32(struct hm_reader *reader);
uint64_t hm_get_u64(struct hm_reader *reader);

struct hm_reader hm_reader_of(struct hm_bytes bytes);
size_t hm_reader_left(const struct hm_reader *reader);
/* The next `size` bytes as a view into what is read; empty and bad when fewer are left. */
struct hm_bytes hm_get_bytes(struct hm_reader *reader, size_t size);

#endif
