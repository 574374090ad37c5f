#include "core/names/owners.h"

#include "core/base/hash.h"
#include "core/base/memory.h"

#include <stddef.h>
#include <string.h>

struct hm_bytes names_owner_text(const struct names_owner *owner)
{
    return (struct hm_bytes){owner->text, owner->size};
}

struct names_owner *names_owners_find(const struct names_owners *owners, struct hm_bytes text)
{
    size_t cursor = 0;
    uint32_t slot;
    uint64_t hash = hm_hash(0, text);
    while ((slot = hm_index_next(&owners->by_text, hash, &cursor)) != HM_INDEX_END) {
        if (hm_bytes_equal(names_owner_text(owners->items[slot]), text)) {
            return owners->items[slot];
        }
    }
    return NULL;
}

static uint32_t take_slot(struct names_owners *owners)
{
    if (owners->slots > owners->count) {
        return owners->vacant[owners->slots - owners->count - 1];
    }
    owners->items =
        hm_grow(owners->items, owners->slots, &owners->capacity, sizeof(struct names_owner *));
    return (uint32_t)owners->slots++;
}

struct names_owner *names_owners_take(struct names_owners *owners, struct hm_bytes text)
{
    struct names_owner *owner = names_owners_find(owners, text);
    if (!owner) {
        owner = hm_alloc(1, offsetof(struct names_owner, text) + text.size);
        owner->slot = take_slot(owners);
        owner->size = (uint8_t)text.size;
        memcpy(owner->text, text.data, text.size);
        owners->items[owner->slot] = owner;
        owners->count++;
        hm_index_add(&owners->by_text, hm_hash(0, text), owner->slot);
    }
    owner->names++;
    return owner;
}

void names_owners_drop(struct names_owners *owners, struct names_owner *owner)
{
    if (--owner->names) {
        return;
    }
    hm_index_remove(&owners->by_text, hm_hash(0, names_owner_text(owner)), owner->slot);
    owners->vacant = hm_grow(owners->vacant, owners->slots - owners->count,
                             &owners->vacant_capacity, sizeof *owners->vacant);
    owners->vacant[owners->slots - owners->count] = owner->slot;
    owners->items[owner->slot] = NULL;
    owners->count--;
    hm_free(owner);
}

void names_owners_fini(struct names_owners *owners)
{
    for (size_t i = 0; i < owners->slots; i++) {
        hm_free(owners->items[i]);
    }
    hm_free(owners->items);
    hm_free(owners->vacant);
    hm_index_fini(&owners->by_text);
    *owners = (struct names_owners){0};
}
