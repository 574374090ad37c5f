/* What differs between two configs of a host, told as change notes. */
#ifndef HM_NODE_CATALOG_CHANGES_H
#define HM_NODE_CATALOG_CHANGES_H

#include "core/node/catalog/catalog.h"

/* A host before or after a change: `config` is NULL when there is none. */
struct hm_catalog_side {
    struct hm_name name;
    struct hm_addr addr; /* the member's */
    const struct hm_host_config *config;
};

/* Tells of every service whose instances differ, of the virtual hosts of those services, and of the
 * host itself. `all`: every service counts as different. Both sides live during the call. */
void hm_catalog_tell(const struct hm_catalog_side *before, const struct hm_catalog_side *after,
                     bool all, hm_change_function *changed, void *context);
/* Tells of every service of a config and of their virtual hosts: the order of answers changed. */
void hm_catalog_tell_services(const struct hm_host_config *config, hm_change_function *changed,
                              void *context);

#endif
