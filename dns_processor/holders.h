/* Which hosts have which address: what PTR records are made of. */
#ifndef HM_DNS_HOLDERS_H
#define HM_DNS_HOLDERS_H

#include "core/base/ids.h"
#include "core/base/index.h"

/* A host has an address. */
struct hm_dns_holding {
    struct hm_addr addr; /* port 0; family 0: the slot is free */
    struct hm_name host;
    uint32_t next_free; /* of a free slot: slot + 1, 0 at the end */
};

/* All zero is valid and empty. */
struct hm_dns_holders {
    struct hm_dns_holding *holdings;
    size_t count; /* slots, free ones too */
    size_t capacity;
    uint32_t free; /* the first free slot + 1, 0: none */
    struct hm_index by_addr;
    struct hm_index by_host;
};

/* `addr` belongs to `host`, too; it must not be filed for it yet. */
void hm_dns_holders_add(struct hm_dns_holders *holders, const struct hm_addr *addr,
                        const struct hm_name *host);

/* Takes one address away from `host` and gives it in `out`; false when it has none left. */
bool hm_dns_holders_take(struct hm_dns_holders *holders, const struct hm_name *host,
                         struct hm_addr *out);

bool hm_dns_holders_has(const struct hm_dns_holders *holders, const struct hm_addr *addr,
                        const struct hm_name *host);

/* The hosts of an address, in no order: start with cursor 0; NULL at the end. */
const struct hm_name *hm_dns_holders_next(const struct hm_dns_holders *holders,
                                          const struct hm_addr *addr, size_t *cursor);

void hm_dns_holders_fini(struct hm_dns_holders *holders);

#endif
