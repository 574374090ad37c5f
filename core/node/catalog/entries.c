#include "core/node/catalog/entries.h"

#include "core/base/hash.h"
#include "core/base/memory.h"

struct hm_catalog_entry *hm_catalog_entry_find(const struct hm_catalog_entries *entries,
                                               const struct hm_id *id)
{
    uint64_t hash = hm_hash_id(0, id);
    size_t cursor = 0;
    uint32_t slot;
    while ((slot = hm_index_next(&entries->by_id, hash, &cursor)) != HM_INDEX_END) {
        if (hm_id_equal(&entries->items[slot]->host.id, id)) {
            return entries->items[slot];
        }
    }
    return NULL;
}

struct hm_catalog_entry *hm_catalog_entry_named(const struct hm_catalog_entries *entries,
                                                const struct hm_name *name)
{
    uint64_t hash = hm_hash_name_nocase(name);
    size_t cursor = 0;
    uint32_t slot;
    while ((slot = hm_index_next(&entries->by_name, hash, &cursor)) != HM_INDEX_END) {
        if (hm_name_equal_nocase(&entries->items[slot]->host.name, name)) {
            return entries->items[slot];
        }
    }
    return NULL;
}

struct hm_catalog_entry *hm_catalog_entry_next(const struct hm_catalog_entries *entries,
                                               size_t *cursor)
{
    while (*cursor < entries->count) {
        struct hm_catalog_entry *entry = entries->items[(*cursor)++];
        if (entry) {
            return entry;
        }
    }
    return NULL;
}

struct hm_catalog_entry *hm_catalog_entry_add(struct hm_catalog_entries *entries,
                                              const struct hm_id *id)
{
    size_t slot = entries->free;
    while (slot < entries->count && entries->items[slot]) {
        slot++;
    }
    if (slot == entries->count) {
        entries->items =
            hm_grow(entries->items, entries->count, &entries->capacity, sizeof *entries->items);
        entries->count++;
    }
    struct hm_catalog_entry *entry = hm_alloc(1, sizeof *entry);
    entry->host.id = *id;
    entry->slot = (uint32_t)slot;
    entries->items[slot] = entry;
    entries->free = slot + 1;
    hm_index_add(&entries->by_id, hm_hash_id(0, id), entry->slot);
    return entry;
}

static void discard(struct hm_catalog_entry *entry)
{
    hm_held_fini(&entry->held);
    hm_free(entry->roles);
    hm_free(entry);
}

void hm_catalog_entry_remove(struct hm_catalog_entries *entries, struct hm_catalog_entry *entry)
{
    hm_index_remove(&entries->by_id, hm_hash_id(0, &entry->host.id), entry->slot);
    entries->items[entry->slot] = NULL;
    entries->free = entry->slot < entries->free ? entry->slot : entries->free;
    discard(entry);
}

void hm_catalog_entry_file(struct hm_catalog_entries *entries, struct hm_catalog_entry *entry)
{
    const struct hm_host_config *config = entry->host.config;
    if (!config) {
        return;
    }
    hm_index_add(&entries->by_name, hm_hash_name_nocase(&entry->host.name), entry->slot);
    for (uint32_t i = 0; i < config->services_count; i++) {
        hm_offers_add(&entries->offers, &config->services[i].name, &entry->host);
    }
}

void hm_catalog_entry_unfile(struct hm_catalog_entries *entries, struct hm_catalog_entry *entry)
{
    const struct hm_host_config *config = entry->host.config;
    if (!config) {
        return;
    }
    hm_index_remove(&entries->by_name, hm_hash_name_nocase(&entry->host.name), entry->slot);
    for (uint32_t i = 0; i < config->services_count; i++) {
        hm_offers_remove(&entries->offers, &config->services[i].name, &entry->host);
    }
}

void hm_catalog_entries_fini(struct hm_catalog_entries *entries)
{
    struct hm_catalog_entry *entry;
    for (size_t cursor = 0; (entry = hm_catalog_entry_next(entries, &cursor));) {
        discard(entry);
    }
    hm_free(entries->items);
    hm_index_fini(&entries->by_id);
    hm_index_fini(&entries->by_name);
    hm_offers_fini(&entries->offers);
    *entries = (struct hm_catalog_entries){0};
}
