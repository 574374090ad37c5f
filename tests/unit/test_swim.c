/* Failure detection on a small network: who is reported, who never is, and how fast. */
#include "core/engine/swim.h"
#include "tests/unit/net.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define NODES   12u
#define WATCHED 4u /* node i watches i+1 .. i+WATCHED */
#define BOOT(n) ((uint64_t)(n) << 32)

struct node {
    struct hm_swim swim;
    bool dead;
    hm_ms paused_until;
    bool refuses;          /* while dead: its kernel answers with ICMP */
    uint32_t out_permille; /* loss of what it sends */
    bool reported[NODES];  /* gone, not taken back */
    uint64_t reported_at[NODES];
    hm_ms gone_at[NODES];
    unsigned gone_count;
    unsigned back_count;
    unsigned alive_count;
    unsigned suspect_count;
};

struct world {
    struct net net;
    struct node nodes[NODES];
    bool leaderless; /* nobody passes suspicions on */
};

static void start(struct world *world, size_t i, uint64_t boot)
{
    struct node *node = &world->nodes[i];
    struct hm_peer subjects[WATCHED];
    struct hm_peer helpers[2 * WATCHED];
    for (size_t j = 0; j < WATCHED; j++) {
        subjects[j] = helpers[j] = net_peer((i + j + 1) % NODES);
        helpers[WATCHED + j] = net_peer((i + NODES - j - 1) % NODES);
    }
    hm_swim_init(&node->swim,
                 &(struct hm_swim_config){.self = net_peer(i), .incarnation = BOOT(boot)},
                 hm_random_u64(&world->net.random));
    hm_swim_watch(&node->swim, world->net.now, subjects, WATCHED);
    hm_swim_set_helpers(&node->swim, helpers, 2 * WATCHED);
    node->dead = false;
}

static struct world *found(uint64_t seed, uint32_t loss_permille)
{
    struct world *world = hm_alloc(1, sizeof *world);
    hm_random_init(&world->net.random, seed);
    world->net.now = 1000;
    world->net.loss_permille = loss_permille;
    world->net.duplicate_permille = 50;
    world->net.delay_max_ms = 4;
    for (size_t i = 0; i < NODES; i++) {
        start(world, i, 1);
    }
    return world;
}

static void end(struct world *world)
{
    for (size_t i = 0; i < NODES; i++) {
        hm_swim_fini(&world->nodes[i].swim);
    }
    net_fini(&world->net);
    hm_free(world);
}

/* What the leader does: all who watch the suspect hear of it. */
static void pass_on(struct world *world, size_t by, const struct hm_effect *effect, bool suspected)
{
    size_t about = net_node(&effect->peer.id);
    struct hm_suspect suspicion = {.target = effect->peer.id,
                                   .target_addr = effect->peer.addr,
                                   .incarnation = effect->number,
                                   .suspected = suspected,
                                   .by = net_peer(by).id};
    for (size_t j = 1; !world->leaderless && j <= WATCHED; j++) {
        size_t observer = (about + NODES - j) % NODES;
        if (observer != by && !world->nodes[observer].dead) {
            hm_swim_inquire(&world->nodes[observer].swim, world->net.now, &suspicion);
        }
    }
}

static void note(struct world *world, struct node *node, const struct hm_effect *effect)
{
    size_t about = net_node(&effect->peer.id);
    size_t self = (size_t)(node - world->nodes);
    switch ((enum hm_swim_notice)effect->notice) {
    case HM_SWIM_GONE:
        if (node->reported[about]) {
            break; /* asked again, it says so again */
        }
        node->reported[about] = true;
        pass_on(world, self, effect, false);
        node->gone_count++;
        node->reported[about] = true;
        node->reported_at[about] = effect->number;
        node->gone_at[about] = world->net.now;
        break;
    case HM_SWIM_WELL:
    case HM_SWIM_BACK:
        node->back_count++;
        node->reported[about] = false;
        break;
    case HM_SWIM_ALIVE:
        node->alive_count++;
        break;
    case HM_SWIM_DOUBT:
        pass_on(world, self, effect, false);
        break;
    case HM_SWIM_SUSPECT:
        pass_on(world, self, effect, true);
        node->suspect_count++;
        break;
    case HM_SWIM_STOPPING:
        break;
    }
}

static void drain(struct world *world, size_t i)
{
    struct node *node = &world->nodes[i];
    struct hm_effect effect;
    while (hm_swim_output(&node->swim, &effect)) {
        if (effect.kind == HM_EFFECT_NOTIFY) {
            note(world, node, &effect);
            continue;
        }
        assert_int_equal(effect.kind, HM_EFFECT_SEND);
        assert_true(effect.message.size < 200);
        if (!hm_random_chance(&world->net.random, node->out_permille)) {
            net_send(&world->net, i, net_node(&effect.peer.id), effect.message);
        }
    }
}

static void deliver(struct world *world)
{
    size_t from;
    size_t to;
    struct hm_message message;
    while (net_take(&world->net, &from, &to, &message)) {
        struct hm_peer peer = net_peer(from);
        struct hm_id id = net_peer(to).id;
        if (!world->nodes[to].dead && world->net.now < world->nodes[to].paused_until) {
            struct hm_buf again = {0};
            uint32_t twice = world->net.duplicate_permille;
            world->net.duplicate_permille = 0;
            hm_message_encode(&again, &message);
            net_send(&world->net, from, to, hm_buf_view(&again));
            world->net.duplicate_permille = twice;
            hm_buf_fini(&again);
        } else if (!world->nodes[to].dead) {
            hm_swim_input(&world->nodes[to].swim, world->net.now, &peer, &message);
            drain(world, to);
        } else if (world->nodes[to].refuses && !world->nodes[from].dead) {
            hm_swim_refused(&world->nodes[from].swim, world->net.now, &id);
            drain(world, from);
        }
    }
}

static void run(struct world *world, hm_ms duration)
{
    for (hm_ms end_at = world->net.now + duration; world->net.now < end_at; world->net.now++) {
        deliver(world);
        for (size_t i = 0; i < NODES; i++) {
            struct node *node = &world->nodes[i];
            if (!node->dead && node->paused_until <= world->net.now &&
                hm_swim_deadline(&node->swim) <= world->net.now) {
                hm_swim_tick(&node->swim, world->net.now);
                drain(world, i);
                assert_true(hm_swim_deadline(&node->swim) > world->net.now);
            }
        }
    }
}

static void kill(struct world *world, size_t i, bool refuses)
{
    world->nodes[i].dead = true;
    world->nodes[i].refuses = refuses;
    hm_swim_fini(&world->nodes[i].swim);
}

/* How many of the living observers of `of` report it. */
static unsigned reports(const struct world *world, size_t of)
{
    unsigned count = 0;
    for (size_t j = 1; j <= WATCHED; j++) {
        const struct node *node = &world->nodes[(of + NODES - j) % NODES];
        count += !node->dead && node->reported[of];
    }
    return count;
}

static unsigned reports_in_all(const struct world *world)
{
    unsigned count = 0;
    for (size_t i = 0; i < NODES; i++) {
        count += world->nodes[i].gone_count;
    }
    return count;
}

static void test_crash_is_reported_by_all(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        struct world *world = found(seed, 0);
        run(world, 5000);
        kill(world, 3, false);
        run(world, 6000);
        assert_int_equal(reports(world, 3), WATCHED);
        assert_int_equal(reports_in_all(world), WATCHED);
        end(world);
    }
}

/* A silent node is reported by three quarters of its observers within two seconds, whenever it fell
 * silent; and who only stalls for less than one is not. */
static void test_silence_is_bounded(void **state)
{
    (void)state;
    hm_ms worst = 0;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct world *world = found(seed, 0);
        run(world, 20000 + 37 * seed);
        hm_ms silent_at = world->net.now;
        kill(world, 3, false);
        run(world, 800);
        assert_int_equal(reports_in_all(world), 0);
        while (reports(world, 3) < WATCHED) {
            run(world, 1);
        }
        worst = world->net.now - silent_at > worst ? world->net.now - silent_at : worst;
        end(world);
    }
    print_message("worst %u ms\n", (unsigned)worst);
    assert_true(worst < 2000);
}

/* Without anybody who passes suspicions on, it takes longer and ends the same. */
static void test_alone_it_takes_longer(void **state)
{
    (void)state;
    struct world *world = found(3, 0);
    world->leaderless = true;
    run(world, 5000);
    kill(world, 3, false);
    run(world, 8000);
    assert_int_equal(reports(world, 3), WATCHED);
    assert_int_equal(reports_in_all(world), WATCHED);
    end(world);
}

/* The subject spreads its observers' probes: never is there a gap of two intervals. */
static void test_probes_are_spread(void **state)
{
    (void)state;
    struct hm_swim swim;
    struct hm_effect effect;
    hm_ms next[6] = {10, 11, 12, 13, 14, 15};
    hm_ms last = 0;
    hm_swim_init(&swim, &(struct hm_swim_config){.self = net_peer(0), .probe_interval_ms = 800}, 1);
    for (hm_ms now = 1; now < 60000; now++) {
        for (size_t i = 0; i < 6; i++) {
            if (next[i] != now) {
                continue;
            }
            struct hm_peer from = net_peer(i + 1);
            struct hm_arena arena = {0};
            struct hm_message message = {.kind = HM_MSG_ping};
            message.ping = (struct hm_ping){.nonce = (uint32_t)now, .wants = 1};
            hm_swim_input(&swim, now, &from, &message);
            assert_true(hm_swim_output(&swim, &effect));
            assert_int_equal(hm_message_decode_only(effect.message, HM_MSG_ack, &arena, &message),
                             HM_OK);
            next[i] = now + message.ack.again_ms + now % 7; /* none is exact */
            assert_true(now < 100 || now - last < 850);
            last = now;
            hm_arena_fini(&arena);
        }
    }
    hm_swim_fini(&swim);
}

/* A process that stood still blames nobody: the answers wait in its queue. And who stands still for
 * less than it takes to be sure is not reported. */
static void test_who_stood_still_blames_nobody(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        struct world *world = found(seed, 0);
        run(world, 5000 + 100 * seed);
        for (unsigned stall = 0; stall < 10; stall++) {
            world->nodes[4].paused_until = world->net.now + 750;
            run(world, 2000);
        }
        assert_int_equal(reports_in_all(world), 0);
        world->nodes[4].paused_until = world->net.now + 5000;
        run(world, 20000);
        assert_int_equal(world->nodes[4].gone_count, 0);
        assert_int_equal(world->nodes[4].suspect_count, 0);
        assert_int_equal(reports(world, 4), 0); /* it refuted in the end */
        end(world);
    }
}

/* The next thing that is sent: its message, and in which form. */
static bool next_sent(struct hm_swim *swim, struct hm_arena *arena, struct hm_message *out)
{
    struct hm_effect effect;
    do {
        assert_true(hm_swim_output(swim, &effect));
    } while (effect.kind != HM_EFFECT_SEND);
    struct hm_reader in = hm_reader_of(effect.message);
    assert_int_equal(hm_message_decode(&in, arena, out), HM_OK);
    return effect.brief;
}

static void test_guests_come_and_go(void **state)
{
    (void)state;
    struct hm_swim swim;
    struct hm_effect effect;
    struct hm_peer peer = net_peer(5);
    hm_swim_init(&swim, &(struct hm_swim_config){.self = net_peer(0), .incarnation = BOOT(3)}, 1);
    struct hm_suspect about = {.target = peer.id, .target_addr = peer.addr, .incarnation = BOOT(1)};
    hm_swim_inquire(&swim, 100, &about);
    assert_int_equal(hm_swim_state(&swim, &peer.id), HM_SWIM_STATE_ALIVE);
    hm_swim_tick(&swim, 100);
    assert_true(hm_swim_output(&swim, &effect)); /* it is probed at once */
    bool gone = false;
    for (hm_ms now = 101; now < 9000 && !gone; now += 10) {
        hm_swim_tick(&swim, now);
        while (hm_swim_output(&swim, &effect)) {
            gone = gone || (effect.kind == HM_EFFECT_NOTIFY && effect.notice == HM_SWIM_GONE);
        }
    }
    assert_true(gone);
    for (hm_ms now = 9000; now < 12000; now += 10) {
        hm_swim_tick(&swim, now);
        while (hm_swim_output(&swim, &effect)) {
        }
    }
    assert_int_equal(swim.count, 0);
    about.target = net_peer(0).id; /* ourselves, or nowhere */
    hm_swim_inquire(&swim, 13000, &about);
    about = (struct hm_suspect){.target = peer.id};
    hm_swim_inquire(&swim, 13000, &about);
    assert_int_equal(swim.count, 0);
    hm_swim_fini(&swim);
}

/* A node that was only asked about, answered, and is of the slice then: it has turns, and learns by
 * the first how far we are. */
static void test_a_guest_that_becomes_a_subject_has_its_turn(void **state)
{
    (void)state;
    struct hm_swim swim;
    struct hm_arena arena = {0};
    struct hm_message ping;
    struct hm_effect effect;
    struct hm_peer peer = net_peer(5);
    hm_swim_init(&swim, &(struct hm_swim_config){.self = net_peer(0), .incarnation = BOOT(3)}, 1);
    struct hm_suspect about = {.target = peer.id, .target_addr = peer.addr, .incarnation = BOOT(1)};
    hm_swim_inquire(&swim, 100, &about);
    hm_swim_tick(&swim, 100);
    next_sent(&swim, &arena, &ping);
    struct hm_message ack = {.kind = HM_MSG_ack,
                             .ack = {.nonce = ping.ping.nonce, .incarnation = BOOT(1)}};
    assert_int_equal(hm_swim_input(&swim, 101, &peer, &ack), HM_OK);
    while (hm_swim_output(&swim, &effect)) {
    }
    hm_swim_watch(&swim, 200, &peer, 1);
    hm_ms first = hm_swim_deadline(&swim);
    assert_in_range(first, 200, 200 + 800); /* one interval */
    hm_swim_tick(&swim, first);
    next_sent(&swim, &arena, &ping);
    assert_int_equal(ping.kind, HM_MSG_ping);
    hm_arena_fini(&arena);
    hm_swim_fini(&swim);
}

/* Whom this node needs is watched for as long as it says so, and what was found of it is kept. */
static void test_who_is_attended_stays_watched(void **state)
{
    (void)state;
    struct hm_swim swim;
    struct hm_effect effect;
    struct hm_peer peer = net_peer(5);
    hm_swim_init(&swim, &(struct hm_swim_config){.self = net_peer(0), .incarnation = BOOT(3)}, 1);
    size_t gone = 0;
    size_t pings = 0;
    for (hm_ms now = 100; now < 60000; now += 10) {
        if (now % 5000 == 100) {
            hm_swim_attend(&swim, now, &peer);
        }
        hm_swim_tick(&swim, now);
        while (hm_swim_output(&swim, &effect)) {
            gone += effect.kind == HM_EFFECT_NOTIFY && effect.notice == HM_SWIM_GONE;
            pings += gone && effect.kind == HM_EFFECT_SEND;
        }
        assert_true(now < 5000 || hm_swim_state(&swim, &peer.id) == HM_SWIM_STATE_GONE);
    }
    assert_int_equal(gone, 1);
    assert_in_range(pings, 11, 24); /* a ping and a suspicion that it may refute, each time */
    for (hm_ms now = 60000; now < 71000; now += 10) {
        hm_swim_tick(&swim, now);
    }
    assert_int_equal(swim.count, 0);
    hm_swim_fini(&swim);
}

static void test_refusals_are_fast(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        struct world *world = found(seed, 0);
        run(world, 5000);
        hm_ms killed_at = world->net.now;
        kill(world, 3, true);
        run(world, 6000);
        assert_int_equal(reports(world, 3), WATCHED);
        assert_int_equal(reports_in_all(world), WATCHED);
        for (size_t i = 0; i < NODES; i++) { /* the first to notice tells the others */
            if (world->nodes[i].reported[3]) {
                assert_true(world->nodes[i].gone_at[3] - killed_at < 2000);
            }
        }
        end(world);
    }
}

static void test_healthy_under_loss_is_never_reported(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        struct world *world = found(seed, 200);
        run(world, 120000);
        assert_int_equal(reports_in_all(world), 0);
        kill(world, 5, false);
        run(world, 12000);
        assert_int_equal(reports(world, 5), WATCHED);
        end(world);
    }
}

/* Node 2 hears everything but nine tenths of what it says are lost: each refutation gets through
 * sooner or later, the report stands all the same; when the loss ends it is taken back. */
static void test_one_way_loss(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        struct world *world = found(seed, 0);
        run(world, 5000);
        world->nodes[2].out_permille = 900;
        run(world, 60000);
        assert_true(reports(world, 2) >= WATCHED - 1);
        world->nodes[2].out_permille = 0;
        run(world, 60000);
        assert_int_equal(reports(world, 2), 0);
        for (size_t i = 0; i < NODES; i++) {
            for (size_t j = 0; j < NODES; j++) {
                assert_true(!world->nodes[i].reported[j] || i == 2);
            }
        }
        end(world);
    }
}

static void tell_stopping(struct world *world, size_t who)
{
    struct hm_message message = {.kind = HM_MSG_stopping};
    struct hm_peer self = net_peer(who);
    message.stopping.incarnation = hm_swim_incarnation(&world->nodes[who].swim, &self.id);
    for (size_t j = 1; j <= WATCHED; j++) {
        size_t observer = (who + NODES - j) % NODES;
        hm_swim_input(&world->nodes[observer].swim, world->net.now, &self, &message);
        assert_int_equal(hm_swim_state(&world->nodes[observer].swim, &self.id),
                         HM_SWIM_STATE_STOPPING);
        drain(world, observer);
    }
}

static void test_stopping_refused_keeps_the_grace(void **state)
{
    (void)state;
    struct world *world = found(4, 0);
    run(world, 5000);
    tell_stopping(world, 7);
    kill(world, 7, true);
    run(world, 25000);
    assert_int_equal(reports_in_all(world), 0);
    start(world, 7, 2);
    run(world, 8000);
    assert_int_equal(reports_in_all(world), 0);
    struct hm_id id = net_peer(7).id;
    assert_int_equal(hm_swim_state(&world->nodes[6].swim, &id), HM_SWIM_STATE_ALIVE);
    assert_true(hm_swim_incarnation(&world->nodes[6].swim, &id) == BOOT(2));

    tell_stopping(world, 7); /* and this time it does not come back */
    kill(world, 7, true);
    run(world, 29000);
    assert_int_equal(reports_in_all(world), 0);
    run(world, 5000);
    assert_int_equal(reports(world, 7), WATCHED);
    end(world);
}

static void test_stopping_silent_is_short(void **state)
{
    (void)state;
    struct world *world = found(5, 0);
    run(world, 5000);
    tell_stopping(world, 7);
    kill(world, 7, false);
    run(world, 1900);
    assert_int_equal(reports_in_all(world), 0);
    run(world, 5000);
    assert_int_equal(reports(world, 7), WATCHED);
    end(world);
}

static void test_report_is_taken_back(void **state)
{
    (void)state;
    struct world *world = found(6, 0);
    run(world, 5000);
    kill(world, 9, true);
    run(world, 5000);
    assert_int_equal(reports(world, 9), WATCHED);
    start(world, 9, 2);
    run(world, 8000);
    assert_int_equal(reports(world, 9), 0);
    end(world);
}

static void test_forged_refusals_do_not_vote(void **state)
{
    (void)state;
    struct world *world = found(7, 0);
    struct hm_id id = net_peer(1).id;
    run(world, 5000);
    for (unsigned i = 0; i < 1000; i++) { /* more than one for each ping that is out */
        hm_swim_refused(&world->nodes[0].swim, world->net.now, &id);
        drain(world, 0);
        run(world, 1);
    }
    assert_int_equal(reports_in_all(world), 0);
    end(world);
}

/* What strangers and confused members send changes nothing and grows nothing. */
static void test_odd_input(void **state)
{
    (void)state;
    struct hm_swim swim;
    struct hm_peer subject = net_peer(1);
    struct hm_peer stranger = net_peer(2);
    struct hm_effect effect;
    hm_swim_init(&swim, &(struct hm_swim_config){.self = net_peer(0), .incarnation = BOOT(3)}, 1);
    hm_swim_watch(&swim, 1, &subject, 1);
    struct hm_message message = {.kind = HM_MSG_suspect};
    message.suspect.target = stranger.id;
    assert_int_equal(hm_swim_input(&swim, 1, &stranger, &message), HM_NOT_FOUND);
    message = (struct hm_message){.kind = HM_MSG_ack};
    assert_int_equal(hm_swim_input(&swim, 1, &subject, &message), HM_STALE);
    message = (struct hm_message){.kind = HM_MSG_stopping};
    assert_int_equal(hm_swim_input(&swim, 1, &stranger, &message), HM_NOT_FOUND);
    message = (struct hm_message){.kind = HM_MSG_feed_quiet};
    assert_int_equal(hm_swim_input(&swim, 1, &subject, &message), HM_BAD_ARGUMENT);
    message = (struct hm_message){.kind = HM_MSG_suspect}; /* of a boot that never was */
    message.suspect.target = net_peer(0).id;
    message.suspect.incarnation = UINT64_MAX;
    assert_int_equal(hm_swim_input(&swim, 1, &stranger, &message), HM_STALE);
    assert_true(hm_swim_incarnation(&swim, &message.suspect.target) == BOOT(3));
    assert_false(hm_swim_output(&swim, &effect));

    message = (struct hm_message){.kind = HM_MSG_probe_request};
    message.probe_request.target = subject.id;
    message.probe_request.target_addr = subject.addr;
    for (unsigned i = 0; i < 2 * HM_SWIM_ERRANDS_EACH; i++) {
        bool fits = i < HM_SWIM_ERRANDS_EACH;
        assert_int_equal(hm_swim_input(&swim, 1, &stranger, &message), fits ? HM_OK : HM_FULL);
    }
    for (size_t i = 2; i < 60; i++) {
        struct hm_peer asker = net_peer(i);
        hm_swim_input(&swim, 1, &asker, &message);
    }
    assert_int_equal(swim.errand_count, HM_SWIM_ERRANDS_MAX);
    for (hm_ms now = 1; now < 1000; now += 10) {
        hm_swim_tick(&swim, now);
    }
    assert_int_equal(swim.errand_count, 0);
    hm_swim_fini(&swim);
}

static void test_places_travel(void **state)
{
    (void)state;
    struct hm_swim swim;
    struct hm_peer peer = net_peer(1);
    struct hm_effect effect;
    struct hm_arena arena = {0};
    hm_swim_init(&swim, &(struct hm_swim_config){.self = net_peer(0), .incarnation = BOOT(3)}, 1);
    hm_swim_set_places(&swim, (struct hm_place){1, 5}, (struct hm_place){1, 9});
    struct hm_message message = {.kind = HM_MSG_ping};
    message.ping.nonce = 77;
    assert_int_equal(hm_swim_input(&swim, 1, &peer, &message), HM_OK);
    assert_true(hm_swim_output(&swim, &effect));
    assert_int_equal(hm_message_decode_only(effect.message, HM_MSG_ack, &arena, &message), HM_OK);
    assert_int_equal(message.ack.nonce, 77);
    assert_int_equal(message.ack.members.position, 5);
    assert_int_equal(message.ack.state.position, 9);
    assert_true(hm_swim_deadline(&swim) == HM_NEVER);
    hm_arena_fini(&arena);
    hm_swim_fini(&swim);
}

/* Frames are brief between two that have heard each other; whoever does not answer such a one is
 * asked in full, and answers so. */
static void test_brief_to_those_who_know_us(void **state)
{
    (void)state;
    struct hm_swim swim;
    struct hm_peer peer = net_peer(1);
    struct hm_arena arena = {0};
    struct hm_message ping;
    struct hm_message ack = {.kind = HM_MSG_ack};
    hm_swim_init(&swim, &(struct hm_swim_config){.self = net_peer(0), .incarnation = BOOT(1)}, 1);
    hm_swim_watch(&swim, 1, &peer, 1);
    for (unsigned round = 0; round < 3; round++) {
        bool answers_at_once = round != 1;
        hm_ms now = hm_swim_deadline(&swim);
        hm_swim_tick(&swim, now);
        assert_int_equal(next_sent(&swim, &arena, &ping), round > 0); /* the first is in full */
        assert_int_equal(ping.kind, HM_MSG_ping);
        assert_int_equal(ping.ping.wants, round > 0 ? 1 : 3);
        if (!answers_at_once) {
            uint32_t nonce = ping.ping.nonce;
            hm_swim_tick(&swim, now = hm_swim_deadline(&swim));
            assert_false(next_sent(&swim, &arena, &ping));
            assert_int_equal(ping.ping.nonce, nonce);
            assert_int_equal(ping.ping.wants, 3);
        }
        ack.ack = (struct hm_ack){.nonce = ping.ping.nonce, .incarnation = BOOT(1)};
        assert_int_equal(hm_swim_input(&swim, now + 1, &peer, &ack), HM_OK);
        /* The other way round: the answer is as the question was. */
        assert_int_equal(hm_swim_input(&swim, now + 1, &peer, &ping), HM_OK);
        assert_int_equal(next_sent(&swim, &arena, &ack), !(ping.ping.wants & 2));
        assert_int_equal(ack.kind, HM_MSG_ack);
    }
    /* A request by somebody else brings us to one that may never have heard of us. */
    struct hm_peer asker = net_peer(2);
    struct hm_message request = {.kind = HM_MSG_probe_request};
    request.probe_request = (struct hm_probe_request){1, peer.id, peer.addr};
    assert_int_equal(hm_swim_input(&swim, 20000, &asker, &request), HM_OK);
    assert_false(next_sent(&swim, &arena, &ping));
    assert_int_equal(ping.ping.wants, 2);
    hm_arena_fini(&arena);
    hm_swim_fini(&swim);
}

/* A subject that stays keeps what is known of it; one that goes is forgotten. */
static void test_watch_keeps_state(void **state)
{
    (void)state;
    struct world *world = found(8, 0);
    run(world, 5000);
    kill(world, 1, true);
    run(world, 4000);
    struct hm_peer subjects[] = {net_peer(1), net_peer(8)};
    struct hm_swim *swim = &world->nodes[0].swim;
    assert_true(world->nodes[0].reported[1]);
    hm_swim_watch(swim, world->net.now, subjects, 2);
    assert_int_equal(hm_swim_state(swim, &subjects[0].id), HM_SWIM_STATE_GONE);
    assert_int_equal(hm_swim_state(swim, &subjects[1].id), HM_SWIM_STATE_ALIVE);
    hm_swim_watch(swim, world->net.now, subjects + 1, 1);
    assert_int_equal(hm_swim_state(swim, &subjects[0].id), HM_SWIM_STATE_UNKNOWN);
    end(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_crash_is_reported_by_all),
        cmocka_unit_test(test_silence_is_bounded),
        cmocka_unit_test(test_alone_it_takes_longer),
        cmocka_unit_test(test_probes_are_spread),
        cmocka_unit_test(test_who_stood_still_blames_nobody),
        cmocka_unit_test(test_guests_come_and_go),
        cmocka_unit_test(test_a_guest_that_becomes_a_subject_has_its_turn),
        cmocka_unit_test(test_who_is_attended_stays_watched),
        cmocka_unit_test(test_refusals_are_fast),
        cmocka_unit_test(test_healthy_under_loss_is_never_reported),
        cmocka_unit_test(test_one_way_loss),
        cmocka_unit_test(test_stopping_refused_keeps_the_grace),
        cmocka_unit_test(test_stopping_silent_is_short),
        cmocka_unit_test(test_report_is_taken_back),
        cmocka_unit_test(test_forged_refusals_do_not_vote),
        cmocka_unit_test(test_odd_input),
        cmocka_unit_test(test_places_travel),
        cmocka_unit_test(test_brief_to_those_who_know_us),
        cmocka_unit_test(test_watch_keeps_state),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
