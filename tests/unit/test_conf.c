/* YAML under schema tables: values and defaults, several files as one, printing. */
#include "core/conf/print.h"
#include "core/conf/suggest.h"
#include "tests/unit/conf_fixture.h"

#include <stdio.h>
#include <string.h>

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

/* ---- several files ---- */

static enum hm_status merge(struct fixture *fixture, const char *main, const char *more,
                            struct hm_conf **out)
{
    struct hm_conf *conf = hm_conf_new(fixture->schema, HM_CONF_WHOLE);
    hm_conf_add(conf, "main.yaml", hm_bytes_of_text(main), &fixture->errors);
    hm_conf_add(conf, "conf.d/a.yaml", hm_bytes_of_text(more), &fixture->errors);
    *out = conf;
    return hm_conf_finish(conf, &fixture->errors);
}

static void test_merge(void **state)
{
    struct hm_conf *conf;
    assert_int_equal(merge(*state,
                           NEEDED "services: [{name: web, port: 80}]\n"
                                  "dns: {cache: 1K, limits: {a: 1}}\n",
                           "services: [{name: db, port: 90}]\n"
                           "dns: {motd: hi, limits: {b: 2}}\n"
                           "roles: dns\n",
                           &conf),
                     HM_OK);
    const struct hm_conf_node *root = hm_conf_root(conf);
    const struct hm_conf_node *web = hm_conf_first(root, "services");
    assert_string_equal(hm_conf_text(web, "name"), "web");
    assert_string_equal(hm_conf_text(web->next, "name"), "db");
    assert_null(web->next->next);
    assert_string_equal(web->next->origin.file, "conf.d/a.yaml");
    assert_int_equal(web->next->origin.line, 1);
    const struct hm_conf_node *dns = hm_conf_get(root, "dns");
    assert_int_equal(hm_conf_integer(dns, "cache"), 1024);
    assert_string_equal(hm_conf_text(dns, "motd"), "hi");
    assert_int_equal(hm_conf_get(dns, "limits")->count, 2);
    assert_int_equal(hm_conf_get(root, "roles")->count, 2);
    hm_conf_free(conf);
}

static void test_merge_errors(void **state)
{
    struct fixture *fixture = *state;
    struct hm_conf *conf;
    assert_int_equal(merge(fixture, NEEDED "dns: {cache: 1K, limits: {a: 1}}\n",
                           "key: /other\ndns: {cache: 1K, limits: {a: 2}}\n", &conf),
                     HM_BAD_CONFIG);
    assert_string_equal(
        printed_errors(fixture),
        "conf.d/a.yaml:1:1: 'key' is set twice: first at main.yaml:1:1; remove one\n"
        "conf.d/a.yaml:2:7: 'cache' is set twice: first at main.yaml:3:7; remove one\n"
        "conf.d/a.yaml:2:27: 'a' is set twice: first at main.yaml:3:27; remove one\n");
    hm_conf_free(conf);
    hm_conf_errors_fini(&fixture->errors);

    /* Files in their order, however late a finding is made; a file cut short hides "missing". */
    assert_int_equal(merge(fixture, "\n\nservices: [{name: a}]\nnane: x\n", "jion: a\n", &conf),
                     HM_BAD_CONFIG);
    const char *printed = printed_errors(fixture);
    assert_non_null(strstr(printed, "main.yaml:3:12: port is missing in services"));
    assert_true(strstr(printed, "main.yaml:4:1: ") < strstr(printed, "conf.d/a.yaml:1:1: "));
    assert_true(strstr(printed, "main.yaml:3:12: ") < strstr(printed, "main.yaml:4:1: "));
    hm_conf_free(conf);
    hm_conf_errors_fini(&fixture->errors);
    assert_int_equal(merge(fixture, "key: /k\n", "name: a\nroles: [", &conf), HM_BAD_CONFIG);
    assert_null(strstr(printed_errors(fixture), "missing"));
    hm_conf_free(conf);
}

static void test_peek(void **state)
{
    struct fixture *fixture = *state;
    struct hm_conf *conf = hm_conf_new(&hm_conf_root_schema, HM_CONF_PEEK);
    hm_conf_add(conf, "a.yaml", hm_bytes_of_text("dns: {zones: [{x: y}]}\nroles: [dns, host]\n"),
                &fixture->errors);
    assert_int_equal(hm_conf_finish(conf, &fixture->errors), HM_OK);
    assert_int_equal(hm_conf_get(hm_conf_root(conf), "roles")->count, 2);
    assert_int_equal(hm_conf_get(hm_conf_root(conf), "middlewares")->count, 2);
    hm_conf_free(conf);
}

/* A tree with errors can still be read: wrong values are absent, lists are there. */
static void test_broken_values_are_left_out(void **state)
{
    struct fixture *fixture = *state;
    struct hm_conf *conf = hm_conf_new(fixture->schema, HM_CONF_WHOLE);
    hm_conf_add(conf, "a.yaml",
                hm_bytes_of_text("key: k\nroles: {a: b}\njoin: [a, -b, c]\nlog_level: x\n"
                                 "dns: [1]\nservices: [web, {name: a, port: 1}]\n"),
                &fixture->errors);
    assert_int_equal(hm_conf_finish(conf, &fixture->errors), HM_BAD_CONFIG);
    const struct hm_conf_node *root = hm_conf_root(conf);
    assert_null(hm_conf_text(root, "key"));
    assert_null(hm_conf_text(root, "log_level"));
    assert_int_equal(hm_conf_get(root, "roles")->count, 0);
    assert_int_equal(hm_conf_get(root, "join")->count, 2);
    assert_string_equal(hm_conf_first(root, "join")->next->text, "c");
    assert_int_equal(hm_conf_get(root, "services")->count, 1);
    assert_string_equal(hm_conf_text(hm_conf_first(root, "services"), "name"), "a");
    assert_int_equal(hm_conf_integer(hm_conf_get(root, "dns"), "cache"), 65536);
    hm_conf_free(conf);

    conf = hm_conf_new(fixture->schema, HM_CONF_WHOLE);
    hm_conf_add(conf, "a.yaml", hm_bytes_of_text("name: a\nkey: @\n"), &fixture->errors);
    assert_int_equal(hm_conf_finish(conf, &fixture->errors), HM_BAD_CONFIG);
    assert_string_equal(hm_conf_text(hm_conf_root(conf), "name"), "a");
    assert_null(hm_conf_get(hm_conf_root(conf), "key"));
    hm_conf_free(conf);
}

static void test_choice_of_the_caller(void **state)
{
    struct fixture *fixture = *state;
    static const char *const roles[] = {"control", "dns", "host"};
    struct hm_conf *conf = parse(fixture, "key: /k\nroles: [host, dsn, nginx]\n");
    const struct hm_conf_node *role = hm_conf_first(hm_conf_root(conf), "roles");
    assert_true(hm_conf_check_choice(role, "role", roles, COUNT(roles), &fixture->errors));
    assert_int_equal(fixture->errors.count, 0);
    for (role = role->next; role; role = role->next) {
        assert_false(hm_conf_check_choice(role, "role", roles, COUNT(roles), &fixture->errors));
    }
    assert_string_equal(printed_errors(fixture),
                        "a.yaml:2:15: unknown role 'dsn': did you mean 'dns'?\n"
                        "a.yaml:2:20: unknown role 'nginx': known are control, dns, host\n");
    hm_conf_free(conf);
}

static void test_distance(void **state)
{
    (void)state;
    assert_int_equal(hm_conf_distance("join", "join"), 0);
    assert_int_equal(hm_conf_distance("jion", "join"), 1);
    assert_int_equal(hm_conf_distance("", "abc"), 3);
    assert_int_equal(hm_conf_distance("kitten", "sitting"), 3);
    assert_int_equal(hm_conf_distance("NAME", "name"), 0);
    char long_word[80];
    memset(long_word, 'a', sizeof long_word - 1);
    long_word[sizeof long_word - 1] = '\0';
    assert_true(hm_conf_distance(long_word, "a") == SIZE_MAX);
    assert_null(hm_conf_nearer("ttl", NULL, "tcp"));
    assert_null(hm_conf_nearer("http", NULL, "ttl"));
    assert_string_equal(hm_conf_nearer("nam", "tam", "name"), "tam");
    assert_string_equal(hm_conf_nearer("names", "games", "name"), "games");
}

/* ---- printing ---- */

static void test_diff(void **state)
{
    struct fixture *fixture = *state;
    struct hm_conf *before = parse(fixture, NEEDED "log_level: info\n"
                                                   "dns: {zones: [{name: a.b}], motd: hi}\n"
                                                   "services: [{name: a, port: 1}]\n"
                                                   "join: [10.0.0.1]\n");
    struct hm_conf *after = parse(fixture, "key: /other\nroles: host\nserve_joins: yes\n"
                                           "name: n\n"
                                           "dns: {zones: [{name: a.c}], cache: 65536}\n"
                                           "services: [{name: a, port: 1, weight: 7}]\n"
                                           "join: [\"10.0.0.1\"]\n");
    struct hm_conf_diff diff;
    hm_conf_diff(hm_conf_root(before), hm_conf_root(after), &diff);
    for (size_t i = 0; i < diff.count; i++) {
        hm_buf_printf(&fixture->printed, "%s: %s\n", diff.items[i].path,
                      diff.items[i].live ? "changed live" : "needs a restart");
    }
    hm_put_u8(&fixture->printed, 0);
    assert_string_equal((char *)fixture->printed.data, "key: needs a restart\n"
                                                       "dns.zones: needs a restart\n"
                                                       "dns.motd: changed live\n"
                                                       "services: changed live\n"
                                                       "name: needs a restart\n");
    assert_int_equal(diff.restarts, 3);
    assert_null(diff.items[2].after);
    assert_null(diff.items[4].before);
    hm_conf_diff_fini(&diff);
    hm_conf_diff(hm_conf_root(after), hm_conf_root(after), &diff);
    assert_int_equal(diff.count, 0);
    hm_conf_diff_fini(&diff);
    hm_conf_free(before);
    hm_conf_free(after);
}

static const char *const shades[] = {"dark", "light", NULL};
static const struct hm_conf_key tiny_inner_keys[] = {
    {.name = "a", .type = HM_CONF_FLAG, .one_of = "g", .help = "one"},
    {.name = "b", .type = HM_CONF_PATH, .one_of = "g", .help = "two"},
};
static const struct hm_conf_schema tiny_inner = EXAMPLE_SCHEMA(tiny_inner_keys, "Inside.");
static const struct hm_conf_key tiny_keys[] = {
    {.name = "port",
     .type = HM_CONF_INTEGER,
     .required = true,
     .min = 1,
     .max = 9,
     .help = "a \"port\""},
    {.name = "shade", .type = HM_CONF_CHOICE, .choices = shades, .fallback = "dark", .help = "s"},
    {.name = "far", .type = HM_CONF_TEXT, .needs = "other", .required = true, .help = "f"},
    {.name = "each",
     .type = HM_CONF_MAP,
     .required = true,
     .shape = HM_CONF_LIST,
     .child = &tiny_inner,
     .live = true,
     .help = "e"},
};
static const struct hm_conf_schema tiny = EXAMPLE_SCHEMA(tiny_keys, "Tiny.");

static void test_json_schema(void **state)
{
    struct fixture *fixture = *state;
    hm_conf_print_json_schema(&tiny, "tiny", &fixture->printed);
    hm_put_u8(&fixture->printed, 0);
    assert_string_equal(
        (char *)fixture->printed.data,
        "{\"$schema\":\"https://json-schema.org/draft/2020-12/schema\",\"title\":\"tiny\","
        "\"type\":\"object\",\"additionalProperties\":false,\"properties\":{"
        "\"port\":{\"description\":\"a \\\"port\\\"\",\"allOf\":[{\"type\":\"integer\","
        "\"minimum\":1,\"maximum\":9}]},"
        "\"shade\":{\"description\":\"s\",\"allOf\":[{\"enum\":[\"dark\",\"light\"]}]},"
        "\"each\":{\"description\":\"e\",\"allOf\":[{\"type\":\"array\",\"items\":"
        "{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{"
        "\"a\":{\"description\":\"one\",\"allOf\":[{\"type\":\"boolean\"}]},"
        "\"b\":{\"description\":\"two\",\"allOf\":[{\"type\":\"string\",\"pattern\":\"^/\"}]}},"
        "\"allOf\":[{\"oneOf\":[{\"required\":[\"a\"]},{\"required\":[\"b\"]},"
        "{\"not\":{\"anyOf\":[{\"required\":[\"a\"]},{\"required\":[\"b\"]}]}}]}]},\"minItems\":1}]"
        "}},"
        "\"required\":[\"port\",\"each\"]}\n");
}

static void test_manual(void **state)
{
    struct fixture *fixture = *state;
    hm_conf_print_manual(&tiny, "Tiny", &fixture->printed);
    hm_put_u8(&fixture->printed, 0);
    assert_string_equal((char *)fixture->printed.data,
                        "## Tiny\n\nTiny.\n\n"
                        "| key | value | default | live | what it is |\n|---|---|---|---|---|\n"
                        "| `port` | integer from 1 to 9 | required | restart | a \"port\" |\n"
                        "| `shade` | choice of dark, light | `dark` | restart | s |\n"
                        "| `far` | text | required | restart | f |\n"
                        "| `each` | list: map | required | yes | e |\n\n"
                        "### `each[]`\n\nInside.\n\n"
                        "| key | value | default | live | what it is |\n|---|---|---|---|---|\n"
                        "| `a` | flag | none | restart | one |\n"
                        "| `b` | path | none | restart | two |\n\n");
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
        cmocka_unit_test_setup_teardown(test_merge, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_merge_errors, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_peek, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_broken_values_are_left_out, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_choice_of_the_caller, set_up, tear_down),
        cmocka_unit_test(test_distance),
        cmocka_unit_test_setup_teardown(test_diff, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_json_schema, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_manual, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
