/* The state machine: which requests are granted, what they emit, and that a snapshot is all of it.
 */
#include "core/base/memory.h"
#include "core/log/replica.h"
#include "core/state/state.h"
#include "tests/unit/state_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void test_joins_are_decided(void **unused)
{
    (void)unused;
    struct hm_state *state = founded();
    assert_int_equal(join(state, 2, "web1").status, HM_OK);
    struct hm_outcome taken = join(state, 3, "WEB1");
    assert_int_equal(taken.status, HM_NAME_TAKEN);
    assert_non_null(strstr(taken.reason, "10.0.0.2"));
    assert_int_equal(taken.events, 0);
    /* The same node again has restarted: that is no event. */
    struct hm_outcome again = join(state, 2, "web1");
    assert_int_equal(again.status, HM_OK);
    assert_int_equal(again.events, 0);
    assert_int_equal(hm_state_view(state)->members.count, 2);
    /* A wrong cluster and a bad name are told. */
    struct hm_message foreign = {
        .kind = HM_MSG_request_join,
        .request_join = {.member = member_of(9, "x"), .cluster = CLUSTER + 1}};
    assert_int_equal(apply(state, 9, 0, &foreign).status, HM_WRONG_CLUSTER);
    assert_int_equal(join(state, 9, "not a label").status, HM_BAD_ARGUMENT);
    /* The name is free once its holder has left. */
    struct hm_message leave = {.kind = HM_MSG_request_leave, .request_leave = {.id = id_of(2)}};
    assert_int_equal(apply(state, 2, 0, &leave).events, 1);
    assert_int_equal(join(state, 3, "WEB1").status, HM_OK);
    free_state(state);
}

/* A refusal keeps nobody else of the batch out, nor does one that asks twice. */
static void test_joins_are_decided_each_by_itself(void **unused)
{
    (void)unused;
    struct hm_state *state = founded();
    struct hm_joiner joiners[] = {
        {.member = member_of(2, "web1")},
        {.member = member_of(3, "WEB1")},
        {.member = member_of(4, "web2")},
        {.member = member_of(4, "web2")},
        {.member = member_of(5, "web3"), .cluster = CLUSTER + 1},
    };
    struct hm_message batch = {.kind = HM_MSG_request_joins,
                               .request_joins = {.joiners = joiners, .joiners_count = 5}};
    struct hm_outcome outcome = apply(state, 1, 0, &batch);
    assert_int_equal(outcome.events, 2);
    assert_int_equal(outcome.status, HM_WRONG_CLUSTER);
    const struct hm_view *view = hm_state_view(state);
    assert_int_equal(view->total, 3);
    assert_int_equal(view->members.count, 3);
    struct hm_id id = id_of(4);
    assert_int_equal(hm_members_find(&view->members, &id)->joined, view->index);
    assert_true(hm_id_equal(&hm_state_event(state, view->index)->origin, &id));
    free_state(state);
}

static void test_a_restart_elsewhere_is_a_change(void **unused)
{
    (void)unused;
    struct hm_state *state = founded();
    join(state, 2, "web1");
    struct hm_message moved = {.kind = HM_MSG_request_join,
                               .request_join = {.member = member_of(2, "web1")}};
    moved.request_join.member.addr.ip[3] = 200;
    moved.request_join.member.boot = 2;
    assert_int_equal(apply(state, 2, 0, &moved).events, 1);
    struct hm_id id = id_of(2);
    const struct hm_member *member = hm_members_find(&hm_state_view(state)->members, &id);
    assert_int_equal(member->addr.ip[3], 200);
    /* So is another release: the feature level rises only when all are known to support it. */
    moved.request_join.member.feature++;
    assert_int_equal(apply(state, 2, 0, &moved).events, 1);
    assert_int_equal(apply(state, 2, 0, &moved).events, 0);
    member = hm_members_find(&hm_state_view(state)->members, &id);
    assert_int_equal(member->feature, HM_FEATURE_LEVEL + 1);
    /* An old copy of the data directory is refused. */
    assert_int_equal(join(state, 2, "web1").status, HM_STALE);
    free_state(state);
}

static struct hm_outcome join_with(struct hm_state *state, uint8_t number, const char *name,
                                   uint32_t feature)
{
    struct hm_message request = {.kind = HM_MSG_request_join,
                                 .request_join = {.member = member_of(number, name)}};
    request.request_join.member.feature = feature;
    return apply(state, number, 0, &request);
}

static void test_the_feature_level_rises_when_all_support_it(void **unused)
{
    (void)unused;
    struct hm_state *state = founded();
    uint32_t low = HM_FEATURE_LEVEL;
    uint32_t next = low + 1;
    assert_int_equal(hm_state_feature(state), low);
    /* A cluster of two releases: one by one its members come back with the next. */
    assert_int_equal(join_with(state, 2, "web1", next + 1).status, HM_OK);
    assert_int_equal(join_with(state, 3, "web2", low).status, HM_OK);
    assert_int_equal(join_with(state, 1, "c1", next).status, HM_OK);
    assert_int_equal(hm_state_feature(state), low);
    assert_int_equal(join_with(state, 4, "old", low - 1).status, HM_WRONG_FEATURE);
    /* The last one that lacks it goes. */
    apply(state, 1, 0,
          &(struct hm_message){.kind = HM_MSG_request_leave, .request_leave = {.id = id_of(3)}});
    assert_int_equal(hm_state_feature(state), next);
    /* From now on the older release is out, also as a member that went back to it. */
    struct hm_outcome refused = join_with(state, 3, "web2", low);
    assert_int_equal(refused.status, HM_WRONG_FEATURE);
    assert_int_equal(refused.events, 0);
    assert_int_equal(join_with(state, 2, "web1", low).status, HM_WRONG_FEATURE);
    assert_int_equal(join_with(state, 4, "web3", next + 1).status, HM_OK);
    assert_int_equal(hm_state_feature(state), next);
    /* It is part of the state. */
    struct hm_buf snapshot = {0};
    struct hm_state *other = new_state();
    hm_replica_snapshot(replica_of(state), true, &snapshot);
    assert_int_equal(hm_replica_install(replica_of(other), hm_buf_view(&snapshot)), HM_OK);
    assert_int_equal(hm_state_feature(other), next);
    hm_buf_fini(&snapshot);
    free_state(other);
    free_state(state);
}

static void test_old_versions_change_nothing(void **unused)
{
    (void)unused;
    struct hm_state *state = founded();
    join(state, 2, "a");
    uint64_t index = change_host(state, 2, 5, "", "").index;
    struct hm_outcome late = change_host(state, 2, 4, "", "");
    assert_int_equal(late.events, 0);
    assert_int_equal(late.index, index);
    assert_int_equal(change_host(state, 9, 1, "", "").status, HM_REMOVED);
    free_state(state);
}

static void test_conditions_and_retries(void **unused)
{
    (void)unused;
    struct hm_state *state = founded();
    struct hm_change change = {.scope = hm_name_of("zones"),
                               .key = hm_bytes_of_text("a.test"),
                               .present = true,
                               .value = hm_bytes_of_text("1")};
    struct hm_condition absent = {.scope = hm_name_of("zones"), .key = hm_bytes_of_text("a.test")};
    struct hm_message write = write_of(&change, &absent);
    assert_int_equal(apply(state, 1, 1, &write).status, HM_OK);
    /* A retry under the same seq is not applied again: it would be a conflict. */
    struct hm_outcome retry = apply(state, 1, 1, &write);
    assert_int_equal(retry.status, HM_OK);
    assert_int_equal(retry.events, 0);
    assert_int_equal(apply(state, 1, 2, &write).status, HM_CONFLICT);
    /* What fell out of the window is never applied again. */
    assert_int_equal(
        apply(state, 1, 100, &(struct hm_message){.kind = HM_MSG_request_leave}).status, HM_OK);
    assert_int_equal(apply(state, 1, 3, &write).status, HM_SESSION_EXPIRED);
    change.scope = hm_name_of(HM_SCOPE_HOSTS);
    write = write_of(&change, NULL);
    assert_int_equal(apply(state, 1, 101, &write).status, HM_DENIED);
    free_state(state);
}

static void test_a_snapshot_is_the_whole_state(void **unused)
{
    (void)unused;
    struct hm_state *state = founded();
    for (uint8_t i = 2; i < 60; i++) {
        char name[16];
        snprintf(name, sizeof name, "h%u", i);
        join(state, i, name);
        change_host(state, i, 1, i % 3 ? "" : name, "web");
    }
    struct hm_buf first = {0};
    struct hm_buf second = {0};
    struct hm_state *copy = new_state();
    hm_replica_snapshot(replica_of(state), true, &first);
    assert_int_equal(hm_replica_install(replica_of(copy), hm_buf_view(&first)), HM_OK);
    hm_replica_snapshot(replica_of(copy), true, &second);
    assert_true(hm_bytes_equal(hm_buf_view(&first), hm_buf_view(&second)));
    /* And it goes on the same way. */
    for (uint8_t i = 2; i < 60; i += 2) {
        struct hm_message leave = {.kind = HM_MSG_request_leave, .request_leave = {.id = id_of(i)}};
        assert_int_equal(apply(state, i, 0, &leave).events, apply(copy, i, 0, &leave).events);
    }
    hm_buf_clear(&first);
    hm_buf_clear(&second);
    hm_replica_snapshot(replica_of(state), true, &first);
    hm_replica_snapshot(replica_of(copy), true, &second);
    assert_true(hm_bytes_equal(hm_buf_view(&first), hm_buf_view(&second)));
    /* A cut snapshot is refused and changes nothing. */
    first.size--;
    assert_int_equal(hm_replica_install(replica_of(copy), hm_buf_view(&first)), HM_BAD_BYTES);
    hm_buf_clear(&first);
    hm_replica_snapshot(replica_of(copy), true, &first);
    assert_true(hm_bytes_equal(hm_buf_view(&first), hm_buf_view(&second)));
    hm_buf_fini(&first);
    hm_buf_fini(&second);
    free_state(state);
    free_state(copy);
}

/* Whoever is told the events has what a voter has. */
static void test_a_view_follows_by_events_alone(void **unused)
{
    (void)unused;
    struct hm_state *state = founded();
    struct hm_view view = {0};
    join(state, 2, "a");
    change_host(state, 2, 1, "v.test", "web");
    change_host(state, 2, 2, "", "web");
    uint64_t oldest;
    uint64_t newest;
    hm_state_events_held(state, &oldest, &newest);
    assert_int_equal(oldest, 1);
    for (int round = 0; round < 2; round++) { /* told twice: the second time changes nothing */
        for (uint64_t i = oldest; i <= newest; i++) {
            assert_int_equal(hm_view_evolve(&view, hm_state_event(state, i)), HM_OK);
        }
    }
    const struct hm_view *voter = hm_state_view(state);
    struct hm_name hosts = hm_name_of(HM_SCOPE_HOSTS);
    struct hm_name vhosts = hm_name_of(HM_SCOPE_VHOSTS);
    assert_int_equal(view.members.count, voter->members.count);
    assert_int_equal(view.records.count, voter->records.count);
    assert_int_equal(hm_records_version(&view.records, &hosts), 2);
    assert_int_equal(hm_records_version(&view.records, &vhosts), 2);
    assert_int_equal(view.state_position, voter->state_position);
    hm_view_fini(&view);
    free_state(state);
}

static void test_old_events_make_room(void **unused)
{
    (void)unused;
    struct hm_state *state = founded();
    join(state, 2, "a");
    for (uint64_t seq = 1; seq <= HM_STATE_EVENTS_MAX + 10; seq++) {
        change_host(state, 2, seq, "", "");
    }
    uint64_t oldest;
    uint64_t newest;
    hm_state_events_held(state, &oldest, &newest);
    assert_int_equal(newest - oldest + 1, HM_STATE_EVENTS_MAX);
    assert_null(hm_state_event(state, oldest - 1));
    assert_int_equal(hm_state_event(state, oldest)->index, oldest);
    assert_int_equal(hm_state_event(state, newest)->index, newest);
    free_state(state);
}

/* A retry whose first copy was applied, its answer lost with the leader. */
static void test_a_retried_host_config_is_told_its_index(void **unused)
{
    (void)unused;
    struct hm_state *state = founded();
    join(state, 2, "a");
    join(state, 3, "b");
    change_host(state, 2, 1, "shop.test", "shop");
    struct hm_claim claim = {.key = hm_bytes_of_text("shop.test"), .owner = hm_name_of("evil")};
    struct hm_message request = {.kind = HM_MSG_request_host,
                                 .request_host = {.state = {.host = id_of(3), .version = {1, 1}},
                                                  .claims = &claim,
                                                  .claims_count = 1}};
    struct hm_outcome first = apply(state, 3, 7, &request);
    struct hm_outcome again = apply(state, 3, 7, &request);
    assert_int_equal(first.events, 1);
    assert_int_equal(again.events, 0);
    assert_int_equal(again.status, HM_OK);
    assert_int_equal(again.index, first.index);
    assert_string_equal(again.reason, "shop.test belongs to service shop");
    free_state(state);
}

/* Everything that a request emits is still held when it is told. */
static void assert_all_held(const struct hm_state *state, const struct hm_outcome *outcome)
{
    uint64_t newest = hm_state_view(state)->index;
    assert_true(outcome->events <= HM_STATE_EVENTS_MAX);
    if (outcome->events) {
        assert_non_null(hm_state_event(state, newest - outcome->events + 1));
    }
}

static struct hm_outcome claim_many(struct hm_state *state, uint8_t number, uint64_t seq,
                                    const char *prefix)
{
    static char keys[4096][24];
    static struct hm_claim claims[4096];
    for (size_t i = 0; i < 4096; i++) {
        snprintf(keys[i], sizeof keys[i], "%s%u-%zu", prefix, number, i);
        claims[i] = (struct hm_claim){hm_bytes_of_text(keys[i]), hm_name_of("web")};
    }
    return apply(
        state, number, 0,
        &(struct hm_message){.kind = HM_MSG_request_host,
                             .request_host = {.state = {.host = id_of(number), .version = {1, seq}},
                                              .claims = claims,
                                              .claims_count = 4096}});
}

static void test_no_request_emits_more_than_is_held(void **unused)
{
    (void)unused;
    struct hm_state *state = founded();
    struct hm_node_ref gone[6];
    for (uint8_t i = 0; i < 6; i++) {
        char name[8];
        snprintf(name, sizeof name, "h%u", i);
        gone[i].id = id_of(i + 2);
        join(state, i + 2, name);
        struct hm_outcome claimed = claim_many(state, i + 2, 1, "old");
        assert_int_equal(claimed.status, HM_OK);
        assert_non_null(strstr(claimed.reason, "at most"));
        assert_all_held(state, &claimed);
        claimed = claim_many(state, i + 2, 2, "new");
        assert_all_held(state, &claimed);
    }
    struct hm_message fail = {.kind = HM_MSG_request_fail,
                              .request_fail = {.nodes = gone, .nodes_count = 6}};
    for (int round = 0; round < 6; round++) { /* what one leaves out the next takes */
        struct hm_outcome failed = apply(state, 1, 0, &fail);
        assert_all_held(state, &failed);
    }
    assert_int_equal(hm_state_view(state)->members.count, 1);
    assert_int_equal(hm_state_view(state)->records.count, 0);
    free_state(state);
}

/* One write may not open more scopes than there is room for, and the core's always have some. */
static void test_scopes_are_bounded(void **unused)
{
    (void)unused;
    struct hm_state *state = founded();
    static struct hm_change changes[256];
    for (size_t i = 0; i < 256; i++) {
        char name[16];
        snprintf(name, sizeof name, "scope%zu", i);
        changes[i] = (struct hm_change){
            .scope = hm_name_of(name), .key = hm_bytes_of_text("k"), .present = true};
    }
    struct hm_message write = {.kind = HM_MSG_request_write,
                               .request_write = {.changes = changes, .changes_count = 256}};
    assert_int_equal(apply(state, 1, 1, &write).status, HM_FULL);
    write.request_write.changes_count = HM_SCOPES_MAX - 5;
    assert_int_equal(apply(state, 1, 2, &write).status, HM_OK);
    assert_int_equal(apply(state, 1, 3, &write).status, HM_OK); /* they are there now */
    write = write_of(&changes[255], NULL);
    assert_int_equal(apply(state, 1, 4, &write).status, HM_FULL);
    join(state, 2, "a");
    assert_int_equal(change_host(state, 2, 1, "v.test", "web").status, HM_OK);
    assert_string_equal(owner_of(state, "v.test"), "web");
    /* Who is told of more holds the records and counts no versions. */
    struct hm_records records = {0};
    for (int i = 0; i < HM_SCOPES_MAX + 5; i++) {
        char name[16];
        snprintf(name, sizeof name, "lie%d", i);
        struct hm_scope lie = {.name = hm_name_of(name), .version = 7};
        hm_records_load_scope(&records, &lie);
        hm_records_put(&records, &lie.name, hm_bytes_of_text("k"), hm_bytes_of_text("v"), 1);
    }
    assert_int_equal(records.scope_count, HM_SCOPES_MAX);
    hm_records_fini(&records);
    free_state(state);
}

/* A session is a member's: strangers open none, and their writes are not made. */
static void test_strangers_open_no_session(void **unused)
{
    (void)unused;
    struct hm_state *state = founded();
    struct hm_buf before = {0};
    struct hm_buf after = {0};
    struct hm_change change = {
        .scope = hm_name_of("zones"), .key = hm_bytes_of_text("a"), .present = true};
    struct hm_message write = write_of(&change, NULL);
    struct hm_message leave = {.kind = HM_MSG_request_leave, .request_leave = {.id = id_of(9)}};
    apply(state, 1, 300, &leave);
    hm_state_machine.snapshot(state, &before);
    for (uint8_t i = 2; i < 200; i++) {
        assert_int_equal(apply(state, i, 1, &leave).status, HM_OK);
        assert_int_equal(apply(state, i, 2, &write).status, HM_SESSION_EXPIRED);
    }
    hm_state_machine.snapshot(state, &after);
    assert_true(hm_bytes_equal(hm_buf_view(&before), hm_buf_view(&after)));
    assert_int_equal(replica_of(state)->sessions.count, 1);
    hm_buf_fini(&before);
    hm_buf_fini(&after);
    free_state(state);
}

/* "ADDRESS ROLE", with " failed" where it has; "none" where there is no record. */
static const char *place_of(const struct hm_state *state, const char *name)
{
    static char text[128];
    char addr[HM_ADDR_TEXT_BYTES];
    struct hm_arena arena = {0};
    struct hm_message message;
    struct hm_name scope = hm_name_of(HM_SCOPE_CONSUMERS);
    const struct hm_record *record =
        hm_records_find(&hm_state_view(state)->records, &scope, hm_bytes_of_text(name));
    if (!record) {
        return "none";
    }
    assert_int_equal(hm_message_decode_only(record->value, HM_MSG_consumer, &arena, &message),
                     HM_OK);
    snprintf(text, sizeof text, "%s %s%s", hm_addr_format_ip(&message.consumer.addr, addr),
             message.consumer.roles[0].name.text, message.consumer.failed ? " failed" : "");
    hm_arena_fini(&arena);
    return text;
}

static struct hm_outcome join_consumer(struct hm_state *state, uint8_t number, const char *name,
                                       uint8_t ip)
{
    struct hm_label role = {hm_name_of("dns")};
    struct hm_message message = {.kind = HM_MSG_request_join,
                                 .request_join = {.member = member_of(number, name)}};
    struct hm_member *member = &message.request_join.member;
    member->addr.ip[3] = ip;
    member->feeds = HM_MEMBER_CARRIES_STATE | HM_MEMBER_CONSUMES;
    member->roles = &role;
    member->roles_count = 1;
    return apply(state, number, 0, &message);
}

static void fail_member(struct hm_state *state, uint8_t number)
{
    struct hm_node_ref gone = {id_of(number)};
    apply(state, 1, 0,
          &(struct hm_message){.kind = HM_MSG_request_fail,
                               .request_fail = {.nodes = &gone, .nodes_count = 1}});
}

static void test_a_failure_takes_no_consumers_place(void **unused)
{
    (void)unused;
    struct hm_state *state = founded();
    struct hm_name scope = hm_name_of(HM_SCOPE_CONSUMERS);
    struct hm_outcome joined = join_consumer(state, 2, "DNS-1", 2);
    assert_int_equal(joined.events, 2);
    assert_int_equal(joined.index, hm_state_view(state)->index - 1); /* of the join itself */
    assert_string_equal(place_of(state, "dns-1"), "10.0.0.2 dns");
    join(state, 3, "web-1");
    assert_string_equal(place_of(state, "web-1"), "none"); /* it consumes nothing */
    fail_member(state, 2);
    assert_string_equal(place_of(state, "dns-1"), "10.0.0.2 dns failed");
    join_consumer(state, 2, "DNS-1", 2);
    assert_string_equal(place_of(state, "dns-1"), "10.0.0.2 dns");
    join_consumer(state, 2, "DNS-1", 22); /* restarted elsewhere, and under another name */
    assert_string_equal(place_of(state, "dns-1"), "10.0.0.22 dns");
    join_consumer(state, 2, "dns-x", 22);
    assert_string_equal(place_of(state, "dns-1"), "none");
    assert_string_equal(place_of(state, "dns-x"), "10.0.0.22 dns");
    uint64_t version = hm_records_version(&hm_state_view(state)->records, &scope);
    join_consumer(state, 2, "dns-x", 22); /* nothing new, nothing said */
    assert_int_equal(hm_records_version(&hm_state_view(state)->records, &scope), version);
    struct hm_message leave = {.kind = HM_MSG_request_leave, .request_leave = {.id = id_of(2)}};
    apply(state, 2, 0, &leave);
    assert_string_equal(place_of(state, "dns-x"), "none");
    /* A failed one's name goes to a node that is no consumer. */
    join_consumer(state, 4, "dns-2", 4);
    fail_member(state, 4);
    join(state, 5, "dns-2");
    assert_string_equal(place_of(state, "dns-2"), "none");
    /* Nobody writes there. */
    struct hm_change change = {.scope = scope, .key = hm_bytes_of_text("dns-3"), .present = true};
    struct hm_message write = write_of(&change, NULL);
    assert_int_equal(apply(state, 1, 1, &write).status, HM_DENIED);
    free_state(state);
}

static void test_few_failed_consumers_are_kept(void **unused)
{
    (void)unused;
    struct hm_state *state = founded();
    char name[16];
    for (uint8_t i = 0; i < HM_STATE_CONSUMERS_FAILED_MAX + 2; i++) {
        snprintf(name, sizeof name, "d%u", 90 - i);
        join_consumer(state, i + 10, name, i + 10);
        fail_member(state, i + 10);
    }
    assert_string_equal(place_of(state, "d90"), "none"); /* those that failed first */
    assert_string_equal(place_of(state, "d89"), "none");
    assert_string_equal(place_of(state, "d88"), "10.0.0.12 dns failed");
    assert_int_equal(hm_state_view(state)->records.count, HM_STATE_CONSUMERS_FAILED_MAX);
    free_state(state);
}

/* ---- lite hosts ---- */

static struct hm_outcome keep(struct hm_state *state, uint8_t keeper, uint8_t number,
                              const char *name, uint64_t seq, const char *vhost)
{
    struct hm_claim claim = {.key = hm_bytes_of_text(vhost), .owner = hm_name_of("web")};
    struct hm_lite lite = {.id = id_of(number),
                           .name = hm_name_of(name),
                           .addr = {.family = 4, .ip = {10, 0, 1, number}, .port = 4000},
                           .keeper = id_of(keeper),
                           .lease_ms = 15000};
    return apply(
        state, keeper, 0,
        &(struct hm_message){.kind = HM_MSG_request_keep,
                             .request_keep = {.lite = lite,
                                              .state = {.host = lite.id,
                                                        .version = {1, seq},
                                                        .config = hm_bytes_of_text("config")},
                                              .claims = &claim,
                                              .claims_count = vhost[0] ? 1 : 0}});
}

static struct hm_outcome lapse(struct hm_state *state, uint8_t keeper, uint8_t number,
                               const char *name, uint64_t seq, bool expired)
{
    return apply(state, keeper, 0,
                 &(struct hm_message){.kind = HM_MSG_request_lapse,
                                      .request_lapse = {.id = id_of(number),
                                                        .name = hm_name_of(name),
                                                        .version = {1, seq},
                                                        .expired = expired}});
}

static void test_lite_hosts_have_names_and_keepers(void **unused)
{
    (void)unused;
    struct hm_state *state = founded();
    struct hm_lite lite;
    struct hm_name name = hm_name_of("CAM");
    join(state, 2, "dns");
    assert_int_equal(keep(state, 2, 50, "cam", 2, "cam.test").events, 2);
    assert_true(hm_view_lite(hm_state_view(state), &name, &lite)); /* without case */
    assert_string_equal(owner_of(state, "cam.test"), "web");
    assert_int_equal(keep(state, 2, 50, "cam", 2, "cam.test").events, 0); /* a retry */
    assert_int_equal(keep(state, 1, 50, "cam", 2, "cam.test").events, 1); /* another keeper */
    assert_int_equal(keep(state, 1, 50, "cam", 4, "").events, 2);         /* a change */
    assert_string_equal(owner_of(state, "cam.test"), "nobody");
    assert_int_equal(keep(state, 1, 50, "cam", 2, "").status, HM_STALE);
    /* Names and ids are one host's. */
    struct hm_outcome taken = keep(state, 2, 51, "Cam", 2, "");
    assert_int_equal(taken.status, HM_NAME_TAKEN);
    assert_non_null(strstr(taken.reason, "10.0.1.50:4000"));
    assert_int_equal(keep(state, 2, 52, "DNS", 2, "").status, HM_NAME_TAKEN);
    assert_int_equal(join(state, 3, "cam").status, HM_NAME_TAKEN);
    assert_int_equal(keep(state, 2, 50, "other", 6, "").status, HM_EXISTS);
    assert_int_equal(keep(state, 2, 2, "other", 6, "").status, HM_EXISTS);
    assert_int_equal(keep(state, 2, 53, "a.b", 2, "").status, HM_BAD_ARGUMENT);
    /* Nobody keeps in another's name, nor who is no member. */
    assert_int_equal(keep(state, 9, 54, "stray", 2, "").status, HM_DENIED);
    assert_int_equal(hm_state_view(state)->members.count, 2);
    free_state(state);
}

static void test_lite_hosts_end_once_and_by_the_right_word(void **unused)
{
    (void)unused;
    struct hm_state *state = founded();
    struct hm_buf snapshot = {0};
    struct hm_message dns = {.kind = HM_MSG_request_join,
                             .request_join = {.member = member_of(2, "dns")}};
    dns.request_join.member.feeds = 3;
    assert_int_equal(apply(state, 2, 0, &dns).status, HM_OK);
    keep(state, 2, 50, "cam", 4, "cam.test");
    assert_int_equal(lapse(state, 1, 50, "cam", 5, true).status, HM_DENIED); /* not its keeper */
    assert_int_equal(lapse(state, 2, 50, "cam", 3, true).status, HM_STALE);  /* it came back */
    assert_int_equal(lapse(state, 2, 51, "cam", 5, true).events, 0);         /* another id */
    struct hm_outcome gone = lapse(state, 2, 50, "cam", 5, true);
    assert_int_equal(gone.status, HM_OK);
    assert_int_equal(gone.events, 2); /* and its virtual host is free */
    struct hm_lite lite;
    struct hm_name name = hm_name_of("cam");
    assert_false(hm_view_lite(hm_state_view(state), &name, &lite));
    assert_string_equal(owner_of(state, "cam.test"), "nobody");
    assert_int_equal(lapse(state, 2, 50, "cam", 5, true).events, 0);
    keep(state, 2, 50, "cam", 6, "");
    assert_int_equal(lapse(state, 1, 50, "cam", 7, false).events, 1); /* its own word */
    assert_int_equal(keep(state, 2, 50, "cam", 2, "").status, HM_OK); /* begun anew */
    struct hm_message leave = {.kind = HM_MSG_request_leave, .request_leave = {.id = id_of(2)}};
    assert_int_equal(lapse(state, 1, 50, "cam", 3, true).status, HM_DENIED);
    assert_int_equal(apply(state, 2, 0, &leave).status, HM_OK);
    assert_int_equal(lapse(state, 1, 50, "cam", 3, true).events, 1); /* its keeper is gone */
    assert_int_equal(keep(state, 1, 50, "cam", 2, "").status, HM_OK);
    hm_state_machine.snapshot(state, &snapshot);
    struct hm_state *other = new_state();
    assert_int_equal(hm_state_machine.install(other, hm_buf_view(&snapshot)), HM_OK);
    assert_int_equal(keep(other, 1, 51, "cam", 2, "").status, HM_NAME_TAKEN);
    free_state(other);
    hm_buf_fini(&snapshot);
    free_state(state);
}

/* A survivor goes on: a new epoch that names the one before, the other control nodes are out, who
 * serves stays, and no version of a scope is told twice. */
static void test_a_survivor_goes_on(void **unused)
{
    (void)unused;
    struct hm_state *state = founded();
    struct hm_label control = {hm_name_of("control")};
    struct hm_name scope = hm_name_of(HM_SCOPE_HOSTS);
    for (uint8_t i = 2; i <= 3; i++) {
        struct hm_message request = {
            .kind = HM_MSG_request_join,
            .request_join = {.member = member_of(i, i == 2 ? "c2" : "c3")}};
        request.request_join.member.roles = &control;
        request.request_join.member.roles_count = 1;
        assert_int_equal(apply(state, i, 0, &request).status, HM_OK);
    }
    join(state, 4, "web1");
    assert_int_equal(change_host(state, 4, 1, "", "").status, HM_OK);
    const struct hm_view *view = hm_state_view(state);
    uint64_t index = view->index;
    uint64_t version = hm_records_version(&view->records, &scope);
    struct hm_message request = {.kind = HM_MSG_request_recover,
                                 .request_recover = {.epoch = HM_EPOCH_RECOVERY,
                                                     .history = id_of(98),
                                                     .survivor = member_of(2, "c2")}};
    struct hm_outcome outcome = apply(state, 2, 0, &request);
    assert_int_equal(outcome.status, HM_OK);
    assert_int_equal(outcome.index, index + 1);
    struct hm_arena arena = {0};
    struct hm_message raised;
    assert_int_equal(hm_message_decode_only(hm_state_event(state, index + 1)->body,
                                            HM_MSG_epoch_raised, &arena, &raised),
                     HM_OK);
    assert_int_equal(raised.epoch_raised.epoch, 1 + HM_EPOCH_RECOVERY);
    assert_int_equal(raised.epoch_raised.last_index, index);
    struct hm_id before = id_of(99);
    assert_true(hm_id_equal(&raised.epoch_raised.last_history, &before));
    hm_arena_fini(&arena);
    assert_int_equal(view->epoch, 1 + HM_EPOCH_RECOVERY);
    struct hm_id lost = id_of(3);
    struct hm_id host = id_of(4);
    assert_null(hm_members_find(&view->members, &lost));
    assert_non_null(hm_members_find(&view->members, &host));
    assert_int_equal(hm_records_version(&view->records, &scope), version + (1u << 20));
    free_state(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_joins_are_decided),
        cmocka_unit_test(test_joins_are_decided_each_by_itself),
        cmocka_unit_test(test_a_restart_elsewhere_is_a_change),
        cmocka_unit_test(test_the_feature_level_rises_when_all_support_it),
        cmocka_unit_test(test_old_versions_change_nothing),
        cmocka_unit_test(test_conditions_and_retries),
        cmocka_unit_test(test_a_snapshot_is_the_whole_state),
        cmocka_unit_test(test_a_view_follows_by_events_alone),
        cmocka_unit_test(test_old_events_make_room),
        cmocka_unit_test(test_a_retried_host_config_is_told_its_index),
        cmocka_unit_test(test_no_request_emits_more_than_is_held),
        cmocka_unit_test(test_scopes_are_bounded),
        cmocka_unit_test(test_a_survivor_goes_on),
        cmocka_unit_test(test_strangers_open_no_session),
        cmocka_unit_test(test_a_failure_takes_no_consumers_place),
        cmocka_unit_test(test_few_failed_consumers_are_kept),
        cmocka_unit_test(test_lite_hosts_have_names_and_keepers),
        cmocka_unit_test(test_lite_hosts_end_once_and_by_the_right_word),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
