#include "ngx_hivemind/draft.h"
#include "core/base/hash.h"
#include "core/base/memory.h"

#include <ctype.h>
#include <string.h>

uint64_t hm_table_hash(struct hm_bytes name)
{
    return hm_hash(0, name);
}

void hm_table_lower(uint8_t *out, struct hm_bytes name)
{
    for (size_t i = 0; i < name.size; i++) {
        out[i] = (uint8_t)tolower(name.data[i]);
    }
}

static struct hm_bytes name_bytes(const struct hm_name *name)
{
    return (struct hm_bytes){(const uint8_t *)name->text, name->size};
}

enum hm_status hm_draft_service(struct hm_draft *draft, const struct hm_name *name,
                                uint32_t *service)
{
    if (name->size == 0) {
        return HM_BAD_ARGUMENT;
    }
    uint64_t hash = hm_table_hash(name_bytes(name));
    size_t cursor = 0;
    uint32_t slot;
    while ((slot = hm_index_next(&draft->service_index, hash, &cursor)) != HM_INDEX_END) {
        if (hm_name_equal(&draft->services[slot].name, name)) {
            *service = slot;
            return HM_OK;
        }
    }
    draft->services = hm_grow(draft->services, draft->service_count, &draft->service_capacity,
                              sizeof *draft->services);
    slot = (uint32_t)draft->service_count++;
    draft->services[slot] = (struct hm_draft_service){.name = *name};
    hm_index_add(&draft->service_index, hash, slot);
    *service = slot;
    return HM_OK;
}

static uint64_t addr_hash(const struct hm_addr *addr)
{
    return hm_hash(addr->port, (struct hm_bytes){addr->ip, sizeof addr->ip});
}

enum hm_status hm_draft_endpoint(struct hm_draft *draft, uint32_t service,
                                 const struct hm_table_endpoint *endpoint)
{
    if (service >= draft->service_count || hm_addr_is_none(&endpoint->addr) ||
        endpoint->addr.port == 0 || (unsigned)endpoint->state >= HM_TABLE_STATES) {
        return HM_BAD_ARGUMENT;
    }
    struct hm_table_endpoint fitted = *endpoint;
    if (fitted.weight == 0) {
        fitted.weight = 1;
    } else if (fitted.weight > HM_TABLE_WEIGHT_MAX) {
        fitted.weight = HM_TABLE_WEIGHT_MAX;
    }
    struct hm_draft_service *into = &draft->services[service];
    uint64_t hash = addr_hash(&fitted.addr);
    size_t cursor = 0;
    uint32_t slot;
    while ((slot = hm_index_next(&into->index, hash, &cursor)) != HM_INDEX_END) {
        if (hm_addr_equal(&into->endpoints[slot].addr, &fitted.addr)) {
            into->endpoints[slot] = fitted;
            return HM_OK;
        }
    }
    into->endpoints = hm_grow(into->endpoints, into->endpoint_count, &into->endpoint_capacity,
                              sizeof *into->endpoints);
    slot = (uint32_t)into->endpoint_count++;
    into->endpoints[slot] = fitted;
    hm_index_add(&into->index, hash, slot);
    return HM_OK;
}

enum hm_status hm_draft_vhost(struct hm_draft *draft, struct hm_bytes name, uint32_t service)
{
    if (name.size == 0 || name.size > HM_TABLE_VHOST_MAX || service >= draft->service_count) {
        return HM_BAD_ARGUMENT;
    }
    struct hm_draft_vhost vhost = {.size = (uint8_t)name.size, .service = service};
    hm_table_lower(vhost.name, name);
    struct hm_bytes lower = {vhost.name, name.size};
    uint64_t hash = hm_table_hash(lower);
    size_t cursor = 0;
    uint32_t slot;
    while ((slot = hm_index_next(&draft->vhost_index, hash, &cursor)) != HM_INDEX_END) {
        const struct hm_draft_vhost *other = &draft->vhosts[slot];
        if (hm_bytes_equal(lower, (struct hm_bytes){other->name, other->size})) {
            return HM_EXISTS;
        }
    }
    draft->vhosts =
        hm_grow(draft->vhosts, draft->vhost_count, &draft->vhost_capacity, sizeof *draft->vhosts);
    slot = (uint32_t)draft->vhost_count++;
    draft->vhosts[slot] = vhost;
    hm_index_add(&draft->vhost_index, hash, slot);
    return HM_OK;
}

void hm_draft_fini(struct hm_draft *draft)
{
    for (size_t i = 0; i < draft->service_count; i++) {
        hm_free(draft->services[i].endpoints);
        hm_index_fini(&draft->services[i].index);
    }
    hm_free(draft->services);
    hm_free(draft->vhosts);
    hm_index_fini(&draft->service_index);
    hm_index_fini(&draft->vhost_index);
    *draft = (struct hm_draft){0};
}
