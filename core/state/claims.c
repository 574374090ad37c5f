#include "core/state/claims.h"

#include "core/base/memory.h"

#include <stdlib.h>
#include <string.h>

struct hm_claimed {
    struct hm_id host;
    struct hm_claim *list;
    uint32_t count;
};

static struct hm_claimed *find(const struct hm_claims *claims, const struct hm_id *host)
{
    for (size_t i = 0; i < claims->count; i++) {
        if (hm_id_equal(&claims->hosts[i].host, host)) {
            return &claims->hosts[i];
        }
    }
    return NULL;
}

static void clear(struct hm_claimed *claimed)
{
    for (uint32_t i = 0; i < claimed->count; i++) {
        hm_bytes_free(claimed->list[i].key);
    }
    hm_free(claimed->list);
}

void hm_claims_set(struct hm_claims *claims, const struct hm_id *host, const struct hm_claim *list,
                   uint32_t count)
{
    struct hm_claimed *claimed = find(claims, host);
    if (claimed) {
        clear(claimed);
        *claimed = claims->hosts[--claims->count];
    }
    if (count == 0) {
        return;
    }
    claims->hosts = hm_grow(claims->hosts, claims->count, &claims->capacity, sizeof *claims->hosts);
    claimed = &claims->hosts[claims->count++];
    *claimed = (struct hm_claimed){
        .host = *host, .list = hm_alloc(count, sizeof *claimed->list), .count = count};
    for (uint32_t i = 0; i < count; i++) {
        claimed->list[i] =
            (struct hm_claim){.key = hm_bytes_copy(list[i].key), .owner = list[i].owner};
    }
}

bool hm_claims_held(const struct hm_claims *claims, struct hm_bytes key,
                    const struct hm_name *owner)
{
    for (size_t i = 0; i < claims->count; i++) {
        for (uint32_t j = 0; j < claims->hosts[i].count; j++) {
            const struct hm_claim *claim = &claims->hosts[i].list[j];
            if (hm_name_equal(&claim->owner, owner) && hm_bytes_equal(claim->key, key)) {
                return true;
            }
        }
    }
    return false;
}

bool hm_claims_next_owner(const struct hm_claims *claims, struct hm_bytes key,
                          struct hm_name *owner)
{
    const struct hm_claimed *first = NULL;
    for (size_t i = 0; i < claims->count; i++) {
        const struct hm_claimed *claimed = &claims->hosts[i];
        if (first && hm_id_compare(&first->host, &claimed->host) < 0) {
            continue;
        }
        for (uint32_t j = 0; j < claimed->count; j++) {
            if (hm_bytes_equal(claimed->list[j].key, key)) {
                first = claimed;
                *owner = claimed->list[j].owner;
                break;
            }
        }
    }
    return first != NULL;
}

const struct hm_claim *hm_claims_of(const struct hm_claims *claims, const struct hm_id *host,
                                    uint32_t *count)
{
    const struct hm_claimed *claimed = find(claims, host);
    *count = claimed ? claimed->count : 0;
    return claimed ? claimed->list : NULL;
}

static int by_host(const void *a, const void *b)
{
    const struct hm_host_claims *left = a;
    const struct hm_host_claims *right = b;
    return hm_id_compare(&left->host, &right->host);
}

void hm_claims_list(const struct hm_claims *claims, struct hm_arena *arena,
                    struct hm_host_claims **out, uint32_t *count)
{
    struct hm_host_claims *list = hm_arena_alloc(arena, claims->count, sizeof *list);
    for (size_t i = 0; i < claims->count; i++) {
        list[i] = (struct hm_host_claims){.host = claims->hosts[i].host,
                                          .claims = claims->hosts[i].list,
                                          .claims_count = claims->hosts[i].count};
    }
    /* Snapshots of one state are the same bytes on every node. */
    qsort(list, claims->count, sizeof *list, by_host);
    *out = list;
    *count = (uint32_t)claims->count;
}

void hm_claims_fini(struct hm_claims *claims)
{
    for (size_t i = 0; i < claims->count; i++) {
        clear(&claims->hosts[i]);
    }
    hm_free(claims->hosts);
    *claims = (struct hm_claims){0};
}
