#include "core/node/calls.h"

#include "core/base/memory.h"

struct hm_call *hm_calls_add(struct hm_calls *calls, enum hm_call_kind kind, uint64_t user)
{
    calls->items = hm_grow(calls->items, calls->count, &calls->capacity, sizeof *calls->items);
    struct hm_call *call = &calls->items[calls->count++];
    *call = (struct hm_call){.id = ++calls->last_id,
                             .kind = kind,
                             .user = user,
                             .retry_at = HM_NEVER,
                             .deadline = HM_NEVER};
    return call;
}

struct hm_call *hm_calls_find(struct hm_calls *calls, uint64_t id)
{
    for (size_t i = 0; i < calls->count; i++) {
        if (calls->items[i].id == id) {
            return &calls->items[i];
        }
    }
    return NULL;
}

void hm_calls_remove(struct hm_calls *calls, uint64_t id)
{
    struct hm_call *call = hm_calls_find(calls, id);
    if (call) {
        hm_buf_fini(&call->message);
        *call = calls->items[--calls->count];
    }
}

hm_ms hm_calls_deadline(const struct hm_calls *calls)
{
    hm_ms soonest = HM_NEVER;
    for (size_t i = 0; i < calls->count; i++) {
        const struct hm_call *call = &calls->items[i];
        hm_ms due = call->retry_at < call->deadline ? call->retry_at : call->deadline;
        soonest = due < soonest ? due : soonest;
    }
    return soonest;
}

void hm_calls_fini(struct hm_calls *calls)
{
    for (size_t i = 0; i < calls->count; i++) {
        hm_buf_fini(&calls->items[i].message);
    }
    hm_free(calls->items);
    *calls = (struct hm_calls){0};
}
