/* Sessions of members in the event log, over a removal and the return under the same id. */
#include "core/log/replica.h"
#include "core/state/state.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct hm_replica replica;

static struct hm_member member_of(uint8_t number, const char *name)
{
    return (struct hm_member){.id = {{number}},
                              .name = hm_name_of(name),
                              .addr = {.family = 4, .ip = {10, 0, 0, number}, .port = 9610},
                              .boot = 1,
                              .feature = HM_FEATURE_LEVEL};
}

static struct hm_outcome apply(uint8_t session, uint64_t seq, const struct hm_message *request)
{
    struct hm_buf body = {0};
    struct hm_outcome outcome;
    hm_message_encode(&body, request);
    hm_replica_apply(&replica,
                     &(struct hm_log_request){.session = {{session}},
                                              .seq = seq,
                                              .time_ms = 1000 + seq,
                                              .request = hm_buf_view(&body)},
                     0, &outcome);
    hm_buf_fini(&body);
    return outcome;
}

static struct hm_outcome join(uint8_t number, const char *name, uint64_t seq)
{
    return apply(
        number, 0,
        &(struct hm_message){.kind = HM_MSG_request_join,
                             .request_join = {.member = member_of(number, name), .seq = seq}});
}

static struct hm_outcome write(uint8_t number, uint64_t seq)
{
    struct hm_change change = {
        .scope = hm_name_of("zones"), .key = hm_bytes_of_text("a"), .present = true};
    return apply(number, seq,
                 &(struct hm_message){.kind = HM_MSG_request_write,
                                      .request_write = {.changes = &change, .changes_count = 1}});
}

/* Removed and in again, it repeats what it had asked for before: that may have happened. */
static void test_a_member_that_returns_repeats_nothing(void **unused)
{
    (void)unused;
    struct hm_state *state = hm_state_new();
    hm_replica_init(&replica, &hm_state_machine, state);
    struct hm_message found = {
        .kind = HM_MSG_request_found,
        .request_found = {.cluster = 77, .history = {{99}}, .founder = member_of(1, "c1")}};
    struct hm_message leave = {.kind = HM_MSG_request_leave, .request_leave = {.id = {{2}}}};
    assert_int_equal(apply(1, 0, &found).status, HM_OK);
    assert_int_equal(join(2, "a", 0).status, HM_OK);
    assert_int_equal(write(2, 107).status, HM_OK);
    apply(1, 1, &leave);
    assert_int_equal(join(2, "a", 171).status, HM_OK);
    assert_int_equal(write(2, 107).status, HM_SESSION_EXPIRED);
    assert_int_equal(write(2, 1).status, HM_SESSION_EXPIRED);
    struct hm_outcome fresh = write(2, 172);
    assert_int_equal(fresh.status, HM_OK);
    assert_int_equal(fresh.events, 1);
    struct hm_outcome retry = write(2, 172);
    assert_int_equal(retry.status, HM_OK);
    assert_int_equal(retry.index, fresh.index);
    assert_int_equal(retry.events, 0);
    /* Who asked for nothing before needs no session yet. */
    size_t sessions = replica.sessions.count;
    assert_int_equal(join(3, "b", 0).status, HM_OK);
    assert_int_equal(replica.sessions.count, sessions);
    hm_replica_fini(&replica);
    hm_state_free(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_member_that_returns_repeats_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
