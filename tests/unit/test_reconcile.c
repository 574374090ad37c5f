/* Hosts push their configs to a few consumers, consumers reconcile: all end up with the same. */
#include "core/engine/push.h"
#include "core/engine/reconcile.h"
#include "tests/unit/net.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define CONSUMERS 12u
#define HOSTS     30u
#define NODES     (CONSUMERS + HOSTS) /* consumers first */

struct consumer {
    struct hm_reconcile reconcile;
    struct hm_version applied[NODES];
    bool dead;
};

struct host {
    struct hm_pusher push;
    uint64_t seq;
    unsigned acked; /* notices */
    uint64_t acked_seq;
};

struct world {
    struct net net;
    struct consumer consumers[CONSUMERS];
    struct host hosts[NODES]; /* by node number */
    uint64_t sent[CONSUMERS]; /* pushes to each */
    uint64_t largest;
    uint64_t versions_sent; /* reconcile_versions */
};

static size_t all_consumers_but(size_t except, struct hm_peer out[CONSUMERS])
{
    size_t count = 0;
    for (size_t i = 0; i < CONSUMERS; i++) {
        if (i != except) {
            out[count++] = net_peer(i);
        }
    }
    return count;
}

static struct world *found(uint64_t seed, uint32_t loss_permille, uint32_t fanout)
{
    struct world *world = hm_alloc(1, sizeof *world);
    struct hm_peer peers[CONSUMERS];
    hm_random_init(&world->net.random, seed);
    world->net.now = 1000;
    world->net.loss_permille = loss_permille;
    world->net.duplicate_permille = 20;
    world->net.delay_max_ms = 5;
    for (size_t i = 0; i < CONSUMERS; i++) {
        struct hm_reconcile *reconcile = &world->consumers[i].reconcile;
        hm_reconcile_init(reconcile, hm_random_u64(&world->net.random));
        hm_reconcile_set_peers(reconcile, peers, all_consumers_but(i, peers));
    }
    size_t count = all_consumers_but(CONSUMERS, peers);
    for (size_t i = CONSUMERS; i < NODES; i++) {
        struct hm_pusher *push = &world->hosts[i].push;
        hm_push_init(push, &(struct hm_push_config){.self = net_peer(i).id, .fanout = fanout},
                     hm_random_u64(&world->net.random));
        hm_push_set_consumers(push, world->net.now, 0, peers, count);
    }
    return world;
}

static void end(struct world *world)
{
    for (size_t i = 0; i < CONSUMERS; i++) {
        hm_reconcile_fini(&world->consumers[i].reconcile);
    }
    for (size_t i = CONSUMERS; i < NODES; i++) {
        hm_push_fini(&world->hosts[i].push);
    }
    net_fini(&world->net);
    hm_free(world);
}

static void check_apply(struct consumer *consumer, struct hm_bytes bytes)
{
    struct hm_arena arena = {0};
    struct hm_message message;
    assert_int_equal(hm_message_decode_only(bytes, HM_MSG_push, &arena, &message), HM_OK);
    const struct hm_host_state *state = &message.push.state;
    struct hm_version *applied = &consumer->applied[net_node(&state->host)];
    char expected[64];
    size_t size = (size_t)snprintf(expected, sizeof expected, "%lu of %zu",
                                   (unsigned long)state->version.seq, net_node(&state->host));
    assert_true(state->config.size >= size);
    assert_memory_equal(state->config.data, expected, size);
    assert_true(state->version.boot > applied->boot ||
                (state->version.boot == applied->boot && state->version.seq > applied->seq));
    *applied = state->version;
    hm_arena_fini(&arena);
}

static void drain(struct world *world, size_t i)
{
    struct hm_effect effect;
    while (i < CONSUMERS ? hm_reconcile_output(&world->consumers[i].reconcile, &effect)
                         : hm_push_output(&world->hosts[i].push, &effect)) {
        if (effect.kind == HM_EFFECT_APPLY) {
            check_apply(&world->consumers[i], effect.message);
        } else if (effect.kind == HM_EFFECT_NOTIFY) {
            world->hosts[i].acked++;
            world->hosts[i].acked_seq = effect.number;
        } else {
            size_t to = net_node(&effect.peer.id);
            world->sent[to % CONSUMERS] += i >= CONSUMERS;
            world->versions_sent += effect.message.data[0] == HM_MSG_reconcile_versions;
            world->largest =
                effect.message.size > world->largest ? effect.message.size : world->largest;
            net_send(&world->net, i, to, effect.message);
        }
    }
}

static void run(struct world *world, hm_ms duration)
{
    for (hm_ms end_at = world->net.now + duration; world->net.now < end_at; world->net.now++) {
        hm_ms now = world->net.now;
        size_t from;
        size_t to;
        struct hm_message message;
        while (net_take(&world->net, &from, &to, &message)) {
            struct hm_peer peer = net_peer(from);
            if (to >= CONSUMERS) {
                hm_push_input(&world->hosts[to].push, now, &peer, &message);
            } else if (!world->consumers[to].dead) {
                hm_reconcile_input(&world->consumers[to].reconcile, now, &peer, &message);
            }
            drain(world, to);
        }
        for (size_t i = 0; i < NODES; i++) {
            if (i >= CONSUMERS && hm_push_deadline(&world->hosts[i].push) <= now) {
                hm_push_tick(&world->hosts[i].push, now);
                assert_true(hm_push_deadline(&world->hosts[i].push) > now);
            } else if (i < CONSUMERS && !world->consumers[i].dead &&
                       hm_reconcile_deadline(&world->consumers[i].reconcile) <= now) {
                hm_reconcile_tick(&world->consumers[i].reconcile, now);
                assert_true(hm_reconcile_deadline(&world->consumers[i].reconcile) > now);
            }
            drain(world, i);
        }
    }
}

static void admit(struct world *world, size_t consumer, size_t host)
{
    struct hm_id id = net_peer(host).id;
    hm_reconcile_admit(&world->consumers[consumer].reconcile, world->net.now, &id);
    drain(world, consumer);
}

static void admit_all(struct world *world)
{
    for (size_t i = 0; i < CONSUMERS; i++) {
        for (size_t host = CONSUMERS; host < NODES; host++) {
            admit(world, i, host);
        }
    }
}

/* The config says whose it is and which, so that a mix-up shows. */
static struct hm_host_state state_of(size_t host, uint64_t seq, size_t size, uint8_t *bytes)
{
    memset(bytes, ' ', size);
    int text = snprintf((char *)bytes, size, "%lu of %zu", (unsigned long)seq, host);
    bytes[text] = ' ';
    return (struct hm_host_state){net_peer(host).id, {1, seq}, {bytes, size}};
}

static void publish(struct world *world, size_t host, size_t size)
{
    uint8_t *bytes = hm_alloc(size, 1);
    struct hm_host_state state = state_of(host, ++world->hosts[host].seq, size, bytes);
    assert_int_equal(hm_push_publish(&world->hosts[host].push, world->net.now, &state), HM_OK);
    assert_int_equal(hm_push_publish(&world->hosts[host].push, world->net.now, &state), HM_STALE);
    drain(world, host);
    hm_free(bytes);
}

static void expect_same(const struct world *world)
{
    for (size_t i = 0; i < CONSUMERS; i++) {
        for (size_t host = CONSUMERS; host < NODES && !world->consumers[i].dead; host++) {
            assert_int_equal(world->consumers[i].applied[host].seq, world->hosts[host].seq);
        }
    }
}

static void test_all_converge_with_fanout_1(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        struct world *world = found(seed, 200, 1);
        admit_all(world);
        for (unsigned round = 0; round < 200; round++) {
            publish(world, CONSUMERS + hm_random_below(&world->net.random, HOSTS), 100);
            run(world, 20);
        }
        run(world, 15000);
        expect_same(world);
        world->versions_sent = 0; /* and then nothing but summaries */
        run(world, 5000);
        assert_int_equal(world->versions_sent, 0);
        end(world);
    }
}

static void test_without_loss_it_is_fast(void **state)
{
    (void)state;
    struct world *world = found(1, 0, 2);
    admit_all(world);
    run(world, 3000);
    publish(world, CONSUMERS, 100);
    run(world, 15);
    assert_int_equal(world->hosts[CONSUMERS].acked, 1);
    assert_int_equal(world->hosts[CONSUMERS].acked_seq, 1);
    size_t having = 0;
    for (size_t i = 0; i < CONSUMERS; i++) {
        having += world->consumers[i].applied[CONSUMERS].seq == 1;
    }
    assert_int_equal(having, 2); /* some, not all: no full mesh */
    run(world, 3000);
    expect_same(world);
    end(world);
}

/* More than one message can carry: in pieces of about 256 KiB. */
static void test_newcomer_gets_all_in_pieces(void **state)
{
    (void)state;
    struct world *world = found(2, 0, 2);
    admit_all(world);
    world->consumers[3].dead = true;
    for (size_t host = CONSUMERS; host < NODES; host++) {
        publish(world, host, 40000);
    }
    run(world, 5000);
    expect_same(world);
    world->consumers[3].dead = false;
    run(world, 3000);
    expect_same(world);
    assert_true(world->largest > 200000);
    assert_true(world->largest < HM_RECONCILE_DELTAS_BYTES_MAX + 4096);
    end(world);
}

static void test_dead_consumers_are_passed_over(void **state)
{
    (void)state;
    struct world *world = found(3, 0, 2);
    admit_all(world);
    for (size_t i = 0; i < CONSUMERS; i += 2) {
        world->consumers[i].dead = true;
    }
    for (size_t host = CONSUMERS; host < NODES; host++) {
        publish(world, host, 100);
    }
    run(world, 10000);
    expect_same(world);
    for (size_t host = CONSUMERS; host < NODES; host++) {
        assert_int_equal(world->hosts[host].acked, 1);
    }
    end(world);
}

static void test_hosts_are_spread_evenly(void **state)
{
    (void)state;
    struct world *world = found(4, 0, 2);
    admit_all(world);
    for (size_t host = CONSUMERS; host < NODES; host++) {
        publish(world, host, 100);
    }
    run(world, 200);
    for (size_t i = 0; i < CONSUMERS; i++) { /* 5 on average */
        assert_in_range(world->sent[i], 1, 12);
    }
    end(world);
}

static void test_early_push_is_held(void **state)
{
    (void)state;
    struct world *world = found(5, 0, 2);
    size_t host = CONSUMERS;
    publish(world, host, 100);
    run(world, 5000);
    for (size_t i = 0; i < CONSUMERS; i++) {
        assert_int_equal(world->consumers[i].applied[host].seq, 0);
    }
    assert_int_equal(world->hosts[host].acked, 0);
    world->hosts[host].push.version = (struct hm_version){0}; /* it pushes no more */
    run(world, 100);
    size_t held = 0;
    for (size_t i = 0; i < CONSUMERS; i++) {
        held += world->consumers[i].reconcile.held;
        admit(world, i, host);
    }
    assert_true(held >= 2);
    run(world, 5000);
    expect_same(world);

    world->hosts[host].seq = 0; /* too long before it joins: not held any more */
    publish(world, host + 1, 100);
    run(world, 100);
    world->hosts[host + 1].push.version = (struct hm_version){0};
    run(world, HM_RECONCILE_HOLD_MS + 2000);
    for (size_t i = 0; i < CONSUMERS; i++) {
        assert_int_equal(world->consumers[i].reconcile.held, 0);
        admit(world, i, host + 1);
        assert_int_equal(world->consumers[i].applied[host + 1].seq, 0);
    }
    end(world);
}

static void test_removed_host_is_forgotten_everywhere(void **state)
{
    (void)state;
    struct world *world = found(6, 0, 2);
    admit_all(world);
    publish(world, CONSUMERS, 100);
    publish(world, CONSUMERS + 1, 100);
    run(world, 5000);
    struct hm_id id = net_peer(CONSUMERS).id;
    for (size_t i = 0; i < CONSUMERS; i++) { /* the news reaches them one after the other */
        hm_reconcile_forget(&world->consumers[i].reconcile, &id);
        run(world, 300);
    }
    run(world, HM_RECONCILE_HOLD_MS + 2000);
    for (size_t i = 0; i < CONSUMERS; i++) {
        struct hm_reconcile *reconcile = &world->consumers[i].reconcile;
        assert_int_equal(hm_reconcile_version(reconcile, &id).seq, 0);
        assert_int_equal(reconcile->known, 1);
        assert_int_equal(reconcile->held, 0);
    }
    end(world);
}

static void test_odd_input(void **state)
{
    (void)state;
    struct hm_reconcile reconcile;
    struct hm_peer peer = net_peer(1);
    struct hm_effect effect;
    uint8_t bytes[64];
    hm_reconcile_init(&reconcile, 1);
    struct hm_host_state state_1 = state_of(20, 1, sizeof bytes, bytes);
    struct hm_host_state empty = {state_1.host, {1, 1}, {NULL, 0}};
    struct hm_host_state huge = {
        state_1.host, {1, 9}, {bytes, HM_RECONCILE_CONFIG_BYTES_MAX + (size_t)1}};
    hm_reconcile_admit(&reconcile, 1, &state_1.host);
    assert_int_equal(hm_reconcile_offer(&reconcile, 1, &empty), HM_BAD_ARGUMENT);
    assert_int_equal(hm_reconcile_offer(&reconcile, 1, &huge), HM_TOO_LARGE);
    assert_int_equal(hm_reconcile_offer(&reconcile, 1, &state_1), HM_OK);
    assert_int_equal(hm_reconcile_offer(&reconcile, 1, &state_1), HM_STALE);
    assert_int_equal(hm_reconcile_version(&reconcile, &state_1.host).seq, 1);
    for (size_t host = 100; host < 100 + 2 * HM_RECONCILE_HELD_MAX; host++) { /* of strangers */
        struct hm_host_state other = state_of(host, 1, sizeof bytes, bytes);
        bool fits = host < 100 + HM_RECONCILE_HELD_MAX;
        assert_int_equal(hm_reconcile_offer(&reconcile, 1, &other), fits ? HM_NOT_READY : HM_FULL);
    }
    assert_int_equal(reconcile.held, HM_RECONCILE_HELD_MAX);
    struct hm_host_state strangers[3] = {0};
    struct hm_message message = {.kind = HM_MSG_reconcile_versions};
    message.reconcile_versions.versions = strangers;
    message.reconcile_versions.versions_count = 3;
    size_t before = reconcile.count;
    assert_int_equal(hm_reconcile_input(&reconcile, 1, &peer, &message), HM_OK);
    assert_int_equal(reconcile.count, before);
    message = (struct hm_message){.kind = HM_MSG_ping};
    assert_int_equal(hm_reconcile_input(&reconcile, 1, &peer, &message), HM_BAD_ARGUMENT);
    struct hm_id late = net_peer(100).id; /* joins when it is held too long, before a tick */
    hm_reconcile_admit(&reconcile, 1 + HM_RECONCILE_HOLD_MS, &late);
    assert_int_equal(hm_reconcile_version(&reconcile, &late).seq, 0);
    hm_reconcile_forget(&reconcile, &late);
    hm_reconcile_tick(&reconcile, 1 + HM_RECONCILE_HOLD_MS);
    assert_int_equal(reconcile.held, 0);
    assert_int_equal(reconcile.held_bytes, 0);
    assert_int_equal(reconcile.count, 1);
    while (hm_reconcile_output(&reconcile, &effect)) {
    }
    hm_reconcile_fini(&reconcile);
}

/* One node of two roles, self among the consumers, a consumer that asks. */
static void test_push_to_roles(void **state)
{
    (void)state;
    struct hm_pusher push;
    struct hm_effect effect;
    uint8_t bytes[64];
    struct hm_peer peers[] = {net_peer(1), net_peer(2), net_peer(20)};
    struct hm_host_state own = state_of(20, 1, sizeof bytes, bytes);
    hm_push_init(&push, &(struct hm_push_config){.self = own.host, .fanout = 1}, 1);
    hm_push_pulled(&push, 1, &peers[0]);
    assert_false(hm_push_output(&push, &effect)); /* nothing published yet */
    hm_push_set_consumers(&push, 1, 0, peers, 3);
    hm_push_set_consumers(&push, 1, 1, peers, 3);
    assert_int_equal(hm_push_publish(&push, 1, &own), HM_OK);
    size_t to_self = 0;
    size_t to_others = 0;
    while (hm_push_output(&push, &effect)) {
        to_self += hm_id_equal(&effect.peer.id, &own.host);
        to_others += !hm_id_equal(&effect.peer.id, &own.host);
    }
    assert_int_equal(to_self, 1);
    assert_int_equal(to_others, 1);
    struct hm_message message = {.kind = HM_MSG_pushed};
    message.pushed.host = own.host;
    message.pushed.version = own.version;
    struct hm_peer stranger = net_peer(9);
    assert_int_equal(hm_push_input(&push, 2, &stranger, &message), HM_STALE);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(hm_push_input(&push, 2, &peers[i], &message), HM_OK);
    }
    assert_true(hm_push_output(&push, &effect));
    assert_int_equal(effect.notice, HM_PUSH_ACKED);
    assert_false(hm_push_output(&push, &effect));
    assert_true(hm_push_deadline(&push) == HM_NEVER);
    hm_push_pulled(&push, 3, &peers[0]);
    assert_true(hm_push_output(&push, &effect));
    assert_int_equal(effect.message.data[0], HM_MSG_push);
    hm_push_fini(&push);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_converge_with_fanout_1),
        cmocka_unit_test(test_without_loss_it_is_fast),
        cmocka_unit_test(test_newcomer_gets_all_in_pieces),
        cmocka_unit_test(test_dead_consumers_are_passed_over),
        cmocka_unit_test(test_hosts_are_spread_evenly),
        cmocka_unit_test(test_early_push_is_held),
        cmocka_unit_test(test_removed_host_is_forgotten_everywhere),
        cmocka_unit_test(test_odd_input),
        cmocka_unit_test(test_push_to_roles),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
