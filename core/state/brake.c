/* The removal brake. Where three or more hosts, lite ones too, fail within seconds and take more
 * than half of a service with them, it may well be the cluster that is in trouble, not the hosts:
 * the members go, their instances stay for a while, as suspect. Hosts that went first, before there
 * were enough of them, get theirs back. What is kept is a record, so a snapshot has it too. */
#include "core/base/memory.h"
#include "core/base/plant.h"
#include "core/state/state_internal.h"

#include <string.h>

#define WINDOW_MS  10000u
#define HOSTS_MIN  3u
#define FALLEN_MAX 4096u
/* With what the last member takes along it stays below HM_STATE_EVENTS_MAX. */
#define FAIL_EVENTS_MAX 2048u

/* ---- hosts that failed lately ---- */

static void drop_first(struct hm_state *state, size_t count)
{
    if (count) {
        hm_shares_count_anew(state);
    }
    for (size_t i = 0; i < count; i++) {
        hm_bytes_free(state->fallen[i].host);
    }
    state->fallen_count -= count;
    if (count && state->fallen_count) {
        memmove(state->fallen, state->fallen + count, state->fallen_count * sizeof *state->fallen);
    }
}

static void push(struct hm_state *state, const struct hm_fallen *fallen)
{
    state->fallen =
        hm_grow(state->fallen, state->fallen_count, &state->fallen_capacity, sizeof *state->fallen);
    state->fallen[state->fallen_count] = *fallen;
    state->fallen[state->fallen_count++].host = hm_bytes_copy(fallen->host);
}

void hm_state_set_fallen(struct hm_state *state, const struct hm_fallen *fallen, size_t count)
{
    drop_first(state, state->fallen_count);
    hm_shares_count_anew(state);
    for (size_t i = 0; i < count; i++) {
        push(state, &fallen[i]);
    }
}

void hm_state_forget_fallen(struct hm_state *state, const struct hm_id *id)
{
    for (size_t i = state->fallen_count; i > 0; i--) {
        if (hm_id_equal(&state->fallen[i - 1].id, id)) {
            hm_shares_count_anew(state);
            hm_bytes_free(state->fallen[i - 1].host);
            memmove(state->fallen + i - 1, state->fallen + i,
                    (state->fallen_count - i) * sizeof *state->fallen);
            state->fallen_count--;
        }
    }
}

static void forget_old(struct hm_state *state)
{
    size_t old = 0;
    while (old < state->fallen_count && state->fallen[old].time_ms + WINDOW_MS <= state->time_ms &&
           !hm_plant("falls_count_for_ever")) {
        old++;
    }
    drop_first(state, old);
}

/* Only what serves something counts as a host. `host` says who it was, but for its config and what
 * it asked for. */
static void note(struct hm_state *state, const struct hm_id *id, struct hm_fallen_host *host)
{
    struct hm_arena arena = {0};
    struct hm_host_config config;
    if (hm_view_host(&state->view, id, &arena, &host->state) &&
        hm_shares_read_config(host->state.config, &arena, &config) && config.services_count) {
        struct hm_buf bytes = {0};
        host->claims = (struct hm_claim *)hm_claims_of(&state->claims, id, &host->claims_count);
        hm_message_encode(&bytes,
                          &(struct hm_message){.kind = HM_MSG_fallen_host, .fallen_host = *host});
        hm_state_forget_fallen(state, id);
        if (state->fallen_count == FALLEN_MAX) {
            drop_first(state, FALLEN_MAX / 4);
        }
        push(state, &(struct hm_fallen){
                        .id = *id, .time_ms = state->time_ms, .host = hm_buf_view(&bytes)});
        hm_shares_add(state, id, &config);
        hm_buf_fini(&bytes);
    }
    hm_arena_fini(&arena);
}

static void note_member(struct hm_state *state, const struct hm_id *id)
{
    const struct hm_member *member = hm_members_find(&state->view.members, id);
    if (member) {
        note(state, id, &(struct hm_fallen_host){.name = member->name, .addr = member->addr});
    }
}

/* ---- keeping, and its end ---- */

static void mark(struct hm_state *state, const struct hm_id *id, const struct hm_braked *braked,
                 struct hm_outcome *out)
{
    char key[HM_ID_TEXT_BYTES];
    struct hm_buf bytes = {0};
    for (size_t i = state->fallen_count; i > 0; i--) { /* most often the last */
        if (hm_id_equal(&state->fallen[i - 1].id, id)) {
            state->fallen[i - 1].held = true;
            break;
        }
    }
    hm_message_encode(&bytes, &(struct hm_message){.kind = HM_MSG_braked, .braked = *braked});
    struct hm_bytes value = hm_buf_view(&bytes);
    hm_state_emit_record(state, HM_SCOPE_BRAKED, hm_bytes_of_text(hm_id_format(id, key)), &value,
                         out);
    hm_buf_fini(&bytes);
}

static void unmark(struct hm_state *state, const struct hm_id *id, struct hm_outcome *out)
{
    char key[HM_ID_TEXT_BYTES];
    hm_state_emit_record(state, HM_SCOPE_BRAKED, hm_bytes_of_text(hm_id_format(id, key)), NULL,
                         out);
}

static void release(struct hm_state *state, const struct hm_id *id, const struct hm_name *name,
                    struct hm_outcome *out)
{
    struct hm_lite lite;
    struct hm_message gone = {.kind = HM_MSG_host_removed, .host_removed = {.host = *id}};
    if (hm_view_lite(&state->view, name, &lite) && hm_id_equal(&lite.id, id)) {
        gone = (struct hm_message){.kind = HM_MSG_lite_gone,
                                   .lite_gone = {.id = *id, .name = lite.name, .expired = true}};
    }
    hm_state_emit(state, &gone, out);
    unmark(state, id, out);
    hm_state_change_claims(state, id, NULL, 0, out);
}

static void remove_one(struct hm_state *state, const struct hm_shares *shares,
                       const struct hm_id *id, uint64_t until_ms, struct hm_outcome *out)
{
    const struct hm_member *member = hm_members_find(&state->view.members, id);
    struct hm_arena arena = {0};
    struct hm_host_state host;
    bool held = member && hm_view_host(&state->view, id, &arena, &host) &&
                hm_shares_most_lost(shares, host.config);
    if (held) {
        /* First, so that no state lies between in which nobody has the host. */
        mark(state, id,
             &(struct hm_braked){.name = member->name, .addr = member->addr, .until_ms = until_ms},
             out);
    }
    hm_state_remove_member(state, id, held ? HM_GOING_HELD : HM_GOING_FAILED, out);
    hm_arena_fini(&arena);
}

static bool is_gone(const struct hm_state *state, const struct hm_id *id,
                    const struct hm_name *name)
{
    struct hm_arena arena = {0};
    struct hm_host_state known;
    struct hm_lite lite;
    bool gone = !hm_members_find(&state->view.members, id) &&
                !hm_members_find_name(&state->view.members, name) &&
                !hm_view_lite(&state->view, name, &lite) &&
                !hm_view_host(&state->view, id, &arena, &known);
    hm_arena_fini(&arena);
    return gone;
}

static void bring_one_back(struct hm_state *state, const struct hm_id *id,
                           const struct hm_fallen_host *host, uint64_t until_ms,
                           struct hm_outcome *out)
{
    struct hm_message back = {.kind = HM_MSG_host_changed, .host_changed = {.state = host->state}};
    if (!hm_id_is_none(&host->keeper)) {
        back = (struct hm_message){.kind = HM_MSG_lite_kept,
                                   .lite_kept = {.lite = {.id = *id,
                                                          .name = host->name,
                                                          .addr = host->addr,
                                                          .keeper = host->keeper,
                                                          .lease_ms = host->lease_ms},
                                                 .state = host->state}};
    }
    mark(state, id,
         &(struct hm_braked){.name = host->name, .addr = host->addr, .until_ms = until_ms}, out);
    hm_state_emit(state, &back, out);
    hm_state_change_claims(state, id, host->claims, host->claims_count, out);
    out->reason[0] = 0; /* who was refused what is nobody's question here */
    out->data = (struct hm_bytes){0};
}

/* Those that went before it was clear what happens. */
static void bring_back(struct hm_state *state, const struct hm_shares *shares, uint64_t until_ms,
                       struct hm_outcome *out)
{
    if (hm_plant("first_fallen_stay_gone")) {
        return;
    }
    for (size_t i = 0; i < state->fallen_count && out->events < FAIL_EVENTS_MAX; i++) {
        struct hm_arena arena = {0};
        struct hm_fallen_host host;
        const struct hm_id *id = &state->fallen[i].id;
        if (hm_shares_read_fallen(&state->fallen[i], &arena, &host) &&
            is_gone(state, id, &host.name) && hm_shares_most_lost(shares, host.state.config)) {
            bring_one_back(state, id, &host, until_ms, out);
        }
        hm_arena_fini(&arena);
    }
}

/* As many as one request may emit events for; the others are reported again. */
void hm_decide_fail(struct hm_state *state, const struct hm_request_fail *request,
                    struct hm_outcome *out)
{
    const struct hm_shares *shares = NULL;
    uint64_t until_ms = state->time_ms + request->brake_ms;
    forget_old(state);
    for (uint32_t i = 0; i < request->nodes_count && request->brake_ms; i++) {
        note_member(state, &request->nodes[i].id);
    }
    if (request->brake_ms && state->fallen_count >= HOSTS_MIN) {
        shares = hm_shares_of(state);
    }
    for (uint32_t i = 0; i < request->nodes_count && out->events < FAIL_EVENTS_MAX; i++) {
        remove_one(state, shares, &request->nodes[i].id, until_ms, out);
    }
    if (shares) {
        bring_back(state, shares, until_ms, out);
    }
}

bool hm_state_brake_lapse(struct hm_state *state, const struct hm_lite *lite, uint32_t brake_ms,
                          struct hm_outcome *out)
{
    struct hm_arena arena = {0};
    struct hm_host_state host;
    struct hm_braked braked = {
        .name = lite->name, .addr = lite->addr, .until_ms = state->time_ms + brake_ms};
    struct hm_braked already;
    bool held = false;
    forget_old(state);
    if (brake_ms == 0 || hm_view_braked(&state->view, &lite->id, &already)) {
        return brake_ms != 0;
    }
    note(state, &lite->id,
         &(struct hm_fallen_host){.name = lite->name,
                                  .addr = lite->addr,
                                  .keeper = lite->keeper,
                                  .lease_ms = lite->lease_ms});
    if (state->fallen_count >= HOSTS_MIN) {
        const struct hm_shares *shares = hm_shares_of(state);
        held = hm_view_host(&state->view, &lite->id, &arena, &host) &&
               hm_shares_most_lost(shares, host.config);
        if (held) {
            mark(state, &lite->id, &braked, out);
            bring_back(state, shares, braked.until_ms, out);
        }
    }
    hm_arena_fini(&arena);
    return held;
}

void hm_state_unbrake_lite(struct hm_state *state, const struct hm_id *id, struct hm_outcome *out)
{
    struct hm_braked braked;
    if (hm_view_braked(&state->view, id, &braked)) {
        unmark(state, id, out);
    }
}

void hm_decide_release(struct hm_state *state, const struct hm_request_release *request,
                       struct hm_outcome *out)
{
    struct hm_id host = {{0}};
    struct hm_braked braked;
    uint64_t until_ms = request->until_ms < state->time_ms ? request->until_ms : state->time_ms;
    while (out->events < FAIL_EVENTS_MAX && hm_view_next_braked(&state->view, &host, &braked)) {
        if (braked.until_ms <= until_ms) {
            release(state, &host, &braked.name, out);
        }
    }
}

void hm_state_unbrake(struct hm_state *state, const struct hm_member *member,
                      struct hm_outcome *out)
{
    struct hm_id host = {{0}};
    struct hm_braked braked;
    hm_state_forget_fallen(state, &member->id);
    while (hm_view_next_braked(&state->view, &host, &braked)) {
        if (hm_id_equal(&host, &member->id)) {
            if (!hm_plant("stays_braked")) {
                unmark(state, &host, out);
            }
        } else if (hm_name_equal_nocase(&braked.name, &member->name)) {
            release(state, &host, &braked.name, out);
        }
    }
}
