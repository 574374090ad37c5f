#include "core/base/hash.h"

#include <string.h>

static uint64_t rotate(uint64_t value, unsigned bits)
{
    return value << bits | value >> (64 - bits);
}

static uint64_t load(const uint8_t *bytes, size_t size)
{
    uint64_t value = 0;
    for (size_t i = 0; i < size; i++) {
        value |= (uint64_t)bytes[i] << (8 * i);
    }
    return value;
}

static void rounds(uint64_t v[4], int count)
{
    for (int i = 0; i < count; i++) {
        v[0] += v[1];
        v[2] += v[3];
        v[1] = rotate(v[1], 13) ^ v[0];
        v[3] = rotate(v[3], 16) ^ v[2];
        v[0] = rotate(v[0], 32);
        v[2] += v[1];
        v[0] += v[3];
        v[1] = rotate(v[1], 17) ^ v[2];
        v[3] = rotate(v[3], 21) ^ v[0];
        v[2] = rotate(v[2], 32);
    }
}

uint64_t hm_hash(uint64_t seed, struct hm_bytes bytes)
{
    uint64_t key[2] = {seed, ~seed};
    uint64_t v[4] = {0x736f6d6570736575u ^ key[0], 0x646f72616e646f6du ^ key[1],
                     0x6c7967656e657261u ^ key[0], 0x7465646279746573u ^ key[1]};
    size_t whole = bytes.size / 8 * 8;
    for (size_t i = 0; i < whole; i += 8) {
        uint64_t word = load(bytes.data + i, 8);
        v[3] ^= word;
        rounds(v, 2);
        v[0] ^= word;
    }
    uint64_t last = (uint64_t)bytes.size << 56;
    if (bytes.size > whole) {
        last |= load(bytes.data + whole, bytes.size - whole);
    }
    v[3] ^= last;
    rounds(v, 2);
    v[0] ^= last;
    v[2] ^= 0xff;
    rounds(v, 4);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

uint64_t hm_hash_id(uint64_t seed, const struct hm_id *id)
{
    return hm_hash(seed, (struct hm_bytes){id->bytes, sizeof id->bytes});
}

uint64_t hm_hash_name_nocase(const struct hm_name *name)
{
    struct hm_name lower = hm_name_lower(name);
    return hm_hash(0, (struct hm_bytes){(const uint8_t *)lower.text, lower.size});
}

#define CRC32C_POLYNOMIAL 0x82f63b78u /* reflected */

/* One step of four bits at a time, where the processor has no instruction for it: a table of 16
 * entries needs no set-up and stays in one line of the cache. */
static const uint32_t *crc_table(void)
{
#define STEP(x)  (((x)&1) ? ((x) >> 1) ^ CRC32C_POLYNOMIAL : (x) >> 1)
#define ENTRY(x) STEP(STEP(STEP(STEP((uint32_t)(x)))))
    static const uint32_t table[16] = {
        ENTRY(0), ENTRY(1), ENTRY(2),  ENTRY(3),  ENTRY(4),  ENTRY(5),  ENTRY(6),  ENTRY(7),
        ENTRY(8), ENTRY(9), ENTRY(10), ENTRY(11), ENTRY(12), ENTRY(13), ENTRY(14), ENTRY(15)};
#undef ENTRY
#undef STEP
    return table;
}

static uint32_t crc_by_table(uint32_t crc, struct hm_bytes bytes)
{
    const uint32_t *table = crc_table();
    for (size_t i = 0; i < bytes.size; i++) {
        crc ^= bytes.data[i];
        crc = (crc >> 4) ^ table[crc & 15];
        crc = (crc >> 4) ^ table[crc & 15];
    }
    return crc;
}

#ifdef __x86_64__
__attribute__((target("sse4.2"))) static uint32_t crc_by_instruction(uint32_t crc,
                                                                     struct hm_bytes bytes)
{
    uint64_t wide = crc;
    size_t at = 0;
    for (; bytes.size - at >= 8; at += 8) {
        uint64_t word;
        memcpy(&word, bytes.data + at, sizeof word);
        wide = __builtin_ia32_crc32di(wide, word);
    }
    crc = (uint32_t)wide;
    for (; at < bytes.size; at++) {
        crc = __builtin_ia32_crc32qi(crc, bytes.data[at]);
    }
    return crc;
}
#endif

uint32_t hm_crc32c(uint32_t crc, struct hm_bytes bytes)
{
#ifdef __x86_64__
    if (__builtin_cpu_supports("sse4.2")) {
        return ~crc_by_instruction(~crc, bytes);
    }
#endif
    return ~crc_by_table(~crc, bytes);
}
