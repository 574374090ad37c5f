#include "core/engine/verdict.h"

#include "core/base/hash.h"
#include "core/base/memory.h"
#include "core/base/plant.h"

#include <string.h>

#define OBSERVERS_NEEDED 6u /* H, where there are K = 8 observers or more */
#define LOW_WATERMARK    3u
#define OBSERVERS_FULL   8u
#define WORD_MS          400u  /* by then whoever was asked says that it looks, or what it found */
#define FOUND_MS         200u  /* by then one of those who watch a live node has found it alive */
#define ANSWER_MS        1200u /* then an observer that was asked is silent */
#define VOICE_MS         5000u /* so long a word holds: a report is said again every second */
#define ROUNDS_MAX       4u    /* without a report the inquiry is over */
#define TOGETHER_MS      800u  /* what is decided waits for what is about to be */
#define STRAGGLERS_MS    400u  /* but so long only, when others have just gone */
#define APART_MS         100u  /* batches follow one another no faster */
#define JUST_GONE_MS     2000u
#define UNSETTLED_MS     4000u /* what was disputed waits for what still is, */
#define UNSETTLED_ROUNDS 8u    /* so long after that was doubted first */
#define TELL_AGAIN_MS    1000u
#define LOOK_MS          50u
#define RELAYED_MAX      4u /* confirmations that an observer has use for */

enum { ASKED, LOOKING, ALIVE, GONE, SILENT };

void hm_verdict_init(struct hm_verdict *verdict, const struct hm_verdict_config *config)
{
    *verdict = (struct hm_verdict){
        .config = *config, .tick_at = HM_NEVER, .decided_at = HM_NEVER, .settled_at = HM_NEVER};
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
    verdict->settled_at = HM_NEVER;
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

/* Room for one more voice; where there are too many, one that is silent gives way. */
static struct hm_verdict_voice *make_room(struct hm_verdict_inquiry *inquiry)
{
    if (inquiry->voice_count < HM_VERDICT_VOICES_MAX) {
        inquiry->voices =
            hm_resize(inquiry->voices, (size_t)inquiry->voice_count + 1, sizeof *inquiry->voices);
        return &inquiry->voices[inquiry->voice_count++];
    }
    for (uint8_t i = 0; i < inquiry->voice_count; i++) {
        if (inquiry->voices[i].says == SILENT) {
            return &inquiry->voices[i];
        }
    }
    return NULL;
}

static void ask(struct hm_verdict *verdict, hm_ms now, struct hm_verdict_inquiry *inquiry,
                const struct hm_peer *peer, const struct hm_id *by)
{
    bool spoke = hm_id_equal(&peer->id, by);
    if (voice_of(inquiry, &peer->id) || hm_id_equal(&peer->id, &inquiry->target.id)) {
        return;
    }
    struct hm_verdict_voice *voice = make_room(inquiry);
    if (voice) {
        *voice =
            (struct hm_verdict_voice){.peer = *peer, .says = spoke ? LOOKING : ASKED, .at = now};
    }
    if (voice && !spoke) {
        send_suspect(verdict, peer, inquiry, by, false);
    }
}

/* Who is itself reported above the low watermark, or is found by nobody, does not count. */
static bool is_live(const struct hm_verdict *verdict, const struct hm_id *id)
{
    const struct hm_verdict_inquiry *inquiry = find(verdict, id);
    return !inquiry || (count_voices(inquiry, GONE) < LOW_WATERMARK && !inquiry->decided &&
                        (inquiry->rounds == 0 || count_voices(inquiry, ALIVE) > 0));
}

/* As one looks round for eyes. */
struct look {
    const struct hm_verdict *verdict;
    hm_ms now;
};

/* Is it worth to ask this one? One in doubt only where somebody found it alive. */
static bool may_answer(void *context, const struct hm_id *id)
{
    const struct look *look = context;
    const struct hm_verdict_inquiry *inquiry = find(look->verdict, id);
    return is_live(look->verdict, id) && (!inquiry || look->now < inquiry->opened_at + FOUND_MS ||
                                          count_voices(inquiry, ALIVE) > 0);
}

static bool everyone_is_live(void *context, const struct hm_id *id)
{
    (void)context;
    (void)id;
    return true;
}

/* Those who look, or have looked. */
static size_t count_eyes(const struct hm_verdict_inquiry *inquiry, struct look *look)
{
    size_t count = 0;
    for (uint8_t i = 0; i < inquiry->voice_count; i++) {
        const struct hm_verdict_voice *voice = &inquiry->voices[i];
        count += voice->says == ASKED ? may_answer(look, &voice->peer.id) : voice->says != SILENT;
    }
    return count;
}

static void ask_observers(struct hm_verdict *verdict, hm_ms now, struct hm_verdict_inquiry *inquiry,
                          const struct hm_id *by)
{
    struct hm_peer peers[HM_VERDICT_VOICES_MAX];
    struct look look = {verdict, now};
    const struct hm_verdict_config *config = &verdict->config;
    inquiry->next_at = now + WORD_MS;
    verdict->tick_at = verdict->tick_at < inquiry->next_at ? verdict->tick_at : inquiry->next_at;
    if (count_eyes(inquiry, &look) >= OBSERVERS_FULL) {
        return; /* enough eyes */
    }
    size_t count = config->observers(config->context, &inquiry->target.id, may_answer, &look, peers,
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
    *inquiry = (struct hm_verdict_inquiry){.target = peer,
                                           .incarnation = incarnation,
                                           .doubted = !hm_id_is_none(by),
                                           .opened_at = now,
                                           .round_at = now + ANSWER_MS};
    ask_observers(verdict, now, inquiry, by);
    return inquiry;
}

/* ---- counting ---- */

/* Somebody had no answer of it, and nobody has found it alive. */
static bool is_doubted(const struct hm_verdict *verdict, const struct hm_id *id)
{
    const struct hm_verdict_inquiry *inquiry = find(verdict, id);
    return inquiry && inquiry->doubted && count_voices(inquiry, ALIVE) == 0;
}

/* Is it decided? `d` are those who count: who answered, and while there is time who may answer. */
static bool is_gone(struct hm_verdict *verdict, const struct hm_verdict_inquiry *inquiry)
{
    size_t d = 0;
    size_t gone = 0;
    for (uint8_t i = 0; i < inquiry->voice_count; i++) {
        const struct hm_verdict_voice *voice = &inquiry->voices[i];
        if (voice->says == SILENT || !is_live(verdict, &voice->peer.id) ||
            (voice->says == ASKED && is_doubted(verdict, &voice->peer.id))) {
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

static hm_ms *since_of(struct hm_verdict *verdict, const struct hm_verdict_inquiry *inquiry)
{
    return inquiry->disputed ? &verdict->settled_at : &verdict->decided_at;
}

static void decide(struct hm_verdict *verdict, hm_ms now, struct hm_verdict_inquiry *inquiry)
{
    bool gone = is_gone(verdict, inquiry);
    hm_ms *since = since_of(verdict, inquiry);
    if (gone && !inquiry->decided && *since > now) {
        *since = now;
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
    inquiry->doubted = true;
    if (voice) {
        voice->says = voice->says == GONE ? GONE : LOOKING;
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
    inquiry->doubted = inquiry->doubted || report->gone;
    inquiry->disputed = inquiry->disputed || !report->gone;
    decide(verdict, now, inquiry);
    if (count_voices(inquiry, GONE) + count_voices(inquiry, ASKED) +
            count_voices(inquiry, LOOKING) ==
        0) {
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

/* Some find it gone, and this one found it alive long ago: it may watch it no more, or be wrong by
 * now, and would say nothing of either by itself. */
static void ask_again(struct hm_verdict *verdict, hm_ms now, struct hm_verdict_inquiry *inquiry,
                      struct hm_verdict_voice *voice)
{
    struct hm_id none = {{0}};
    voice->says = ASKED;
    voice->at = now;
    send_suspect(verdict, &voice->peer, inquiry, &none, false);
}

/* Who has not said a word yet, where others have, is in doubt itself; and so is who has been silent
 * for long. In a cluster that is only slow, and alive, the first ends with the first observers. */
static void note_silence(struct hm_verdict *verdict, hm_ms now, size_t at)
{
    uint8_t count = verdict->inquiries[at].voice_count;
    bool doubted = verdict->inquiries[at].doubted;
    bool disputed = count_voices(&verdict->inquiries[at], GONE) > 0;
    struct hm_id none = {{0}};
    for (uint8_t i = 0; i < count; i++) {
        struct hm_verdict_voice *voice = &verdict->inquiries[at].voices[i];
        if (disputed && voice->says == ALIVE && now >= voice->at + VOICE_MS) {
            ask_again(verdict, now, &verdict->inquiries[at], voice);
            continue;
        }
        hm_ms limit = voice->says == GONE ? VOICE_MS : ANSWER_MS;
        bool silent = voice->says != ALIVE && now >= voice->at + limit;
        bool wordless = doubted && voice->says == ASKED && now >= voice->at + WORD_MS;
        if (voice->says == SILENT || (!silent && !wordless)) {
            continue;
        }
        voice->says = silent ? SILENT : ASKED;
        struct hm_id id = voice->peer.id;
        if (!find(verdict, &id)) {
            open_inquiry(verdict, now, &id, 0, &none); /* moves the inquiries */
        }
    }
}

static void look_at(struct hm_verdict *verdict, hm_ms now, size_t at)
{
    struct hm_id none = {{0}};
    note_silence(verdict, now, at);
    struct hm_verdict_inquiry *inquiry = &verdict->inquiries[at];
    if (now >= inquiry->round_at) {
        inquiry->round_at = now + ANSWER_MS;
        inquiry->rounds = (uint8_t)(inquiry->rounds < UINT8_MAX ? inquiry->rounds + 1 : UINT8_MAX);
    }
    ask_observers(verdict, now, inquiry, &none);
    decide(verdict, now, inquiry);
    bool found = inquiry->rounds > 0 && count_voices(inquiry, ALIVE) > 0;
    if (count_voices(inquiry, GONE) == 0 && (found || inquiry->rounds >= ROUNDS_MAX)) {
        close_inquiry(verdict, inquiry);
    }
}

void hm_verdict_tick(struct hm_verdict *verdict, hm_ms now)
{
    if (now < verdict->tick_at) {
        return;
    }
    verdict->tick_at = HM_NEVER;
    for (size_t i = verdict->count; i > 0; i--) {
        if (now >= verdict->inquiries[i - 1].next_at) {
            look_at(verdict, now, i - 1);
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

/* Is there another that some find gone and others alive? It takes long to be sure of such. */
static bool is_unsettled(const struct hm_verdict *verdict)
{
    for (size_t i = 0; i < verdict->count; i++) {
        const struct hm_verdict_inquiry *inquiry = &verdict->inquiries[i];
        if (inquiry->disputed && !inquiry->decided && inquiry->rounds <= UNSETTLED_ROUNDS &&
            count_voices(inquiry, GONE) > 0) {
            return true;
        }
    }
    return false;
}

/* When those that are decided are to be told. */
static hm_ms tell_at(const struct hm_verdict *verdict)
{
    bool just = verdict->told_at && verdict->decided_at <= verdict->told_at + JUST_GONE_MS;
    hm_ms apart = verdict->told_at ? verdict->told_at + APART_MS : 0;
    hm_ms at = HM_NEVER;
    if (verdict->decided_at != HM_NEVER) {
        hm_ms wait = just ? STRAGGLERS_MS : TOGETHER_MS;
        at = verdict->decided_at + (is_in_between(verdict) ? wait : 0);
    }
    if (verdict->settled_at < at) {
        hm_ms settled = verdict->settled_at + (is_unsettled(verdict) ? UNSETTLED_MS : 0);
        at = settled < at ? settled : at;
    }
    return at > apart ? at : apart;
}

size_t hm_verdict_gone(struct hm_verdict *verdict, hm_ms now, struct hm_node_ref *out, size_t most)
{
    size_t count = 0;
    if (now < tell_at(verdict)) {
        return 0;
    }
    hm_ms decided = verdict->decided_at;
    hm_ms settled = verdict->settled_at;
    verdict->decided_at = HM_NEVER;
    verdict->settled_at = HM_NEVER;
    for (size_t i = 0; i < verdict->count; i++) {
        struct hm_verdict_inquiry *inquiry = &verdict->inquiries[i];
        if (!inquiry->decided) {
            continue;
        }
        if (now >= inquiry->told_until && count < most) {
            inquiry->told_until = now + TELL_AGAIN_MS;
            out[count++].id = inquiry->target.id;
        }
        hm_ms again = inquiry->told_until;
        if (again <= now) {
            again = inquiry->disputed ? settled : decided; /* no room for it */
        }
        hm_ms *since = since_of(verdict, inquiry);
        *since = again < *since ? again : *since;
    }
    /* What is full is followed at once by the rest. */
    verdict->told_at = count && count < most ? now : verdict->told_at;
    return count;
}

hm_ms hm_verdict_deadline(const struct hm_verdict *verdict)
{
    hm_ms told = tell_at(verdict);
    return told < verdict->tick_at ? told : verdict->tick_at;
}

bool hm_verdict_output(struct hm_verdict *verdict, struct hm_effect *out)
{
    return hm_outbox_pop(&verdict->outbox, out);
}
