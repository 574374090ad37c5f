/* A zone as the cluster agrees on it: the value of a record in scope `zones`, under the zone's
 * name. The bytes are canonical: files that mean the same come to the same ones. */
#ifndef HM_DNS_RECORD_H
#define HM_DNS_RECORD_H

#include "core/conf/tree.h"
#include "core/wire/message.h"
#include "dns_processor/build.h"

#define HM_DNS_SCOPE_ZONES "zones"

/* What it points to lives in an arena of its owner. */
struct hm_dns_record {
    const char *name; /* lower case, without the last dot */
    struct hm_zone_settings settings;
};

/* A zone of the section `dns`. Adds a finding for everything that is wrong; then only the name may
 * be used. */
void hm_dns_record_of(const struct hm_conf_node *section, const struct hm_conf_node *zone,
                      struct hm_arena *arena, struct hm_dns_record *out,
                      struct hm_conf_errors *errors);

/* A record that anybody may have written. HM_BAD_BYTES, `out` untouched, when no zone can be made
 * of it. */
HM_MUST_USE enum hm_status hm_dns_record_read(const char *name, struct hm_bytes value,
                                              struct hm_arena *arena, struct hm_dns_record *out);

void hm_dns_record_write(const struct hm_dns_record *record, struct hm_buf *out);

/* For the builder; `arena` holds the prefixes. */
struct hm_dns_zone_config hm_dns_record_config(const struct hm_dns_record *record,
                                               struct hm_arena *arena);

/* Appends what differs, for people: "ttl.service 5s in the file, 10s committed; nameservers". */
void hm_dns_record_differences(const struct hm_dns_record *file,
                               const struct hm_dns_record *committed, struct hm_buf *out);

#endif
