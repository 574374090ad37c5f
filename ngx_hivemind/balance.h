/* Which endpoint a request goes to. Each worker balances for itself: two weighted draws among the
 * passing endpoints, the one with fewer requests of this worker in flight per weight wins
 * (Mitzenmacher, "The power of two choices", 2001). */
#ifndef HM_NGX_BALANCE_H
#define HM_NGX_BALANCE_H

#include "core/base/random.h"
#include "ngx_hivemind/table.h"

#define HM_BALANCE_CELLS 4096

/* After a failed request an endpoint of a worker goes behind the others for so long. The cluster
 * will have judged it by then. */
#define HM_BALANCE_SHUN_MS 2000

/* What the worker remembers of an address. Addresses that share a cell share its counts: the choice
 * gets a little worse, never wrong. */
struct hm_balance_cell {
    uint32_t busy;
    bool shunned;
    hm_ms shunned_at;
};

struct hm_balance {
    struct hm_random random;
    struct hm_balance_cell cells[HM_BALANCE_CELLS];
};

void hm_balance_init(struct hm_balance *balance, uint64_t seed);

/* Whom a request wants: `service`, or the service of `vhost` when that is not empty. */
struct hm_balance_target {
    struct hm_name service;
    struct hm_bytes vhost;
};

/* Endpoints of the target that may be asked (passing and suspect) in *count and the service in
 * *service. HM_NOT_FOUND: no such service or virtual host. HM_BUSY: the table cannot be read. */
HM_MUST_USE enum hm_status hm_balance_count(const struct hm_table *table,
                                            const struct hm_balance_target *target,
                                            struct hm_name *service, uint32_t *count);

/* Chooses an endpoint that is not among the tried ones: passing before shunned before suspect.
 * HM_NOT_FOUND: no such service or virtual host. HM_UNREACHABLE: none is left. HM_BUSY as above. */
HM_MUST_USE enum hm_status hm_balance_choose(struct hm_balance *balance,
                                             const struct hm_table *table,
                                             const struct hm_balance_target *target,
                                             const struct hm_addr *tried, size_t tried_count,
                                             hm_ms now, struct hm_table_endpoint *out);

/* A request went to the address; it ended, well or not. Calls come in pairs. */
void hm_balance_started(struct hm_balance *balance, const struct hm_addr *addr);
void hm_balance_ended(struct hm_balance *balance, const struct hm_addr *addr, bool failed,
                      hm_ms now);

#endif
