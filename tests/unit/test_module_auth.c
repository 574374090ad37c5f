/* The middlewares: who may ask for what, and what is logged of it; and role control's settings. */
#include "modules/modules.h"
#include "tests/unit/module_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct hm_id id_of(uint8_t number)
{
    return (struct hm_id){{number}};
}

/* Members: 1 control, 2 dns, 3 host. */
static void set_up(struct hm_module_ctx *ctx, const struct hm_module *module)
{
    static const char *const roles[] = {"control", "dns", "host"};
    fixture_init(ctx, module, false);
    for (uint8_t i = 0; i < 3; i++) {
        struct hm_label label[] = {{hm_name_of(roles[i])}};
        struct hm_member member = {.id = id_of((uint8_t)(i + 1)),
                                   .name = hm_name_of(roles[i]),
                                   .roles = label,
                                   .roles_count = 1};
        hm_members_put(&ctx->view.members, &member);
    }
}

static enum hm_status ask(struct hm_module_ctx *ctx, uint8_t from, enum hm_message_kind kind)
{
    struct hm_id id = id_of(from);
    return fixture_request(ctx, &id, &(struct hm_message){.kind = kind});
}

static enum hm_status submit(struct hm_module_ctx *ctx, uint8_t from, uint8_t session,
                             const struct hm_message *request)
{
    struct hm_id id = id_of(from);
    struct hm_buf bytes = {0};
    hm_message_encode(&bytes, request);
    struct hm_message message = {.kind = HM_MSG_submit};
    message.submit.session = id_of(session);
    message.submit.request = hm_buf_view(&bytes);
    enum hm_status status = fixture_request(ctx, &id, &message);
    hm_buf_fini(&bytes);
    return status;
}

/* Members 1 to 3, and a stranger: who may write. */
static void expect_writers(struct hm_module_ctx *ctx, const char *expected)
{
    struct hm_message write = {.kind = HM_MSG_request_write};
    char got[5] = "";
    for (uint8_t i = 1; i <= 3; i++) {
        got[i - 1] = submit(ctx, i, i, &write) == HM_OK ? '+' : '-';
    }
    got[3] = submit(ctx, 9, 9, &write) == HM_OK ? '+' : '-';
    assert_string_equal(got, expected);
}

static void roles_may_write(void **state)
{
    (void)state;
    struct hm_module_ctx ctx;
    struct hm_buf error = {0};
    set_up(&ctx, &hm_auth_module);
    expect_writers(&ctx, "++--");
    assert_int_equal(fixture_start(&ctx, "key: /k\nroles: [control]\n", &error), HM_OK);
    expect_writers(&ctx, "++--");
    assert_int_equal(
        fixture_start(&ctx, "key: /k\nroles: [control]\nauth: {writers: [host]}\n", &error), HM_OK);
    expect_writers(&ctx, "--+-");
    /* Passed on by the control plane: the session counts. */
    struct hm_message write = {.kind = HM_MSG_request_write};
    assert_int_equal(submit(&ctx, 1, 2, &write), HM_DENIED);
    assert_int_equal(submit(&ctx, 1, 3, &write), HM_OK);
    assert_non_null(strstr(fixture_text(&ctx.logs), "request denied kind=request_write from=02"));
    ctx.module->reload(&ctx, NULL, NULL);
    expect_writers(&ctx, "++--");
    fixture_fini(&ctx);
}

static void the_rest_passes(void **state)
{
    (void)state;
    struct hm_module_ctx ctx;
    set_up(&ctx, &hm_auth_module);
    struct hm_message host = {.kind = HM_MSG_request_host};
    assert_int_equal(submit(&ctx, 3, 3, &host), HM_OK);
    assert_int_equal(ask(&ctx, 9, HM_MSG_join), HM_OK);
    struct hm_message local = {.kind = HM_MSG_announce};
    assert_int_equal(fixture_request(&ctx, NULL, &local), HM_OK);
    /* What does not decode is said to be that. */
    struct hm_id one = id_of(1);
    struct hm_message message = {.kind = HM_MSG_submit};
    message.submit.request = hm_bytes_of_text("no message");
    assert_int_equal(fixture_request(&ctx, &one, &message), HM_BAD_BYTES);
    fixture_fini(&ctx);
}

static void every_request_is_a_line(void **state)
{
    (void)state;
    struct hm_module_ctx ctx;
    set_up(&ctx, &hm_log_module);
    assert_int_equal(ask(&ctx, 2, HM_MSG_join), HM_OK);
    assert_int_equal(ask(&ctx, 9, HM_MSG_services_query), HM_OK);
    struct hm_message announce = {.kind = HM_MSG_announce};
    announce.announce.service = hm_name_of("web");
    assert_int_equal(fixture_request(&ctx, NULL, &announce), HM_OK);
    /* What is no name is not copied into a line. */
    announce.announce.service = hm_name_of("a b=c");
    assert_int_equal(fixture_request(&ctx, NULL, &announce), HM_OK);
    assert_string_equal(fixture_text(&ctx.logs),
                        "info: request kind=join from=dns\n"
                        "debug: request kind=services_query "
                        "from=09000000000000000000000000000000\n"
                        "info: request kind=announce from=control-socket subject=web\n"
                        "info: request kind=announce from=control-socket\n");
    fixture_fini(&ctx);
}

static void voters_are_odd(void **state)
{
    (void)state;
    struct hm_module_ctx ctx;
    struct hm_buf error = {0};
    fixture_init(&ctx, &hm_control_module, false);
    assert_int_equal(
        fixture_start(&ctx, "key: /k\nroles: [control]\ncontrol: {voters: 5}\n", &error), HM_OK);
    assert_int_equal(fixture_start(&ctx, "key: /k\nroles: [control]\n", &error), HM_OK);
    assert_int_equal(
        fixture_start(&ctx, "key: /k\nroles: [control]\ncontrol: {voters: 4}\n", &error),
        HM_BAD_CONFIG);
    assert_non_null(strstr(fixture_text(&error), "a.yaml:3:11: voters is 4: write an odd number"));
    hm_buf_fini(&error);
    fixture_fini(&ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(roles_may_write),
        cmocka_unit_test(the_rest_passes),
        cmocka_unit_test(every_request_is_a_line),
        cmocka_unit_test(voters_are_odd),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
