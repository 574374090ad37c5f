/* The rules for lite hosts: those that are kept by a member instead of being one. */
#include "core/state/state_internal.h"

static bool is_above(const struct hm_version *a, const struct hm_version *b)
{
    return a->boot != b->boot ? a->boot > b->boot : a->seq > b->seq;
}

static bool same_lite(const struct hm_lite *a, const struct hm_lite *b)
{
    return hm_id_equal(&a->keeper, &b->keeper) && hm_addr_equal(&a->addr, &b->addr) &&
           hm_name_equal(&a->name, &b->name) && a->lease_ms == b->lease_ms;
}

/* Is the name or the id another's? Tells the holder. */
static bool is_taken(const struct hm_state *state, const struct hm_lite *asker,
                     const struct hm_lite *known, bool have_known, struct hm_outcome *out)
{
    const struct hm_member *holder = hm_members_find_name(&state->view.members, &asker->name);
    struct hm_arena arena = {0};
    struct hm_host_state other;
    char text[HM_ADDR_TEXT_BYTES];
    if (holder) {
        hm_state_refuse(out, HM_NAME_TAKEN,
                        "name %s is held by the member at %s; it is free once that one has left or "
                        "failed",
                        asker->name.text, hm_addr_format(&holder->addr, text));
    } else if (have_known && !hm_id_equal(&known->id, &asker->id)) {
        hm_state_refuse(out, HM_NAME_TAKEN,
                        "name %s is held by the lite host at %s; it is free once that one has "
                        "withdrawn, or was silent for %u s",
                        asker->name.text, hm_addr_format(&known->addr, text),
                        known->lease_ms / 1000);
    } else if (hm_members_find(&state->view.members, &asker->id) ||
               (!have_known && hm_view_host(&state->view, &asker->id, &arena, &other))) {
        hm_state_refuse(out, HM_EXISTS, "another host has the id of %s", asker->name.text);
    }
    hm_arena_fini(&arena);
    return out->status != HM_OK;
}

void hm_decide_keep(struct hm_state *state, const struct hm_request_keep *request,
                    struct hm_outcome *out)
{
    const struct hm_lite *asker = &request->lite;
    struct hm_arena arena = {0};
    struct hm_lite known = {0};
    struct hm_host_state committed = {0};
    uint32_t claims =
        request->claims_count < HM_STATE_CLAIMS_MAX ? request->claims_count : HM_STATE_CLAIMS_MAX;
    bool have_known = hm_view_lite(&state->view, &asker->name, &known);
    if (!hm_members_find(&state->view.members, &asker->keeper) ||
        !hm_id_equal(&asker->keeper, &state->origin)) {
        hm_state_refuse(out, HM_DENIED, "a lite host is kept by the member that asks");
    } else if (!hm_name_is_label(&asker->name) || hm_id_is_none(&asker->id) ||
               !hm_id_equal(&asker->id, &request->state.host) || hm_addr_is_none(&asker->addr)) {
        hm_state_refuse(out, HM_BAD_ARGUMENT,
                        "a lite host needs an id, an address, and a DNS label as name");
    } else if (is_taken(state, asker, &known, have_known, out)) {
        /* told already */
    } else if (have_known && hm_view_host(&state->view, &asker->id, &arena, &committed) &&
               is_above(&committed.version, &request->state.version)) {
        hm_state_refuse(out, HM_STALE, "a later config of %s is committed", asker->name.text);
    } else if (have_known && same_lite(&known, asker) &&
               !is_above(&request->state.version, &committed.version)) {
        /* Nothing to say again. */
        hm_state_tell_refused(state, request->claims, claims, NULL, 0, out);
        hm_state_forget_fallen(state, &asker->id); /* but that it lives */
        hm_state_unbrake_lite(state, &asker->id, out);
        out->index = state->view.index;
    } else {
        hm_state_emit(state,
                      &(struct hm_message){.kind = HM_MSG_lite_kept,
                                           .lite_kept = {.lite = *asker, .state = request->state}},
                      out);
        uint64_t index = out->index;
        hm_state_change_claims(state, &asker->id, request->claims, claims, out);
        hm_state_forget_fallen(state, &asker->id);
        hm_state_unbrake_lite(state, &asker->id, out);
        out->index = index;
    }
    hm_arena_fini(&arena);
}

/* Can this member still keep? One that is gone, or consumes no configs any more, does not. */
static bool still_keeps(const struct hm_state *state, const struct hm_id *keeper)
{
    const struct hm_member *member = hm_members_find(&state->view.members, keeper);
    return member && (member->feeds & HM_MEMBER_CONSUMES);
}

/* Its own word ends it whoever brings it; that it was not heard of, only its keeper can say, or
 * when that one is gone, who goes on for it. */
void hm_decide_lapse(struct hm_state *state, const struct hm_request_lapse *request,
                     struct hm_outcome *out)
{
    struct hm_arena arena = {0};
    struct hm_lite known;
    struct hm_host_state committed;
    struct hm_id id = request->id;
    if (!hm_view_lite(&state->view, &request->name, &known) ||
        !hm_id_equal(&known.id, &request->id)) {
        out->index = 0; /* gone already */
    } else if (!hm_members_find(&state->view.members, &state->origin) ||
               (request->expired && !hm_id_equal(&known.keeper, &state->origin) &&
                still_keeps(state, &known.keeper))) {
        hm_state_refuse(out, HM_DENIED, "%s is kept by another member", known.name.text);
    } else if (hm_view_host(&state->view, &id, &arena, &committed) &&
               is_above(&committed.version, &request->version)) {
        hm_state_refuse(out, HM_STALE, "%s has announced itself again", known.name.text);
    } else if (!request->expired || !hm_state_brake_lapse(state, &known, request->brake_ms, out)) {
        if (!request->expired) {
            hm_state_forget_fallen(state, &id);
        }
        hm_state_unbrake_lite(state, &id, out);
        hm_state_emit(state,
                      &(struct hm_message){
                          .kind = HM_MSG_lite_gone,
                          .lite_gone = {.id = id, .name = known.name, .expired = request->expired}},
                      out);
        uint64_t index = out->index;
        hm_state_change_claims(state, &id, NULL, 0, out);
        out->index = index;
    }
    hm_arena_fini(&arena);
}
