/* What both sides of sealing share. For seal*.c alone. */
#ifndef HM_WIRE_SEAL_PARTS_H
#define HM_WIRE_SEAL_PARTS_H

#include "core/wire/seal.h"

#define HM_SEAL_COUNTER_BYTES 6
#define HM_SEAL_COUNTER_MAX   ((UINT64_C(1) << 48) - 1)
#define HM_SEAL_BRIEF         0x80u /* of the version: the brief form */

/* Lowest byte first. */
void hm_seal_put_le(uint8_t *out, uint64_t value, size_t bytes);
uint64_t hm_seal_get_le(const uint8_t *in, size_t bytes);

/* What datagrams of this salt are sealed with. */
void hm_seal_subkey(const struct hm_key *key, uint64_t salt, uint8_t out[HM_KEY_BYTES]);
/* Opens and appends; false: nothing was appended. `sealed` has its tag at least. */
bool hm_seal_unseal(const uint8_t *subkey, uint64_t counter, struct hm_bytes head,
                    struct hm_bytes sealed, struct hm_buf *out);

/* What the tag of a brief frame covers besides: its header, then what both sides know. */
struct hm_seal_context {
    uint8_t bytes[HM_SEAL_BRIEF_BYTES + 8 + HM_SEAL_WHO_BYTES];
};

struct hm_bytes hm_seal_context(struct hm_seal_context *context, const uint8_t *header,
                                uint64_t cluster, const uint8_t *who);

#endif
