#include "core/base/bytes.h"

#include "core/base/assert.h"
#include "core/base/memory.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct hm_bytes hm_bytes_of_text(const char *text)
{
    return (struct hm_bytes){(const uint8_t *)text, strlen(text)};
}

bool hm_bytes_equal(struct hm_bytes a, struct hm_bytes b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

bool hm_bytes_begin(struct hm_bytes bytes, struct hm_bytes prefix)
{
    return bytes.size >= prefix.size &&
           hm_bytes_equal((struct hm_bytes){bytes.data, prefix.size}, prefix);
}

int hm_bytes_compare(struct hm_bytes a, struct hm_bytes b)
{
    size_t common = a.size < b.size ? a.size : b.size;
    int order = common ? memcmp(a.data, b.data, common) : 0;
    return order ? order : (a.size > b.size) - (a.size < b.size);
}

struct hm_bytes hm_bytes_copy(struct hm_bytes bytes)
{
    uint8_t *copy = hm_resize(NULL, bytes.size, 1);
    if (bytes.size) {
        memcpy(copy, bytes.data, bytes.size);
    }
    return (struct hm_bytes){copy, bytes.size};
}

void hm_bytes_free(struct hm_bytes bytes)
{
    hm_free((void *)(uintptr_t)bytes.data);
}

void hm_buf_reserve(struct hm_buf *buf, size_t size)
{
    HM_ASSERT(size <= SIZE_MAX / 2 - buf->size);
    size_t capacity = buf->capacity ? buf->capacity : 64;
    while (capacity < buf->size + size) {
        capacity *= 2;
    }
    if (capacity > buf->capacity || buf->data == NULL) {
        buf->data = hm_resize(buf->data, capacity, 1);
        buf->capacity = capacity;
    }
}

void hm_buf_append(struct hm_buf *buf, const void *data, size_t size)
{
    if (size) {
        memcpy(hm_buf_extend(buf, size), data, size);
    }
}

void hm_buf_append_text(struct hm_buf *buf, const char *text)
{
    hm_buf_append(buf, text, strlen(text));
}

void hm_buf_printf(struct hm_buf *buf, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    va_list again;
    va_copy(again, arguments);
    int size = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    HM_ASSERT(size >= 0);
    /* vsnprintf wants room for a NUL, which is not part of the buffer. */
    uint8_t *room = hm_buf_extend(buf, (size_t)size + 1);
    vsnprintf((char *)room, (size_t)size + 1, format, again);
    va_end(again);
    buf->size--;
}

struct hm_bytes hm_buf_view(const struct hm_buf *buf)
{
    return (struct hm_bytes){buf->data, buf->size};
}

void hm_buf_clear(struct hm_buf *buf)
{
    buf->size = 0;
}

void hm_buf_reuse(struct hm_buf *buf, size_t keep)
{
    if (buf->capacity > keep) {
        hm_buf_fini(buf);
    }
    buf->size = 0;
}

void hm_buf_fini(struct hm_buf *buf)
{
    hm_free(buf->data);
    *buf = (struct hm_buf){0};
}

void hm_put_u8(struct hm_buf *buf, uint8_t value)
{
    *hm_buf_extend(buf, 1) = value;
}

static void put_fixed(struct hm_buf *buf, uint64_t value, size_t size)
{
    uint8_t *room = hm_buf_extend(buf, size);
    for (size_t i = 0; i < size; i++) {
        room[i] = (uint8_t)(value >> (8 * i));
    }
}

void hm_put_u32(struct hm_buf *buf, uint32_t value)
{
    put_fixed(buf, value, 4);
}

void hm_put_u64(struct hm_buf *buf, uint64_t value)
{
    put_fixed(buf, value, 8);
}

void hm_put_varint(struct hm_buf *buf, uint64_t value)
{
    uint8_t *room = hm_buf_extend(buf, HM_VARINT_BYTES_MAX);
    buf->size = (size_t)(hm_store_varint(room, value) - buf->data);
}

struct hm_reader hm_reader_of(struct hm_bytes bytes)
{
    /* An empty view may have a NULL pointer, on which no arithmetic is defined. */
    static const uint8_t nothing;
    const uint8_t *start = bytes.data ? bytes.data : &nothing;
    return (struct hm_reader){.at = start, .end = start + bytes.size};
}

static uint64_t get_fixed(struct hm_reader *reader, size_t size)
{
    struct hm_bytes bytes = hm_get_bytes(reader, size);
    uint64_t value = 0;
    for (size_t i = 0; i < bytes.size; i++) {
        value |= (uint64_t)bytes.data[i] << (8 * i);
    }
    return value;
}

uint32_t hm_get_u32(struct hm_reader *reader)
{
    return (uint32_t)get_fixed(reader, 4);
}

uint64_t hm_get_u64(struct hm_reader *reader)
{
    return get_fixed(reader, 8);
}

uint64_t hm_get_long_varint(struct hm_reader *reader)
{
    size_t left = hm_reader_left(reader);
    uint64_t value = 0;
    for (size_t i = 0; i < left && i < HM_VARINT_BYTES_MAX; i++) {
        uint8_t byte = reader->at[i];
        bool fits = i < HM_VARINT_BYTES_MAX - 1 || byte <= 1;
        bool shortest = i == 0 || byte != 0;
        if (!fits || !shortest) {
            break;
        }
        value |= (uint64_t)(byte & 0x7f) << (7 * i);
        if (!(byte & 0x80)) {
            reader->at += i + 1;
            return value;
        }
    }
    reader->bad = true;
    return 0;
}
