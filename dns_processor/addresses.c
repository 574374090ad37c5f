#include "dns_processor/addresses.h"

#include "core/base/memory.h"

#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

static bool read_address(const struct ifaddrs *at, uint16_t port, struct hm_addr *out)
{
    *out = (struct hm_addr){.port = port};
    if (!at->ifa_addr || !(at->ifa_flags & IFF_UP) || (at->ifa_flags & IFF_LOOPBACK)) {
        return false;
    }
    if (at->ifa_addr->sa_family == AF_INET) {
        struct sockaddr_in v4;
        memcpy(&v4, at->ifa_addr, sizeof v4);
        out->family = 4;
        memcpy(out->ip, &v4.sin_addr, 4);
        return true;
    }
    if (at->ifa_addr->sa_family == AF_INET6) {
        struct sockaddr_in6 v6;
        memcpy(&v6, at->ifa_addr, sizeof v6);
        out->family = 6;
        memcpy(out->ip, &v6.sin6_addr, 16);
        return !IN6_IS_ADDR_LINKLOCAL(&v6.sin6_addr);
    }
    return false;
}

static int compare(const void *left, const void *right)
{
    const struct hm_addr *a = left;
    const struct hm_addr *b = right;
    int order = (a->family > b->family) - (a->family < b->family);
    return order ? order : memcmp(a->ip, b->ip, sizeof a->ip);
}

size_t hm_dns_machine_addresses(uint16_t port, struct hm_addr **out)
{
    struct hm_addr *list = NULL;
    size_t count = 0;
    size_t capacity = 0;
    struct ifaddrs *all = NULL;
    if (getifaddrs(&all) == 0) {
        for (const struct ifaddrs *at = all; at; at = at->ifa_next) {
            list = hm_grow(list, count, &capacity, sizeof *list);
            count += read_address(at, port, &list[count]);
        }
        freeifaddrs(all);
    }
    if (count > 1) {
        qsort(list, count, sizeof *list, compare);
    }
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (kept == 0 || compare(&list[kept - 1], &list[i]) != 0) {
            list[kept++] = list[i];
        }
    }
    *out = list;
    return kept;
}
