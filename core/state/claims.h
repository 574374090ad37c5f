/* Opaque unique keys (virtual hosts) that host configs ask for: the service that committed a key
 * first has it until no committed config holds it. */
#ifndef HM_STATE_CLAIMS_H
#define HM_STATE_CLAIMS_H

#include "core/wire/message.h"

struct hm_claimed; /* one host's claims, owned */

/* All zero is a valid empty table. */
struct hm_claims {
    struct hm_claimed *hosts; /* in no order */
    size_t count;
    size_t capacity;
};

/* What one host asks for from now on (an empty list: nothing); copies it. */
void hm_claims_set(struct hm_claims *claims, const struct hm_id *host, const struct hm_claim *list,
                   uint32_t count);
/* Does any host ask for this key for this owner? */
bool hm_claims_held(const struct hm_claims *claims, struct hm_bytes key,
                    const struct hm_name *owner);
/* The owner that the first host in order of ids asks this key for; false when nobody asks. */
bool hm_claims_next_owner(const struct hm_claims *claims, struct hm_bytes key,
                          struct hm_name *owner);
/* What a host asks for; NULL and 0 when nothing. Valid until the next set. */
const struct hm_claim *hm_claims_of(const struct hm_claims *claims, const struct hm_id *host,
                                    uint32_t *count);
/* All of them, for a snapshot: points into the table. */
void hm_claims_list(const struct hm_claims *claims, struct hm_arena *arena,
                    struct hm_host_claims **out, uint32_t *count);
void hm_claims_fini(struct hm_claims *claims);

#endif
