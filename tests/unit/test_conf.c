/* YAML under schema tables: values and defaults, every error with its place, merging, printing. */
#include "core/base/memory.h"
#include "core/conf/print.h"
#include "core/conf/suggest.h"
#include "tests/unit/conf_example.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* Keys that every file needs, so that an example can be about something else: 2 lines. */
#define NEEDED "key: /k\nroles: [host]\n"

struct fixture {
    struct hm_arena arena;
    const struct hm_conf_schema *schema;
    struct hm_conf_errors errors;
    struct hm_buf printed;
};

static int set_up(void **state)
{
    struct fixture *fixture = hm_alloc(1, sizeof *fixture);
    fixture->schema = example_schema(&fixture->arena);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    hm_conf_errors_fini(&fixture->errors);
    hm_buf_fini(&fixture->printed);
    hm_arena_fini(&fixture->arena);
    hm_free(fixture);
    return 0;
}

static const char *printed_errors(struct fixture *fixture)
{
    hm_buf_clear(&fixture->printed);
    hm_conf_errors_print(&fixture->errors, &fixture->printed);
    hm_put_u8(&fixture->printed, 0);
    return (const char *)fixture->printed.data;
}

static struct hm_conf *parse(struct fixture *fixture, const char *text)
{
    struct hm_conf *conf = NULL;
    enum hm_status status =
        hm_conf_parse(fixture->schema, "a.yaml", hm_bytes_of_text(text), &fixture->errors, &conf);
    if (status != HM_OK) {
        fail_msg("%s%s", text, printed_errors(fixture));
    }
    return conf;
}

/* ---- the examples of the design ---- */

static void test_example_control(void **state)
{
    struct hm_conf *conf = parse(*state, "key: /etc/hivemind/cluster.key\n"
                                         "join: [10.0.0.1, 10.0.0.2, 10.0.0.3]\n"
                                         "roles: [control]\n"
                                         "control: {bootstrap: true} # first only\n");
    const struct hm_conf_node *root = hm_conf_root(conf);
    assert_string_equal(hm_conf_text(root, "key"), "/etc/hivemind/cluster.key");
    assert_int_equal(hm_conf_get(root, "join")->count, 3);
    const struct hm_conf_node *join = hm_conf_first(root, "join");
    assert_string_equal(join->next->text, "10.0.0.2");
    assert_int_equal(join->next->addr.family, 4);
    assert_int_equal(join->next->addr.ip[3], 2);
    assert_int_equal(join->next->origin.line, 2);
    assert_int_equal(join->next->origin.column, 18);
    assert_true(hm_conf_flag(hm_conf_get(root, "control"), "bootstrap"));
    hm_conf_free(conf);
}

static void test_example_host(void **state)
{
    struct hm_conf *conf =
        parse(*state, "key: /etc/hivemind/cluster.key\n"
                      "join: [10.0.0.1, 10.0.0.2]\n"
                      "roles: [host]\n"
                      "services:\n"
                      "  - name: web\n"
                      "    port: 8080\n"
                      "    vhosts: [shop.corp.internal]\n"
                      "    check: {http: /health, every: 2s, fall: 3, rise: 1}\n");
    const struct hm_conf_node *service = hm_conf_first(hm_conf_root(conf), "services");
    assert_non_null(service);
    assert_null(service->next);
    assert_string_equal(hm_conf_text(service, "name"), "web");
    assert_int_equal(hm_conf_integer(service, "port"), 8080);
    assert_int_equal(hm_conf_integer(service, "weight"), 100);
    assert_false(hm_conf_is_set(service, "weight"));
    assert_string_equal(hm_conf_first(service, "vhosts")->text, "shop.corp.internal");
    assert_null(hm_conf_first(service, "tags"));
    const struct hm_conf_node *check = hm_conf_get(service, "check");
    assert_true(hm_conf_is_set(service, "check"));
    assert_string_equal(hm_conf_text(check, "http"), "/health");
    assert_false(hm_conf_is_set(check, "tcp"));
    assert_int_equal(hm_conf_duration(check, "every"), 2000);
    assert_int_equal(hm_conf_duration(check, "timeout"), 1000);
    hm_conf_free(conf);
}

static void test_example_dns(void **state)
{
    struct hm_conf *conf = parse(*state, "key: /etc/hivemind/cluster.key\n"
                                         "join: [10.0.0.1, 10.0.0.2]\n"
                                         "roles: [dns]\n"
                                         "dns:\n"
                                         "  listen: [10.0.0.11, \"2001:db8::11\"]\n"
                                         "  zones:\n"
                                         "    - name: corp.internal\n"
                                         "      nameservers: {ns1: 10.0.0.11}\n"
                                         "      ttl: {service: 5s, host: 60s}\n"
                                         "      reverse: [10.0.0.0/16]\n");
    const struct hm_conf_node *dns = hm_conf_get(hm_conf_root(conf), "dns");
    assert_int_equal(hm_conf_first(dns, "listen")->next->addr.family, 6);
    const struct hm_conf_node *zone = hm_conf_first(dns, "zones");
    assert_string_equal(hm_conf_text(zone, "name"), "corp.internal");
    const struct hm_conf_node *ns = hm_conf_first(zone, "nameservers");
    assert_string_equal(ns->name, "ns1");
    assert_int_equal(ns->count, 1);
    assert_int_equal(ns->first->addr.ip[3], 11);
    assert_int_equal(hm_conf_duration(hm_conf_get(zone, "ttl"), "host"), 60000);
    const struct hm_conf_node *reverse = hm_conf_first(zone, "reverse");
    assert_int_equal(reverse->integer, 16);
    assert_int_equal(reverse->addr.ip[0], 10);
    hm_conf_free(conf);
}

static void test_example_all_in_one(void **state)
{
    struct hm_conf *conf = parse(*state, "key: /etc/hivemind/cluster.key\n"
                                         "roles: [control, dns, host]\n"
                                         "control: {bootstrap: true}\n"
                                         "dns: {zones: [{name: home.arpa}]}\n"
                                         "services: [{name: jellyfin, port: 8096}]\n");
    const struct hm_conf_node *root = hm_conf_root(conf);
    const struct hm_conf_node *zone = hm_conf_first(hm_conf_get(root, "dns"), "zones");
    assert_string_equal(hm_conf_text(zone, "name"), "home.arpa");
    assert_int_equal(hm_conf_duration(hm_conf_get(zone, "ttl"), "service"), 5000);
    assert_false(hm_conf_is_set(zone, "ttl"));
    assert_int_equal(hm_conf_integer(hm_conf_first(root, "services"), "port"), 8096);
    assert_false(hm_conf_is_set(hm_conf_first(root, "services"), "check"));
    hm_conf_free(conf);
}

/* ---- values and defaults ---- */

static void test_defaults(void **state)
{
    struct hm_conf *conf = parse(*state, NEEDED);
    const struct hm_conf_node *root = hm_conf_root(conf);
    assert_true(hm_conf_flag(root, "serve_joins"));
    assert_false(hm_conf_is_set(root, "serve_joins"));
    const struct hm_conf_node *middleware = hm_conf_first(root, "middlewares");
    assert_string_equal(middleware->text, "log");
    assert_string_equal(middleware->next->text, "auth");
    assert_null(middleware->next->next);
    assert_string_equal(hm_conf_text(root, "log_level"), "info");
    assert_null(hm_conf_text(root, "name"));
    assert_null(hm_conf_get(root, "data"));
    assert_null(hm_conf_first(root, "join"));
    assert_int_equal(hm_conf_integer(hm_conf_get(root, "dns"), "cache"), 65536);
    assert_true(hm_addr_is_none(&(struct hm_addr){0}));
    struct hm_addr none = hm_conf_address(root, "advertise", 9610);
    assert_true(hm_addr_is_none(&none));
    hm_conf_free(conf);
}

static void test_values(void **state)
{
    static const struct {
        const char *text;
        int64_t bytes;
    } sizes[] = {{"0", 0},          {"512", 512},      {"7B", 7},           {"64K", 65536},
                 {"64 KiB", 65536}, {"10M", 10485760}, {"1GiB", 1073741824}};
    for (size_t i = 0; i < COUNT(sizes); i++) {
        char text[128];
        snprintf(text, sizeof text, NEEDED "dns: {cache: %s}\n", sizes[i].text);
        struct hm_conf *conf = parse(*state, text);
        assert_int_equal(hm_conf_integer(hm_conf_get(hm_conf_root(conf), "dns"), "cache"),
                         sizes[i].bytes);
        hm_conf_free(conf);
    }
    static const struct {
        const char *text;
        hm_ms ms;
    } durations[] = {{"100ms", 100}, {"2s", 2000}, {"5m", 300000}, {"1h", 3600000}, {"2 s", 2000}};
    for (size_t i = 0; i < COUNT(durations); i++) {
        char text[128];
        snprintf(text, sizeof text,
                 NEEDED "services: [{name: a, port: 1, check: {tcp: on, every: %s}}]\n",
                 durations[i].text);
        struct hm_conf *conf = parse(*state, text);
        const struct hm_conf_node *service = hm_conf_first(hm_conf_root(conf), "services");
        assert_int_equal(hm_conf_duration(hm_conf_get(service, "check"), "every"), durations[i].ms);
        hm_conf_free(conf);
    }
}

static void test_flags(void **state)
{
    static const struct {
        const char *text;
        bool flag;
    } flags[] = {{"true", true},   {"yes", true}, {"on", true},      {"True", true},
                 {"false", false}, {"no", false}, {"\"off\"", false}};
    for (size_t i = 0; i < COUNT(flags); i++) {
        char text[128];
        snprintf(text, sizeof text, NEEDED "serve_joins: %s\n", flags[i].text);
        struct hm_conf *conf = parse(*state, text);
        assert_int_equal(hm_conf_flag(hm_conf_root(conf), "serve_joins"), flags[i].flag);
        hm_conf_free(conf);
    }
}

static void test_yaml_traps(void **state)
{
    /* A text is what is written, whatever YAML 1.1 would make of it; a lone value is a list. */
    struct hm_conf *conf = parse(*state, "key: /k\n"
                                         "roles: host\n"
                                         "name: \"no\"\n"
                                         "join: [db, \"db.corp.internal.:9000\", \"[::1]:7\"]\n"
                                         "dns: {motd: \"~\", limits: {a: \"7\"}}\n"
                                         "tags:\n"
                                         "control:\n"
                                         "services: [{name: no, port: \"80\"}]\n");
    const struct hm_conf_node *root = hm_conf_root(conf);
    assert_string_equal(hm_conf_text(root, "name"), "no");
    assert_int_equal(hm_conf_get(root, "roles")->count, 1);
    assert_string_equal(hm_conf_first(root, "roles")->text, "host");
    assert_string_equal(hm_conf_text(hm_conf_first(root, "services"), "name"), "no");
    const struct hm_conf_node *join = hm_conf_first(root, "join");
    assert_string_equal(join->text, "db");
    assert_int_equal(join->addr.family, 0);
    assert_string_equal(join->next->text, "db.corp.internal");
    assert_int_equal(join->next->addr.port, 9000);
    assert_int_equal(join->next->next->addr.family, 6);
    assert_int_equal(join->next->next->addr.port, 7);
    assert_string_equal(hm_conf_text(hm_conf_get(root, "dns"), "motd"), "~");
    assert_int_equal(hm_conf_get(root, "tags")->count, 0);
    hm_conf_free(conf);
}

static void test_address_port(void **state)
{
    struct hm_conf *conf = parse(*state, NEEDED "advertise: 10.0.0.1\n");
    struct hm_addr addr = hm_conf_address(hm_conf_root(conf), "advertise", 9610);
    assert_int_equal(addr.port, 9610);
    hm_conf_free(conf);
    conf = parse(*state, NEEDED "advertise: \"[2001:db8::1]:99\"\n");
    addr = hm_conf_address(hm_conf_root(conf), "advertise", 9610);
    assert_int_equal(addr.port, 99);
    assert_int_equal(addr.family, 6);
    hm_conf_free(conf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_example_control, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_example_host, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_example_dns, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_example_all_in_one, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_defaults, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_values, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_flags, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_yaml_traps, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_address_port, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
