/* Composing: all that stands at one name, gathered from the view and put into the map at once. For
 * build.c, which says when. */
#ifndef HM_DNS_COMPOSE_H
#define HM_DNS_COMPOSE_H

#include "dns_processor/build.h"
#include "dns_processor/holders.h"

struct hm_dns_ns {
    struct hm_dns_name name;
    struct hm_addr *addresses;
    size_t address_count;
};

/* A zone of the settings. */
struct hm_dns_forward {
    struct hm_dns_zone_config config; /* its pointers are not kept */
    struct hm_dns_zone *zone;
    struct hm_dns_name name;
    struct hm_dns_name hosts; /* host.ZONE */
    struct hm_dns_name tcp;   /* _tcp.ZONE */
    struct hm_dns_ns *nameservers;
    size_t nameserver_count;
};

/* A zone of addresses; it belongs to forward[owner]. */
struct hm_dns_reverse {
    struct hm_dns_zone *zone;
    struct hm_dns_name name;
    size_t owner;
    struct hm_addr addr;
    bool is_address; /* the prefix is all of `addr` */
};

struct hm_dns_build {
    struct hm_dns_map *map;
    struct hm_dns_view view;
    struct hm_dns_forward *forward;
    size_t forward_count;
    struct hm_dns_reverse *reverse;
    size_t reverse_count;
    size_t reverse_capacity;
    uint32_t serial;
    bool serial_known;
    struct hm_dns_gather gather;   /* scratch */
    struct hm_dns_holders holders; /* empty without reverse zones */
};

/* The functions below replace what is in the map; their thread is its writer, and online. */

/* All that is at `name`, when it is in a zone of the settings and no SRV name. Sets `alarmed` when
 * no instance of a service there is healthy, and else leaves it. */
void hm_dns_compose_name(struct hm_dns_build *build, const struct hm_dns_name *name, bool *alarmed);

/* `name` is _SERVICE._tcp.ZONE: nothing but services stands there. */
void hm_dns_compose_srv(struct hm_dns_build *build, struct hm_dns_forward *forward,
                        const struct hm_name *service, const struct hm_dns_name *name);

/* The PTR records of an address, when it is in a reverse zone. */
void hm_dns_compose_ptr(struct hm_dns_build *build, const struct hm_addr *addr);

/* The apex of a reverse zone has NS, and for a whole address PTR. */
void hm_dns_compose_reverse_apex(struct hm_dns_build *build, const struct hm_dns_reverse *reverse);

#endif
