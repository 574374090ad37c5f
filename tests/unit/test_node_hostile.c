/* A node among members that say anything: every message of the table with any content, from a
 * member, from a stranger and over the control socket. Nothing may abort or leak. And a member that
 * speaks for others, without any middleware: nothing may come of it. */
#include "core/include/hivemind/module.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define FRIENDS      5u
#define ROUNDS       60u
#define CLUSTER      77u
#define ACTS_PER_SAY 20000u

static const char *const control_roles[] = {"control", NULL};
static const char *const dns_roles[] = {"dns", NULL};
static const struct hm_module control_module = {
    .abi = HM_MODULE_ABI, .kind = HM_MODULE_ROLE, .name = "control", .performs = control_roles};
static const struct hm_module dns_module = {.abi = HM_MODULE_ABI,
                                            .kind = HM_MODULE_ROLE,
                                            .name = "dns",
                                            .performs = dns_roles,
                                            .bootstraps = dns_roles,
                                            .feeds = HM_FEEDS_STATE};

struct victim {
    struct hm_node *node;
    hm_ms now;
    uint64_t cluster;
    uint64_t join_call;
    size_t replies; /* over the control socket */
    struct hm_random random;
    const struct hm_module *modules[1];
};

static struct hm_member friend_of(uint8_t number)
{
    static struct hm_label roles[3];
    roles[0].name = hm_name_of(number % 2 ? "dns" : "control");
    struct hm_member member = {.id = {{number}},
                               .addr = {.family = 4, .ip = {10, 0, 0, number}, .port = 9610},
                               .roles = roles,
                               .roles_count = 1,
                               .feeds = 3,
                               .boot = 1,
                               .feature = 1};
    char name[8] = {'f', (char)('0' + number), 0};
    member.name = hm_name_of(name);
    return member;
}

/* The call of the join, for the one who lets it in. */
static void note_join(struct victim *victim, struct hm_bytes payload)
{
    struct hm_reader in = hm_reader_of(payload);
    struct hm_arena arena = {0};
    struct hm_message message;
    (void)hm_get_bytes(&in, 16);
    (void)hm_get_bytes(&in, hm_get_u8(&in) ? 4 : 0);
    (void)hm_get_varint(&in);
    if (hm_message_decode(&in, &arena, &message) == HM_OK && message.kind == HM_MSG_join) {
        victim->join_call = message.join.call;
    }
    hm_arena_fini(&arena);
}

static void drain(struct victim *victim)
{
    struct hm_act act;
    for (size_t count = 0; hm_node_output(victim->node, &act); count++) {
        assert_true(count < ACTS_PER_SAY);
        if (act.kind == HM_ACT_CLUSTER) {
            victim->cluster = act.number;
        } else if (act.kind == HM_ACT_SEND && act.stream && !victim->cluster) {
            note_join(victim, act.bytes);
        } else if (act.kind == HM_ACT_REPLY) {
            victim->replies++;
        } else if (act.kind == HM_ACT_LOG && getenv("HM_TEST_LOG")) {
            printf("%8llu %.*s\n", (unsigned long long)victim->now, (int)act.bytes.size,
                   (const char *)act.bytes.data);
        } else if (act.kind == HM_ACT_DISK) {
            hm_node_disk_done(victim->node, victim->now, act.number, HM_OK);
        }
    }
}

static void say(struct victim *victim, uint8_t from, const struct hm_message *message)
{
    struct hm_buf payload = {0};
    struct hm_addr addr = {.family = 4, .ip = {10, 0, 0, from}, .port = 9610};
    bool stream = hm_random_chance(&victim->random, 500);
    hm_buf_append(&payload, (const uint8_t[16]){from}, 16);
    hm_put_u8(&payload, stream ? 4 : 0);
    if (stream) {
        hm_buf_append(&payload, addr.ip, 4);
        hm_put_varint(&payload, addr.port);
    }
    hm_message_encode(&payload, message);
    hm_node_receive(victim->node, victim->now, &addr, stream, victim->cluster,
                    hm_buf_view(&payload));
    drain(victim);
    hm_buf_fini(&payload);
}

static void pass(struct victim *victim, hm_ms duration)
{
    for (hm_ms until = victim->now + duration; victim->now < until; victim->now += 10) {
        hm_node_tick(victim->node, victim->now);
        drain(victim);
    }
}

static void start(struct victim *victim, const struct hm_module *module, uint64_t seed,
                  uint32_t voters)
{
    struct hm_buf error = {0};
    bool control = module == &control_module;
    *victim = (struct victim){.now = 1000, .modules = {module}};
    hm_random_init(&victim->random, seed);
    struct hm_node_config config = {.name = hm_name_of("victim"),
                                    .addr = {.family = 4, .ip = {10, 0, 0, 100}, .port = 9610},
                                    .roles = {hm_name_of(module->name)},
                                    .role_count = 1,
                                    .join = {friend_of(2).addr},
                                    .join_count = control ? 0 : 1,
                                    .bootstrap = control,
                                    .serve_joins = true,
                                    .voters_target = voters,
                                    .seed = seed,
                                    .modules = victim->modules,
                                    .module_count = 1};
    victim->node = hm_node_new(&config, &error);
    assert_non_null(victim->node);
    assert_int_equal(hm_node_start(victim->node, victim->now, 1000000, NULL, 0, &error), HM_OK);
    drain(victim);
    pass(victim, 2000);
    struct hm_member friends[FRIENDS + 1];
    for (uint8_t i = 0; i < FRIENDS; i++) {
        friends[i] = friend_of(i + 1);
        if (control) {
            say(victim, i + 1,
                &(struct hm_message){.kind = HM_MSG_join,
                                     .join = {.call = 1, .member = friends[i]}});
        }
    }
    if (!control) {
        victim->cluster = CLUSTER;
        say(victim, 2,
            &(struct hm_message){.kind = HM_MSG_joined,
                                 .joined = {.call = victim->join_call,
                                            .cluster = CLUSTER,
                                            .members_place = {1, FRIENDS},
                                            .state_place = {1, 1},
                                            .index = FRIENDS,
                                            .total = FRIENDS,
                                            .whole = true,
                                            .members = friends,
                                            .members_count = FRIENDS}});
    }
    pass(victim, 300);
    assert_true(hm_node_view(victim->node)->members.count >= FRIENDS);
    hm_buf_fini(&error);
}

/* Requests and events travel inside of others. */
static void nest(struct victim *victim, struct hm_message *message, struct hm_arena *arena)
{
    static const enum hm_message_kind inner[] = {
        HM_MSG_request_join,  HM_MSG_request_leave,  HM_MSG_request_fail,   HM_MSG_request_host,
        HM_MSG_request_write, HM_MSG_member_joined,  HM_MSG_member_changed, HM_MSG_epoch_raised,
        HM_MSG_host_changed,  HM_MSG_record_changed, HM_MSG_host_removed,   HM_MSG_host_config};
    struct hm_message body;
    struct hm_buf bytes = {0};
    bool event = message->kind == HM_MSG_feed_event;
    uint64_t which = event ? hm_random_between(&victim->random, 5, 10)
                           : hm_random_below(&victim->random, sizeof inner / sizeof *inner);
    hm_message_generate(&victim->random, inner[which], arena, &body);
    hm_message_encode(&bytes, &body);
    uint8_t *copy = hm_arena_alloc(arena, bytes.size, 1);
    memcpy(copy, bytes.data, bytes.size);
    struct hm_bytes view = {copy, bytes.size};
    hm_buf_fini(&bytes);
    if (message->kind == HM_MSG_submit) {
        message->submit.request = view;
        message->submit.session = friend_of(1).id;
    } else if (message->kind == HM_MSG_feed_event) {
        /* The next one, so that it is believed. */
        const struct hm_view *known = hm_node_view(victim->node);
        bool members = inner[which] <= HM_MSG_epoch_raised;
        message->feed_event.feed = members ? 0 : 1;
        message->feed_event.event = (struct hm_event){
            .index = known->index + 1,
            .epoch = 1,
            .members_position = members ? known->members_position + 1 : 0,
            .state_position =
                members && inner[which] != HM_MSG_epoch_raised ? 0 : known->state_position + 1,
            .body = view};
    } else if (message->kind == HM_MSG_push) {
        message->push.state.host = friend_of(1).id;
        message->push.state.config = view;
    }
}

static void say_everything(struct victim *victim)
{
    for (size_t round = 0; round < ROUNDS; round++) {
        enum hm_message_kind kind = HM_MSG_NONE;
        while ((kind = hm_message_kind_after(kind)) != HM_MSG_NONE) {
            struct hm_arena arena = {0};
            struct hm_message message;
            struct hm_buf bytes = {0};
            hm_message_generate(&victim->random, kind, &arena, &message);
            nest(victim, &message, &arena);
            /* The last one is a stranger. */
            say(victim, (uint8_t)hm_random_between(&victim->random, 1, FRIENDS + 1), &message);
            hm_message_encode(&bytes, &message);
            if (kind != HM_MSG_leave) { /* which the control socket may ask for */
                hm_node_control(victim->node, victim->now, round, hm_buf_view(&bytes));
            }
            drain(victim);
            hm_buf_fini(&bytes);
            hm_arena_fini(&arena);
        }
        hm_node_control_closed(victim->node, victim->now, round);
        pass(victim, 50);
    }
    pass(victim, 5000);
}

static void test_a_control_node_survives_everything(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 4; seed++) {
        struct victim victim;
        start(&victim, &control_module, seed, 0);
        say_everything(&victim);
        hm_node_free(victim.node);
    }
}

static void test_a_consumer_survives_everything(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 4; seed++) {
        struct victim victim;
        start(&victim, &dns_module, seed, 0);
        say_everything(&victim);
        hm_node_free(victim.node);
    }
}

/* ---- who speaks for whom ---- */

static void submit(struct victim *victim, uint8_t from, uint8_t session,
                   const struct hm_message *request)
{
    static uint64_t seq;
    struct hm_buf bytes = {0};
    hm_message_encode(&bytes, request);
    seq++;
    say(victim, from,
        &(struct hm_message){.kind = HM_MSG_submit,
                             .submit = {.call = seq,
                                        .session = friend_of(session).id,
                                        .seq = seq,
                                        .request = hm_buf_view(&bytes)}});
    hm_buf_fini(&bytes);
    pass(victim, 50);
}

/* How many events came of it. */
static uint64_t events_of(struct victim *victim, uint8_t from, uint8_t session,
                          const struct hm_message *request)
{
    uint64_t before = hm_node_view(victim->node)->index;
    submit(victim, from, session, request);
    return hm_node_view(victim->node)->index - before;
}

/* Friend 6 is a host, which carries no state. */
static void add_host(struct victim *victim)
{
    struct hm_label role = {hm_name_of("host")};
    struct hm_member host = friend_of(6);
    host.roles = &role;
    host.feeds = 0;
    say(victim, 6, &(struct hm_message){.kind = HM_MSG_join, .join = {.call = 1, .member = host}});
    pass(victim, 300);
    assert_non_null(hm_members_find(&hm_node_view(victim->node)->members, &host.id));
}

/* The host config of friend 3 with a version that rises. */
static struct hm_message host_of_3(struct hm_buf *config)
{
    static uint64_t seq;
    struct hm_message body = {.kind = HM_MSG_host_config};
    struct hm_message request = {.kind = HM_MSG_request_host};
    hm_buf_clear(config);
    hm_message_encode(config, &body);
    request.request_host.state = (struct hm_host_state){
        .host = friend_of(3).id, .version = {1, ++seq}, .config = hm_buf_view(config)};
    return request;
}

/* A consumer that moves is another member and another record of scope consumers. */
#define MOVED_EVENTS 2

static struct hm_message write_of(struct hm_change *change)
{
    *change = (struct hm_change){.scope = hm_name_of("mine"),
                                 .key = hm_bytes_of_text("a"),
                                 .present = true,
                                 .value = hm_bytes_of_text("b")};
    return (struct hm_message){.kind = HM_MSG_request_write,
                               .request_write = {.changes = change, .changes_count = 1}};
}

static void test_a_member_speaks_for_itself(void **state)
{
    (void)state;
    struct victim victim;
    struct hm_buf config = {0};
    start(&victim, &control_module, 1, 1);
    struct hm_message host = host_of_3(&config);
    struct hm_message leave = {.kind = HM_MSG_request_leave};
    struct hm_message moved = {.kind = HM_MSG_request_join};
    leave.request_leave.id = friend_of(3).id;
    moved.request_join.member = friend_of(3);
    moved.request_join.member.addr.ip[3] = 66;
    const struct hm_message *of_3[] = {&host, &leave, &moved};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(events_of(&victim, 1, 1, of_3[i]), 0); /* about another */
        assert_int_equal(events_of(&victim, 1, 3, of_3[i]), 0); /* as another */
        assert_int_equal(events_of(&victim, 2, 1, of_3[i]), 0); /* passed on, about another */
    }
    /* The control plane passes on what is the session's own, and anyone says it directly. */
    assert_int_equal(events_of(&victim, 2, 3, &host), 1);
    host = host_of_3(&config);
    assert_int_equal(events_of(&victim, 3, 3, &host), 1);
    assert_int_equal(events_of(&victim, 3, 3, &moved), MOVED_EVENTS);
    assert_true(events_of(&victim, 3, 3, &leave) > 0);
    hm_buf_fini(&config);
    hm_node_free(victim.node);
}

static void test_roles_limit_what_is_submitted(void **state)
{
    (void)state;
    struct victim victim;
    struct hm_change change;
    struct hm_node_ref gone[] = {{.id = friend_of(3).id}};
    start(&victim, &control_module, 2, 1);
    add_host(&victim);
    struct hm_message write = write_of(&change);
    struct hm_message fail = {.kind = HM_MSG_request_fail,
                              .request_fail = {.nodes = gone, .nodes_count = 1}};
    struct hm_message found = {.kind = HM_MSG_request_found};
    assert_int_equal(events_of(&victim, 6, 6, &write), 0);
    assert_int_equal(events_of(&victim, 1, 1, &write), 1);
    /* Who has failed is for the leader to say, from what the observers report. */
    for (uint8_t from = 1; from <= 6; from++) {
        assert_int_equal(events_of(&victim, from, from, &fail), 0);
        assert_int_equal(events_of(&victim, from, from, &found), 0);
    }
    assert_non_null(hm_members_find(&hm_node_view(victim.node)->members, &gone[0].id));
    hm_node_free(victim.node);
}

static void test_joins_and_commands_of_others(void **state)
{
    (void)state;
    struct victim victim;
    start(&victim, &control_module, 3, 1);
    uint64_t before = hm_node_view(victim.node)->index;
    struct hm_message moved = {.kind = HM_MSG_join, .join = {.call = 2, .member = friend_of(3)}};
    moved.join.member.addr.ip[3] = 66;
    say(&victim, 1, &moved); /* a member, for another */
    moved.join.hops = 1;
    say(&victim, 66, &moved); /* passed on by a stranger */
    say(&victim, 1, &(struct hm_message){.kind = HM_MSG_leave, .leave = {.call = 3}});
    pass(&victim, 500);
    assert_int_equal(hm_node_view(victim.node)->index, before);
    moved.join.hops = 0;
    say(&victim, 3, &moved);
    pass(&victim, 500);
    assert_int_equal(hm_node_view(victim.node)->index, before + MOVED_EVENTS);
    hm_node_free(victim.node);
}

/* `submitted` ends a submit. Of what else a node has asked for it says nothing: whoever wanted that
 * is answered all the same. */
static void test_submitted_ends_nothing_else(void **state)
{
    (void)state;
    struct victim victim;
    struct hm_buf command = {0};
    uint64_t first_call = UINT64_C(1) << 32; /* those of its first boot come after it */
    start(&victim, &control_module, 4, 1);
    hm_message_encode(&command, &(struct hm_message){.kind = HM_MSG_log_read,
                                                     .log_read = {.name = hm_name_of("none")}});
    hm_node_control(victim.node, victim.now, 1, hm_buf_view(&command));
    drain(&victim);
    for (uint64_t i = 1; i <= 64; i++) {
        say(&victim, 2,
            &(struct hm_message){.kind = HM_MSG_submitted, .submitted = {.call = first_call + i}});
    }
    assert_int_equal(victim.replies, 0);
    pass(&victim, 6000);
    assert_int_equal(victim.replies, 1); /* there is no such log */
    hm_buf_fini(&command);
    hm_node_free(victim.node);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_control_node_survives_everything),
        cmocka_unit_test(test_a_consumer_survives_everything),
        cmocka_unit_test(test_a_member_speaks_for_itself),
        cmocka_unit_test(test_roles_limit_what_is_submitted),
        cmocka_unit_test(test_joins_and_commands_of_others),
        cmocka_unit_test(test_submitted_ends_nothing_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
