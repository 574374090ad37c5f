#include "core/base/assert.h"
#include "core/base/memory.h"
#include "core/state/state_internal.h"

#include <stdio.h>

struct hm_state *hm_state_new(void)
{
    struct hm_state *state = hm_alloc(1, sizeof *state);
    state->events = hm_alloc(HM_STATE_EVENTS_MAX, sizeof *state->events);
    state->oldest = 1;
    return state;
}

void hm_state_keep_rings(struct hm_state *state, uint32_t rings)
{
    hm_members_keep_rings(&state->view.members, rings, true);
}

void hm_state_free(struct hm_state *state)
{
    if (!state) {
        return;
    }
    hm_state_forget_events(state);
    hm_free(state->events);
    hm_view_fini(&state->view);
    hm_claims_fini(&state->claims);
    hm_state_set_fallen(state, NULL, 0);
    hm_shares_free(state);
    hm_free(state->fallen);
    hm_buf_fini(&state->said);
    hm_free(state);
}

const struct hm_view *hm_state_view(const struct hm_state *state)
{
    return &state->view;
}

/* ---- events ---- */

void hm_state_hold(struct hm_state *state, const struct hm_event *event)
{
    struct hm_event *slot = &state->events[event->index % HM_STATE_EVENTS_MAX];
    hm_bytes_free(slot->body);
    *slot = *event;
    slot->body = hm_bytes_copy(event->body);
    if (event->index >= HM_STATE_EVENTS_MAX &&
        state->oldest <= event->index - HM_STATE_EVENTS_MAX) {
        state->oldest = event->index - HM_STATE_EVENTS_MAX + 1;
    }
}

void hm_state_forget_events(struct hm_state *state)
{
    for (size_t i = 0; i < HM_STATE_EVENTS_MAX; i++) {
        hm_bytes_free(state->events[i].body);
        state->events[i] = (struct hm_event){0};
    }
    state->oldest = state->view.index + 1;
}

static bool is_in_members(enum hm_message_kind kind)
{
    return (kind >= HM_MSG_member_joined && kind <= HM_MSG_epoch_raised) ||
           kind == HM_MSG_user_event;
}

static bool is_in_state(enum hm_message_kind kind)
{
    return (kind >= HM_MSG_epoch_raised && kind <= HM_MSG_host_removed) ||
           kind == HM_MSG_lite_kept || kind == HM_MSG_lite_gone;
}

uint32_t hm_state_feature(const struct hm_state *state)
{
    return state->feature;
}

/* Usually the first member says that it does not rise. */
static void raise_feature(struct hm_state *state)
{
    const struct hm_members *members = &state->view.members;
    uint32_t lowest = members->count ? UINT32_MAX : state->feature;
    for (size_t i = 0; i < members->count && lowest > state->feature; i++) {
        uint32_t feature = members->items[i]->feature;
        lowest = feature < lowest ? feature : lowest;
    }
    state->feature = lowest > state->feature ? lowest : state->feature;
}

void hm_state_emit(struct hm_state *state, const struct hm_message *body, struct hm_outcome *out)
{
    struct hm_buf bytes = {0};
    hm_message_encode(&bytes, body);
    const struct hm_view *view = &state->view;
    struct hm_event event = {
        .index = view->index + 1,
        .epoch = body->kind == HM_MSG_epoch_raised ? body->epoch_raised.epoch : view->epoch,
        .time_ms = state->time_ms,
        .origin = state->origin,
        .members_position = is_in_members(body->kind) ? view->members_position + 1 : 0,
        .state_position = is_in_state(body->kind) ? view->state_position + 1 : 0,
        .body = hm_buf_view(&bytes),
    };
    enum hm_status status = hm_view_evolve(&state->view, &event);
    HM_ASSERT(status == HM_OK);
    if (is_in_members(body->kind)) {
        raise_feature(state);
    }
    hm_shares_note(state, body);
    hm_state_hold(state, &event);
    hm_buf_fini(&bytes);
    out->index = event.index;
    out->events++;
}

void hm_state_emit_record(struct hm_state *state, const char *scope, struct hm_bytes key,
                          const struct hm_bytes *value, struct hm_outcome *out)
{
    struct hm_message body = {.kind = HM_MSG_record_changed};
    body.record_changed.change =
        (struct hm_change){.scope = hm_name_of(scope), .key = key, .present = value != NULL};
    if (value) {
        body.record_changed.change.value = *value;
    }
    hm_state_emit(state, &body, out);
}

void hm_state_events_held(const struct hm_state *state, uint64_t *oldest, uint64_t *newest)
{
    *oldest = state->oldest;
    *newest = state->view.index;
}

const struct hm_event *hm_state_event(const struct hm_state *state, uint64_t index)
{
    bool held = index >= state->oldest && index <= state->view.index;
    return held ? &state->events[index % HM_STATE_EVENTS_MAX] : NULL;
}

/* ---- requests ---- */

/* Only members have sessions: anybody could open others without end. What a stranger asks for says
 * the same when it is said twice, but for a write. */
static enum hm_status admit(void *context, const struct hm_log_entry *entry)
{
    const struct hm_state *state = context;
    struct hm_reader in = hm_reader_of(entry->request);
    if (hm_members_find(&state->view.members, &entry->session)) {
        return HM_OK;
    }
    return hm_get_varint(&in) == HM_MSG_request_write ? HM_SESSION_EXPIRED : HM_NOT_FOUND;
}

static void apply(void *context, const struct hm_log_entry *entry, struct hm_outcome *out)
{
    struct hm_state *state = context;
    struct hm_arena arena = {0};
    struct hm_message message;
    struct hm_reader in = hm_reader_of(entry->request);
    out->index = 0;
    state->time_ms = entry->time_ms;
    state->origin = entry->session;
    state->sessions = entry->sessions;
    if (hm_message_decode(&in, &arena, &message) != HM_OK) {
        out->status = HM_BAD_BYTES;
        snprintf(out->reason, sizeof out->reason, "the request is malformed");
    } else {
        hm_state_decide(state, &message, out);
    }
    hm_arena_fini(&arena);
}

/* A host config is told from a repeated one by its version: deciding it again emits nothing, and
 * finds the index, and who has what it asked for. */
static void repeat(void *context, const struct hm_log_entry *entry, struct hm_outcome *out)
{
    struct hm_reader in = hm_reader_of(entry->request);
    if (hm_get_varint(&in) == HM_MSG_request_host) {
        *out = (struct hm_outcome){.status = HM_OK};
        apply(context, entry, out);
    }
}

/* A member's session ends with the member: forgotten earlier, a request of its that comes late
 * would be new again. */
const struct hm_machine hm_state_machine = {.ends_sessions = true,
                                            .apply = apply,
                                            .repeat = repeat,
                                            .admit = admit,
                                            .snapshot = hm_state_snapshot,
                                            .install = hm_state_install};
