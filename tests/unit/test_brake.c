/* The removal brake: when many hosts of a service fail at once the members go, their instances
 * stay for a while, as suspect. */
#include "core/base/memory.h"
#include "core/log/replica.h"
#include "core/state/state.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define BRAKE_MS 30000u
#define START_MS 1000000u

struct world {
    struct hm_state *state;
    struct hm_replica replica;
    uint64_t now_ms;
};

static struct hm_id id_of(uint8_t number)
{
    return (struct hm_id){{number}};
}

static void open_state(struct world *world)
{
    world->state = hm_state_new();
    hm_replica_init(&world->replica, &hm_state_machine, world->state);
}

static struct hm_outcome apply(struct world *world, const struct hm_message *request)
{
    struct hm_buf body = {0};
    struct hm_outcome outcome;
    hm_message_encode(&body, request);
    hm_replica_apply(&world->replica,
                     &(struct hm_log_request){.session = id_of(1),
                                              .time_ms = world->now_ms,
                                              .request = hm_buf_view(&body)},
                     0, &outcome);
    hm_buf_fini(&body);
    return outcome;
}

static struct hm_member member_of(uint8_t number, const char *name)
{
    return (struct hm_member){.id = id_of(number),
                              .name = hm_name_of(name),
                              .addr = {.family = 4, .ip = {10, 0, 0, number}, .port = 9610},
                              .boot = 1,
                              .feature = HM_FEATURE_LEVEL};
}

static void join(struct world *world, uint8_t number, const char *name)
{
    struct hm_message request = {.kind = HM_MSG_request_join,
                                 .request_join = {.member = member_of(number, name)}};
    assert_int_equal(apply(world, &request).status, HM_OK);
}

/* A host with one service, and a virtual host of the service's name. */
static void serve(struct world *world, uint8_t number, const char *service)
{
    char vhost[64];
    snprintf(vhost, sizeof vhost, "%s.example", service);
    struct hm_service offered = {.name = hm_name_of(service), .port = 80, .weight = 1};
    struct hm_claim claim = {.key = hm_bytes_of_text(vhost), .owner = hm_name_of(service)};
    struct hm_buf config = {0};
    hm_message_encode(
        &config, &(struct hm_message){.kind = HM_MSG_host_config,
                                      .host_config = {.services = &offered, .services_count = 1}});
    struct hm_message request = {
        .kind = HM_MSG_request_host,
        .request_host = {
            .state = {.host = id_of(number), .version = {1, 1}, .config = hm_buf_view(&config)},
            .claims = &claim,
            .claims_count = 1}};
    assert_int_equal(apply(world, &request).status, HM_OK);
    hm_buf_fini(&config);
}

/* Hosts 11.. serve `web`, the last one serves `api`. */
static void found(struct world *world, uint8_t hosts)
{
    *world = (struct world){.now_ms = START_MS};
    open_state(world);
    struct hm_message request = {
        .kind = HM_MSG_request_found,
        .request_found = {.cluster = 7, .history = id_of(99), .founder = member_of(1, "c1")}};
    assert_int_equal(apply(world, &request).status, HM_OK);
    for (uint8_t i = 0; i < hosts; i++) {
        char name[16];
        snprintf(name, sizeof name, "h%u", 11u + i);
        join(world, (uint8_t)(11 + i), name);
        serve(world, (uint8_t)(11 + i), i + 1 == hosts ? "api" : "web");
    }
}

static void close_state(struct world *world)
{
    hm_replica_fini(&world->replica);
    hm_state_free(world->state);
}

static void fail_hosts(struct world *world, uint8_t first, uint8_t count)
{
    struct hm_node_ref gone[16];
    for (uint8_t i = 0; i < count; i++) {
        gone[i].id = id_of((uint8_t)(first + i));
    }
    struct hm_message request = {
        .kind = HM_MSG_request_fail,
        .request_fail = {.nodes = gone, .nodes_count = count, .brake_ms = BRAKE_MS}};
    assert_int_equal(apply(world, &request).status, HM_OK);
}

static size_t release(struct world *world)
{
    struct hm_message request = {.kind = HM_MSG_request_release,
                                 .request_release = {.until_ms = UINT64_MAX}};
    return apply(world, &request).events;
}

static bool is_member(const struct world *world, uint8_t number)
{
    struct hm_id id = id_of(number);
    return hm_members_find(&hm_state_view(world->state)->members, &id) != NULL;
}

static bool is_served(const struct world *world, uint8_t number)
{
    struct hm_arena arena = {0};
    struct hm_host_state host;
    struct hm_id id = id_of(number);
    bool found = hm_view_host(hm_state_view(world->state), &id, &arena, &host);
    hm_arena_fini(&arena);
    return found;
}

static bool is_braked(const struct world *world, uint8_t number)
{
    struct hm_braked braked;
    struct hm_id id = id_of(number);
    return hm_view_braked(hm_state_view(world->state), &id, &braked);
}

static bool has_vhost(const struct world *world, const char *vhost)
{
    struct hm_name scope = hm_name_of(HM_SCOPE_VHOSTS);
    return hm_records_find(&hm_state_view(world->state)->records, &scope,
                           hm_bytes_of_text(vhost)) != NULL;
}

/* What the counts say of hosts 11..: members, served, braked. */
static void expect(const struct world *world, uint8_t hosts, size_t members, size_t served,
                   size_t braked)
{
    size_t counts[3] = {0};
    for (uint8_t i = 0; i < hosts; i++) {
        counts[0] += is_member(world, (uint8_t)(11 + i));
        counts[1] += is_served(world, (uint8_t)(11 + i));
        counts[2] += is_braked(world, (uint8_t)(11 + i));
    }
    assert_int_equal(counts[0], members);
    assert_int_equal(counts[1], served);
    assert_int_equal(counts[2], braked);
}

static void test_a_batch_is_kept_and_released(void **unused)
{
    (void)unused;
    struct world world;
    found(&world, 6); /* five of web, one of api */
    fail_hosts(&world, 11, 3);
    expect(&world, 6, 3, 6, 3);
    world.now_ms += BRAKE_MS - 1;
    assert_int_equal(release(&world), 0);
    expect(&world, 6, 3, 6, 3);
    world.now_ms++;
    assert_true(release(&world) > 0);
    expect(&world, 6, 3, 3, 0);
    assert_int_equal(release(&world), 0);
    close_state(&world);
}

static void test_half_is_not_more_than_half(void **unused)
{
    (void)unused;
    struct world world;
    found(&world, 7); /* six of web */
    fail_hosts(&world, 11, 3);
    expect(&world, 7, 4, 4, 0);
    /* The fourth of six is: those that went before come back. */
    world.now_ms += 9000;
    fail_hosts(&world, 14, 1);
    expect(&world, 7, 3, 7, 4);
    close_state(&world);
}

static void test_one_by_one(void **unused)
{
    (void)unused;
    struct world world;
    found(&world, 4); /* three of web */
    fail_hosts(&world, 11, 1);
    expect(&world, 4, 3, 3, 0);
    assert_true(has_vhost(&world, "web.example"));
    fail_hosts(&world, 12, 1);
    expect(&world, 4, 2, 2, 0);
    world.now_ms += 500;
    fail_hosts(&world, 13, 1);
    expect(&world, 4, 1, 4, 3);
    assert_true(has_vhost(&world, "web.example"));
    world.now_ms += BRAKE_MS;
    release(&world);
    expect(&world, 4, 1, 1, 0);
    assert_false(has_vhost(&world, "web.example"));
    assert_true(has_vhost(&world, "api.example"));
    close_state(&world);
}

static void test_slow_failures_are_failures(void **unused)
{
    (void)unused;
    struct world world;
    found(&world, 4);
    for (uint8_t i = 0; i < 3; i++) {
        fail_hosts(&world, (uint8_t)(11 + i), 1);
        world.now_ms += 5000;
    }
    expect(&world, 4, 1, 1, 0);
    close_state(&world);
}

static void test_two_hosts_are_no_disaster(void **unused)
{
    (void)unused;
    struct world world;
    found(&world, 3); /* two of web: all of them */
    fail_hosts(&world, 11, 2);
    expect(&world, 3, 1, 1, 0);
    close_state(&world);
}

static void test_a_host_that_is_back(void **unused)
{
    (void)unused;
    struct world world;
    found(&world, 5); /* four of web */
    fail_hosts(&world, 11, 3);
    expect(&world, 5, 2, 5, 3);
    /* With its disk: what it had is its own again, and failing once more it is one of one. */
    join(&world, 11, "h11");
    assert_true(is_served(&world, 11) && !is_braked(&world, 11));
    /* With a new disk: what was kept of its old id goes. */
    join(&world, 31, "H12");
    assert_false(is_served(&world, 12));
    assert_true(is_braked(&world, 13));
    world.now_ms += BRAKE_MS;
    release(&world);
    expect(&world, 5, 3, 3, 0);
    close_state(&world);
}

/* What the brake knows is in a snapshot: a node that starts from one decides alike. */
static void test_a_snapshot_in_between(void **unused)
{
    (void)unused;
    struct world worlds[2];
    struct hm_buf snapshots[2] = {{0}, {0}};
    found(&worlds[0], 4);
    fail_hosts(&worlds[0], 11, 2);
    hm_replica_snapshot(&worlds[0].replica, true, &snapshots[0]);
    worlds[1] = (struct world){.now_ms = worlds[0].now_ms};
    open_state(&worlds[1]);
    assert_int_equal(hm_replica_install(&worlds[1].replica, hm_buf_view(&snapshots[0])), HM_OK);
    for (size_t i = 0; i < 2; i++) {
        worlds[i].now_ms += 100;
        fail_hosts(&worlds[i], 13, 1);
        expect(&worlds[i], 4, 1, 4, 3);
        hm_buf_clear(&snapshots[i]);
        hm_replica_snapshot(&worlds[i].replica, true, &snapshots[i]);
    }
    assert_true(hm_bytes_equal(hm_buf_view(&snapshots[0]), hm_buf_view(&snapshots[1])));
    for (size_t i = 0; i < 2; i++) {
        hm_buf_fini(&snapshots[i]);
        close_state(&worlds[i]);
    }
}

/* ---- lite hosts ---- */

static struct hm_lite lite_of(uint8_t number)
{
    struct hm_lite lite = {.id = id_of(number),
                           .addr = {.family = 4, .ip = {10, 0, 1, number}, .port = 4000},
                           .keeper = id_of(1),
                           .lease_ms = 15000};
    char name[16];
    snprintf(name, sizeof name, "cam%u", number);
    lite.name = hm_name_of(name);
    return lite;
}

static void keep(struct world *world, uint8_t number, uint64_t seq)
{
    struct hm_service offered = {.name = hm_name_of("video"), .port = 80, .weight = 1};
    struct hm_buf config = {0};
    hm_message_encode(
        &config, &(struct hm_message){.kind = HM_MSG_host_config,
                                      .host_config = {.services = &offered, .services_count = 1}});
    struct hm_message request = {
        .kind = HM_MSG_request_keep,
        .request_keep = {
            .lite = lite_of(number),
            .state = {.host = id_of(number), .version = {1, seq}, .config = hm_buf_view(&config)}}};
    assert_int_equal(apply(world, &request).status, HM_OK);
    hm_buf_fini(&config);
}

static void lapse(struct world *world, uint8_t number, uint64_t seq, bool expired)
{
    struct hm_message request = {.kind = HM_MSG_request_lapse,
                                 .request_lapse = {.id = id_of(number),
                                                   .name = lite_of(number).name,
                                                   .version = {1, seq},
                                                   .expired = expired,
                                                   .brake_ms = BRAKE_MS}};
    assert_int_equal(apply(world, &request).status, HM_OK);
}

static bool is_lite(const struct world *world, uint8_t number)
{
    struct hm_lite lite;
    struct hm_name name = lite_of(number).name;
    return hm_view_lite(hm_state_view(world->state), &name, &lite);
}

static void keep_five(struct world *world)
{
    found(world, 0);
    for (uint8_t i = 51; i <= 55; i++) {
        keep(world, i, 2);
    }
}

/* They fall silent one after the other, as their leases end. */
static void test_lite_hosts_that_lapse_together_stay(void **unused)
{
    (void)unused;
    struct world world;
    keep_five(&world);
    lapse(&world, 51, 3, true);
    world.now_ms += 1000;
    lapse(&world, 52, 3, true);
    assert_false(is_served(&world, 51) || is_lite(&world, 52)); /* two may well be dead */
    world.now_ms += 1000;
    lapse(&world, 53, 3, true);
    for (uint8_t i = 51; i <= 53; i++) {
        assert_true(is_served(&world, i) && is_lite(&world, i) && is_braked(&world, i));
    }
    world.now_ms += 100;
    lapse(&world, 54, 3, true);
    lapse(&world, 54, 3, true); /* whoever goes on with its lease finds it silent, too */
    assert_true(is_served(&world, 54) && is_braked(&world, 54) && !is_braked(&world, 55));
    keep(&world, 51, 2); /* heard again, with nothing new to say */
    assert_true(is_served(&world, 51) && !is_braked(&world, 51));
    lapse(&world, 51, 3, true);
    assert_true(is_served(&world, 51) && is_braked(&world, 51));
    keep(&world, 52, 4); /* heard again */
    assert_true(is_served(&world, 52) && is_lite(&world, 52) && !is_braked(&world, 52));
    lapse(&world, 53, 5, false); /* heard again to say that it goes */
    assert_false(is_served(&world, 53) || is_lite(&world, 53) || is_braked(&world, 53));
    world.now_ms += BRAKE_MS;
    assert_int_equal(release(&world), 4); /* 51 and 54: each with its mark */
    for (uint8_t i = 51; i <= 55; i++) {
        bool lives = i == 52 || i == 55;
        assert_true(is_served(&world, i) == lives && is_lite(&world, i) == lives);
        assert_false(is_braked(&world, i));
    }
    close_state(&world);
}

static void test_lite_hosts_that_go_are_no_accident(void **unused)
{
    (void)unused;
    struct world world;
    keep_five(&world);
    for (uint8_t i = 51; i <= 53; i++) { /* of their own will */
        lapse(&world, i, 3, false);
    }
    lapse(&world, 54, 3, true);
    assert_false(is_served(&world, 54));
    keep(&world, 51, 4);
    lapse(&world, 51, 5, true); /* over and over the same one */
    keep(&world, 51, 6);
    lapse(&world, 51, 7, true);
    assert_false(is_served(&world, 51));
    close_state(&world);
}

/* Members and lite hosts of one service are one accident; and what was counted is counted anew
 * when others come. */
static void test_members_and_lite_hosts_together(void **unused)
{
    (void)unused;
    struct world world;
    found(&world, 1);
    keep(&world, 51, 2);
    join(&world, 21, "v1");
    join(&world, 22, "v2");
    serve(&world, 21, "video");
    serve(&world, 22, "video");
    fail_hosts(&world, 21, 2);
    assert_false(is_served(&world, 21) || is_served(&world, 22));
    lapse(&world, 51, 3, true);
    assert_true(is_braked(&world, 51) && is_braked(&world, 21) && is_braked(&world, 22));
    for (uint8_t i = 61; i <= 68; i++) { /* now there are enough of them */
        keep(&world, i, 2);
    }
    lapse(&world, 61, 3, true);
    assert_false(is_served(&world, 61));
    close_state(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_batch_is_kept_and_released),
        cmocka_unit_test(test_half_is_not_more_than_half),
        cmocka_unit_test(test_one_by_one),
        cmocka_unit_test(test_slow_failures_are_failures),
        cmocka_unit_test(test_two_hosts_are_no_disaster),
        cmocka_unit_test(test_a_host_that_is_back),
        cmocka_unit_test(test_a_snapshot_in_between),
        cmocka_unit_test(test_lite_hosts_that_lapse_together_stay),
        cmocka_unit_test(test_lite_hosts_that_go_are_no_accident),
        cmocka_unit_test(test_members_and_lite_hosts_together),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
