/* The modules as shared objects, as the daemon loads them: MODULES is their folder. The http check
 * runs here, because its library lies at a fixed place from host.so. */
#include "tests/unit/module_fixture.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define NEEDED "key: /k\nroles: [host]\n"

static void *load(const char *name, const struct hm_module **module)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s.so", MODULES, name);
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        fail_msg("%s", dlerror());
    }
    *module = dlsym(library, "hm_module");
    assert_non_null(*module);
    return library;
}

static void each_exports_its_struct(void **state)
{
    (void)state;
    static const char *const names[] = {"auth", "control", "host", "log"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const struct hm_module *module;
        void *library = load(names[i], &module);
        assert_int_equal(module->abi, HM_MODULE_ABI);
        assert_string_equal(module->name, names[i]);
        assert_int_equal(module->kind, module->performs ? HM_MODULE_ROLE : HM_MODULE_MIDDLEWARE);
        dlclose(library);
    }
}

static uint8_t health(struct hm_module_ctx *ctx)
{
    struct hm_arena arena = {0};
    struct hm_message message;
    assert_int_equal(
        hm_message_decode_only(hm_buf_view(&ctx->published), HM_MSG_host_config, &arena, &message),
        HM_OK);
    uint8_t health = message.host_config.services[0].health;
    hm_arena_fini(&arena);
    return health;
}

/* One check from its start to its end, answered with `answer`. */
static void check_once(struct hm_module_ctx *ctx, int listening, const char *answer)
{
    char asked[1024];
    uint64_t seq = ctx->seq;
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
    assert_int_equal(strncmp(asked, "GET /health HTTP/1.1\r\n", 22), 0);
    assert_int_equal(write(fd, answer, strlen(answer)), (ssize_t)strlen(answer));
    close(fd);
    for (int i = 0; i < 100 && ctx->watches[0].fd >= 0; i++) {
        fixture_poll(ctx, -1);
        fixture_advance(ctx, ctx->now);
    }
    assert_true(ctx->seq <= seq + 1);
}

static void an_http_check_reads_the_status(void **state)
{
    (void)state;
    struct hm_module_ctx ctx;
    struct hm_buf error = {0};
    char yaml[256];
    const struct hm_module *module;
    assert_null(dlopen("libcurl.so.4", RTLD_NOW | RTLD_NOLOAD));
    void *library = load("host", &module);
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof addr;
    int listening = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listening, (struct sockaddr *)&addr, sizeof addr), 0);
    assert_int_equal(listen(listening, 8), 0);
    assert_int_equal(getsockname(listening, (struct sockaddr *)&addr, &size), 0);
    snprintf(yaml, sizeof yaml,
             NEEDED "services: [{name: web, port: %u, check: "
                    "{http: /health, every: 1s, fall: 1, timeout: 500ms}}]\n",
             ntohs(addr.sin_port));
    fixture_init(&ctx, module, true);
    assert_int_equal(fixture_start(&ctx, yaml, &error), HM_OK);
    check_once(&ctx, listening, "HTTP/1.1 204 No Content\r\n\r\n");
    assert_int_equal(health(&ctx), 1);
    check_once(&ctx, listening, "HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n");
    assert_int_equal(health(&ctx), 2);
    assert_non_null(strstr(fixture_text(&ctx.logs), "HTTP status 500"));
    check_once(&ctx, listening, "HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n");
    assert_int_equal(health(&ctx), 1);
    /* Connected, but nobody answers. */
    fixture_advance(&ctx, ctx.now + 1000);
    fixture_poll(&ctx, listening);
    fixture_advance(&ctx, ctx.now);
    fixture_advance(&ctx, ctx.now + 500);
    assert_int_equal(health(&ctx), 2);
    assert_non_null(strstr(fixture_text(&ctx.logs), "timed out"));
    /* And in the middle of one it ends. */
    fixture_advance(&ctx, ctx.now + 1000);
    fixture_fini(&ctx);
    close(listening);
    dlclose(library);
}

/* A node that checks with TCP alone has no HTTP library. */
static void no_http_loads_no_library(void **state)
{
    (void)state;
    struct hm_module_ctx ctx;
    struct hm_buf error = {0};
    const struct hm_module *module;
    void *library = load("host", &module);
    fixture_init(&ctx, module, true);
    assert_int_equal(
        fixture_start(&ctx, NEEDED "services: [{name: a, port: 1, check: {tcp: yes}}]\n", &error),
        HM_OK);
    assert_null(dlopen("libcurl.so.4", RTLD_NOW | RTLD_NOLOAD));
    fixture_fini(&ctx);
    dlclose(library);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_exports_its_struct),
        cmocka_unit_test(no_http_loads_no_library),
        cmocka_unit_test(an_http_check_reads_the_status),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
