#include "core/io/net.h"

#include "core/base/memory.h"
#include "core/io/socket.h"

#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HOST_BYTES_MAX 256

bool hm_net_source(const struct hm_addr *to, struct hm_addr *out)
{
    int family = to->family == 6 ? AF_INET6 : AF_INET;
    struct sockaddr_storage name;
    struct hm_addr target = *to;
    target.port = target.port ? target.port : 9;
    socklen_t size = hm_socket_address(&target, family, &name);
    int fd = size ? socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0) : -1;
    if (fd < 0) {
        return false;
    }
    bool routed = connect(fd, (struct sockaddr *)&name, size) == 0;
    struct hm_addr source = routed ? hm_socket_name(fd) : (struct hm_addr){0};
    close(fd);
    if (hm_addr_is_none(&source)) {
        return false;
    }
    source.port = 0;
    *out = source;
    return true;
}

struct hm_addr hm_net_default_source(void)
{
    /* Addresses of the documentation ranges (RFC 5737, 3849): outside of every local net. */
    static const char *const outside[] = {"198.51.100.1", "2001:db8::1"};
    struct hm_addr to;
    struct hm_addr source;
    for (size_t i = 0; i < 2; i++) {
        if (hm_addr_parse(outside[i], 9, &to) && hm_net_source(&to, &source)) {
            return source;
        }
    }
    return (struct hm_addr){.family = 4, .ip = {127, 0, 0, 1}};
}

/* One name and the lookup of it. */
struct lookup {
    uv_getaddrinfo_t request;
    struct hm_resolver *resolver;
    char host[HOST_BYTES_MAX];
    uint16_t port;
    struct hm_addr literal; /* when the name is an address */
};

struct hm_resolver {
    uv_loop_t *loop;
    struct lookup *lookups;
    size_t count;
    size_t pending;
    bool freed; /* waits for its lookups to end */
    struct hm_addr addrs[HM_RESOLVER_ADDRS_MAX];
    size_t addr_count;
    uv_timer_t *soon; /* calls back when there was nothing to look up */
    struct hm_resolver_events events;
};

static void take(struct hm_resolver *resolver, const struct hm_addr *addr)
{
    for (size_t i = 0; i < resolver->addr_count; i++) {
        if (hm_addr_equal(&resolver->addrs[i], addr)) {
            return;
        }
    }
    if (resolver->addr_count < HM_RESOLVER_ADDRS_MAX) {
        resolver->addrs[resolver->addr_count++] = *addr;
    }
}

static void free_handle(uv_handle_t *handle)
{
    hm_free(handle);
}

static void free_now(struct hm_resolver *resolver)
{
    uv_close((uv_handle_t *)resolver->soon, free_handle);
    hm_free(resolver->lookups);
    hm_free(resolver);
}

static void end_one(struct hm_resolver *resolver)
{
    if (--resolver->pending > 0) {
        return;
    }
    if (resolver->freed) {
        free_now(resolver);
    } else {
        resolver->events.done(resolver->events.context, resolver->addrs, resolver->addr_count);
    }
}

static void on_found(uv_getaddrinfo_t *request, int status, struct addrinfo *found)
{
    struct lookup *lookup = request->data;
    struct hm_resolver *resolver = lookup->resolver;
    for (struct addrinfo *at = found; status == 0 && at != NULL; at = at->ai_next) {
        struct sockaddr_storage name = {0};
        if (at->ai_addrlen <= sizeof name) {
            memcpy(&name, at->ai_addr, at->ai_addrlen);
            struct hm_addr addr = hm_socket_addr(&name);
            addr.port = lookup->port;
            if (addr.family != 0) {
                take(resolver, &addr);
            }
        }
    }
    uv_freeaddrinfo(found);
    if (status != 0 && !resolver->freed) {
        resolver->events.failed(resolver->events.context, lookup->host, uv_strerror(status));
    }
    end_one(resolver);
}

static void on_soon(uv_timer_t *timer)
{
    end_one(timer->data);
}

/* "HOST" or "HOST:PORT"; what is longer than a name can be stays empty and resolves to nothing. */
static void split(const char *name, uint16_t port_default, struct lookup *lookup)
{
    const char *colon = strrchr(name, ':');
    size_t size = colon ? (size_t)(colon - name) : strlen(name);
    lookup->port = port_default;
    if (hm_addr_parse(name, port_default, &lookup->literal) || size >= sizeof lookup->host) {
        return;
    }
    if (colon != NULL) {
        unsigned long port = strtoul(colon + 1, NULL, 10);
        lookup->port = port > 0 && port <= UINT16_MAX ? (uint16_t)port : port_default;
    }
    memcpy(lookup->host, name, size);
}

struct hm_resolver *hm_resolver_new(uv_loop_t *loop, const char *const *names, size_t count,
                                    uint16_t port_default, const struct hm_resolver_events *events)
{
    struct hm_resolver *resolver = hm_alloc(1, sizeof *resolver);
    resolver->loop = loop;
    resolver->count = count;
    resolver->lookups = hm_alloc(count, sizeof *resolver->lookups);
    resolver->events = *events;
    resolver->soon = hm_alloc(1, sizeof *resolver->soon);
    uv_timer_init(loop, resolver->soon);
    resolver->soon->data = resolver;
    for (size_t i = 0; i < count; i++) {
        resolver->lookups[i].resolver = resolver;
        split(names[i], port_default, &resolver->lookups[i]);
    }
    return resolver;
}

void hm_resolver_start(struct hm_resolver *resolver)
{
    static const struct addrinfo hints = {.ai_socktype = SOCK_DGRAM, .ai_flags = AI_ADDRCONFIG};
    if (resolver->pending > 0) {
        return;
    }
    resolver->addr_count = 0;
    resolver->pending = 1; /* the timer: `done` never comes from within this call */
    uv_timer_start(resolver->soon, on_soon, 0, 0);
    for (size_t i = 0; i < resolver->count; i++) {
        struct lookup *lookup = &resolver->lookups[i];
        if (lookup->literal.family != 0) {
            take(resolver, &lookup->literal);
        } else if (lookup->host[0] != 0) {
            lookup->request.data = lookup;
            resolver->pending += uv_getaddrinfo(resolver->loop, &lookup->request, on_found,
                                                lookup->host, NULL, &hints) == 0;
        }
    }
}

void hm_resolver_free(struct hm_resolver *resolver)
{
    if (resolver == NULL) {
        return;
    }
    resolver->freed = true;
    if (resolver->pending == 0) {
        free_now(resolver);
        return;
    }
    for (size_t i = 0; i < resolver->count; i++) {
        uv_cancel((uv_req_t *)&resolver->lookups[i].request);
    }
}
