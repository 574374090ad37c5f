/* Everything that can be wrong with a configuration: each finding with its place and text. */
#include "tests/unit/conf_fixture.h"

#include <string.h>

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
         "a.yaml:8:5: unknown key 'xyz' in services: known are name, port, weight, tags, vhosts, "
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
         "a.yaml:4:5: name is missing in services: what it is called; machines that serve the same "
         "use the same name\n"
         "a.yaml:7:5: tcp or http is missing in check: a TCP connection to the host's first "
         "address and the service's port is a pass\n"
         "a.yaml:10:23: 'tcp' and 'http' exclude each other: write one of them\n"},
        {"key: /k\n"
         "roles: [host]\n"
         "roles: [dns]\n"
         "dns: {cache: 1K}\n"
         "dns: {motd: a}\n",
         "a.yaml:3:1: 'roles' is set twice: first at a.yaml:2:1; remove one\n"
         "a.yaml:5:1: 'dns' is set twice: first at a.yaml:4:1; remove one\n"},
        {"key: /k\n"
         "port: 80\n"
         "every: 2s\n"
         "roles: [host]\n"
         "dns:\n"
         "  serve_joins: no\n"
         "  sets: [a]\n",
         "a.yaml:2:1: unknown key 'port': it belongs in services\n"
         "a.yaml:3:1: unknown key 'every': it belongs in services.check\n"
         "a.yaml:6:3: unknown key 'serve_joins' in dns: it belongs at the top, not indented\n"
         "a.yaml:7:3: unknown key 'sets' in dns: known are listen, zones, none_healthy, cache, "
         "motd, limits\n"},
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
         "a.yaml:3:1: unknown key '<<': merge keys are not supported, write the keys out\n"
         "a.yaml:3:5: aliases (*name) are not supported: write the value out\n"},
        {"key: /k\n"
         "roles: [host]\n"
         "---\n"
         "key: /x\n",
         "a.yaml:3:1: a second document (---): put it into a file of its own in conf.d\n"},
        {"key: /k\n"
         "roles: [host]\n"
         "name: \"a\\0b\"\n",
         "a.yaml:3:7: a NUL character is not allowed: remove it\n"},
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
    expect_errors(fixture, hm_buf_view(&text),
                  "a.yaml:1:1: the file is larger than 1 MiB: put parts of it into conf.d\n");
    hm_buf_clear(&text);
    hm_buf_append_text(&text, NEEDED "dns: {motd: ");
    memset(hm_buf_extend(&text, 4097), 'x', 4097);
    hm_buf_append_text(&text, "}\n");
    expect_errors(fixture, hm_buf_view(&text),
                  "a.yaml:3:13: a value of more than 4096 bytes: shorten it\n");
    hm_buf_clear(&text);
    hm_buf_append_text(&text, NEEDED "dns: {limits: {");
    for (int i = 0; i < 1025; i++) {
        hm_buf_printf(&text, "%sk%d: 1", i ? ",\n" : "", i);
    }
    hm_buf_append_text(&text, "}}\n");
    expect_errors(fixture, hm_buf_view(&text),
                  "a.yaml:1027:1: limits has more than 1024 entries: remove what follows\n");
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_errors_of_keys, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_errors_of_forms, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_errors_of_values, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_errors_of_yaml, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_limits, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_not_utf8, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_error_flood, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
