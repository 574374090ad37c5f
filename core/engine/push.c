#include "core/engine/push.h"

#include "core/base/assert.h"
#include "core/base/hash.h"
#include "core/base/memory.h"

#include <stdlib.h>

#define FANOUT         2u
#define RETRY_MS       300u
#define RETRY_MAX_MS   5000u
#define TRIES_TO_WIDEN 2u /* pushes without an answer until one more consumer gets it too */

void hm_push_init(struct hm_pusher *push, const struct hm_push_config *config, uint64_t seed)
{
    *push = (struct hm_pusher){.config = *config};
    push->config.fanout = config->fanout ? config->fanout : FANOUT;
    push->config.retry_ms = config->retry_ms ? config->retry_ms : RETRY_MS;
    hm_random_init(&push->random, seed);
}

void hm_push_fini(struct hm_pusher *push)
{
    for (size_t role = 0; role < HM_PUSH_ROLES_MAX; role++) {
        hm_free(push->roles[role].targets);
    }
    hm_bytes_free(push->body);
    hm_outbox_fini(&push->outbox);
    *push = (struct hm_pusher){0};
}

static bool is_above(struct hm_version a, struct hm_version b)
{
    return a.boot != b.boot ? a.boot > b.boot : a.seq > b.seq;
}

static bool has_it(const struct hm_pusher *push, const struct hm_push_target *target)
{
    return !is_above(push->version, target->acked);
}

static bool is_published(const struct hm_pusher *push)
{
    return push->version.boot || push->version.seq;
}

static void send_to(struct hm_pusher *push, const struct hm_peer *peer)
{
    struct hm_message message = {.kind = HM_MSG_push};
    message.push.state = (struct hm_host_state){push->config.self, push->version, push->body};
    hm_outbox_send(&push->outbox, peer, &message);
}

/* The first so many targets of a role: `fanout`, and self where it is one. */
static size_t wanted(const struct hm_pusher *push, const struct hm_push_role *role)
{
    bool self = role->count && hm_id_equal(&role->targets[0].peer.id, &push->config.self);
    size_t want = (size_t)push->config.fanout + self;
    return want < role->count ? want : role->count;
}

/* A node of several roles is pushed to once: true when another role has just sent it this. */
static bool sent_already(const struct hm_pusher *push, const struct hm_push_target *target,
                         hm_ms retry_at)
{
    for (size_t r = 0; r < HM_PUSH_ROLES_MAX; r++) {
        const struct hm_push_role *role = &push->roles[r];
        for (size_t i = 0; i < role->reach; i++) {
            const struct hm_push_target *other = &role->targets[i];
            if (other != target && other->tries && other->retry_at >= retry_at &&
                other->retry_at != HM_NEVER && hm_id_equal(&other->peer.id, &target->peer.id)) {
                return true;
            }
        }
    }
    return false;
}

static void try_target(struct hm_pusher *push, hm_ms now, struct hm_push_target *target)
{
    hm_ms wait = push->config.retry_ms << (target->tries < 5 ? target->tries : 5);
    wait = wait < RETRY_MAX_MS ? wait : RETRY_MAX_MS;
    if (!sent_already(push, target, now + push->config.retry_ms)) {
        send_to(push, &target->peer);
    }
    target->tries++;
    target->retry_at = now + wait + hm_random_below(&push->random, wait / 8 + 1);
}

/* Pushes to those in reach that are due; one that stays silent widens the reach. */
static void push_role(struct hm_pusher *push, hm_ms now, struct hm_push_role *role)
{
    size_t silent = 0;
    for (size_t i = 0; i < role->reach; i++) {
        struct hm_push_target *target = &role->targets[i];
        if (has_it(push, target)) {
            target->retry_at = HM_NEVER;
            continue;
        }
        if (now >= target->retry_at) {
            try_target(push, now, target);
        }
        silent += target->tries > TRIES_TO_WIDEN;
    }
    size_t reach = wanted(push, role) + silent;
    while (role->reach < reach && role->reach < role->count) {
        struct hm_push_target *target = &role->targets[role->reach++];
        if (!has_it(push, target)) {
            try_target(push, now, target);
        }
    }
}

static void check_acked(struct hm_pusher *push)
{
    bool any = false;
    for (size_t r = 0; r < HM_PUSH_ROLES_MAX; r++) {
        const struct hm_push_role *role = &push->roles[r];
        size_t having = 0;
        for (size_t i = 0; i < role->count; i++) {
            having += has_it(push, &role->targets[i]);
        }
        if (having < wanted(push, role)) {
            return;
        }
        any = any || role->count;
    }
    if (any && !push->acked && is_published(push)) {
        push->acked = true;
        hm_outbox_notify(&push->outbox, HM_PUSH_ACKED, NULL, push->version.seq);
    }
}

/* ---- what the node says ---- */

static int by_score(const void *a, const void *b)
{
    const struct hm_push_target *x = a;
    const struct hm_push_target *y = b;
    if (x->score != y->score) {
        return x->score > y->score ? -1 : 1;
    }
    return hm_id_compare(&x->peer.id, &y->peer.id);
}

static const struct hm_push_target *target_of(const struct hm_push_role *role,
                                              const struct hm_id *id)
{
    for (size_t i = 0; i < role->count; i++) {
        if (hm_id_equal(&role->targets[i].peer.id, id)) {
            return &role->targets[i];
        }
    }
    return NULL;
}

void hm_push_set_consumers(struct hm_pusher *push, hm_ms now, size_t role_number,
                           const struct hm_peer *peers, size_t count)
{
    HM_ASSERT(role_number < HM_PUSH_ROLES_MAX);
    struct hm_push_role *role = &push->roles[role_number];
    struct hm_push_target *targets = hm_alloc(count, sizeof *targets);
    uint64_t own_hash = hm_hash_id(0, &push->config.self);
    for (size_t i = 0; i < count; i++) {
        const struct hm_push_target *old = target_of(role, &peers[i].id);
        if (old) {
            targets[i] = *old;
        }
        bool self = hm_id_equal(&peers[i].id, &push->config.self);
        targets[i].peer = peers[i];
        targets[i].score = self ? UINT64_MAX : hm_hash_id(own_hash, &peers[i].id);
    }
    qsort(targets, count, sizeof *targets, by_score);
    hm_free(role->targets);
    *role = (struct hm_push_role){.targets = targets, .count = count};
    role->reach = wanted(push, role);
    if (is_published(push)) {
        push_role(push, now, role);
        check_acked(push);
    }
}

enum hm_status hm_push_publish(struct hm_pusher *push, hm_ms now, const struct hm_host_state *state)
{
    if (!is_above(state->version, push->version)) {
        return HM_STALE;
    }
    struct hm_bytes body = hm_bytes_copy(state->config);
    hm_bytes_free(push->body);
    push->body = body;
    push->version = state->version;
    push->acked = false;
    for (size_t r = 0; r < HM_PUSH_ROLES_MAX; r++) {
        struct hm_push_role *role = &push->roles[r];
        for (size_t i = 0; i < role->count; i++) {
            role->targets[i].tries = 0;
            role->targets[i].retry_at = 0;
        }
        role->reach = wanted(push, role);
    }
    for (size_t r = 0; r < HM_PUSH_ROLES_MAX; r++) {
        push_role(push, now, &push->roles[r]);
    }
    return HM_OK;
}

void hm_push_pulled(struct hm_pusher *push, hm_ms now, const struct hm_peer *from)
{
    (void)now;
    if (is_published(push)) {
        send_to(push, from);
    }
}

enum hm_status hm_push_input(struct hm_pusher *push, hm_ms now, const struct hm_peer *from,
                             const struct hm_message *message)
{
    (void)now;
    if (message->kind != HM_MSG_pushed) {
        return HM_BAD_ARGUMENT;
    }
    const struct hm_pushed *pushed = &message->pushed;
    enum hm_status status = HM_STALE;
    if (!hm_id_equal(&pushed->host, &push->config.self)) {
        return status;
    }
    for (size_t r = 0; r < HM_PUSH_ROLES_MAX; r++) {
        struct hm_push_role *role = &push->roles[r];
        for (size_t i = 0; i < role->count; i++) {
            struct hm_push_target *target = &role->targets[i];
            if (hm_id_equal(&target->peer.id, &from->id) &&
                is_above(pushed->version, target->acked)) {
                target->acked = pushed->version;
                status = HM_OK;
            }
        }
    }
    check_acked(push);
    return status;
}

/* ---- time ---- */

void hm_push_tick(struct hm_pusher *push, hm_ms now)
{
    for (size_t r = 0; is_published(push) && r < HM_PUSH_ROLES_MAX; r++) {
        push_role(push, now, &push->roles[r]);
    }
}

hm_ms hm_push_deadline(const struct hm_pusher *push)
{
    hm_ms deadline = HM_NEVER;
    for (size_t r = 0; is_published(push) && r < HM_PUSH_ROLES_MAX; r++) {
        const struct hm_push_role *role = &push->roles[r];
        for (size_t i = 0; i < role->reach; i++) {
            const struct hm_push_target *target = &role->targets[i];
            if (!has_it(push, target) && target->retry_at < deadline) {
                deadline = target->retry_at;
            }
        }
    }
    return deadline;
}

bool hm_push_output(struct hm_pusher *push, struct hm_effect *out)
{
    return hm_outbox_pop(&push->outbox, out);
}
