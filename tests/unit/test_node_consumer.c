/* A consumer among members that are behind it, or answer late: what it knows and serves never goes
 * back. The members are made up; what they say is told to the one node that there is. */
#include "core/include/hivemind/module.h"
#include "core/node/catalog/catalog.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define CLUSTER 0x5eedu
#define MEMBERS 0 /* feeds */
#define STATE   1

static const char *const dns_roles[] = {"dns", NULL};
static const struct hm_module dns_module = {.abi = HM_MODULE_ABI,
                                            .kind = HM_MODULE_ROLE,
                                            .name = "dns",
                                            .performs = dns_roles,
                                            .bootstraps = dns_roles,
                                            .feeds = HM_FEEDS_STATE};

/* Who there is, by number: two control nodes, another consumer, and hosts. */
enum { CONTROL_1 = 1, CONTROL_2, PEER, HOST_1, HOST_2, SELF = 100 };

struct world {
    hm_ms now;
    struct hm_node *node;
    const struct hm_module *modules[1];
    uint64_t mark;      /* of its clear header */
    uint64_t join_call; /* of its last join */
    uint64_t pull_call; /* of its last records_pull */
    uint8_t pulled_of;  /* whom it asked */
    size_t acked;       /* pushes that it acknowledged */
};

static struct hm_addr addr_at(uint8_t number)
{
    return (struct hm_addr){.family = 4, .ip = {10, 0, 0, number}, .port = 9610};
}

static struct hm_member member_of(uint8_t number, uint64_t joined)
{
    static struct hm_label roles[3];
    static const char *const names[] = {"control", "dns", "host"};
    size_t role = number <= CONTROL_2 ? 0 : number == PEER || number == SELF ? 1 : 2;
    for (size_t i = 0; i < 3; i++) {
        roles[i].name = hm_name_of(names[i]);
    }
    char name[8];
    snprintf(name, sizeof name, "n%u", number);
    return (struct hm_member){.id = {{number}},
                              .name = hm_name_of(name),
                              .addr = addr_at(number),
                              .roles = &roles[role],
                              .roles_count = 1,
                              .feeds = role == 0   ? HM_MEMBER_CARRIES_STATE
                                       : role == 1 ? HM_MEMBER_CARRIES_STATE | HM_MEMBER_CONSUMES
                                                   : 0,
                              .boot = 1,
                              .feature = 1,
                              .joined = joined};
}

/* ---- what the node says ---- */

static void look_at(struct world *world, const struct hm_act *act)
{
    struct hm_reader in = hm_reader_of(act->bytes);
    struct hm_arena arena = {0};
    struct hm_message message;
    (void)hm_get_bytes(&in, 16);
    if (hm_get_u8(&in)) {
        (void)hm_get_bytes(&in, 4);
        (void)hm_get_varint(&in);
    }
    while (hm_reader_left(&in) && hm_message_decode(&in, &arena, &message) == HM_OK) {
        if (message.kind == HM_MSG_join) {
            world->join_call = message.join.call;
        } else if (message.kind == HM_MSG_records_pull) {
            world->pull_call = message.records_pull.call;
            world->pulled_of = act->addr.ip[3];
        } else if (message.kind == HM_MSG_pushed) {
            world->acked++;
        }
    }
    hm_arena_fini(&arena);
}

static void drain(struct world *world)
{
    struct hm_act act;
    while (hm_node_output(world->node, &act)) {
        if (act.kind == HM_ACT_CLUSTER) {
            world->mark = act.number;
        } else if (act.kind == HM_ACT_SEND) {
            look_at(world, &act);
        } else if (act.kind == HM_ACT_DISK) {
            hm_node_disk_done(world->node, world->now, act.number, HM_OK);
        } else if (act.kind == HM_ACT_LOG && getenv("HM_TEST_LOG")) {
            printf("%8llu %.*s\n", (unsigned long long)world->now, (int)act.bytes.size,
                   (const char *)act.bytes.data);
        }
    }
}

/* Until a condition holds, which it must. */
#define PASS_UNTIL(world, condition)                       \
    for (hm_ms end = (world)->now + 5000; !(condition);) { \
        assert_true((world)->now < end);                   \
        (world)->now++;                                    \
        hm_node_tick((world)->node, (world)->now);         \
        drain(world);                                      \
    }

/* ---- what it is told ---- */

static void say(struct world *world, uint8_t from, const struct hm_message *message)
{
    struct hm_buf payload = {0};
    struct hm_addr addr = addr_at(from);
    hm_buf_append(&payload, (const uint8_t[16]){from}, 16);
    hm_put_u8(&payload, 4);
    hm_buf_append(&payload, addr.ip, 4);
    hm_put_varint(&payload, addr.port);
    hm_message_encode(&payload, message);
    hm_node_receive(world->node, world->now, NULL, true, world->mark, hm_buf_view(&payload));
    drain(world);
    hm_buf_fini(&payload);
}

/* The digest that answers its join: so many members of the order of their numbers, at a place. */
static void let_in(struct world *world, uint8_t from, size_t others, uint64_t position)
{
    struct hm_member members[HOST_2 + 1];
    members[0] = member_of(SELF, 1);
    for (size_t i = 1; i <= others; i++) {
        members[i] = member_of((uint8_t)i, i + 1);
    }
    say(world, from,
        &(struct hm_message){.kind = HM_MSG_joined,
                             .joined = {.call = world->join_call,
                                        .cluster = CLUSTER,
                                        .members_place = {1, position},
                                        .state_place = {1, 1},
                                        .index = position,
                                        .total = others + 1,
                                        .whole = true,
                                        .members = members,
                                        .members_count = (uint32_t)others + 1}});
}

static void config_of(struct hm_buf *out, uint16_t port)
{
    struct hm_service web = {.name = hm_name_of("web"), .port = port, .weight = 1};
    hm_message_encode(out,
                      &(struct hm_message){.kind = HM_MSG_host_config,
                                           .host_config = {.services = &web, .services_count = 1}});
}

static void push(struct world *world, uint8_t host, uint64_t seq)
{
    struct hm_buf config = {0};
    config_of(&config, (uint16_t)(8000 + seq));
    say(world, host,
        &(struct hm_message){
            .kind = HM_MSG_push,
            .push.state = {.host = {{host}}, .version = {1, seq}, .config = hm_buf_view(&config)}});
    hm_buf_fini(&config);
}

static void event(struct world *world, uint8_t feed, uint64_t position, uint64_t index,
                  const struct hm_message *body)
{
    struct hm_buf bytes = {0};
    hm_message_encode(&bytes, body);
    say(world, CONTROL_1,
        &(struct hm_message){
            .kind = HM_MSG_feed_event,
            .feed_event = {.feed = feed,
                           .event = {.index = index,
                                     .epoch = 1,
                                     .members_position = feed == MEMBERS ? position : 0,
                                     .state_position = feed == STATE ? position : 0,
                                     .body = hm_buf_view(&bytes)}}});
    hm_buf_fini(&bytes);
}

/* The configs of `count` hosts, committed with this seq; 0: those of none. */
static void answer_pull(struct world *world, uint8_t from, uint64_t position, size_t count,
                        uint64_t seq)
{
    struct hm_record records[2];
    struct hm_buf values[2] = {{0}};
    char keys[2][HM_ID_TEXT_BYTES];
    for (size_t i = 0; i < count; i++) {
        struct hm_id host = {{(uint8_t)(HOST_1 + i)}};
        struct hm_buf config = {0};
        config_of(&config, (uint16_t)(8000 + seq));
        hm_message_encode(
            &values[i], &(struct hm_message){.kind = HM_MSG_push,
                                             .push.state = {host, {1, seq}, hm_buf_view(&config)}});
        records[i] = (struct hm_record){.scope = hm_name_of("hosts"),
                                        .key = hm_bytes_of_text(hm_id_format(&host, keys[i])),
                                        .value = hm_buf_view(&values[i]),
                                        .index = position};
        hm_buf_fini(&config);
    }
    say(world, from,
        &(struct hm_message){.kind = HM_MSG_records_page,
                             .records_page = {.call = world->pull_call,
                                              .state_place = {1, position},
                                              .records = records,
                                              .records_count = (uint32_t)count,
                                              .last = true}});
    hm_buf_fini(&values[0]);
    hm_buf_fini(&values[1]);
}

/* ---- what is looked at ---- */

static uint64_t served(const struct world *world, uint8_t host)
{
    struct hm_id id = {{host}};
    const struct hm_catalog_host *found = hm_catalog_host(hm_node_catalog(world->node), &id);
    return found ? found->version.seq : 0;
}

static void start(struct world *world)
{
    struct hm_buf error = {0};
    *world = (struct world){.now = 1000, .modules = {&dns_module}};
    struct hm_node_config config = {.name = hm_name_of("n100"),
                                    .addr = addr_at(SELF),
                                    .roles = {hm_name_of("dns")},
                                    .role_count = 1,
                                    .join = {addr_at(CONTROL_1), addr_at(CONTROL_2)},
                                    .join_count = 2,
                                    .seed = 7,
                                    .modules = world->modules,
                                    .module_count = 1};
    world->node = hm_node_new(&config, &error);
    assert_non_null(world->node);
    assert_int_equal(hm_node_start(world->node, world->now, 1000000, NULL, 0, &error), HM_OK);
    drain(world);
    PASS_UNTIL(world, world->join_call);
    world->mark = CLUSTER;
    hm_buf_fini(&error);
}

static void finish(struct world *world)
{
    hm_node_free(world->node);
}

/* A member, with what the two hosts had committed at position 10 and pushed since. */
static void start_serving(struct world *world)
{
    start(world);
    let_in(world, CONTROL_1, HOST_2, 10);
    PASS_UNTIL(world, world->pull_call);
    answer_pull(world, world->pulled_of, 10, 2, 3);
    assert_int_equal(served(world, HOST_1), 3);
    push(world, HOST_1, 5);
    assert_int_equal(served(world, HOST_1), 5);
}

/* Told that it is no member, it asks to be let in again. */
static void send_out(struct world *world)
{
    uint64_t before = world->join_call;
    say(world, CONTROL_1,
        &(struct hm_message){.kind = HM_MSG_refusal,
                             .refusal = {.status = HM_REMOVED, .cluster = CLUSTER}});
    PASS_UNTIL(world, world->join_call != before);
}

/* ---- the tests ---- */

/* A member that has not heard of the newest host answers the join: it is passed over. */
static void test_no_digest_of_before_is_taken(void **state)
{
    (void)state;
    struct world world;
    start_serving(&world);
    send_out(&world);
    uint64_t call = world.join_call;
    let_in(&world, CONTROL_2, HOST_1 - 1, 8);
    assert_int_equal(hm_node_view(world.node)->members_position, 10);
    assert_int_equal(served(&world, HOST_1), 5);
    PASS_UNTIL(&world, world.join_call != call); /* another is asked */
    let_in(&world, CONTROL_1, HOST_2, 11);
    assert_int_equal(hm_node_view(world.node)->members_position, 11);
    assert_int_equal(served(&world, HOST_1), 5);
    finish(&world);
}

/* It bootstraps anew, and the peer that it asks is behind it. */
static void test_no_records_of_before_are_taken(void **state)
{
    (void)state;
    struct world world;
    start_serving(&world);
    push(&world, HOST_2, 4);
    send_out(&world);
    let_in(&world, CONTROL_1, HOST_2, 10);
    uint64_t call = world.pull_call;
    answer_pull(&world, world.pulled_of, 9, 0, 0);
    assert_int_equal(hm_node_view(world.node)->state_position, 10);
    PASS_UNTIL(&world, world.pull_call != call); /* another is asked */
    answer_pull(&world, world.pulled_of, 11, 2, 4);
    assert_int_equal(hm_node_view(world.node)->state_position, 11);
    assert_int_equal(served(&world, HOST_1), 5);
    assert_int_equal(served(&world, HOST_2), 4);
    finish(&world);
}

/* While it waits for its records a host joins and pushes: it was acknowledged, so it is served. */
static void test_what_is_pushed_during_a_bootstrap_is_served(void **state)
{
    (void)state;
    struct world world;
    start(&world);
    let_in(&world, CONTROL_1, HOST_1, 10);
    PASS_UNTIL(&world, world.pull_call);
    struct hm_message joined = {.kind = HM_MSG_member_joined,
                                .member_joined.member = member_of(HOST_2, 11)};
    event(&world, MEMBERS, 11, 11, &joined);
    push(&world, HOST_2, 1);
    answer_pull(&world, world.pulled_of, 10, 1, 3);
    assert_int_equal(served(&world, HOST_1), 3);
    assert_int_equal(served(&world, HOST_2), 1);
    finish(&world);
}

/* A neighbour that is behind names a member that has failed since. */
static void test_no_member_of_before_is_taken(void **state)
{
    (void)state;
    struct world world;
    start_serving(&world);
    struct hm_id gone = {{HOST_2}};
    struct hm_message failed = {.kind = HM_MSG_member_failed,
                                .member_failed = {.id = gone, .name = hm_name_of("n5")}};
    event(&world, MEMBERS, 11, 11, &failed);
    assert_null(hm_members_find(&hm_node_view(world.node)->members, &gone));
    struct hm_member named = member_of(HOST_2, 6);
    say(&world, CONTROL_1,
        &(struct hm_message){
            .kind = HM_MSG_slice_tell,
            .slice_tell = {
                .position = 10, .forward = true, .members = &named, .members_count = 1}});
    assert_null(hm_members_find(&hm_node_view(world.node)->members, &gone));
    finish(&world);
}

/* A host went while it was out: what that one says now waits until it is in again. */
static void test_who_went_meanwhile_counts_no_more(void **state)
{
    (void)state;
    struct world world;
    start_serving(&world);
    push(&world, HOST_2, 4);
    send_out(&world);
    let_in(&world, CONTROL_1, HOST_1, 11);
    size_t acked = world.acked;
    push(&world, HOST_2, 5);
    assert_int_equal(world.acked, acked);
    finish(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_digest_of_before_is_taken),
        cmocka_unit_test(test_no_records_of_before_are_taken),
        cmocka_unit_test(test_what_is_pushed_during_a_bootstrap_is_served),
        cmocka_unit_test(test_no_member_of_before_is_taken),
        cmocka_unit_test(test_who_went_meanwhile_counts_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
