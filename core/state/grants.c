/* Which service has a unique key: the first that asks for one that is free and allowed, until
 * nobody holds it for that service any more. What is granted stays so when less is allowed later: a
 * rule that was not there when it was granted takes no service out of work. Neither does a wish
 * that is refused: a host's service that asks for one keeps what it had, until it asks for nothing
 * that is refused. */
#include "core/state/state_internal.h"

#include <stdio.h>
#include <string.h>

/* Below HM_STATE_EVENTS_MAX with what the write itself emits. */
#define WAITING_EVENTS_MAX 2048u
/* A key is shown in a reason up to here; the rest of that is needed for the reason. */
#define KEY_SHOWN_MAX 100

static const struct hm_record *find_vhost(const struct hm_state *state, struct hm_bytes key)
{
    struct hm_name scope = hm_name_of(HM_SCOPE_VHOSTS);
    return hm_records_find(&state->view.records, &scope, key);
}

/* ---- what is allowed ---- */

/* The suffixes are the records first .. end - 1. */
struct allowed {
    size_t first;
    size_t end;
};

static struct allowed find_allowed(const struct hm_state *state)
{
    const struct hm_records *records = &state->view.records;
    struct hm_name scope = hm_name_of(HM_SCOPE_VHOSTS_ALLOW);
    size_t first = hm_records_after(records, &scope, (struct hm_bytes){0});
    size_t end = first;
    while (end < records->count && hm_name_equal(&records->items[end]->scope, &scope)) {
        end++;
    }
    return (struct allowed){first, end};
}

/* Is `key` the suffix, or does it end in a dot and the suffix? */
static bool is_within(struct hm_bytes key, struct hm_bytes suffix)
{
    if (suffix.size == 0 || key.size < suffix.size) {
        return false;
    }
    size_t before = key.size - suffix.size;
    return memcmp(key.data + before, suffix.data, suffix.size) == 0 &&
           (before == 0 || key.data[before - 1] == '.');
}

static bool is_allowed(const struct hm_state *state, const struct allowed *allowed,
                       struct hm_bytes key)
{
    bool found = allowed->first == allowed->end;
    for (size_t i = allowed->first; i < allowed->end && !found; i++) {
        found = is_within(key, state->view.records.items[i]->value);
    }
    return found;
}

/* ---- reasons ---- */

static int shown(struct hm_bytes text)
{
    return text.size < KEY_SHOWN_MAX ? (int)text.size : KEY_SHOWN_MAX;
}

#define REASON_BYTES sizeof((struct hm_outcome *)NULL)->reason
#define REFUSALS_MAX 256u

static void tell_outside(const struct hm_state *state, const struct allowed *allowed,
                         struct hm_bytes key, char *reason)
{
    size_t size = REASON_BYTES;
    size_t used = (size_t)snprintf(reason, size, "%.*s is outside vhosts_allow (", shown(key),
                                   (const char *)key.data);
    for (size_t i = allowed->first; i < allowed->end && used < size; i++) {
        struct hm_bytes suffix = state->view.records.items[i]->value;
        bool told = false; /* several may have allowed it */
        for (size_t j = allowed->first; j < i && !told; j++) {
            told = hm_bytes_equal(state->view.records.items[j]->value, suffix);
        }
        if (!told) {
            used += (size_t)snprintf(reason + used, size - used, "%s%.*s",
                                     i > allowed->first ? ", " : "", shown(suffix),
                                     (const char *)suffix.data);
        }
    }
    if (used < size) {
        snprintf(reason + used, size - used, ")");
    }
}

/* Why this claim is refused; false: it is not. */
static bool tell_why(const struct hm_state *state, const struct allowed *allowed,
                     const struct hm_claim *claim, char *reason)
{
    const struct hm_record *record = find_vhost(state, claim->key);
    struct hm_bytes owner = hm_name_bytes(&claim->owner);
    if (record && !hm_bytes_equal(record->value, owner)) {
        snprintf(reason, REASON_BYTES, "%.*s belongs to service %.*s", shown(claim->key),
                 (const char *)claim->key.data, (int)record->value.size,
                 (const char *)record->value.data);
        return true;
    }
    if (!record && !is_allowed(state, allowed, claim->key)) {
        tell_outside(state, allowed, claim->key, reason);
        return true;
    }
    return false;
}

static bool is_owner(const struct hm_claim *claims, uint32_t count, const struct hm_name *owner)
{
    for (uint32_t i = 0; i < count; i++) {
        if (hm_name_equal(&claims[i].owner, owner)) {
            return true;
        }
    }
    return false;
}

static bool is_told(const struct hm_refusals *refusals, const struct hm_name *service)
{
    for (uint32_t i = 0; i < refusals->refusals_count; i++) {
        if (hm_name_equal(&refusals->refusals[i].service, service)) {
            return true;
        }
    }
    return refusals->refusals_count == REFUSALS_MAX;
}

/* Copies the sentence. */
static void add_refusal(struct hm_refusals *refusals, const struct hm_name *service,
                        const char *reason, struct hm_arena *arena)
{
    char *copy = hm_arena_alloc(arena, REASON_BYTES, 1);
    snprintf(copy, REASON_BYTES, "%s", reason);
    refusals->refusals[refusals->refusals_count++] =
        (struct hm_claim_refusal){.service = *service, .reason = hm_bytes_of_text(copy)};
}

void hm_state_tell_refused(struct hm_state *state, const struct hm_claim *claims, uint32_t count,
                           const struct hm_claim *kept, uint32_t kept_count, struct hm_outcome *out)
{
    static const struct hm_name whole_host;
    struct hm_arena arena = {0};
    struct allowed allowed = find_allowed(state);
    char reason[REASON_BYTES];
    struct hm_message message = {.kind = HM_MSG_refusals};
    struct hm_refusals *refusals = &message.refusals;
    size_t most = count < REFUSALS_MAX ? count + 1 : REFUSALS_MAX;
    refusals->refusals = hm_arena_alloc(&arena, most, sizeof *refusals->refusals);
    if (out->reason[0]) {
        add_refusal(refusals, &whole_host, out->reason, &arena);
    }
    for (uint32_t i = 0; i < count; i++) {
        if (is_told(refusals, &claims[i].owner) || !tell_why(state, &allowed, &claims[i], reason)) {
            continue;
        }
        if (is_owner(kept, kept_count, &claims[i].owner)) {
            size_t used = strlen(reason);
            snprintf(reason + used, sizeof reason - used, "; what was granted before stays");
        }
        add_refusal(refusals, &claims[i].owner, reason, &arena);
        if (!out->reason[0]) {
            memcpy(out->reason, reason, sizeof reason);
        }
    }
    if (refusals->refusals_count) {
        hm_buf_clear(&state->said);
        hm_message_encode(&state->said, &message);
        out->data = hm_buf_view(&state->said);
    }
    hm_arena_fini(&arena);
}

/* ---- grants ---- */

static void grant(struct hm_state *state, const struct allowed *allowed,
                  const struct hm_claim *claim, struct hm_outcome *out)
{
    struct hm_bytes owner = hm_name_bytes(&claim->owner);
    if (!find_vhost(state, claim->key) && is_allowed(state, allowed, claim->key)) {
        hm_state_emit_record(state, HM_SCOPE_VHOSTS, claim->key, &owner, out);
    }
}

/* Releases the keys of `old` that nobody holds for their owner any more; the next in line, if any,
 * gets them. `old` is a copy: the table has the new list already. */
static void release_claims(struct hm_state *state, const struct hm_claim *old, uint32_t count,
                           struct hm_outcome *out)
{
    struct allowed allowed = find_allowed(state);
    for (uint32_t i = 0; i < count; i++) {
        const struct hm_record *record = find_vhost(state, old[i].key);
        struct hm_name next;
        if (!record || !hm_bytes_equal(record->value, hm_name_bytes(&old[i].owner)) ||
            hm_claims_held(&state->claims, old[i].key, &old[i].owner)) {
            continue;
        }
        if (is_allowed(state, &allowed, old[i].key) &&
            hm_claims_next_owner(&state->claims, old[i].key, &next)) {
            struct hm_bytes owner = hm_name_bytes(&next);
            hm_state_emit_record(state, HM_SCOPE_VHOSTS, old[i].key, &owner, out);
        } else {
            hm_state_emit_record(state, HM_SCOPE_VHOSTS, old[i].key, NULL, out);
        }
    }
}

/* ---- what a refused wish leaves ---- */

static bool asks_key(const struct hm_claim *claims, uint32_t count, struct hm_bytes key)
{
    for (uint32_t i = 0; i < count; i++) {
        if (hm_bytes_equal(claims[i].key, key)) {
            return true;
        }
    }
    return false;
}

/* Will it be refused, once what nobody holds any more is released? */
static bool is_refused(const struct hm_state *state, const struct allowed *allowed,
                       const struct hm_claim *claim)
{
    const struct hm_record *record = find_vhost(state, claim->key);
    struct hm_name owner = {0};
    if (!record) {
        return !is_allowed(state, allowed, claim->key);
    }
    if (record->value.size >= sizeof owner.text) {
        return true; /* not a service's name */
    }
    memcpy(owner.text, record->value.data, record->value.size);
    owner.size = (uint8_t)record->value.size;
    return !hm_name_equal(&owner, &claim->owner) &&
           hm_claims_held(&state->claims, claim->key, &owner);
}

/* Is a claim of those that `refused` marks of this owner? */
static bool is_disappointed(const struct hm_claim *claims, const bool *refused, uint32_t count,
                            const struct hm_name *owner)
{
    for (uint32_t i = 0; i < count; i++) {
        if (refused[i] && hm_name_equal(&claims[i].owner, owner)) {
            return true;
        }
    }
    return false;
}

/* Adds to what the host asks for, which is in the table, what it had and keeps because a wish of
 * the same service is refused; another service of the host may take it over. */
static void keep_granted(struct hm_state *state, const struct hm_id *host,
                         const struct hm_claim *claims, uint32_t count, const struct hm_claim *old,
                         uint32_t old_count)
{
    struct hm_arena arena = {0};
    bool *refused = hm_arena_alloc(&arena, count, sizeof *refused);
    struct hm_claim *all = hm_arena_alloc(&arena, count + old_count, sizeof *all);
    struct allowed allowed = find_allowed(state);
    uint32_t total = 0;
    for (; total < count; total++) {
        refused[total] = is_refused(state, &allowed, &claims[total]);
        all[total] = claims[total];
    }
    for (uint32_t i = 0; i < old_count && total < HM_STATE_CLAIMS_MAX; i++) {
        const struct hm_record *record = find_vhost(state, old[i].key);
        if (record && hm_bytes_equal(record->value, hm_name_bytes(&old[i].owner)) &&
            is_disappointed(claims, refused, count, &old[i].owner) &&
            !asks_key(claims, count, old[i].key)) {
            all[total++] = old[i];
        }
    }
    if (total > count) {
        hm_claims_set(&state->claims, host, all, total);
    }
    hm_arena_fini(&arena);
}

void hm_state_change_claims(struct hm_state *state, const struct hm_id *host,
                            const struct hm_claim *claims, uint32_t count, struct hm_outcome *out)
{
    struct hm_arena arena = {0};
    uint32_t old_count;
    const struct hm_claim *held = hm_claims_of(&state->claims, host, &old_count);
    struct hm_claim *old = hm_arena_alloc(&arena, old_count, sizeof *old);
    for (uint32_t i = 0; i < old_count; i++) {
        old[i] = (struct hm_claim){.key = hm_bytes_copy(held[i].key), .owner = held[i].owner};
    }
    hm_claims_set(&state->claims, host, claims, count);
    keep_granted(state, host, claims, count, old, old_count);
    release_claims(state, old, old_count, out);
    for (uint32_t i = 0; i < count; i++) {
        struct allowed allowed = find_allowed(state); /* a grant moves the records */
        grant(state, &allowed, &claims[i], out);
    }
    uint32_t kept;
    const struct hm_claim *all = hm_claims_of(&state->claims, host, &kept);
    kept = kept > count ? kept - count : 0;
    hm_state_tell_refused(state, claims, count, all ? all + count : NULL, kept, out);
    for (uint32_t i = 0; i < old_count; i++) {
        hm_bytes_free(old[i].key);
    }
    hm_arena_fini(&arena);
}

/* In order of hosts, as the next in line is found; as many as one request may emit events for. The
 * others are granted when their hosts change the next time. */
void hm_state_grant_waiting(struct hm_state *state, struct hm_outcome *out)
{
    struct hm_arena arena = {0};
    struct hm_host_claims *hosts;
    uint32_t count;
    hm_claims_list(&state->claims, &arena, &hosts, &count);
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t j = 0; j < hosts[i].claims_count && out->events < WAITING_EVENTS_MAX; j++) {
            struct allowed allowed = find_allowed(state);
            grant(state, &allowed, &hosts[i].claims[j], out);
        }
    }
    hm_arena_fini(&arena);
}
