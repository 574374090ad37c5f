/* The section `dns` of a configuration: its table, and what it comes to. */
#ifndef HM_DNS_SETTINGS_H
#define HM_DNS_SETTINGS_H

#include "core/conf/tree.h"
#include "dns_processor/record.h"

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
    struct hm_arena arena; /* of the zones */
    struct hm_dns_record *zones;
    size_t zone_count;
};

/* A status shows a fact for each. */
#define HM_DNS_ZONES_MAX 64u

/* Reads the section (NULL: there is none; `root`, which may be NULL too, is where that is told) and
 * adds a finding for everything that is wrong; then `out` may only be given to
 * hm_dns_settings_fini. Lives as long as the section. */
void hm_dns_settings_read(const struct hm_conf_node *section, const struct hm_conf_node *root,
                          struct hm_dns_settings *out, struct hm_conf_errors *errors);
void hm_dns_settings_fini(struct hm_dns_settings *settings);

#endif
