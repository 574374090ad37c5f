#include "core/engine/reconcile.h"

#include "core/base/hash.h"
#include "core/base/memory.h"
#include "core/base/plant.h"

#include <stdlib.h>

#define SOON_MS      20u /* several changes at once are one summary */
#define VERSIONS_MAX 65536u
#define DELTAS_MAX   1024u

void hm_reconcile_init(struct hm_reconcile *reconcile, uint64_t seed)
{
    *reconcile = (struct hm_reconcile){.soon_at = HM_NEVER};
    hm_random_init(&reconcile->random, seed);
}

void hm_reconcile_fini(struct hm_reconcile *reconcile)
{
    for (size_t i = 0; i < reconcile->count; i++) {
        hm_bytes_free(reconcile->hosts[i].config);
    }
    hm_free(reconcile->hosts);
    hm_free(reconcile->peers);
    hm_index_fini(&reconcile->by_id);
    hm_outbox_fini(&reconcile->outbox);
    *reconcile = (struct hm_reconcile){0};
}

/* ---- the table ---- */

static bool is_above(struct hm_version a, struct hm_version b)
{
    return a.boot != b.boot ? a.boot > b.boot : a.seq > b.seq;
}

static struct hm_reconcile_host *find(const struct hm_reconcile *reconcile, const struct hm_id *id)
{
    size_t cursor = 0;
    uint32_t slot;
    uint64_t hash = hm_hash_id(0, id);
    while ((slot = hm_index_next(&reconcile->by_id, hash, &cursor)) != HM_INDEX_END) {
        if (hm_id_equal(&reconcile->hosts[slot].id, id)) {
            return &reconcile->hosts[slot];
        }
    }
    return NULL;
}

static struct hm_reconcile_host *add(struct hm_reconcile *reconcile, const struct hm_id *id)
{
    reconcile->hosts =
        hm_grow(reconcile->hosts, reconcile->count, &reconcile->capacity, sizeof *reconcile->hosts);
    uint32_t slot = (uint32_t)reconcile->count++;
    reconcile->hosts[slot] = (struct hm_reconcile_host){.id = *id};
    hm_index_add(&reconcile->by_id, hm_hash_id(0, id), slot);
    return &reconcile->hosts[slot];
}

static bool counts(const struct hm_reconcile_host *host)
{
    return host->admitted && host->config.size;
}

/* Takes a host out of the sums, or puts it in again: called before and after a change. */
static void toggle(struct hm_reconcile *reconcile, const struct hm_reconcile_host *host, bool in)
{
    if (counts(host)) {
        uint64_t of_boot = hm_hash_id(host->version.boot, &host->id);
        reconcile->sum ^= hm_hash_id(of_boot ^ host->version.seq, &host->id);
        reconcile->known += in ? 1u : -1u;
    } else if (!host->admitted) {
        reconcile->held += in ? (size_t)1 : (size_t)-1;
        reconcile->held_bytes += in ? host->config.size : -host->config.size;
    }
}

static void remove_host(struct hm_reconcile *reconcile, struct hm_reconcile_host *host)
{
    uint32_t slot = (uint32_t)(host - reconcile->hosts);
    uint32_t last = (uint32_t)--reconcile->count;
    toggle(reconcile, host, false);
    hm_bytes_free(host->config);
    hm_index_remove(&reconcile->by_id, hm_hash_id(0, &host->id), slot);
    if (slot != last) {
        const struct hm_reconcile_host *moved = &reconcile->hosts[last];
        hm_index_remove(&reconcile->by_id, hm_hash_id(0, &moved->id), last);
        hm_index_add(&reconcile->by_id, hm_hash_id(0, &moved->id), slot);
        *host = *moved;
    }
}

static struct hm_message push_of(const struct hm_reconcile_host *host)
{
    struct hm_message message = {.kind = HM_MSG_push};
    message.push.state = (struct hm_host_state){host->id, host->version, host->config};
    return message;
}

static void tell_node(struct hm_reconcile *reconcile, const struct hm_reconcile_host *host)
{
    struct hm_message message = push_of(host);
    struct hm_effect effect = {.kind = HM_EFFECT_APPLY, .peer.id = host->id};
    hm_outbox_push(&reconcile->outbox, &effect, &message);
}

/* A host's config counts from now on: tell the node, and soon a peer. */
static void apply(struct hm_reconcile *reconcile, hm_ms now, struct hm_reconcile_host *host)
{
    host->order = ++reconcile->order;
    tell_node(reconcile, host);
    if (reconcile->soon_at == HM_NEVER) {
        reconcile->soon_at = now + SOON_MS;
    }
}

static bool has_room(const struct hm_reconcile *reconcile, const struct hm_reconcile_host *host,
                     size_t size)
{
    size_t freed = host ? host->config.size : 0;
    return reconcile->held + !host <= HM_RECONCILE_HELD_MAX &&
           reconcile->held_bytes - freed + size <= HM_RECONCILE_HELD_BYTES_MAX;
}

enum hm_status hm_reconcile_offer(struct hm_reconcile *reconcile, hm_ms now,
                                  const struct hm_host_state *state)
{
    struct hm_reconcile_host *host = find(reconcile, &state->host);
    if (!state->config.size || (!state->version.boot && !state->version.seq)) {
        return HM_BAD_ARGUMENT;
    }
    if (state->config.size > HM_RECONCILE_CONFIG_BYTES_MAX) {
        return HM_TOO_LARGE;
    }
    if (host && !is_above(state->version, host->version) && !hm_plant("takes_older_version")) {
        return HM_STALE;
    }
    bool admitted = host && host->admitted;
    if (!admitted && !has_room(reconcile, host, state->config.size)) {
        return HM_FULL;
    }
    if (host) {
        toggle(reconcile, host, false);
    } else {
        host = add(reconcile, &state->host);
    }
    struct hm_bytes config = hm_bytes_copy(state->config); /* may be what we have ourselves */
    hm_bytes_free(host->config);
    host->config = config;
    host->version = state->version;
    host->held_until = now + HM_RECONCILE_HOLD_MS;
    toggle(reconcile, host, true);
    if (!admitted) {
        return HM_NOT_READY;
    }
    apply(reconcile, now, host);
    return HM_OK;
}

void hm_reconcile_admit(struct hm_reconcile *reconcile, hm_ms now, const struct hm_id *id)
{
    struct hm_reconcile_host *host = find(reconcile, id);
    if (!host) {
        add(reconcile, id)->admitted = true; /* without a config it is in no sum */
        return;
    }
    if (host->admitted) {
        return;
    }
    if (now >= host->held_until) {
        remove_host(reconcile, host);
        hm_reconcile_admit(reconcile, now, id);
        return;
    }
    toggle(reconcile, host, false);
    host->admitted = true;
    toggle(reconcile, host, true);
    apply(reconcile, now, host);
}

void hm_reconcile_repeat(struct hm_reconcile *reconcile)
{
    for (size_t i = 0; i < reconcile->count; i++) {
        if (counts(&reconcile->hosts[i])) {
            tell_node(reconcile, &reconcile->hosts[i]);
        }
    }
}

void hm_reconcile_forget(struct hm_reconcile *reconcile, const struct hm_id *id)
{
    struct hm_reconcile_host *host = find(reconcile, id);
    if (host) {
        remove_host(reconcile, host);
    }
}

struct hm_version hm_reconcile_version(const struct hm_reconcile *reconcile, const struct hm_id *id)
{
    const struct hm_reconcile_host *host = find(reconcile, id);
    return host && host->admitted ? host->version : (struct hm_version){0};
}

void hm_reconcile_set_peers(struct hm_reconcile *reconcile, const struct hm_peer *peers,
                            size_t count)
{
    reconcile->peers = hm_resize(reconcile->peers, count, sizeof *reconcile->peers);
    for (size_t i = 0; i < count; i++) {
        reconcile->peers[i] = peers[i];
    }
    reconcile->peer_count = count;
    reconcile->turn = count; /* shuffled when its turn comes */
}

/* ---- comparing ---- */

static void send_summary(struct hm_reconcile *reconcile, const struct hm_peer *to)
{
    struct hm_message message = {.kind = HM_MSG_reconcile_summary};
    message.reconcile_summary.sum = reconcile->sum;
    message.reconcile_summary.count = reconcile->known;
    hm_outbox_send(&reconcile->outbox, to, &message);
}

static void send_versions(struct hm_reconcile *reconcile, const struct hm_peer *to, bool answer)
{
    struct hm_host_state *versions = hm_alloc(reconcile->count, sizeof *versions);
    uint32_t count = 0;
    for (size_t i = 0; i < reconcile->count && count < VERSIONS_MAX; i++) {
        const struct hm_reconcile_host *host = &reconcile->hosts[i];
        if (counts(host)) {
            versions[count++] = (struct hm_host_state){.host = host->id, .version = host->version};
        }
    }
    struct hm_message message = {.kind = HM_MSG_reconcile_versions};
    message.reconcile_versions.versions = versions;
    message.reconcile_versions.versions_count = count;
    message.reconcile_versions.answer = answer;
    hm_outbox_send(&reconcile->outbox, to, &message);
    hm_free(versions);
}

/* Notes what the peer has; true when some of it is above ours. */
static bool compare(struct hm_reconcile *reconcile, const struct hm_reconcile_versions *versions)
{
    bool lacking = false;
    reconcile->round++;
    for (uint32_t i = 0; i < versions->versions_count; i++) {
        const struct hm_host_state *theirs = &versions->versions[i];
        struct hm_reconcile_host *host = find(reconcile, &theirs->host);
        lacking = lacking || !host || is_above(theirs->version, host->version);
        if (host) {
            host->round = reconcile->round;
            host->theirs = theirs->version;
        }
    }
    return lacking;
}

struct candidate {
    uint64_t order;
    const struct hm_reconcile_host *host;
};

static int by_order(const void *a, const void *b)
{
    uint64_t x = ((const struct candidate *)a)->order;
    uint64_t y = ((const struct candidate *)b)->order;
    return (x > y) - (x < y);
}

/* Sends what the peer of the last comparison lacks, oldest first, as much as a message may carry:
 * whoever took some of it compares again. */
static void send_deltas(struct hm_reconcile *reconcile, const struct hm_peer *to)
{
    struct candidate *candidates = hm_alloc(reconcile->count, sizeof *candidates);
    size_t found = 0;
    for (size_t i = 0; i < reconcile->count; i++) {
        const struct hm_reconcile_host *host = &reconcile->hosts[i];
        bool lacks = host->round != reconcile->round || is_above(host->version, host->theirs);
        if (counts(host) && lacks) {
            candidates[found++] = (struct candidate){host->order, host};
        }
    }
    qsort(candidates, found, sizeof *candidates, by_order);
    struct hm_host_state *deltas =
        hm_alloc(found < DELTAS_MAX ? found : DELTAS_MAX, sizeof *deltas);
    uint32_t count = 0;
    size_t bytes = 0;
    for (size_t i = 0; i < found && count < DELTAS_MAX; i++) {
        const struct hm_reconcile_host *host = candidates[i].host;
        bytes += host->config.size;
        if (count && bytes > HM_RECONCILE_DELTAS_BYTES_MAX) {
            break;
        }
        deltas[count++] = (struct hm_host_state){host->id, host->version, host->config};
    }
    if (count) {
        struct hm_message message = {.kind = HM_MSG_reconcile_deltas};
        message.reconcile_deltas.deltas = deltas;
        message.reconcile_deltas.deltas_count = count;
        hm_outbox_send(&reconcile->outbox, to, &message);
    }
    hm_free(deltas);
    hm_free(candidates);
}

/* ---- messages ---- */

static enum hm_status take_push(struct hm_reconcile *reconcile, hm_ms now,
                                const struct hm_peer *from, const struct hm_host_state *state)
{
    enum hm_status status = hm_reconcile_offer(reconcile, now, state);
    if (status != HM_OK && status != HM_STALE) {
        return status; /* a held one is pushed again, and acknowledged when it counts */
    }
    struct hm_version version = hm_reconcile_version(reconcile, &state->host);
    if (version.boot || version.seq) {
        struct hm_message message = {.kind = HM_MSG_pushed};
        message.pushed.host = state->host;
        message.pushed.version = version;
        hm_outbox_send(&reconcile->outbox, from, &message);
    }
    return status;
}

static enum hm_status take_summary(struct hm_reconcile *reconcile, const struct hm_peer *from,
                                   const struct hm_reconcile_summary *summary)
{
    if (summary->sum == reconcile->sum && summary->count == reconcile->known) {
        return HM_STALE;
    }
    send_versions(reconcile, from, false);
    return HM_OK;
}

static enum hm_status take_versions(struct hm_reconcile *reconcile, const struct hm_peer *from,
                                    const struct hm_reconcile_versions *versions)
{
    bool lacking = compare(reconcile, versions);
    send_deltas(reconcile, from);
    if (lacking && !versions->answer) {
        send_versions(reconcile, from, true);
    }
    return HM_OK;
}

static enum hm_status take_deltas(struct hm_reconcile *reconcile, hm_ms now,
                                  const struct hm_peer *from,
                                  const struct hm_reconcile_deltas *deltas)
{
    bool progress = false;
    for (uint32_t i = 0; i < deltas->deltas_count; i++) {
        progress |= hm_reconcile_offer(reconcile, now, &deltas->deltas[i]) == HM_OK;
    }
    if (progress) {
        send_summary(reconcile, from); /* there may be more where this came from */
    }
    return progress ? HM_OK : HM_STALE;
}

enum hm_status hm_reconcile_input(struct hm_reconcile *reconcile, hm_ms now,
                                  const struct hm_peer *from, const struct hm_message *message)
{
    switch (message->kind) {
    case HM_MSG_push:
        return take_push(reconcile, now, from, &message->push.state);
    case HM_MSG_reconcile_summary:
        return take_summary(reconcile, from, &message->reconcile_summary);
    case HM_MSG_reconcile_versions:
        return take_versions(reconcile, from, &message->reconcile_versions);
    case HM_MSG_reconcile_deltas:
        return take_deltas(reconcile, now, from, &message->reconcile_deltas);
    default:
        return HM_BAD_ARGUMENT;
    }
}

/* ---- time ---- */

static void summarize_to_next(struct hm_reconcile *reconcile)
{
    if (reconcile->turn >= reconcile->peer_count) {
        for (size_t i = reconcile->peer_count; i > 1; i--) {
            size_t other = (size_t)hm_random_below(&reconcile->random, i);
            struct hm_peer peer = reconcile->peers[i - 1];
            reconcile->peers[i - 1] = reconcile->peers[other];
            reconcile->peers[other] = peer;
        }
        reconcile->turn = 0;
    }
    if (reconcile->peer_count) {
        send_summary(reconcile, &reconcile->peers[reconcile->turn++]);
    }
}

static void drop_held(struct hm_reconcile *reconcile, hm_ms now)
{
    for (size_t i = reconcile->count; reconcile->held && i-- > 0;) {
        struct hm_reconcile_host *host = &reconcile->hosts[i];
        if (!host->admitted && now >= host->held_until) {
            remove_host(reconcile, host);
        }
    }
}

void hm_reconcile_tick(struct hm_reconcile *reconcile, hm_ms now)
{
    if (now >= reconcile->soon_at) {
        reconcile->soon_at = HM_NEVER;
        summarize_to_next(reconcile);
    }
    if (now >= reconcile->round_at) {
        uint64_t jitter = hm_random_below(&reconcile->random, HM_RECONCILE_ROUND_MS / 5);
        reconcile->round_at = now + HM_RECONCILE_ROUND_MS * 9 / 10 + jitter;
        drop_held(reconcile, now);
        summarize_to_next(reconcile);
    }
}

hm_ms hm_reconcile_deadline(const struct hm_reconcile *reconcile)
{
    hm_ms deadline = reconcile->peer_count || reconcile->held ? reconcile->round_at : HM_NEVER;
    return reconcile->soon_at < deadline ? reconcile->soon_at : deadline;
}

bool hm_reconcile_output(struct hm_reconcile *reconcile, struct hm_effect *out)
{
    return hm_outbox_pop(&reconcile->outbox, out);
}
