/* What is answered: prepared wire data by owner name in a concurrent map. Readers neither block nor
 * allocate; one writer replaces whole names under RCU (liburcu, QSBR). */
#ifndef HM_DNS_ZONE_H
#define HM_DNS_ZONE_H

#include "dns_processor/name.h"
#include "dns_processor/packet.h"

#include <urcu/urcu-qsbr.h>

#include <urcu/rculfhash.h>

struct hm_dns_zone;
struct hm_dns_map;

/* Records of one type at one name, as readers see them; immutable. A record in `wire` is complete:
 * its owner is a pointer to the question (offset 12). */
struct hm_dns_rrset {
    uint16_t type;
    uint16_t record_size;   /* all records are of this size; 0: they differ, see record_at */
    uint16_t target_offset; /* where in a record the name stands that the extras belong to */
    uint16_t max;           /* at most so many records an answer; 0: all */
    uint32_t count;
    uint32_t preferred; /* so many come before the others; preferred <= count */
    const uint8_t *wire;
    const uint32_t *record_at; /* count + 1 places in wire; NULL when record_size > 0 */
    const uint8_t *extra;      /* additional records without their owner name */
    const uint32_t *extra_at;  /* count + 1 places in extra; NULL when there are none */
};

/* All that is known of one name; immutable but for `children`, which only the writer sees. */
struct hm_dns_node {
    struct cds_lfht_node link;
    struct rcu_head rcu;
    struct hm_dns_zone *zone;
    uint32_t children; /* nodes one label longer; a node without sets may stand for these alone */
    bool named;        /* put by name; false: an empty non-terminal */
    uint8_t name_size;
    uint16_t set_count;
    const uint8_t *name; /* lower case */
    struct hm_dns_rrset sets[];
};

/* A zone's SOA, twice: as an answer and, with the negative TTL, for the authority section
 * (RFC 2308). Both are without owner name: type, class, TTL, rdata. */
struct hm_dns_soa {
    struct rcu_head rcu;
    uint16_t size;
    uint8_t answer[2 * HM_DNS_NAME_MAX + 40];
    uint8_t negative[2 * HM_DNS_NAME_MAX + 40];
};

/* The calling thread is registered with urcu_qsbr, and offline, until as many leaves as enters:
 * some programs have several maps in one thread. */
void hm_dns_thread_enter(void);
void hm_dns_thread_leave(void);

/* --- Readers: registered with urcu_qsbr and online ------------------------------------------- */

/* The node at a query's name, or NULL. Valid until the reader's next quiescent state. */
const struct hm_dns_node *hm_dns_map_find(const struct hm_dns_map *map,
                                          const struct hm_dns_query *query);

/* The zone that a name without a node belongs to, or NULL: the name is not ours. */
const struct hm_dns_zone *hm_dns_map_zone_above(const struct hm_dns_map *map,
                                                const struct hm_dns_query *query);

const struct hm_dns_name *hm_dns_zone_name(const struct hm_dns_zone *zone);

/* NULL while the zone has none: it is not ready to answer. */
const struct hm_dns_soa *hm_dns_zone_soa(const struct hm_dns_zone *zone);

/* --- The writer: one thread, registered with urcu_qsbr; calls need it online ------------------ */

/* Records being gathered for one type at one name. All zero but for the first fields is valid. */
struct hm_dns_set {
    uint16_t type;
    uint16_t target_offset; /* within rdata: 6 for SRV, 0 for NS; counts only with extras */
    uint16_t max;           /* 0: no limit */
    uint32_t ttl;           /* seconds */
    uint32_t count;
    uint32_t preferred;
    struct hm_buf wire;
    struct hm_buf record_ends; /* uint32_t each */
    struct hm_buf extra;
    struct hm_buf extra_ends; /* uint32_t each */
};

/* Adds a record; those preferred come first, so `preferred` may not follow others. `extra` holds
 * what hm_dns_extra_append wrote, or is empty. HM_TOO_LARGE, nothing added, when the rdata is over
 * 65,535 bytes. */
HM_MUST_USE enum hm_status hm_dns_set_add(struct hm_dns_set *set, struct hm_bytes rdata,
                                          bool preferred, struct hm_bytes extra);
void hm_dns_set_fini(struct hm_dns_set *set);

/* Appends an additional record (its owner is the target of the record that it is added to). */
void hm_dns_extra_append(struct hm_buf *extra, uint16_t type, uint32_t ttl, struct hm_bytes rdata);

/* An empty map. NULL when liburcu has no memory. */
struct hm_dns_map *hm_dns_map_new(void);
/* Frees map, zones and nodes; no reader may be left. Waits for what is retired already. */
void hm_dns_map_free(struct hm_dns_map *map);

/* Founds a zone; its apex answers SERVFAIL until it has an SOA. HM_EXISTS when it is there. Zones
 * are added from the longest parent down, before names are put in them. */
HM_MUST_USE enum hm_status hm_dns_map_add_zone(struct hm_dns_map *map,
                                               const struct hm_dns_name *apex,
                                               struct hm_dns_zone **out);

struct hm_dns_soa_fields {
    struct hm_dns_name mname;
    struct hm_dns_name rname;
    uint32_t serial;
    uint32_t refresh, retry, expire; /* seconds */
    uint32_t ttl;
    uint32_t negative_ttl;
};

/* Replaces the SOA at once for all readers. */
void hm_dns_zone_set_soa(struct hm_dns_zone *zone, const struct hm_dns_soa_fields *fields);

/* Replaces everything at `name` at once for all readers; sets may be none: the name exists without
 * data. HM_BAD_ARGUMENT, nothing changed, when the name's closest zone is not `zone`. */
HM_MUST_USE enum hm_status hm_dns_map_put(struct hm_dns_map *map, struct hm_dns_zone *zone,
                                          const struct hm_dns_name *name,
                                          const struct hm_dns_set *sets, size_t count);

/* Removes a name; empty non-terminals above it that nothing needs go too. Unknown names are fine,
 * an apex stays. */
void hm_dns_map_remove(struct hm_dns_map *map, struct hm_dns_zone *zone,
                       const struct hm_dns_name *name);

/* The zone that a name would be in: the longest that it ends in; NULL when none. */
struct hm_dns_zone *hm_dns_map_zone_of(const struct hm_dns_map *map,
                                       const struct hm_dns_name *name);

/* Names held, empty non-terminals included. */
size_t hm_dns_map_name_count(const struct hm_dns_map *map);

#endif
