/* Who names a zone, as the dns nodes record it, and to forget one that nobody names. */
#include "dns_processor/namers.h"
#include "dns_processor/requests.h"
#include "tests/unit/dns_node.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void test_who_names_a_zone_is_recorded(void **state)
{
    (void)state;
    struct running running = {0};
    set_catalog();
    start(&running, free_port(), "zones: [{name: corp.internal}]\n");
    put_zone(&running, "corp.internal", 9, NULL);
    put_consumer(&running, 2, "d2", "dns", false);
    put_consumer(&running, 3, "d3", "dns", true); /* it failed: that is no reason to forget it */
    put_consumer(&running, 4, "n1", "nginx", false);
    put_namer(&running, "corp.internal d2");
    put_namer(&running, "corp.internal d3");
    put_namer(&running, "corp.internal d4");
    put_namer(&running, "corp.internal n1"); /* a dns node before */
    put_namer(&running, "lab.internal d1");
    put_namer(&running, "nothing");
    complete(&running);
    commit(&running);
    assert_non_null(find(&running, HM_DNS_SCOPE_NAMED, "corp.internal d1"));
    assert_non_null(find(&running, HM_DNS_SCOPE_NAMED, "corp.internal d2"));
    assert_non_null(find(&running, HM_DNS_SCOPE_NAMED, "corp.internal d3"));
    assert_null(find(&running, HM_DNS_SCOPE_NAMED, "corp.internal d4"));
    assert_null(find(&running, HM_DNS_SCOPE_NAMED, "corp.internal n1"));
    assert_null(find(&running, HM_DNS_SCOPE_NAMED, "lab.internal d1"));
    assert_null(find(&running, HM_DNS_SCOPE_NAMED, "nothing"));
    assert_int_equal(running.ctx.writes, 1);
    /* It is written again if somebody takes it out, but not without a pause. */
    struct hm_name scope = hm_name_of(HM_DNS_SCOPE_NAMED);
    hm_records_delete(&running.ctx.view.records, &scope, hm_bytes_of_text("corp.internal d1"), 99);
    put_namer(&running, "corp.internal d5");
    assert_int_equal(running.ctx.writes, 1);
    assert_int_equal(running.ctx.wake, 2000);
    running.ctx.now = 2000;
    hm_module.tick(&running.ctx, 2000);
    assert_int_equal(running.ctx.writes, 2);
    /* d5 comes meanwhile: nothing of what was to be written holds any more. */
    put_consumer(&running, 5, "d5", "dns", false);
    assert_int_equal(decide(&running), HM_CONFLICT);
    running.ctx.now = 3000;
    hm_module.tick(&running.ctx, 3000);
    commit(&running);
    assert_non_null(find(&running, HM_DNS_SCOPE_NAMED, "corp.internal d1"));
    assert_non_null(find(&running, HM_DNS_SCOPE_NAMED, "corp.internal d5"));
    assert_int_equal(running.ctx.writes, 3);
    stop(&running);
}

/* Asks, and asserts what the answer says; NULL: there is none yet. */
static void ask_to_forget(struct running *running, const char *zone, bool now, const char *answer)
{
    struct hm_message message = {
        .kind = HM_MSG_zone_forget,
        .zone_forget = {.zone = hm_bytes_of_text(zone), .now = now, .timeout_ms = 4000}};
    struct hm_request request = {.message = &message, .token = TOKEN};
    hm_buf_clear(&running->ctx.answer);
    assert_int_equal(hm_module.request(&running->ctx, &request), HM_OK);
    hm_put_u8(&running->ctx.answer, 0);
    const char *said = (const char *)running->ctx.answer.data;
    if (answer ? !strstr(said, answer) : said[0] != '\0') {
        fail_msg("not %s but %s", answer ? answer : "silent", said);
    }
}

static void expect_answer(struct running *running, const char *answer)
{
    hm_put_u8(&running->ctx.answer, 0);
    running->ctx.answer.size--;
    if (!strstr((const char *)running->ctx.answer.data, answer)) {
        fail_msg("no %s in %s", answer, (const char *)running->ctx.answer.data);
    }
}

static void test_a_zone_that_nobody_names_is_forgotten(void **state)
{
    (void)state;
    struct running running = {0};
    struct hm_message query = {.kind = HM_MSG_zones_query};
    struct hm_request list = {.message = &query, .token = TOKEN};
    set_catalog();
    start(&running, free_port(), "zones: [{name: corp.internal}]\n");
    put_zone(&running, "corp.internal", 9, NULL);
    put_zone(&running, "lab.internal", 9, NULL);
    put_record(&running, HM_SCOPE_VHOSTS_ALLOW, "corp.internal a", hm_bytes_of_text("a"));
    put_record(&running, HM_SCOPE_VHOSTS_ALLOW, "lab.internal a", hm_bytes_of_text("a"));
    put_consumer(&running, 1, "d1", "dns", false);
    put_consumer(&running, 2, "d2", "dns", false);
    put_consumer(&running, 3, "d3", "dns", true);
    put_namer(&running, "lab.internal d2");
    put_namer(&running, "lab.internal d3");
    ask_to_forget(&running, "lab.internal", true, "not fetched the cluster's zones yet");
    complete(&running);
    /* Its own zone, before it is recorded that it names it, and after. */
    ask_to_forget(&running, "corp.internal", true, "still named by D1");
    commit(&running);
    ask_to_forget(&running, "corp.internal", true, "still named by d1");
    ask_to_forget(&running, "lab.internal", true, "zone lab.internal is still named by d2: take");
    ask_to_forget(&running, "lab", true, "no zone lab is committed");
    assert_int_equal(hm_module.request(&running.ctx, &list), HM_OK);
    expect_answer(&running, "zone=\"lab.internal\" index=2 namers=[ node=\"d2\" failed=no; "
                            "node=\"d3\" failed=yes ]");
    /* d2 fails, and is back before the write is decided. */
    put_consumer(&running, 2, "d2", "dns", true);
    ask_to_forget(&running, "lab.internal", false, "d2, d3 named it and failed");
    ask_to_forget(&running, "lab.internal", true, NULL);
    assert_int_equal(running.ctx.deadline, 5000);
    put_consumer(&running, 2, "d2", "dns", false);
    assert_int_equal(decide(&running), HM_CONFLICT);
    expect_answer(&running, "has just changed");
    assert_non_null(find(&running, HM_DNS_SCOPE_ZONES, "lab.internal"));
    /* Without a quorum it is not waited for. */
    put_consumer(&running, 2, "d2", "dns", true);
    ask_to_forget(&running, "lab.internal", true, NULL);
    struct hm_submitted expired = {.status = HM_NO_QUORUM};
    hm_module.written(&running.ctx, running.ctx.writes, &expired);
    expect_answer(&running, "not known to be committed");
    ask_to_forget(&running, "lab.internal", true, NULL);
    commit(&running);
    expect_answer(&running, "status=0");
    assert_null(find(&running, HM_DNS_SCOPE_ZONES, "lab.internal"));
    assert_null(find(&running, HM_DNS_SCOPE_NAMED, "lab.internal d2"));
    assert_null(find(&running, HM_DNS_SCOPE_NAMED, "lab.internal d3"));
    assert_null(find(&running, HM_SCOPE_VHOSTS_ALLOW, "lab.internal a"));
    assert_non_null(find(&running, HM_SCOPE_VHOSTS_ALLOW, "corp.internal a"));
    assert_non_null(find(&running, HM_DNS_SCOPE_ZONES, "corp.internal"));
    ask_to_forget(&running, "lab.internal", true, "no zone lab.internal is committed");
    /* Nobody waits any more for what is decided now. */
    for (size_t i = 0; i < HM_DNS_FORGETS_MAX; i++) {
        put_zone(&running, "lab.internal", 9, NULL);
        ask_to_forget(&running, "lab.internal", true, NULL);
    }
    ask_to_forget(&running, "lab.internal", true, "other zones are being forgotten");
    stop(&running);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_who_names_a_zone_is_recorded),
        cmocka_unit_test(test_a_zone_that_nobody_names_is_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
