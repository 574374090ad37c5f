#include "core/node/catalog/held.h"

#include "core/base/memory.h"

#include <string.h>

/* Where copies go, one behind the other. Without memory it only measures. */
struct packer {
    uint8_t *memory;
    size_t used;
};

/* The copy; NULL when measuring. */
static void *pack(struct packer *packer, const void *from, size_t size, size_t alignment)
{
    size_t at = (packer->used + alignment - 1) / alignment * alignment;
    packer->used = at + size;
    if (packer->memory && size) {
        memcpy(packer->memory + at, from, size);
    }
    return packer->memory ? packer->memory + at : NULL;
}

#define PACK_LIST(packer, list, count) \
    pack(packer, list, (count) * sizeof *(list), _Alignof(max_align_t))

static void pack_config(struct packer *packer, const struct hm_host_config *from,
                        struct hm_host_config *to)
{
    *to = *from;
    to->addresses = PACK_LIST(packer, from->addresses, from->addresses_count);
    to->tags = PACK_LIST(packer, from->tags, from->tags_count);
    to->services = PACK_LIST(packer, from->services, from->services_count);
    for (uint32_t i = 0; i < from->services_count; i++) {
        const struct hm_service *service = &from->services[i];
        struct hm_label *tags = PACK_LIST(packer, service->tags, service->tags_count);
        struct hm_domain *vhosts = PACK_LIST(packer, service->vhosts, service->vhosts_count);
        for (uint32_t j = 0; j < service->vhosts_count; j++) {
            const struct hm_bytes *name = &service->vhosts[j].name;
            const uint8_t *text = pack(packer, name->data, name->size, 1);
            if (vhosts) {
                vhosts[j].name.data = text;
            }
        }
        if (to->services) {
            to->services[i].tags = tags;
            to->services[i].vhosts = vhosts;
        }
    }
}

enum hm_status hm_held_read(struct hm_bytes bytes, struct hm_held *out)
{
    struct hm_arena arena = {0};
    struct hm_message message;
    struct packer packer = {0};
    struct hm_held held;
    enum hm_status status = hm_message_decode_only(bytes, HM_MSG_host_config, &arena, &message);
    if (status == HM_OK) {
        pack_config(&packer, &message.host_config, &held.config);
        held.memory = hm_alloc(packer.used + 1, 1);
        packer = (struct packer){.memory = held.memory};
        pack_config(&packer, &message.host_config, &held.config);
        *out = held;
    }
    hm_arena_fini(&arena);
    return status;
}

void hm_held_fini(struct hm_held *held)
{
    hm_free(held->memory);
    *held = (struct hm_held){0};
}
