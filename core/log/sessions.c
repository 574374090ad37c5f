#include "core/log/sessions.h"

#include "core/base/memory.h"

#include <string.h>

/* The place of `id`, or where it would stand. */
static size_t place_of(const struct hm_sessions *sessions, const struct hm_id *id)
{
    size_t low = 0;
    size_t high = sessions->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (hm_id_compare(&sessions->items[middle].id, id) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static struct hm_session *find(const struct hm_sessions *sessions, const struct hm_id *id)
{
    size_t at = place_of(sessions, id);
    bool there = at < sessions->count && hm_id_equal(&sessions->items[at].id, id);
    return there ? &sessions->items[at] : NULL;
}

static struct hm_session *add(struct hm_sessions *sessions, const struct hm_id *id, uint64_t now_ms)
{
    size_t at = place_of(sessions, id);
    sessions->items =
        hm_grow(sessions->items, sessions->count, &sessions->capacity, sizeof *sessions->items);
    memmove(sessions->items + at + 1, sessions->items + at,
            (sessions->count - at) * sizeof *sessions->items);
    if (sessions->count++ == 0 || now_ms < sessions->oldest_ms) {
        sessions->oldest_ms = now_ms;
    }
    sessions->items[at] = (struct hm_session){.id = *id};
    return &sessions->items[at];
}

enum hm_status hm_sessions_note(struct hm_sessions *sessions, const struct hm_id *id, uint64_t seq,
                                uint64_t now_ms)
{
    struct hm_session *session = find(sessions, id);
    if (!session && sessions->count >= HM_SESSIONS_MAX) {
        return HM_FULL;
    }
    session = session ? session : add(sessions, id, now_ms);
    session->used_ms = now_ms;
    if (seq > session->last_seq) {
        uint64_t step = seq - session->last_seq;
        session->window = step < HM_SESSION_WINDOW ? session->window << step : 0;
        session->refused = step < HM_SESSION_WINDOW ? session->refused << step : 0;
        session->window |= 1;
        session->last_seq = seq;
        session->last_status = HM_OK;
        session->last_index = 0;
        return HM_OK;
    }
    uint64_t back = session->last_seq - seq;
    if (back >= HM_SESSION_WINDOW) {
        return HM_SESSION_EXPIRED;
    }
    uint64_t bit = (uint64_t)1 << back;
    if (session->window & bit) {
        return HM_EXISTS;
    }
    session->window |= bit;
    return HM_OK;
}

void hm_sessions_answered(struct hm_sessions *sessions, const struct hm_id *id, uint64_t seq,
                          const struct hm_outcome *outcome)
{
    struct hm_session *session = find(sessions, id);
    uint64_t back = session ? session->last_seq - seq : HM_SESSION_WINDOW;
    if (back >= HM_SESSION_WINDOW) {
        return;
    }
    if (back == 0) {
        session->last_status = (uint16_t)outcome->status;
        session->last_index = outcome->index;
    }
    session->refused |= (uint64_t)(outcome->status != HM_OK) << back;
}

bool hm_sessions_refused(const struct hm_sessions *sessions, const struct hm_id *id, uint64_t seq)
{
    const struct hm_session *session = find(sessions, id);
    uint64_t back = session ? session->last_seq - seq : HM_SESSION_WINDOW;
    return back < HM_SESSION_WINDOW && (session->refused >> back & 1);
}

const struct hm_session *hm_sessions_find(const struct hm_sessions *sessions,
                                          const struct hm_id *id)
{
    return find(sessions, id);
}

void hm_sessions_begin(struct hm_sessions *sessions, const struct hm_id *id, uint64_t seq,
                       uint64_t now_ms)
{
    hm_sessions_remove(sessions, id);
    if (seq && sessions->count < HM_SESSIONS_MAX) {
        struct hm_session *session = add(sessions, id, now_ms);
        session->last_seq = seq;
        session->window = 1;
        session->used_ms = now_ms;
    }
}

void hm_sessions_remove(struct hm_sessions *sessions, const struct hm_id *id)
{
    struct hm_session *session = find(sessions, id);
    if (session) {
        size_t behind = sessions->count - (size_t)(session - sessions->items) - 1;
        memmove(session, session + 1, behind * sizeof *session);
        sessions->count--;
    }
}

void hm_sessions_expire(struct hm_sessions *sessions, uint64_t limit_ms)
{
    if (sessions->count == 0 || sessions->oldest_ms >= limit_ms) {
        return;
    }
    size_t kept = 0;
    sessions->oldest_ms = UINT64_MAX;
    for (size_t i = 0; i < sessions->count; i++) {
        const struct hm_session *session = &sessions->items[i];
        if (session->used_ms >= limit_ms) {
            sessions->oldest_ms =
                session->used_ms < sessions->oldest_ms ? session->used_ms : sessions->oldest_ms;
            sessions->items[kept++] = *session;
        }
    }
    sessions->count = kept;
}

enum hm_status hm_sessions_load(struct hm_sessions *sessions, const struct hm_session *items,
                                size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (hm_id_is_none(&items[i].id) ||
            (i && hm_id_compare(&items[i - 1].id, &items[i].id) >= 0)) {
            return HM_BAD_BYTES;
        }
    }
    hm_sessions_fini(sessions);
    sessions->items = hm_alloc(count, sizeof *items);
    sessions->capacity = sessions->count = count;
    sessions->oldest_ms = UINT64_MAX;
    for (size_t i = 0; i < count; i++) {
        sessions->items[i] = items[i];
        sessions->oldest_ms =
            items[i].used_ms < sessions->oldest_ms ? items[i].used_ms : sessions->oldest_ms;
    }
    return HM_OK;
}

void hm_sessions_fini(struct hm_sessions *sessions)
{
    hm_free(sessions->items);
    *sessions = (struct hm_sessions){0};
}
