#include "tests/sim/scale.h"

#include "core/base/assert.h"
#include "core/base/memory.h"
#include "core/base/plant.h"
#include "core/wire/seal.h"

#include <malloc.h>
#include <stdio.h>
#include <string.h>

#define COMMIT_MS       5u
#define DATAGRAM_EXTRA  (28u + HM_SEAL_FRAME_EXTRA + HM_SEAL_WHO_BYTES) /* IP and UDP on top */
#define BRIEF_EXTRA     (28u + HM_SEAL_BRIEF_BYTES + HM_SEAL_TAG_BYTES)
#define FRESH_MS        500u
#define REPORT_AGAIN_MS 1000u
#define BATCH_MAX       1024u
#define RING_EVENTS     64u
#define LEAP_EVENTS     1000u

enum { WAKE, MESSAGE, REFUSAL, COMMIT, DIGEST };

struct scale_event {
    struct scale_event *next;
    hm_ms at;
    uint32_t to;
    uint32_t from;
    uint8_t kind;
    uint32_t size;
    uint8_t bytes[]; /* a message; of a commit the request */
};

/* ---- who is who ---- */

/* The number stands in the id, whose other bytes are random, so that rings are. */
static struct hm_id id_of(uint32_t number)
{
    struct hm_random random;
    hm_random_init(&random, number + 1);
    struct hm_id id = hm_random_id(&random);
    memcpy(id.bytes, &number, sizeof number);
    return id;
}

static uint32_t number_of(const struct hm_id *id)
{
    uint32_t number;
    memcpy(&number, id->bytes, sizeof number);
    return number;
}

static struct hm_peer peer_of(uint32_t number)
{
    struct hm_addr addr = {.family = 4, .port = 9610};
    addr.ip[0] = 10;
    addr.ip[1] = (uint8_t)(number >> 16);
    addr.ip[2] = (uint8_t)(number >> 8);
    addr.ip[3] = (uint8_t)number;
    return (struct hm_peer){id_of(number), addr};
}

static struct hm_member member_of(uint32_t number, struct hm_label *role)
{
    char name[32];
    snprintf(name, sizeof name, "n%u", number);
    struct hm_peer peer = peer_of(number);
    role->name = hm_name_of(number < SCALE_CONTROLS ? "control" : "host");
    return (struct hm_member){.id = peer.id,
                              .name = hm_name_of(name),
                              .addr = peer.addr,
                              .roles = role,
                              .roles_count = 1,
                              .feeds = number < SCALE_CONTROLS ? HM_MEMBER_CARRIES_STATE : 0,
                              .boot = 1,
                              .feature = HM_FEATURE_LEVEL};
}

static const struct hm_view *view_of(const struct scale *scale)
{
    return hm_state_view(scale->state);
}

bool scale_is_member(const struct scale *scale, uint32_t node)
{
    struct hm_id id = id_of(node);
    return hm_members_find(&view_of(scale)->members, &id) != NULL;
}

size_t scale_heap_bytes(void)
{
    return mallinfo2().uordblks + mallinfo2().hblkhd;
}

/* ---- events ---- */

static struct scale_event *file_event(struct scale *scale, hm_ms delay, uint8_t kind, uint32_t to,
                                      uint32_t from, struct hm_bytes bytes)
{
    struct scale_event *event = hm_resize(NULL, 1, sizeof *event + bytes.size);
    delay = delay ? delay : 1;
    delay = delay < SCALE_MOMENTS ? delay : SCALE_MOMENTS - 1; /* a wake may come too early */
    *event = (struct scale_event){.at = scale->now + delay,
                                  .kind = kind,
                                  .to = to,
                                  .from = from,
                                  .size = (uint32_t)bytes.size};
    if (bytes.size) {
        memcpy(event->bytes, bytes.data, bytes.size);
    }
    size_t moment = event->at % SCALE_MOMENTS;
    if (scale->last[moment]) {
        scale->last[moment]->next = event;
    } else {
        scale->moments[moment] = event;
    }
    scale->last[moment] = event;
    return event;
}

static hm_ms delay(struct scale *scale)
{
    return hm_random_between(&scale->random, scale->delay_min, scale->delay_max);
}

static void send(struct scale *scale, uint32_t from, const struct hm_peer *to, bool brief,
                 struct hm_bytes message)
{
    uint32_t number = number_of(&to->id);
    struct hm_reader in = hm_reader_of(message);
    bool stream = hm_message_class((enum hm_message_kind)hm_get_varint(&in)) != HM_CLASS_DATAGRAM;
    scale->totals.datagrams++;
    scale->totals.bytes += message.size + (brief ? BRIEF_EXTRA : DATAGRAM_EXTRA);
    if (number >= scale->count) {
        return;
    }
    const struct scale_node *target = &scale->nodes[number];
    uint32_t out = scale->nodes[from].out_permille;
    /* A stream repeats what is lost, unless nothing comes through. */
    bool lost = stream ? out == 1000 || target->in_permille == 1000
                       : hm_random_chance(&scale->random, out) ||
                             hm_random_chance(&scale->random, target->in_permille) ||
                             (scale->loss_permille &&
                              hm_random_chance(&scale->random, scale->loss_permille));
    if (lost) {
        return;
    }
    file_event(scale, delay(scale), MESSAGE, number, from, message);
}

/* ---- a node ---- */

/* An earlier one that is filed already is void then. */
static void file_wake(struct scale *scale, uint32_t number)
{
    struct scale_node *node = &scale->nodes[number];
    hm_ms wait = node->wake_at > scale->now ? node->wake_at - scale->now : 0;
    node->filed_at = file_event(scale, wait, WAKE, number, 0, (struct hm_bytes){0})->at;
}

static void plan(struct scale *scale, uint32_t number)
{
    struct scale_node *node = &scale->nodes[number];
    hm_ms at = hm_swim_deadline(&node->swim);
    hm_ms other = hm_feed_deadline(&node->feed);
    at = other < at ? other : at;
    other = hm_slice_deadline(&node->slice);
    at = other < at ? other : at;
    if (at < node->wake_at) {
        node->wake_at = at;
        file_wake(scale, number);
    }
}

static void watch(struct scale *scale, struct scale_node *node)
{
    struct hm_peer peers[2 * HM_RINGS_MAX];
    size_t count = hm_slice_subjects(&node->slice, peers);
    hm_swim_watch(&node->swim, scale->now, peers, count);
    count = hm_slice_neighbours(&node->slice, peers);
    hm_swim_set_helpers(&node->swim, peers, count);
    hm_feed_set_neighbours(&node->feed, peers, count);
}

static void want_fresh(struct scale *scale, uint32_t number)
{
    if (!scale->nodes[number].fresh) {
        scale->nodes[number].fresh = true;
        file_event(scale, 2 * delay(scale) + hm_random_below(&scale->random, FRESH_MS), DIGEST,
                   number, 0, (struct hm_bytes){0});
    }
}

static void begin_join(struct scale *scale, uint32_t number);

/* A stream that loses half of what it sends does not come about in time. */
static bool can_join(const struct scale_node *node)
{
    return node->in_permille < 500 && node->out_permille < 500;
}

/* What a node is told is what was committed at this index. */
static void note_event(struct scale *scale, const struct hm_event *event)
{
    const struct hm_event *committed = hm_state_event(scale->state, event->index);
    if (!committed || committed->epoch != event->epoch ||
        committed->members_position != event->members_position ||
        !hm_bytes_equal(committed->body, event->body)) {
        scale->wrong = "a node acted on an event that was never committed";
    }
}

static void on_event(struct scale *scale, uint32_t number, const struct hm_event *event)
{
    struct scale_node *node = &scale->nodes[number];
    struct hm_arena arena = {0};
    struct hm_message body;
    struct hm_reader in = hm_reader_of(event->body);
    bool changed = false;
    note_event(scale, event);
    node->event_at = scale->now;
    scale->totals.events++;
    if (hm_message_decode(&in, &arena, &body) == HM_OK) {
        const struct hm_id *gone =
            body.kind == HM_MSG_member_left ? &body.member_left.id : &body.member_failed.id;
        if (body.kind == HM_MSG_member_joined) {
            struct hm_peer peer = {body.member_joined.member.id, body.member_joined.member.addr};
            hm_swim_forget(&node->swim, scale->now, &peer.id);
            changed = hm_slice_join(&node->slice, scale->now, &peer);
        } else if (body.kind == HM_MSG_member_left || body.kind == HM_MSG_member_failed) {
            changed = hm_slice_leave(&node->slice, scale->now, gone);
            if (number_of(gone) == number && can_join(node)) {
                begin_join(scale, number); /* wrongly removed: it comes back by itself */
            }
        }
    }
    changed = hm_slice_reach(&node->slice, scale->now, event->members_position) || changed;
    if (changed) {
        watch(scale, node);
    }
    hm_arena_fini(&arena);
}

static void to_control(struct scale *scale, uint32_t number, const struct hm_message *message)
{
    struct hm_buf bytes = {0};
    hm_message_encode(&bytes, message);
    for (uint32_t i = 0; i < SCALE_CONTROLS; i++) {
        struct hm_peer peer = peer_of(i);
        send(scale, number, &peer, false, hm_buf_view(&bytes));
    }
    hm_buf_fini(&bytes);
}

static void report(struct scale *scale, uint32_t number, const struct hm_id *target, bool gone)
{
    struct hm_message message = {.kind = HM_MSG_report};
    message.report =
        (struct hm_report){.target = *target,
                           .incarnation = hm_swim_incarnation(&scale->nodes[number].swim, target),
                           .gone = gone};
    to_control(scale, number, &message);
}

/* As a node does from time to time: reports that still hold are said again, and one that is cut
 * off asks the control plane how far the others are. */
static void repeat_reports(struct scale *scale, uint32_t number)
{
    struct scale_node *node = &scale->nodes[number];
    if (scale->now < node->report_at) {
        return;
    }
    node->report_at = scale->now + REPORT_AGAIN_MS;
    if (hm_swim_is_cut_off(&node->swim)) {
        struct hm_peer control = peer_of((uint32_t)hm_random_below(&scale->random, SCALE_CONTROLS));
        hm_swim_inquire(&node->swim, scale->now,
                        &(struct hm_suspect){.target = control.id, .target_addr = control.addr});
    }
    struct hm_peer subjects[HM_RINGS_MAX];
    size_t count = hm_slice_subjects(&node->slice, subjects);
    for (size_t i = 0; i < count; i++) {
        if (hm_swim_state(&node->swim, &subjects[i].id) == HM_SWIM_STATE_GONE) {
            report(scale, number, &subjects[i].id, true);
        }
    }
}

static void notice(struct scale *scale, uint32_t number, const struct hm_effect *effect)
{
    struct hm_message message = {.kind = HM_MSG_suspect};
    switch (effect->notice) {
    case HM_SWIM_DOUBT:
    case HM_SWIM_SUSPECT:
        message.suspect = (struct hm_suspect){.target = effect->peer.id,
                                              .target_addr = effect->peer.addr,
                                              .incarnation = effect->number,
                                              .suspected = effect->notice == HM_SWIM_SUSPECT,
                                              .by = id_of(number)};
        to_control(scale, number, &message);
        break;
    case HM_SWIM_GONE:
    case HM_SWIM_BACK:
    case HM_SWIM_WELL:
        report(scale, number, &effect->peer.id, effect->notice == HM_SWIM_GONE);
        break;
    default:
        break;
    }
}

static void apply(struct scale *scale, uint32_t number, struct hm_bytes bytes)
{
    struct hm_arena arena = {0};
    struct hm_message message;
    if (hm_message_decode_only(bytes, HM_MSG_feed_event, &arena, &message) == HM_OK) {
        on_event(scale, number, &message.feed_event.event);
    }
    hm_arena_fini(&arena);
}

static void drain(struct scale *scale, uint32_t number)
{
    struct scale_node *node = &scale->nodes[number];
    struct hm_effect effect;
    hm_swim_set_places(&node->swim, hm_feed_place(&node->feed), (struct hm_place){0});
    while (hm_feed_output(&node->feed, &effect)) {
        if (effect.kind == HM_EFFECT_SEND) {
            send(scale, number, &effect.peer, effect.brief, effect.message);
        } else if (effect.kind == HM_EFFECT_APPLY) {
            apply(scale, number, effect.message);
        } else {
            want_fresh(scale, number);
        }
    }
    while (hm_slice_output(&node->slice, &effect)) {
        if (effect.kind == HM_EFFECT_SEND) {
            send(scale, number, &effect.peer, effect.brief, effect.message);
        } else {
            want_fresh(scale, number);
        }
    }
    while (hm_swim_output(&node->swim, &effect)) {
        if (effect.kind == HM_EFFECT_SEND) {
            send(scale, number, &effect.peer, effect.brief, effect.message);
        } else {
            notice(scale, number, &effect);
        }
    }
    hm_feed_rest(&node->feed);
    hm_outbox_fini(&node->swim.outbox);
    hm_outbox_fini(&node->slice.outbox);
    plan(scale, number);
}

static void wake(struct scale *scale, uint32_t number)
{
    struct scale_node *node = &scale->nodes[number];
    if (scale->now < node->wake_at) { /* it lay further ahead than events are filed */
        file_wake(scale, number);
        return;
    }
    node->wake_at = HM_NEVER;
    hm_swim_tick(&node->swim, scale->now);
    hm_feed_tick(&node->feed, scale->now);
    hm_slice_tick(&node->slice, scale->now);
    repeat_reports(scale, number);
    drain(scale, number);
}

/* ---- the control plane ---- */

static void pump_verdict(struct scale *scale)
{
    struct hm_effect effect;
    while (hm_verdict_output(&scale->verdict, &effect)) {
        send(scale, 0, &effect.peer, effect.brief, effect.message);
    }
}

static void propose(struct scale *scale, const struct hm_message *request)
{
    struct hm_buf body = {0};
    hm_message_encode(&body, request);
    file_event(scale, COMMIT_MS, COMMIT, 0, 0, hm_buf_view(&body));
    hm_buf_fini(&body);
}

/* What was decided becomes events, which the control nodes publish. */
static void commit(struct scale *scale, struct hm_bytes request)
{
    struct hm_outcome outcome;
    hm_replica_apply(&scale->replica,
                     &(struct hm_log_request){.time_ms = scale->now, .request = request}, 0,
                     &outcome);
    struct hm_reader in = hm_reader_of(request);
    bool fails = hm_get_varint(&in) == HM_MSG_request_fail;
    scale->totals.fail_batches += outcome.events > 0 && fails;
    scale->totals.join_batches += outcome.events > 0 && !fails;
    while (scale->published < view_of(scale)->index) {
        const struct hm_event *event = hm_state_event(scale->state, ++scale->published);
        for (uint32_t i = 0; event->members_position && i < SCALE_CONTROLS; i++) {
            hm_feed_publish(&scale->nodes[i].feed, scale->now, event);
            on_event(scale, i, event);
        }
        struct hm_arena arena = {0};
        struct hm_message body;
        if (hm_message_decode_only(event->body, HM_MSG_member_failed, &arena, &body) == HM_OK) {
            struct scale_node *node = &scale->nodes[number_of(&body.member_failed.id)];
            hm_verdict_forget(&scale->verdict, &body.member_failed.id);
            scale->totals.removed++;
            scale->totals.healthy_removed += !node->dead && node->in_permille == 0 &&
                                             node->out_permille == 0 && node->paused_until == 0;
        }
        hm_arena_fini(&arena);
    }
    for (uint32_t i = 0; i < SCALE_CONTROLS; i++) {
        if (!hm_slice_is_whole(&scale->nodes[i].slice)) {
            want_fresh(scale, i);
        }
        drain(scale, i);
    }
}

static void let_in(struct scale *scale)
{
    struct hm_joiner joiners[BATCH_MAX];
    struct hm_label roles[BATCH_MAX];
    uint32_t batch[BATCH_MAX];
    struct hm_message request = {.kind = HM_MSG_request_joins,
                                 .request_joins = {.joiners = joiners}};
    uint32_t count = 0;
    scale->flush_at = HM_NEVER;
    while (scale->waiting_count && count < BATCH_MAX) {
        batch[count] = scale->waiting[--scale->waiting_count];
        joiners[count] = (struct hm_joiner){.member = member_of(batch[count], &roles[count])};
        count++;
    }
    request.request_joins.joiners_count = count;
    hm_crowd_add(&scale->crowd, count);
    propose(scale, &request);
    for (uint32_t i = 0; i < count; i++) {
        file_event(scale, hm_plant("in_before_commit") ? 1 : COMMIT_MS + delay(scale), DIGEST,
                   batch[i], 0, (struct hm_bytes){0});
    }
    if (scale->waiting_count) {
        scale->flush_at = scale->now + COMMIT_MS; /* the rest goes as another entry */
    }
}

static void begin_join(struct scale *scale, uint32_t number)
{
    struct scale_node *node = &scale->nodes[number];
    node->life = SCALE_JOINING;
    scale->waiting = hm_grow(scale->waiting, scale->waiting_count, &scale->waiting_capacity,
                             sizeof *scale->waiting);
    scale->waiting[scale->waiting_count++] = number;
    if (scale->flush_at == HM_NEVER) {
        scale->flush_at = scale->now + hm_crowd_wait(&scale->crowd, scale->now);
    }
}

void scale_join(struct scale *scale, uint32_t node)
{
    begin_join(scale, node);
}

/* The digest, to a joiner or to one who has lost its way. */
static void digest(struct scale *scale, uint32_t number)
{
    struct scale_node *node = &scale->nodes[number];
    const struct hm_members *members = &view_of(scale)->members;
    uint32_t numbers[HM_RINGS_SLICE_MAX];
    struct hm_peer peers[HM_RINGS_SLICE_MAX];
    struct hm_id id = id_of(number);
    size_t count = hm_rings_slice(&members->rings, &id, numbers);
    for (size_t i = 0; i < count; i++) {
        const struct hm_member *member = hm_members_at(members, numbers[i]);
        peers[i] = (struct hm_peer){member->id, member->addr};
    }
    bool in = hm_members_find(members, &id) != NULL;
    scale->totals.fresh_slices += node->life == SCALE_IN;
    scale->totals.bytes += count * 80 + DATAGRAM_EXTRA;
    node->fresh = false;
    if (!in && !hm_plant("in_before_commit")) {
        if (can_join(node)) {
            begin_join(scale, number);
        }
        return;
    }
    node->life = SCALE_IN;
    node->wake_at = HM_NEVER;
    hm_slice_start(&node->slice, scale->now, view_of(scale)->members_position, members->count - 1,
                   peers, count, true);
    if (number >= SCALE_CONTROLS) {
        hm_feed_start(&node->feed,
                      (struct hm_place){view_of(scale)->epoch, view_of(scale)->members_position});
    }
    watch(scale, node);
    drain(scale, number);
}

static size_t observers(void *context, const struct hm_id *target,
                        bool (*is_live)(void *live_context, const struct hm_id *id),
                        void *live_context, struct hm_peer *out, size_t most)
{
    const struct scale *scale = context;
    const struct hm_members *members = &view_of(scale)->members;
    uint32_t numbers[HM_RINGS_MAX];
    size_t count = hm_rings_observers(&members->rings, target, is_live, live_context, numbers,
                                      most < HM_RINGS_MAX ? most : HM_RINGS_MAX);
    for (size_t i = 0; i < count; i++) {
        const struct hm_member *member = hm_members_at(members, numbers[i]);
        out[i] = (struct hm_peer){member->id, member->addr};
    }
    return count;
}

static size_t controls(void *context, struct hm_peer *out, size_t most)
{
    (void)context;
    for (uint32_t i = 0; i < SCALE_CONTROLS && i < most; i++) {
        out[i] = peer_of(i);
    }
    return SCALE_CONTROLS;
}

static bool member(void *context, const struct hm_id *id, struct hm_peer *out)
{
    const struct scale *scale = context;
    const struct hm_member *found = hm_members_find(&view_of(scale)->members, id);
    if (found) {
        *out = (struct hm_peer){found->id, found->addr};
    }
    return found != NULL;
}

static void tick_control(struct scale *scale)
{
    struct hm_node_ref gone[BATCH_MAX];
    hm_verdict_tick(&scale->verdict, scale->now);
    pump_verdict(scale);
    if (scale->now >= hm_verdict_deadline(&scale->verdict)) {
        uint32_t count = (uint32_t)hm_verdict_gone(&scale->verdict, scale->now, gone, BATCH_MAX);
        if (count) {
            propose(scale,
                    &(struct hm_message){.kind = HM_MSG_request_fail,
                                         .request_fail = {.nodes = gone, .nodes_count = count}});
        }
    }
    if (scale->now >= scale->flush_at) {
        let_in(scale);
    }
}

/* ---- messages ---- */

static void answer_slice(struct scale *scale, uint32_t number, const struct hm_peer *from,
                         const struct hm_slice_ask *ask)
{
    const struct scale_node *node = &scale->nodes[number];
    struct hm_peer peers[HM_RINGS_DEPTH];
    struct hm_member members[HM_RINGS_DEPTH] = {0};
    struct hm_buf bytes = {0};
    struct hm_message tell = {.kind = HM_MSG_slice_tell};
    if (node->slice.position < ask->position || ask->ring >= node->slice.config.rings) {
        return;
    }
    size_t count = hm_slice_beside(&node->slice, ask->ring, ask->forward, peers);
    for (size_t i = 0; i < count; i++) {
        members[i].id = peers[i].id;
        members[i].addr = peers[i].addr;
    }
    tell.slice_tell = (struct hm_slice_tell){.ring = ask->ring,
                                             .forward = ask->forward,
                                             .position = node->slice.position,
                                             .members = members,
                                             .members_count = (uint32_t)count};
    hm_message_encode(&bytes, &tell);
    send(scale, number, from, false, hm_buf_view(&bytes));
    hm_buf_fini(&bytes);
}

static void take(struct scale *scale, uint32_t number, const struct hm_peer *from,
                 const struct hm_message *message)
{
    struct scale_node *node = &scale->nodes[number];
    switch (message->kind) {
    case HM_MSG_suspect:
        if (hm_id_equal(&message->suspect.target, &node->swim.config.self.id)) {
            hm_swim_input(&node->swim, scale->now, from, message);
        } else if (number == 0 && number_of(&from->id) != 0) {
            hm_verdict_input(&scale->verdict, scale->now, from, message);
        } else if (number_of(&from->id) == 0) {
            hm_swim_inquire(&node->swim, scale->now, &message->suspect);
        }
        if (number == 0 && number_of(&message->suspect.by) == 0) {
            hm_verdict_input(&scale->verdict, scale->now, from, message);
        }
        break;
    case HM_MSG_report:
        if (number == 0) {
            hm_verdict_input(&scale->verdict, scale->now, from, message);
        }
        break;
    case HM_MSG_slice_ask:
        answer_slice(scale, number, from, &message->slice_ask);
        break;
    case HM_MSG_slice_tell:
        if (hm_slice_input(&node->slice, scale->now, from, message)) {
            watch(scale, node);
        }
        break;
    case HM_MSG_ping:
    case HM_MSG_ack:
        hm_swim_input(&node->swim, scale->now, from, message);
        hm_feed_peer_place(&node->feed, scale->now, from,
                           message->kind == HM_MSG_ping ? message->ping.members
                                                        : message->ack.members);
        break;
    case HM_MSG_probe_request:
    case HM_MSG_probe_result:
    case HM_MSG_alive:
        hm_swim_input(&node->swim, scale->now, from, message);
        break;
    default:
        hm_feed_input(&node->feed, scale->now, from, message);
        break;
    }
}

static void deliver(struct scale *scale, const struct scale_event *event)
{
    struct scale_node *node = &scale->nodes[event->to];
    struct hm_arena arena = {0};
    struct hm_message message;
    struct hm_reader in = hm_reader_of((struct hm_bytes){event->bytes, event->size});
    if (node->dead || node->life != SCALE_IN) {
        if (node->dead && node->refuses) {
            file_event(scale, delay(scale), REFUSAL, event->from, event->to, (struct hm_bytes){0});
        }
        return;
    }
    struct hm_peer from = peer_of(event->from);
    enum hm_status status = hm_message_decode(&in, &arena, &message);
    HM_ASSERT(status == HM_OK);
    take(scale, event->to, &from, &message);
    hm_arena_fini(&arena);
    if (event->to == 0) {
        pump_verdict(scale);
    }
    drain(scale, event->to);
}

static void fire(struct scale *scale, struct scale_event *event)
{
    struct scale_node *node = &scale->nodes[event->to];
    struct hm_bytes bytes = {event->bytes, event->size};
    if (event->kind != COMMIT && !node->dead && scale->now < node->paused_until) {
        hm_ms at = file_event(scale, node->paused_until - scale->now, event->kind, event->to,
                              event->from, bytes)
                       ->at;
        if (event->kind == WAKE && event->at == node->filed_at) {
            node->filed_at = at;
        }
        return;
    }
    switch (event->kind) {
    case WAKE:
        if (!node->dead && node->life == SCALE_IN && event->at == node->filed_at) {
            wake(scale, event->to);
        }
        break;
    case MESSAGE:
        deliver(scale, event);
        break;
    case REFUSAL:
        if (!node->dead && node->life == SCALE_IN) {
            struct hm_id id = id_of(event->from);
            hm_swim_refused(&node->swim, scale->now, &id);
            drain(scale, event->to);
        }
        break;
    case DIGEST:
        if (!node->dead) {
            digest(scale, event->to);
        }
        break;
    default:
        commit(scale, bytes);
        break;
    }
}

void scale_run(struct scale *scale, hm_ms until)
{
    for (; scale->now < until; scale->now++) {
        size_t moment = scale->now % SCALE_MOMENTS;
        tick_control(scale);
        struct scale_event *event = scale->moments[moment];
        scale->moments[moment] = NULL;
        scale->last[moment] = NULL;
        while (event) {
            struct scale_event *next = event->next;
            fire(scale, event);
            hm_free(event);
            event = next;
        }
    }
}

/* ---- lives ---- */

void scale_kill(struct scale *scale, uint32_t node, bool refuses)
{
    scale->nodes[node].dead = true;
    scale->nodes[node].refuses = refuses;
}

void scale_pause(struct scale *scale, uint32_t node, hm_ms duration)
{
    scale->nodes[node].paused_until = scale->now + duration;
}

void scale_leave(struct scale *scale, uint32_t node)
{
    propose(scale, &(struct hm_message){.kind = HM_MSG_request_leave,
                                        .request_leave = {.id = id_of(node)}});
    scale_kill(scale, node, false);
}

void scale_raise_epoch(struct scale *scale)
{
    struct hm_label role;
    propose(scale, &(struct hm_message){.kind = HM_MSG_request_recover,
                                        .request_recover = {.history = hm_random_id(&scale->random),
                                                            .survivor = member_of(0, &role)}});
}

void scale_send_stale(struct scale *scale, uint32_t to, uint32_t about)
{
    struct hm_buf body = {0};
    struct hm_buf bytes = {0};
    struct hm_place place = hm_feed_place(&scale->nodes[to].feed);
    struct hm_message failed = {.kind = HM_MSG_member_failed};
    struct hm_message message = {.kind = HM_MSG_feed_event};
    failed.member_failed.id = id_of(about);
    hm_message_encode(&body, &failed);
    message.feed_event.event = (struct hm_event){.index = view_of(scale)->index + 1,
                                                 .epoch = place.epoch - 1,
                                                 .members_position = place.position + 1,
                                                 .body = hm_buf_view(&body)};
    hm_message_encode(&bytes, &message);
    file_event(scale, 1, MESSAGE, to, about, hm_buf_view(&bytes));
    hm_buf_fini(&bytes);
    hm_buf_fini(&body);
}

void scale_emit(struct scale *scale)
{
    /* A restart elsewhere: everybody hears of it, no ring changes. */
    struct hm_label role;
    struct hm_joiner joiner = {.member = member_of(scale->count - 1, &role)};
    joiner.member.boot = 2 + scale->now;
    joiner.member.feature = HM_FEATURE_LEVEL + 1 + (uint32_t)scale->now;
    propose(scale, &(struct hm_message){.kind = HM_MSG_request_joins,
                                        .request_joins = {.joiners = &joiner, .joiners_count = 1}});
}

static void commit_now(struct scale *scale, const struct hm_message *request)
{
    struct hm_buf body = {0};
    struct hm_outcome outcome;
    hm_message_encode(&body, request);
    hm_replica_apply(&scale->replica, &(struct hm_log_request){.request = hm_buf_view(&body)}, 0,
                     &outcome);
    hm_buf_fini(&body);
}

static void found(struct scale *scale, uint32_t in)
{
    struct hm_label roles[BATCH_MAX];
    struct hm_joiner joiners[BATCH_MAX];
    struct hm_message request = {.kind = HM_MSG_request_found};
    request.request_found = (struct hm_request_found){
        .cluster = 1, .history = id_of(UINT32_MAX), .founder = member_of(0, roles)};
    commit_now(scale, &request);
    for (uint32_t first = 1; first < in; first += BATCH_MAX) {
        uint32_t count = in - first < BATCH_MAX ? in - first : BATCH_MAX;
        for (uint32_t i = 0; i < count; i++) {
            joiners[i] = (struct hm_joiner){.member = member_of(first + i, &roles[i])};
        }
        request =
            (struct hm_message){.kind = HM_MSG_request_joins,
                                .request_joins = {.joiners = joiners, .joiners_count = count}};
        commit_now(scale, &request);
    }
    scale->published = view_of(scale)->index;
}

void scale_init(struct scale *scale, uint64_t seed, uint32_t count, uint32_t in)
{
    *scale = (struct scale){
        .count = count, .now = 1, .flush_at = HM_NEVER, .delay_min = 1, .delay_max = 3};
    hm_random_init(&scale->random, seed);
    scale->nodes = hm_alloc(count, sizeof *scale->nodes);
    size_t before = scale_heap_bytes();
    scale->state = hm_state_new();
    hm_state_keep_rings(scale->state, 0);
    hm_replica_init(&scale->replica, &hm_state_machine, scale->state);
    found(scale, in);
    scale->state_bytes = scale_heap_bytes() - before;
    hm_verdict_init(&scale->verdict, &(struct hm_verdict_config){.self = id_of(0),
                                                                 .context = scale,
                                                                 .observers = observers,
                                                                 .controls = controls,
                                                                 .member = member});
    struct hm_place place = {view_of(scale)->epoch, view_of(scale)->members_position};
    for (uint32_t i = 0; i < count; i++) {
        struct scale_node *node = &scale->nodes[i];
        uint64_t node_seed = hm_random_u64(&scale->random);
        node->wake_at = HM_NEVER;
        hm_swim_init(&node->swim,
                     &(struct hm_swim_config){.self = peer_of(i), .incarnation = 1ull << 32},
                     node_seed);
        hm_feed_init(
            &node->feed,
            &(struct hm_feed_config){.ring_events = i < SCALE_CONTROLS ? 4096 : RING_EVENTS,
                                     .source = i < SCALE_CONTROLS,
                                     .leap = LEAP_EVENTS},
            node_seed);
        hm_slice_init(&node->slice, &(struct hm_slice_config){.self = id_of(i)}, node_seed);
        if (i < SCALE_CONTROLS) {
            hm_feed_start(&node->feed, place);
        }
        if (i < in) {
            digest(scale, i);
        }
    }
    scale->totals = (struct scale_totals){0};
}

void scale_fini(struct scale *scale)
{
    for (uint32_t i = 0; i < scale->count; i++) {
        hm_swim_fini(&scale->nodes[i].swim);
        hm_feed_fini(&scale->nodes[i].feed);
        hm_slice_fini(&scale->nodes[i].slice);
    }
    for (size_t i = 0; i < SCALE_MOMENTS; i++) {
        for (struct scale_event *event = scale->moments[i]; event;) {
            struct scale_event *next = event->next;
            hm_free(event);
            event = next;
        }
    }
    hm_verdict_fini(&scale->verdict);
    hm_replica_fini(&scale->replica);
    hm_state_free(scale->state);
    hm_free(scale->waiting);
    hm_free(scale->nodes);
}

/* ---- the invariant ---- */

int scale_check(const struct scale *scale, uint32_t node)
{
    const struct hm_slice *slice = &scale->nodes[node].slice;
    const struct hm_members *members = &view_of(scale)->members;
    if (slice->position != view_of(scale)->members_position) {
        return 1;
    }
    for (uint32_t side = 0; side < 2 * slice->config.rings; side++) {
        uint32_t numbers[HM_RINGS_DEPTH];
        struct hm_peer known[HM_RINGS_DEPTH];
        size_t all = hm_rings_beside(&members->rings, side / 2, &slice->config.self, side % 2 == 0,
                                     numbers, HM_RINGS_DEPTH);
        size_t count = hm_slice_beside(slice, side / 2, side % 2 == 0, known);
        for (size_t i = 0; i < count; i++) {
            if (i >= all || !hm_id_equal(&hm_members_at(members, numbers[i])->id, &known[i].id)) {
                return 0;
            }
        }
    }
    return hm_slice_is_whole(slice) ? 2 : 1;
}
