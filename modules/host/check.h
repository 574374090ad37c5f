/* Health checks of services: when to probe, and what the outcomes mean. */
#ifndef HM_MODULES_HOST_CHECK_H
#define HM_MODULES_HOST_CHECK_H

#include "core/include/hivemind/module.h"

/* What is asked for; every_ms is 0 where a service has no check. */
struct hm_check_plan {
    const char *path; /* of an HTTP request; NULL: a TCP connection */
    uint32_t every_ms;
    uint32_t timeout_ms;
    uint32_t fall; /* failures in a row after which a passing one fails */
    uint32_t rise; /* passes in a row after which a failing one passes */
};

enum hm_health { HM_HEALTH_UNKNOWN = 0, HM_HEALTH_PASSING = 1, HM_HEALTH_FAILING = 2 };

struct hm_check;

/* All checks of a node. */
struct hm_checks {
    struct hm_module_ctx *ctx;
    struct hm_check *first;
    bool changed; /* some health changed since hm_checks_tick last said so */
};

void hm_checks_init(struct hm_checks *checks, struct hm_module_ctx *ctx);

/* Checks `addr` from now on; `name` is for the log. Copies what it is given. Without
 * sockets (in the simulator) nothing is checked. */
struct hm_check *hm_check_new(struct hm_checks *checks, const struct hm_check_plan *plan,
                              const struct hm_name *name, const struct hm_addr *addr,
                              enum hm_health health);
void hm_check_free(struct hm_check *check);
bool hm_check_is(const struct hm_check *check, const struct hm_check_plan *plan,
                 const struct hm_addr *addr);
enum hm_health hm_check_health(const struct hm_check *check);

/* Starts and ends what is due. True when the health of a check has changed. */
bool hm_checks_tick(struct hm_checks *checks, hm_ms now);
hm_ms hm_checks_deadline(const struct hm_checks *checks);

#endif
