#include "core/engine/verdict.h"

#include "core/base/hash.h"
#include "core/base/memory.h"
#include "core/base/plant.h"

#include <string.h>

#define OBSERVERS_NEEDED 6u /* H, where there are K = 8 observers or more */
#define LOW_WATERMARK    3u
#define OBSERVERS_FULL   8u
#define ANSWER_MS        1200u /* then an observer that was asked is silent */
#define VOICE_MS         5000u /* a report is repeated every second while it holds */
#define ROUNDS_MAX       4u    /* without a report the inquiry is over */
#define TOGETHER_MS      500u  /* what is decided waits for what is about to be */
#define TELL_AGAIN_MS    1000u
#define LOOK_MS          50u
#define RELAYED_MAX      4u /* confirmations that an observer has use for */

enum { ASKED, ALIVE, GONE, SILENT };

void hm_verdict_init(struct hm_verdict *verdict, const struct hm_verdict_config *config)
{
    *verdict = (struct hm_verdict){.config = *config, .tick_at = HM_NEVER, .decided_at = HM_NEVER};
}

void hm_verdict_clear(struct hm_verdict *verdict)
{
    for (size_t i = 0; i < verdict->count; i++) {
        hm_free(verdict->inquiries[i].voices);
    }
    verdict->count = 0;
    hm_index_clear(&verdict->by_id);
    verdict->tick_at = HM_NEVER;
    verdict->decided_at = HM_NEVER;
}

void hm_verdict_fini(struct hm_verdict *verdict)
{
    hm_verdict_clear(verdict);
    hm_free(verdict->inquiries);
    hm_index_fini(&verdict->by_id);
    hm_outbox_fini(&verdict->outbox);
    *verdict = (struct hm_verdict){0};
}

static struct hm_verdict_inquiry *find(const struct hm_verdict *verdict, const struct hm_id *target)
{
    size_t cursor = 0;
    uint64_t hash = hm_hash_id(0, target);
    for (uint32_t at; (at = hm_index_next(&verdict->by_id, hash, &cursor)) != HM_INDEX_END;) {
        if (hm_id_equal(&verdict->inquiries[at].target.id, target)) {
            return &verdict->inquiries[at];
        }
    }
    return NULL;
}

static void close_inquiry(struct hm_verdict *verdict, struct hm_verdict_inquiry *inquiry)
{
    uint32_t at = (uint32_t)(inquiry - verdict->inquiries);
    uint32_t last = (uint32_t)verdict->count - 1;
    hm_index_remove(&verdict->by_id, hm_hash_id(0, &inquiry->target.id), at);
    hm_free(inquiry->voices);
    if (at != last) {
        *inquiry = verdict->inquiries[last];
        hm_index_remove(&verdict->by_id, hm_hash_id(0, &inquiry->target.id), last);
        hm_index_add(&verdict->by_id, hm_hash_id(0, &inquiry->target.id), at);
    }
    verdict->count--;
}

void hm_verdict_forget(struct hm_verdict *verdict, const struct hm_id *target)
{
    struct hm_verdict_inquiry *inquiry = find(verdict, target);
    if (inquiry) {
        close_inquiry(verdict, inquiry);
    }
}

/* ---- voices ---- */

static size_t count_voices(const struct hm_verdict_inquiry *inquiry, uint8_t says)
{
    size_t count = 0;
    for (uint8_t i = 0; i < inquiry->voice_count; i++) {
        count += inquiry->voices[i].says == says;
    }
    return count;
}

static struct hm_verdict_voice *voice_of(const struct hm_verdict_inquiry *inquiry,
                                         const struct hm_id *id)
{
    for (uint8_t i = 0; i < inquiry->voice_count; i++) {
        if (hm_id_equal(&inquiry->voices[i].peer.id, id)) {
            return &inquiry->voices[i];
        }
    }
    return NULL;
}

static void send_suspect(struct hm_verdict *verdict, const struct hm_peer *to,
                         const struct hm_verdict_inquiry *inquiry, const struct hm_id *by,
                         bool suspected)
{
    struct hm_message message = {.kind = HM_MSG_suspect};
    message.suspect.target = inquiry->target.id;
    message.suspect.target_addr = inquiry->target.addr;
    message.suspect.incarnation = inquiry->incarnation;
    message.suspect.suspected = suspected;
    message.suspect.by = *by;
    hm_outbox_send(&verdict->outbox, to, &message);
}

static void ask(struct hm_verdict *verdict, hm_ms now, struct hm_verdict_inquiry *inquiry,
                const struct hm_peer *peer, const struct hm_id *by)
{
    if (inquiry->voice_count == HM_VERDICT_VOICES_MAX || voice_of(inquiry, &peer->id) ||
        hm_id_equal(&peer->id, &inquiry->target.id)) {
        return;
    }
    inquiry->voices =
        hm_resize(inquiry->voices, (size_t)inquiry->voice_count + 1, sizeof *inquiry->voices);
    inquiry->voices[inquiry->voice_count++] =
        (struct hm_verdict_voice){.peer = *peer, .says = ASKED, .at = now};
    if (!hm_id_equal(&peer->id, by)) {
        send_suspect(verdict, peer, inquiry, by, false);
    }
}

/* Who is itself reported above the low watermark, or does not answer, does not count. */
static bool is_live(void *context, const struct hm_id *id)
{
    const struct hm_verdict *verdict = context;
    const struct hm_verdict_inquiry *inquiry = find(verdict, id);
    return !inquiry || (count_voices(inquiry, GONE) < LOW_WATERMARK && !inquiry->decided &&
                        inquiry->rounds == 0);
}

static bool everyone_is_live(void *context, const struct hm_id *id)
{
    (void)context;
    (void)id;
    return true;
}

static void ask_observers(struct hm_verdict *verdict, hm_ms now, struct hm_verdict_inquiry *inquiry,
                          const struct hm_id *by)
{
    struct hm_peer peers[HM_VERDICT_VOICES_MAX];
    const struct hm_verdict_config *config = &verdict->config;
    inquiry->next_at = now + ANSWER_MS;
    verdict->tick_at = verdict->tick_at < inquiry->next_at ? verdict->tick_at : inquiry->next_at;
    if (inquiry->rounds && inquiry->voice_count - count_voices(inquiry, SILENT) >= OBSERVERS_FULL) {
        return; /* enough eyes */
    }
    size_t count = config->observers(config->context, &inquiry->target.id, is_live, verdict, peers,
                                     HM_VERDICT_VOICES_MAX);
    for (size_t i = 0; i < count; i++) {
        ask(verdict, now, inquiry, &peers[i], by);
    }
    if (count < LOW_WATERMARK || inquiry->rounds > 0) {
        inquiry->controls = true;
        count = config->controls(config->context, peers, HM_VERDICT_VOICES_MAX);
        for (size_t i = 0; i < count; i++) {
            ask(verdict, now, inquiry, &peers[i], by);
        }
    }
}

static struct hm_verdict_inquiry *open_inquiry(struct hm_verdict *verdict, hm_ms now,
                                               const struct hm_id *target, uint64_t incarnation,
                                               const struct hm_id *by)
{
    struct hm_peer peer;
    /* Whoever leads hears a quorum: it is not gone, whatever a few observers say. */
    if (hm_id_equal(target, &verdict->config.self) ||
        !verdict->config.member(verdict->config.context, target, &peer)) {
        return NULL;
    }
    verdict->inquiries =
        hm_grow(verdict->inquiries, verdict->count, &verdict->capacity, sizeof *verdict->inquiries);
    hm_index_add(&verdict->by_id, hm_hash_id(0, target), (uint32_t)verdict->count);
    struct hm_verdict_inquiry *inquiry = &verdict->inquiries[verdict->count++];
    *inquiry =
        (struct hm_verdict_inquiry){.target = peer, .incarnation = incarnation, .opened_at = now};
    ask_observers(verdict, now, inquiry, by);
    return inquiry;
}

/* ---- counting ---- */

/* Is it decided? `d` are those who count: who answered, and while there is time who may answer. */
static bool is_gone(struct hm_verdict *verdict, const struct hm_verdict_inquiry *inquiry)
{
    size_t d = 0;
    size_t gone = 0;
    for (uint8_t i = 0; i < inquiry->voice_count; i++) {
        const struct hm_verdict_voice *voice = &inquiry->voices[i];
        if (voice->says == SILENT || !is_live(verdict, &voice->peer.id)) {
            continue;
        }
        d++;
        gone += voice->says == GONE;
    }
    if (hm_plant("one_report_is_enough")) {
        return gone > 0;
    }
    /* Where many were asked and few answer, those few must still be more than two. */
    size_t least = inquiry->voice_count < OBSERVERS_FULL ? 1 : LOW_WATERMARK;
    bool enough = d >= LOW_WATERMARK || inquiry->controls;
    return enough && gone >= least && gone >= (d < OBSERVERS_FULL ? d / 2 + 1 : OBSERVERS_NEEDED);
}

static void decide(struct hm_verdict *verdict, hm_ms now, struct hm_verdict_inquiry *inquiry)
{
    bool gone = is_gone(verdict, inquiry);
    if (gone && !inquiry->decided && verdict->decided_at > now) {
        verdict->decided_at = now;
    }
    inquiry->decided = gone;
}

/* ---- what is said ---- */

static bool may_speak(struct hm_verdict *verdict, const struct hm_id *target,
                      const struct hm_id *from)
{
    struct hm_peer peers[HM_VERDICT_VOICES_MAX];
    const struct hm_verdict_config *config = &verdict->config;
    const struct hm_verdict_inquiry *inquiry = find(verdict, target);
    if (inquiry && voice_of(inquiry, from)) {
        return true;
    }
    size_t count = config->observers(config->context, target, everyone_is_live, NULL, peers,
                                     HM_VERDICT_VOICES_MAX);
    for (size_t i = 0; i < count; i++) {
        if (hm_id_equal(&peers[i].id, from)) {
            return true;
        }
    }
    return false;
}

static void take_suspect(struct hm_verdict *verdict, hm_ms now, const struct hm_peer *from,
                         const struct hm_suspect *suspect)
{
    struct hm_verdict_inquiry *inquiry = find(verdict, &suspect->target);
    if (!inquiry) {
        open_inquiry(verdict, now, &suspect->target, suspect->incarnation, &suspect->by);
        return;
    }
    struct hm_verdict_voice *voice = voice_of(inquiry, &from->id);
    if (suspect->incarnation > inquiry->incarnation) {
        inquiry->incarnation = suspect->incarnation;
    }
    if (voice) {
        voice->says = voice->says == GONE ? GONE : ASKED;
        voice->at = now; /* it lives, whatever it finds */
    }
    if (!suspect->suspected || inquiry->relayed >= RELAYED_MAX) {
        return;
    }
    inquiry->relayed++;
    for (uint8_t i = 0; i < inquiry->voice_count; i++) {
        if (!hm_id_equal(&inquiry->voices[i].peer.id, &suspect->by) &&
            inquiry->voices[i].says != GONE) {
            send_suspect(verdict, &inquiry->voices[i].peer, inquiry, &suspect->by, true);
        }
    }
}

static void take_report(struct hm_verdict *verdict, hm_ms now, const struct hm_peer *from,
                        const struct hm_report *report)
{
    struct hm_verdict_inquiry *inquiry = find(verdict, &report->target);
    if (!inquiry && report->gone) {
        inquiry = open_inquiry(verdict, now, &report->target, report->incarnation, &from->id);
    }
    if (!inquiry) {
        return;
    }
    ask(verdict, now, inquiry, from, &from->id); /* an observer that a stand-in was taken for */
    struct hm_verdict_voice *voice = voice_of(inquiry, &from->id);
    if (!voice) {
        return;
    }
    voice->says = report->gone ? GONE : ALIVE;
    voice->at = now;
    decide(verdict, now, inquiry);
    if (count_voices(inquiry, GONE) == 0 && count_voices(inquiry, ASKED) == 0) {
        close_inquiry(verdict, inquiry);
    }
}

void hm_verdict_input(struct hm_verdict *verdict, hm_ms now, const struct hm_peer *from,
                      const struct hm_message *message)
{
    const struct hm_id *target =
        message->kind == HM_MSG_suspect ? &message->suspect.target : &message->report.target;
    struct hm_peer known;
    if (!verdict->config.member(verdict->config.context, &from->id, &known) ||
        !may_speak(verdict, target, &from->id)) {
        return;
    }
    if (message->kind == HM_MSG_suspect) {
        take_suspect(verdict, now, &known, &message->suspect);
    } else if (message->kind == HM_MSG_report) {
        take_report(verdict, now, &known, &message->report);
    }
}

/* ---- time ---- */

/* Those who did not answer are in doubt themselves. */
static void note_silence(struct hm_verdict *verdict, hm_ms now, size_t at)
{
    uint8_t count = verdict->inquiries[at].voice_count;
    struct hm_id none = {{0}};
    for (uint8_t i = 0; i < count; i++) {
        struct hm_verdict_voice *voice = &verdict->inquiries[at].voices[i];
        hm_ms limit = voice->says == GONE ? VOICE_MS : ANSWER_MS;
        if (voice->says == SILENT || voice->says == ALIVE || now < voice->at + limit) {
            continue;
        }
        voice->says = SILENT;
        struct hm_id id = voice->peer.id;
        if (!find(verdict, &id)) {
            open_inquiry(verdict, now, &id, 0, &none); /* moves the inquiries */
        }
    }
}

void hm_verdict_tick(struct hm_verdict *verdict, hm_ms now)
{
    struct hm_id none = {{0}};
    if (now < verdict->tick_at) {
        return;
    }
    verdict->tick_at = HM_NEVER;
    for (size_t i = verdict->count; i > 0; i--) {
        if (now >= verdict->inquiries[i - 1].next_at) {
            note_silence(verdict, now, i - 1);
            struct hm_verdict_inquiry *inquiry = &verdict->inquiries[i - 1];
            inquiry->rounds =
                (uint8_t)(inquiry->rounds < UINT8_MAX ? inquiry->rounds + 1 : UINT8_MAX);
            ask_observers(verdict, now, inquiry, &none);
            decide(verdict, now, inquiry);
            if (count_voices(inquiry, GONE) == 0 && inquiry->rounds >= ROUNDS_MAX) {
                close_inquiry(verdict, inquiry);
            }
        }
    }
    for (size_t i = 0; i < verdict->count; i++) {
        hm_ms next = verdict->inquiries[i].next_at;
        verdict->tick_at = next < verdict->tick_at ? next : verdict->tick_at;
    }
    if (verdict->tick_at < now + LOOK_MS) {
        verdict->tick_at = now + LOOK_MS;
    }
}

/* Is another one about to be decided, so that both can go together? (Rapid, section 4.2: between
 * the watermarks one waits.) */
static bool is_in_between(const struct hm_verdict *verdict)
{
    for (size_t i = 0; i < verdict->count; i++) {
        const struct hm_verdict_inquiry *inquiry = &verdict->inquiries[i];
        if (!inquiry->decided && inquiry->rounds == 0) {
            return true;
        }
    }
    return false;
}

size_t hm_verdict_gone(struct hm_verdict *verdict, hm_ms now, struct hm_node_ref *out, size_t most)
{
    size_t count = 0;
    if (now < verdict->decided_at ||
        (now < verdict->decided_at + TOGETHER_MS && is_in_between(verdict))) {
        return 0;
    }
    verdict->decided_at = HM_NEVER;
    for (size_t i = 0; i < verdict->count; i++) {
        struct hm_verdict_inquiry *inquiry = &verdict->inquiries[i];
        if (!inquiry->decided) {
            continue;
        }
        if (now >= inquiry->told_until && count < most) {
            inquiry->told_until = now + TELL_AGAIN_MS;
            out[count++].id = inquiry->target.id;
        }
        hm_ms again = inquiry->told_until > now ? inquiry->told_until : now + 1;
        verdict->decided_at = again < verdict->decided_at ? again : verdict->decided_at;
    }
    return count;
}

hm_ms hm_verdict_deadline(const struct hm_verdict *verdict)
{
    hm_ms told = verdict->decided_at;
    if (told != HM_NEVER && is_in_between(verdict)) {
        told += TOGETHER_MS;
    }
    return told < verdict->tick_at ? told : verdict->tick_at;
}

bool hm_verdict_output(struct hm_verdict *verdict, struct hm_effect *out)
{
    return hm_outbox_pop(&verdict->outbox, out);
}
