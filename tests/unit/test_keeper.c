/* Lite hosts and those who keep them, in virtual time: sessions of hivemind-lite, keeper engines
 * and the state machine, over a network that loses and repeats. Pushes reach all keepers after a
 * while, as reconciliation brings them; events reach each in order, when they do. */
#include "core/engine/keeper.h"
#include "core/log/replica.h"
#include "core/state/state.h"
#include "lite/session.h"
#include "tests/unit/net.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define KEEPERS     5u
#define LITES       12u
#define NODES       (KEEPERS + LITES) /* keepers first */
#define INTERVAL_MS 1000u
#define LEASE_MS    (3 * INTERVAL_MS)
#define CALM_MS     8000u /* the best keeper is spoken to again, and leases of old are over */
#define REQUESTS    4096u

struct keeper {
    struct hm_keeper engine;
    uint64_t index; /* of the last event that it has seen */
    bool dead;
    bool served[LITES];
    bool recorded[LITES];
    struct hm_version seen[LITES];
};

struct lite {
    struct lite_session session;
    bool dead;
    bool withdrawn;
    bool settled; /* was served by all once */
};

/* A request on its way into the log, or, once applied, its answer on the way back. */
struct request {
    hm_ms at;
    size_t keeper;
    struct hm_buf body;
    bool applied;
    struct hm_outcome outcome;
};

struct world {
    struct net net;
    struct hm_state *state;
    struct hm_replica replica; /* in which it stands, as in a log */
    struct keeper keepers[KEEPERS];
    struct lite lites[LITES];
    struct hm_host_state best[LITES]; /* highest pushed; config: static or empty */
    bool best_ended[LITES];
    struct hm_buf config;
    struct request requests[REQUESTS];
    size_t request_count;
    bool quorum;
    uint64_t seq;
    size_t outages; /* looks at which a settled living lite host was not served somewhere */
};

static bool is_above(const struct hm_version *a, const struct hm_version *b)
{
    return a->boot != b->boot ? a->boot > b->boot : a->seq > b->seq;
}

static size_t lite_of(const struct hm_id *id)
{
    size_t node = net_node(id);
    assert_in_range(node, KEEPERS, NODES - 1);
    return node - KEEPERS;
}

/* ---- the log ---- */

static struct hm_outcome apply(struct world *world, size_t keeper, struct hm_bytes request)
{
    struct hm_outcome outcome;
    struct hm_log_request entry = {.session = net_peer(keeper).id,
                                   .seq = ++world->seq,
                                   .time_ms = world->net.now,
                                   .request = request};
    hm_replica_apply(&world->replica, &entry, 0, &outcome);
    return outcome;
}

static void apply_message(struct world *world, size_t keeper, const struct hm_message *message)
{
    struct hm_buf body = {0};
    hm_message_encode(&body, message);
    assert_int_equal(apply(world, keeper, hm_buf_view(&body)).status, HM_OK);
    hm_buf_fini(&body);
}

static struct hm_member member_of(size_t keeper)
{
    struct hm_member member = {.id = net_peer(keeper).id,
                               .addr = net_peer(keeper).addr,
                               .boot = 1,
                               .feeds = 3,
                               .feature = HM_FEATURE_LEVEL};
    char name[16];
    snprintf(name, sizeof name, "k%zu", keeper);
    member.name = hm_name_of(name);
    return member;
}

static void refresh_candidates(struct world *world, struct keeper *keeper)
{
    struct hm_peer peers[KEEPERS];
    size_t count = 0;
    const struct hm_members *members = &hm_state_view(world->state)->members;
    for (size_t i = 0; i < members->count; i++) {
        peers[count++] = (struct hm_peer){members->items[i]->id, members->items[i]->addr};
    }
    hm_keeper_set_candidates(&keeper->engine, world->net.now, peers, count);
}

static void see_event(struct world *world, struct keeper *keeper, const struct hm_event *event)
{
    struct hm_arena arena = {0};
    struct hm_message body;
    struct hm_reader in = hm_reader_of(event->body);
    assert_int_equal(hm_message_decode(&in, &arena, &body), HM_OK);
    if (body.kind == HM_MSG_lite_kept) {
        size_t lite = lite_of(&body.lite_kept.lite.id);
        const struct hm_version *version = &body.lite_kept.state.version;
        keeper->recorded[lite] = true;
        if (is_above(version, &keeper->seen[lite])) {
            keeper->seen[lite] = *version;
            keeper->served[lite] = true;
        }
        hm_keeper_recorded(&keeper->engine, world->net.now, &body.lite_kept.lite, version);
    } else if (body.kind == HM_MSG_lite_gone) {
        size_t lite = lite_of(&body.lite_gone.id);
        keeper->recorded[lite] = keeper->served[lite] = false;
        keeper->seen[lite] = (struct hm_version){0, 0};
        hm_keeper_gone(&keeper->engine, world->net.now, &body.lite_gone.id);
    } else if (body.kind == HM_MSG_member_joined || body.kind == HM_MSG_member_failed) {
        refresh_candidates(world, keeper);
    }
    hm_arena_fini(&arena);
}

static void see_events(struct world *world, struct keeper *keeper)
{
    uint64_t newest = hm_state_view(world->state)->index;
    while (keeper->index < newest && hm_random_chance(&world->net.random, 700)) {
        see_event(world, keeper, hm_state_event(world->state, ++keeper->index));
    }
}

static void answer(struct world *world, const struct request *request)
{
    struct hm_arena arena = {0};
    struct hm_message body;
    struct hm_reader in = hm_reader_of(hm_buf_view(&request->body));
    struct keeper *keeper = &world->keepers[request->keeper];
    assert_int_equal(hm_message_decode(&in, &arena, &body), HM_OK);
    bool keep = body.kind == HM_MSG_request_keep;
    if (!keeper->dead) {
        hm_keeper_submitted(&keeper->engine, world->net.now,
                            keep ? &body.request_keep.lite.id : &body.request_lapse.id,
                            keep ? &body.request_keep.state.version : &body.request_lapse.version,
                            request->outcome.status, hm_bytes_of_text(request->outcome.reason));
    }
    hm_arena_fini(&arena);
}

/* What is no host any more is no matter of reconciliation: its versions may begin anew. */
static void forget_if_gone(struct world *world, const struct hm_outcome *outcome)
{
    struct hm_arena arena = {0};
    struct hm_message body;
    uint64_t newest = hm_state_view(world->state)->index;
    for (uint64_t i = newest - outcome->events + 1; i <= newest; i++) {
        if (hm_message_decode_only(hm_state_event(world->state, i)->body, HM_MSG_lite_gone, &arena,
                                   &body) == HM_OK) {
            world->best[lite_of(&body.lite_gone.id)].version = (struct hm_version){0, 0};
        }
    }
    hm_arena_fini(&arena);
}

static void run_log(struct world *world)
{
    for (size_t i = 0; i < world->request_count; i++) {
        struct request *request = &world->requests[i];
        if (world->net.now < request->at || (!request->applied && !world->quorum)) {
            continue;
        }
        if (!request->applied) {
            request->applied = true;
            request->outcome = apply(world, request->keeper, hm_buf_view(&request->body));
            forget_if_gone(world, &request->outcome);
            request->at = world->net.now + 1 + hm_random_below(&world->net.random, 20);
            continue;
        }
        struct request done = *request;
        memmove(request, request + 1, (world->request_count - i - 1) * sizeof *request);
        world->request_count--;
        i--;
        answer(world, &done);
        hm_buf_fini(&done.body);
    }
}

/* ---- keepers ---- */

static void take_effect(struct world *world, size_t number, const struct hm_effect *effect)
{
    struct hm_arena arena = {0};
    struct hm_message message;
    struct hm_reader in = hm_reader_of(effect->message);
    struct hm_id id = effect->peer.id;
    if (effect->kind == HM_EFFECT_SEND) {
        net_send(&world->net, number, (size_t)effect->peer.addr.port - 1, effect->message);
    } else if (effect->kind == HM_EFFECT_NOTIFY && effect->notice == HM_KEEPER_ADOPT) {
        struct keeper *keeper = &world->keepers[number];
        struct hm_host_state state = {.host = id};
        (void)hm_view_host(hm_state_view(world->state), &id, &arena, &state); /* else it is gone */
        struct hm_version committed = state.version;
        if (is_above(&keeper->seen[lite_of(&id)], &state.version)) {
            state.version = keeper->seen[lite_of(&id)];
        }
        hm_keeper_adopt(&keeper->engine, world->net.now, &state, &committed);
    } else if (effect->kind == HM_EFFECT_APPLY) {
        assert_int_equal(hm_message_decode(&in, &arena, &message), HM_OK);
        if (message.kind == HM_MSG_push) {
            size_t lite = lite_of(&id);
            struct hm_message config;
            assert_int_equal(hm_message_decode_only(message.push.state.config, HM_MSG_host_config,
                                                    &arena, &config),
                             HM_OK);
            if (is_above(&message.push.state.version, &world->best[lite].version)) {
                world->best[lite] =
                    (struct hm_host_state){.host = id, .version = message.push.state.version};
                world->best_ended[lite] = config.host_config.addresses_count == 0;
                assert_int_equal(world->best_ended[lite], message.push.state.version.seq & 1);
            }
        } else {
            assert_true(world->request_count < REQUESTS);
            struct request *request = &world->requests[world->request_count++];
            *request =
                (struct request){.at = world->net.now + 1 + hm_random_below(&world->net.random, 30),
                                 .keeper = number};
            hm_buf_append(&request->body, effect->message.data, effect->message.size);
        }
    }
    hm_arena_fini(&arena);
}

static void drain(struct world *world, size_t number)
{
    struct hm_effect effect;
    while (hm_keeper_output(&world->keepers[number].engine, &effect)) {
        struct hm_effect copy = effect;
        copy.message = hm_bytes_copy(effect.message);
        take_effect(world, number, &copy);
        hm_bytes_free(copy.message);
    }
}

static void see_pushes(struct world *world, struct keeper *keeper)
{
    for (size_t i = 0; i < LITES; i++) {
        if (keeper->recorded[i] && is_above(&world->best[i].version, &keeper->seen[i]) &&
            hm_random_chance(&world->net.random, 100)) {
            keeper->seen[i] = world->best[i].version;
            keeper->served[i] = !world->best_ended[i];
            hm_keeper_pushed(&keeper->engine, world->net.now, &world->best[i]);
        }
    }
}

static void start_keeper(struct world *world, size_t number)
{
    struct keeper *keeper = &world->keepers[number];
    struct hm_id id = net_peer(number).id;
    *keeper = (struct keeper){0};
    hm_keeper_init(&keeper->engine, &id, hm_random_u64(&world->net.random));
    hm_keeper_set_cluster(&keeper->engine, 7);
    refresh_candidates(world, keeper);
}

static void kill_keeper(struct world *world, size_t number)
{
    world->keepers[number].dead = true;
    hm_keeper_fini(&world->keepers[number].engine);
}

/* ---- lite hosts ---- */

static void start_lite(struct world *world, size_t number, uint64_t boot)
{
    struct lite *lite = &world->lites[number];
    char name[16];
    snprintf(name, sizeof name, "lite-%zu", number);
    *lite = (struct lite){.session = {.id = net_peer(KEEPERS + number).id,
                                      .name = hm_name_of(name),
                                      .version = {boot, 2},
                                      .config = hm_buf_view(&world->config),
                                      .interval_ms = INTERVAL_MS}};
    struct hm_addr joins[] = {net_peer(number % KEEPERS).addr,
                              net_peer((number + 1) % KEEPERS).addr};
    lite_session_set_joins(&lite->session, joins, 2);
    lite_session_start(&lite->session, world->net.now);
}

static void tick_lite(struct world *world, size_t number)
{
    struct lite *lite = &world->lites[number];
    struct hm_buf payload = {0};
    enum lite_news news;
    if (lite_session_tick(&lite->session, world->net.now, &payload, &news)) {
        size_t to = (size_t)lite->session.current.port - 1;
        assert_true(payload.size <= HM_WIRE_DATAGRAM_BYTES_MAX);
        assert_in_range(to, 0, KEEPERS - 1);
        net_send(&world->net, KEEPERS + number, to,
                 (struct hm_bytes){payload.data + 17, payload.size - 17});
    }
    lite->withdrawn = lite->withdrawn || news == LITE_ABANDONED;
    hm_buf_fini(&payload);
}

static void lite_receives(struct world *world, size_t number, const struct hm_message *message)
{
    struct hm_buf payload = {0};
    hm_buf_append(&payload, (const uint8_t[17]){0}, 17);
    hm_message_encode(&payload, message);
    enum lite_news news =
        lite_session_receive(&world->lites[number].session, world->net.now, hm_buf_view(&payload));
    assert_true(news != LITE_REFUSED);
    world->lites[number].withdrawn |= news == LITE_WITHDRAWN;
    hm_buf_fini(&payload);
}

/* ---- time ---- */

static void look(struct world *world)
{
    for (size_t i = 0; i < LITES; i++) {
        struct lite *lite = &world->lites[i];
        bool all = true;
        for (size_t j = 0; j < KEEPERS; j++) {
            all = all && (world->keepers[j].dead || world->keepers[j].served[i]);
        }
        if (lite->dead || lite->withdrawn || lite->session.withdrawing) {
            lite->settled = false;
        } else if (all) {
            lite->settled = true;
        } else {
            world->outages += lite->settled;
        }
    }
}

static void step(struct world *world)
{
    struct hm_message message;
    size_t from;
    size_t to;
    world->net.now++;
    while (net_take(&world->net, &from, &to, &message)) {
        if (to >= KEEPERS && !world->lites[to - KEEPERS].dead) {
            lite_receives(world, to - KEEPERS, &message);
        } else if (to < KEEPERS && !world->keepers[to].dead) {
            struct hm_peer peer = net_peer(from);
            (void)hm_keeper_input(&world->keepers[to].engine, world->net.now, &peer, &message);
        } else if (to < KEEPERS && !world->lites[from - KEEPERS].dead) {
            lite_session_unreachable(&world->lites[from - KEEPERS].session, world->net.now);
        }
    }
    for (size_t i = 0; i < LITES; i++) {
        if (!world->lites[i].dead && !world->lites[i].withdrawn) {
            tick_lite(world, i);
        }
    }
    run_log(world);
    for (size_t i = 0; i < KEEPERS; i++) {
        struct keeper *keeper = &world->keepers[i];
        if (!keeper->dead) {
            see_events(world, keeper);
            see_pushes(world, keeper);
            hm_keeper_tick(&keeper->engine, world->net.now);
            drain(world, i);
        }
    }
    look(world);
}

static void run_for(struct world *world, hm_ms duration)
{
    for (hm_ms end = world->net.now + duration; world->net.now < end;) {
        step(world);
    }
}

static struct world *found(uint64_t seed, uint32_t loss_permille)
{
    struct world *world = hm_alloc(1, sizeof *world);
    static struct hm_service web;
    web = (struct hm_service){.name = hm_name_of("web"), .port = 80, .weight = 100};
    hm_random_init(&world->net.random, seed);
    world->net.now = 1000;
    world->net.loss_permille = loss_permille;
    world->net.duplicate_permille = 50;
    world->net.delay_max_ms = 20;
    world->quorum = true;
    world->state = hm_state_new();
    hm_replica_init(&world->replica, &hm_state_machine, world->state);
    hm_message_encode(&world->config,
                      &(struct hm_message){.kind = HM_MSG_host_config,
                                           .host_config = {.services = &web, .services_count = 1}});
    apply_message(world, 0,
                  &(struct hm_message){.kind = HM_MSG_request_found,
                                       .request_found = {.cluster = 7, .founder = member_of(0)}});
    for (size_t i = 1; i < KEEPERS; i++) {
        apply_message(world, i,
                      &(struct hm_message){.kind = HM_MSG_request_join,
                                           .request_join = {.member = member_of(i)}});
    }
    for (size_t i = 0; i < KEEPERS; i++) {
        start_keeper(world, i);
    }
    for (size_t i = 0; i < LITES; i++) {
        start_lite(world, i, 1);
    }
    return world;
}

static void finish(struct world *world)
{
    for (size_t i = 0; i < KEEPERS; i++) {
        if (!world->keepers[i].dead) {
            hm_keeper_fini(&world->keepers[i].engine);
        }
    }
    for (size_t i = 0; i < world->request_count; i++) {
        hm_buf_fini(&world->requests[i].body);
    }
    hm_replica_fini(&world->replica);
    hm_state_free(world->state);
    hm_buf_fini(&world->config);
    net_fini(&world->net);
    hm_free(world);
}

/* They were on their way when their keeper died. */
static void drop_requests(struct world *world, size_t keeper)
{
    for (size_t i = world->request_count; i-- > 0;) {
        if (world->requests[i].keeper == keeper) {
            hm_buf_fini(&world->requests[i].body);
            world->requests[i] = world->requests[--world->request_count];
        }
    }
}

static void fail_keeper(struct world *world, size_t number)
{
    struct hm_node_ref gone = {.id = net_peer(number).id};
    apply_message(world, (number + 1) % KEEPERS,
                  &(struct hm_message){.kind = HM_MSG_request_fail,
                                       .request_fail = {.nodes = &gone, .nodes_count = 1}});
}

static const struct hm_lease *lease_of(const struct world *world, size_t lite, size_t *keeper)
{
    const struct hm_lease *found = NULL;
    for (size_t i = 0; i < KEEPERS; i++) {
        const struct hm_keeper *engine = &world->keepers[i].engine;
        for (size_t j = 0; j < engine->count && !world->keepers[i].dead; j++) {
            if (engine->entries[j].lease && lite_of(&engine->entries[j].id) == lite) {
                assert_null(found); /* one keeper, no more */
                found = engine->entries[j].lease;
                *keeper = i;
            }
        }
    }
    return found;
}

/* Every living lite host is in the log, kept by a living keeper, and served by all; no other is. */
static void assert_calm(const struct world *world)
{
    for (size_t i = 0; i < LITES; i++) {
        const struct lite *lite = &world->lites[i];
        bool alive = !lite->dead && !lite->withdrawn;
        struct hm_lite record;
        size_t keeper = 0;
        bool recorded = hm_view_lite(hm_state_view(world->state), &lite->session.name, &record);
        const struct hm_lease *lease = lease_of(world, i, &keeper);
        assert_int_equal(recorded, alive);
        assert_int_equal(lease != NULL, alive);
        for (size_t j = 0; j < KEEPERS; j++) {
            assert_true(world->keepers[j].dead || world->keepers[j].served[i] == alive);
        }
        if (alive) { /* it may know less of it while the network loses its answers */
            struct hm_id id = net_peer(keeper).id;
            assert_true(hm_id_equal(&record.keeper, &id));
            assert_true(world->net.loss_permille ||
                        (lite->session.kept && lite->session.committed));
        }
    }
}

/* ---- what is expected ---- */

/* Its names stand for nobody at first, then for one who is not there, then for others. */
static void test_whom_to_ask_may_be_found_later(void **unused)
{
    (void)unused;
    struct lite_session session = {.interval_ms = INTERVAL_MS};
    struct hm_buf payload = {0};
    struct hm_addr addrs[] = {net_peer(1).addr, net_peer(2).addr};
    enum lite_news news;
    hm_ms now = 1000;
    lite_session_start(&session, now);
    for (size_t rounds = 0; rounds < 4; rounds++) {
        hm_ms at = lite_session_deadline(&session);
        assert_true(rounds == 0 || (at > now && at <= now + INTERVAL_MS)); /* no loop, no sleep */
        now = at;
        assert_false(lite_session_tick(&session, now, &payload, &news));
        assert_int_equal(news, LITE_SILENT);
        assert_int_equal(payload.size, 0);
    }
    lite_session_set_joins(&session, addrs, 1);
    for (size_t sends = 0; sends < 3; sends++) {
        now = lite_session_deadline(&session);
        assert_true(lite_session_tick(&session, now, &payload, &news));
        assert_true(hm_addr_equal(&session.current, &addrs[0]));
    }
    now = lite_session_deadline(&session);
    assert_false(lite_session_tick(&session, now, &payload, &news));
    assert_int_equal(news, LITE_SILENT);
    lite_session_set_joins(&session, addrs, 2); /* the silent one is asked last */
    now = lite_session_deadline(&session);
    assert_true(lite_session_tick(&session, now, &payload, &news));
    assert_true(hm_addr_equal(&session.current, &addrs[1]));
    hm_buf_fini(&payload);
}

static void test_all_are_kept_and_go(void **unused)
{
    (void)unused;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        struct world *world = found(seed, 0);
        run_for(world, 4000);
        assert_calm(world);
        (void)lite_session_withdraw(&world->lites[0].session, world->net.now);
        run_for(world, 500);
        assert_true(world->lites[0].withdrawn);
        assert_calm(world);
        world->lites[1].dead = true;
        run_for(world, LEASE_MS - 1500);
        assert_true(world->keepers[0].served[1]); /* not before the lease is over */
        run_for(world, 2500);
        assert_calm(world);
        start_lite(world, 1, 2); /* and back again, started anew */
        start_lite(world, 0, 1); /* or with a clock that stood still */
        run_for(world, 3000);
        assert_calm(world);
        assert_int_equal(world->outages, 0);
        finish(world);
    }
}

static void test_a_lost_keeper_is_no_outage(void **unused)
{
    (void)unused;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct world *world = found(seed, (uint32_t)(seed % 3) * 30);
        uint32_t loss = world->net.loss_permille;
        run_for(world, 6000);
        world->net.loss_permille = 0;
        run_for(world, CALM_MS);
        assert_calm(world);
        world->net.loss_permille = loss;
        size_t lost = seed % KEEPERS;
        kill_keeper(world, lost);
        world->lites[seed % LITES].dead = true; /* whose keeper may be the same */
        run_for(world, 300);
        fail_keeper(world, lost);
        run_for(world, 3 * LEASE_MS);
        world->net.loss_permille = 0;
        run_for(world, CALM_MS);
        assert_calm(world);
        assert_int_equal(world->outages, 0);
        finish(world);
    }
}

/* One that comes back from a pause ends what others keep; a poke mends it within a round trip. */
static void test_a_keeper_that_returns_takes_nothing(void **unused)
{
    (void)unused;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        struct world *world = found(seed, 0);
        run_for(world, 5000);
        size_t paused = seed % KEEPERS;
        struct keeper kept = world->keepers[paused];
        world->keepers[paused].dead = true; /* it hears nothing, and says nothing */
        run_for(world, 4 * LEASE_MS);
        world->keepers[paused] = kept; /* as it was: its leases are over by now */
        size_t before = world->outages;
        run_for(world, 4000);
        assert_calm(world);
        assert_in_range(world->outages - before, 0, 800 * LITES);
        finish(world);
    }
}

static void test_without_quorum_they_end_and_return(void **unused)
{
    (void)unused;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        struct world *world = found(seed, 50);
        run_for(world, 6000);
        world->net.loss_permille = 0;
        run_for(world, CALM_MS);
        assert_calm(world);
        world->net.loss_permille = 50;
        world->quorum = false;
        world->lites[3].dead = true;
        run_for(world, LEASE_MS + 3000);
        for (size_t i = 0; i < KEEPERS; i++) {
            for (size_t j = 0; j < LITES; j++) {
                assert_int_equal(world->keepers[i].served[j], j != 3);
            }
        }
        if (seed % 2) {
            start_lite(world, 3, 1);
            run_for(world, 4000);
            for (size_t i = 0; i < KEEPERS; i++) {
                assert_true(world->keepers[i].served[3]);
            }
        }
        world->quorum = true;
        if (seed % 2 == 0) { /* who said so dies before the log has it: the next one says it */
            size_t keeper = KEEPERS;
            assert_non_null(lease_of(world, 3, &keeper));
            kill_keeper(world, keeper);
            drop_requests(world, keeper);
            fail_keeper(world, keeper);
        }
        world->net.loss_permille = 0;
        run_for(world, CALM_MS);
        assert_calm(world);
        finish(world);
    }
}

/* Without a quorum nobody counts them all: a keeper goes by its own. One of many is gone soon, most
 * of them at once stay for the time of the brake. */
static void test_without_quorum_many_are_held(void **unused)
{
    (void)unused;
    struct world *world = found(1, 0);
    run_for(world, 6000);
    run_for(world, CALM_MS);
    assert_calm(world);
    world->quorum = false;
    for (size_t i = 0; i < LITES; i++) {
        world->lites[i].dead = true;
    }
    run_for(world, LEASE_MS + 5000);
    size_t held = 0;
    size_t checked = 0;
    for (size_t i = 0; i < LITES; i++) {
        size_t keeper = KEEPERS;
        (void)lease_of(world, i, &keeper);
        checked += world->keepers[keeper].engine.leases >= 3;
        held += world->keepers[keeper].engine.leases >= 3 && world->keepers[0].served[i];
    }
    assert_true(checked > 0);
    assert_int_equal(held, checked);
    run_for(world, HM_KEEPER_BRAKE_MS);
    for (size_t i = 0; i < LITES; i++) {
        assert_false(world->keepers[0].served[i]);
    }
    finish(world);
}

/* Anything may happen; when it ends, all is as it should be. */
static void test_chaos_ends_in_calm(void **unused)
{
    (void)unused;
    for (uint64_t seed = 1; seed <= 30; seed++) {
        struct world *world = found(seed, 100);
        struct hm_random *random = &world->net.random;
        size_t lost = KEEPERS;
        for (int round = 0; round < 12; round++) {
            size_t lite = (size_t)hm_random_below(random, LITES);
            world->quorum = hm_random_chance(random, 700);
            if (hm_random_chance(random, 400)) {
                world->lites[lite].dead = !world->lites[lite].dead;
                if (!world->lites[lite].dead) {
                    start_lite(world, lite, 2 + (uint64_t)round);
                }
            } else if (hm_random_chance(random, 300) && !world->lites[lite].dead) {
                (void)lite_session_withdraw(&world->lites[lite].session, world->net.now);
            }
            if (lost == KEEPERS && hm_random_chance(random, 500)) {
                lost = (size_t)hm_random_below(random, KEEPERS);
                kill_keeper(world, lost);
                fail_keeper(world, lost);
            } else if (lost < KEEPERS && hm_random_chance(random, 500)) {
                apply_message(world, lost,
                              &(struct hm_message){.kind = HM_MSG_request_join,
                                                   .request_join = {.member = member_of(lost)}});
                start_keeper(world, lost);
                lost = KEEPERS;
            }
            run_for(world, 500 + hm_random_below(random, 3000));
        }
        world->quorum = true;
        world->net.loss_permille = 0;
        run_for(world, 6 * LEASE_MS);
        assert_calm(world);
        finish(world);
    }
}

static void test_the_load_is_even_and_only_a_lost_share_moves(void **unused)
{
    (void)unused;
    enum { CANDIDATES = 10, IDS = 10000 };
    struct hm_keeper keeper;
    struct hm_peer peers[CANDIDATES];
    struct hm_peer best[3];
    static struct hm_id first[IDS];
    static struct hm_id second[IDS];
    size_t share[CANDIDATES] = {0};
    struct hm_id self = net_peer(0).id;
    hm_keeper_init(&keeper, &self, 1);
    for (size_t i = 0; i < CANDIDATES; i++) {
        peers[i] = net_peer(i);
    }
    hm_keeper_set_candidates(&keeper, 0, peers, CANDIDATES);
    for (size_t i = 0; i < IDS; i++) {
        struct hm_id id = net_peer(1000 + i).id;
        assert_int_equal(hm_keeper_rank(&keeper, &id, best, 3), 3);
        first[i] = best[0].id;
        second[i] = best[1].id;
        assert_false(hm_id_equal(&best[1].id, &best[2].id));
        share[net_node(&first[i])]++;
    }
    for (size_t i = 0; i < CANDIDATES; i++) {
        assert_in_range(share[i], IDS / CANDIDATES * 85 / 100, IDS / CANDIDATES * 115 / 100);
    }
    hm_keeper_set_doubts(&keeper, &peers[4].id, 1); /* in doubt it comes last */
    for (size_t i = 0; i < IDS; i++) {
        struct hm_id id = net_peer(1000 + i).id;
        assert_int_equal(hm_keeper_rank(&keeper, &id, best, 1), 1);
        assert_true(hm_id_equal(&best[0].id, net_node(&first[i]) == 4 ? &second[i] : &first[i]));
    }
    hm_keeper_set_candidates(&keeper, 0, &peers[4], 1);
    assert_int_equal(hm_keeper_rank(&keeper, &peers[0].id, best, 2), 1);
    assert_true(hm_id_equal(&best[0].id, &peers[4].id)); /* but better than nobody */
    hm_keeper_fini(&keeper);
}

static enum hm_status say(struct hm_keeper *keeper, const struct hm_keepalive *alive)
{
    struct hm_peer lite = net_peer(KEEPERS);
    return hm_keeper_input(keeper, 1, &lite,
                           &(struct hm_message){.kind = HM_MSG_keepalive, .keepalive = *alive});
}

static uint64_t challenge_of(struct hm_keeper *keeper)
{
    struct hm_effect effect;
    uint64_t challenge = 0;
    while (hm_keeper_output(keeper, &effect)) {
        struct hm_arena arena = {0};
        struct hm_message message;
        assert_int_equal(
            hm_message_decode_only(effect.message, HM_MSG_keepalive_reply, &arena, &message),
            HM_OK);
        challenge = message.keepalive_reply.challenge;
        hm_arena_fini(&arena);
    }
    return challenge;
}

static void test_what_makes_no_sense_is_refused(void **unused)
{
    (void)unused;
    struct hm_keeper keeper;
    struct hm_peer self = net_peer(0);
    struct hm_buf bytes = {0};
    struct hm_domain vhost = {.name = hm_bytes_of_text("Upper.case")};
    struct hm_service web = {.name = hm_name_of("web"), .port = 80, .weight = 1};
    struct hm_message config = {.kind = HM_MSG_host_config,
                                .host_config = {.services = &web, .services_count = 1}};
    hm_message_encode(&bytes, &config);
    struct hm_keepalive good = {.call = 1,
                                .name = hm_name_of("a"),
                                .version = {1, 2},
                                .lease_ms = 3000,
                                .config = hm_buf_view(&bytes)};
    struct hm_keepalive bad[] = {good, good, good, good, good, good};
    bad[0].name = hm_name_of("a.b");
    bad[1].version.seq = 3;
    bad[2].lease_ms = 10;
    bad[3].lease_ms = UINT32_MAX;
    bad[4].config = hm_bytes_of_text("nothing");
    bad[5].version.boot = 0;
    hm_keeper_init(&keeper, &self.id, 1);
    assert_int_equal(say(&keeper, &good), HM_NOT_LEADER); /* nobody may keep: it is told so */
    hm_keeper_set_candidates(&keeper, 0, &self, 1);
    /* A recorded one brings nobody back: it knows not what this keeper wants to hear. */
    assert_int_equal(say(&keeper, &good), HM_REPLAYED);
    assert_int_equal(keeper.count, 0);
    good.challenge = challenge_of(&keeper);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(say(&keeper, &bad[i]), HM_BAD_ARGUMENT);
    }
    web.vhosts = &vhost;
    web.vhosts_count = 1;
    hm_buf_clear(&bytes);
    hm_message_encode(&bytes, &config);
    good.config = hm_buf_view(&bytes);
    assert_int_equal(say(&keeper, &good), HM_BAD_ARGUMENT);
    vhost.name = hm_bytes_of_text("lower.case");
    web.port = 0;
    hm_buf_clear(&bytes);
    hm_message_encode(&bytes, &config);
    good.config = hm_buf_view(&bytes);
    assert_int_equal(say(&keeper, &good), HM_BAD_ARGUMENT);
    web.port = 80;
    hm_buf_clear(&bytes);
    hm_message_encode(&bytes, &config);
    good.config = hm_buf_view(&bytes);
    good.cluster = 99;
    assert_int_equal(say(&keeper, &good), HM_WRONG_CLUSTER);
    good.cluster = 0;
    assert_int_equal(say(&keeper, &good), HM_OK);
    assert_int_equal(say(&keeper, &good), HM_OK); /* again is fine, other content is not */
    web.port = 81;
    hm_buf_clear(&bytes);
    hm_message_encode(&bytes, &config);
    good.config = hm_buf_view(&bytes);
    assert_int_equal(say(&keeper, &good), HM_STALE);
    good.version.seq = 1000;
    assert_int_equal(say(&keeper, &good), HM_OK);
    good.version.seq = 2;
    assert_int_equal(say(&keeper, &good), HM_STALE);
    assert_int_equal(keeper.count, 1);
    hm_keeper_fini(&keeper);
    hm_buf_fini(&bytes);
}

/* One that is taken over has a whole lease to be heard in; when the log ends it before, as the
 * removal brake does with the dead that it brought back, nothing says that it lives. */
static void test_the_log_ends_what_was_never_heard_of(void **unused)
{
    (void)unused;
    struct hm_keeper keeper;
    struct hm_peer self = net_peer(0);
    struct hm_peer lite = net_peer(KEEPERS);
    struct hm_version version = {1, 2};
    struct hm_host_state state = {.host = lite.id, .version = version};
    struct hm_effect effect;
    hm_keeper_init(&keeper, &self.id, 7);
    hm_keeper_set_candidates(&keeper, 0, &self, 1);
    struct hm_lite record = {lite.id, hm_name_of("lamp"), lite.addr, self.id, 60000};
    hm_keeper_recorded(&keeper, 0, &record, &version);
    hm_keeper_adopt(&keeper, 0, &state, &version);
    assert_int_equal(keeper.leases, 1);
    hm_keeper_gone(&keeper, 1000, &lite.id);
    assert_int_equal(keeper.leases, 0);
    hm_keeper_tick(&keeper, 61000);
    while (hm_keeper_output(&keeper, &effect)) {
        assert_int_not_equal(effect.kind, HM_EFFECT_APPLY);
    }
    hm_keeper_fini(&keeper);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whom_to_ask_may_be_found_later),
        cmocka_unit_test(test_all_are_kept_and_go),
        cmocka_unit_test(test_a_lost_keeper_is_no_outage),
        cmocka_unit_test(test_a_keeper_that_returns_takes_nothing),
        cmocka_unit_test(test_without_quorum_they_end_and_return),
        cmocka_unit_test(test_without_quorum_many_are_held),
        cmocka_unit_test(test_chaos_ends_in_calm),
        cmocka_unit_test(test_the_load_is_even_and_only_a_lost_share_moves),
        cmocka_unit_test(test_what_makes_no_sense_is_refused),
        cmocka_unit_test(test_the_log_ends_what_was_never_heard_of),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
