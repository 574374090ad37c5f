/* Hashes that are the same on every machine and in every release: ring positions, table slots,
 * checksums. None is for secrets. */
#ifndef HM_BASE_HASH_H
#define HM_BASE_HASH_H

#include "core/base/bytes.h"
#include "core/base/ids.h"

/* 64 bits of SipHash-2-4 under a fixed key made from `seed` (Aumasson, Bernstein 2012). */
uint64_t hm_hash(uint64_t seed, struct hm_bytes bytes);
uint64_t hm_hash_id(uint64_t seed, const struct hm_id *id);
/* Over the lower-case form, for names that are compared without case. */
uint64_t hm_hash_name_nocase(const struct hm_name *name);

/* CRC-32C (RFC 3720, B.4); `crc` is 0 at the start, or what the bytes before gave. */
uint32_t hm_crc32c(uint32_t crc, struct hm_bytes bytes);

#endif
