#include "ngx_hivemind/draft.h"

#include <string.h>

/* One word, read once: the compiler must not go back to memory that another process may have
 * changed between the check and the use. */
static uint32_t word_at(const struct hm_table_view *view, size_t offset, size_t word)
{
    return __atomic_load_n((const uint32_t *)(const void *)(view->data + offset) + word,
                           __ATOMIC_RELAXED);
}

static bool text_at(const struct hm_table_view *view, uint32_t offset, uint32_t size,
                    struct hm_bytes *out)
{
    if (offset > view->text_bytes || size > view->text_bytes - offset) {
        return false;
    }
    *out = (struct hm_bytes){view->data + view->text + offset, size};
    return true;
}

static bool slots_possible(uint32_t slots, uint32_t count)
{
    return (slots & (slots - 1)) == 0 && (count == 0 || slots > count);
}

bool hm_table_view_open(struct hm_table_view *view, const void *data, size_t size)
{
    struct hm_table_view open = {.data = data, .size = size};
    if (size < HEADER_WORDS * WORD || (uintptr_t)data % WORD != 0) {
        return false;
    }
    uint64_t used = word_at(&open, 0, HEADER_USED);
    open.service_count = word_at(&open, 0, HEADER_SERVICES);
    open.endpoint_count = word_at(&open, 0, HEADER_ENDPOINTS);
    open.vhost_count = word_at(&open, 0, HEADER_VHOSTS);
    open.text_bytes = word_at(&open, 0, HEADER_TEXT);
    open.service_slots = word_at(&open, 0, HEADER_SERVICE_SLOTS);
    open.vhost_slots = word_at(&open, 0, HEADER_VHOST_SLOTS);

    /* In 64 bits, and each count below 2^32: the sums cannot wrap. */
    uint64_t at = HEADER_WORDS * WORD;
    uint64_t services = at, endpoints, vhosts, service_table, vhost_table, text;
    endpoints = services + (uint64_t)open.service_count * SERVICE_WORDS * WORD;
    vhosts = endpoints + (uint64_t)open.endpoint_count * ENDPOINT_WORDS * WORD;
    service_table = vhosts + (uint64_t)open.vhost_count * VHOST_WORDS * WORD;
    vhost_table = service_table + (uint64_t)open.service_slots * WORD;
    text = vhost_table + (uint64_t)open.vhost_slots * WORD;
    if (used > size || text + open.text_bytes != used ||
        !slots_possible(open.service_slots, open.service_count) ||
        !slots_possible(open.vhost_slots, open.vhost_count)) {
        return false;
    }
    open.size = (size_t)used;
    open.services = (size_t)services;
    open.endpoints = (size_t)endpoints;
    open.vhosts = (size_t)vhosts;
    open.service_table = (size_t)service_table;
    open.vhost_table = (size_t)vhost_table;
    open.text = (size_t)text;
    *view = open;
    return true;
}

bool hm_table_view_service_at(const struct hm_table_view *view, uint32_t number,
                              struct hm_table_service *out)
{
    if (number >= view->service_count) {
        return false;
    }
    size_t at = view->services + (size_t)number * SERVICE_WORDS * WORD;
    struct hm_table_service service = {.first = word_at(view, at, SERVICE_FIRST)};
    uint64_t end = service.first;
    for (unsigned state = 0; state < HM_TABLE_STATES; state++) {
        service.counts[state] = word_at(view, at, SERVICE_COUNTS + state);
        service.weights[state] = word_at(view, at, SERVICE_WEIGHTS + state);
        end += service.counts[state];
    }
    struct hm_bytes name;
    if (end > view->endpoint_count ||
        !text_at(view, word_at(view, at, SERVICE_NAME), word_at(view, at, SERVICE_NAME_SIZE),
                 &name) ||
        name.size > HM_NAME_MAX) {
        return false;
    }
    service.name.size = (uint8_t)name.size;
    memcpy(service.name.text, name.data, name.size);
    *out = service;
    return true;
}

bool hm_table_view_service(const struct hm_table_view *view, const struct hm_name *name,
                           struct hm_table_service *out)
{
    uint64_t hash = hm_table_hash((struct hm_bytes){(const uint8_t *)name->text, name->size});
    for (uint32_t tries = 0; tries < view->service_slots; tries++) {
        size_t slot = (hash + tries) & (view->service_slots - 1);
        uint32_t number = word_at(view, view->service_table, slot);
        struct hm_table_service service;
        if (number == 0 || !hm_table_view_service_at(view, number - 1, &service)) {
            return false;
        }
        if (hm_name_equal(&service.name, name)) {
            *out = service;
            return true;
        }
    }
    return false;
}

bool hm_table_view_vhost_at(const struct hm_table_view *view, uint32_t number, uint8_t *name,
                            size_t *size, uint32_t *service)
{
    if (number >= view->vhost_count) {
        return false;
    }
    size_t at = view->vhosts + (size_t)number * VHOST_WORDS * WORD;
    struct hm_bytes text;
    if (!text_at(view, word_at(view, at, VHOST_NAME), word_at(view, at, VHOST_NAME_SIZE), &text) ||
        text.size > HM_TABLE_VHOST_MAX) {
        return false;
    }
    memcpy(name, text.data, text.size);
    *size = text.size;
    *service = word_at(view, at, VHOST_SERVICE);
    return true;
}

bool hm_table_view_vhost(const struct hm_table_view *view, struct hm_bytes vhost,
                         struct hm_table_service *out)
{
    uint8_t lower[HM_TABLE_VHOST_MAX];
    if (vhost.size == 0 || vhost.size > HM_TABLE_VHOST_MAX) {
        return false;
    }
    hm_table_lower(lower, vhost);
    uint64_t hash = hm_table_hash((struct hm_bytes){lower, vhost.size});
    for (uint32_t tries = 0; tries < view->vhost_slots; tries++) {
        size_t slot = (hash + tries) & (view->vhost_slots - 1);
        uint32_t number = word_at(view, view->vhost_table, slot);
        uint8_t name[HM_TABLE_VHOST_MAX];
        size_t size;
        uint32_t service;
        if (number == 0 || !hm_table_view_vhost_at(view, number - 1, name, &size, &service)) {
            return false;
        }
        if (size == vhost.size && memcmp(name, lower, size) == 0) {
            return hm_table_view_service_at(view, service, out);
        }
    }
    return false;
}

bool hm_table_view_endpoint(const struct hm_table_view *view, uint32_t number,
                            struct hm_table_endpoint *out)
{
    if (number >= view->endpoint_count) {
        return false;
    }
    size_t at = view->endpoints + (size_t)number * ENDPOINT_WORDS * WORD;
    uint32_t port = word_at(view, at, ENDPOINT_PORT);
    uint32_t family = port >> 16 & 0xff, state = port >> 24;
    struct hm_table_endpoint endpoint = {
        .addr = {.family = (uint8_t)family, .port = (uint16_t)port},
        .weight = word_at(view, at, ENDPOINT_WEIGHT),
        .state = (enum hm_table_state)state,
    };
    struct hm_bytes host;
    if ((family != 4 && family != 6) || state >= HM_TABLE_STATES ||
        !text_at(view, word_at(view, at, ENDPOINT_HOST), word_at(view, at, ENDPOINT_HOST_SIZE),
                 &host) ||
        host.size > HM_NAME_MAX) {
        return false;
    }
    memcpy(endpoint.addr.ip, view->data + at, hm_addr_ip_bytes(&endpoint.addr));
    endpoint.host.size = (uint8_t)host.size;
    memcpy(endpoint.host.text, host.data, host.size);
    *out = endpoint;
    return true;
}

uint32_t hm_table_view_weight_before(const struct hm_table_view *view, uint32_t number)
{
    if (number >= view->endpoint_count) {
        return 0;
    }
    return word_at(view, view->endpoints + (size_t)number * ENDPOINT_WORDS * WORD, ENDPOINT_BEFORE);
}
