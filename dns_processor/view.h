/* What the cluster knows, as the DNS asks for it; and the lists that the answers gather in. */
#ifndef HM_DNS_VIEW_H
#define HM_DNS_VIEW_H

#include "core/base/ids.h"
#include "dns_processor/zone.h"

/* One address of one instance of a service. */
struct hm_dns_instance {
    struct hm_name host; /* a label */
    struct hm_addr addr; /* with the port */
    uint32_t weight;     /* 0 counts as 1 */
    bool served;  /* not drained, and passed its check once if it has one: else it never is */
    bool healthy; /* unchecked or passing */
    bool suspect; /* comes last */
};

struct hm_dns_address {
    struct hm_addr addr; /* the port does not count */
    bool suspect;
};

/* What was gathered for one name. All zero is valid and empty. */
struct hm_dns_gather {
    struct hm_dns_address *addresses;
    size_t address_count;
    size_t address_capacity;
    struct hm_dns_instance *instances;
    size_t instance_count;
    size_t instance_capacity;
    struct hm_buf tags; /* character-strings (RFC 1035, section 3.3) */
};

void hm_dns_gather_address(struct hm_dns_gather *gather, const struct hm_addr *addr, bool suspect);
void hm_dns_gather_instance(struct hm_dns_gather *gather, const struct hm_dns_instance *instance);
/* Text beyond 255 bytes is cut there. */
void hm_dns_gather_tag(struct hm_dns_gather *gather, struct hm_bytes tag);
/* Empties it but keeps the memory. */
void hm_dns_gather_clear(struct hm_dns_gather *gather);
void hm_dns_gather_fini(struct hm_dns_gather *gather);

/* Each function gathers what it knows of a name and says whether that exists at all. Names come in
 * lower case and are compared without it. */
struct hm_dns_view {
    void *context;
    /* Instances. */
    bool (*service)(void *context, const struct hm_name *name, struct hm_dns_gather *out);
    /* Addresses and tags. */
    bool (*host)(void *context, const struct hm_name *name, struct hm_dns_gather *out);
    /* Addresses or instances behind the virtual host with this full name, without a last dot. */
    bool (*vhost)(void *context, const char *name, struct hm_dns_gather *out);
};

enum hm_dns_none_healthy {
    HM_DNS_NONE_ALL,   /* when no instance is healthy, all that may be served are */
    HM_DNS_NONE_NODATA /* then none is */
};

/* Leaves those instances that are to be answered, ordered by host and port, and files their
 * addresses. False: none was healthy, though some might be served. */
bool hm_dns_gather_select(struct hm_dns_gather *gather, enum hm_dns_none_healthy none_healthy);

/* The A and AAAA sets of the gathered addresses, without repetitions (RFC 2181, section 5),
 * suspects last, otherwise in order of address. Returns how many sets were filled, 0 to 2. */
size_t hm_dns_gather_address_sets(struct hm_dns_gather *gather, uint32_t ttl, uint16_t max,
                                  struct hm_dns_set sets[2]);

/* The SRV set (RFC 2782) of the selected instances; targets are HOST.`hosts`, whose addresses go
 * along with `host_ttl`. False, nothing filled, when there are none. */
bool hm_dns_gather_srv_set(const struct hm_dns_gather *gather, const struct hm_dns_name *hosts,
                           uint32_t ttl, uint32_t host_ttl, struct hm_dns_set *set);

/* One TXT record of all tags. False, nothing filled, when there are none. */
bool hm_dns_gather_txt_set(const struct hm_dns_gather *gather, uint32_t ttl,
                           struct hm_dns_set *set);

#endif
