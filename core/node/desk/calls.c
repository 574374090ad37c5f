#include "core/node/desk/calls.h"

#include "core/base/memory.h"

struct hm_call *hm_calls_add(struct hm_calls *calls, enum hm_call_kind kind, uint64_t user)
{
    calls->items = hm_grow(calls->items, calls->count, &calls->capacity, sizeof *calls->items);
    calls->due = calls->count ? calls->due : HM_NEVER;
    struct hm_call *call = &calls->items[calls->count++];
    *call = (struct hm_call){.id = ++calls->last_id,
                             .kind = kind,
                             .user = user,
                             .retry_at = HM_NEVER,
                             .deadline = HM_NEVER};
    hm_index_add(&calls->by_id, call->id, (uint32_t)(calls->count - 1));
    return call;
}

struct hm_call *hm_calls_find(struct hm_calls *calls, uint64_t id)
{
    size_t cursor = 0;
    uint32_t slot;
    while ((slot = hm_index_next(&calls->by_id, id, &cursor)) != HM_INDEX_END) {
        if (calls->items[slot].id == id) {
            return &calls->items[slot];
        }
    }
    return NULL;
}

struct hm_call hm_calls_take(struct hm_calls *calls, struct hm_call *call)
{
    struct hm_call taken = *call;
    uint32_t slot = (uint32_t)(call - calls->items);
    uint32_t last = (uint32_t)--calls->count;
    hm_index_remove(&calls->by_id, taken.id, slot);
    if (slot != last) {
        *call = calls->items[last];
        hm_index_remove(&calls->by_id, call->id, last);
        hm_index_add(&calls->by_id, call->id, slot);
    }
    return taken;
}

void hm_calls_remove(struct hm_calls *calls, uint64_t id)
{
    struct hm_call *call = hm_calls_find(calls, id);
    if (call) {
        struct hm_call taken = hm_calls_take(calls, call);
        hm_buf_fini(&taken.message);
    }
}

void hm_calls_timed(struct hm_calls *calls, const struct hm_call *call)
{
    hm_ms due = call->retry_at < call->deadline ? call->retry_at : call->deadline;
    calls->due = due < calls->due ? due : calls->due;
}

hm_ms hm_calls_deadline(const struct hm_calls *calls)
{
    return calls->count ? calls->due : HM_NEVER;
}

void hm_calls_look(struct hm_calls *calls)
{
    calls->due = HM_NEVER;
    for (size_t i = 0; i < calls->count; i++) {
        hm_calls_timed(calls, &calls->items[i]);
    }
}

void hm_calls_fini(struct hm_calls *calls)
{
    for (size_t i = 0; i < calls->count; i++) {
        hm_buf_fini(&calls->items[i].message);
    }
    hm_free(calls->items);
    hm_index_fini(&calls->by_id);
    *calls = (struct hm_calls){0};
}
