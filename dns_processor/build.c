#include "dns_processor/build.h"

#include "core/base/assert.h"
#include "core/base/memory.h"
#include "dns_processor/compose.h"

#include <stdlib.h>
#include <string.h>

#define SOA_REFRESH 60u
#define SOA_RETRY   10u
#define SOA_EXPIRE  604800u

/* --- Changes ---------------------------------------------------------------------------------- */

enum hm_dns_service_state hm_dns_build_service(struct hm_dns_build *build,
                                               const struct hm_name *name)
{
    if (!hm_name_is_label(name)) {
        return HM_DNS_SERVICE_GONE;
    }
    urcu_qsbr_thread_online();
    bool alarmed = false;
    for (size_t i = 0; i < build->forward_count; i++) {
        struct hm_dns_forward *forward = &build->forward[i];
        struct hm_dns_name owner;
        uint8_t label[HM_NAME_MAX + 1] = {'_'};
        memcpy(label + 1, name->text, name->size);
        if (hm_dns_name_prepend((struct hm_bytes){label + 1, name->size}, &forward->name, &owner) ==
            HM_OK) {
            hm_dns_compose_name(build, &owner, &alarmed);
        }
        if (hm_dns_name_prepend((struct hm_bytes){label, 1U + name->size}, &forward->tcp, &owner) ==
            HM_OK) {
            hm_dns_compose_srv(build, forward, name, &owner);
        }
    }
    hm_dns_gather_clear(&build->gather);
    bool exists = build->view.service(build->view.context, name, &build->gather);
    urcu_qsbr_thread_offline();
    if (!exists) {
        return HM_DNS_SERVICE_GONE;
    }
    return alarmed ? HM_DNS_SERVICE_NONE_HEALTHY : HM_DNS_SERVICE_HEALTHY;
}

/* Brings the addresses of `host` up to date with what was gathered, and the PTR records of those
 * that it has lost or won. */
static void build_holdings(struct hm_dns_build *build, const struct hm_name *host)
{
    struct hm_addr *touched = NULL;
    size_t count = 0;
    size_t capacity = 0;
    struct hm_addr addr;
    while (hm_dns_holders_take(&build->holders, host, &addr)) {
        touched = hm_grow(touched, count, &capacity, sizeof *touched);
        touched[count++] = addr;
    }
    for (size_t i = 0; i < build->gather.address_count; i++) {
        addr = build->gather.addresses[i].addr;
        if (!hm_dns_holders_has(&build->holders, &addr, host)) {
            hm_dns_holders_add(&build->holders, &addr, host);
            touched = hm_grow(touched, count, &capacity, sizeof *touched);
            touched[count++] = addr;
        }
    }
    for (size_t i = 0; i < count; i++) {
        hm_dns_compose_ptr(build, &touched[i]);
    }
    hm_free(touched);
}

void hm_dns_build_host(struct hm_dns_build *build, const struct hm_name *name)
{
    if (!hm_name_is_label(name)) {
        return;
    }
    urcu_qsbr_thread_online();
    bool alarmed = false;
    for (size_t i = 0; i < build->forward_count; i++) {
        struct hm_dns_name owner;
        struct hm_bytes label = {(const uint8_t *)name->text, name->size};
        if (hm_dns_name_prepend(label, &build->forward[i].hosts, &owner) == HM_OK) {
            hm_dns_compose_name(build, &owner, &alarmed);
        }
    }
    if (build->reverse_count > 0) {
        hm_dns_gather_clear(&build->gather);
        (void)build->view.host(build->view.context, name, &build->gather);
        build_holdings(build, name);
    }
    urcu_qsbr_thread_offline();
}

void hm_dns_build_vhost(struct hm_dns_build *build, const char *name)
{
    struct hm_dns_name owner;
    bool alarmed = false;
    if (hm_dns_name_parse(name, &owner) == HM_OK) {
        urcu_qsbr_thread_online();
        hm_dns_compose_name(build, &owner, &alarmed);
        urcu_qsbr_thread_offline();
    }
}

/* --- Zones ------------------------------------------------------------------------------------ */

static void set_soa(struct hm_dns_build *build, const struct hm_dns_forward *forward,
                    struct hm_dns_zone *zone)
{
    struct hm_dns_soa_fields fields = {
        .mname = forward->nameserver_count ? forward->nameservers[0].name : forward->name,
        .rname = forward->name,
        .serial = build->serial,
        .refresh = SOA_REFRESH,
        .retry = SOA_RETRY,
        .expire = SOA_EXPIRE,
        .ttl = forward->config.ttl_zone,
        .negative_ttl = forward->config.ttl_negative,
    };
    /* A zone name too long for "hostmaster" is its own mailbox. */
    if (hm_dns_name_prepend(hm_bytes_of_text("hostmaster"), &forward->name, &fields.rname) !=
        HM_OK) {
        fields.rname = forward->name;
    }
    hm_dns_zone_set_soa(zone, &fields);
}

/* The SOA of a zone of the settings and of its reverse zones. */
static void set_soas(struct hm_dns_build *build, size_t index)
{
    const struct hm_dns_forward *forward = &build->forward[index];
    if (forward->config.pending) {
        return;
    }
    set_soa(build, forward, forward->zone);
    for (size_t i = 0; i < build->reverse_count; i++) {
        if (build->reverse[i].owner == index) {
            set_soa(build, forward, build->reverse[i].zone);
        }
    }
}

void hm_dns_build_serial(struct hm_dns_build *build, uint32_t serial)
{
    urcu_qsbr_thread_online();
    build->serial = serial;
    build->serial_known = true;
    for (size_t i = 0; i < build->forward_count; i++) {
        set_soas(build, i);
    }
    urcu_qsbr_thread_offline();
}

static void free_nameservers(struct hm_dns_ns *nameservers, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        hm_free(nameservers[i].addresses);
    }
    hm_free(nameservers);
}

enum hm_status hm_dns_build_nameservers(struct hm_dns_build *build, size_t index,
                                        const struct hm_dns_nameserver *nameservers, size_t count,
                                        struct hm_buf *error)
{
    HM_ASSERT(index < build->forward_count);
    struct hm_dns_forward *forward = &build->forward[index];
    struct hm_dns_ns *fresh = hm_alloc(count, sizeof *fresh);
    for (size_t i = 0; i < count; i++) {
        const struct hm_dns_nameserver *from = &nameservers[i];
        if (hm_dns_name_parse_in(from->name, &forward->name, &fresh[i].name) != HM_OK) {
            hm_buf_printf(error, "nameserver '%s' is not a domain name", from->name);
            free_nameservers(fresh, i);
            return HM_BAD_CONFIG;
        }
        fresh[i].addresses = hm_alloc(from->address_count, sizeof *fresh[i].addresses);
        fresh[i].address_count = from->address_count;
        for (size_t j = 0; j < from->address_count; j++) {
            fresh[i].addresses[j] = from->addresses[j];
        }
    }
    struct hm_dns_ns *old = forward->nameservers;
    size_t old_count = forward->nameserver_count;
    forward->nameservers = fresh;
    forward->nameserver_count = count;
    urcu_qsbr_thread_online();
    bool alarmed = false;
    for (size_t i = 0; i < count; i++) { /* glue first: no NS points nowhere */
        hm_dns_compose_name(build, &fresh[i].name, &alarmed);
    }
    hm_dns_compose_name(build, &forward->name, &alarmed);
    for (size_t i = 0; i < old_count; i++) {
        hm_dns_compose_name(build, &old[i].name, &alarmed);
    }
    for (size_t i = 0; i < build->reverse_count; i++) {
        if (build->reverse[i].owner == index) {
            hm_dns_compose_reverse_apex(build, &build->reverse[i]);
        }
    }
    if (build->serial_known) {
        set_soas(build, index);
    }
    urcu_qsbr_thread_offline();
    free_nameservers(old, old_count);
    return HM_OK;
}

static void add_reverse(struct hm_dns_build *build, size_t owner, const struct hm_addr *addr,
                        unsigned bits)
{
    build->reverse = hm_grow(build->reverse, build->reverse_count, &build->reverse_capacity,
                             sizeof *build->reverse);
    build->reverse[build->reverse_count++] = (struct hm_dns_reverse){
        .name = hm_dns_name_reverse(addr, bits),
        .owner = owner,
        .addr = *addr,
        .is_address = bits == 8 * hm_addr_ip_bytes(addr),
    };
}

/* Bits of a label of an address's reverse name. */
static unsigned label_bits(const struct hm_addr *addr)
{
    return addr->family == 4 ? 8 : 4;
}

/* Those of the label that the prefix ends within which are not its own. */
static unsigned spare_bits(const struct hm_addr *addr, unsigned bits)
{
    unsigned label = label_bits(addr);
    return (label - bits % label) % label;
}

size_t hm_dns_prefix_zones(const struct hm_addr *addr, unsigned bits)
{
    return (size_t)1 << spare_bits(addr, bits);
}

static enum hm_status add_prefix(struct hm_dns_build *build, size_t owner,
                                 const struct hm_dns_prefix *prefix, struct hm_buf *error)
{
    const struct hm_addr *given = &prefix->addr;
    char text[HM_ADDR_TEXT_BYTES];
    if (prefix->bits == 0 || prefix->bits > 8 * hm_addr_ip_bytes(given)) {
        hm_buf_printf(error, "reverse prefix %s/%u has no such length",
                      hm_addr_format_ip(given, text), prefix->bits);
        return HM_BAD_CONFIG;
    }
    unsigned spare = spare_bits(given, prefix->bits);
    unsigned bits = prefix->bits + spare;
    size_t byte = (bits - 1) / 8;
    unsigned shift = bits % 8 ? 4 : 0; /* where the last label ends within its byte */
    struct hm_addr addr = *given;
    unsigned base = (unsigned)addr.ip[byte] >> shift >> spare << spare;
    for (unsigned i = 0; i < 1U << spare; i++) {
        addr.ip[byte] = (uint8_t)((base + i) << shift);
        add_reverse(build, owner, &addr, bits);
    }
    return HM_OK;
}

static enum hm_status read_zone(struct hm_dns_build *build, const struct hm_dns_zone_config *config,
                                struct hm_buf *error)
{
    size_t index = build->forward_count;
    struct hm_dns_forward *forward = &build->forward[index];
    forward->config = *config;
    if (hm_dns_name_parse(config->name, &forward->name) != HM_OK ||
        hm_dns_name_prepend(hm_bytes_of_text("host"), &forward->name, &forward->hosts) != HM_OK ||
        hm_dns_name_prepend(hm_bytes_of_text("_tcp"), &forward->name, &forward->tcp) != HM_OK) {
        hm_buf_printf(error, "zone '%s' is not a domain name", config->name);
        return HM_BAD_CONFIG;
    }
    build->forward_count++;
    for (size_t i = 0; i < config->reverse_count; i++) {
        enum hm_status status = add_prefix(build, index, &config->reverse[i], error);
        if (status != HM_OK) {
            return status;
        }
    }
    return HM_OK;
}

/* A zone to add to the map. */
struct founding {
    const struct hm_dns_name *name;
    struct hm_dns_zone **zone;
};

static int compare_foundings(const void *left, const void *right)
{
    const struct founding *a = left;
    const struct founding *b = right;
    return a->name->size - b->name->size;
}

/* Parents come before their children, whatever the order of the settings. */
static enum hm_status found_zones(struct hm_dns_build *build, struct hm_buf *error)
{
    size_t count = build->forward_count + build->reverse_count;
    struct founding *foundings = hm_alloc(count, sizeof *foundings);
    for (size_t i = 0; i < build->forward_count; i++) {
        foundings[i] = (struct founding){&build->forward[i].name, &build->forward[i].zone};
    }
    for (size_t i = 0; i < build->reverse_count; i++) {
        foundings[build->forward_count + i] =
            (struct founding){&build->reverse[i].name, &build->reverse[i].zone};
    }
    qsort(foundings, count, sizeof *foundings, compare_foundings);
    enum hm_status status = HM_OK;
    for (size_t i = 0; i < count && status == HM_OK; i++) {
        status = hm_dns_map_add_zone(build->map, foundings[i].name, foundings[i].zone);
        if (status != HM_OK) {
            char text[HM_DNS_NAME_TEXT_BYTES];
            hm_buf_printf(error, "zone '%s' is there twice",
                          hm_dns_name_format(foundings[i].name, text));
            status = HM_BAD_CONFIG;
        }
    }
    hm_free(foundings);
    return status;
}

/* A zone among all of a builder's: forward ones first, then reverse ones. */
struct placed {
    const struct hm_dns_name *name;
    size_t place;
};

static int compare_placed(const void *left, const void *right)
{
    const struct placed *a = left;
    const struct placed *b = right;
    int order = hm_bytes_compare(hm_dns_name_bytes(a->name), hm_dns_name_bytes(b->name));
    return order ? order : (a->place > b->place) - (a->place < b->place);
}

static struct hm_dns_twice twice_at(const struct hm_dns_build *build, const struct placed *placed)
{
    bool reverse = placed->place >= build->forward_count;
    return (struct hm_dns_twice){
        .owner =
            reverse ? build->reverse[placed->place - build->forward_count].owner : placed->place,
        .reverse = reverse,
        .name = *placed->name,
    };
}

/* All zones in order of their names; those of one name in their order. */
static struct placed *sort_zones(const struct hm_dns_build *build)
{
    size_t count = build->forward_count + build->reverse_count;
    struct placed *all = hm_alloc(count, sizeof *all);
    for (size_t i = 0; i < count; i++) {
        const struct hm_dns_name *name = i < build->forward_count
                                             ? &build->forward[i].name
                                             : &build->reverse[i - build->forward_count].name;
        all[i] = (struct placed){name, i};
    }
    qsort(all, count, sizeof *all, compare_placed);
    return all;
}

size_t hm_dns_build_twice(const struct hm_dns_zone_config *zones, size_t count,
                          struct hm_dns_twice *out, size_t most)
{
    struct hm_dns_build *build = hm_alloc(1, sizeof *build);
    struct hm_buf error = {0};
    size_t found = 0;
    build->forward = hm_alloc(count, sizeof *build->forward);
    for (size_t i = 0; i < count; i++) {
        enum hm_status status = read_zone(build, &zones[i], &error);
        HM_ASSERT(status == HM_OK);
    }
    struct placed *all = sort_zones(build);
    for (size_t i = 1; i < build->forward_count + build->reverse_count && found < most; i++) {
        if (hm_dns_name_equal(all[i].name, all[i - 1].name)) {
            out[found++] = twice_at(build, &all[i]);
        }
    }
    hm_free(all);
    hm_buf_fini(&error);
    hm_dns_build_free(build);
    return found;
}

enum hm_status hm_dns_build_new(struct hm_dns_map *map, const struct hm_dns_view *view,
                                const struct hm_dns_zone_config *zones, size_t count,
                                struct hm_buf *error, struct hm_dns_build **out)
{
    struct hm_dns_build *build = hm_alloc(1, sizeof *build);
    build->map = map;
    build->view = *view;
    build->forward = hm_alloc(count, sizeof *build->forward);
    enum hm_status status = HM_OK;
    for (size_t i = 0; i < count && status == HM_OK; i++) {
        status = read_zone(build, &zones[i], error);
    }
    if (status == HM_OK) {
        urcu_qsbr_thread_online();
        status = found_zones(build, error);
        urcu_qsbr_thread_offline();
    }
    if (status != HM_OK) {
        hm_dns_build_free(build);
        return status;
    }
    *out = build;
    return HM_OK;
}

void hm_dns_build_free(struct hm_dns_build *build)
{
    for (size_t i = 0; i < build->forward_count; i++) {
        free_nameservers(build->forward[i].nameservers, build->forward[i].nameserver_count);
    }
    hm_free(build->forward);
    hm_free(build->reverse);
    hm_dns_gather_fini(&build->gather);
    hm_dns_holders_fini(&build->holders);
    hm_free(build);
}
