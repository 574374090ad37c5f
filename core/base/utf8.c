#include "core/base/utf8.h"

/* The code point at `at`, `*size` bytes long; -1: none. */
static int32_t next(const uint8_t *at, size_t left, size_t *size)
{
    static const int32_t lowest[] = {0, 0, 0x80, 0x800, 0x10000};
    uint8_t first = at[0];
    size_t count = first < 0x80             ? 1
                   : (first & 0xe0) == 0xc0 ? 2
                   : (first & 0xf0) == 0xe0 ? 3
                   : (first & 0xf8) == 0xf0 ? 4
                                            : 0;
    if (count == 0 || count > left) {
        return -1;
    }
    int32_t point = count == 1 ? first : first & (0x7f >> count);
    for (size_t i = 1; i < count; i++) {
        if ((at[i] & 0xc0) != 0x80) {
            return -1;
        }
        point = point << 6 | (at[i] & 0x3f);
    }
    *size = count;
    bool surrogate = point >= 0xd800 && point <= 0xdfff;
    return point < lowest[count] || surrogate || point > 0x10ffff ? -1 : point;
}

bool hm_utf8_is_plain(struct hm_bytes text)
{
    size_t size = 1;
    for (size_t at = 0; at < text.size; at += size) {
        int32_t point = next(text.data + at, text.size - at, &size);
        if (point < 0x20 || (point >= 0x7f && point <= 0x9f)) {
            return false;
        }
    }
    return true;
}
