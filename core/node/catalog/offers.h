/* Who has a service: for each service name the hosts that have it. */
#ifndef HM_NODE_CATALOG_OFFERS_H
#define HM_NODE_CATALOG_OFFERS_H

#include "core/base/index.h"
#include "core/node/catalog/catalog.h"

/* A service and who has it. */
struct hm_offer {
    struct hm_name name;                  /* size 0: a free slot */
    const struct hm_catalog_host **hosts; /* in order of host names, each once */
    size_t count;
    size_t capacity;
};

/* All zero is a valid empty one. */
struct hm_offers {
    struct hm_offer *items;
    size_t count;
    size_t capacity;
    size_t free;             /* no slot before it is free */
    struct hm_index by_name; /* in any case of letters */
};

/* NULL: nobody has it. Valid until the next change. */
const struct hm_offer *hm_offers_find(const struct hm_offers *offers,
                                      const struct hm_name *service);
/* The host has the service from now on; twice is once. The host stays where it is, under its name,
 * until it is removed. */
void hm_offers_add(struct hm_offers *offers, const struct hm_name *service,
                   const struct hm_catalog_host *host);
/* Has it no longer; nothing happens when it has not. */
void hm_offers_remove(struct hm_offers *offers, const struct hm_name *service,
                      const struct hm_catalog_host *host);
void hm_offers_fini(struct hm_offers *offers);

#endif
