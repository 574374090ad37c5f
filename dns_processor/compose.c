#include "dns_processor/compose.h"

#include "core/base/assert.h"
#include "core/base/memory.h"

#include <stdlib.h>

#define SETS_MAX 6 /* NS, A, AAAA, TXT, SRV, PTR */

/* The first label of `name` as a name to ask the view for. */
static struct hm_name first_label(const struct hm_dns_name *name)
{
    struct hm_name label = {0};
    bool fits = hm_name_set(&label, (const char *)name->wire + 1, name->wire[0]);
    return fits ? label : (struct hm_name){0};
}

static struct hm_dns_forward *forward_of(struct hm_dns_build *build, const struct hm_dns_zone *zone)
{
    for (size_t i = 0; i < build->forward_count; i++) {
        if (build->forward[i].zone == zone) {
            return &build->forward[i];
        }
    }
    return NULL;
}

static struct hm_dns_set ns_set(const struct hm_dns_forward *forward)
{
    struct hm_dns_set set = {.type = HM_DNS_NS, .ttl = forward->config.ttl_zone};
    struct hm_buf extra = {0};
    for (size_t i = 0; i < forward->nameserver_count; i++) {
        const struct hm_dns_ns *ns = &forward->nameservers[i];
        hm_buf_clear(&extra);
        for (size_t j = 0; j < ns->address_count; j++) {
            const struct hm_addr *addr = &ns->addresses[j];
            hm_dns_extra_append(&extra, addr->family == 4 ? HM_DNS_A : HM_DNS_AAAA, set.ttl,
                                (struct hm_bytes){addr->ip, hm_addr_ip_bytes(addr)});
        }
        enum hm_status status =
            hm_dns_set_add(&set, hm_dns_name_bytes(&ns->name), true, hm_buf_view(&extra));
        HM_ASSERT(status == HM_OK);
    }
    hm_buf_fini(&extra);
    return set;
}

static bool gather_glue(struct hm_dns_build *build, const struct hm_dns_forward *forward,
                        const struct hm_dns_name *name)
{
    bool found = false;
    for (size_t i = 0; i < forward->nameserver_count; i++) {
        const struct hm_dns_ns *ns = &forward->nameservers[i];
        for (size_t j = 0; j < ns->address_count && hm_dns_name_equal(&ns->name, name); j++) {
            hm_dns_gather_address(&build->gather, &ns->addresses[j], false);
            found = true;
        }
    }
    return found;
}

/* What stands at a name besides NS: the first that exists of host, glue, virtual host, service.
 * Sets its TTL; tells by `alarmed` of a service without a healthy instance. */
static bool gather_name(struct hm_dns_build *build, const struct hm_dns_forward *forward,
                        const struct hm_dns_name *name, uint32_t *ttl, bool *alarmed)
{
    struct hm_dns_gather *gather = &build->gather;
    const struct hm_dns_view *view = &build->view;
    hm_dns_gather_clear(gather);
    struct hm_name label = first_label(name);
    bool is_label = hm_name_is_label(&label);
    int depth = hm_dns_name_labels_before(name, &forward->name);
    *ttl = forward->config.ttl_host;
    if (is_label && depth == 2 && hm_dns_name_labels_before(name, &forward->hosts) == 1 &&
        view->host(view->context, &label, gather)) {
        return true;
    }
    *ttl = forward->config.ttl_zone;
    if (gather_glue(build, forward, name)) {
        return true;
    }
    *ttl = forward->config.ttl_service;
    char text[HM_DNS_NAME_TEXT_BYTES];
    bool found = view->vhost(view->context, hm_dns_name_format(name, text), gather) ||
                 (is_label && depth == 1 && view->service(view->context, &label, gather));
    if (!hm_dns_gather_select(gather, forward->config.none_healthy)) {
        *alarmed = true;
    }
    return found;
}

static void put_or_remove(struct hm_dns_build *build, struct hm_dns_zone *zone,
                          const struct hm_dns_name *name, struct hm_dns_set *sets, size_t count,
                          bool exists)
{
    if (exists) {
        enum hm_status status = hm_dns_map_put(build->map, zone, name, sets, count);
        HM_ASSERT(status == HM_OK);
    } else {
        hm_dns_map_remove(build->map, zone, name);
    }
    for (size_t i = 0; i < count; i++) {
        hm_dns_set_fini(&sets[i]);
    }
}

void hm_dns_compose_name(struct hm_dns_build *build, const struct hm_dns_name *name, bool *alarmed)
{
    struct hm_dns_forward *forward = forward_of(build, hm_dns_map_zone_of(build->map, name));
    if (!forward || hm_dns_name_labels_before(name, &forward->tcp) >= 0) {
        return; /* whoever claims a name below _tcp takes no service's SRV records away */
    }
    struct hm_dns_set sets[SETS_MAX];
    size_t count = 0;
    uint32_t ttl;
    bool exists = gather_name(build, forward, name, &ttl, alarmed);
    count +=
        hm_dns_gather_address_sets(&build->gather, ttl, forward->config.max_answers, &sets[count]);
    count += hm_dns_gather_txt_set(&build->gather, ttl, &sets[count]);
    if (hm_dns_name_equal(name, &forward->name) && forward->nameserver_count > 0) {
        sets[count++] = ns_set(forward);
        exists = true;
    }
    put_or_remove(build, forward->zone, name, sets, count, exists);
}

void hm_dns_compose_srv(struct hm_dns_build *build, struct hm_dns_forward *forward,
                        const struct hm_name *service, const struct hm_dns_name *name)
{
    if (hm_dns_map_zone_of(build->map, name) != forward->zone) {
        return;
    }
    struct hm_dns_set set;
    hm_dns_gather_clear(&build->gather);
    bool exists = build->view.service(build->view.context, service, &build->gather);
    (void)hm_dns_gather_select(&build->gather, forward->config.none_healthy);
    size_t count =
        hm_dns_gather_srv_set(&build->gather, &forward->hosts, forward->config.ttl_service,
                              forward->config.ttl_host, &set);
    put_or_remove(build, forward->zone, name, &set, count, exists);
}

/* --- PTR records ------------------------------------------------------------------------------ */

static int compare_targets(const void *left, const void *right)
{
    const struct hm_dns_name *a = left;
    const struct hm_dns_name *b = right;
    return hm_bytes_compare(hm_dns_name_bytes(a), hm_dns_name_bytes(b));
}

static struct hm_dns_set ptr_set(struct hm_dns_build *build, const struct hm_dns_forward *forward,
                                 const struct hm_addr *addr)
{
    struct hm_dns_name *targets = NULL;
    size_t count = 0;
    size_t capacity = 0;
    size_t cursor = 0;
    for (const struct hm_name *host;
         (host = hm_dns_holders_next(&build->holders, addr, &cursor)) != NULL;) {
        struct hm_bytes label = {(const uint8_t *)host->text, host->size};
        targets = hm_grow(targets, count, &capacity, sizeof *targets);
        if (hm_dns_name_prepend(label, &forward->hosts, &targets[count]) == HM_OK) {
            count++;
        }
    }
    struct hm_dns_set set = {.type = HM_DNS_PTR, .ttl = forward->config.ttl_host};
    if (count > 1) {
        qsort(targets, count, sizeof *targets, compare_targets);
    }
    for (size_t i = 0; i < count; i++) {
        enum hm_status status =
            hm_dns_set_add(&set, hm_dns_name_bytes(&targets[i]), true, (struct hm_bytes){0});
        HM_ASSERT(status == HM_OK);
    }
    hm_free(targets);
    return set;
}

void hm_dns_compose_ptr(struct hm_dns_build *build, const struct hm_addr *addr)
{
    struct hm_dns_name name = hm_dns_name_reverse(addr, (unsigned)(8 * hm_addr_ip_bytes(addr)));
    const struct hm_dns_zone *zone = hm_dns_map_zone_of(build->map, &name);
    for (size_t i = 0; i < build->reverse_count; i++) {
        const struct hm_dns_reverse *reverse = &build->reverse[i];
        if (reverse->zone != zone) {
            continue;
        }
        const struct hm_dns_forward *forward = &build->forward[reverse->owner];
        struct hm_dns_set sets[SETS_MAX];
        size_t count = 0;
        sets[count] = ptr_set(build, forward, addr);
        count += sets[count].count > 0;
        if (hm_dns_name_equal(&name, &reverse->name) && forward->nameserver_count > 0) {
            sets[count++] = ns_set(forward);
        }
        put_or_remove(build, reverse->zone, &name, sets, count, count > 0);
    }
}

void hm_dns_compose_reverse_apex(struct hm_dns_build *build, const struct hm_dns_reverse *reverse)
{
    const struct hm_dns_forward *forward = &build->forward[reverse->owner];
    struct hm_dns_set sets[SETS_MAX];
    size_t count = 0;
    if (reverse->is_address) {
        hm_dns_compose_ptr(build, &reverse->addr);
        return;
    }
    if (forward->nameserver_count > 0) {
        sets[count++] = ns_set(forward);
    }
    put_or_remove(build, reverse->zone, &reverse->name, sets, count, true);
}
