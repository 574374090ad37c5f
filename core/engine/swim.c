#include "core/engine/swim.h"

#include "core/base/memory.h"

#include <string.h>

#define TRIES             5u  /* pings of one direct probe: loss alone is no failure */
#define REFUSED_TRY_MS    30u /* between pings once one was refused */
#define REFUSALS          3u
#define HISTORY           10u /* regular direct probes remembered */
#define HISTORY_BAD       4u  /* failed of those: one-way loss (Rapid, section 4.1) */
#define HISTORY_GOOD      1u  /* no more than these: over */
#define STOPPING_PROBE_MS 500u

/* ---- setting up ---- */

static void default_ms(hm_ms *value, hm_ms otherwise)
{
    *value = *value ? *value : otherwise;
}

void hm_swim_init(struct hm_swim *swim, const struct hm_swim_config *config, uint64_t seed)
{
    *swim = (struct hm_swim){.config = *config, .incarnation = config->incarnation};
    default_ms(&swim->config.probe_interval_ms, 500);
    default_ms(&swim->config.probe_timeout_ms, 150);
    default_ms(&swim->config.suspicion_min_ms, 700);
    default_ms(&swim->config.suspicion_max_ms, 3000);
    default_ms(&swim->config.refusal_window_ms, 100);
    default_ms(&swim->config.restart_grace_ms, 30000);
    default_ms(&swim->config.silence_ms, 2000);
    swim->config.indirect = config->indirect ? config->indirect : 3;
    hm_random_init(&swim->random, seed);
}

void hm_swim_fini(struct hm_swim *swim)
{
    hm_free(swim->members);
    hm_free(swim->order);
    hm_free(swim->helpers);
    hm_outbox_fini(&swim->outbox);
    *swim = (struct hm_swim){0};
}

static struct hm_swim_member *find(const struct hm_swim *swim, const struct hm_id *id)
{
    for (size_t i = 0; i < swim->count; i++) {
        if (hm_id_equal(&swim->members[i].peer.id, id)) {
            return &swim->members[i];
        }
    }
    return NULL;
}

static void shuffle(struct hm_swim *swim)
{
    for (size_t i = swim->count; i > 1; i--) {
        size_t other = (size_t)hm_random_below(&swim->random, i);
        uint32_t taken = swim->order[i - 1];
        swim->order[i - 1] = swim->order[other];
        swim->order[other] = taken;
    }
    swim->turn = 0;
}

void hm_swim_watch(struct hm_swim *swim, const struct hm_peer *subjects, size_t count)
{
    struct hm_swim_member *members = hm_alloc(count, sizeof *members);
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (hm_id_equal(&subjects[i].id, &swim->config.self.id)) {
            continue;
        }
        const struct hm_swim_member *old = find(swim, &subjects[i].id);
        members[kept] =
            old ? *old
                : (struct hm_swim_member){.state = HM_SWIM_STATE_ALIVE, .urgent_at = HM_NEVER};
        members[kept++].peer = subjects[i];
    }
    hm_free(swim->members);
    swim->members = members;
    swim->count = kept;
    swim->order = hm_resize(swim->order, kept, sizeof *swim->order);
    for (size_t i = 0; i < kept; i++) {
        swim->order[i] = (uint32_t)i;
    }
    shuffle(swim);
}

void hm_swim_set_helpers(struct hm_swim *swim, const struct hm_peer *helpers, size_t count)
{
    swim->helpers = hm_resize(swim->helpers, count, sizeof *swim->helpers);
    swim->helper_count = 0;
    for (size_t i = 0; i < count; i++) {
        if (!hm_id_equal(&helpers[i].id, &swim->config.self.id)) {
            swim->helpers[swim->helper_count++] = helpers[i];
        }
    }
}

void hm_swim_set_places(struct hm_swim *swim, struct hm_place members, struct hm_place state)
{
    swim->members_place = members;
    swim->state_place = state;
}

/* ---- what is sent ---- */

static void send_ping(struct hm_swim *swim, const struct hm_peer *to, uint32_t nonce)
{
    struct hm_message message = {.kind = HM_MSG_ping};
    message.ping.nonce = nonce;
    message.ping.incarnation = swim->incarnation;
    message.ping.members = swim->members_place;
    message.ping.state = swim->state_place;
    hm_outbox_send(&swim->outbox, to, &message);
}

static void send_ack(struct hm_swim *swim, const struct hm_peer *to, uint32_t nonce)
{
    struct hm_message message = {.kind = HM_MSG_ack};
    message.ack.nonce = nonce;
    message.ack.incarnation = swim->incarnation;
    message.ack.members = swim->members_place;
    message.ack.state = swim->state_place;
    hm_outbox_send(&swim->outbox, to, &message);
}

static void send_suspect(struct hm_swim *swim, const struct hm_peer *to,
                         const struct hm_swim_member *member)
{
    struct hm_message message = {.kind = HM_MSG_suspect};
    message.suspect.target = member->peer.id;
    message.suspect.incarnation = member->incarnation;
    hm_outbox_send(&swim->outbox, to, &message);
}

static void send_alive(struct hm_swim *swim, const struct hm_peer *to)
{
    struct hm_message message = {.kind = HM_MSG_alive};
    message.alive.target = swim->config.self.id;
    message.alive.incarnation = swim->incarnation;
    hm_outbox_send(&swim->outbox, to, &message);
}

static void send_result(struct hm_swim *swim, const struct hm_peer *to, uint32_t nonce,
                        const struct hm_id *target, bool heard, uint64_t incarnation)
{
    struct hm_message message = {.kind = HM_MSG_probe_result};
    message.probe_result.nonce = nonce;
    message.probe_result.target = *target;
    message.probe_result.heard = heard;
    message.probe_result.incarnation = incarnation;
    hm_outbox_send(&swim->outbox, to, &message);
}

/* The suspect first: it alone can refute. The others probe for themselves. */
static void tell_suspicion(struct hm_swim *swim, const struct hm_swim_member *member)
{
    send_suspect(swim, &member->peer, member);
    for (size_t i = 0; i < swim->helper_count; i++) {
        if (!hm_id_equal(&swim->helpers[i].id, &member->peer.id)) {
            send_suspect(swim, &swim->helpers[i], member);
        }
    }
}

static void notify(struct hm_swim *swim, enum hm_swim_notice notice,
                   const struct hm_swim_member *member)
{
    hm_outbox_notify(&swim->outbox, (int)notice, &member->peer, member->incarnation);
}

/* ---- what is thought of a subject ---- */

static void adjust_health(struct hm_swim *swim, uint32_t worse)
{
    swim->health += worse;
    swim->health = swim->health < HM_SWIM_HEALTH_MAX ? swim->health : HM_SWIM_HEALTH_MAX;
}

static void forget_refusals(struct hm_swim_member *member)
{
    member->refusals = 0;
    member->refusable = false;
}

static void report_gone(struct hm_swim *swim, struct hm_swim_member *member)
{
    bool reported = member->lossy;
    member->state = HM_SWIM_STATE_GONE;
    member->urgent_at = HM_NEVER;
    forget_refusals(member);
    if (!reported) {
        notify(swim, HM_SWIM_GONE, member);
    }
}

static void suspect(struct hm_swim *swim, hm_ms now, struct hm_swim_member *member)
{
    member->state = HM_SWIM_STATE_SUSPECT;
    member->since = now;
    member->urgent_at = now + swim->config.probe_timeout_ms;
    tell_suspicion(swim, member);
    notify(swim, HM_SWIM_SUSPECT, member);
}

/* Lifeguard: from max down to min with the logarithm of the confirmations; in thousandths of
 * log(c + 1) / log(3 + 1). Where fewer than three others could confirm, all of them do. */
static hm_ms suspicion_ms(const struct hm_swim *swim, const struct hm_swim_member *member)
{
    static const uint32_t shrunk[HM_SWIM_CONFIRMERS_MAX + 1] = {0, 500, 792, 1000};
    size_t others = 0;
    for (size_t i = 0; i < swim->helper_count && others < HM_SWIM_CONFIRMERS_MAX; i++) {
        others += !hm_id_equal(&swim->helpers[i].id, &member->peer.id);
    }
    uint32_t permille = member->confirmed >= others ? 1000 : shrunk[member->confirmed];
    hm_ms range = swim->config.suspicion_max_ms - swim->config.suspicion_min_ms;
    return swim->config.suspicion_max_ms - range * permille / 1000;
}

/* A subject's incarnation as told by itself or on its behalf: a higher one refutes. */
static void hear(struct hm_swim *swim, struct hm_swim_member *member, uint64_t incarnation)
{
    if (incarnation <= member->incarnation) {
        return;
    }
    bool restarted = incarnation >> 32 != member->incarnation >> 32;
    bool was_gone = member->state == HM_SWIM_STATE_GONE;
    bool was_lossy = member->lossy;
    bool was_doubted = member->state != HM_SWIM_STATE_ALIVE && !was_gone;
    member->incarnation = incarnation;
    member->state = HM_SWIM_STATE_ALIVE;
    member->urgent_at = HM_NEVER;
    member->confirmed = 0;
    forget_refusals(member);
    if (restarted) {
        member->failures = 0;
        member->lossy = false;
    }
    if (member->lossy) { /* a refutation does not clear it: the report moves along */
        notify(swim, HM_SWIM_GONE, member);
    } else if (was_gone || was_lossy) {
        notify(swim, HM_SWIM_BACK, member);
    } else if (was_doubted) {
        notify(swim, HM_SWIM_ALIVE, member);
    }
}

/* Remembers how a regular direct probe went and reports one-way loss, or its end. */
static void remember(struct hm_swim *swim, struct hm_swim_member *member, bool failed)
{
    member->failures = (member->failures << 1 | failed) & ((1u << HISTORY) - 1);
    uint32_t count = (uint32_t)__builtin_popcount(member->failures);
    bool gone = member->state == HM_SWIM_STATE_GONE;
    if (!member->lossy && count >= HISTORY_BAD) {
        member->lossy = true;
        if (!gone) {
            notify(swim, HM_SWIM_GONE, member);
        }
    } else if (member->lossy && count <= HISTORY_GOOD) {
        member->lossy = false;
        if (!gone) {
            notify(swim, HM_SWIM_BACK, member);
        }
    }
}

/* ---- probes ---- */

static void ping_once(struct hm_swim *swim, hm_ms now, struct hm_swim_member *member)
{
    struct hm_swim_probe *probe = &member->probe;
    hm_ms gap = (probe->direct_until - now) / 2;
    hm_ms most = swim->config.probe_timeout_ms / TRIES * (swim->health + 1);
    probe->tries++;
    probe->try_at = probe->tries < TRIES ? now + (gap < most ? gap : most) : HM_NEVER;
    if (member->refusals) {
        probe->try_at = now + REFUSED_TRY_MS;
    } else if (member->state == HM_SWIM_STATE_GONE) {
        probe->try_at = HM_NEVER; /* one is enough to notice that it is back */
    }
    member->refusable = true;
    if (member->state == HM_SWIM_STATE_SUSPECT || member->state == HM_SWIM_STATE_GONE) {
        send_suspect(swim, &member->peer, member);
    }
    send_ping(swim, &member->peer, probe->nonce);
}

static void begin_probe(struct hm_swim *swim, hm_ms now, struct hm_swim_member *member,
                        bool regular)
{
    hm_ms timeout = swim->config.probe_timeout_ms * (swim->health + 1);
    member->probe = (struct hm_swim_probe){
        .active = true,
        .regular = regular,
        .nonce = (uint32_t)hm_random_u64(&swim->random),
        .direct_until = now + timeout,
        .until = now + 2 * timeout,
    };
    ping_once(swim, now, member);
}

static void end_probe(struct hm_swim *swim, hm_ms now, struct hm_swim_member *member)
{
    member->probe.active = false;
    switch (member->state) {
    case HM_SWIM_STATE_SUSPECT:
        member->urgent_at = now + swim->config.probe_timeout_ms;
        break;
    case HM_SWIM_STATE_STOPPING:
        member->urgent_at = now + STOPPING_PROBE_MS;
        break;
    default:
        member->urgent_at = HM_NEVER;
        break;
    }
}

static void probe_answered(struct hm_swim *swim, hm_ms now, struct hm_swim_member *member,
                           bool directly)
{
    bool regular = member->probe.regular;
    swim->health -= swim->health > 0;
    end_probe(swim, now, member);
    forget_refusals(member);
    member->sign_at = now;
    if (member->state == HM_SWIM_STATE_ALIVE) {
        member->confirmed = 0; /* whoever doubted it did so before this answer */
    }
    if (regular) {
        remember(swim, member, !directly);
    }
}

static void probe_failed(struct hm_swim *swim, hm_ms now, struct hm_swim_member *member)
{
    struct hm_swim_probe probe = member->probe;
    end_probe(swim, now, member);
    if (member->state == HM_SWIM_STATE_ALIVE) {
        /* a helper that does not even say "not heard" hints that the trouble is ours */
        adjust_health(swim, probe.asked ? probe.asked - probe.nacked : 1);
        suspect(swim, now, member);
    }
    if (probe.regular && member->state == HM_SWIM_STATE_SUSPECT) {
        remember(swim, member, true);
    }
}

/* Asks up to `indirect` helpers, drawn without repetition from their shuffled list. */
static void ask_helpers(struct hm_swim *swim, struct hm_swim_member *member)
{
    struct hm_swim_probe *probe = &member->probe;
    struct hm_message message = {.kind = HM_MSG_probe_request};
    message.probe_request.nonce = probe->nonce;
    message.probe_request.target = member->peer.id;
    message.probe_request.target_addr = member->peer.addr;
    probe->indirect = true;
    for (size_t i = 0; i < swim->helper_count && probe->asked < swim->config.indirect; i++) {
        size_t other = i + (size_t)hm_random_below(&swim->random, swim->helper_count - i);
        struct hm_peer helper = swim->helpers[other];
        swim->helpers[other] = swim->helpers[i];
        swim->helpers[i] = helper;
        if (!hm_id_equal(&helper.id, &member->peer.id)) {
            hm_outbox_send(&swim->outbox, &helper, &message);
            probe->asked++;
        }
    }
}

static void continue_probe(struct hm_swim *swim, hm_ms now, struct hm_swim_member *member)
{
    struct hm_swim_probe *probe = &member->probe;
    if (!probe->indirect && now >= probe->direct_until) {
        if (member->state == HM_SWIM_STATE_ALIVE) {
            ask_helpers(swim, member);
        }
        if (!probe->asked) {
            probe_failed(swim, now, member);
        }
    } else if (now >= probe->until) {
        probe_failed(swim, now, member);
    } else if (!probe->indirect && now >= probe->try_at) {
        ping_once(swim, now, member);
    }
}

static hm_ms probe_deadline(const struct hm_swim_probe *probe)
{
    if (probe->indirect) {
        return probe->until;
    }
    return probe->try_at < probe->direct_until ? probe->try_at : probe->direct_until;
}

/* When the state itself runs out: suspicion, grace, silence. */
static hm_ms state_deadline(const struct hm_swim *swim, const struct hm_swim_member *member)
{
    if (member->state == HM_SWIM_STATE_SUSPECT) {
        return member->since + suspicion_ms(swim, member);
    }
    if (member->state == HM_SWIM_STATE_STOPPING) {
        hm_ms grace = member->since + swim->config.restart_grace_ms;
        hm_ms silence = member->sign_at + swim->config.silence_ms;
        return grace < silence ? grace : silence;
    }
    return HM_NEVER;
}

static void tick_member(struct hm_swim *swim, hm_ms now, struct hm_swim_member *member)
{
    if (member->probe.active) {
        continue_probe(swim, now, member);
    }
    if (now >= state_deadline(swim, member)) {
        if (member->state == HM_SWIM_STATE_SUSPECT) {
            report_gone(swim, member);
        } else {
            suspect(swim, now, member);
        }
    }
    if (!member->probe.active && now >= member->urgent_at) {
        begin_probe(swim, now, member, false);
    }
}

static void next_regular(struct hm_swim *swim, hm_ms now)
{
    hm_ms interval = swim->config.probe_interval_ms * (swim->health + 1);
    if (swim->round_at == 0) { /* nodes that start together do not probe together */
        swim->round_at = now + hm_random_below(&swim->random, interval) + 1;
        return;
    }
    swim->round_at = now + interval;
    for (size_t i = 0; i < swim->count; i++) {
        if (swim->turn >= swim->count) {
            shuffle(swim);
        }
        struct hm_swim_member *member = &swim->members[swim->order[swim->turn++]];
        if (!member->probe.active) {
            begin_probe(swim, now, member, true);
            return;
        }
        if (!member->probe.regular && !member->probe.indirect) {
            member->probe.regular = true; /* the urgent one does for it */
            return;
        }
    }
}

/* ---- errands: probes for others ---- */

static enum hm_status begin_errand(struct hm_swim *swim, hm_ms now, const struct hm_peer *from,
                                   const struct hm_probe_request *request)
{
    size_t same = 0;
    if (hm_id_equal(&request->target, &swim->config.self.id)) {
        send_result(swim, from, request->nonce, &request->target, true, swim->incarnation);
        return HM_OK;
    }
    for (size_t i = 0; i < swim->errand_count; i++) {
        same += hm_id_equal(&swim->errands[i].asker.id, &from->id);
    }
    if (same == HM_SWIM_ERRANDS_EACH || swim->errand_count == HM_SWIM_ERRANDS_MAX) {
        return HM_FULL;
    }
    struct hm_swim_errand *errand = &swim->errands[swim->errand_count++];
    *errand = (struct hm_swim_errand){
        .asker = *from,
        .target = {request->target, request->target_addr},
        .asker_nonce = request->nonce,
        .nonce = (uint32_t)hm_random_u64(&swim->random),
        .again_at = now + swim->config.probe_timeout_ms / 3,
        /* before the asker stops waiting, so that "not heard" still reaches it */
        .until = now + swim->config.probe_timeout_ms * 4 / 5,
    };
    send_ping(swim, &errand->target, errand->nonce);
    return HM_OK;
}

static void end_errand(struct hm_swim *swim, size_t at, bool heard, uint64_t incarnation)
{
    const struct hm_swim_errand *errand = &swim->errands[at];
    send_result(swim, &errand->asker, errand->asker_nonce, &errand->target.id, heard, incarnation);
    swim->errands[at] = swim->errands[--swim->errand_count];
}

static void tick_errands(struct hm_swim *swim, hm_ms now)
{
    for (size_t i = swim->errand_count; i-- > 0;) {
        struct hm_swim_errand *errand = &swim->errands[i];
        if (now >= errand->until) {
            end_errand(swim, i, false, 0);
        } else if (now >= errand->again_at) {
            errand->again_at = HM_NEVER;
            send_ping(swim, &errand->target, errand->nonce);
        }
    }
}

/* ---- messages ---- */

static enum hm_status take_ping(struct hm_swim *swim, const struct hm_peer *from,
                                const struct hm_ping *ping)
{
    struct hm_swim_member *member = find(swim, &from->id);
    if (member) {
        hear(swim, member, ping->incarnation);
    }
    send_ack(swim, from, ping->nonce);
    return HM_OK;
}

static enum hm_status take_ack(struct hm_swim *swim, hm_ms now, const struct hm_peer *from,
                               const struct hm_ack *ack)
{
    enum hm_status status = HM_STALE;
    for (size_t i = swim->errand_count; i-- > 0;) {
        if (swim->errands[i].nonce == ack->nonce &&
            hm_id_equal(&swim->errands[i].target.id, &from->id)) {
            end_errand(swim, i, true, ack->incarnation);
            status = HM_OK;
        }
    }
    struct hm_swim_member *member = find(swim, &from->id);
    if (member && member->probe.active && member->probe.nonce == ack->nonce) {
        hear(swim, member, ack->incarnation);
        probe_answered(swim, now, member, true);
        status = HM_OK;
    }
    return status;
}

static enum hm_status take_result(struct hm_swim *swim, hm_ms now,
                                  const struct hm_probe_result *result)
{
    struct hm_swim_member *member = find(swim, &result->target);
    if (!member || !member->probe.active || !member->probe.indirect ||
        member->probe.nonce != result->nonce) {
        return HM_STALE;
    }
    if (result->heard) {
        hear(swim, member, result->incarnation);
        probe_answered(swim, now, member, false);
    } else if (member->probe.nacked < member->probe.asked) {
        member->probe.nacked++;
    }
    return HM_OK;
}

/* Someone suspects us: say that we live, above the incarnation that is doubted. */
static enum hm_status refute(struct hm_swim *swim, const struct hm_peer *from, uint64_t doubted)
{
    if (doubted >> 32 > swim->incarnation >> 32) {
        return HM_STALE; /* of a boot that we have not had: nothing that we ever said */
    }
    if (doubted >= swim->incarnation) {
        swim->incarnation = doubted + 1;
        adjust_health(swim, 1);
    }
    send_alive(swim, from);
    return HM_OK;
}

static enum hm_status take_suspect(struct hm_swim *swim, hm_ms now, const struct hm_peer *from,
                                   const struct hm_suspect *message)
{
    if (hm_id_equal(&message->target, &swim->config.self.id)) {
        return refute(swim, from, message->incarnation);
    }
    struct hm_swim_member *member = find(swim, &message->target);
    if (!member) {
        return HM_NOT_FOUND;
    }
    if (message->incarnation < member->incarnation) {
        return HM_STALE;
    }
    for (uint32_t i = 0; i < member->confirmed; i++) {
        if (hm_id_equal(&member->confirmers[i], &from->id)) {
            return HM_OK;
        }
    }
    if (member->confirmed < HM_SWIM_CONFIRMERS_MAX) {
        member->confirmers[member->confirmed++] = from->id;
    }
    if (member->state == HM_SWIM_STATE_ALIVE) {
        member->urgent_at = now; /* see for ourselves */
    }
    return HM_OK;
}

static enum hm_status take_alive(struct hm_swim *swim, const struct hm_alive *message)
{
    struct hm_swim_member *member = find(swim, &message->target);
    if (!member) {
        return HM_NOT_FOUND;
    }
    hear(swim, member, message->incarnation);
    return HM_OK;
}

static enum hm_status take_stopping(struct hm_swim *swim, hm_ms now, const struct hm_peer *from,
                                    uint64_t incarnation)
{
    struct hm_swim_member *member = find(swim, &from->id);
    if (!member) {
        return HM_NOT_FOUND;
    }
    if (incarnation < member->incarnation) {
        return HM_STALE;
    }
    if (member->state == HM_SWIM_STATE_STOPPING && incarnation == member->incarnation) {
        return HM_OK; /* told again: the grace does not start anew */
    }
    bool was_gone = member->state == HM_SWIM_STATE_GONE;
    member->incarnation = incarnation;
    member->state = HM_SWIM_STATE_STOPPING;
    member->since = now;
    member->sign_at = now;
    member->urgent_at = now + STOPPING_PROBE_MS;
    forget_refusals(member);
    if (was_gone && !member->lossy) {
        notify(swim, HM_SWIM_BACK, member);
    }
    notify(swim, HM_SWIM_STOPPING, member);
    return HM_OK;
}

enum hm_status hm_swim_input(struct hm_swim *swim, hm_ms now, const struct hm_peer *from,
                             const struct hm_message *message)
{
    switch (message->kind) {
    case HM_MSG_ping:
        return take_ping(swim, from, &message->ping);
    case HM_MSG_ack:
        return take_ack(swim, now, from, &message->ack);
    case HM_MSG_probe_request:
        return begin_errand(swim, now, from, &message->probe_request);
    case HM_MSG_probe_result:
        return take_result(swim, now, &message->probe_result);
    case HM_MSG_suspect:
        return take_suspect(swim, now, from, &message->suspect);
    case HM_MSG_alive:
        return take_alive(swim, &message->alive);
    case HM_MSG_stopping:
        return take_stopping(swim, now, from, message->stopping.incarnation);
    default:
        return HM_BAD_ARGUMENT;
    }
}

void hm_swim_refused(struct hm_swim *swim, hm_ms now, const struct hm_id *id)
{
    struct hm_swim_member *member = find(swim, id);
    if (!member || member->state == HM_SWIM_STATE_GONE) {
        return;
    }
    if (member->state == HM_SWIM_STATE_STOPPING) {
        member->sign_at = member->refusable ? now : member->sign_at;
        member->refusable = false;
        return;
    }
    if (member->refusable) {
        member->refusable = false;
        if (!member->refusals || now - member->refused_at > swim->config.refusal_window_ms) {
            member->refusals = 0;
            member->refused_at = now;
        }
        member->refusals++;
    }
    if (member->refusals >= REFUSALS) {
        tell_suspicion(swim, member);
        report_gone(swim, member);
    } else if (!member->probe.active || member->probe.indirect) {
        begin_probe(swim, now, member, false);
    } else if (member->probe.try_at > now + REFUSED_TRY_MS) {
        member->probe.try_at = now + REFUSED_TRY_MS;
    }
}

void hm_swim_probe_now(struct hm_swim *swim, hm_ms now, const struct hm_id *id)
{
    struct hm_swim_member *member = find(swim, id);
    if (member && member->state != HM_SWIM_STATE_GONE && member->urgent_at > now) {
        member->urgent_at = now;
    }
}

void hm_swim_tick(struct hm_swim *swim, hm_ms now)
{
    tick_errands(swim, now);
    for (size_t i = 0; i < swim->count; i++) {
        tick_member(swim, now, &swim->members[i]);
    }
    if (swim->count && now >= swim->round_at) {
        next_regular(swim, now);
    }
}

static void earlier(hm_ms *deadline, hm_ms other)
{
    *deadline = other < *deadline ? other : *deadline;
}

hm_ms hm_swim_deadline(const struct hm_swim *swim)
{
    hm_ms deadline = swim->count ? swim->round_at : HM_NEVER;
    for (size_t i = 0; i < swim->errand_count; i++) {
        earlier(&deadline, swim->errands[i].until);
        earlier(&deadline, swim->errands[i].again_at);
    }
    for (size_t i = 0; i < swim->count; i++) {
        const struct hm_swim_member *member = &swim->members[i];
        earlier(&deadline, state_deadline(swim, member));
        earlier(&deadline,
                member->probe.active ? probe_deadline(&member->probe) : member->urgent_at);
    }
    return deadline;
}

bool hm_swim_output(struct hm_swim *swim, struct hm_effect *out)
{
    return hm_outbox_pop(&swim->outbox, out);
}

enum hm_swim_state hm_swim_state(const struct hm_swim *swim, const struct hm_id *id)
{
    const struct hm_swim_member *member = find(swim, id);
    if (!member) {
        return HM_SWIM_STATE_UNKNOWN;
    }
    return member->lossy ? HM_SWIM_STATE_GONE : member->state;
}

uint64_t hm_swim_incarnation(const struct hm_swim *swim, const struct hm_id *id)
{
    if (hm_id_equal(id, &swim->config.self.id)) {
        return swim->incarnation;
    }
    const struct hm_swim_member *member = find(swim, id);
    return member ? member->incarnation : 0;
}
