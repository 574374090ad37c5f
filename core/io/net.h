/* What the system knows of the network: routes and names. */
#ifndef HM_IO_NET_H
#define HM_IO_NET_H

#include "core/base/bytes.h"
#include "core/base/ids.h"

#include <uv.h>

/* The address from which packets to `to` leave (nothing is sent), port 0. False when there is no
 * route. */
bool hm_net_source(const struct hm_addr *to, struct hm_addr *out);
/* That of the default route, IPv4 first; loopback when there is none. */
struct hm_addr hm_net_default_source(void);

struct hm_resolver;

struct hm_resolver_events {
    void *context;
    void (*done)(void *context, const struct hm_addr *addrs, size_t count);
    /* Of each host that does not resolve, before `done`. */
    void (*failed)(void *context, const char *host, const char *why);
};

/* Resolves names ("HOST", "HOST:PORT", "IP", "[IP6]:PORT") without blocking. `names` is copied. */
struct hm_resolver *hm_resolver_new(uv_loop_t *loop, const char *const *names, size_t count,
                                    uint16_t port_default, const struct hm_resolver_events *events);
/* Resolves all names anew and then calls `done` once from the loop, with what was found (at most
 * HM_RESOLVER_ADDRS_MAX, each once); names that do not resolve are left out. Does nothing while one
 * is under way. */
#define HM_RESOLVER_ADDRS_MAX 32
void hm_resolver_start(struct hm_resolver *resolver);
/* The loop must run on until its last lookup has ended. NULL is fine. */
void hm_resolver_free(struct hm_resolver *resolver);

#endif
