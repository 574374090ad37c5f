/* Role host: what it publishes, what it refuses and why, what survives, and when checks turn. */
#include "modules/modules.h"
#include "tests/unit/module_fixture.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define NEEDED "key: /k\nroles: [host]\n"

static void start(struct hm_module_ctx *ctx, const char *yaml)
{
    struct hm_buf error = {0};
    fixture_init(ctx, &hm_host_module, true);
    enum hm_status status = fixture_start(ctx, yaml, &error);
    if (status != HM_OK) {
        fail_msg("%s", fixture_text(&error));
    }
}

/* Tells whether the services that were published last are these, as "web:80 vhost *" where + is
 * passing, - failing, ? not checked yet, and * draining. */
static void expect_services(struct hm_module_ctx *ctx, const char *expected)
{
    struct hm_arena arena = {0};
    struct hm_message message;
    struct hm_buf text = {0};
    assert_int_equal(
        hm_message_decode_only(hm_buf_view(&ctx->published), HM_MSG_host_config, &arena, &message),
        HM_OK);
    for (uint32_t i = 0; i < message.host_config.services_count; i++) {
        const struct hm_service *service = &message.host_config.services[i];
        hm_buf_printf(&text, "%s%s:%u", i ? ", " : "", service->name.text, service->port);
        for (uint32_t j = 0; j < service->vhosts_count; j++) {
            hm_buf_printf(&text, " %.*s", (int)service->vhosts[j].name.size,
                          (const char *)service->vhosts[j].name.data);
        }
        hm_buf_append_text(&text, !service->checked      ? ""
                                  : service->health == 0 ? " ?"
                                  : service->health == 1 ? " +"
                                                         : " -");
        hm_buf_append_text(&text, service->draining ? " *" : "");
    }
    assert_string_equal(fixture_text(&text), expected);
    hm_buf_fini(&text);
    hm_arena_fini(&arena);
}

static void announce_for(struct hm_module_ctx *ctx, const char *name, uint16_t port, uint32_t ttl_s,
                         const char *vhost)
{
    struct hm_domain vhosts[1] = {{hm_bytes_of_text(vhost ? vhost : "")}};
    struct hm_message message = {.kind = HM_MSG_announce};
    message.announce = (struct hm_announce){.service = hm_name_of(name),
                                            .port = port,
                                            .ttl_s = ttl_s,
                                            .vhosts = vhosts,
                                            .vhosts_count = vhost ? 1 : 0};
    assert_int_equal(fixture_request(ctx, NULL, &message), HM_OK);
}

static void announce(struct hm_module_ctx *ctx, const char *name, uint16_t port)
{
    announce_for(ctx, name, port, 0, NULL);
}

static void withdraw(struct hm_module_ctx *ctx, const char *name, uint16_t port)
{
    struct hm_message message = {.kind = HM_MSG_withdraw};
    message.withdraw = (struct hm_withdraw){.service = hm_name_of(name), .port = port};
    assert_int_equal(fixture_request(ctx, NULL, &message), HM_OK);
}

static void drain(struct hm_module_ctx *ctx, const char *name, bool draining)
{
    struct hm_message message = {.kind = HM_MSG_drain};
    message.drain = (struct hm_drain){.service = hm_name_of(name), .draining = draining};
    assert_int_equal(fixture_request(ctx, NULL, &message), HM_OK);
}

static void publishes_its_configuration(void **state)
{
    (void)state;
    struct hm_module_ctx ctx;
    start(&ctx, NEEDED "services:\n"
                       "- {name: web, port: 80, vhosts: [Shop.Example, shop.example.]}\n"
                       "- {name: web, port: 81}\n"
                       "addresses: [192.0.2.7]\n");
    expect_services(&ctx, "web:80 shop.example, web:81");
    announce(&ctx, "api", 9000);
    assert_string_equal(fixture_text(&ctx.answer), "report 2 192.0.2.7:9000");
    fixture_fini(&ctx);
    start(&ctx, NEEDED);
    expect_services(&ctx, "");
    assert_int_equal(ctx.seq, 1);
    fixture_fini(&ctx);
}

static void refuses_what_the_file_says_twice(void **state)
{
    (void)state;
    struct hm_module_ctx ctx;
    struct hm_buf error = {0};
    fixture_init(&ctx, &hm_host_module, true);
    assert_int_equal(fixture_start(&ctx,
                                   NEEDED "services:\n"
                                          "- {name: web, port: 80}\n"
                                          "- {name: web, port: 80}\n",
                                   &error),
                     HM_BAD_CONFIG);
    assert_string_equal(
        fixture_text(&error),
        "a.yaml:5:3: service 'web' on port 80 is declared in a.yaml:4 already: remove one\n");
    hm_buf_clear(&error);
    assert_int_equal(
        fixture_start(&ctx, NEEDED "services: [{name: a, port: 1, check: {tcp: no}}]\n", &error),
        HM_BAD_CONFIG);
    assert_non_null(strstr(fixture_text(&error), "neither tcp nor http"));
    hm_buf_fini(&error);
    fixture_fini(&ctx);
}

static void announces_with_reasons(void **state)
{
    (void)state;
    struct hm_module_ctx ctx;
    start(&ctx, NEEDED "services: [{name: web, port: 80}]\n");
    announce(&ctx, "web", 80);
    assert_string_equal(fixture_text(&ctx.answer),
                        "EXISTS: service 'web' on port 80 is declared in a.yaml:3: change it there "
                        "and reload");
    announce(&ctx, "too_long_for_this", 80);
    assert_non_null(strstr(fixture_text(&ctx.answer), "BAD_ARGUMENT: 'too_long_for_this' is not"));
    announce(&ctx, "api", 0);
    assert_non_null(strstr(fixture_text(&ctx.answer), "BAD_ARGUMENT: the port is 0"));
    announce_for(&ctx, "api", 90, 0, "no domain");
    assert_non_null(strstr(fixture_text(&ctx.answer), "'no domain' is not a virtual host"));
    assert_int_equal(ctx.seq, 1);
    announce_for(&ctx, "api", 90, 0, "API.example");
    expect_services(&ctx, "web:80, api:90 api.example");
    /* Said again: no other service, and no news. */
    announce_for(&ctx, "api", 90, 0, "api.example");
    assert_string_equal(fixture_text(&ctx.answer), "report 2 127.0.0.1:90");
    announce(&ctx, "api", 90);
    expect_services(&ctx, "web:80, api:90");
    fixture_fini(&ctx);
}

static void withdraws_what_was_announced(void **state)
{
    (void)state;
    struct hm_module_ctx ctx;
    start(&ctx, NEEDED "services: [{name: web, port: 80}]\n");
    announce(&ctx, "api", 90);
    announce(&ctx, "api", 91);
    announce(&ctx, "api", 92);
    withdraw(&ctx, "web", 80);
    assert_string_equal(fixture_text(&ctx.answer),
                        "DENIED: service 'web' on port 80 is declared in a.yaml:3: remove it there "
                        "and reload, or drain it");
    withdraw(&ctx, "api", 99);
    assert_string_equal(fixture_text(&ctx.answer),
                        "NOT_FOUND: no service 'api' on port 99 on this host; it has web:80, "
                        "api:90, api:91, api:92");
    withdraw(&ctx, "", 0);
    assert_non_null(strstr(fixture_text(&ctx.answer), "NOT_FOUND"));
    withdraw(&ctx, "api", 91);
    expect_services(&ctx, "web:80, api:90, api:92");
    withdraw(&ctx, "api", 0);
    expect_services(&ctx, "web:80");
    fixture_fini(&ctx);
}

static void announcements_survive_without_ttl(void **state)
{
    (void)state;
    struct hm_module_ctx ctx;
    struct hm_module_ctx again;
    struct hm_buf error = {0};
    start(&ctx, NEEDED);
    announce_for(&ctx, "api", 90, 0, "api.example");
    announce(&ctx, "gone", 1);
    announce_for(&ctx, "short", 91, 60, NULL);
    announce(&ctx, "web", 80);
    withdraw(&ctx, "gone", 0);
    drain(&ctx, "api", true);
    fixture_init(&again, &hm_host_module, true);
    hm_buf_append(&again.kept, ctx.kept.data, ctx.kept.size);
    fixture_fini(&ctx);
    /* The file has one of them by now. */
    assert_int_equal(fixture_start(&again, NEEDED "services: [{name: web, port: 80}]\n", &error),
                     HM_OK);
    expect_services(&again, "web:80, api:90 api.example");
    assert_non_null(strstr(fixture_text(&again.logs), "announcement replaced service=web"));
    fixture_fini(&again);

    fixture_init(&again, &hm_host_module, true);
    hm_buf_append_text(&again.kept, "damage");
    assert_int_equal(fixture_start(&again, NEEDED, &error), HM_DAMAGED);
    hm_buf_fini(&error);
    fixture_fini(&again);
}

static void a_ttl_ends_an_announcement(void **state)
{
    (void)state;
    struct hm_module_ctx ctx;
    start(&ctx, NEEDED);
    announce_for(&ctx, "api", 90, 10, NULL);
    announce_for(&ctx, "web", 80, 20, NULL);
    assert_int_equal(ctx.wake_at, 11000);
    fixture_advance(&ctx, 6000);
    announce_for(&ctx, "api", 90, 10, NULL);
    assert_int_equal(ctx.wake_at, 16000);
    fixture_advance(&ctx, 15999);
    expect_services(&ctx, "web:80, api:90");
    fixture_advance(&ctx, 16000);
    expect_services(&ctx, "web:80");
    fixture_advance(&ctx, 21000);
    expect_services(&ctx, "");
    assert_true(ctx.wake_at == HM_NEVER);
    /* One that had a ttl and is announced without one stays, and is kept. */
    announce_for(&ctx, "api", 90, 1, NULL);
    size_t kept = ctx.kept.size;
    announce(&ctx, "api", 90);
    assert_true(ctx.kept.size > kept);
    fixture_advance(&ctx, 90000);
    expect_services(&ctx, "api:90");
    fixture_fini(&ctx);
}

static void drains_one_or_all(void **state)
{
    (void)state;
    struct hm_module_ctx ctx;
    start(&ctx, NEEDED "services: [{name: web, port: 80}, {name: api, port: 90}]\n");
    drain(&ctx, "web", true);
    expect_services(&ctx, "web:80 *, api:90");
    drain(&ctx, "nothing", true);
    assert_non_null(strstr(fixture_text(&ctx.answer), "NOT_FOUND"));
    drain(&ctx, "", true);
    announce(&ctx, "new", 1);
    expect_services(&ctx, "web:80 *, api:90 *, new:1 *");
    drain(&ctx, "api", false);
    announce(&ctx, "new", 1);
    expect_services(&ctx, "web:80 *, api:90, new:1 *");
    ctx.module->status(&ctx);
    assert_string_equal(fixture_text(&ctx.facts),
                        "services=3, 1 of them announced by command\n"
                        "draining until a restart or undrain=web:80, new:1\n");
    drain(&ctx, "", false);
    expect_services(&ctx, "web:80, api:90, new:1");
    fixture_fini(&ctx);
}

static void a_reload_changes_the_services(void **state)
{
    (void)state;
    struct hm_module_ctx ctx;
    start(&ctx, NEEDED "services: [{name: web, port: 80}, {name: api, port: 90}]\n");
    announce(&ctx, "job", 1);
    announce(&ctx, "late", 2);
    drain(&ctx, "web", true);
    ctx.module->reload(&ctx, NULL,
                       fixture_conf(&ctx, NEEDED "services: [{name: late, port: 2}, "
                                                 "{name: web, port: 80, vhosts: [a.example]}]\n"));
    expect_services(&ctx, "late:2, web:80 a.example *, job:1");
    fixture_fini(&ctx);
}

/* All of them, each at its place: a reload is given no file that has one. */
static void every_finding_is_told(void **state)
{
    (void)state;
    struct hm_module_ctx ctx;
    struct hm_conf_errors errors = {0};
    struct hm_buf told = {0};
    fixture_init(&ctx, &hm_host_module, false);
    const struct hm_conf_node *root =
        fixture_conf(&ctx, NEEDED "services:\n"
                                  "- {name: a, port: 2, check: {http: /}}\n"
                                  "- {name: b, port: 2, check: {tcp: no}}\n"
                                  "- {name: a, port: 2}\n"
                                  "- {name: A, port: 2}\n");
    ctx.module->check(NULL, root, &errors);
    hm_conf_errors_print(&errors, &told);
    assert_string_equal(
        fixture_text(&told),
        "a.yaml:5:22: a check that is neither tcp nor http: write tcp: true, or "
        "leave the check out\n"
        "a.yaml:6:3: service 'a' on port 2 is declared in a.yaml:4 already: remove one\n"
        "a.yaml:7:3: service 'A' on port 2 is declared in a.yaml:4 already: remove one\n");
    hm_conf_errors_fini(&errors);
    hm_buf_fini(&told);
    fixture_fini(&ctx);
}

/* A listening socket on loopback, and its port. */
static int listen_on(uint16_t *port)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof addr;
    addr.sin_port = htons(*port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int on = 1;
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof addr), 0);
    assert_int_equal(listen(fd, 64), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&addr, &size), 0);
    *port = ntohs(addr.sin_port);
    return fd;
}

/* The next check runs, to its end. */
static void check_once(struct hm_module_ctx *ctx)
{
    fixture_advance(ctx, ctx->now + 1000);
    fixture_poll(ctx, -1);
    fixture_advance(ctx, ctx->now);
}

static void a_tcp_check_falls_and_rises(void **state)
{
    (void)state;
    struct hm_module_ctx ctx;
    char yaml[256];
    char expected[64];
    uint16_t port = 0;
    int fd = listen_on(&port);
    snprintf(yaml, sizeof yaml,
             NEEDED "services: [{name: web, port: %u, check: "
                    "{tcp: yes, every: 1s, fall: 3, rise: 2}}]\n",
             port);
    start(&ctx, yaml);
    snprintf(expected, sizeof expected, "web:%u ?", port);
    expect_services(&ctx, expected);
    check_once(&ctx);
    snprintf(expected, sizeof expected, "web:%u +", port);
    expect_services(&ctx, expected);
    /* Nobody listens: passing until the third failure. */
    close(fd);
    check_once(&ctx);
    check_once(&ctx);
    expect_services(&ctx, expected);
    assert_int_equal(ctx.seq, 2);
    check_once(&ctx);
    snprintf(expected, sizeof expected, "web:%u -", port);
    expect_services(&ctx, expected);
    assert_non_null(strstr(fixture_text(&ctx.logs), "refused"));
    /* Back: the second pass counts, and a failure between would start anew. */
    fd = listen_on(&port);
    check_once(&ctx);
    expect_services(&ctx, expected);
    check_once(&ctx);
    snprintf(expected, sizeof expected, "web:%u +", port);
    expect_services(&ctx, expected);
    close(fd);
    fixture_fini(&ctx);
}

static void a_check_that_never_passed_is_told_once(void **state)
{
    (void)state;
    struct hm_module_ctx ctx;
    start(&ctx, NEEDED "services: [{name: a, port: 1, check: {tcp: yes, every: 1s, fall: 2}}]\n");
    for (int i = 0; i < 4; i++) {
        check_once(&ctx);
    }
    expect_services(&ctx, "a:1 ?");
    assert_string_equal(fixture_text(&ctx.logs),
                        "warn: check has never passed service=a addr=127.0.0.1:1 "
                        "reason=\"Connection refused\"\n");
    fixture_fini(&ctx);
}

static void unchecked_without_sockets(void **state)
{
    (void)state;
    struct hm_module_ctx ctx;
    struct hm_buf error = {0};
    fixture_init(&ctx, &hm_host_module, false);
    assert_int_equal(
        fixture_start(&ctx, NEEDED "services: [{name: a, port: 1, check: {tcp: yes}}]\n", &error),
        HM_OK);
    expect_services(&ctx, "a:1 ?");
    assert_true(ctx.wake_at == HM_NEVER);
    fixture_fini(&ctx);
}

/* One check from its start to its end, answered with `answer`. */
static void http_check_once(struct hm_module_ctx *ctx, int listening, const char *answer)
{
    char asked[1024];
    fixture_advance(ctx, ctx->now + 1000);
    int fd = -1;
    while (fd < 0) {
        /* The fixture's poll returns as well when somebody connects. */
        fixture_poll(ctx, listening);
        fixture_advance(ctx, ctx->now);
        fd = accept4(listening, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    }
    ssize_t size = -1;
    while (size < 0) {
        fixture_poll(ctx, fd);
        fixture_advance(ctx, ctx->now);
        size = read(fd, asked, sizeof asked - 1);
    }
    asked[size] = '\0';
    static const char request[] = "GET /health HTTP/1.1\r\nHost: 127.0.0.1:";
    assert_memory_equal(asked, request, sizeof request - 1);
    assert_string_equal(asked + size - 4, "\r\n\r\n");
    assert_int_equal(write(fd, answer, strlen(answer)), (ssize_t)strlen(answer));
    close(fd);
    for (int i = 0; i < 100 && ctx->watches[0].fd >= 0; i++) {
        fixture_poll(ctx, -1);
        fixture_advance(ctx, ctx->now);
    }
}

static void an_http_check_reads_the_status(void **state)
{
    (void)state;
    static const struct {
        const char *answer;
        char health;
        const char *logged;
    } rows[] = {
        {"HTTP/1.1 204 No Content\r\n\r\n", '+', NULL},
        {"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n", '-', "HTTP status 500"},
        {"HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n", '+', NULL},
        {"HTTP/1.1 200 OK\r\n", '-', "ended before the answer"},
        {"HTTP/1.0 200\n\nbody", '+', NULL},
        {"SSH-2.0-OpenSSH\r\n", '-', "no HTTP/1"},
        {"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", '+', NULL},
    };
    struct hm_module_ctx ctx;
    char yaml[256];
    char expected[64];
    uint16_t port = 0;
    int fd = listen_on(&port);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    snprintf(yaml, sizeof yaml,
             NEEDED "services: [{name: web, port: %u, check: "
                    "{http: /health, every: 1s, fall: 1, timeout: 500ms}}]\n",
             port);
    start(&ctx, yaml);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        http_check_once(&ctx, fd, rows[i].answer);
        snprintf(expected, sizeof expected, "web:%u %c", port, rows[i].health);
        expect_services(&ctx, expected);
        if (rows[i].logged && !strstr(fixture_text(&ctx.logs), rows[i].logged)) {
            fail_msg("not logged: %s", rows[i].logged);
        }
    }
    /* Connected, but nobody answers. */
    fixture_advance(&ctx, ctx.now + 1000);
    fixture_poll(&ctx, fd);
    fixture_advance(&ctx, ctx.now);
    fixture_advance(&ctx, ctx.now + 500);
    snprintf(expected, sizeof expected, "web:%u -", port);
    expect_services(&ctx, expected);
    assert_non_null(strstr(fixture_text(&ctx.logs), "timed out"));
    /* And in the middle of one it ends. */
    fixture_advance(&ctx, ctx.now + 1000);
    fixture_fini(&ctx);
    close(fd);
}

static void a_path_is_no_second_request(void **state)
{
    (void)state;
    struct hm_module_ctx ctx;
    struct hm_buf error = {0};
    fixture_init(&ctx, &hm_host_module, true);
    assert_int_equal(fixture_start(&ctx,
                                   NEEDED "services:\n  - name: a\n    port: 1\n"
                                          "    check: {http: \"/a HTTP/1.1\\r\\n\"}\n",
                                   &error),
                     HM_BAD_CONFIG);
    assert_non_null(strstr(fixture_text(&error), "a.yaml:6:13: the path of a request has no "));
    hm_buf_fini(&error);
    fixture_fini(&ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(publishes_its_configuration),
        cmocka_unit_test(refuses_what_the_file_says_twice),
        cmocka_unit_test(announces_with_reasons),
        cmocka_unit_test(withdraws_what_was_announced),
        cmocka_unit_test(announcements_survive_without_ttl),
        cmocka_unit_test(a_ttl_ends_an_announcement),
        cmocka_unit_test(drains_one_or_all),
        cmocka_unit_test(a_reload_changes_the_services),
        cmocka_unit_test(every_finding_is_told),
        cmocka_unit_test(a_tcp_check_falls_and_rises),
        cmocka_unit_test(a_check_that_never_passed_is_told_once),
        cmocka_unit_test(unchecked_without_sockets),
        cmocka_unit_test(an_http_check_reads_the_status),
        cmocka_unit_test(a_path_is_no_second_request),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
