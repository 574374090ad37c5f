/* Who names a zone: every dns node records which zones its file names, so that it is agreed when
 * nobody does any more. A record of scope zones_named is "ZONE NODE", in lower case, without a
 * value. It counts while the node is a consumer with role dns; the others take it out after that.
 */
#ifndef HM_DNS_NAMERS_H
#define HM_DNS_NAMERS_H

#include "core/include/hivemind/module.h"

#define HM_DNS_SCOPE_NAMED "zones_named"
#define HM_DNS_NAMERS_MAX  128u

struct hm_dns_zones;

/* Keys of records that a zone has several of are "ZONE TAIL"; out of `arena`. */
struct hm_bytes hm_dns_zone_key(struct hm_arena *arena, const char *zone, struct hm_bytes tail);
/* The tail of such a key, when it is of this zone. */
bool hm_dns_zone_tail(struct hm_bytes key, const char *zone, struct hm_bytes *tail);

struct hm_dns_namer {
    struct hm_bytes key;  /* of its record */
    struct hm_bytes node; /* in lower case */
    uint64_t consumer;    /* index of its record in scope consumers; 0: there is none */
    bool counts;          /* it is a dns node */
    bool failed;          /* it was removed because it failed; it may come back */
};

/* Those whose records name a zone, in order of their names: at most HM_DNS_NAMERS_MAX of them, into
 * `out`; returns how many. What they point to lives as long as the records. */
size_t hm_dns_namers(const struct hm_records *records, const char *zone, struct hm_dns_namer *out);
/* The change by which this node names a zone; false: it is recorded already. */
bool hm_dns_namers_add(const struct hm_records *records, const char *zone,
                       const struct hm_name *self, struct hm_arena *arena, struct hm_change *out);
/* What is to be written so that the records are as they should be: that this node names the zones
 * which are committed, that it names no others, and nothing of those that are no dns nodes. Out of
 * `arena`; false: there is nothing. More than fits a request comes with the next. */
bool hm_dns_namers_write(const struct hm_records *records, const struct hm_name *self,
                         const struct hm_dns_zones *zones, struct hm_arena *arena,
                         struct hm_request_write *out);

#endif
