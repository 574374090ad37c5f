#include "core/node/catalog/offers.h"

#include "core/base/hash.h"
#include "core/base/memory.h"
#include "core/base/search.h"

#include <string.h>

static struct hm_offer *find(const struct hm_offers *offers, const struct hm_name *service)
{
    uint64_t hash = hm_hash_name_nocase(service);
    size_t cursor = 0;
    uint32_t slot;
    while ((slot = hm_index_next(&offers->by_name, hash, &cursor)) != HM_INDEX_END) {
        if (hm_name_equal_nocase(&offers->items[slot].name, service)) {
            return &offers->items[slot];
        }
    }
    return NULL;
}

static struct hm_offer *add_offer(struct hm_offers *offers, const struct hm_name *service)
{
    size_t slot = offers->free;
    while (slot < offers->count && offers->items[slot].name.size) {
        slot++;
    }
    if (slot == offers->count) {
        offers->items =
            hm_grow(offers->items, offers->count, &offers->capacity, sizeof *offers->items);
        offers->count++;
    }
    offers->items[slot] = (struct hm_offer){.name = *service};
    offers->free = slot + 1;
    hm_index_add(&offers->by_name, hm_hash_name_nocase(service), (uint32_t)slot);
    return &offers->items[slot];
}

static void remove_offer(struct hm_offers *offers, struct hm_offer *offer)
{
    uint32_t slot = (uint32_t)(offer - offers->items);
    hm_index_remove(&offers->by_name, hm_hash_name_nocase(&offer->name), slot);
    offers->free = slot < offers->free ? slot : offers->free;
    hm_free(offer->hosts);
    *offer = (struct hm_offer){0};
}

struct host_key {
    const struct hm_offer *offer;
    const struct hm_catalog_host *host;
};

static int order_of(const void *key, size_t at)
{
    const struct host_key *wanted = key;
    const struct hm_catalog_host *host = wanted->offer->hosts[at];
    int order = memcmp(host->name.text, wanted->host->name.text, sizeof host->name.text);
    return order ? order : hm_id_compare(&host->id, &wanted->host->id);
}

static size_t place_in(const struct hm_offer *offer, const struct hm_catalog_host *host,
                       bool *found)
{
    return hm_search(offer->count, order_of, &(struct host_key){offer, host}, found);
}

const struct hm_offer *hm_offers_find(const struct hm_offers *offers, const struct hm_name *service)
{
    return find(offers, service);
}

void hm_offers_add(struct hm_offers *offers, const struct hm_name *service,
                   const struct hm_catalog_host *host)
{
    struct hm_offer *offer = find(offers, service);
    if (!offer) {
        offer = add_offer(offers, service);
    }
    bool found;
    size_t at = place_in(offer, host, &found);
    if (!found) {
        offer->hosts = hm_grow(offer->hosts, offer->count, &offer->capacity, sizeof *offer->hosts);
        memmove(offer->hosts + at + 1, offer->hosts + at,
                (offer->count - at) * sizeof *offer->hosts);
        offer->hosts[at] = host;
        offer->count++;
    }
}

void hm_offers_remove(struct hm_offers *offers, const struct hm_name *service,
                      const struct hm_catalog_host *host)
{
    struct hm_offer *offer = find(offers, service);
    bool found = false;
    size_t at = offer ? place_in(offer, host, &found) : 0;
    if (!found) {
        return; /* the host has two services of one name: gone with the first */
    }
    offer->count--;
    memmove(offer->hosts + at, offer->hosts + at + 1, (offer->count - at) * sizeof *offer->hosts);
    if (offer->count == 0) {
        remove_offer(offers, offer);
    }
}

void hm_offers_fini(struct hm_offers *offers)
{
    for (size_t i = 0; i < offers->count; i++) {
        hm_free(offers->items[i].hosts);
    }
    hm_free(offers->items);
    hm_index_fini(&offers->by_name);
    *offers = (struct hm_offers){0};
}
