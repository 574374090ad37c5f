/* What those who failed lately take along of each service. */
#include "core/base/hash.h"
#include "core/base/index.h"
#include "core/base/memory.h"
#include "core/base/plant.h"
#include "core/state/state_internal.h"

struct share {
    struct hm_name name;
    uint64_t lost;
    uint64_t all;
};

struct hm_shares {
    bool stale; /* to be counted anew */
    struct share *items;
    size_t count;
    size_t capacity;
    struct hm_index by_name;
    struct hm_index by_id; /* of the fallen */
};

void hm_shares_count_anew(struct hm_state *state)
{
    if (state->shares) {
        state->shares->stale = true;
    }
}

bool hm_shares_read_config(struct hm_bytes config, struct hm_arena *arena,
                           struct hm_host_config *out)
{
    struct hm_message message;
    bool read = hm_message_decode_only(config, HM_MSG_host_config, arena, &message) == HM_OK;
    if (read) {
        *out = message.host_config;
    }
    return read;
}

bool hm_shares_read_fallen(const struct hm_fallen *fallen, struct hm_arena *arena,
                           struct hm_fallen_host *out)
{
    struct hm_message message;
    bool read = hm_message_decode_only(fallen->host, HM_MSG_fallen_host, arena, &message) == HM_OK;
    if (read) {
        *out = message.fallen_host;
    }
    return read;
}

static struct share *find_share(const struct hm_shares *shares, const struct hm_name *name)
{
    size_t cursor = 0;
    uint32_t slot;
    uint64_t hash = hm_hash_name_nocase(name);
    while ((slot = hm_index_next(&shares->by_name, hash, &cursor)) != HM_INDEX_END) {
        if (hm_name_equal_nocase(&shares->items[slot].name, name)) {
            return &shares->items[slot];
        }
    }
    return NULL;
}

static void count_config(struct hm_shares *shares, const struct hm_host_config *config, bool lost)
{
    uint32_t weight = config->addresses_count ? config->addresses_count : 1;
    for (uint32_t i = 0; i < config->services_count; i++) {
        const struct hm_name *name = &config->services[i].name;
        struct share *share = find_share(shares, name);
        if (!share && lost) {
            shares->items =
                hm_grow(shares->items, shares->count, &shares->capacity, sizeof *shares->items);
            hm_index_add(&shares->by_name, hm_hash_name_nocase(name), (uint32_t)shares->count);
            share = &shares->items[shares->count++];
            *share = (struct share){.name = *name};
        }
        if (share) {
            share->all += weight;
            share->lost += lost ? weight : 0;
        }
    }
}

static bool is_fallen(const struct hm_state *state, const struct hm_shares *shares,
                      const struct hm_id *id)
{
    size_t cursor = 0;
    uint32_t slot;
    while ((slot = hm_index_next(&shares->by_id, hm_hash_id(0, id), &cursor)) != HM_INDEX_END) {
        if (hm_id_equal(&state->fallen[slot].id, id)) {
            return true;
        }
    }
    return false;
}

static void count_shares(const struct hm_state *state, struct hm_shares *shares)
{
    struct hm_name scope = hm_name_of(HM_SCOPE_HOSTS);
    const struct hm_records *records = &state->view.records;
    struct hm_host_config config;
    struct hm_fallen_host host;
    for (size_t i = 0; i < state->fallen_count; i++) {
        struct hm_arena arena = {0};
        hm_index_add(&shares->by_id, hm_hash_id(0, &state->fallen[i].id), (uint32_t)i);
        if (hm_shares_read_fallen(&state->fallen[i], &arena, &host) &&
            hm_shares_read_config(host.state.config, &arena, &config)) {
            count_config(shares, &config, true);
        }
        hm_arena_fini(&arena);
    }
    for (size_t i = hm_records_after(records, &scope, (struct hm_bytes){0});
         i < records->count && hm_name_equal(&records->items[i]->scope, &scope); i++) {
        struct hm_arena arena = {0};
        struct hm_message push;
        if (hm_message_decode_only(records->items[i]->value, HM_MSG_push, &arena, &push) == HM_OK &&
            !is_fallen(state, shares, &push.push.state.host) &&
            hm_shares_read_config(push.push.state.config, &arena, &config)) {
            count_config(shares, &config, false);
        }
        hm_arena_fini(&arena);
    }
}

void hm_shares_free(struct hm_state *state)
{
    if (state->shares) {
        hm_free(state->shares->items);
        hm_index_fini(&state->shares->by_name);
        hm_index_fini(&state->shares->by_id);
        hm_free(state->shares);
    }
}

/* Counted once for many that fall one after the other: whoever falls moves to those that are lost,
 * and the sum of all stays. */
const struct hm_shares *hm_shares_of(struct hm_state *state)
{
    if (!state->shares || state->shares->stale) {
        hm_shares_free(state);
        state->shares = hm_alloc(1, sizeof *state->shares);
        count_shares(state, state->shares);
    }
    return state->shares;
}

void hm_shares_note(struct hm_state *state, const struct hm_message *body)
{
    const struct hm_id *gone = body->kind == HM_MSG_host_removed ? &body->host_removed.host
                               : body->kind == HM_MSG_lite_gone  ? &body->lite_gone.id
                                                                 : NULL;
    bool came = body->kind == HM_MSG_host_changed || body->kind == HM_MSG_lite_kept;
    if (state->shares && (came || (gone && !is_fallen(state, state->shares, gone)))) {
        state->shares->stale = true;
    }
}

/* Of a service that nobody took anything of before, it is not known how much there is. */
void hm_shares_add(struct hm_state *state, const struct hm_id *id,
                   const struct hm_host_config *config)
{
    struct hm_shares *shares = state->shares;
    if (!shares || shares->stale) {
        return;
    }
    uint32_t weight = config->addresses_count ? config->addresses_count : 1;
    for (uint32_t i = 0; i < config->services_count; i++) {
        struct share *share = find_share(shares, &config->services[i].name);
        if (!share) {
            shares->stale = true;
            return;
        }
        share->lost += weight;
    }
    hm_index_add(&shares->by_id, hm_hash_id(0, id), (uint32_t)state->fallen_count - 1);
}

bool hm_shares_most_lost(const struct hm_shares *shares, struct hm_bytes bytes)
{
    struct hm_arena arena = {0};
    struct hm_host_config config;
    bool found = false;
    if (shares && hm_shares_read_config(bytes, &arena, &config)) {
        for (uint32_t i = 0; i < config.services_count && !found; i++) {
            const struct share *share = find_share(shares, &config.services[i].name);
            found = share && 2 * share->lost + hm_plant("brakes_at_half") > share->all;
        }
    }
    hm_arena_fini(&arena);
    return found;
}
