/* The hosts that a catalog knows, found by id, by name and by what they serve. */
#ifndef HM_NODE_CATALOG_ENTRIES_H
#define HM_NODE_CATALOG_ENTRIES_H

#include "core/node/catalog/held.h"
#include "core/node/catalog/offers.h"

/* A host, and the config that is served of it. Stays where it is in memory. */
struct hm_catalog_entry {
    /* host.config is NULL, or &held.config. host.version stays when its config goes: what was
     * before it is not served any more. */
    struct hm_catalog_host host;
    struct hm_held held;
    struct hm_version pushed; /* the highest that was pushed since it joined */
    uint64_t joined;
    struct hm_label *roles;
    size_t role_count;
    uint32_t slot;
    bool ended; /* a lite host whose version says that it is gone: nothing is served of it */
    bool seen;  /* during a reload */
};

/* All zero is a valid empty one. */
struct hm_catalog_entries {
    struct hm_catalog_entry **items; /* NULL: a free slot */
    size_t count;
    size_t capacity;
    size_t free;             /* no slot before it is free */
    struct hm_index by_id;   /* of all */
    struct hm_index by_name; /* of those that are filed */
    struct hm_offers offers; /* of those that are filed */
};

/* NULL: not there. */
struct hm_catalog_entry *hm_catalog_entry_find(const struct hm_catalog_entries *entries,
                                               const struct hm_id *id);
/* Only among those that are filed. */
struct hm_catalog_entry *hm_catalog_entry_named(const struct hm_catalog_entries *entries,
                                                const struct hm_name *name);
/* Walks all: start with 0; NULL at the end. The one that was returned last may be removed. */
struct hm_catalog_entry *hm_catalog_entry_next(const struct hm_catalog_entries *entries,
                                               size_t *cursor);
/* A new one that has only its id, which must not be there. */
struct hm_catalog_entry *hm_catalog_entry_add(struct hm_catalog_entries *entries,
                                              const struct hm_id *id);
/* Forgets it; it must not be filed. */
void hm_catalog_entry_remove(struct hm_catalog_entries *entries, struct hm_catalog_entry *entry);
/* Files an entry under its name and its services, or takes it out of there, so that both may
 * change. One without a config is not filed: nothing happens. */
void hm_catalog_entry_file(struct hm_catalog_entries *entries, struct hm_catalog_entry *entry);
void hm_catalog_entry_unfile(struct hm_catalog_entries *entries, struct hm_catalog_entry *entry);
void hm_catalog_entries_fini(struct hm_catalog_entries *entries);

#endif
