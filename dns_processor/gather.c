#include "core/base/memory.h"
#include "dns_processor/view.h"

#include <stdlib.h>
#include <string.h>

#define TAG_BYTES_MAX    255
#define PRIORITY         10
#define PRIORITY_SUSPECT 20

void hm_dns_gather_address(struct hm_dns_gather *gather, const struct hm_addr *addr, bool suspect)
{
    gather->addresses = hm_grow(gather->addresses, gather->address_count, &gather->address_capacity,
                                sizeof *gather->addresses);
    gather->addresses[gather->address_count++] = (struct hm_dns_address){*addr, suspect};
}

void hm_dns_gather_instance(struct hm_dns_gather *gather, const struct hm_dns_instance *instance)
{
    gather->instances = hm_grow(gather->instances, gather->instance_count,
                                &gather->instance_capacity, sizeof *gather->instances);
    gather->instances[gather->instance_count++] = *instance;
}

void hm_dns_gather_tag(struct hm_dns_gather *gather, struct hm_bytes tag)
{
    size_t size = tag.size < TAG_BYTES_MAX ? tag.size : TAG_BYTES_MAX;
    hm_put_u8(&gather->tags, (uint8_t)size);
    hm_buf_append(&gather->tags, tag.data, size);
}

void hm_dns_gather_clear(struct hm_dns_gather *gather)
{
    gather->address_count = 0;
    gather->instance_count = 0;
    hm_buf_clear(&gather->tags);
}

void hm_dns_gather_fini(struct hm_dns_gather *gather)
{
    hm_free(gather->addresses);
    hm_free(gather->instances);
    hm_buf_fini(&gather->tags);
    *gather = (struct hm_dns_gather){0};
}

static int compare_ips(const struct hm_addr *a, const struct hm_addr *b)
{
    int order = (a->family > b->family) - (a->family < b->family);
    return order ? order : memcmp(a->ip, b->ip, sizeof a->ip);
}

/* By address, the least suspect of equal ones first. */
static int compare_addresses(const void *left, const void *right)
{
    const struct hm_dns_address *a = left;
    const struct hm_dns_address *b = right;
    int order = compare_ips(&a->addr, &b->addr);
    return order ? order : a->suspect - b->suspect;
}

/* By host, port, address. */
static int compare_instances(const void *left, const void *right)
{
    const struct hm_dns_instance *a = left;
    const struct hm_dns_instance *b = right;
    int order = strcmp(a->host.text, b->host.text);
    if (order == 0) {
        order = (a->addr.port > b->addr.port) - (a->addr.port < b->addr.port);
    }
    return order ? order : compare_ips(&a->addr, &b->addr);
}

bool hm_dns_gather_select(struct hm_dns_gather *gather, enum hm_dns_none_healthy none_healthy)
{
    size_t healthy = 0;
    size_t served = 0;
    for (size_t i = 0; i < gather->instance_count; i++) {
        served += gather->instances[i].served;
        healthy += gather->instances[i].served && gather->instances[i].healthy;
    }
    size_t kept = 0;
    for (size_t i = 0; i < gather->instance_count; i++) {
        const struct hm_dns_instance *instance = &gather->instances[i];
        bool wanted = healthy > 0 ? instance->healthy : none_healthy == HM_DNS_NONE_ALL;
        if (instance->served && wanted) {
            hm_dns_gather_address(gather, &instance->addr, instance->suspect);
            gather->instances[kept++] = *instance;
        }
    }
    gather->instance_count = kept;
    if (kept > 1) {
        qsort(gather->instances, kept, sizeof *gather->instances, compare_instances);
    }
    return healthy > 0 || served == 0;
}

static struct hm_bytes ip_of(const struct hm_addr *addr)
{
    return (struct hm_bytes){addr->ip, hm_addr_ip_bytes(addr)};
}

static uint16_t type_of(const struct hm_addr *addr)
{
    return addr->family == 4 ? HM_DNS_A : HM_DNS_AAAA;
}

/* Adds the addresses of one family, suspect or not, to the set. */
static void add_addresses(const struct hm_dns_gather *gather, struct hm_dns_set *set, bool suspect)
{
    for (size_t i = 0; i < gather->address_count; i++) {
        const struct hm_dns_address *at = &gather->addresses[i];
        bool repeated = i > 0 && compare_ips(&at[-1].addr, &at->addr) == 0;
        if (repeated || at->suspect != suspect || type_of(&at->addr) != set->type) {
            continue;
        }
        if (hm_dns_set_add(set, ip_of(&at->addr), !suspect, (struct hm_bytes){0}) != HM_OK) {
            return; /* 4 GiB of addresses: what fits is answered */
        }
    }
}

size_t hm_dns_gather_address_sets(struct hm_dns_gather *gather, uint32_t ttl, uint16_t max,
                                  struct hm_dns_set sets[2])
{
    if (gather->address_count > 1) {
        qsort(gather->addresses, gather->address_count, sizeof *gather->addresses,
              compare_addresses);
    }
    static const uint16_t types[] = {HM_DNS_A, HM_DNS_AAAA};
    size_t filled = 0;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        struct hm_dns_set *set = &sets[filled];
        *set = (struct hm_dns_set){.type = types[i], .ttl = ttl, .max = max};
        add_addresses(gather, set, false);
        add_addresses(gather, set, true);
        filled += set->count > 0;
    }
    return filled;
}

static bool same_host(const struct hm_dns_instance *a, const struct hm_dns_instance *b)
{
    return hm_name_equal(&a->host, &b->host);
}

/* The addresses of the host of instance `first`, with that host's first record only: once is
 * enough. */
static void extra_of(const struct hm_dns_gather *gather, size_t first, uint32_t ttl,
                     struct hm_buf *extra)
{
    const struct hm_dns_instance *instances = gather->instances;
    hm_buf_clear(extra);
    if (first > 0 && same_host(&instances[first - 1], &instances[first])) {
        return;
    }
    for (size_t i = first; i < gather->instance_count; i++) {
        if (!same_host(&instances[i], &instances[first]) ||
            instances[i].addr.port != instances[first].addr.port) {
            break;
        }
        hm_dns_extra_append(extra, type_of(&instances[i].addr), ttl, ip_of(&instances[i].addr));
    }
}

static void add_srv(const struct hm_dns_gather *gather, size_t i, const struct hm_dns_name *hosts,
                    struct hm_buf *extra, struct hm_dns_set *set)
{
    const struct hm_dns_instance *instance = &gather->instances[i];
    struct hm_dns_name target;
    struct hm_bytes label = {(const uint8_t *)instance->host.text, instance->host.size};
    if (hm_dns_name_prepend(label, hosts, &target) != HM_OK) {
        return; /* a host whose name is too long for this zone has none in it */
    }
    uint8_t rdata[6 + HM_DNS_NAME_MAX];
    uint32_t weight = instance->weight < UINT16_MAX ? instance->weight : UINT16_MAX;
    hm_dns_put16(rdata, instance->suspect ? PRIORITY_SUSPECT : PRIORITY);
    hm_dns_put16(rdata + 2, (uint16_t)(weight ? weight : 1));
    hm_dns_put16(rdata + 4, instance->addr.port);
    memcpy(rdata + 6, target.wire, target.size);
    enum hm_status status = hm_dns_set_add(set, (struct hm_bytes){rdata, 6U + target.size},
                                           !instance->suspect, hm_buf_view(extra));
    (void)status; /* 4 GiB of records: what fits is answered */
}

bool hm_dns_gather_srv_set(const struct hm_dns_gather *gather, const struct hm_dns_name *hosts,
                           uint32_t ttl, uint32_t host_ttl, struct hm_dns_set *set)
{
    *set = (struct hm_dns_set){.type = HM_DNS_SRV, .ttl = ttl, .target_offset = 6};
    struct hm_buf extra = {0};
    for (int suspect = 0; suspect <= 1; suspect++) {
        for (size_t i = 0; i < gather->instance_count; i++) {
            const struct hm_dns_instance *at = &gather->instances[i];
            bool repeated = i > 0 && same_host(&at[-1], at) && at[-1].addr.port == at->addr.port;
            if (!repeated && at->suspect == (suspect == 1)) {
                extra_of(gather, i, host_ttl, &extra);
                add_srv(gather, i, hosts, &extra, set);
            }
        }
    }
    hm_buf_fini(&extra);
    if (set->count == 0) {
        hm_dns_set_fini(set);
    }
    return set->count > 0;
}

bool hm_dns_gather_txt_set(const struct hm_dns_gather *gather, uint32_t ttl, struct hm_dns_set *set)
{
    *set = (struct hm_dns_set){.type = HM_DNS_TXT, .ttl = ttl};
    bool added = gather->tags.size > 0 && hm_dns_set_add(set, hm_buf_view(&gather->tags), true,
                                                         (struct hm_bytes){0}) == HM_OK;
    if (!added) {
        hm_dns_set_fini(set);
    }
    return added;
}
