#include "core/engine/swim.h"

#include "core/base/hash.h"
#include "core/base/memory.h"
#include "core/engine/swim_says.h"
#include "core/engine/swim_watched.h"

#define TRIES             5u  /* pings of one direct probe: loss alone is no failure */
#define REFUSED_TRY_MS    30u /* between pings once one was refused */
#define REFUSALS          3u
#define HISTORY           10u /* regular direct probes remembered */
#define HISTORY_BAD       4u  /* failed of those: one-way loss (Rapid, section 4.1) */
#define HISTORY_GOOD      1u  /* no more than these: over */
#define STOPPING_PROBE_MS 500u
#define STALLED_MS        100u /* so late, we have stood still: nobody else is to blame */
#define COPIES            3u   /* of a ping, so close together: we stood still */
#define TOGETHER_MS       10u
#define STALL_TOLD_MS     10000u
#define TURN_MOST         32u /* intervals; a subject that wants its turn later is not obeyed */

/* ---- setting up ---- */

static void default_ms(hm_ms *value, hm_ms otherwise)
{
    *value = *value ? *value : otherwise;
}

void hm_swim_init(struct hm_swim *swim, const struct hm_swim_config *config, uint64_t seed)
{
    *swim = (struct hm_swim){.config = *config, .incarnation = config->incarnation};
    default_ms(&swim->config.probe_interval_ms, 800);
    default_ms(&swim->config.probe_timeout_ms, 150);
    default_ms(&swim->config.suspicion_min_ms, 550);
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
    hm_free(swim->helpers);
    hm_free(swim->errands);
    hm_outbox_fini(&swim->outbox);
    *swim = (struct hm_swim){0};
}

void hm_swim_set_places(struct hm_swim *swim, struct hm_place members, struct hm_place state)
{
    swim->members_place = members;
    swim->state_place = state;
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
        hm_swim_notify(swim, HM_SWIM_GONE, member);
    }
}

/* One that failed is looked at more often. */
static void look_sooner(const struct hm_swim *swim, hm_ms now, struct hm_swim_member *member)
{
    hm_ms soon = now + swim->config.probe_interval_ms;
    bool later = member->regular_at > soon && !member->guest; /* a guest has no turns */
    member->regular_at = later ? soon : member->regular_at;
}

static void suspect(struct hm_swim *swim, hm_ms now, struct hm_swim_member *member)
{
    member->state = HM_SWIM_STATE_SUSPECT;
    member->since = now;
    member->urgent_at = now + swim->config.probe_timeout_ms;
    look_sooner(swim, now, member);
    hm_swim_send_suspect(swim, &member->peer, member); /* it first: it alone can refute */
    hm_swim_notify(swim, HM_SWIM_SUSPECT, member);
}

/* Lifeguard: from max down to min with the logarithm of the confirmations; in thousandths of
 * log(c + 1) / log(3 + 1). */
static hm_ms suspicion_ms(const struct hm_swim *swim, const struct hm_swim_member *member)
{
    static const uint32_t shrunk[HM_SWIM_CONFIRMERS_MAX + 1] = {0, 500, 792, 1000};
    hm_ms range = swim->config.suspicion_max_ms - swim->config.suspicion_min_ms;
    return swim->config.suspicion_max_ms - range * shrunk[member->confirmed] / 1000;
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
        hm_swim_notify(swim, HM_SWIM_GONE, member);
    } else if (was_gone || was_lossy) {
        hm_swim_notify(swim, HM_SWIM_BACK, member);
    } else if (was_doubted) {
        hm_swim_notify(swim, HM_SWIM_ALIVE, member);
    }
}

/* Remembers how a regular direct probe went and reports one-way loss, or its end. */
static void remember(struct hm_swim *swim, hm_ms now, struct hm_swim_member *member, bool failed)
{
    if (failed) {
        look_sooner(swim, now, member);
    }
    unsigned history = (unsigned)member->failures << 1 | (failed ? 1u : 0u);
    member->failures = (uint16_t)(history & ((1u << HISTORY) - 1));
    uint32_t count = (uint32_t)__builtin_popcount(member->failures);
    bool gone = member->state == HM_SWIM_STATE_GONE;
    if (!member->lossy && count >= HISTORY_BAD) {
        member->lossy = true;
        if (!gone) {
            hm_swim_notify(swim, HM_SWIM_GONE, member);
        }
    } else if (member->lossy && count <= HISTORY_GOOD) {
        member->lossy = false;
        if (!gone) {
            hm_swim_notify(swim, HM_SWIM_BACK, member);
        }
    }
}

/* What failed while it stood still says nothing about loss. */
static void forgive(struct hm_swim *swim, struct hm_swim_member *member, bool stalled)
{
    if (!stalled) {
        return;
    }
    member->failures = 0;
    if (member->lossy) {
        member->lossy = false;
        if (member->state != HM_SWIM_STATE_GONE) {
            hm_swim_notify(swim, HM_SWIM_BACK, member);
        }
    }
}

/* ---- probes ---- */

static void ping_once(struct hm_swim *swim, hm_ms now, struct hm_swim_member *member)
{
    struct hm_swim_probe *probe = &member->probe;
    hm_ms direct_until = probe->begun + probe->timeout_ms;
    hm_ms gap = direct_until > now ? (direct_until - now) / 2 : 0;
    hm_ms most = swim->config.probe_timeout_ms / TRIES * (swim->health + 1);
    probe->tries++;
    probe->try_at = probe->tries < TRIES ? now + (gap < most ? gap : most) : HM_NEVER;
    if (member->refusals) {
        probe->try_at = now + REFUSED_TRY_MS;
    } else if (member->state == HM_SWIM_STATE_GONE) {
        probe->try_at = HM_NEVER; /* one is enough to notice that it is back */
    }
    member->refusable = true;
    /* Brief to one that answered; when it does not, it may have started anew and not know us. */
    unsigned wants =
        (probe->regular ? HM_SWIM_WANTS_TURN : 0u) | (member->knows ? 0u : HM_SWIM_WANTS_FULL);
    member->knows = false;
    if (member->state == HM_SWIM_STATE_SUSPECT || member->state == HM_SWIM_STATE_GONE) {
        hm_swim_send_suspect(swim, &member->peer, member);
    }
    hm_swim_send_ping(swim, &member->peer, probe->nonce, wants);
}

static void begin_probe(struct hm_swim *swim, hm_ms now, struct hm_swim_member *member,
                        bool regular)
{
    hm_ms interval = swim->config.probe_interval_ms * (swim->health + 1);
    uint32_t doubt = member->asked ? 0 : swim->health; /* others do not hear it either */
    if (regular) {                                     /* unless its answer names another time */
        member->regular_at = now + (member->failures ? 1 : swim->count) * interval;
    }
    member->probe = (struct hm_swim_probe){
        .active = true,
        .regular = regular,
        .nonce = (uint32_t)hm_random_u64(&swim->random),
        .begun = now,
        .timeout_ms = (uint32_t)(swim->config.probe_timeout_ms * (doubt + 1)),
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
    bool asked = member->asked;
    swim->health -= swim->health > 0;
    end_probe(swim, now, member);
    forget_refusals(member);
    member->sign_at = now;
    member->asked = false;
    if (member->state == HM_SWIM_STATE_ALIVE) {
        member->confirmed = 0; /* whoever doubted it did so before this answer */
    }
    if (regular) {
        remember(swim, now, member, !directly);
    }
    if (asked && member->state == HM_SWIM_STATE_ALIVE && !member->lossy) {
        hm_swim_notify(swim, HM_SWIM_WELL, member);
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
        remember(swim, now, member, true);
    }
}

/* Asks up to `indirect` of those that we know, drawn without repetition. */
static void ask_helpers(struct hm_swim *swim, struct hm_swim_member *member)
{
    struct hm_swim_probe *probe = &member->probe;
    struct hm_message message = {.kind = HM_MSG_probe_request};
    size_t all = swim->count + swim->helper_count;
    size_t wanted = swim->config.indirect;
    message.probe_request.nonce = probe->nonce;
    message.probe_request.target = member->peer.id;
    message.probe_request.target_addr = member->peer.addr;
    probe->indirect = true;
    for (size_t i = 0; i < all && wanted > 0; i++) { /* each of those left with the same chance */
        const struct hm_swim_member *subject = i < swim->count ? &swim->members[i] : NULL;
        bool fit = !subject || (subject != member && subject->state == HM_SWIM_STATE_ALIVE);
        if (hm_random_below(&swim->random, all - i) < wanted && fit) {
            hm_outbox_send(&swim->outbox,
                           subject ? &subject->peer : &swim->helpers[i - swim->count], &message);
            probe->asked++;
            wanted--;
        }
    }
}

static void continue_probe(struct hm_swim *swim, hm_ms now, struct hm_swim_member *member)
{
    struct hm_swim_probe *probe = &member->probe;
    hm_ms direct_until = probe->begun + probe->timeout_ms;
    if (!probe->indirect && now >= direct_until) {
        if (member->state == HM_SWIM_STATE_ALIVE) {
            ask_helpers(swim, member);
            hm_swim_notify(swim, HM_SWIM_DOUBT, member);
        }
        if (!probe->asked) {
            probe_failed(swim, now, member);
        }
    } else if (now >= direct_until + probe->timeout_ms) {
        probe_failed(swim, now, member);
    } else if (!probe->indirect && now >= probe->try_at) {
        ping_once(swim, now, member);
    }
}

static hm_ms probe_deadline(const struct hm_swim_probe *probe)
{
    hm_ms direct_until = probe->begun + probe->timeout_ms;
    if (probe->indirect) {
        return direct_until + probe->timeout_ms;
    }
    return probe->try_at < direct_until ? probe->try_at : direct_until;
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
    if (now >= member->regular_at) {
        if (!member->probe.active) {
            begin_probe(swim, now, member, true);
        } else {
            /* An urgent one that has only begun does for it. */
            member->probe.regular = member->probe.regular || !member->probe.indirect;
            member->regular_at = now + swim->config.probe_interval_ms;
        }
    } else if (!member->probe.active && now >= member->urgent_at) {
        begin_probe(swim, now, member, false);
    }
}

/* We stood still (a stopped process, a swapped-out machine): what did not come meanwhile may wait
 * for us in a queue. All clocks go on where they stopped, and our own health is in doubt. */
static void stood_still(struct hm_swim *swim, hm_ms now, hm_ms late)
{
    for (size_t i = 0; i < swim->count; i++) {
        struct hm_swim_member *member = &swim->members[i];
        member->probe.begun += late;
        member->probe.try_at += member->probe.try_at == HM_NEVER ? 0 : late;
        member->since += late;
        member->sign_at += late;
    }
    for (size_t i = 0; i < swim->errand_count; i++) {
        swim->errands[i].until += late;
    }
    swim->stalled_until = now + STALL_TOLD_MS;
    adjust_health(swim, 1);
}

/* ---- errands: probes for others ---- */

static enum hm_status begin_errand(struct hm_swim *swim, hm_ms now, const struct hm_peer *from,
                                   const struct hm_probe_request *request)
{
    size_t same = 0;
    if (hm_id_equal(&request->target, &swim->config.self.id)) {
        hm_swim_send_result(swim, from, request->nonce, &request->target, true, swim->incarnation);
        return HM_OK;
    }
    for (size_t i = 0; i < swim->errand_count; i++) {
        same += hm_id_equal(&swim->errands[i].asker.id, &from->id);
    }
    if (same == HM_SWIM_ERRANDS_EACH || swim->errand_count == HM_SWIM_ERRANDS_MAX) {
        return HM_FULL;
    }
    swim->errands =
        hm_grow(swim->errands, swim->errand_count, &swim->errand_capacity, sizeof *swim->errands);
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
    hm_swim_send_ping(swim, &errand->target, errand->nonce, HM_SWIM_WANTS_FULL);
    return HM_OK;
}

static void end_errand(struct hm_swim *swim, size_t at, bool heard, uint64_t incarnation)
{
    const struct hm_swim_errand *errand = &swim->errands[at];
    hm_swim_send_result(swim, &errand->asker, errand->asker_nonce, &errand->target.id, heard,
                        incarnation);
    swim->errands[at] = swim->errands[--swim->errand_count];
    if (swim->errand_count == 0) {
        hm_free(swim->errands);
        swim->errands = NULL;
        swim->errand_capacity = 0;
    }
}

static void tick_errands(struct hm_swim *swim, hm_ms now)
{
    for (size_t i = swim->errand_count; i-- > 0;) {
        struct hm_swim_errand *errand = &swim->errands[i];
        if (now >= errand->until) {
            end_errand(swim, i, false, 0);
        } else if (now >= errand->again_at) {
            errand->again_at = HM_NEVER;
            hm_swim_send_ping(swim, &errand->target, errand->nonce, HM_SWIM_WANTS_FULL);
        }
    }
}

/* ---- messages ---- */

/* When we want to be probed next by the one who did so now: behind all the others, one interval
 * apart. A ping that is repeated has the same turn. */
static hm_ms give_turn(struct hm_swim *swim, hm_ms now, uint32_t nonce)
{
    if (swim->turn_at > now + TURN_MOST / 2 * swim->config.probe_interval_ms) {
        swim->turn_at = now; /* a crowd from a queue: nobody would come for long */
    }
    if (nonce != swim->turn_nonce || now > swim->given_at + swim->config.probe_interval_ms) {
        swim->turn_at =
            (swim->turn_at > now ? swim->turn_at : now) + swim->config.probe_interval_ms;
        swim->turn_nonce = nonce;
        swim->given_at = now;
    }
    return swim->turn_at - now;
}

/* Pings of one probe are sent far apart: when they come together, we did not take them in time. */
static void note_copies(struct hm_swim *swim, hm_ms now, uint32_t nonce)
{
    bool copy = nonce == swim->seen_nonce && now - swim->seen_at <= TOGETHER_MS;
    swim->seen_count = copy ? swim->seen_count + 1 : 1;
    swim->seen_nonce = nonce;
    swim->seen_at = now;
    if (swim->seen_count >= COPIES) {
        swim->stalled_until = now + STALL_TOLD_MS;
    }
}

static enum hm_status take_ping(struct hm_swim *swim, hm_ms now, const struct hm_peer *from,
                                const struct hm_ping *ping)
{
    struct hm_swim_member *member = hm_swim_find(swim, &from->id);
    if (member) {
        hear(swim, member, ping->incarnation);
    }
    note_copies(swim, now, ping->nonce);
    hm_swim_send_ack(swim, now, from, ping,
                     ping->wants & HM_SWIM_WANTS_TURN ? give_turn(swim, now, ping->nonce) : 0);
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
    struct hm_swim_member *member = hm_swim_find(swim, &from->id);
    if (member && member->probe.active && member->probe.nonce == ack->nonce) {
        hm_ms interval = swim->config.probe_interval_ms;
        hm_ms again = ack->again_ms;
        if (member->probe.regular && again >= interval / 2 && again <= TURN_MOST * interval &&
            !member->failures) {
            member->regular_at = now + again * (swim->health + 1);
        }
        member->knows = true;
        hear(swim, member, ack->incarnation);
        probe_answered(swim, now, member, true);
        forgive(swim, member, ack->stalled);
        status = HM_OK;
    }
    return status;
}

static enum hm_status take_result(struct hm_swim *swim, hm_ms now,
                                  const struct hm_probe_result *result)
{
    struct hm_swim_member *member = hm_swim_find(swim, &result->target);
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
static enum hm_status refute(struct hm_swim *swim, hm_ms now, const struct hm_peer *from,
                             uint64_t doubted)
{
    if (doubted >> 32 > swim->incarnation >> 32) {
        return HM_STALE; /* of a boot that we have not had: nothing that we ever said */
    }
    if (doubted >= swim->incarnation) {
        swim->incarnation = doubted + 1;
        adjust_health(swim, 1);
    }
    hm_swim_send_alive(swim, now, from);
    return HM_OK;
}

static enum hm_status take_suspect(struct hm_swim *swim, hm_ms now, const struct hm_peer *from,
                                   const struct hm_suspect *message)
{
    if (hm_id_equal(&message->target, &swim->config.self.id)) {
        return refute(swim, now, from, message->incarnation);
    }
    return HM_NOT_FOUND; /* what others suspect comes by hm_swim_inquire */
}

static enum hm_status take_alive(struct hm_swim *swim, const struct hm_alive *message)
{
    struct hm_swim_member *member = hm_swim_find(swim, &message->target);
    if (!member) {
        return HM_NOT_FOUND;
    }
    hear(swim, member, message->incarnation);
    forgive(swim, member, message->stalled);
    return HM_OK;
}

static enum hm_status take_stopping(struct hm_swim *swim, hm_ms now, const struct hm_peer *from,
                                    uint64_t incarnation)
{
    struct hm_swim_member *member = hm_swim_find(swim, &from->id);
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
        hm_swim_notify(swim, HM_SWIM_BACK, member);
    }
    hm_swim_notify(swim, HM_SWIM_STOPPING, member);
    return HM_OK;
}

enum hm_status hm_swim_input(struct hm_swim *swim, hm_ms now, const struct hm_peer *from,
                             const struct hm_message *message)
{
    switch (message->kind) {
    case HM_MSG_ping:
        return take_ping(swim, now, from, &message->ping);
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
    struct hm_swim_member *member = hm_swim_find(swim, id);
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
        report_gone(swim, member);
    } else if (!member->probe.active || member->probe.indirect) {
        begin_probe(swim, now, member, false);
    } else if (member->probe.try_at > now + REFUSED_TRY_MS) {
        member->probe.try_at = now + REFUSED_TRY_MS;
    }
}

void hm_swim_inquire(struct hm_swim *swim, hm_ms now, const struct hm_suspect *suspicion)
{
    struct hm_swim_member *member = hm_swim_find(swim, &suspicion->target);
    uint32_t by = (uint32_t)hm_hash_id(0, &suspicion->by);
    bool known = false;
    if (hm_id_equal(&suspicion->target, &swim->config.self.id)) {
        return;
    }
    member = member ? member : hm_swim_add_guest(swim, now, suspicion);
    if (!member) {
        return;
    }
    if (member->state == HM_SWIM_STATE_GONE || member->lossy) {
        hm_swim_notify(swim, HM_SWIM_GONE, member); /* said before; said again to whoever asks */
        return;
    }
    for (uint8_t i = 0; i < member->confirmed; i++) {
        known = known || member->confirmers[i] == by;
    }
    if (suspicion->incarnation < member->incarnation) {
        /* It was heard of since: that doubt confirms nothing, but an answer is wanted. */
    } else if (hm_id_is_none(&suspicion->by)) {
        member->confirmed = HM_SWIM_CONFIRMERS_MAX; /* the control plane has its reasons */
    } else if (!known && member->confirmed < HM_SWIM_CONFIRMERS_MAX && suspicion->suspected &&
               !hm_id_equal(&suspicion->by, &swim->config.self.id)) {
        member->confirmers[member->confirmed++] = by;
    }
    if (member->state == HM_SWIM_STATE_SUSPECT && !member->asked) {
        /* We are at it: who says nothing is in doubt itself. */
        hm_swim_notify(swim, HM_SWIM_DOUBT, member);
    }
    member->asked = true;
    if (member->state == HM_SWIM_STATE_ALIVE && member->urgent_at > now) {
        member->urgent_at = now; /* see for ourselves */
        member->probe.active &= member->probe.timeout_ms <= swim->config.probe_timeout_ms;
    }
}

void hm_swim_attend(struct hm_swim *swim, hm_ms now, const struct hm_peer *peer)
{
    struct hm_swim_member *member = hm_swim_find(swim, &peer->id);
    if (!member) {
        member = hm_swim_add_guest(
            swim, now, &(struct hm_suspect){.target = peer->id, .target_addr = peer->addr});
    }
    if (!member) {
        return;
    }
    bool settled = member->state == HM_SWIM_STATE_ALIVE ||
                   (member->guest && member->state == HM_SWIM_STATE_GONE);
    if (member->guest) {
        member->peer = *peer;
        member->regular_at = now + HM_SWIM_GUEST_MS;
    }
    if (settled && !member->probe.active && (member->guest || member->incarnation == 0)) {
        member->urgent_at = now;
    }
}

void hm_swim_tick(struct hm_swim *swim, hm_ms now)
{
    hm_ms due = hm_swim_deadline(swim);
    if (now > due && now - due > STALLED_MS) {
        stood_still(swim, now, now - due);
    }
    tick_errands(swim, now);
    hm_swim_forget_guests(swim, now);
    for (size_t i = 0; i < swim->count; i++) {
        tick_member(swim, now, &swim->members[i]);
    }
}

static void earlier(hm_ms *deadline, hm_ms other)
{
    *deadline = other < *deadline ? other : *deadline;
}

hm_ms hm_swim_deadline(const struct hm_swim *swim)
{
    hm_ms deadline = HM_NEVER;
    for (size_t i = 0; i < swim->errand_count; i++) {
        earlier(&deadline, swim->errands[i].until);
        earlier(&deadline, swim->errands[i].again_at);
    }
    for (size_t i = 0; i < swim->count; i++) {
        const struct hm_swim_member *member = &swim->members[i];
        earlier(&deadline, state_deadline(swim, member));
        earlier(&deadline, member->regular_at);
        earlier(&deadline,
                member->probe.active ? probe_deadline(&member->probe) : member->urgent_at);
    }
    return deadline;
}

bool hm_swim_output(struct hm_swim *swim, struct hm_effect *out)
{
    return hm_outbox_pop(&swim->outbox, out);
}
