#include "ngx_hivemind/snapshot.h"

#include "core/base/assert.h"
#include "core/base/hash.h"
#include "core/base/memory.h"
#include "ngx_hivemind/draft.h"

#include <string.h>

const char *hm_table_state_name(enum hm_table_state state)
{
    switch (state) {
    case HM_TABLE_PASSING:
        return "passing";
    case HM_TABLE_SUSPECT:
        return "suspect";
    case HM_TABLE_DRAINING:
        return "draining";
    case HM_TABLE_STATES:
        break;
    }
    return "unknown";
}

/* Counted in 64 bits: a draft too large for a snapshot must not wrap. */
struct plan {
    uint64_t services, endpoints, vhosts, text, service_slots, vhost_slots;
    uint64_t size;
};

/* A power of two that leaves a quarter free, so that a search ends soon. */
static uint64_t slots_for(uint64_t count)
{
    uint64_t slots = count ? 4 : 0;
    while (slots && slots * 3 < count * 4) {
        slots *= 2;
    }
    return slots;
}

static struct plan plan_of(const struct hm_draft *draft)
{
    struct plan plan = {.services = draft->service_count, .vhosts = draft->vhost_count};
    for (size_t i = 0; i < draft->service_count; i++) {
        const struct hm_draft_service *service = &draft->services[i];
        plan.text += service->name.size;
        plan.endpoints += service->endpoint_count;
        for (size_t j = 0; j < service->endpoint_count; j++) {
            plan.text += service->endpoints[j].host.size;
        }
    }
    for (size_t i = 0; i < draft->vhost_count; i++) {
        plan.text += draft->vhosts[i].size;
    }
    plan.service_slots = slots_for(plan.services);
    plan.vhost_slots = slots_for(plan.vhosts);
    plan.size = (HEADER_WORDS + plan.services * SERVICE_WORDS + plan.endpoints * ENDPOINT_WORDS +
                 plan.vhosts * VHOST_WORDS + plan.service_slots + plan.vhost_slots) *
                    WORD +
                plan.text;
    return plan;
}

size_t hm_table_snapshot_bytes(const struct hm_draft *draft)
{
    return plan_of(draft).size;
}

/* Where each part is written next. */
struct pen {
    uint32_t *service, *endpoint, *vhost;
    uint8_t *text_start, *text;
    uint32_t endpoint_count;
};

static uint32_t put_text(struct pen *pen, const void *text, size_t size)
{
    uint32_t offset = (uint32_t)(pen->text - pen->text_start);
    memcpy(pen->text, text, size);
    pen->text += size;
    return offset;
}

static void put_endpoint(struct pen *pen, const struct hm_table_endpoint *endpoint, uint32_t before)
{
    uint32_t *words = pen->endpoint;
    memcpy(words + ENDPOINT_IP, endpoint->addr.ip, sizeof endpoint->addr.ip);
    words[ENDPOINT_PORT] = endpoint->addr.port | (uint32_t)endpoint->addr.family << 16 |
                           (uint32_t)endpoint->state << 24;
    words[ENDPOINT_WEIGHT] = endpoint->weight;
    words[ENDPOINT_BEFORE] = before;
    words[ENDPOINT_HOST] = put_text(pen, endpoint->host.text, endpoint->host.size);
    words[ENDPOINT_HOST_SIZE] = endpoint->host.size;
    pen->endpoint += ENDPOINT_WORDS;
    pen->endpoint_count++;
}

static void put_service(struct pen *pen, const struct hm_draft_service *service)
{
    uint32_t *words = pen->service;
    words[SERVICE_NAME] = put_text(pen, service->name.text, service->name.size);
    words[SERVICE_NAME_SIZE] = service->name.size;
    words[SERVICE_FIRST] = pen->endpoint_count;
    for (unsigned state = 0; state < HM_TABLE_STATES; state++) {
        uint32_t count = 0, weight = 0;
        for (size_t i = 0; i < service->endpoint_count; i++) {
            if (service->endpoints[i].state == (enum hm_table_state)state) {
                put_endpoint(pen, &service->endpoints[i], weight);
                weight += service->endpoints[i].weight;
                count++;
            }
        }
        words[SERVICE_COUNTS + state] = count;
        words[SERVICE_WEIGHTS + state] = weight;
    }
    pen->service += SERVICE_WORDS;
}

static void put_slot(uint32_t *table, uint64_t slots, struct hm_bytes name, uint32_t number)
{
    uint64_t at = hm_table_hash(name) & (slots - 1);
    while (table[at]) {
        at = (at + 1) & (slots - 1);
    }
    table[at] = number + 1;
}

static bool weights_fit(const struct hm_draft *draft)
{
    for (size_t i = 0; i < draft->service_count; i++) {
        uint64_t sum = 0;
        for (size_t j = 0; j < draft->services[i].endpoint_count; j++) {
            sum += draft->services[i].endpoints[j].weight;
        }
        if (sum > UINT32_MAX) {
            return false;
        }
    }
    return true;
}

enum hm_status hm_table_snapshot_encode(const struct hm_draft *draft, void *out, size_t size)
{
    struct plan plan = plan_of(draft);
    if (plan.size > size || plan.size > UINT32_MAX || !weights_fit(draft)) {
        return HM_TOO_LARGE;
    }
    uint32_t *header = out;
    memset(out, 0, plan.size);
    header[HEADER_USED] = (uint32_t)plan.size;
    header[HEADER_SERVICES] = (uint32_t)plan.services;
    header[HEADER_ENDPOINTS] = (uint32_t)plan.endpoints;
    header[HEADER_VHOSTS] = (uint32_t)plan.vhosts;
    header[HEADER_TEXT] = (uint32_t)plan.text;
    header[HEADER_SERVICE_SLOTS] = (uint32_t)plan.service_slots;
    header[HEADER_VHOST_SLOTS] = (uint32_t)plan.vhost_slots;

    struct pen pen = {.service = header + HEADER_WORDS};
    pen.endpoint = pen.service + plan.services * SERVICE_WORDS;
    pen.vhost = pen.endpoint + plan.endpoints * ENDPOINT_WORDS;
    uint32_t *service_table = pen.vhost + plan.vhosts * VHOST_WORDS;
    uint32_t *vhost_table = service_table + plan.service_slots;
    pen.text_start = pen.text = (uint8_t *)(vhost_table + plan.vhost_slots);

    for (uint32_t i = 0; i < plan.services; i++) {
        const struct hm_name *name = &draft->services[i].name;
        put_service(&pen, &draft->services[i]);
        put_slot(service_table, plan.service_slots,
                 (struct hm_bytes){(const uint8_t *)name->text, name->size}, i);
    }
    for (uint32_t i = 0; i < plan.vhosts; i++, pen.vhost += VHOST_WORDS) {
        const struct hm_draft_vhost *vhost = &draft->vhosts[i];
        pen.vhost[VHOST_NAME] = put_text(&pen, vhost->name, vhost->size);
        pen.vhost[VHOST_NAME_SIZE] = vhost->size;
        pen.vhost[VHOST_SERVICE] = vhost->service;
        put_slot(vhost_table, plan.vhost_slots, (struct hm_bytes){vhost->name, vhost->size}, i);
    }
    HM_ASSERT(pen.text == (uint8_t *)out + plan.size);
    header[HEADER_CHECKSUM] =
        hm_crc32c(0, (struct hm_bytes){(uint8_t *)out + WORD, plan.size - WORD});
    return HM_OK;
}

size_t hm_table_snapshot_used(const void *data, size_t size)
{
    struct hm_table_view view;
    return hm_table_view_open(&view, data, size) ? view.size : 0;
}

bool hm_table_snapshot_is_sound(const void *data, size_t size)
{
    size_t used = hm_table_snapshot_used(data, size);
    uint32_t checksum;
    if (used == 0) {
        return false;
    }
    memcpy(&checksum, data, sizeof checksum);
    return checksum == hm_crc32c(0, (struct hm_bytes){(const uint8_t *)data + WORD, used - WORD});
}
