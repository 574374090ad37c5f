#include "dns_processor/holders.h"

#include "core/base/hash.h"
#include "core/base/memory.h"

static uint64_t hash_addr(const struct hm_addr *addr)
{
    return hm_hash(addr->family, (struct hm_bytes){addr->ip, sizeof addr->ip});
}

void hm_dns_holders_add(struct hm_dns_holders *holders, const struct hm_addr *addr,
                        const struct hm_name *host)
{
    uint32_t slot = holders->free - 1;
    if (holders->free > 0) {
        holders->free = holders->holdings[slot].next_free;
    } else {
        holders->holdings = hm_grow(holders->holdings, holders->count, &holders->capacity,
                                    sizeof *holders->holdings);
        slot = (uint32_t)holders->count++;
    }
    holders->holdings[slot] = (struct hm_dns_holding){.addr = *addr, .host = *host};
    holders->holdings[slot].addr.port = 0;
    hm_index_add(&holders->by_addr, hash_addr(addr), slot);
    hm_index_add(&holders->by_host, hm_hash_name_nocase(host), slot);
}

bool hm_dns_holders_take(struct hm_dns_holders *holders, const struct hm_name *host,
                         struct hm_addr *out)
{
    uint64_t hash = hm_hash_name_nocase(host);
    size_t cursor = 0;
    for (uint32_t slot; (slot = hm_index_next(&holders->by_host, hash, &cursor)) != HM_INDEX_END;) {
        struct hm_dns_holding *holding = &holders->holdings[slot];
        if (hm_name_equal_nocase(&holding->host, host)) {
            hm_index_remove(&holders->by_host, hash, slot);
            hm_index_remove(&holders->by_addr, hash_addr(&holding->addr), slot);
            *out = holding->addr;
            *holding = (struct hm_dns_holding){.next_free = holders->free};
            holders->free = slot + 1;
            return true;
        }
    }
    return false;
}

const struct hm_name *hm_dns_holders_next(const struct hm_dns_holders *holders,
                                          const struct hm_addr *addr, size_t *cursor)
{
    uint64_t hash = hash_addr(addr);
    for (uint32_t slot; (slot = hm_index_next(&holders->by_addr, hash, cursor)) != HM_INDEX_END;) {
        if (hm_addr_same_ip(&holders->holdings[slot].addr, addr)) {
            return &holders->holdings[slot].host;
        }
    }
    return NULL;
}

bool hm_dns_holders_has(const struct hm_dns_holders *holders, const struct hm_addr *addr,
                        const struct hm_name *host)
{
    size_t cursor = 0;
    for (const struct hm_name *at; (at = hm_dns_holders_next(holders, addr, &cursor)) != NULL;) {
        if (hm_name_equal_nocase(at, host)) {
            return true;
        }
    }
    return false;
}

void hm_dns_holders_fini(struct hm_dns_holders *holders)
{
    hm_free(holders->holdings);
    hm_index_fini(&holders->by_addr);
    hm_index_fini(&holders->by_host);
    *holders = (struct hm_dns_holders){0};
}
