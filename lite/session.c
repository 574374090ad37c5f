#include "lite/session.h"

#include <stdio.h>
#include <string.h>

#define TRY_MS          400u /* an answer takes a round trip */
#define TRIES           3u
#define SILENT_MS       5000u /* one that did not answer is not asked for so long */
#define ROUND_FIRST_MS  500u
#define ROUND_MOST_MS   15000u
#define REFUSED_MOST_MS 60000u
#define HOPS_MAX        4u
#define WITHDRAW_MS     4000u
#define ENVELOPE_BYTES  17u /* who speaks, and no address */
#define LEASE_INTERVALS 3u

void lite_session_set_joins(struct lite_session *session, const struct hm_addr *addrs, size_t count)
{
    struct lite_target joins[LITE_TARGETS_MAX];
    count = count < LITE_TARGETS_MAX ? count : LITE_TARGETS_MAX;
    for (size_t i = 0; i < count; i++) {
        joins[i] = (struct lite_target){.addr = addrs[i]};
        for (size_t j = 0; j < session->join_count; j++) {
            if (hm_addr_equal(&session->joins[j].addr, &addrs[i])) {
                joins[i].silent_until = session->joins[j].silent_until;
            }
        }
    }
    memcpy(session->joins, joins, count * sizeof *joins);
    session->join_count = count;
    if (!session->waiting) {
        session->current = (struct hm_addr){0}; /* chosen anew: there may be a better one */
    }
}

void lite_session_start(struct lite_session *session, hm_ms now)
{
    session->next_at = now;
    session->give_up_at = HM_NEVER;
}

hm_ms lite_session_deadline(const struct lite_session *session)
{
    return session->next_at < session->give_up_at ? session->next_at : session->give_up_at;
}

/* ---- whom to ask ---- */

static struct lite_target *target_at(struct lite_session *session, size_t number)
{
    return number < session->keeper_count ? &session->keepers[number]
                                          : &session->joins[number - session->keeper_count];
}

static void mark_silent(struct lite_session *session, hm_ms now)
{
    for (size_t i = 0; i < session->keeper_count + session->join_count; i++) {
        struct lite_target *target = target_at(session, i);
        if (hm_addr_equal(&target->addr, &session->current)) {
            target->silent_until = now + SILENT_MS;
        }
    }
}

/* The best keeper that is not silent, then whom the user named, then whoever was silent longest. */
static void choose(struct lite_session *session, hm_ms now)
{
    struct lite_target *best = NULL;
    for (size_t i = 0; i < session->keeper_count + session->join_count; i++) {
        struct lite_target *target = target_at(session, i);
        hm_ms until = target->silent_until > now ? target->silent_until : 0;
        hm_ms best_until = best && best->silent_until > now ? best->silent_until : 0;
        if (!best || until < best_until) {
            best = target;
        }
    }
    if (best) {
        session->current = best->addr;
    }
}

static bool is_target(struct lite_session *session, const struct hm_addr *addr)
{
    for (size_t i = 0; i < session->keeper_count + session->join_count; i++) {
        if (hm_addr_equal(&target_at(session, i)->addr, addr)) {
            return true;
        }
    }
    return false;
}

static size_t target_count(const struct lite_session *session)
{
    size_t count = session->keeper_count + session->join_count;
    return count ? count : 1; /* nobody: that is a round, too */
}

/* All in turn were of no help: from now on it takes longer each time. */
static hm_ms round_wait(const struct lite_session *session)
{
    size_t rounds = session->failures / target_count(session);
    hm_ms wait = (hm_ms)ROUND_FIRST_MS << (rounds < 6 ? rounds - 1 : 5);
    wait = wait < ROUND_MOST_MS ? wait : ROUND_MOST_MS;
    return wait < session->interval_ms ? wait : session->interval_ms;
}

/* True when a whole round has failed. */
static bool next_target(struct lite_session *session, hm_ms now)
{
    session->waiting = false;
    session->tries = 0;
    session->hops = 0;
    mark_silent(session, now);
    choose(session, now);
    session->failures++;
    bool round = session->failures % target_count(session) == 0;
    session->next_at = round ? now + round_wait(session) : now;
    return round;
}

/* ---- what is said ---- */

static void put_keepalive(struct lite_session *session, struct hm_buf *payload)
{
    hm_buf_append(payload, session->id.bytes, sizeof session->id.bytes);
    hm_put_u8(payload, 0);
    hm_message_encode(payload, &(struct hm_message){
                                   .kind = HM_MSG_keepalive,
                                   .keepalive = {.call = session->call,
                                                 .cluster = session->cluster,
                                                 .challenge = session->challenge,
                                                 .name = session->name,
                                                 .version = session->version,
                                                 .lease_ms = session->interval_ms * LEASE_INTERVALS,
                                                 .withdraw = session->withdrawing,
                                                 .config = session->config}});
}

static bool is_lost(const struct lite_session *session, hm_ms now)
{
    return session->answered_at &&
           now >= session->answered_at + (hm_ms)session->interval_ms * LEASE_INTERVALS;
}

bool lite_session_tick(struct lite_session *session, hm_ms now, struct hm_buf *payload,
                       enum lite_news *news)
{
    *news = LITE_NOTHING;
    if (now >= session->give_up_at) {
        *news = LITE_ABANDONED;
        return false;
    }
    if (now < session->next_at) {
        return false;
    }
    bool nobody = session->keeper_count + session->join_count == 0;
    if (nobody || (session->waiting && session->tries >= TRIES)) {
        session->kept = false;
        bool round = next_target(session, now);
        *news = round ? LITE_SILENT : LITE_NOTHING;
        if (is_lost(session, now)) {
            session->answered_at = 0;
            *news = LITE_LOST;
        }
        if (session->next_at > now || nobody) {
            return false;
        }
    }
    if (!session->waiting) {
        if (!is_target(session, &session->current)) {
            choose(session, now);
        }
        session->call++;
        session->waiting = true;
    }
    session->tries++;
    session->next_at = now + TRY_MS;
    put_keepalive(session, payload);
    return true;
}

/* ---- what is heard ---- */

static void take_keepers(struct lite_session *session, const struct hm_keepalive_reply *kept)
{
    struct lite_target keepers[LITE_KEEPERS_MAX];
    size_t count = 0;
    for (uint32_t i = 0; i < kept->keepers_count && count < LITE_KEEPERS_MAX; i++) {
        keepers[count] = (struct lite_target){.addr = kept->keepers[i].addr};
        for (size_t j = 0; j < session->keeper_count; j++) {
            if (hm_addr_equal(&session->keepers[j].addr, &keepers[count].addr)) {
                keepers[count].silent_until = session->keepers[j].silent_until;
            }
        }
        count += !hm_addr_is_none(&keepers[count].addr) && keepers[count].addr.port != 0;
    }
    if (count) {
        memcpy(session->keepers, keepers, count * sizeof *keepers);
        session->keeper_count = count;
    }
}

static enum lite_news take_kept(struct lite_session *session, hm_ms now,
                                const struct hm_keepalive_reply *kept)
{
    bool news = !session->kept || (kept->committed && !session->committed);
    session->kept = true;
    session->committed = kept->committed;
    session->cluster = kept->cluster;
    session->answered_at = now;
    session->failures = 0;
    session->refused_wait_ms = 0;
    /* The next one goes to the best, which may be another. */
    choose(session, now);
    session->next_at = now + session->interval_ms;
    return !news ? LITE_NOTHING : session->committed ? LITE_COMMITTED : LITE_KEPT;
}

static enum lite_news take_refusal(struct lite_session *session, hm_ms now,
                                   const struct hm_keepalive_reply *kept)
{
    hm_ms wait = session->refused_wait_ms ? session->refused_wait_ms * 2 : session->interval_ms;
    session->refused_wait_ms = wait < REFUSED_MOST_MS ? wait : REFUSED_MOST_MS;
    session->next_at = now + session->refused_wait_ms;
    session->kept = false;
    struct hm_bytes reason = kept->reason.size
                                 ? kept->reason
                                 : hm_bytes_of_text(hm_status_text((enum hm_status)kept->status));
    snprintf(session->reason, sizeof session->reason, "%.*s", (int)reason.size,
             (const char *)reason.data);
    return LITE_REFUSED;
}

static void raise_version(struct lite_session *session, const struct hm_version *told)
{
    struct hm_version *version = &session->version;
    if (told->boot > version->boot) {
        version->boot = told->boot;
        version->seq = told->seq;
    } else if (told->boot == version->boot && told->seq > version->seq) {
        version->seq = told->seq;
    }
    version->seq = (version->seq | 1) + 1;
}

static enum lite_news take(struct lite_session *session, hm_ms now,
                           const struct hm_keepalive_reply *kept)
{
    bool answer = session->waiting && kept->call == session->call;
    bool gone = kept->version.seq & 1;
    if (kept->call != session->call) {
        return LITE_NOTHING; /* of an earlier one */
    }
    if (session->withdrawing && gone && (kept->status == HM_OK || kept->status == HM_STALE)) {
        session->next_at = session->give_up_at = HM_NEVER;
        return LITE_WITHDRAWN;
    }
    session->waiting = false;
    session->tries = 0;
    take_keepers(session, kept);
    switch (kept->status) {
    case HM_OK:
        session->hops = 0;
        return session->withdrawing ? LITE_NOTHING : take_kept(session, now, kept);
    case HM_STALE:
        raise_version(session, &kept->version);
        session->next_at = now;
        return LITE_NOTHING;
    case HM_REPLAYED:
        if (session->challenge != kept->challenge) {
            session->challenge = kept->challenge;
            session->next_at = now;
            return LITE_NOTHING;
        }
        return next_target(session, now) ? LITE_SILENT : LITE_NOTHING;
    case HM_NOT_LEADER:
        if (answer && session->hops++ < HOPS_MAX) {
            choose(session, now);
            session->next_at = now;
            return LITE_NOTHING;
        }
        return next_target(session, now) ? LITE_SILENT : LITE_NOTHING;
    case HM_NOT_READY:
    case HM_FULL:
        return next_target(session, now) ? LITE_SILENT : LITE_NOTHING;
    default:
        return take_refusal(session, now, kept);
    }
}

enum lite_news lite_session_receive(struct lite_session *session, hm_ms now,
                                    struct hm_bytes payload)
{
    struct hm_reader in = hm_reader_of(payload);
    struct hm_arena arena = {0};
    struct hm_message message;
    enum lite_news news = LITE_NOTHING;
    (void)hm_get_bytes(&in, ENVELOPE_BYTES);
    while (news == LITE_NOTHING && hm_reader_left(&in) &&
           hm_message_decode(&in, &arena, &message) == HM_OK) {
        if (message.kind == HM_MSG_keepalive_reply) {
            news = take(session, now, &message.keepalive_reply);
        }
    }
    hm_arena_fini(&arena);
    return news;
}

void lite_session_unreachable(struct lite_session *session, hm_ms now)
{
    if (session->waiting) {
        session->tries = TRIES;
        session->next_at = now;
    }
}

bool lite_session_withdraw(struct lite_session *session, hm_ms now)
{
    if (!session->cluster) {
        return false;
    }
    session->withdrawing = true;
    session->waiting = false;
    session->tries = 0;
    session->next_at = now;
    session->give_up_at = now + WITHDRAW_MS;
    return true;
}
