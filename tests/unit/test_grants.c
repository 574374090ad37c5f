/* Which service is granted a virtual host. */
#include "tests/unit/state_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void test_a_vhost_belongs_to_the_first_until_nobody_holds_it(void **unused)
{
    (void)unused;
    struct hm_state *state = founded();
    join(state, 2, "a");
    join(state, 3, "b");
    join(state, 4, "c");
    assert_int_equal(change_host(state, 2, 1, "shop.test", "shop").status, HM_OK);
    assert_int_equal(change_host(state, 3, 1, "shop.test", "shop").status, HM_OK);
    struct hm_outcome refused = change_host(state, 4, 1, "shop.test", "evil");
    assert_int_equal(refused.status, HM_OK); /* the config is taken, the claim is not */
    assert_string_equal(refused.reason, "shop.test belongs to service shop");
    assert_string_equal(owner_of(state, "shop.test"), "shop");
    change_host(state, 2, 2, "", "");
    assert_string_equal(owner_of(state, "shop.test"), "shop");
    struct hm_node_ref gone = {id_of(3)};
    apply(state, 1, 0,
          &(struct hm_message){.kind = HM_MSG_request_fail,
                               .request_fail = {.nodes = &gone, .nodes_count = 1}});
    assert_string_equal(owner_of(state, "shop.test"), "evil");
    change_host(state, 4, 2, "", "");
    assert_string_equal(owner_of(state, "shop.test"), "nobody");
    free_state(state);
}

static struct hm_outcome allow(struct hm_state *state, uint64_t seq, const char *key,
                               const char *suffix)
{
    struct hm_change change = {.scope = hm_name_of(HM_SCOPE_VHOSTS_ALLOW),
                               .key = hm_bytes_of_text(key),
                               .present = suffix != NULL,
                               .value = hm_bytes_of_text(suffix ? suffix : "")};
    struct hm_message write = write_of(&change, NULL);
    struct hm_outcome outcome = apply(state, 1, seq, &write);
    assert_int_equal(outcome.status, HM_OK);
    return outcome;
}

static void test_what_is_allowed_is_granted(void **unused)
{
    (void)unused;
    struct hm_state *state = founded();
    join(state, 2, "a");
    join(state, 3, "b");
    change_host(state, 2, 1, "old.example", "old"); /* nobody limits anything yet */
    allow(state, 1, "corp corp.internal", "corp.internal");
    allow(state, 2, "lab corp.internal", "corp.internal");
    allow(state, 3, "lab lab.internal", "lab.internal");
    struct hm_outcome refused = change_host(state, 3, 1, "shop.example", "shop");
    assert_int_equal(refused.status, HM_OK); /* the config is taken, the claim is not */
    assert_int_equal(refused.events, 1);
    assert_string_equal(refused.reason,
                        "shop.example is outside vhosts_allow (corp.internal, lab.internal)");
    assert_string_equal(owner_of(state, "shop.example"), "nobody");
    static const struct {
        const char *key;
        const char *owner;
    } rows[] = {
        {"corp.internal", "web"},     {"a.b.corp.internal", "web"}, {"x.lab.internal", "web"},
        {"xcorp.internal", "nobody"}, {".internal", "nobody"},      {"corp.internal.x", "nobody"},
        {"internal", "nobody"},
    };
    uint64_t seq = 2;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        change_host(state, 3, seq++, rows[i].key, "web");
        assert_string_equal(owner_of(state, rows[i].key), rows[i].owner);
    }
    /* What was granted before stays until its host lets it go; then it is free for nobody. */
    assert_string_equal(owner_of(state, "old.example"), "old");
    change_host(state, 3, seq++, "old.example", "new");
    assert_string_equal(change_host(state, 2, 2, "old.example", "old").reason, "");
    change_host(state, 2, 3, "", "");
    assert_string_equal(owner_of(state, "old.example"), "nobody");
    free_state(state);
}

static struct hm_outcome ask_for(struct hm_state *state, uint8_t number, uint64_t seq,
                                 const struct hm_claim *claims, uint32_t count)
{
    return apply(state, number, 0,
                 &(struct hm_message){.kind = HM_MSG_request_host,
                                      .request_host = {.state = {.host = id_of(number),
                                                                 .version = {1, seq},
                                                                 .config = hm_bytes_of_text("c")},
                                                       .claims = (struct hm_claim *)claims,
                                                       .claims_count = count}});
}

static struct hm_claim claim_of(const char *key, const char *owner)
{
    return (struct hm_claim){.key = hm_bytes_of_text(key), .owner = hm_name_of(owner)};
}

static void test_what_was_granted_stays_when_its_replacement_is_refused(void **unused)
{
    (void)unused;
    struct hm_state *state = founded();
    join(state, 2, "a");
    join(state, 3, "b");
    allow(state, 1, "z", "corp.internal");
    change_host(state, 2, 1, "old.corp.internal", "web");
    change_host(state, 3, 1, "theirs.corp.internal", "theirs");
    assert_string_equal(
        change_host(state, 2, 2, "new.example", "web").reason,
        "new.example is outside vhosts_allow (corp.internal); what was granted before stays");
    assert_string_equal(owner_of(state, "old.corp.internal"), "web");
    assert_string_equal(
        change_host(state, 2, 3, "theirs.corp.internal", "web").reason,
        "theirs.corp.internal belongs to service theirs; what was granted before stays");
    assert_string_equal(owner_of(state, "old.corp.internal"), "web");

    /* What else is asked for is granted; another service of the host may have what was kept. */
    const struct hm_claim more[] = {claim_of("new.example", "web"),
                                    claim_of("more.corp.internal", "web"),
                                    claim_of("old.corp.internal", "other")};
    ask_for(state, 2, 4, more, 2);
    assert_string_equal(owner_of(state, "old.corp.internal"), "web");
    assert_string_equal(owner_of(state, "more.corp.internal"), "web");
    ask_for(state, 2, 5, more, 3);
    assert_string_equal(owner_of(state, "old.corp.internal"), "other");

    /* A wish that is granted lets go of the others; so does a service that is gone. */
    change_host(state, 2, 6, "last.corp.internal", "web");
    assert_string_equal(owner_of(state, "more.corp.internal"), "nobody");
    assert_string_equal(owner_of(state, "old.corp.internal"), "nobody");
    change_host(state, 2, 7, "new.example", "another");
    assert_string_equal(owner_of(state, "last.corp.internal"), "nobody");
    free_state(state);
}

/* Asserts what is said of a service: NULL: nothing. */
static void expect_refusal(const struct hm_outcome *outcome, const char *service,
                           const char *reason)
{
    struct hm_arena arena = {0};
    struct hm_message message = {0};
    const char *found = NULL;
    if (outcome->data.size) {
        assert_int_equal(hm_message_decode_only(outcome->data, HM_MSG_refusals, &arena, &message),
                         HM_OK);
    }
    for (uint32_t i = 0; i < message.refusals.refusals_count; i++) {
        const struct hm_claim_refusal *one = &message.refusals.refusals[i];
        if (hm_name_is(&one->service, service)) {
            assert_null(found);
            assert_non_null(reason);
            assert_true(hm_bytes_equal(one->reason, hm_bytes_of_text(reason)));
            found = reason;
        }
    }
    assert_ptr_equal(found, reason);
    hm_arena_fini(&arena);
}

static void test_each_service_is_told_its_own(void **unused)
{
    (void)unused;
    struct hm_state *state = founded();
    join(state, 2, "a");
    join(state, 3, "b");
    change_host(state, 3, 1, "theirs.test", "theirs");
    change_host(state, 2, 1, "api.test", "api");
    allow(state, 1, "z", "test");
    const struct hm_claim claims[] = {claim_of("fine.test", "fine"), claim_of("web.example", "web"),
                                      claim_of("theirs.test", "web"),
                                      claim_of("theirs.test", "api")};
    struct hm_outcome outcome = ask_for(state, 2, 2, claims, 4);
    assert_string_equal(outcome.reason, "web.example is outside vhosts_allow (test)");
    expect_refusal(&outcome, "web", "web.example is outside vhosts_allow (test)");
    expect_refusal(&outcome, "api",
                   "theirs.test belongs to service theirs; what was granted before stays");
    expect_refusal(&outcome, "fine", NULL);
    /* The same again. */
    outcome = ask_for(state, 2, 2, claims, 4);
    expect_refusal(&outcome, "web", "web.example is outside vhosts_allow (test)");
    outcome = ask_for(state, 2, 3, claims, 1);
    assert_int_equal(outcome.data.size, 0);
    assert_string_equal(outcome.reason, "");
    free_state(state);
}

static void test_who_waits_is_granted_what_is_allowed_later(void **unused)
{
    (void)unused;
    struct hm_state *state = founded();
    for (uint8_t i = 2; i < 5; i++) {
        join(state, i, (const char *[]){"a", "b", "c"}[i - 2]);
    }
    allow(state, 1, "z", "corp.internal");
    change_host(state, 4, 1, "shop.example", "late");
    change_host(state, 3, 1, "shop.example", "first");
    change_host(state, 2, 1, "shop.elsewhere", "x");
    struct hm_outcome widened = allow(state, 2, "y", "example");
    assert_int_equal(widened.events, 2);
    assert_int_equal(widened.index + 1, hm_state_view(state)->index); /* its own change's */
    assert_string_equal(owner_of(state, "shop.example"), "first");    /* in order of hosts */
    assert_string_equal(owner_of(state, "shop.elsewhere"), "nobody");
    /* Less is allowed: nothing is taken away. Nothing is limited any more: all is granted. */
    assert_int_equal(allow(state, 3, "y", NULL).events, 1);
    assert_string_equal(owner_of(state, "shop.example"), "first");
    assert_int_equal(allow(state, 4, "z", NULL).events, 2);
    assert_string_equal(owner_of(state, "shop.elsewhere"), "x");
    free_state(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_vhost_belongs_to_the_first_until_nobody_holds_it),
        cmocka_unit_test(test_what_is_allowed_is_granted),
        cmocka_unit_test(test_what_was_granted_stays_when_its_replacement_is_refused),
        cmocka_unit_test(test_each_service_is_told_its_own),
        cmocka_unit_test(test_who_waits_is_granted_what_is_allowed_later),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
