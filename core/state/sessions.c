#include "core/state/sessions.h"

#include "core/base/memory.h"

#include <string.h>

#define WINDOW_BITS 64u

static struct hm_session *find_or_add(struct hm_sessions *sessions, const struct hm_id *id)
{
    size_t at = 0;
    while (at < sessions->count && hm_id_compare(&sessions->items[at].id, id) < 0) {
        at++;
    }
    if (at < sessions->count && hm_id_equal(&sessions->items[at].id, id)) {
        return &sessions->items[at];
    }
    sessions->items =
        hm_grow(sessions->items, sessions->count, &sessions->capacity, sizeof *sessions->items);
    memmove(sessions->items + at + 1, sessions->items + at,
            (sessions->count - at) * sizeof *sessions->items);
    sessions->count++;
    sessions->items[at] = (struct hm_session){.id = *id};
    return &sessions->items[at];
}

enum hm_status hm_sessions_note(struct hm_sessions *sessions, const struct hm_id *id, uint64_t seq,
                                uint64_t now_ms)
{
    struct hm_session *session = find_or_add(sessions, id);
    session->used_ms = now_ms;
    if (seq > session->last_seq) {
        uint64_t step = seq - session->last_seq;
        session->window = step < WINDOW_BITS ? session->window << step : 0;
        session->window |= 1;
        session->last_seq = seq;
        return HM_OK;
    }
    uint64_t back = session->last_seq - seq;
    if (back >= WINDOW_BITS) {
        return HM_SESSION_EXPIRED;
    }
    uint64_t bit = (uint64_t)1 << back;
    if (session->window & bit) {
        return HM_EXISTS;
    }
    session->window |= bit;
    return HM_OK;
}

static void remove_at(struct hm_sessions *sessions, size_t at)
{
    sessions->count--;
    memmove(sessions->items + at, sessions->items + at + 1,
            (sessions->count - at) * sizeof *sessions->items);
}

void hm_sessions_remove(struct hm_sessions *sessions, const struct hm_id *id)
{
    for (size_t i = 0; i < sessions->count; i++) {
        if (hm_id_equal(&sessions->items[i].id, id)) {
            remove_at(sessions, i);
            return;
        }
    }
}

void hm_sessions_expire(struct hm_sessions *sessions, uint64_t limit_ms)
{
    for (size_t i = sessions->count; i > 0; i--) {
        if (sessions->items[i - 1].used_ms < limit_ms) {
            remove_at(sessions, i - 1);
        }
    }
}

void hm_sessions_fini(struct hm_sessions *sessions)
{
    hm_free(sessions->items);
    *sessions = (struct hm_sessions){0};
}
