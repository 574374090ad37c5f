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

/* ---- errors ---- */

/* All the errors of a text, as printed. */
static void expect_errors(struct fixture *fixture, struct hm_bytes text, const char *expected)
{
    struct hm_conf *conf = NULL;
    enum hm_status status = hm_conf_parse(fixture->schema, "a.yaml", text, &fixture->errors, &conf);
    assert_string_equal(printed_errors(fixture), expected);
    assert_int_equal(status, HM_BAD_CONFIG);
    assert_null(conf);
    hm_conf_errors_fini(&fixture->errors);
}

struct error_case {
    const char *text;
    const char *errors;
};

static void expect_all(struct fixture *fixture, const struct error_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        expect_errors(fixture, hm_bytes_of_text(cases[i].text), cases[i].errors);
    }
}

static void test_errors_of_keys(void **state)
{
    static const struct error_case cases[] = {
        {"key: /k\n"
         "roles: [host]\n"
         "jion: [a]\n"
         "frobnicate: {a: b}\n",
         "a.yaml:3:1: unknown key 'jion': did you mean 'join'?\n"
         "a.yaml:4:1: unknown key 'frobnicate': if it is the section of a module, name the module "
         "in 'roles' or 'middlewares'; else remove it\n"},
        {"roles: [host]\n",
         "a.yaml:1:1: key is missing in the configuration: the file with the cluster key, as "
         "`hivemind keygen` writes it; mode 0600, or 0640 for the group hivemind\n"},
        {"# nothing\n",
         "a.yaml:1:1: key is missing in the configuration: the file with the cluster key, as "
         "`hivemind keygen` writes it; mode 0600, or 0640 for the group hivemind\n"
         "a.yaml:1:1: roles is missing in the configuration: what the node performs; each role is "
         "a module\n"},
        {"key: /k\n"
         "roles: []\n",
         "a.yaml:1:1: roles is missing in the configuration: what the node performs; each role is "
         "a module\n"},
        {"key: /k\n"
         "roles: [host]\n"
         "store: {sets: [a]}\n",
         "a.yaml:3:1: store belongs to module store, which this node does not load: add store to "
         "'roles' or 'middlewares', or remove it\n"},
        {"key: /k\n"
         "roles: [host]\n"
         "name: a\n"
         "control: {bootstrap: yes, bootstrap: no}\n"
         "name: b\n",
         "a.yaml:4:27: 'bootstrap' is set twice: first at a.yaml:4:11; remove one\n"
         "a.yaml:5:1: 'name' is set twice: first at a.yaml:3:1; remove one\n"},
        {"key: /k\n"
         "roles: [host]\n"
         "services:\n"
         "  - name: web\n"
         "    port: 80\n"
         "    prot: 3\n"
         "    vhost: [a.b]\n"
         "    xyz: 1\n",
         "a.yaml:6:5: unknown key 'prot' in services: did you mean 'port'?\n"
         "a.yaml:7:5: unknown key 'vhost' in services: did you mean 'vhosts'?\n"
         "a.yaml:8:5: unknown key 'xyz' in services: known are name, port, tags, weight, vhosts, "
         "check\n"},
        {"key: /k\n"
         "roles: [host]\n"
         "services:\n"
         "  - port: 1\n"
         "  - name: b\n"
         "    port: 2\n"
         "    check: {every: 3s}\n"
         "  - name: c\n"
         "    port: 3\n"
         "    check: {http: /x, tcp: true}\n",
         "a.yaml:4:5: name is missing in services: the service\n"
         "a.yaml:7:5: tcp or http is missing in check: connect\n"
         "a.yaml:10:23: 'tcp' and 'http' exclude each other: write one of them\n"},
        {"? [a, b]\n"
         ": c\n"
         "key: /k\n"
         "roles: [host]\n",
         "a.yaml:1:3: a key must be a single word, not a list\n"},
    };
    expect_all(*state, cases, COUNT(cases));
}

static void test_errors_of_forms(void **state)
{
    static const struct error_case cases[] = {
        {"- a\n", "a.yaml:1:1: the file takes a map, not a list: write 'name: value' lines\n"},
        {"key:/k\n",
         "a.yaml:1:1: the file takes a map, not a single value: write 'name: value' lines\n"},
        {"key: /k\n"
         "roles: {host: yes}\n"
         "name: [a]\n"
         "services: web\n"
         "dns: [a]\n",
         "a.yaml:2:8: roles takes a list, not a map: write [one, two]\n"
         "a.yaml:3:7: name takes a DNS label, not a list\n"
         "a.yaml:4:11: services takes a list, not a single value: write - before each entry\n"
         "a.yaml:5:6: dns takes a map, not a list: write 'name: value' lines\n"},
        {"key: /k\n"
         "roles: [host]\n"
         "services: [web]\n"
         "name: ~\n"
         "join: [[a]]\n"
         "log_level: {a: b}\n",
         "a.yaml:3:12: services takes a map, not a single value: write 'name: value' lines\n"
         "a.yaml:4:7: name has no value: write a DNS label, or remove the line\n"
         "a.yaml:5:8: join takes an address or host name, not a list\n"
         "a.yaml:6:12: log_level takes one of the choices, not a map\n"},
        {"key:\n"
         "roles: [host]\n",
         "a.yaml:1:5: key has no value: write an absolute path, or remove the line\n"},
        {"key: /k\n"
         "roles: [host]\n"
         "dns: {limits: 3, zones: [{name: a, nameservers: [x]}]}\n",
         "a.yaml:3:15: limits takes a map, not a single value: write 'name: value' lines\n"
         "a.yaml:3:49: nameservers takes a map, not a list: write 'name: value' lines\n"},
    };
    expect_all(*state, cases, COUNT(cases));
}

static void test_errors_of_values(void **state)
{
    static const struct error_case cases[] = {
        {"key: k\n"
         "roles: [-x]\n"
         "log_level: inof\n"
         "serve_joins: maybe\n"
         "advertise: node\n",
         "a.yaml:1:6: key: 'k' is not an absolute path: begin it with /\n"
         "a.yaml:2:9: roles: '-x' is not a DNS label: use letters, digits and inner hyphens, at "
         "most 63 characters\n"
         "a.yaml:3:12: log_level: 'inof' is not known: did you mean 'info'?\n"
         "a.yaml:4:14: serve_joins: 'maybe' is not a flag: write true or false\n"
         "a.yaml:5:12: advertise: 'node' is not an address: write IP or IP:PORT, as in "
         "10.0.0.1:9610 or \"[2001:db8::1]:9610\"\n"},
        {"key: /k\n"
         "roles: [host]\n"
         "log_level: loud\n"
         "join: [10.0.0.256, \"a:0\", \"10.0.0.1:70000\"]\n",
         "a.yaml:3:12: log_level: 'loud' is not known: write one of error, warn, info, debug\n"
         "a.yaml:4:8: join: '10.0.0.256' is not an address or host name: write IP, NAME, IP:PORT "
         "or NAME:PORT, as in 10.0.0.1 or \"[2001:db8::1]:9610\"\n"
         "a.yaml:4:20: join: 'a:0' is not an address or host name: write IP, NAME, IP:PORT or "
         "NAME:PORT, as in 10.0.0.1 or \"[2001:db8::1]:9610\"\n"
         "a.yaml:4:27: join: '10.0.0.1:70000' is not an address or host name: write IP, NAME, "
         "IP:PORT or NAME:PORT, as in 10.0.0.1 or \"[2001:db8::1]:9610\"\n"},
        {"key: /k\n"
         "roles: [host]\n"
         "addresses: [\"[::1]\", \"10.0.0.1:80\", 10.0.0]\n",
         "a.yaml:3:13: addresses: '[::1]' is not an IP address: write one as in 10.0.0.1 or "
         "\"2001:db8::1\"\n"
         "a.yaml:3:22: addresses: '10.0.0.1:80' is not an IP address: write one as in 10.0.0.1 or "
         "\"2001:db8::1\"\n"
         "a.yaml:3:37: addresses: '10.0.0' is not an IP address: write one as in 10.0.0.1 or "
         "\"2001:db8::1\"\n"},
        {"key: /k\n"
         "roles: [host]\n"
         "services:\n"
         "  - {name: toolongservicename, port: 70000}\n"
         "  - {name: a--b, port: 010}\n"
         "  - {name: 80, port: 0x50}\n"
         "  - {name: a, port: -1, weight: 0}\n",
         "a.yaml:4:12: name: 'toolongservicename' is not a service name: use at most 15 letters, "
         "digits and single inner hyphens, one letter at least (RFC 6335)\n"
         "a.yaml:4:38: port: 70000 is not between 1 and 65535\n"
         "a.yaml:5:12: name: 'a--b' is not a service name: use at most 15 letters, digits and "
         "single inner hyphens, one letter at least (RFC 6335)\n"
         "a.yaml:5:24: port: '010' is not an integer: write digits alone, as in 10\n"
         "a.yaml:6:12: name: '80' is not a service name: use at most 15 letters, digits and single "
         "inner hyphens, one letter at least (RFC 6335)\n"
         "a.yaml:6:22: port: '0x50' is not an integer: write digits alone, as in 10\n"
         "a.yaml:7:21: port: -1 is not between 1 and 65535\n"
         "a.yaml:7:33: weight: 0 is not between 1 and 65535\n"},
        {"key: /k\n"
         "roles: [host]\n"
         "services:\n"
         "  - {name: a, port: 1, check: {tcp: yes, every: 5, timeout: 1.5s}}\n"
         "  - {name: a, port: 1, check: {tcp: yes, every: 1ms}}\n"
         "  - {name: a, port: 1, check: {tcp: yes, every: 99999999999999999999s}}\n",
         "a.yaml:4:49: every: '5' is not a duration: write a number with its unit, as in 500ms, "
         "2s, 5m, 1h, 7d\n"
         "a.yaml:4:61: timeout: '1.5s' is not a duration: write a number with its unit, as in "
         "500ms, 2s, 5m, 1h, 7d\n"
         "a.yaml:5:49: every: 1ms is not between 100ms and 1h\n"
         "a.yaml:6:49: every: '99999999999999999999s' is not a duration: write a number with its "
         "unit, as in 500ms, 2s, 5m, 1h, 7d\n"},
        {"key: /k\n"
         "roles: [host]\n"
         "dns:\n"
         "  cache: 3X\n"
         "  motd: 12345678901234567\n"
         "  none_healthy: nodat\n"
         "  limits: {a: 10, a: 3, \"\": 4}\n",
         "a.yaml:4:10: cache: '3X' is not a size: write bytes, or a unit as in 64K, 10M, 1G\n"
         "a.yaml:5:9: motd: its length is not between 1 and 16\n"
         "a.yaml:6:17: none_healthy: 'nodat' is not known: did you mean 'nodata'?\n"
         "a.yaml:7:15: limits: 10 is not between 1 and 9\n"
         "a.yaml:7:19: 'a' is set twice: first at a.yaml:7:12; remove one\n"
         "a.yaml:7:25: limits: the name '' is not a text\n"},
        {"key: /k\n"
         "roles: [host]\n"
         "dns:\n"
         "  zones:\n"
         "    - name: a..b\n"
         "      nameservers: {n_1: 10.0.0.1, ns2: [10.0.0.1, x]}\n"
         "      reverse: [10.0.0.1/16, 10.0.0.0/33, 10.0.0.0, \"2001:db8::/32\"]\n",
         "a.yaml:5:13: name: 'a..b' is not a domain name: write labels with dots between, as in "
         "corp.internal\n"
         "a.yaml:6:21: nameservers: the name 'n_1' is not a DNS label: use letters, digits and "
         "inner hyphens, at most 63 characters\n"
         "a.yaml:6:52: nameservers: 'x' is not an IP address: write one as in 10.0.0.1 or "
         "\"2001:db8::1\"\n"
         "a.yaml:7:17: reverse: '10.0.0.1/16' is not a prefix: write IP/BITS with zeros behind the "
         "prefix, as in 10.0.0.0/16\n"
         "a.yaml:7:30: reverse: '10.0.0.0/33' is not a prefix: write IP/BITS with zeros behind the "
         "prefix, as in 10.0.0.0/16\n"
         "a.yaml:7:43: reverse: '10.0.0.0' is not a prefix: write IP/BITS with zeros behind the "
         "prefix, as in 10.0.0.0/16\n"},
    };
    expect_all(*state, cases, COUNT(cases));
}

static void test_errors_of_yaml(void **state)
{
    static const struct error_case cases[] = {
        {"key: /k\n"
         "roles: [host]\n"
         "\tname: x\n",
         "a.yaml:3:1: broken YAML: found character that cannot start any token: indent with "
         "spaces, not tabs; quote values that begin with @, ` or %\n"},
        {"key: /k\n"
         "roles: [host\n"
         "name: x\n",
         "a.yaml:2:9: roles: 'host name' is not a DNS label: use letters, digits and inner "
         "hyphens, at most 63 characters\n"
         "a.yaml:3:5: broken YAML: did not find expected ',' or ']' (while parsing a flow sequence "
         "that begins at line 2): close the list with ]\n"},
        {"key: /k\n"
         "  roles: [host]\n",
         "a.yaml:2:8: broken YAML: mapping values are not allowed in this context: one 'key: "
         "value' a line, with the same indent; quote values with ': ' in them\n"},
        {"key: \"/k\n"
         "roles: 3\n",
         "a.yaml:3:1: broken YAML: found unexpected end of stream (while scanning a quoted scalar "
         "that begins at line 1): a quote or bracket was not closed\n"},
        {"key: @x\n", "a.yaml:1:6: broken YAML: found character that cannot start any token: "
                      "indent with spaces, not tabs; quote values that begin with @, ` or %\n"},
        {"key: - a\n", "a.yaml:1:6: broken YAML: block sequence entries are not allowed in this "
                       "context: begin the list on the line below its key\n"},
        {"key: &a /k\n"
         "roles: [*a]\n"
         "name: !!str x\n",
         "a.yaml:1:6: anchors (&name) are not supported: remove it\n"
         "a.yaml:2:9: aliases (*name) are not supported: write the value out\n"
         "a.yaml:3:7: tags (!name) are not supported: remove it\n"},
        {"key: /k\n"
         "roles: [host]\n"
         "<<: *x\n",
         "a.yaml:3:1: unknown key '<<': if it is the section of a module, name the module in "
         "'roles' or 'middlewares'; else remove it\n"
         "a.yaml:3:5: aliases (*name) are not supported: write the value out\n"},
        {"key: /k\n"
         "roles: [host]\n"
         "---\n"
         "key: /x\n",
         "a.yaml:3:1: a second document (---): put it into a file of its own in conf.d\n"},
        {"key: /k\n"
         "roles: [host]\n"
         "name: \"a\\0b\"\n",
         "a.yaml:3:7: a NUL character is not allowed\n"},
        {"key: /k\n"
         "roles: [host]\n"
         "name: \"\\e[31mred\"\n",
         "a.yaml:3:7: name: '?[31mred' is not a DNS label: use letters, digits and inner hyphens, "
         "at most 63 characters\n"},
        {"key: /k\n"
         "roles: [host]\n"
         "name: \001\n",
         "a.yaml:3:7: broken YAML: control characters are not allowed: is this a text file?\n"},
    };
    expect_all(*state, cases, COUNT(cases));
}

static void test_limits(void **state)
{
    struct fixture *fixture = *state;
    struct hm_buf text = {0};
    hm_buf_append_text(&text, "a: ");
    for (int i = 0; i < 40; i++) {
        hm_buf_append_text(&text, "[");
    }
    expect_errors(fixture, hm_buf_view(&text),
                  "a.yaml:1:1: unknown key 'a': if it is the section of a module, name the module "
                  "in 'roles' or 'middlewares'; else remove it\n"
                  "a.yaml:1:35: nested deeper than 32 levels\n");
    hm_buf_clear(&text);
    hm_buf_append_text(&text, "join: [");
    for (int i = 0; i < 65536; i++) {
        hm_buf_append_text(&text, "a,");
    }
    expect_errors(fixture, hm_buf_view(&text),
                  "a.yaml:1:131074: more than 65536 values in one file\n");
    hm_buf_clear(&text);
    memset(hm_buf_extend(&text, HM_CONF_BYTES_MAX + 1), '#', HM_CONF_BYTES_MAX + 1);
    expect_errors(fixture, hm_buf_view(&text), "a.yaml:1:1: the file is larger than 1 MiB\n");
    hm_buf_clear(&text);
    hm_buf_append_text(&text, NEEDED "dns: {motd: ");
    memset(hm_buf_extend(&text, 4097), 'x', 4097);
    hm_buf_append_text(&text, "}\n");
    expect_errors(fixture, hm_buf_view(&text), "a.yaml:3:13: a value of more than 4096 bytes\n");
    hm_buf_clear(&text);
    hm_buf_append_text(&text, NEEDED "dns: {limits: {");
    for (int i = 0; i < 1025; i++) {
        hm_buf_printf(&text, "%sk%d: 1", i ? ",\n" : "", i);
    }
    hm_buf_append_text(&text, "}}\n");
    expect_errors(fixture, hm_buf_view(&text),
                  "a.yaml:1027:1: limits has more than 1024 entries\n");
    hm_buf_fini(&text);
}

static void test_not_utf8(void **state)
{
    expect_errors(*state, hm_bytes_of_text("key: /k\nname: \xc3\xa9\xff\n"),
                  "a.yaml:2:8: broken YAML: the text is not UTF-8\n");
    /* Columns count characters; a long value is cut between them. */
    expect_errors(*state, hm_bytes_of_text(NEEDED "tags: [\"\xc3\xa9\", -a]\n"),
                  "a.yaml:3:8: tags: '\xc3\xa9' is not a DNS label: use letters, digits and inner "
                  "hyphens, at most 63 characters\n"
                  "a.yaml:3:13: tags: '-a' is not a DNS label: use letters, digits and inner "
                  "hyphens, at most 63 characters\n");
    struct hm_buf quoted = {0};
    hm_conf_quote(&quoted, "12345678901234567890123456789012345678901234567890123456789012"
                           "3\xc3\xa9 and more \x1b");
    hm_put_u8(&quoted, 0);
    assert_string_equal((char *)quoted.data, "'12345678901234567890123456789012345678901234567890"
                                             "1234567890123...'");
    hm_buf_fini(&quoted);
}

static void test_error_flood(void **state)
{
    struct fixture *fixture = *state;
    struct hm_buf text = {0};
    hm_buf_append_text(&text, NEEDED);
    for (int i = 0; i < 150; i++) {
        hm_buf_append_text(&text, "x: 1\n");
    }
    struct hm_conf *conf = NULL;
    assert_int_equal(
        hm_conf_parse(fixture->schema, "a.yaml", hm_buf_view(&text), &fixture->errors, &conf),
        HM_BAD_CONFIG);
    assert_int_equal(fixture->errors.count, HM_CONF_ERRORS_MAX);
    assert_int_equal(fixture->errors.dropped, 50);
    assert_non_null(strstr(printed_errors(fixture), "\nand 50 more\n"));
    hm_buf_fini(&text);
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
    assert_int_equal(merge(fixture, "services: [{name: a}]\nnane: x\n", "jion: a\n", &conf),
                     HM_BAD_CONFIG);
    const char *printed = printed_errors(fixture);
    assert_non_null(strstr(printed, "main.yaml:1:12: port is missing in services"));
    assert_true(strstr(printed, "main.yaml:2:1: ") < strstr(printed, "conf.d/a.yaml:1:1: "));
    assert_true(strstr(printed, "main.yaml:1:12: ") < strstr(printed, "main.yaml:2:1: "));
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
    hm_conf_diff_print(&diff, &fixture->printed);
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
    {.name = "each",
     .type = HM_CONF_MAP,
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
        "{\"not\":{\"anyOf\":[{\"required\":[\"a\"]},{\"required\":[\"b\"]}]}}]}]}}]}},"
        "\"required\":[\"port\"]}\n");
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
                        "| `each` | list: map | none, see below | yes | e |\n\n"
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
        cmocka_unit_test_setup_teardown(test_errors_of_keys, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_errors_of_forms, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_errors_of_values, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_errors_of_yaml, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_limits, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_not_utf8, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_error_flood, set_up, tear_down),
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
