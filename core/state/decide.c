/* The rules: which requests are granted, and which events each one emits. */
#include "core/state/state_internal.h"

#include <stdarg.h>
#include <stdio.h>

/* The five scopes that are not written always find room. */
#define SCOPES_WRITTEN_MAX (HM_SCOPES_MAX - 5)

void hm_state_refuse(struct hm_outcome *out, enum hm_status status, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(out->reason, sizeof out->reason, format, arguments);
    va_end(arguments);
    out->status = status;
}

/* ---- members ---- */

/* A member came or changed; the outcome's index is that of `body`. */
static void emit_member(struct hm_state *state, const struct hm_message *body,
                        const struct hm_member *member, struct hm_outcome *out)
{
    hm_state_emit(state, body, out);
    uint64_t index = out->index;
    hm_state_place_consumer(state, member, out);
    out->index = index;
}

static void decide_found(struct hm_state *state, const struct hm_request_found *request,
                         struct hm_outcome *out)
{
    if (state->view.cluster) {
        hm_state_refuse(out, HM_EXISTS, "the cluster exists already");
        return;
    }
    state->view.cluster = request->cluster;
    hm_state_emit(state,
                  &(struct hm_message){
                      .kind = HM_MSG_epoch_raised,
                      .epoch_raised = {.epoch = HM_EPOCH_FIRST, .history = request->history}},
                  out);
    struct hm_message joined = {.kind = HM_MSG_member_joined,
                                .member_joined = {.member = request->founder}};
    joined.member_joined.member.joined = state->view.index + 1;
    emit_member(state, &joined, &request->founder, out);
}

/* The rest of the control plane is fenced: whoever of it comes back does so under another id. */
static void decide_recover(struct hm_state *state, const struct hm_request_recover *request,
                           struct hm_outcome *out)
{
    const struct hm_members *members = &state->view.members;
    /* The survivor may not have known its own log to the end when it asked. */
    uint64_t epoch = state->view.epoch + HM_EPOCH_RECOVERY;
    struct hm_message raised = {
        .kind = HM_MSG_epoch_raised,
        .epoch_raised = {.epoch = request->epoch > epoch ? request->epoch : epoch,
                         .history = request->history,
                         .last_index = state->view.index,
                         .last_history = state->view.history}};
    hm_state_emit(state, &raised, out);
    uint64_t index = out->index;
    for (size_t i = members->count; i > 0; i--) {
        struct hm_id id = members->items[i - 1]->id;
        if (hm_member_has_role(members->items[i - 1], "control") &&
            !hm_id_equal(&id, &request->survivor.id)) {
            hm_state_remove_member(state, &id, HM_GOING_FAILED, out);
        }
    }
    if (!hm_members_find(members, &request->survivor.id)) {
        struct hm_message joined = {.kind = HM_MSG_member_joined,
                                    .member_joined = {.member = request->survivor}};
        joined.member_joined.member.joined = state->view.index + 1;
        emit_member(state, &joined, &request->survivor, out);
    }
    out->index = index;
}

static bool same_roles(const struct hm_member *a, const struct hm_member *b)
{
    if (a->roles_count != b->roles_count) {
        return false;
    }
    for (uint32_t i = 0; i < a->roles_count; i++) {
        if (!hm_name_equal(&a->roles[i].name, &b->roles[i].name)) {
            return false;
        }
    }
    return true;
}

/* A member that asks again has restarted: nothing happens unless it is reached otherwise now. */
static void decide_return(struct hm_state *state, const struct hm_member *known,
                          const struct hm_member *asker, struct hm_outcome *out)
{
    if (asker->boot < known->boot) {
        hm_state_refuse(out, HM_STALE,
                        "node %s was started more often than this copy of its data directory says",
                        known->name.text);
        return;
    }
    /* Another release may support more, and carry or consume other feeds. */
    bool same_release = known->feature == asker->feature && known->feeds == asker->feeds;
    if (same_release && hm_addr_equal(&known->addr, &asker->addr) && same_roles(known, asker) &&
        hm_name_equal(&known->name, &asker->name)) {
        out->index = known->joined;
        return;
    }
    struct hm_message changed = {.kind = HM_MSG_member_changed,
                                 .member_changed = {.member = *asker}};
    changed.member_changed.member.joined = known->joined;
    if (!hm_name_equal_nocase(&known->name, &asker->name)) {
        hm_state_displace_consumer(state, &known->name, false, out);
    }
    emit_member(state, &changed, asker, out);
}

static void decide_join(struct hm_state *state, const struct hm_request_join *request,
                        struct hm_outcome *out)
{
    const struct hm_member *asker = &request->member;
    const struct hm_members *members = &state->view.members;
    const struct hm_member *holder = hm_members_find_name(members, &asker->name);
    const struct hm_member *neighbour = hm_members_find_addr(members, &asker->addr);
    struct hm_lite lite;
    char text[HM_ADDR_TEXT_BYTES];
    if (request->cluster && request->cluster != state->view.cluster) {
        hm_state_refuse(out, HM_WRONG_CLUSTER,
                        "node %s is of cluster %016llx, this is cluster %016llx", asker->name.text,
                        (unsigned long long)request->cluster,
                        (unsigned long long)state->view.cluster);
    } else if (asker->feature < state->feature) {
        hm_state_refuse(out, HM_WRONG_FEATURE, "feature level %u is needed, node %s has %u",
                        state->feature, asker->name.text, asker->feature);
    } else if (!hm_name_is_label(&asker->name) || hm_addr_is_none(&asker->addr) ||
               hm_id_is_none(&asker->id)) {
        hm_state_refuse(out, HM_BAD_ARGUMENT,
                        "a member needs an id, an address, and a DNS label as name");
    } else if (holder && !hm_id_equal(&holder->id, &asker->id)) {
        hm_state_refuse(out, HM_NAME_TAKEN,
                        "name %s is held by the member at %s; it is free once that one"
                        " has left or failed",
                        asker->name.text, hm_addr_format(&holder->addr, text));
    } else if (hm_view_lite(&state->view, &asker->name, &lite)) {
        hm_state_refuse(out, HM_NAME_TAKEN,
                        "name %s is held by the lite host at %s; it is free once that one is gone",
                        asker->name.text, hm_addr_format(&lite.addr, text));
    } else if (neighbour && !hm_id_equal(&neighbour->id, &asker->id)) {
        hm_state_refuse(out, HM_EXISTS,
                        "address %s is held by member %s; it is free once that one has"
                        " left or failed",
                        hm_addr_format(&asker->addr, text), neighbour->name.text);
    } else if (hm_members_find(members, &asker->id)) {
        decide_return(state, hm_members_find(members, &asker->id), asker, out);
    } else {
        struct hm_message joined = {.kind = HM_MSG_member_joined,
                                    .member_joined = {.member = *asker}};
        hm_state_unbrake(state, asker, out);
        joined.member_joined.member.joined = state->view.index + 1;
        emit_member(state, &joined, asker, out);
        /* What it asked for before it was removed, and repeats, may have happened then. */
        hm_sessions_begin(state->sessions, &asker->id, request->seq, state->time_ms);
    }
}

/* Each by itself: who is refused keeps nobody else out. */
static void decide_joins(struct hm_state *state, const struct hm_request_joins *request,
                         struct hm_outcome *out)
{
    for (uint32_t i = 0; i < request->joiners_count; i++) {
        const struct hm_joiner *joiner = &request->joiners[i];
        struct hm_outcome one = {.status = HM_OK};
        state->origin = joiner->member.id;
        decide_join(state, &(struct hm_request_join){joiner->member, joiner->cluster, joiner->seq},
                    &one);
        out->events += one.events;
        out->index = one.index ? one.index : out->index;
        if (one.status != HM_OK) {
            hm_state_refuse(out, one.status, "%s", one.reason);
        }
    }
}

void hm_state_remove_member(struct hm_state *state, const struct hm_id *id, enum hm_going how,
                            struct hm_outcome *out)
{
    const struct hm_member *member = hm_members_find(&state->view.members, id);
    if (!member) {
        return;
    }
    char key[HM_ID_TEXT_BYTES];
    struct hm_name scope = hm_name_of(HM_SCOPE_HOSTS);
    struct hm_id gone = *id;
    struct hm_name name = member->name;
    struct hm_message body;
    if (how == HM_GOING_LEFT) {
        body = (struct hm_message){.kind = HM_MSG_member_left,
                                   .member_left = {.id = gone, .name = name}};
    } else {
        body = (struct hm_message){.kind = HM_MSG_member_failed,
                                   .member_failed = {.id = gone, .name = name}};
    }
    hm_state_emit(state, &body, out);
    if (how != HM_GOING_HELD &&
        hm_records_find(&state->view.records, &scope, hm_bytes_of_text(hm_id_format(&gone, key)))) {
        hm_state_emit(
            state,
            &(struct hm_message){.kind = HM_MSG_host_removed, .host_removed = {.host = gone}}, out);
    }
    hm_state_displace_consumer(state, &name, how != HM_GOING_LEFT, out);
    if (how != HM_GOING_HELD) {
        hm_state_change_claims(state, &gone, NULL, 0, out);
    }
    hm_sessions_remove(state->sessions, &gone);
}

static void decide_leave(struct hm_state *state, const struct hm_request_leave *request,
                         struct hm_outcome *out)
{
    hm_state_remove_member(state, &request->id, HM_GOING_LEFT, out);
}

/* ---- hosts and records ---- */

static void decide_host(struct hm_state *state, const struct hm_request_host *request,
                        struct hm_outcome *out)
{
    struct hm_arena arena = {0};
    struct hm_host_state known;
    char key[HM_ID_TEXT_BYTES];
    struct hm_name scope = hm_name_of(HM_SCOPE_HOSTS);
    uint32_t claims_count = request->claims_count;
    hm_id_format(&request->state.host, key);
    if (claims_count > HM_STATE_CLAIMS_MAX) {
        claims_count = HM_STATE_CLAIMS_MAX;
        snprintf(out->reason, sizeof out->reason,
                 "a host has at most %u virtual hosts; those after the first %u are not granted",
                 HM_STATE_CLAIMS_MAX, HM_STATE_CLAIMS_MAX);
    }
    if (!hm_members_find(&state->view.members, &request->state.host)) {
        hm_state_refuse(out, HM_REMOVED, "host %s is not a member", key);
    } else if (hm_view_host(&state->view, &request->state.host, &arena, &known) &&
               hm_version_compare(&request->state.version, &known.version) <= 0) {
        /* Committed before, or overtaken by a later one: nothing to say again. */
        const struct hm_record *record =
            hm_records_find(&state->view.records, &scope, hm_bytes_of_text(key));
        out->index = record->index;
        hm_state_tell_refused(state, request->claims, claims_count, NULL, 0, out);
    } else {
        hm_state_emit(state,
                      &(struct hm_message){.kind = HM_MSG_host_changed,
                                           .host_changed = {.state = request->state}},
                      out);
        uint64_t index = out->index;
        hm_state_change_claims(state, &request->state.host, request->claims, claims_count, out);
        out->index = index;
    }
    hm_arena_fini(&arena);
}

static bool conditions_hold(const struct hm_state *state, const struct hm_request_write *request,
                            struct hm_outcome *out)
{
    for (uint32_t i = 0; i < request->conditions_count; i++) {
        const struct hm_condition *condition = &request->conditions[i];
        const struct hm_record *record =
            hm_records_find(&state->view.records, &condition->scope, condition->key);
        uint64_t index = record ? record->index : 0;
        if (index != condition->index) {
            hm_state_refuse(out, HM_CONFLICT, "%s %.*s was changed at %llu", condition->scope.text,
                            (int)condition->key.size, (const char *)condition->key.data,
                            (unsigned long long)index);
            return false;
        }
    }
    return true;
}

/* Scopes of the core change by their own requests alone. */
static bool may_write(const struct hm_change *change, struct hm_outcome *out)
{
    if (hm_name_is(&change->scope, HM_SCOPE_HOSTS) || hm_name_is(&change->scope, HM_SCOPE_VHOSTS) ||
        hm_name_is(&change->scope, HM_SCOPE_CONSUMERS) ||
        hm_name_is(&change->scope, HM_SCOPE_LITES) || hm_name_is(&change->scope, HM_SCOPE_BRAKED) ||
        change->scope.size == 0) {
        hm_state_refuse(out, HM_DENIED, "scope '%s' is not written directly", change->scope.text);
        return false;
    }
    return true;
}

/* Is change `i` the first of the request in a scope that is not there yet? */
static bool opens_scope(const struct hm_state *state, const struct hm_request_write *request,
                        uint32_t i)
{
    const struct hm_name *scope = &request->changes[i].scope;
    for (uint32_t j = 0; j < i; j++) {
        if (hm_name_equal(&request->changes[j].scope, scope)) {
            return false;
        }
    }
    return !hm_records_has_scope(&state->view.records, scope);
}

static void decide_write(struct hm_state *state, const struct hm_request_write *request,
                         struct hm_outcome *out)
{
    if (!conditions_hold(state, request, out)) {
        return;
    }
    size_t scopes = state->view.records.scope_count;
    for (uint32_t i = 0; i < request->changes_count; i++) {
        if (!may_write(&request->changes[i], out)) {
            return;
        }
        scopes += opens_scope(state, request, i);
        if (opens_scope(state, request, i) && scopes > SCOPES_WRITTEN_MAX) {
            hm_state_refuse(out, HM_FULL, "there are %zu scopes already",
                            state->view.records.scope_count);
            return;
        }
    }
    bool widens = false;
    for (uint32_t i = 0; i < request->changes_count; i++) {
        const struct hm_change *change = &request->changes[i];
        if (change->present || hm_records_find(&state->view.records, &change->scope, change->key)) {
            hm_state_emit(state,
                          &(struct hm_message){.kind = HM_MSG_record_changed,
                                               .record_changed = {.change = *change}},
                          out);
            widens = widens || hm_name_is(&change->scope, HM_SCOPE_VHOSTS_ALLOW);
        }
    }
    if (widens) {
        uint64_t index = out->index;
        hm_state_grant_waiting(state, out);
        out->index = index;
    }
}

/* ---- user events ---- */

static bool is_printable(struct hm_bytes text)
{
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < ' ' || text.data[i] == 0x7f) {
            return false;
        }
    }
    return true;
}

static void decide_emit(struct hm_state *state, const struct hm_request_emit *request,
                        struct hm_outcome *out)
{
    if (!hm_members_find(&state->view.members, &state->origin)) {
        hm_state_refuse(out, HM_REMOVED, "only a member emits events");
    } else if (request->name.size == 0 || request->name.size > HM_USER_EVENT_NAME_BYTES_MAX) {
        hm_state_refuse(out, HM_BAD_ARGUMENT,
                        "the name of an event has 1 to %u bytes, this one has %zu",
                        HM_USER_EVENT_NAME_BYTES_MAX, request->name.size);
    } else if (!is_printable(request->name)) {
        hm_state_refuse(out, HM_BAD_ARGUMENT, "the name of an event has no control characters");
    } else if (request->data.size > HM_USER_EVENT_DATA_BYTES_MAX) {
        hm_state_refuse(
            out, HM_TOO_LARGE,
            "the data of an event has at most %u bytes, these are %zu; emit where to find them",
            HM_USER_EVENT_DATA_BYTES_MAX, request->data.size);
    } else {
        hm_state_emit(
            state,
            &(struct hm_message){.kind = HM_MSG_user_event,
                                 .user_event = {.name = request->name, .data = request->data}},
            out);
    }
}

void hm_state_decide(struct hm_state *state, const struct hm_message *request,
                     struct hm_outcome *out)
{
    if (!state->view.cluster && request->kind != HM_MSG_request_found) {
        hm_state_refuse(out, HM_NOT_STARTED, "the cluster is not founded yet");
        return;
    }
    switch (request->kind) {
    case HM_MSG_request_found:
        decide_found(state, &request->request_found, out);
        break;
    case HM_MSG_request_recover:
        decide_recover(state, &request->request_recover, out);
        break;
    case HM_MSG_request_join:
        decide_join(state, &request->request_join, out);
        break;
    case HM_MSG_request_joins:
        decide_joins(state, &request->request_joins, out);
        break;
    case HM_MSG_request_leave:
        decide_leave(state, &request->request_leave, out);
        break;
    case HM_MSG_request_fail:
        hm_decide_fail(state, &request->request_fail, out);
        break;
    case HM_MSG_request_release:
        hm_decide_release(state, &request->request_release, out);
        break;
    case HM_MSG_request_host:
        decide_host(state, &request->request_host, out);
        break;
    case HM_MSG_request_write:
        decide_write(state, &request->request_write, out);
        break;
    case HM_MSG_request_keep:
        hm_decide_keep(state, &request->request_keep, out);
        break;
    case HM_MSG_request_lapse:
        hm_decide_lapse(state, &request->request_lapse, out);
        break;
    case HM_MSG_request_emit:
        decide_emit(state, &request->request_emit, out);
        break;
    default:
        hm_state_refuse(out, HM_BAD_BYTES, "not a request: %s", hm_message_name(request->kind));
        break;
    }
}
