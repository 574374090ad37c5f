/* What the cluster knows, from the node's catalog and records: the builder's view, and what the
 * zones are made of besides. */
#ifndef HM_DNS_CLUSTER_H
#define HM_DNS_CLUSTER_H

#include "core/include/hivemind/module.h"
#include "dns_processor/view.h"

/* The view's context is `ctx`, which outlives it. */
struct hm_dns_view hm_dns_cluster_view(struct hm_module_ctx *ctx);

typedef void hm_dns_consumer_function(void *context, const char *name,
                                      const struct hm_consumer *consumer);
/* Calls `each` for every consumer with a role, in order of names, failed ones too. */
void hm_dns_cluster_consumers(const struct hm_module_ctx *ctx, const char *role,
                              hm_dns_consumer_function *each, void *context);
/* Is there an nginx that has not failed? Then virtual hosts do not follow the instances. */
bool hm_dns_cluster_has_proxy(const struct hm_module_ctx *ctx);

/* The serial of the zones as they are committed: the sum of the versions of exactly those scopes
 * that they are made of, modulo 2^32, as RFC 1982 counts. The pushed configs that lie over it raise
 * none. */
uint32_t hm_dns_cluster_serial(const struct hm_module_ctx *ctx);

#endif
