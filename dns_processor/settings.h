/* The section `dns` of a configuration: its table, and what it comes to. */
#ifndef HM_DNS_SETTINGS_H
#define HM_DNS_SETTINGS_H

#include "core/conf/tree.h"
#include "dns_processor/build.h"

#define HM_DNS_PORT 53u

extern const struct hm_conf_schema hm_dns_schema;

struct hm_dns_settings {
    struct hm_addr *listen; /* none: this machine's addresses */
    size_t listen_count;
    unsigned threads;
    uint16_t udp_payload;
    unsigned tcp_connections;
    unsigned tcp_idle_ms;
    char *where; /* "FILE:LINE:COLUMN" of `listen`, or of the section; NULL without a section */
    struct hm_dns_zone_config *zones;
    size_t zone_count;
    const struct hm_conf_node **nameservers; /* of each zone: its table, perhaps empty */
    struct hm_dns_name *vhosts_allow;        /* none: all within the zones */
    size_t vhosts_allow_count;
};

/* Reads the section; NULL is one without keys. What is read lives as long as the section. On
 * HM_BAD_CONFIG `out` is empty and `error` has a sentence. */
HM_MUST_USE enum hm_status hm_dns_settings_read(const struct hm_conf_node *section,
                                                struct hm_dns_settings *out, struct hm_buf *error);
void hm_dns_settings_fini(struct hm_dns_settings *settings);

#endif
