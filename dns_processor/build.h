/* From zone settings and what the cluster knows to the answers: names are composed one by one, so
 * that a change costs what it changes. */
#ifndef HM_DNS_BUILD_H
#define HM_DNS_BUILD_H

#include "dns_processor/view.h"

/* Defaults of a zone's settings. */
#define HM_DNS_TTL_SERVICE  5u
#define HM_DNS_TTL_HOST     60u
#define HM_DNS_TTL_ZONE     3600u
#define HM_DNS_TTL_NEGATIVE 5u
#define HM_DNS_MAX_ANSWERS  8u

struct hm_dns_nameserver {
    const char *name; /* within the zone, or absolute when it ends in a dot */
    const struct hm_addr *addresses;
    size_t address_count;
};

struct hm_dns_prefix {
    struct hm_addr addr;
    unsigned bits;
};

/* Zones are cut at labels: a prefix between two cuts becomes as many zones as there are labels. */
size_t hm_dns_prefix_zones(const struct hm_addr *addr, unsigned bits);

struct hm_dns_zone_config {
    const char *name;
    const struct hm_dns_prefix *reverse;
    size_t reverse_count;
    uint32_t ttl_service; /* seconds, as all TTLs */
    uint32_t ttl_host;
    uint32_t ttl_zone; /* SOA, NS and glue */
    uint32_t ttl_negative;
    uint16_t max_answers; /* addresses an answer; 0: no limit */
    enum hm_dns_none_healthy none_healthy;
    bool pending; /* nothing is known of it yet: it answers SERVFAIL, as do its reverse zones */
};

/* A zone that is there already. */
struct hm_dns_twice {
    size_t owner; /* of the settings: of two the later one, save that a reverse zone yields */
    bool reverse; /* it is one of that owner's reverse zones */
    struct hm_dns_name name;
};

/* Finds the zones that cannot stand beside each other; returns how many of them were written. All
 * names and prefixes are sound. */
size_t hm_dns_build_twice(const struct hm_dns_zone_config *zones, size_t count,
                          struct hm_dns_twice *out, size_t most);

struct hm_dns_build;

/* Founds the zones, reverse ones too, in `map`; nothing is in them yet, and they answer SERVFAIL
 * before the first hm_dns_build_serial. `map` and the view's context outlive the builder, the rest
 * is copied. HM_BAD_CONFIG: a sentence in `error`, `out` untouched, the map of no more use. */
HM_MUST_USE enum hm_status hm_dns_build_new(struct hm_dns_map *map, const struct hm_dns_view *view,
                                            const struct hm_dns_zone_config *zones, size_t count,
                                            struct hm_buf *error, struct hm_dns_build **out);
void hm_dns_build_free(struct hm_dns_build *build);

/* The functions below are the map's writer: their thread is registered with urcu_qsbr; they make
 * it online for themselves and leave it offline. */

/* The NS records, glue and MNAME (the first) of zone `index` and of its reverse zones.
 * HM_BAD_CONFIG, nothing changed, with a sentence in `error`, when a name is none. */
HM_MUST_USE enum hm_status hm_dns_build_nameservers(struct hm_dns_build *build, size_t index,
                                                    const struct hm_dns_nameserver *nameservers,
                                                    size_t count, struct hm_buf *error);

/* The serial of all zones that are not pending. */
void hm_dns_build_serial(struct hm_dns_build *build, uint32_t serial);

/* Something about the service, host or virtual host changed, came or went: composes its names
 * anew from the view. Names that are no labels, or outside our zones, have none. */
enum hm_dns_service_state {
    HM_DNS_SERVICE_GONE,
    HM_DNS_SERVICE_HEALTHY,     /* some instance is, or none may be served anyway */
    HM_DNS_SERVICE_NONE_HEALTHY /* worth an alarm */
};
enum hm_dns_service_state hm_dns_build_service(struct hm_dns_build *build,
                                               const struct hm_name *name);
void hm_dns_build_host(struct hm_dns_build *build, const struct hm_name *name);
void hm_dns_build_vhost(struct hm_dns_build *build, const char *name);

#endif
