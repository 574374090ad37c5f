/* Health checks of services: when to probe, and what the outcomes mean. How a probe is made is
 * behind struct hm_prober, so that HTTP and its library are loaded by those alone who use it. */
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

/* Called once for each probe that was started and not cancelled, never before start returned.
 * `why` says why it did not pass, and lives during the call. */
typedef void hm_probe_done(void *user, bool passed, const char *why);

/* One way to probe. host/check_http.so exports one as `hm_prober`. */
struct hm_prober {
    uint32_t abi; /* HM_MODULE_ABI */
    /* `touch` is called whenever the deadline may have changed or a probe is done; `io` and `user`
     * outlive what is returned. NULL: out of resources. */
    void *(*open)(const struct hm_module_io *io, void (*touch)(void *user), void *user);
    /* After all its probes have ended. */
    void (*close)(void *prober);
    /* Starts one. NULL, and a sentence in `why`, when it failed at once: `done` is not called. */
    void *(*start)(void *prober, const struct hm_addr *addr, const char *path, hm_probe_done *done,
                   void *user, const char **why);
    void (*cancel)(void *probe);
    void (*tick)(void *prober, hm_ms now); /* NULL: it needs none */
    hm_ms (*deadline)(const void *prober); /* NULL likewise */
};

extern const struct hm_prober hm_prober_tcp;

struct hm_check;

/* All checks of a node. */
struct hm_checks {
    struct hm_module_ctx *ctx;
    struct hm_check *first;
    const struct hm_prober *tcp, *http; /* NULL until the first check of the kind */
    void *tcp_state, *http_state;
    void *library; /* of http */
    bool changed;  /* some health changed since hm_checks_tick last said so */
};

void hm_checks_init(struct hm_checks *checks, struct hm_module_ctx *ctx);
/* After all checks have been freed. */
void hm_checks_fini(struct hm_checks *checks);

/* Makes what checks of this plan need ready; HM_NOT_FOUND and a sentence in `error` when there is
 * no check_http.so. Harmless without sockets (in the simulator): nothing is checked there. */
HM_MUST_USE enum hm_status
hm_checks_prepare(struct hm_checks *checks, const struct hm_check_plan *plan, struct hm_buf *error);

/* Checks `addr` from now on; `name` is for the log. Copies what it is given. Its plan was
 * prepared. */
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
