/* Whole nodes over a perfect network in virtual time: founding, joining, announcing, dying,
 * leaving. What happens under faults is the simulator's. */
#include "core/base/memory.h"
#include "tests/unit/node_cluster.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- what is expected ---- */

static void test_seven_nodes_become_a_cluster(void **state)
{
    (void)state;
    struct cluster cluster = {0};
    start_seven(&cluster);
    for (size_t i = 0; i < cluster.count; i++) {
        assert_int_equal(members(&cluster, i), 7);
        assert_true(hm_node_is_ready(cluster.nodes[i]));
    }
    assert_int_equal(instances(&cluster, 3, "web"), 2);
    assert_int_equal(instances(&cluster, 4, "web"), 2);
    finish(&cluster);
}

static void test_the_dead_are_removed(void **state)
{
    (void)state;
    struct cluster cluster = {0};
    start_seven(&cluster);
    cluster.dead[6] = true;
    run_for(&cluster, 2000);
    assert_int_equal(members(&cluster, 3), 6);
    assert_int_equal(instances(&cluster, 3, "web"), 1);
    assert_int_equal(instances(&cluster, 4, "web"), 1);
    finish(&cluster);
}

static size_t holders_of(const struct cluster *cluster, size_t number)
{
    size_t count = 0;
    for (size_t i = 0; i < cluster->count; i++) {
        count += !cluster->dead[i] && cluster->held[i][number];
    }
    return count;
}

/* The streams to a process end with it, long before somebody would probe it again. */
static void test_a_crash_is_noticed_by_who_holds_a_stream(void **state)
{
    (void)state;
    for (size_t victim = 3; victim < 7; victim++) {
        struct cluster cluster = {0};
        start_seven(&cluster);
        for (size_t i = 0; i < cluster.count; i++) {
            assert_in_range(holders_of(&cluster, i), 1, 2);
        }
        hm_ms since = cluster.now;
        cluster.dead[victim] = true;
        for (size_t i = 0; i < cluster.count; i++) {
            struct hm_addr addr = addr_of(victim);
            if (!cluster.dead[i] && cluster.held[i][victim]) {
                hm_node_stream_down(cluster.nodes[i], cluster.now, &addr, HM_IO);
                drain(&cluster, i);
            }
        }
        while (members(&cluster, victim == 3 ? 4 : 3) == 7 && cluster.now < since + 2000) {
            step(&cluster);
        }
        assert_true(cluster.now < since + 200);
        run_for(&cluster, 1000);
        assert_int_equal(holders_of(&cluster, victim), 0);
        for (size_t i = 0; i < cluster.count; i++) {
            assert_true(cluster.dead[i] || holders_of(&cluster, i) > 0);
        }
        finish(&cluster);
    }
}

static void test_a_dead_leader_is_followed_by_another(void **state)
{
    (void)state;
    struct cluster cluster = {0};
    start_seven(&cluster);
    size_t old = leader_of(&cluster);
    cluster.dead[old] = true;
    run_for(&cluster, 5000);
    size_t leader = leader_of(&cluster);
    assert_int_not_equal(leader, old);
    assert_int_equal(members(&cluster, 3), 6);
    finish(&cluster);
}

static void test_without_quorum_nothing_is_removed(void **state)
{
    (void)state;
    struct cluster cluster = {0};
    start_seven(&cluster);
    cluster.dead[1] = cluster.dead[2] = true;
    run_for(&cluster, 200);
    cluster.dead[6] = true;
    run_for(&cluster, 20000);
    assert_int_equal(members(&cluster, 3), 7);
    assert_int_equal(instances(&cluster, 3, "web"), 2);
    finish(&cluster);
}

static void send_announce(struct cluster *cluster, size_t number, uint16_t port)
{
    struct hm_buf bytes = {0};
    hm_message_encode(&bytes, &(struct hm_message){.kind = HM_MSG_announce,
                                                   .announce = {.call = 5,
                                                                .service = hm_name_of("api"),
                                                                .port = port,
                                                                .timeout_ms = 3000}});
    hm_buf_clear(&cluster->reply);
    hm_node_control(cluster->nodes[number], cluster->now, 1, hm_buf_view(&bytes));
    drain(cluster, number);
    hm_buf_fini(&bytes);
}

static const struct hm_change_report *announce_on(struct cluster *cluster, size_t number,
                                                  struct hm_arena *arena, struct hm_message *out)
{
    send_announce(cluster, number, 9000);
    for (hm_ms until = cluster->now + 6000; cluster->reply.size == 0 && cluster->now < until;) {
        step(cluster);
    }
    assert_int_equal(
        hm_message_decode_only(hm_buf_view(&cluster->reply), HM_MSG_change_report, arena, out),
        HM_OK);
    return &out->change_report;
}

static void test_an_announcement_is_reported(void **state)
{
    (void)state;
    struct cluster cluster = {0};
    struct hm_arena arena = {0};
    struct hm_message message;
    start_seven(&cluster);
    hm_ms before = cluster.now;
    const struct hm_change_report *report = announce_on(&cluster, 5, &arena, &message);
    assert_int_equal(report->status, HM_OK);
    assert_true(report->index > 0);
    assert_int_equal(report->call, 5);
    assert_int_equal(report->serving_count, 1);
    assert_int_equal(report->serving[0].served, 2);
    assert_int_equal(report->serving[0].total, 2);
    assert_true(cluster.now - before < 50);
    assert_int_equal(instances(&cluster, 3, "api"), 1);
    assert_int_equal(instances(&cluster, 3, "web"), 1);
    hm_arena_fini(&arena);
    finish(&cluster);
}

/* The goal is a second from the leader's death to the next committed event, whenever it dies. */
/* The control node that is asked for the consumers has just died: the next one is asked at once. */
static void test_a_report_waits_for_no_dead_control_node(void **state)
{
    (void)state;
    for (size_t dead = 0; dead < 3; dead++) {
        struct cluster cluster = {0};
        struct hm_arena arena = {0};
        struct hm_message message;
        start_seven(&cluster);
        if (dead != leader_of(&cluster)) {
            cluster.dead[dead] = true; /* its machine refuses */
            hm_ms since = cluster.now;
            const struct hm_change_report *report = announce_on(&cluster, 5, &arena, &message);
            assert_int_equal(report->status, HM_OK);
            assert_in_range(cluster.now - since, 0, 100);
        }
        hm_arena_fini(&arena);
        finish(&cluster);
    }
}

static void test_a_change_waits_for_the_election_alone(void **state)
{
    (void)state;
    for (hm_ms more = 0; more < 300; more += 25) {
        struct cluster cluster = {0};
        struct hm_arena arena = {0};
        struct hm_message message;
        start_seven(&cluster);
        run_for(&cluster, more);
        cluster.dead[leader_of(&cluster)] = true;
        hm_ms before = cluster.now;
        const struct hm_change_report *report = announce_on(&cluster, 5, &arena, &message);
        assert_int_equal(report->status, HM_OK);
        assert_true(report->index > 0);
        assert_true(cluster.now - before < 800);
        hm_arena_fini(&arena);
        finish(&cluster);
    }
}

static void test_without_quorum_a_change_is_pushed(void **state)
{
    (void)state;
    struct cluster cluster = {0};
    struct hm_arena arena = {0};
    struct hm_message message;
    start_seven(&cluster);
    cluster.dead[1] = cluster.dead[2] = true;
    run_for(&cluster, 1000);
    hm_ms before = cluster.now;
    const struct hm_change_report *report = announce_on(&cluster, 5, &arena, &message);
    assert_int_equal(report->status, HM_NOT_COMMITTED);
    assert_true(cluster.now - before < 2100); /* not the whole timeout */
    assert_int_equal(report->index, 0);
    assert_int_equal(report->serving[0].served, 2);
    assert_int_equal(instances(&cluster, 4, "api"), 1);
    hm_arena_fini(&arena);
    finish(&cluster);
}

static void test_any_node_can_leave(void **state)
{
    (void)state;
    struct cluster cluster = {0};
    start_seven(&cluster);
    const size_t leavers[] = {6, 4, leader_of(&cluster)};
    for (size_t i = 0; i < 3; i++) {
        struct hm_buf bytes = {0};
        hm_message_encode(&bytes, &(struct hm_message){.kind = HM_MSG_leave, .leave = {.call = 1}});
        hm_node_control(cluster.nodes[leavers[i]], cluster.now, 1, hm_buf_view(&bytes));
        drain(&cluster, leavers[i]);
        hm_buf_fini(&bytes);
        run_for(&cluster, 12000);
        assert_true(cluster.stopped[leavers[i]]);
        cluster.dead[leavers[i]] = true;
    }
    assert_int_equal(members(&cluster, 3), 4);
    assert_int_equal(instances(&cluster, 3, "web"), 1);
    leader_of(&cluster);
    finish(&cluster);
}

static void test_a_taken_name_is_refused(void **state)
{
    (void)state;
    struct cluster cluster = {0};
    start_seven(&cluster);
    size_t twin = start(&cluster, "h1", &host_module, false);
    run_for(&cluster, 3000);
    assert_false(hm_node_is_ready(cluster.nodes[twin]));
    assert_int_equal(members(&cluster, 0), 7);
    /* Its name is free when the first one is gone. */
    cluster.dead[5] = true;
    run_for(&cluster, 15000);
    assert_true(hm_node_is_ready(cluster.nodes[twin]));
    finish(&cluster);
}

/* Everybody names everybody, each itself too, wherever it stands in the list; nobody founds. */
static void test_who_waits_to_be_let_in_asks_calmly(void **state)
{
    (void)state;
    struct cluster cluster = {0};
    for (size_t i = 0; i < 3; i++) {
        char name[] = {'c', (char)('1' + i), '\0'};
        start(&cluster, name, &control_module, false);
        hm_node_free(cluster.nodes[i]);
        struct hm_node_config *config = &cluster.configs[i];
        config->join_count = 3;
        for (size_t j = 0; j < 3; j++) {
            config->join[j] = addr_of(j);
        }
        boot(&cluster, i);
    }
    run_for(&cluster, 20000);
    assert_in_range(cluster.sent, 3 * 4, 3 * 100);
    finish(&cluster);
}

/* SIGTERM and a start again, without a quorum: it was a member all along. */
static void test_a_restart_needs_no_quorum(void **state)
{
    (void)state;
    struct cluster cluster = {0};
    start_seven(&cluster);
    cluster.dead[1] = cluster.dead[2] = true;
    hm_node_stop(cluster.nodes[5], cluster.now);
    drain(&cluster, 5);
    run_for(&cluster, 1000);
    assert_true(cluster.stopped[5]);
    struct hm_id id = hm_node_id(cluster.nodes[5]);
    hm_node_free(cluster.nodes[5]);
    boot(&cluster, 5);
    run_for(&cluster, 3000);
    struct hm_id same = hm_node_id(cluster.nodes[5]);
    assert_true(hm_id_equal(&id, &same));
    assert_true(hm_node_is_ready(cluster.nodes[5]));
    /* Its new boot reached the consumers by the push alone. */
    const struct hm_catalog_host *host = hm_catalog_host(hm_node_catalog(cluster.nodes[4]), &id);
    assert_int_equal(host->version.boot, 2);
    assert_int_equal(host->committed.boot, 1);
    finish(&cluster);
}

/* The answer was lost, or the leader with it: to all others it is a member, and anybody can say so.
 */
static void test_who_was_let_in_hears_so_without_a_quorum(void **state)
{
    (void)state;
    struct cluster cluster = {0};
    start_seven(&cluster);
    size_t late = start(&cluster, "host-late", &host_module, false);
    run_for(&cluster, 2);
    cluster.dead[late] = true; /* it has asked */
    hm_ms until = cluster.now + 200;
    while (members(&cluster, 1) < 8 && cluster.now < until) {
        step(&cluster);
    }
    assert_int_equal(members(&cluster, 1), 8);
    cluster.dead[late] = false;
    cluster.dead[1] = cluster.dead[2] = true;
    run_for(&cluster, 3000);
    assert_true(hm_node_is_ready(cluster.nodes[late]));
    finish(&cluster);
}

/* kill -9: its streams are reset at once, on whoever has one. */
static void kill_node(struct cluster *cluster, size_t number)
{
    cluster->dead[number] = true;
    for (size_t i = 0; i < cluster->count; i++) {
        if (!cluster->dead[i]) {
            hm_node_stream_down(cluster->nodes[i], cluster->now, &cluster->configs[number].addr,
                                HM_IO);
            drain(cluster, i);
        }
    }
}

/* Save where two stand for election at once, which is rare: one time in forty. */
static void test_a_dead_leader_is_hardly_noticed(void **state)
{
    (void)state;
    size_t twice = 0;
    for (uint64_t seed = 0; seed < 10; seed++) {
        struct cluster cluster = {.seed = seed * 77777};
        struct hm_arena arena = {0};
        struct hm_message message;
        start_seven(&cluster);
        kill_node(&cluster, leader_of(&cluster));
        hm_ms before = cluster.now;
        const struct hm_change_report *report = announce_on(&cluster, 5, &arena, &message);
        assert_int_equal(report->status, HM_OK);
        assert_true(report->index > 0);
        if (getenv("HM_TEST_LOG")) {
            printf("gap %llu ms\n", (unsigned long long)(cluster.now - before));
        }
        assert_true(cluster.now - before < 800);
        twice += cluster.now - before >= 250;
        hm_arena_fini(&arena);
        finish(&cluster);
    }
    assert_in_range(twice, 0, 1);
}

/* What the log refuses is offered again, but not as fast as the network carries it. */
static void test_a_refused_config_is_not_offered_in_a_loop(void **state)
{
    (void)state;
    struct cluster cluster = {0};
    start_seven(&cluster);
    cluster.warnings = 0;
    send_announce(&cluster, 5, PORT_OF_HUGE);
    run_for(&cluster, 5000);
    assert_in_range(cluster.warnings, 1, 6);
    finish(&cluster);
}

static void test_who_waits_for_changes_is_bounded(void **state)
{
    (void)state;
    struct cluster cluster = {0};
    struct hm_arena arena = {0};
    struct hm_message message;
    start_seven(&cluster);
    for (int i = 0; i < 300; i++) {
        send_announce(&cluster, 5, 9000);
    }
    assert_int_equal(
        hm_message_decode_only(hm_buf_view(&cluster.reply), HM_MSG_answer, &arena, &message),
        HM_OK);
    assert_int_equal(message.answer.status, HM_FULL);
    /* Those that hang up make room. */
    hm_node_control_closed(cluster.nodes[5], cluster.now, 1);
    run_for(&cluster, 10);
    assert_int_equal(announce_on(&cluster, 5, &arena, &message)->status, HM_OK);
    hm_arena_fini(&arena);
    finish(&cluster);
}

static void test_a_refusal_stays_one_line_of_the_log(void **state)
{
    (void)state;
    struct cluster cluster = {0};
    struct hm_buf payload = {0};
    start_seven(&cluster);
    struct hm_addr from = addr_of(9);
    hm_buf_append(&payload, (const uint8_t[16]){9}, 16);
    hm_put_u8(&payload, 0);
    hm_message_encode(
        &payload, &(struct hm_message){.kind = HM_MSG_refusal,
                                       .refusal = {.reason = hm_bytes_of_text("no\nlevel=error")}});
    cluster.warnings = 0;
    hm_node_receive(cluster.nodes[5], cluster.now, &from, false, 0, hm_buf_view(&payload));
    drain(&cluster, 5);
    assert_int_equal(cluster.warnings, 1);
    hm_buf_fini(&payload);
    finish(&cluster);
}

static void leave(struct cluster *cluster, size_t number)
{
    struct hm_buf bytes = {0};
    hm_message_encode(&bytes, &(struct hm_message){.kind = HM_MSG_leave, .leave = {.call = 1}});
    hm_node_control(cluster->nodes[number], cluster->now, 1, hm_buf_view(&bytes));
    drain(cluster, number);
    hm_buf_fini(&bytes);
    run_for(cluster, 12000);
    assert_true(cluster->stopped[number]);
    cluster->dead[number] = true;
}

/* What `status` says under a key. */
static int fact_of(struct cluster *cluster, size_t number, const char *key)
{
    struct hm_arena arena = {0};
    struct hm_message reply;
    struct hm_buf bytes = {0};
    char text[32] = "";
    hm_message_encode(&bytes, &(struct hm_message){.kind = HM_MSG_status_query});
    hm_node_control(cluster->nodes[number], cluster->now, 1, hm_buf_view(&bytes));
    drain(cluster, number);
    assert_int_equal(
        hm_message_decode_only(hm_buf_view(&cluster->reply), HM_MSG_status_reply, &arena, &reply),
        HM_OK);
    for (uint32_t i = 0; i < reply.status_reply.facts_count; i++) {
        const struct hm_pair *fact = &reply.status_reply.facts[i];
        if (hm_bytes_equal(fact->key, hm_bytes_of_text(key))) {
            snprintf(text, sizeof text, "%.*s", (int)fact->value.size,
                     (const char *)fact->value.data);
        }
    }
    assert_true(text[0] != 0);
    hm_arena_fini(&arena);
    hm_buf_fini(&bytes);
    return atoi(text);
}

/* One voter and one learner, for there are never two: the learner takes over. */
static void test_the_only_voter_can_leave(void **state)
{
    (void)state;
    struct cluster cluster = {0};
    start(&cluster, "c1", &control_module, true);
    start(&cluster, "c2", &control_module, false);
    start(&cluster, "d1", &dns_module, false);
    run_for(&cluster, 15000);
    assert_int_equal(fact_of(&cluster, 0, "control.voters"), 1);
    leave(&cluster, 0);
    assert_true(hm_node_is_leader(cluster.nodes[1]));
    assert_int_equal(members(&cluster, 2), 2);
    assert_int_equal(fact_of(&cluster, 1, "control.voters"), 1);
    assert_int_equal(fact_of(&cluster, 1, "control.learners"), 0);
    finish(&cluster);
}

/* However many hosts have left before, a voter that leaves is no voter any more. */
static void test_leaves_of_hosts_hide_no_voter(void **state)
{
    (void)state;
    struct cluster cluster = {0};
    start_seven(&cluster);
    for (int i = 0; i < 66; i++) {
        leave(&cluster, 6);
        hm_node_free(cluster.nodes[6]);
        cluster.stopped[6] = false;
        hm_buf_clear(&cluster.identities[6]);
        boot(&cluster, 6);
        run_for(&cluster, 2000);
    }
    size_t leader = leader_of(&cluster);
    leave(&cluster, leader == 2 ? 1 : 2);
    assert_int_equal(fact_of(&cluster, leader_of(&cluster), "control.voters"), 2);
    finish(&cluster);
}

/* ---- events for the roles ---- */

static const char *told_to(struct cluster *cluster, size_t number)
{
    static char text[64];
    struct hm_arena arena = {0};
    struct hm_message message;
    struct hm_buf bytes = {0};
    hm_message_encode(&bytes, &(struct hm_message){.kind = HM_MSG_withdraw});
    hm_node_control(cluster->nodes[number], cluster->now, 1, hm_buf_view(&bytes));
    drain(cluster, number);
    assert_int_equal(
        hm_message_decode_only(hm_buf_view(&cluster->reply), HM_MSG_answer, &arena, &message),
        HM_OK);
    snprintf(text, sizeof text, "%.*s", (int)message.answer.reason.size,
             (const char *)message.answer.reason.data);
    hm_arena_fini(&arena);
    hm_buf_fini(&bytes);
    return text;
}

static enum hm_status emit_on(struct cluster *cluster, size_t number, const char *name,
                              size_t data_bytes)
{
    static const uint8_t data[1024];
    struct hm_arena arena = {0};
    struct hm_message message;
    struct hm_buf bytes = {0};
    hm_message_encode(&bytes, &(struct hm_message){.kind = HM_MSG_emit,
                                                   .emit = {.name = hm_bytes_of_text(name),
                                                            .data = {data, data_bytes}}});
    hm_buf_clear(&cluster->reply);
    hm_node_control(cluster->nodes[number], cluster->now, 1, hm_buf_view(&bytes));
    drain(cluster, number);
    for (hm_ms until = cluster->now + 6000; cluster->reply.size == 0 && cluster->now < until;) {
        step(cluster);
    }
    assert_int_equal(
        hm_message_decode_only(hm_buf_view(&cluster->reply), HM_MSG_answer, &arena, &message),
        HM_OK);
    enum hm_status status = (enum hm_status)message.answer.status;
    assert_true((message.answer.index != 0) == (status == HM_OK));
    hm_arena_fini(&arena);
    hm_buf_fini(&bytes);
    return status;
}

static void test_every_role_is_told_of_events_once_and_in_order(void **state)
{
    (void)state;
    struct cluster cluster = {0};
    start_seven(&cluster);
    size_t before[7];
    for (size_t i = 0; i < 7; i++) {
        before[i] = strlen(told_to(&cluster, i));
    }
    assert_int_equal(emit_on(&cluster, 5, "a", 512), HM_OK); /* a host */
    assert_int_equal(emit_on(&cluster, 0, "b", 0), HM_OK);   /* of the control plane */
    cluster.dead[6] = true;
    run_for(&cluster, 10000);
    assert_int_equal(emit_on(&cluster, 3, "c", 0), HM_OK); /* a consumer */
    run_for(&cluster, 2000);
    for (size_t i = 0; i < 6; i++) {
        assert_string_equal(told_to(&cluster, i) + before[i], "ab-c");
    }
    /* What a control node reads again in its log when it starts is no news. */
    hm_node_free(cluster.nodes[1]);
    boot(&cluster, 1);
    run_for(&cluster, 5000);
    assert_string_equal(told_to(&cluster, 1), "");
    assert_int_equal(emit_on(&cluster, 1, "d", 0), HM_OK);
    run_for(&cluster, 1000);
    assert_string_equal(told_to(&cluster, 1), "d");
    finish(&cluster);
}

static void test_events_of_one_moment_travel_together(void **state)
{
    (void)state;
    struct cluster cluster = {0};
    struct hm_buf bytes = {0};
    start_seven(&cluster);
    size_t leader = leader_of(&cluster);
    size_t before = cluster.datagrams[5];
    size_t told = strlen(told_to(&cluster, 5));
    hm_message_encode(
        &bytes, &(struct hm_message){.kind = HM_MSG_emit,
                                     .emit = {.name = hm_bytes_of_text("e"), .timeout_ms = 1000}});
    for (int i = 0; i < 20; i++) {
        hm_node_control(cluster.nodes[leader], cluster.now, 1, hm_buf_view(&bytes));
    }
    drain(&cluster, leader);
    run_for(&cluster, 100);
    assert_string_equal(told_to(&cluster, 5) + told, "eeeeeeeeeeeeeeeeeeee");
    assert_in_range(cluster.datagrams[5] - before, 1, 19);
    hm_buf_fini(&bytes);
    finish(&cluster);
}

static void test_what_cannot_be_emitted_is_refused(void **state)
{
    (void)state;
    struct cluster cluster = {0};
    char name[300];
    start_seven(&cluster);
    memset(name, 'n', sizeof name);
    name[256] = '\0';
    assert_int_equal(emit_on(&cluster, 5, name, 0), HM_BAD_ARGUMENT);
    name[255] = '\0';
    assert_int_equal(emit_on(&cluster, 5, name, 0), HM_OK);
    assert_int_equal(emit_on(&cluster, 5, "", 0), HM_BAD_ARGUMENT);
    assert_int_equal(emit_on(&cluster, 5, "two\nlines", 0), HM_BAD_ARGUMENT);
    assert_int_equal(emit_on(&cluster, 5, "big", 513), HM_TOO_LARGE);
    cluster.dead[0] = cluster.dead[1] = true;
    assert_int_equal(emit_on(&cluster, 5, "late", 0), HM_NO_QUORUM);
    finish(&cluster);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_seven_nodes_become_a_cluster),
        cmocka_unit_test(test_the_dead_are_removed),
        cmocka_unit_test(test_a_crash_is_noticed_by_who_holds_a_stream),
        cmocka_unit_test(test_a_dead_leader_is_followed_by_another),
        cmocka_unit_test(test_without_quorum_nothing_is_removed),
        cmocka_unit_test(test_an_announcement_is_reported),
        cmocka_unit_test(test_a_report_waits_for_no_dead_control_node),
        cmocka_unit_test(test_a_change_waits_for_the_election_alone),
        cmocka_unit_test(test_without_quorum_a_change_is_pushed),
        cmocka_unit_test(test_any_node_can_leave),
        cmocka_unit_test(test_a_taken_name_is_refused),
        cmocka_unit_test(test_who_waits_to_be_let_in_asks_calmly),
        cmocka_unit_test(test_a_restart_needs_no_quorum),
        cmocka_unit_test(test_who_was_let_in_hears_so_without_a_quorum),
        cmocka_unit_test(test_a_dead_leader_is_hardly_noticed),
        cmocka_unit_test(test_a_refused_config_is_not_offered_in_a_loop),
        cmocka_unit_test(test_who_waits_for_changes_is_bounded),
        cmocka_unit_test(test_a_refusal_stays_one_line_of_the_log),
        cmocka_unit_test(test_the_only_voter_can_leave),
        cmocka_unit_test(test_leaves_of_hosts_hide_no_voter),
        cmocka_unit_test(test_every_role_is_told_of_events_once_and_in_order),
        cmocka_unit_test(test_events_of_one_moment_travel_together),
        cmocka_unit_test(test_what_cannot_be_emitted_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
