/* What people ask of a node with role dns: which zones there are, and to forget one. */
#ifndef HM_DNS_REQUESTS_H
#define HM_DNS_REQUESTS_H

#include "core/include/hivemind/module.h"
#include "dns_processor/zones.h"

#define HM_DNS_FORGETS_MAX 8u

/* A zone is being forgotten. */
struct hm_dns_forget {
    uint64_t write;
    uint64_t token; /* of the asker */
};

/* All zero is a valid empty one. */
struct hm_dns_requests {
    struct hm_dns_forget forgets[HM_DNS_FORGETS_MAX];
    size_t count;
};

/* The module's hook `request`. `zones` are those that this node names; `complete`: it has all
 * records of the cluster. */
enum hm_status hm_dns_requests_take(struct hm_dns_requests *requests, struct hm_module_ctx *ctx,
                                    const struct hm_dns_zones *zones, bool complete,
                                    const struct hm_request *request);
/* What became of a write, in the module's hook `written`; false: it is none of these. */
bool hm_dns_requests_written(struct hm_dns_requests *requests, struct hm_module_ctx *ctx,
                             uint64_t write, const struct hm_submitted *answer);

#endif
