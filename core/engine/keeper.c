#include "core/engine/keeper.h"

#include "core/base/assert.h"
#include "core/base/hash.h"
#include "core/base/memory.h"
#include "core/base/plant.h"

#include <stdio.h>
#include <string.h>

#define LAPSED_MIN         3u
#define LAPSED_TOGETHER_MS 10000u
#define SERVICE_BYTES_MAX  15u /* RFC 6335 */
#define DOMAIN_BYTES_MAX   253u
#define KEEPERS_TOLD       3u
#define CLAIMS_MAX         1024u

void hm_keeper_init(struct hm_keeper *keeper, const struct hm_id *self, uint64_t seed)
{
    *keeper = (struct hm_keeper){.self = *self, .seed = seed, .next_at = HM_NEVER};
}

static void free_lease(struct hm_keeper *keeper, struct hm_keeper_entry *entry)
{
    if (entry->lease) {
        hm_bytes_free(entry->lease->config);
        hm_free(entry->lease);
        entry->lease = NULL;
        keeper->leases--;
    }
}

void hm_keeper_fini(struct hm_keeper *keeper)
{
    for (size_t i = 0; i < keeper->count; i++) {
        free_lease(keeper, &keeper->entries[i]);
    }
    hm_free(keeper->entries);
    hm_free(keeper->candidates);
    hm_index_fini(&keeper->by_id);
    hm_outbox_fini(&keeper->outbox);
    *keeper = (struct hm_keeper){0};
}

void hm_keeper_set_cluster(struct hm_keeper *keeper, uint64_t cluster)
{
    keeper->cluster = cluster;
}

static bool is_above(const struct hm_version *a, const struct hm_version *b)
{
    return a->boot != b->boot ? a->boot > b->boot : a->seq > b->seq;
}

static bool is_end(const struct hm_version *version)
{
    return version->seq & 1;
}

static struct hm_version end_of(const struct hm_version *version)
{
    return (struct hm_version){version->boot, version->seq | 1};
}

static void raise(struct hm_version *known, const struct hm_version *version)
{
    if (is_above(version, known)) {
        *known = *version;
    }
}

/* ---- entries ---- */

static struct hm_keeper_entry *find(const struct hm_keeper *keeper, const struct hm_id *id)
{
    size_t cursor = 0;
    uint32_t slot;
    while ((slot = hm_index_next(&keeper->by_id, hm_hash_id(0, id), &cursor)) != HM_INDEX_END) {
        if (hm_id_equal(&keeper->entries[slot].id, id)) {
            return &keeper->entries[slot];
        }
    }
    return NULL;
}

static struct hm_keeper_entry *find_or_add(struct hm_keeper *keeper, const struct hm_id *id)
{
    struct hm_keeper_entry *entry = find(keeper, id);
    if (entry || keeper->count >= HM_KEEPER_LITES_MAX) {
        return entry;
    }
    keeper->entries =
        hm_grow(keeper->entries, keeper->count, &keeper->capacity, sizeof *keeper->entries);
    hm_index_add(&keeper->by_id, hm_hash_id(0, id), (uint32_t)keeper->count);
    keeper->entries[keeper->count] = (struct hm_keeper_entry){.id = *id};
    return &keeper->entries[keeper->count++];
}

/* Forgets what is neither in the log nor ours. The last entry takes its place. */
static void forget_if_unused(struct hm_keeper *keeper, struct hm_keeper_entry *entry)
{
    if (entry->recorded || entry->lease) {
        return;
    }
    uint32_t slot = (uint32_t)(entry - keeper->entries);
    uint32_t last = (uint32_t)keeper->count - 1;
    hm_index_remove(&keeper->by_id, hm_hash_id(0, &entry->id), slot);
    if (slot != last) {
        struct hm_id moved = keeper->entries[last].id;
        hm_index_remove(&keeper->by_id, hm_hash_id(0, &moved), last);
        hm_index_add(&keeper->by_id, hm_hash_id(0, &moved), slot);
        keeper->entries[slot] = keeper->entries[last];
    }
    keeper->count--;
}

static void due(struct hm_keeper *keeper, hm_ms at)
{
    keeper->next_at = at < keeper->next_at ? at : keeper->next_at;
}

static struct hm_lease *open_lease(struct hm_keeper *keeper, struct hm_keeper_entry *entry)
{
    if (!entry->lease) {
        entry->lease = hm_alloc(1, sizeof *entry->lease);
        entry->lease->submit_at = HM_NEVER;
        entry->lease->push_at = HM_NEVER;
        keeper->leases++;
    }
    entry->wanted = false;
    return entry->lease;
}

/* ---- candidates ---- */

static const struct hm_keeper_candidate *candidate(const struct hm_keeper *keeper,
                                                   const struct hm_id *id)
{
    for (size_t i = 0; i < keeper->candidate_count; i++) {
        if (hm_id_equal(&keeper->candidates[i].peer.id, id)) {
            return &keeper->candidates[i];
        }
    }
    return NULL;
}

static uint64_t score(const struct hm_keeper *keeper, const struct hm_id *lite,
                      const struct hm_id *who)
{
    uint64_t seed = hm_plant("all_shares_move") ? keeper->candidate_count : 0;
    return hm_hash_id(hm_hash_id(seed, lite), who);
}

struct place {
    bool doubtful;
    uint64_t score;
};

static bool comes_before(const struct place *a, const struct place *b)
{
    return a->doubtful != b->doubtful ? b->doubtful : a->score > b->score;
}

size_t hm_keeper_rank(const struct hm_keeper *keeper, const struct hm_id *lite, struct hm_peer *out,
                      size_t most)
{
    struct place places[HM_KEEPER_RANKED_MAX];
    size_t count = 0;
    HM_ASSERT(most <= HM_KEEPER_RANKED_MAX);
    for (size_t i = 0; i < keeper->candidate_count; i++) {
        const struct hm_keeper_candidate *one = &keeper->candidates[i];
        struct place place = {one->doubtful, score(keeper, lite, &one->peer.id)};
        size_t at = count;
        while (at > 0 && comes_before(&place, &places[at - 1])) {
            at--;
        }
        if (at == most) {
            continue;
        }
        count += count < most;
        memmove(out + at + 1, out + at, (count - at - 1) * sizeof *out);
        memmove(places + at + 1, places + at, (count - at - 1) * sizeof *places);
        out[at] = one->peer;
        places[at] = place;
    }
    return count;
}

/* Whose lease it is by what all know: the recorded keeper's while there is one, else the best's. */
static bool is_ours(const struct hm_keeper *keeper, const struct hm_keeper_entry *entry)
{
    const struct hm_keeper_candidate *recorded = candidate(keeper, &entry->record.keeper);
    if (recorded) {
        return hm_id_equal(&recorded->peer.id, &keeper->self);
    }
    const struct hm_id *best = NULL;
    for (size_t i = 0; i < keeper->candidate_count; i++) {
        const struct hm_id *id = &keeper->candidates[i].peer.id;
        if (!best || score(keeper, &entry->id, id) > score(keeper, &entry->id, best)) {
            best = id;
        }
    }
    return best && hm_id_equal(best, &keeper->self);
}

static void review(struct hm_keeper *keeper, struct hm_keeper_entry *entry)
{
    if (!entry->recorded || entry->lease || !is_ours(keeper, entry)) {
        entry->wanted = false;
    } else if (!entry->wanted) {
        entry->wanted = true;
        hm_outbox_notify(&keeper->outbox, HM_KEEPER_ADOPT, &(struct hm_peer){.id = entry->id}, 0);
    }
}

void hm_keeper_set_candidates(struct hm_keeper *keeper, hm_ms now, const struct hm_peer *peers,
                              size_t count)
{
    bool same = count == keeper->candidate_count;
    (void)now;
    for (size_t i = 0; i < count && same; i++) {
        same = hm_id_equal(&peers[i].id, &keeper->candidates[i].peer.id) &&
               hm_addr_equal(&peers[i].addr, &keeper->candidates[i].peer.addr);
    }
    if (same) {
        return; /* most members are no candidates */
    }
    struct hm_keeper_candidate *fresh = hm_alloc(count + 1, sizeof *fresh);
    for (size_t i = 0; i < count; i++) {
        const struct hm_keeper_candidate *old = candidate(keeper, &peers[i].id);
        fresh[i] = (struct hm_keeper_candidate){peers[i], old && old->doubtful};
    }
    hm_free(keeper->candidates);
    keeper->candidates = fresh;
    keeper->candidate_count = count;
    for (size_t i = 0; i < keeper->count; i++) {
        review(keeper, &keeper->entries[i]);
    }
}

void hm_keeper_set_doubts(struct hm_keeper *keeper, const struct hm_id *ids, size_t count)
{
    for (size_t i = 0; i < keeper->candidate_count; i++) {
        keeper->candidates[i].doubtful = false;
        for (size_t at = 0; at < count && !keeper->candidates[i].doubtful; at++) {
            keeper->candidates[i].doubtful = hm_id_equal(&ids[at], &keeper->candidates[i].peer.id);
        }
    }
}

/* ---- what lite hosts are told ---- */

struct told {
    uint64_t call;
    enum hm_status status;
    struct hm_bytes reason;
    struct hm_version version;
    bool committed;
};

static void tell(struct hm_keeper *keeper, const struct hm_id *id, const struct hm_addr *addr,
                 const struct told *told)
{
    struct hm_peer best[KEEPERS_TOLD];
    struct hm_address keepers[KEEPERS_TOLD];
    size_t count = hm_keeper_rank(keeper, id, best, KEEPERS_TOLD);
    for (size_t i = 0; i < count; i++) {
        keepers[i].addr = best[i].addr;
    }
    hm_outbox_send(
        &keeper->outbox, &(struct hm_peer){*id, *addr},
        &(struct hm_message){.kind = HM_MSG_keepalive_reply,
                             .keepalive_reply = {.call = told->call,
                                                 .status = (uint16_t)told->status,
                                                 .reason = told->reason,
                                                 .cluster = keeper->cluster,
                                                 .challenge = hm_hash_id(keeper->seed, id),
                                                 .version = told->version,
                                                 .committed = told->committed,
                                                 .keepers = keepers,
                                                 .keepers_count = (uint32_t)count}});
}

static void tell_lease(struct hm_keeper *keeper, const struct hm_keeper_entry *entry,
                       enum hm_status status, struct hm_bytes reason)
{
    const struct hm_lease *lease = entry->lease;
    if (!lease->call) {
        return; /* it has not spoken to us: it may not know us */
    }
    tell(keeper, &entry->id, &lease->lite.addr,
         &(struct told){.call = lease->call,
                        .status = status,
                        .reason = reason,
                        .version = is_above(&entry->known, &lease->version) ? entry->known
                                                                            : lease->version,
                        .committed = !is_above(&lease->version, &lease->committed)});
}

/* ---- what consumers and the log are told ---- */

static void push(struct hm_keeper *keeper, struct hm_keeper_entry *entry)
{
    const struct hm_lease *lease = entry->lease;
    struct hm_buf nothing = {0};
    struct hm_message message = {
        .kind = HM_MSG_push,
        .push.state = {.host = entry->id, .version = lease->version, .config = lease->config}};
    if (is_end(&lease->version)) {
        hm_message_encode(&nothing, &(struct hm_message){.kind = HM_MSG_host_config});
        message.push.state.config = hm_buf_view(&nothing);
    }
    raise(&entry->known, &lease->version);
    hm_outbox_push(&keeper->outbox,
                   &(struct hm_effect){.kind = HM_EFFECT_APPLY, .peer.id = entry->id}, &message);
    hm_buf_fini(&nothing);
}

/* The virtual hosts of a config, each for its service; it was read before, or comes from the log.
 */
static void claims_of(struct hm_arena *arena, struct hm_bytes config, struct hm_request_keep *out)
{
    struct hm_message message;
    if (hm_message_decode_only(config, HM_MSG_host_config, arena, &message) != HM_OK) {
        return;
    }
    out->claims = hm_arena_alloc(arena, CLAIMS_MAX, sizeof *out->claims);
    for (uint32_t i = 0; i < message.host_config.services_count; i++) {
        const struct hm_service *service = &message.host_config.services[i];
        for (uint32_t j = 0; j < service->vhosts_count && out->claims_count < CLAIMS_MAX; j++) {
            out->claims[out->claims_count++] =
                (struct hm_claim){service->vhosts[j].name, service->name};
        }
    }
}

static void submit(struct hm_keeper *keeper, struct hm_keeper_entry *entry)
{
    struct hm_lease *lease = entry->lease;
    struct hm_arena arena = {0};
    struct hm_message message = {.kind = HM_MSG_request_keep};
    if (is_end(&lease->version)) {
        message = (struct hm_message){.kind = HM_MSG_request_lapse,
                                      .request_lapse = {.id = entry->id,
                                                        .name = lease->lite.name,
                                                        .version = lease->version,
                                                        .expired = !lease->withdrawn}};
    } else {
        message.request_keep.lite = lease->lite;
        message.request_keep.state = (struct hm_host_state){
            .host = entry->id, .version = lease->version, .config = lease->config};
        claims_of(&arena, lease->config, &message.request_keep);
    }
    lease->submitted = true;
    lease->submit_at = HM_NEVER;
    hm_outbox_push(&keeper->outbox,
                   &(struct hm_effect){
                       .kind = HM_EFFECT_APPLY, .peer.id = entry->id, .number = lease->version.seq},
                   &message);
    hm_arena_fini(&arena);
}

static void submit_at(struct hm_keeper *keeper, struct hm_lease *lease, hm_ms at)
{
    if (!lease->submitted) {
        lease->submit_at = at;
        due(keeper, at);
    }
}

/* It is gone: pushed, so that it is gone without quorum too. */
static void end(struct hm_keeper *keeper, hm_ms now, struct hm_keeper_entry *entry, bool withdrawn)
{
    struct hm_lease *lease = entry->lease;
    lease->version = end_of(&lease->version);
    lease->withdrawn = withdrawn;
    lease->held = false;
    if (withdrawn) {
        lease->push_at = HM_NEVER;
        push(keeper, entry);
        if (hm_plant("withdrawal_not_logged")) {
            return;
        }
    } else {
        lease->push_at = now + HM_KEEPER_ANSWER_MS;
        due(keeper, lease->push_at);
    }
    submit_at(keeper, lease, now);
}

/* ---- keepalives ---- */

static bool is_vhost(struct hm_bytes name)
{
    for (size_t i = 0; i < name.size; i++) {
        uint8_t c = name.data[i];
        bool good = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
                    c == '_' || c == '*';
        if (!good) {
            return false;
        }
    }
    return name.size > 0 && name.size <= DOMAIN_BYTES_MAX;
}

static const char *problem_of_service(const struct hm_service *service)
{
    if (!hm_name_is_label(&service->name) || service->name.size > SERVICE_BYTES_MAX) {
        return "a service is named by a DNS label of at most 15 characters";
    }
    if (service->port == 0 || service->weight == 0) {
        return "a service needs a port and a weight";
    }
    for (uint32_t i = 0; i < service->vhosts_count; i++) {
        if (!is_vhost(service->vhosts[i].name)) {
            return "a virtual host is a domain name in lower case";
        }
    }
    return service->checked ? "nobody checks the services of a lite host" : NULL;
}

/* What is wrong with a keepalive, or NULL; its config, with an address in it, goes to `config`. */
static const char *read(const struct hm_keepalive *alive, const struct hm_addr *from,
                        struct hm_buf *config)
{
    struct hm_arena arena = {0};
    struct hm_message message;
    struct hm_address own = {.addr = *from};
    const char *problem = NULL;
    if (!hm_name_is_label(&alive->name)) {
        problem = "a host is named by a DNS label";
    } else if (alive->lease_ms < HM_KEEPER_LEASE_MS_MIN ||
               alive->lease_ms > HM_KEEPER_LEASE_MS_MAX) {
        problem = "a lease lasts from 1 s to 24 h";
    } else if (is_end(&alive->version) || alive->version.boot == 0) {
        problem = "the version of a living host is even";
    } else if (hm_message_decode_only(alive->config, HM_MSG_host_config, &arena, &message) !=
               HM_OK) {
        problem = "the config does not decode";
    } else {
        struct hm_host_config *read = &message.host_config;
        for (uint32_t i = 0; i < read->services_count && !problem; i++) {
            problem = problem_of_service(&read->services[i]);
        }
        for (uint32_t i = 0; i < read->addresses_count && !problem; i++) {
            problem = hm_addr_is_none(&read->addresses[i].addr) ? "an address is none" : NULL;
        }
        if (read->addresses_count == 0) {
            own.addr.port = 0;
            read->addresses = &own;
            read->addresses_count = 1;
        }
        hm_message_encode(config, &message);
    }
    hm_arena_fini(&arena);
    return problem;
}

/* Takes it over as it says now; true when that is news for consumers. */
static bool take(struct hm_keeper *keeper, hm_ms now, struct hm_keeper_entry *entry,
                 const struct hm_peer *from, const struct hm_keepalive *alive,
                 struct hm_bytes config)
{
    struct hm_lease *lease = open_lease(keeper, entry);
    struct hm_lite lite = {.id = entry->id,
                           .name = alive->name,
                           .addr = from->addr,
                           .keeper = keeper->self,
                           .lease_ms = alive->lease_ms};
    bool moved = !hm_addr_same_ip(&lite.addr, &lease->lite.addr) ||
                 !hm_name_equal(&lite.name, &lease->lite.name) ||
                 lite.lease_ms != lease->lite.lease_ms;
    bool news = is_above(&alive->version, &lease->version);
    lease->lite = lite;
    lease->call = alive->call;
    lease->expires_at = now + alive->lease_ms;
    lease->withdrawn = false;
    lease->push_at = HM_NEVER;
    due(keeper, lease->expires_at);
    if (news) {
        hm_bytes_free(lease->config);
        lease->config = hm_bytes_copy(config);
        lease->version = alive->version;
    }
    if (news || moved || entry->braked) {
        submit_at(keeper, lease, now);
    }
    return news;
}

/* Would it be another config under a version that is known? Consumers have that version and would
 * not look: its address may have changed, which only the keeper sees. Without a lease nobody here
 * can tell, so it is to say a new one. */
static bool is_stale(const struct hm_keeper_entry *entry, const struct hm_keepalive *alive,
                     struct hm_bytes config)
{
    const struct hm_lease *lease = entry->lease;
    bool renews = lease && !is_above(&lease->version, &alive->version) &&
                  !is_above(&entry->known, &alive->version) &&
                  hm_bytes_equal(lease->config, config);
    return !renews && !is_above(&alive->version, &entry->known) &&
           !hm_plant("stale_keepalive_counts");
}

static enum hm_status keep(struct hm_keeper *keeper, hm_ms now, const struct hm_peer *from,
                           const struct hm_keepalive *alive, struct hm_bytes config)
{
    struct hm_keeper_entry *entry = find_or_add(keeper, &from->id);
    struct told told = {.call = alive->call, .status = HM_FULL};
    if (!entry) {
        told.reason = hm_bytes_of_text("this member knows as many lite hosts as it can");
        tell(keeper, &from->id, &from->addr, &told);
        return HM_FULL;
    }
    if (is_stale(entry, alive, config)) {
        told = (struct told){.call = alive->call, .status = HM_STALE, .version = entry->known};
        if (entry->lease) {
            entry->lease->lite.addr = from->addr;
        }
        tell(keeper, &from->id, &from->addr, &told);
        forget_if_unused(keeper, entry);
        return HM_STALE;
    }
    if (take(keeper, now, entry, from, alive, config) && !alive->withdraw) {
        push(keeper, entry);
    }
    if (alive->withdraw) {
        end(keeper, now, entry, true);
    }
    tell_lease(keeper, entry, HM_OK, (struct hm_bytes){0});
    return HM_OK;
}

enum hm_status hm_keeper_input(struct hm_keeper *keeper, hm_ms now, const struct hm_peer *from,
                               const struct hm_message *message)
{
    if (message->kind != HM_MSG_keepalive) {
        return HM_BAD_ARGUMENT;
    }
    const struct hm_keepalive *alive = &message->keepalive;
    struct told told = {.call = alive->call, .status = HM_OK};
    struct hm_buf config = {0};
    const char *problem = read(alive, &from->addr, &config);
    char reason[128];
    if (problem) {
        told.status = HM_BAD_ARGUMENT;
        told.reason = hm_bytes_of_text(problem);
    } else if (alive->cluster && alive->cluster != keeper->cluster) {
        told.status = HM_WRONG_CLUSTER;
        snprintf(reason, sizeof reason, "it was kept in cluster %016llx, this is cluster %016llx",
                 (unsigned long long)alive->cluster, (unsigned long long)keeper->cluster);
        told.reason = hm_bytes_of_text(reason);
    } else if (!candidate(keeper, &keeper->self)) {
        told.status = HM_NOT_LEADER;
    } else if (alive->challenge != hm_hash_id(keeper->seed, &from->id) &&
               !hm_plant("repeated_keepalive_counts")) {
        told.status = HM_REPLAYED;
    }
    enum hm_status status = told.status;
    if (status == HM_OK) {
        status = keep(keeper, now, from, alive, hm_buf_view(&config));
    } else {
        tell(keeper, &from->id, &from->addr, &told);
    }
    hm_buf_fini(&config);
    return status;
}

/* ---- what others say ---- */

void hm_keeper_recorded(struct hm_keeper *keeper, hm_ms now, const struct hm_lite *lite,
                        const struct hm_version *version)
{
    struct hm_keeper_entry *entry = find_or_add(keeper, &lite->id);
    if (!entry) {
        return;
    }
    struct hm_lease *lease = entry->lease;
    (void)now;
    entry->recorded = true;
    entry->record = *lite;
    raise(&entry->known, version);
    if (lease && hm_id_equal(&lite->keeper, &keeper->self)) {
        bool news = is_above(version, &lease->committed);
        raise(&lease->committed, version);
        if (news && !is_end(&lease->version)) {
            tell_lease(keeper, entry, HM_OK, (struct hm_bytes){0});
        }
    } else if (lease && !lease->submitted && lease->submit_at == HM_NEVER) {
        free_lease(keeper, entry); /* it speaks to another now */
    }
    review(keeper, entry);
}

void hm_keeper_braked(struct hm_keeper *keeper, const struct hm_id *id, bool braked)
{
    struct hm_keeper_entry *entry = find(keeper, id);
    if (entry) {
        entry->braked = braked;
    }
}

void hm_keeper_gone(struct hm_keeper *keeper, hm_ms now, const struct hm_id *id)
{
    struct hm_keeper_entry *entry = find(keeper, id);
    if (!entry) {
        return;
    }
    struct hm_lease *lease = entry->lease;
    entry->recorded = false;
    entry->braked = false;
    entry->wanted = false;
    if (lease && is_end(&lease->version)) {
        tell_lease(keeper, entry, HM_OK, (struct hm_bytes){0});
        free_lease(keeper, entry);
    } else if (lease &&
               (lease->call || hm_plant("adopted_is_heard"))) { /* it has come back meanwhile */
        lease->committed = (struct hm_version){0};
        submit_at(keeper, lease, now);
    } else {
        free_lease(keeper, entry); /* taken over, and never heard of: no word against the log's */
    }
    forget_if_unused(keeper, entry);
}

void hm_keeper_pushed(struct hm_keeper *keeper, hm_ms now, const struct hm_host_state *state)
{
    struct hm_keeper_entry *entry = find(keeper, &state->host);
    (void)now;
    if (!entry || !is_above(&state->version, &entry->known)) {
        return;
    }
    entry->known = state->version;
    struct hm_lease *lease = entry->lease;
    if (lease && is_end(&state->version)) {
        /* Whoever kept it before has not heard of us: the lite host is to say that it lives. */
        tell_lease(keeper, entry, HM_STALE, (struct hm_bytes){0});
    } else if (lease && !lease->submitted) {
        free_lease(keeper, entry);
        forget_if_unused(keeper, entry);
    }
}

void hm_keeper_adopt(struct hm_keeper *keeper, hm_ms now, const struct hm_host_state *state,
                     const struct hm_version *committed)
{
    struct hm_keeper_entry *entry = find(keeper, &state->host);
    if (!entry || !entry->wanted || entry->lease || !entry->recorded) {
        return;
    }
    struct hm_lease *lease = open_lease(keeper, entry);
    raise(&entry->known, &state->version);
    lease->lite = entry->record;
    lease->lite.keeper = keeper->self;
    lease->version = entry->known;
    lease->config = hm_bytes_copy(state->config);
    lease->expires_at = now + lease->lite.lease_ms;
    due(keeper, lease->expires_at);
    if (hm_id_equal(&entry->record.keeper, &keeper->self)) {
        lease->committed = *committed;
    }
    if (is_above(&lease->version, &lease->committed)) {
        submit_at(keeper, lease, now);
    }
}

/* Not kept: the lite host is told. That another has it, or that it is back there, is no matter of
 * one that had ended here. */
static void refuse(struct hm_keeper *keeper, struct hm_keeper_entry *entry, enum hm_status status,
                   struct hm_bytes reason)
{
    if (!is_end(&entry->lease->version)) {
        tell_lease(keeper, entry, status, reason);
    }
    free_lease(keeper, entry);
    if (!hm_plant("refused_is_forgotten")) {
        review(keeper, entry); /* whoever refused may be behind: by the log it may be ours */
    }
    forget_if_unused(keeper, entry);
}

void hm_keeper_submitted(struct hm_keeper *keeper, hm_ms now, const struct hm_id *id,
                         const struct hm_version *version, enum hm_status status,
                         struct hm_bytes reason)
{
    struct hm_keeper_entry *entry = find(keeper, id);
    struct hm_lease *lease = entry ? entry->lease : NULL;
    if (!lease) {
        return;
    }
    lease->submitted = false;
    bool same = !is_above(&lease->version, version) && !is_above(version, &lease->version);
    if (!same) {
        submit_at(keeper, lease, now); /* it has changed meanwhile */
        return;
    }
    switch (status) {
    case HM_OK:
        if (is_end(version)) {
            free_lease(keeper, entry);
            forget_if_unused(keeper, entry);
            break;
        }
        raise(&lease->committed, version);
        tell_lease(keeper, entry, HM_OK, reason);
        break;
    case HM_STALE:
    case HM_NAME_TAKEN:
    case HM_EXISTS:
    case HM_DENIED:
    case HM_BAD_ARGUMENT:
        refuse(keeper, entry, status, reason);
        break;
    default:
        submit_at(keeper, lease, now + HM_KEEPER_RETRY_MS);
        break;
    }
}

/* ---- time ---- */

/* What is kept here is a fair share of all: when more than half of it falls silent, it may well be
 * the network. */
static bool too_many_lapse(const struct hm_keeper *keeper, hm_ms now)
{
    size_t lapsed = 0;
    size_t living = 0;
    for (size_t i = 0; i < keeper->count; i++) {
        const struct hm_lease *lease = keeper->entries[i].lease;
        bool ended = lease && is_end(&lease->version);
        lapsed += ended && !lease->withdrawn && now < lease->expires_at + LAPSED_TOGETHER_MS;
        living += lease && !ended;
    }
    return lapsed >= LAPSED_MIN && lapsed > living;
}

static void push_end(struct hm_keeper *keeper, hm_ms now, struct hm_keeper_entry *entry,
                     bool too_many)
{
    struct hm_lease *lease = entry->lease;
    if (too_many && !lease->held) {
        lease->held = true;
        lease->push_at = now + HM_KEEPER_BRAKE_MS;
    } else {
        lease->push_at = HM_NEVER;
        push(keeper, entry);
    }
}

static void tick_lease(struct hm_keeper *keeper, hm_ms now, struct hm_keeper_entry *entry,
                       bool too_many)
{
    struct hm_lease *lease = entry->lease;
    if (!is_end(&lease->version) && now >= lease->expires_at) {
        bool moved = entry->recorded && !is_ours(keeper, entry) && !lease->submitted;
        if (moved) {
            free_lease(keeper, entry);
            return;
        }
        hm_outbox_notify(&keeper->outbox, HM_KEEPER_EXPIRED, &(struct hm_peer){.id = entry->id}, 0);
        end(keeper, now, entry, false);
    }
    if (now >= lease->push_at) {
        push_end(keeper, now, entry, too_many);
    }
    if (now >= lease->submit_at) {
        submit(keeper, entry);
    }
    due(keeper, lease->submit_at);
    due(keeper, lease->push_at);
    due(keeper, is_end(&lease->version) ? HM_NEVER : lease->expires_at);
}

void hm_keeper_tick(struct hm_keeper *keeper, hm_ms now)
{
    if (now < keeper->next_at) {
        return;
    }
    bool too_many = too_many_lapse(keeper, now);
    keeper->next_at = HM_NEVER;
    for (size_t i = keeper->count; i-- > 0;) {
        if (keeper->entries[i].lease) {
            tick_lease(keeper, now, &keeper->entries[i], too_many);
            forget_if_unused(keeper, &keeper->entries[i]);
        }
    }
}

hm_ms hm_keeper_deadline(const struct hm_keeper *keeper)
{
    return keeper->next_at;
}

bool hm_keeper_output(struct hm_keeper *keeper, struct hm_effect *out)
{
    return hm_outbox_pop(&keeper->outbox, out);
}
