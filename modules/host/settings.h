/* What the configuration says of this host. */
#ifndef HM_MODULES_HOST_SETTINGS_H
#define HM_MODULES_HOST_SETTINGS_H

#include "modules/host/services.h"

#define HM_HOST_ADDRESSES_MAX 32u
#define HM_HOST_TAGS_MAX      32u

/* The keys that a host adds to the root. */
extern const struct hm_conf_schema hm_host_schema;

struct hm_host_settings {
    struct hm_host_services services;
    struct hm_label tags[HM_HOST_TAGS_MAX];
    uint32_t tags_count;
    struct hm_address addresses[HM_HOST_ADDRESSES_MAX]; /* port 0 */
    uint32_t addresses_count;
};

/* Reads what is good and adds a finding for everything else. `root` may be NULL: a host without
 * services. */
void hm_host_settings_read(const struct hm_conf_node *root, struct hm_host_settings *out,
                           struct hm_conf_errors *errors);
void hm_host_settings_fini(struct hm_host_settings *settings);

#endif
