/* Key files, routes, names, and the word to the service manager. */
#include "core/io/keyfile.h"
#include "core/io/net.h"
#include "core/io/notify.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

static void test_keyfile(void **state)
{
    (void)state;
    char directory[] = "/tmp/hm_test_key.XXXXXX";
    char path[64];
    char wanted[128];
    struct hm_key made = {{0}};
    struct hm_key got = {{0}};
    struct hm_buf error = {0};
    assert_non_null(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/cluster.key", directory);
    assert_int_equal(hm_keyfile_read(path, &got, &error), HM_NOT_FOUND);
    assert_int_equal(hm_keyfile_generate(path, &made, &error), HM_OK);
    assert_int_equal(hm_keyfile_generate(path, &got, &error), HM_EXISTS);
    assert_int_equal(hm_keyfile_read(path, &got, &error), HM_OK);
    assert_memory_equal(&got, &made, sizeof got);
    assert_int_equal(chmod(path, 0604), 0);
    hm_buf_clear(&error);
    assert_int_equal(hm_keyfile_read(path, &got, &error), HM_DENIED);
    hm_put_u8(&error, 0);
    snprintf(wanted, sizeof wanted, "chmod 0600 %s", path);
    assert_non_null(strstr((char *)error.data, wanted));
    assert_int_equal(chmod(path, 0400), 0);
    assert_int_equal(hm_keyfile_read(path, &got, &error), HM_OK);
    assert_int_equal(chmod(path, 0600), 0);
    assert_int_equal(truncate(path, 60), 0);
    assert_int_equal(hm_keyfile_read(path, &got, &error), HM_BAD_BYTES);
    assert_int_equal(hm_keyfile_read(directory, &got, &error), HM_DENIED);
    hm_buf_fini(&error);
    unlink(path);
    rmdir(directory);
}

static void test_source(void **state)
{
    (void)state;
    struct hm_addr to;
    struct hm_addr source;
    assert_true(hm_addr_parse("127.0.0.1", 9610, &to));
    assert_true(hm_net_source(&to, &source));
    assert_true(hm_addr_is_loopback(&source));
    assert_int_equal(source.port, 0);
    source = hm_net_default_source();
    assert_int_not_equal(source.family, 0);
}

struct found {
    size_t calls;
    size_t failures;
    size_t count;
    struct hm_addr addrs[HM_RESOLVER_ADDRS_MAX];
};

static void on_done(void *context, const struct hm_addr *addrs, size_t count)
{
    struct found *found = context;
    found->calls++;
    found->count = count;
    if (count > 0) {
        memcpy(found->addrs, addrs, count * sizeof *addrs);
    }
}

static void on_failed(void *context, const char *host, const char *why)
{
    struct found *found = context;
    found->failures++;
    assert_string_equal(host, "no.such.name.invalid");
    assert_true(*why);
}

static void test_resolver(void **state)
{
    (void)state;
    uv_loop_t loop;
    struct found found = {0};
    const struct hm_resolver_events events = {&found, on_done, on_failed};
    const char *const names[] = {"127.0.0.9", "[::1]:7", "localhost:99", "127.0.0.9:9610",
                                 "no.such.name.invalid:5"};
    assert_int_equal(uv_loop_init(&loop), 0);
    struct hm_resolver *resolver = hm_resolver_new(&loop, names, 5, 9610, &events);
    for (size_t round = 1; round <= 2; round++) {
        hm_resolver_start(resolver);
        hm_resolver_start(resolver);
        assert_int_equal(found.calls, round - 1);
        uv_run(&loop, UV_RUN_DEFAULT);
        assert_int_equal(found.calls, round);
        assert_int_equal(found.failures, round);
    }
    assert_true(found.count >= 3); /* both literals once, localhost at least once */
    bool local = false;
    for (size_t i = 0; i < found.count; i++) {
        local |= hm_addr_is_loopback(&found.addrs[i]) && found.addrs[i].port == 99;
    }
    assert_true(local);
    hm_resolver_start(resolver);
    hm_resolver_free(resolver);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(found.calls, 2);
    assert_int_equal(uv_loop_close(&loop), 0);
}

static void test_notify(void **state)
{
    (void)state;
    char directory[] = "/tmp/hm_test_notify.XXXXXX";
    char path[64];
    char got[32] = {0};
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    unsetenv("NOTIFY_SOCKET");
    assert_false(hm_notify("READY=1"));
    assert_non_null(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/notify", directory);
    memcpy(name.sun_path, path, strlen(path));
    setenv("NOTIFY_SOCKET", path, 1);
    assert_false(hm_notify("READY=1"));
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&name, sizeof name), 0);
    assert_true(hm_notify("READY=1"));
    assert_int_equal(recv(fd, got, sizeof got - 1, 0), 7);
    assert_string_equal(got, "READY=1");
    close(fd);
    unlink(path);
    rmdir(directory);
    unsetenv("NOTIFY_SOCKET");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keyfile),
        cmocka_unit_test(test_source),
        cmocka_unit_test(test_resolver),
        cmocka_unit_test(test_notify),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
