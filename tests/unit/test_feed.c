/* A feed on a small network: everyone gets every event once, in order, whatever is lost. */
#include "core/engine/feed.h"
#include "core/engine/rings.h"
#include "tests/unit/net.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { FEED_MEMBERS = 0, FEED_STATE = 1 };

#define NODES   50u
#define SOURCES 3u
#define RINGS   2u /* about four neighbours */
#define PING_MS 250u

struct node {
    struct hm_feed feed;
    struct hm_peer peers[2 * RINGS];
    size_t peer_count;
    uint64_t applied; /* position of the last APPLY */
    uint64_t epoch;
    unsigned behind;
    bool dead;
    hm_ms ping_at;
};

struct world {
    struct net net;
    struct node nodes[NODES];
    uint64_t pushes;
    uint64_t pulls;
    uint64_t quiets;
};

static const struct hm_id *id_of(const void *context, uint32_t member)
{
    static struct hm_id ids[NODES];
    (void)context;
    ids[member] = net_peer(member).id;
    return &ids[member];
}

/* Those beside it on the rings, each once. */
static void find_neighbours(const struct hm_rings *rings, size_t number, struct node *node)
{
    uint32_t around[HM_RINGS_SLICE_MAX];
    for (uint32_t side = 0; side < 2 * RINGS; side++) {
        size_t at = 0;
        hm_rings_beside(rings, side / 2, id_of(NULL, (uint32_t)number), side % 2 == 0, around, 1);
        while (at < node->peer_count && net_node(&node->peers[at].id) != around[0]) {
            at++;
        }
        if (at == node->peer_count) {
            node->peers[node->peer_count++] = net_peer(around[0]);
        }
    }
}

static struct world *found(uint64_t seed, uint32_t loss_permille, uint32_t ring_events)
{
    struct world *world = hm_alloc(1, sizeof *world);
    hm_random_init(&world->net.random, seed);
    world->net.now = 1000;
    world->net.loss_permille = loss_permille;
    world->net.duplicate_permille = 20;
    world->net.delay_max_ms = 5;
    struct hm_rings rings;
    hm_rings_init(&rings, &(struct hm_rings_config){.rings = RINGS, .id_of = id_of});
    for (uint32_t i = 0; i < NODES; i++) {
        hm_rings_add(&rings, i);
    }
    for (size_t i = 0; i < NODES; i++) {
        struct node *node = &world->nodes[i];
        find_neighbours(&rings, i, node);
        hm_feed_init(&node->feed,
                     &(struct hm_feed_config){
                         .feed = FEED_STATE, .ring_events = ring_events, .source = i < SOURCES},
                     hm_random_u64(&world->net.random));
        hm_feed_set_neighbours(&node->feed, node->peers, node->peer_count);
        hm_feed_start(&node->feed, (struct hm_place){1, 0});
    }
    hm_rings_fini(&rings);
    return world;
}

static void end(struct world *world)
{
    for (size_t i = 0; i < NODES; i++) {
        hm_feed_fini(&world->nodes[i].feed);
    }
    net_fini(&world->net);
    hm_free(world);
}

static void check_apply(struct world *world, size_t i, const struct hm_effect *effect)
{
    struct hm_message message;
    struct node *node = &world->nodes[i];
    struct hm_arena arena = {0};
    assert_true(i >= SOURCES);
    assert_int_equal(effect->number, node->applied + 1);
    assert_int_equal(hm_message_decode_only(effect->message, HM_MSG_feed_event, &arena, &message),
                     HM_OK);
    assert_int_equal(message.feed_event.event.state_position, effect->number);
    node->applied = effect->number;
    node->epoch = message.feed_event.event.epoch;
    hm_arena_fini(&arena);
}

static void drain(struct world *world, size_t i)
{
    struct hm_effect effect;
    while (hm_feed_output(&world->nodes[i].feed, &effect)) {
        if (effect.kind == HM_EFFECT_APPLY) {
            check_apply(world, i, &effect);
        } else if (effect.kind == HM_EFFECT_NOTIFY) {
            world->nodes[i].behind++;
        } else {
            world->pushes += effect.message.data[0] == HM_MSG_feed_event;
            world->pulls += effect.message.data[0] == HM_MSG_feed_pull;
            world->quiets += effect.message.data[0] == HM_MSG_feed_quiet;
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
        struct node *node = &world->nodes[to];
        struct hm_peer peer = net_peer(from);
        if (node->dead) {
            continue;
        }
        if (message.kind == HM_MSG_ping) {
            hm_feed_peer_place(&node->feed, world->net.now, &peer, message.ping.state);
        } else {
            hm_feed_input(&node->feed, world->net.now, &peer, &message);
        }
        drain(world, to);
    }
}

/* What failure detection does all the time: show our place to a neighbour. */
static void ping(struct world *world, size_t i)
{
    struct node *node = &world->nodes[i];
    struct hm_message message = {.kind = HM_MSG_ping};
    struct hm_buf buf = {0};
    message.ping.state = hm_feed_place(&node->feed);
    hm_message_encode(&buf, &message);
    net_send(&world->net, i,
             net_node(&node->peers[hm_random_below(&world->net.random, node->peer_count)].id),
             hm_buf_view(&buf));
    hm_buf_fini(&buf);
}

static void run(struct world *world, hm_ms duration)
{
    for (hm_ms end_at = world->net.now + duration; world->net.now < end_at; world->net.now++) {
        deliver(world);
        for (size_t i = 0; i < NODES; i++) {
            struct node *node = &world->nodes[i];
            if (node->dead) {
                continue;
            }
            if (hm_feed_deadline(&node->feed) <= world->net.now) {
                hm_feed_tick(&node->feed, world->net.now);
                drain(world, i);
                assert_true(hm_feed_deadline(&node->feed) > world->net.now);
            }
            if (node->ping_at <= world->net.now) {
                node->ping_at =
                    world->net.now + hm_random_between(&world->net.random, 1, 2 * PING_MS);
                ping(world, i);
            }
        }
    }
}

static struct hm_event event_at(uint64_t epoch, uint64_t position)
{
    static const uint8_t body[] = "body";
    return (struct hm_event){.index = 2 * position,
                             .epoch = epoch,
                             .state_position = position,
                             .body = {body, sizeof body}};
}

/* The sources apply events at about the same time, as voters do. */
static void publish(struct world *world, const struct hm_event *event)
{
    for (size_t i = 0; i < SOURCES; i++) {
        if (!world->nodes[i].dead) {
            hm_feed_publish(&world->nodes[i].feed, world->net.now, event);
            drain(world, i);
        }
    }
}

static void publish_many(struct world *world, uint64_t epoch, uint64_t first, uint64_t last,
                         hm_ms gap)
{
    for (uint64_t position = first; position <= last; position++) {
        struct hm_event event = event_at(epoch, position);
        publish(world, &event);
        run(world, gap);
    }
}

static void publish_epoch(struct world *world, uint64_t epoch, uint64_t position)
{
    struct hm_event event = event_at(epoch, position);
    struct hm_message body = {.kind = HM_MSG_epoch_raised};
    struct hm_buf buf = {0};
    body.epoch_raised.epoch = epoch;
    hm_message_encode(&buf, &body);
    event.body = hm_buf_view(&buf);
    publish(world, &event);
    hm_buf_fini(&buf);
}

static void expect_all_at(const struct world *world, uint64_t epoch, uint64_t position)
{
    for (size_t i = 0; i < NODES; i++) {
        if (!world->nodes[i].dead) {
            struct hm_place place = hm_feed_place(&world->nodes[i].feed);
            assert_int_equal(place.epoch, epoch);
            assert_int_equal(place.position, position);
            assert_true(i < SOURCES || world->nodes[i].applied == position);
        }
    }
}

static void test_all_get_all_under_loss(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        struct world *world = found(seed, 200, 0);
        publish_many(world, 1, 1, 300, 7);
        run(world, 6000);
        expect_all_at(world, 1, 300);
        end(world);
    }
}

/* Without loss the links that bring only duplicates fall silent, and news still travels fast. */
static void test_tree_grows(void **state)
{
    (void)state;
    struct world *world = found(9, 0, 0);
    world->net.duplicate_permille = 0;
    publish_many(world, 1, 1, 2, 40); /* no link can have been told to be quiet yet */
    uint64_t flood = world->pushes;
    assert_int_equal(world->quiets, 0);
    publish_many(world, 1, 3, 100, 40);
    run(world, 2000);
    uint64_t before = world->pushes;
    publish_many(world, 1, 101, 130, 40);
    run(world, 60);
    expect_all_at(world, 1, 130);
    assert_true(world->quiets > 0);
    assert_true(world->pushes - before < flood * 15 * 7 / 10);
    end(world);
}

/* The same with nodes dying in the middle: the tree mends through pulls. */
static void test_tree_mends(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        struct world *world = found(seed, 50, 0);
        publish_many(world, 1, 1, 60, 20);
        for (size_t i = 2; i < NODES; i += 7) { /* a source among them */
            world->nodes[i].dead = true;
        }
        publish_many(world, 1, 61, 120, 20);
        run(world, 5000);
        expect_all_at(world, 1, 120);
        end(world);
    }
}

static void test_absent_catches_up_in_ranges(void **state)
{
    (void)state;
    struct world *world = found(2, 0, 0);
    world->nodes[20].dead = true;
    publish_many(world, 1, 1, 1500, 1);
    world->nodes[20].dead = false;
    run(world, 3000);
    expect_all_at(world, 1, 1500);
    end(world);
}

static void test_too_far_behind(void **state)
{
    (void)state;
    struct world *world = found(3, 0, 32);
    struct node *node = &world->nodes[20];
    node->dead = true;
    publish_many(world, 1, 1, 100, 3);
    node->dead = false;
    run(world, 3000);
    assert_int_equal(node->behind, 1);
    assert_int_equal(node->applied, 0);
    hm_feed_start(&node->feed, (struct hm_place){1, 90}); /* as a digest would */
    node->applied = 90;
    run(world, 3000);
    expect_all_at(world, 1, 100);
    assert_int_equal(node->behind, 1);
    end(world);
}

/* One that is at the predecessor's end crosses; one that knows more of the old history, which the
 * survivors of a recovery never had, must not. */
/* Who may leap does not pull what it could have again for less. */
static void test_far_behind_leaps(void **state)
{
    (void)state;
    struct hm_feed feed;
    struct hm_effect effect;
    struct hm_peer peer = net_peer(1);
    hm_feed_init(&feed, &(struct hm_feed_config){.feed = FEED_MEMBERS, .leap = 100}, 1);
    hm_feed_start(&feed, (struct hm_place){1, 50});
    hm_feed_peer_place(&feed, 0, &peer, (struct hm_place){1, 150});
    hm_feed_tick(&feed, 1000);
    assert_true(hm_feed_output(&feed, &effect));
    assert_int_equal(effect.kind, HM_EFFECT_SEND);
    hm_feed_peer_place(&feed, 0, &peer, (struct hm_place){1, 151});
    hm_feed_tick(&feed, 2000);
    assert_true(hm_feed_output(&feed, &effect));
    assert_int_equal(effect.kind, HM_EFFECT_NOTIFY);
    assert_int_equal(effect.notice, HM_FEED_BEHIND);
    assert_false(hm_feed_output(&feed, &effect));
    hm_feed_fini(&feed);
}

static void test_epochs(void **state)
{
    (void)state;
    struct world *world = found(4, 100, 0);
    publish_many(world, 1, 1, 50, 5);
    run(world, 3000);
    world->nodes[30].dead = true; /* misses the whole change and follows through a pull */
    struct hm_feed *strayed = &world->nodes[40].feed;
    struct hm_event lost = event_at(1, 51);
    struct hm_message message = {.kind = HM_MSG_feed_event};
    struct hm_peer from = net_peer(0);
    message.feed_event.feed = FEED_STATE;
    message.feed_event.event = lost;
    world->nodes[40].dead = true;
    assert_int_equal(hm_feed_input(strayed, world->net.now, &from, &message), HM_OK);
    struct hm_effect effect;
    while (hm_feed_output(strayed, &effect)) {
        world->nodes[40].applied = 51; /* it alone */
    }
    publish_epoch(world, 65537, 51);
    publish_many(world, 65537, 52, 80, 5);
    world->nodes[30].dead = false;
    world->nodes[40].dead = false;
    run(world, 5000);
    assert_int_equal(world->nodes[40].behind, 1);
    assert_int_equal(world->nodes[40].applied, 51);
    world->nodes[40].dead = true;
    expect_all_at(world, 65537, 80);
    end(world);
}

static enum hm_status raise(struct hm_feed *feed, uint64_t position, uint64_t epoch, uint64_t named,
                            struct hm_id history, struct hm_id last_history)
{
    struct hm_peer peer = net_peer(1);
    struct hm_buf buf = {0};
    struct hm_message body = {.kind = HM_MSG_epoch_raised};
    body.epoch_raised = (struct hm_epoch_raised){named, history, 0, last_history};
    hm_message_encode(&buf, &body);
    struct hm_message message = {.kind = HM_MSG_feed_event};
    message.feed_event.event = event_at(epoch, position);
    message.feed_event.event.body = hm_buf_view(&buf);
    message.feed_event.feed = FEED_STATE;
    enum hm_status status = hm_feed_input(feed, 1, &peer, &message);
    hm_buf_fini(&buf);
    return status;
}

static void test_epoch_names_its_predecessor(void **state)
{
    (void)state;
    struct hm_feed feed;
    struct hm_id a = net_peer(11).id;
    struct hm_id b = net_peer(12).id;
    struct hm_id c = net_peer(13).id;
    hm_feed_init(&feed, &(struct hm_feed_config){.feed = FEED_STATE}, 1);
    hm_feed_start(&feed, (struct hm_place){1, 5});
    hm_feed_set_history(&feed, &a);
    assert_int_equal(raise(&feed, 6, 2, 3, b, a), HM_STALE); /* raises another epoch than its own */
    assert_int_equal(raise(&feed, 6, 2, 2, b, c), HM_STALE);
    assert_int_equal(raise(&feed, 6, 2, 2, b, a), HM_OK);
    assert_int_equal(raise(&feed, 7, 3, 3, c, a), HM_STALE); /* we are in b now */
    assert_int_equal(raise(&feed, 7, 3, 3, c, b), HM_OK);
    assert_int_equal(hm_feed_place(&feed).epoch, 3);
    hm_feed_fini(&feed);
}

/* A voter that starts from a snapshot has nothing older to give. */
static void test_source_begins_at_a_snapshot(void **state)
{
    (void)state;
    struct hm_feed feed;
    struct hm_effect effect;
    struct hm_peer peer = net_peer(1);
    struct hm_event event = event_at(4, 100);
    hm_feed_init(&feed, &(struct hm_feed_config){.feed = FEED_STATE, .source = true}, 1);
    hm_feed_start(&feed, (struct hm_place){0, 0});
    hm_feed_publish(&feed, 1, &event);
    hm_feed_publish(&feed, 1, &event); /* told again: nothing happens */
    assert_int_equal(hm_feed_place(&feed).position, 100);
    assert_int_equal(hm_feed_place(&feed).epoch, 4);
    struct hm_message message = {.kind = HM_MSG_feed_pull};
    message.feed_pull.feed = FEED_STATE;
    message.feed_pull.after = (struct hm_place){4, 99};
    assert_int_equal(hm_feed_input(&feed, 1, &peer, &message), HM_OK);
    assert_true(hm_feed_output(&feed, &effect));
    assert_int_equal(effect.message.data[0], HM_MSG_feed_range);
    message.feed_pull.after = (struct hm_place){4, 98};
    assert_int_equal(hm_feed_input(&feed, 1, &peer, &message), HM_OK);
    assert_true(hm_feed_output(&feed, &effect));
    assert_int_equal(effect.message.data[0], HM_MSG_feed_behind);
    hm_feed_fini(&feed);
}

/* An event of the next epoch that does not raise it is refused. */
static void test_odd_input(void **state)
{
    (void)state;
    struct hm_feed feed;
    struct hm_peer peer = net_peer(1);
    struct hm_effect effect;
    struct hm_message message = {.kind = HM_MSG_feed_event};
    hm_feed_init(&feed, &(struct hm_feed_config){.feed = FEED_STATE}, 1);
    message.feed_event.feed = FEED_STATE;
    message.feed_event.event = event_at(1, 6);
    assert_int_equal(hm_feed_input(&feed, 1, &peer, &message), HM_NOT_STARTED);
    assert_true(hm_feed_deadline(&feed) == HM_NEVER);
    hm_feed_start(&feed, (struct hm_place){1, 5});
    hm_feed_tick(&feed, 1); /* it saw that the other has more */
    assert_true(hm_feed_output(&feed, &effect));
    assert_int_equal(effect.message.data[0], HM_MSG_feed_pull);
    message.feed_event.feed = FEED_MEMBERS;
    assert_int_equal(hm_feed_input(&feed, 1, &peer, &message), HM_BAD_ARGUMENT);
    message.feed_event.feed = FEED_STATE;
    message.feed_event.event = event_at(2, 6);
    assert_int_equal(hm_feed_input(&feed, 1, &peer, &message), HM_STALE);
    assert_true(hm_feed_output(&feed, &effect));
    assert_int_equal(effect.notice, HM_FEED_BEHIND);
    hm_feed_start(&feed, (struct hm_place){1, 5});
    for (uint64_t position = 7; position < 1000000; position += 13) { /* far ahead: nothing grows */
        message.feed_event.event = event_at(1, position);
        hm_feed_input(&feed, 1, &peer, &message);
    }
    assert_int_equal(hm_feed_place(&feed).position, 5);
    message.feed_event.event = event_at(0, 6); /* of a history that ended: hears of ours */
    assert_int_equal(hm_feed_input(&feed, 1, &peer, &message), HM_STALE);
    assert_true(hm_feed_output(&feed, &effect));
    assert_int_equal(effect.message.data[0], HM_MSG_feed_range);
    message = (struct hm_message){.kind = HM_MSG_feed_pull};
    message.feed_pull.feed = FEED_STATE;
    message.feed_pull.after = (struct hm_place){UINT64_MAX, UINT64_MAX};
    assert_int_equal(hm_feed_input(&feed, 1, &peer, &message), HM_STALE);
    hm_feed_fini(&feed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_get_all_under_loss),
        cmocka_unit_test(test_tree_grows),
        cmocka_unit_test(test_tree_mends),
        cmocka_unit_test(test_absent_catches_up_in_ranges),
        cmocka_unit_test(test_too_far_behind),
        cmocka_unit_test(test_far_behind_leaps),
        cmocka_unit_test(test_epochs),
        cmocka_unit_test(test_epoch_names_its_predecessor),
        cmocka_unit_test(test_source_begins_at_a_snapshot),
        cmocka_unit_test(test_odd_input),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
