/* The zones that a node names: what its file says of each, what the cluster has agreed on, and what
 * there is to write so that the two agree. It knows the records and does no more than say. */
#ifndef HM_DNS_ZONES_H
#define HM_DNS_ZONES_H

#include "core/include/hivemind/module.h"
#include "dns_processor/settings.h"

/* After a write that did not do: time for the record to arrive, or for whoever was in the way. */
#define HM_DNS_WRITE_AGAIN_MS 1000u

enum hm_dns_agreement {
    HM_DNS_ZONE_UNKNOWN, /* nothing is committed, as far as is known */
    HM_DNS_ZONE_AGREED,  /* what is committed is what the file says */
    HM_DNS_ZONE_DIFFERS, /* it is served as it is committed */
    HM_DNS_ZONE_UNSOUND, /* what is committed cannot be read: it is not served */
};

struct hm_dns_named {
    char *name;
    struct hm_arena file_arena;
    struct hm_dns_record file;
    struct hm_buf file_bytes; /* as they would be committed */
    enum hm_dns_agreement agreement;
    uint64_t index; /* of what is committed; 0: nothing */
    struct hm_buf committed_bytes;
    struct hm_arena arena;          /* of `committed` */
    struct hm_dns_record committed; /* AGREED, DIFFERS */
    bool crowded;   /* a zone of the cluster's others stands where one of its reverse zones would */
    bool commits;   /* a reload asked for it */
    bool told;      /* that it differs */
    hm_ms write_at; /* not before */
};

/* All zero is valid and empty. */
struct hm_dns_zones {
    struct hm_dns_named *items; /* in the order of the file */
    size_t count;
};

/* The zones of the file from now on. `reload`: it is to be committed. What was known of zones that
 * it names again goes on. */
void hm_dns_zones_set(struct hm_dns_zones *zones, const struct hm_dns_settings *settings,
                      bool reload);
/* Looks at what is committed; true when the zones are to be served otherwise than before. */
bool hm_dns_zones_look(struct hm_dns_zones *zones, const struct hm_records *records);
/* What the builder is to make of them, one each, out of `arena`; marks those that are crowded. */
struct hm_dns_zone_config *hm_dns_zones_configs(struct hm_dns_zones *zones, struct hm_arena *arena);
/* A zone that is to be founded, or committed because of a reload: the write, out of `arena`, which
 * also says that this node, `self`, names it. NULL when there is none for now; `next` is when there
 * may be one (HM_NEVER: after a look or a set). */
struct hm_dns_named *hm_dns_zones_write(struct hm_dns_zones *zones, hm_ms now,
                                        const struct hm_records *records,
                                        const struct hm_name *self, struct hm_arena *arena,
                                        struct hm_request_write *out, hm_ms *next);
/* For people: "as in the file, committed at 12". */
void hm_dns_zones_describe(const struct hm_dns_named *zone, struct hm_buf *out);
void hm_dns_zones_fini(struct hm_dns_zones *zones);

#endif
