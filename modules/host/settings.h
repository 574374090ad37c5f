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

/* `root` may be NULL: a host without services. HM_BAD_CONFIG: a sentence in `error`, and `out` is
 * untouched. */
HM_MUST_USE enum hm_status hm_host_settings_read(const struct hm_conf_node *root,
                                                 struct hm_host_settings *out,
                                                 struct hm_buf *error);
void hm_host_settings_fini(struct hm_host_settings *settings);

#endif
