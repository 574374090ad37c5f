/* Role `dns` as a node sees it: settings from YAML, changes in, answers out over UDP. */
#include "core/base/memory.h"
#include "dns_processor/namers.h"
#include "dns_processor/settings.h"
#include "tests/unit/dns_node.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void test_settings(void **state)
{
    (void)state;
    struct running running = {0};
    struct hm_dns_settings settings;
    struct hm_conf_errors errors = {0};
    read_section(&running, "listen: [10.0.0.11, '[2001:db8::11]:5353']\n"
                           "zones:\n"
                           "  - name: Corp.internal\n"
                           "    nameservers: {ns1: [10.0.0.11, '2001:db8::11'], ns2: 10.0.0.12}\n"
                           "    ttl: {service: 10s, host: 60s}\n"
                           "    reverse: [10.9.0.0/16, 10.0.0.0/16]\n"
                           "    none_healthy: nodata\n"
                           "  - name: home.arpa\n"
                           "threads: 3\n"
                           "udp_payload: 1400\n");
    hm_dns_settings_read(running.section, NULL, &settings, &errors);
    assert_int_equal(errors.count, 0);
    assert_int_equal(settings.listen_count, 2);
    assert_int_equal(settings.listen[0].port, 53);
    assert_int_equal(settings.listen[1].port, 5353);
    assert_string_equal(settings.where, "dns.yaml:1:10");
    assert_int_equal(settings.threads, 3);
    assert_int_equal(settings.udp_payload, 1400);
    assert_int_equal(settings.tcp_connections, 256);
    assert_int_equal(settings.tcp_idle_ms, 10000);
    assert_int_equal(settings.zone_count, 2);
    assert_string_equal(settings.zones[0].name, "corp.internal");
    const struct hm_zone_settings *zone = &settings.zones[0].settings;
    assert_int_equal(zone->ttl_service, 10);
    assert_int_equal(zone->ttl_zone, 3600);
    assert_int_equal(zone->ttl_negative, 5);
    assert_int_equal(zone->max_answers, 8);
    assert_true(zone->none_healthy_nodata);
    assert_int_equal(zone->reverse_count, 2);
    assert_int_equal(zone->reverse[0].addr.ip[1], 0); /* in order */
    assert_int_equal(zone->reverse[0].bits, 16);
    assert_int_equal(zone->nameservers_count, 2);
    assert_true(hm_bytes_equal(zone->nameservers[0].name, hm_bytes_of_text("ns1.corp.internal")));
    assert_int_equal(zone->nameservers[0].addresses_count, 2);
    assert_int_equal(zone->vhosts_allow_count, 1);
    assert_true(hm_bytes_equal(zone->vhosts_allow[0].name, hm_bytes_of_text("corp.internal")));
    zone = &settings.zones[1].settings;
    assert_int_equal(zone->nameservers_count, 0);
    assert_int_equal(zone->ttl_service, 5);
    assert_false(zone->none_healthy_nodata);
    hm_dns_settings_fini(&settings);
    end_section(&running);
}

/* Asserts what check says of a section. */
static void expect_findings(const char *text, const char *findings)
{
    struct running running = {0};
    struct hm_conf_errors errors = {0};
    struct hm_buf told = {0};
    read_section(&running, text);
    hm_module.check(running.section, NULL, &errors);
    hm_conf_errors_print(&errors, &told);
    hm_put_u8(&told, 0);
    assert_string_equal((const char *)told.data, findings);
    hm_buf_fini(&told);
    hm_conf_errors_fini(&errors);
    end_section(&running);
}

static void test_findings(void **state)
{
    (void)state;
    struct hm_conf_errors errors = {0};
    hm_module.check(NULL, NULL, &errors);
    assert_int_equal(errors.count, 1);
    hm_conf_errors_fini(&errors);
    expect_findings("zones: [{name: a.internal, reverse: [10.0.0.0/8, 11.0.0.0/8]}]\n", "");
    expect_findings("zones:\n"
                    "- {name: a.internal, reverse: [10.0.0.0/7, 11.0.0.0/8]}\n"
                    "- {name: b.internal}\n"
                    "- {name: A.Internal}\n"
                    "- {name: 10.in-addr.arpa}\n",
                    "dns.yaml:2:22: reverse zone '10.in-addr.arpa' is there twice: remove one\n"
                    "dns.yaml:2:22: reverse zone '11.in-addr.arpa' is there twice: remove one\n"
                    "dns.yaml:4:3: zone 'a.internal' is there twice: remove one\n");
    expect_findings("zones: [{name: a.internal, reverse: [128.0.0.0/1, 10.0.0.0/9, 32.0.0.0/4]}]\n",
                    "dns.yaml:1:63: these prefixes come to more than 256 reverse zones: write them "
                    "so that they end where a label does, as /8, /16 or /24\n");
}

static void test_from_a_bootstrap_to_answers(void **state)
{
    (void)state;
    struct running running = {0};
    set_catalog();
    put_vhost(&running, "shop.corp.internal", 1);
    start(&running, free_port(), "zones: [{name: corp.internal, reverse: [10.0.0.0/8]}]\n");
    put_consumer(&running, 1, "d1", "dns", false);
    change(&running, HM_CHANGE_SERVICE, "web"); /* part of what is not whole yet */
    expect(&running, "web.corp.internal", LDNS_RR_TYPE_A, LDNS_RCODE_SERVFAIL, NULL);
    change(&running, HM_CHANGE_ALL, ""); /* a member now, but nothing has been fetched */
    expect(&running, "web.corp.internal", LDNS_RR_TYPE_A, LDNS_RCODE_SERVFAIL, NULL);
    running.ctx.view.state_position = 1;
    assert_int_equal(running.ctx.writes, 0);
    change(&running, HM_CHANGE_ALL, ""); /* all is known, and that nobody has founded the zone */
    expect(&running, "web.corp.internal", LDNS_RR_TYPE_A, LDNS_RCODE_SERVFAIL, NULL);
    expect(&running, "5.0.0.10.in-addr.arpa", LDNS_RR_TYPE_PTR, LDNS_RCODE_SERVFAIL, NULL);
    expect_fact(&running, "dns.zone.corp.internal=not committed yet: not served\n");
    commit(&running);
    expect(&running, "web.corp.internal", LDNS_RR_TYPE_A, 0, "web.corp.internal. 5 IN A 10.0.0.5");
    expect(&running, "_web._tcp.corp.internal", LDNS_RR_TYPE_SRV, 0,
           "_web._tcp.corp.internal. 5 IN SRV 10 7 8080 h1.host.corp.internal.");
    expect(&running, "h1.host.corp.internal", LDNS_RR_TYPE_TXT, 0,
           "h1.host.corp.internal. 60 IN TXT \"ssd\"");
    expect(&running, "5.0.0.10.in-addr.arpa", LDNS_RR_TYPE_PTR, 0,
           "5.0.0.10.in-addr.arpa. 60 IN PTR h1.host.corp.internal.");
    expect(&running, "corp.internal", LDNS_RR_TYPE_NS, 0,
           "corp.internal. 3600 IN NS d1.host.corp.internal.");
    expect(&running, "d1.host.corp.internal", LDNS_RR_TYPE_A, 0,
           "d1.host.corp.internal. 3600 IN A 127.0.0.1");
    expect(&running, "shop.corp.internal", LDNS_RR_TYPE_A, 0,
           "shop.corp.internal. 5 IN A 10.0.0.5"); /* no nginx: the instances */
    put_consumer(&running, 2, "n1", "nginx", false);
    put_consumer(&running, 3, "d0", "dns", false);
    put_vhost(&running, "corp.internal", 2);
    change(&running, HM_CHANGE_VHOST, "corp.internal");
    expect(&running, "shop.corp.internal", LDNS_RR_TYPE_A, 0,
           "shop.corp.internal. 5 IN A 127.0.0.2");
    expect(&running, "corp.internal", LDNS_RR_TYPE_A, 0, "corp.internal. 5 IN A 127.0.0.2");
    expect(&running, "d0.host.corp.internal", LDNS_RR_TYPE_A, 0,
           "d0.host.corp.internal. 3600 IN A 127.0.0.3");
    expect(&running, "corp.internal", LDNS_RR_TYPE_SOA, 0, /* 2 vhosts, 3 consumers, 1 zone */
           "corp.internal. 3600 IN SOA d0.host.corp.internal. hostmaster.corp.internal. "
           "6 60 10 604800 5");
    /* A failed dns node stays in NS; virtual hosts are only where somebody lives. */
    put_consumer(&running, 3, "d0", "dns", true);
    put_consumer(&running, 2, "n1", "nginx", true);
    expect(&running, "d0.host.corp.internal", LDNS_RR_TYPE_A, 0,
           "d0.host.corp.internal. 3600 IN A 127.0.0.3");
    expect(&running, "shop.corp.internal", LDNS_RR_TYPE_A, 0,
           "shop.corp.internal. 5 IN A 10.0.0.5");
    catalog.healthy = false;
    expect_fact(&running, "dns.services_none_healthy=1\n");
    expect_fact(&running, "dns.servfail=4\n");
    catalog.has_host = false; /* another history, without the host */
    change(&running, HM_CHANGE_ALL, "");
    expect(&running, "web.corp.internal", LDNS_RR_TYPE_A, LDNS_RCODE_NXDOMAIN, NULL);
    expect(&running, "_web._tcp.corp.internal", LDNS_RR_TYPE_SRV, LDNS_RCODE_NXDOMAIN, NULL);
    expect(&running, "h1.host.corp.internal", LDNS_RR_TYPE_TXT, LDNS_RCODE_NXDOMAIN, NULL);
    expect(&running, "shop.corp.internal", LDNS_RR_TYPE_A, LDNS_RCODE_NXDOMAIN, NULL);
    expect(&running, "5.0.0.10.in-addr.arpa", LDNS_RR_TYPE_PTR, LDNS_RCODE_NXDOMAIN, NULL);
    stop(&running);
}

static void test_a_founder_has_nobody_to_wait_for(void **state)
{
    (void)state;
    struct running running = {.ctx = {.id = {{1}}, .config = {.bootstrap = true}}};
    set_catalog();
    start(&running, free_port(),
          "zones: [{name: corp.internal, nameservers: {ns1: [10.0.0.1]}}]\n"
          "vhosts_allow: [a.corp.internal]\n");
    hm_module.tick(&running.ctx, running.ctx.wake);
    expect(&running, "web.corp.internal", LDNS_RR_TYPE_A, LDNS_RCODE_SERVFAIL, NULL);
    struct hm_member member = {.id = {{1}}, .name = hm_name_of("all")};
    hm_members_put(&running.ctx.view.members, &member);
    hm_module.tick(&running.ctx, running.ctx.wake);
    assert_true(running.ctx.wake == HM_NEVER);
    commit(&running);
    expect(&running, "web.corp.internal", LDNS_RR_TYPE_A, 0, "web.corp.internal. 5 IN A 10.0.0.5");
    expect(&running, "ns1.corp.internal", LDNS_RR_TYPE_A, 0,
           "ns1.corp.internal. 3600 IN A 10.0.0.1");
    catalog.has_host = false;
    change(&running, HM_CHANGE_SERVICE, "web");
    change(&running, HM_CHANGE_HOST, "h1");
    expect(&running, "web.corp.internal", LDNS_RR_TYPE_A, LDNS_RCODE_NXDOMAIN, NULL);
    expect(&running, "h1.host.corp.internal", LDNS_RR_TYPE_A, LDNS_RCODE_NXDOMAIN, NULL);
    stop(&running);
}

static void test_a_cluster_without_state_is_believed_in_time(void **state)
{
    (void)state;
    struct running running = {0};
    catalog = (struct hm_catalog){0};
    start(&running, free_port(), "zones: [{name: corp.internal}]\n");
    hm_module.tick(&running.ctx, 5000); /* never told: not believed */
    expect(&running, "x.corp.internal", LDNS_RR_TYPE_A, LDNS_RCODE_SERVFAIL, NULL);
    change(&running, HM_CHANGE_ALL, "");
    hm_module.tick(&running.ctx, hm_module_now(&running.ctx) + 999);
    expect(&running, "x.corp.internal", LDNS_RR_TYPE_A, LDNS_RCODE_SERVFAIL, NULL);
    hm_module.tick(&running.ctx, hm_module_now(&running.ctx) + 1000);
    commit(&running);
    expect(&running, "x.corp.internal", LDNS_RR_TYPE_A, LDNS_RCODE_NXDOMAIN, NULL);
    stop(&running);
}

/* Neither what it had is answered any more, nor that there is no such name. */
static void test_a_fenced_node_answers_nothing(void **state)
{
    (void)state;
    struct running running = {0};
    set_catalog();
    start(&running, free_port(), "zones: [{name: corp.internal}]\n");
    put_zone(&running, "corp.internal", 9, NULL);
    complete(&running);
    expect(&running, "web.corp.internal", LDNS_RR_TYPE_A, 0, "web.corp.internal. 9 IN A 10.0.0.5");
    change(&running, HM_CHANGE_ENDED, "");
    assert_true(was_logged(&running, "zones ended reason=\"this node is fenced\""));
    expect(&running, "web.corp.internal", LDNS_RR_TYPE_A, LDNS_RCODE_SERVFAIL, NULL);
    expect_fact(&running, "dns.complete=no: fenced\n");
    change(&running, HM_CHANGE_SERVICE, "web");
    complete(&running);
    expect(&running, "web.corp.internal", LDNS_RR_TYPE_A, LDNS_RCODE_SERVFAIL, NULL);
    expect(&running, "nobody.corp.internal", LDNS_RR_TYPE_A, LDNS_RCODE_SERVFAIL, NULL);
    stop(&running);
}

static void test_what_is_committed_is_served(void **state)
{
    (void)state;
    struct running running = {0};
    set_catalog();
    start(&running, free_port(), "zones: [{name: corp.internal, nameservers: {a: [10.0.0.1]}}]\n");
    put_zone(&running, "corp.internal", 9, NULL);
    put_namer(&running, "corp.internal d1");
    complete(&running);
    expect(&running, "web.corp.internal", LDNS_RR_TYPE_A, 0, "web.corp.internal. 9 IN A 10.0.0.5");
    expect_fact(&running, "dns.zone.corp.internal=as committed at 1, not as in the file "
                          "(ttl.service 5s in the file, 9s committed; ttl.host ");
    expect_fact(&running, "; nameservers; vhosts_allow): a reload here commits the file\n");
    assert_true(was_logged(&running, "zone differs zone=corp.internal is=\"as committed at 1"));
    hm_buf_clear(&running.ctx.logs);
    /* It is told again when something else is committed, and only then. */
    change(&running, HM_CHANGE_ALL, "");
    assert_false(was_logged(&running, "zone differs"));
    put_zone(&running, "corp.internal", 8, NULL);
    assert_true(was_logged(&running, "zone differs"));
    expect(&running, "web.corp.internal", LDNS_RR_TYPE_A, 0, "web.corp.internal. 8 IN A 10.0.0.5");
    /* Nothing is written but by a reload, which replaces what is committed now. */
    assert_int_equal(running.ctx.writes, 0);
    hm_buf_clear(&running.ctx.logs);
    reload(&running, "zones: [{name: corp.internal, ttl: {service: 3s}}]\n");
    assert_int_equal(running.ctx.writes, 1);
    assert_false(was_logged(&running, "zone differs"));
    expect(&running, "web.corp.internal", LDNS_RR_TYPE_A, 0, "web.corp.internal. 8 IN A 10.0.0.5");
    commit(&running);
    assert_int_equal(running.ctx.writes, 1);
    expect(&running, "web.corp.internal", LDNS_RR_TYPE_A, 0, "web.corp.internal. 3 IN A 10.0.0.5");
    expect_fact(&running, "dns.zone.corp.internal=as in the file, committed at 4\n");
    stop(&running);
}

static void test_who_comes_second_looks_again(void **state)
{
    (void)state;
    struct running running = {0};
    struct hm_submitted conflict = {.status = HM_CONFLICT};
    set_catalog();
    start(&running, free_port(), "zones: [{name: corp.internal}, {name: lab.internal}]\n");
    put_namer(&running, "corp.internal d1");
    complete(&running);
    assert_int_equal(running.ctx.writes, 1); /* one at a time */
    hm_module.written(&running.ctx, 1, &conflict);
    assert_int_equal(running.ctx.writes, 2);
    commit(&running);
    expect(&running, "web.lab.internal", LDNS_RR_TYPE_A, 0, "web.lab.internal. 5 IN A 10.0.0.5");
    assert_int_equal(running.ctx.writes, 2); /* the other's word is waited for */
    assert_int_equal(running.ctx.wake, 2000);
    hm_module.tick(&running.ctx, 1999);
    assert_int_equal(running.ctx.writes, 2);
    running.ctx.now = 2000;
    hm_module.tick(&running.ctx, 2000); /* it did not come */
    assert_int_equal(running.ctx.writes, 3);
    put_zone(&running, "corp.internal", 9, NULL);
    hm_module.written(&running.ctx, 3, &conflict);
    assert_int_equal(running.ctx.writes, 3);
    assert_true(running.ctx.wake == HM_NEVER);
    expect(&running, "web.corp.internal", LDNS_RR_TYPE_A, 0, "web.corp.internal. 9 IN A 10.0.0.5");
    stop(&running);
}

static void test_zones_come_and_go_by_a_reload(void **state)
{
    (void)state;
    struct running running = {0};
    set_catalog();
    start(&running, free_port(),
          "zones: [{name: corp.internal}]\nvhosts_allow: [a.internal, b.internal]\n");
    reload(&running, "zones: [{name: corp.internal}]\nvhosts_allow: [a.internal, b.internal]\n");
    complete(&running);
    commit(&running);
    struct hm_name allowed = hm_name_of(HM_SCOPE_VHOSTS_ALLOW);
    const struct hm_records *records = &running.ctx.view.records;
    assert_non_null(
        hm_records_find(records, &allowed, hm_bytes_of_text("corp.internal a.internal")));
    reload(&running, "zones: [{name: lab.internal}, {name: corp.internal}]\n"
                     "vhosts_allow: [b.internal, c.internal]\n");
    expect(&running, "web.corp.internal", LDNS_RR_TYPE_A, 0, "web.corp.internal. 5 IN A 10.0.0.5");
    expect(&running, "web.lab.internal", LDNS_RR_TYPE_A, LDNS_RCODE_SERVFAIL, NULL);
    commit(&running);
    expect(&running, "web.lab.internal", LDNS_RR_TYPE_A, 0, "web.lab.internal. 5 IN A 10.0.0.5");
    commit(&running);
    assert_null(hm_records_find(records, &allowed, hm_bytes_of_text("corp.internal a.internal")));
    const struct hm_record *record =
        hm_records_find(records, &allowed, hm_bytes_of_text("corp.internal c.internal"));
    assert_true(record && hm_bytes_equal(record->value, hm_bytes_of_text("c.internal")));
    reload(&running, "zones: [{name: lab.internal}]\nvhosts_allow: [b.internal, c.internal]\n");
    expect(&running, "web.corp.internal", LDNS_RR_TYPE_A, LDNS_RCODE_REFUSED, NULL);
    expect(&running, "web.lab.internal", LDNS_RR_TYPE_A, 0, "web.lab.internal. 5 IN A 10.0.0.5");
    /* What it names no more it says, too. */
    assert_int_equal(running.ctx.writes, 4);
    assert_non_null(find(&running, HM_DNS_SCOPE_NAMED, "corp.internal d1"));
    commit(&running);
    assert_null(find(&running, HM_DNS_SCOPE_NAMED, "corp.internal d1"));
    assert_non_null(find(&running, HM_DNS_SCOPE_NAMED, "lab.internal d1"));
    assert_int_equal(running.ctx.writes, 4);
    stop(&running);
}

static void test_what_others_committed_may_be_anything(void **state)
{
    (void)state;
    struct running running = {0};
    struct hm_zone_prefix ten = {.addr = {4, {10}, 0}, .bits = 8};
    struct hm_zone_prefix none = {.addr = {4, {10}, 0}, .bits = 33};
    set_catalog();
    start(&running, free_port(), "zones: [{name: a.internal}, {name: b.internal}]\n");
    put_record(&running, HM_DNS_SCOPE_ZONES, "a.internal", hm_bytes_of_text("not settings"));
    put_zone(&running, "b.internal", 5, &none);
    put_namer(&running, "a.internal d1");
    put_namer(&running, "b.internal d1");
    complete(&running);
    expect(&running, "web.a.internal", LDNS_RR_TYPE_A, LDNS_RCODE_SERVFAIL, NULL);
    expect(&running, "web.b.internal", LDNS_RR_TYPE_A, LDNS_RCODE_SERVFAIL, NULL);
    expect_fact(&running, "dns.zone.a.internal=what is committed at 1 cannot be read");
    assert_int_equal(running.ctx.writes, 0);
    /* Two zones with one reverse zone: the first has it. */
    put_zone(&running, "a.internal", 5, &ten);
    put_zone(&running, "b.internal", 5, &ten);
    expect(&running, "5.0.0.10.in-addr.arpa", LDNS_RR_TYPE_PTR, 0,
           "5.0.0.10.in-addr.arpa. 0 IN PTR h1.host.a.internal.");
    expect(&running, "web.b.internal", LDNS_RR_TYPE_A, 0, "web.b.internal. 5 IN A 10.0.0.5");
    expect_fact(&running, "; without its reverse zones, which another zone has\n");
    /* A reload replaces what nobody can read. */
    put_record(&running, HM_DNS_SCOPE_ZONES, "a.internal", hm_bytes_of_text("not settings"));
    reload(&running, "zones: [{name: a.internal}, {name: b.internal}]\n");
    commit(&running);
    expect(&running, "web.a.internal", LDNS_RR_TYPE_A, 0, "web.a.internal. 5 IN A 10.0.0.5");
    stop(&running);
}

/* The sum may be larger than a serial: it goes round, as RFC 1982 has it. */
static void test_serials_go_round(void **state)
{
    (void)state;
    struct running running = {0};
    struct hm_scope hosts = {.name = hm_name_of(HM_SCOPE_HOSTS), .version = UINT32_MAX - 1};
    struct hm_scope other = {.name = hm_name_of("other"), .version = 1000};
    set_catalog();
    start(&running, free_port(), "zones: [{name: corp.internal, nameservers: {a: [10.0.0.1]}}]\n");
    hm_records_load_scope(&running.ctx.view.records, &hosts);
    hm_records_load_scope(&running.ctx.view.records, &other); /* no zone is made of it */
    complete(&running);
    commit(&running);
    expect(&running, "corp.internal", LDNS_RR_TYPE_SOA, 0,
           "corp.internal. 3600 IN SOA a.corp.internal. hostmaster.corp.internal. "
           "4294967295 60 10 604800 5");
    put_record(&running, HM_SCOPE_HOSTS, "h", hm_bytes_of_text(""));
    put_record(&running, "other", "h", hm_bytes_of_text(""));
    expect(&running, "corp.internal", LDNS_RR_TYPE_SOA, 0,
           "corp.internal. 3600 IN SOA a.corp.internal. hostmaster.corp.internal. "
           "0 60 10 604800 5");
    stop(&running);
}

static void test_a_port_in_use_stops_the_start(void **state)
{
    (void)state;
    struct running running = {0};
    struct running second = {0};
    struct hm_buf error = {0};
    uint16_t port = free_port();
    char text[128];
    start(&running, port, "zones: [{name: corp.internal}]\n");
    snprintf(text, sizeof text, "zones: [{name: a.internal}]\nlisten: ['127.0.0.1:%u']\n", port);
    read_section(&second, text);
    second.ctx.state = hm_alloc(1, hm_module.state_size);
    assert_int_equal(hm_module.init(&second.ctx, second.section, NULL, &error), HM_OK);
    assert_int_equal(hm_module.start(&second.ctx, &error), HM_BUSY);
    hm_put_u8(&error, 0);
    assert_non_null(strstr((const char *)error.data, "is in use by test_dns_module (pid "));
    assert_non_null(strstr((const char *)error.data, "change dns.listen at dns.yaml:2:10"));
    hm_buf_fini(&error);
    hm_module.fini(&second.ctx);
    hm_free(second.ctx.state);
    end_section(&second);
    stop(&running);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_settings),
        cmocka_unit_test(test_findings),
        cmocka_unit_test(test_from_a_bootstrap_to_answers),
        cmocka_unit_test(test_a_founder_has_nobody_to_wait_for),
        cmocka_unit_test(test_a_cluster_without_state_is_believed_in_time),
        cmocka_unit_test(test_a_fenced_node_answers_nothing),
        cmocka_unit_test(test_what_is_committed_is_served),
        cmocka_unit_test(test_who_comes_second_looks_again),
        cmocka_unit_test(test_zones_come_and_go_by_a_reload),
        cmocka_unit_test(test_what_others_committed_may_be_anything),
        cmocka_unit_test(test_serials_go_round),
        cmocka_unit_test(test_a_port_in_use_stops_the_start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
