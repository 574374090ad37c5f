/* The whole state as bytes, and back. */
#include "core/base/memory.h"
#include "core/state/state_internal.h"

void hm_state_snapshot(void *context, struct hm_buf *out)
{
    const struct hm_state *state = context;
    const struct hm_view *view = &state->view;
    struct hm_arena arena = {0};
    struct hm_message message = {
        .kind = HM_MSG_state_snapshot,
        .state_snapshot = {.cluster = view->cluster,
                           .feature = state->feature,
                           .epoch = view->epoch,
                           .history = view->history,
                           .index = view->index,
                           .members_position = view->members_position,
                           .state_position = view->state_position,
                           .time_ms = view->time_ms,
                           .scopes = view->records.scopes,
                           .scopes_count = (uint32_t)view->records.scope_count,
                           .fallen = state->fallen,
                           .fallen_count = (uint32_t)state->fallen_count}};
    struct hm_state_snapshot *snapshot = &message.state_snapshot;
    snapshot->members_count = (uint32_t)view->members.count;
    snapshot->members = hm_arena_alloc(&arena, view->members.count, sizeof *snapshot->members);
    for (size_t i = 0; i < view->members.count; i++) {
        snapshot->members[i] = *view->members.items[i];
    }
    snapshot->records_count = (uint32_t)view->records.count;
    snapshot->records = hm_arena_alloc(&arena, view->records.count, sizeof *snapshot->records);
    for (size_t i = 0; i < view->records.count; i++) {
        snapshot->records[i] = *view->records.items[i];
    }
    hm_claims_list(&state->claims, &arena, &snapshot->claims, &snapshot->claims_count);
    snapshot->events_count = (uint32_t)(view->index + 1 - state->oldest);
    snapshot->events = hm_arena_alloc(&arena, snapshot->events_count, sizeof *snapshot->events);
    for (uint32_t i = 0; i < snapshot->events_count; i++) {
        snapshot->events[i] = *hm_state_event(state, state->oldest + i);
    }
    hm_message_encode(out, &message);
    hm_arena_fini(&arena);
}

/* Events must be dense and end at the snapshot's index: the ring relies on it. */
static bool is_consistent(const struct hm_state_snapshot *snapshot)
{
    if (snapshot->events_count > HM_STATE_EVENTS_MAX || snapshot->events_count > snapshot->index) {
        return false;
    }
    for (uint32_t i = 0; i < snapshot->events_count; i++) {
        if (snapshot->events[i].index != snapshot->index - snapshot->events_count + 1 + i) {
            return false;
        }
    }
    return true;
}

static void fill(struct hm_state *state, const struct hm_state_snapshot *snapshot)
{
    struct hm_view *view = &state->view;
    *view = (struct hm_view){.cluster = snapshot->cluster,
                             .epoch = snapshot->epoch,
                             .history = snapshot->history,
                             .index = snapshot->index,
                             .members_position = snapshot->members_position,
                             .state_position = snapshot->state_position,
                             .time_ms = snapshot->time_ms,
                             .total = snapshot->members_count,
                             .members = view->members};
    state->feature = snapshot->feature;
    for (uint32_t i = 0; i < snapshot->members_count; i++) {
        hm_members_put(&view->members, &snapshot->members[i]);
    }
    for (uint32_t i = 0; i < snapshot->records_count; i++) {
        hm_records_load(&view->records, &snapshot->records[i]);
    }
    for (uint32_t i = 0; i < snapshot->scopes_count; i++) {
        hm_records_load_scope(&view->records, &snapshot->scopes[i]);
    }
    for (uint32_t i = 0; i < snapshot->claims_count; i++) {
        hm_claims_set(&state->claims, &snapshot->claims[i].host, snapshot->claims[i].claims,
                      snapshot->claims[i].claims_count);
    }
    hm_state_set_fallen(state, snapshot->fallen, snapshot->fallen_count);
    state->oldest = snapshot->index + 1 - snapshot->events_count;
    for (uint32_t i = 0; i < snapshot->events_count; i++) {
        hm_state_hold(state, &snapshot->events[i]);
    }
}

enum hm_status hm_state_install(void *context, struct hm_bytes bytes)
{
    struct hm_state *state = context;
    struct hm_arena arena = {0};
    struct hm_message message;
    enum hm_status status = hm_message_decode_only(bytes, HM_MSG_state_snapshot, &arena, &message);
    if (status == HM_OK && !is_consistent(&message.state_snapshot)) {
        status = HM_BAD_BYTES;
    }
    if (status == HM_OK) {
        hm_state_forget_events(state);
        hm_view_clear(&state->view);
        hm_claims_fini(&state->claims);
        fill(state, &message.state_snapshot);
    }
    hm_arena_fini(&arena);
    return status;
}
