#include "tests/unit/dns_fixture.h"

#include "core/base/assert.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

struct hm_dns_name dns_name(const char *text)
{
    struct hm_dns_name name;
    assert_int_equal(hm_dns_name_parse(text, &name), HM_OK);
    return name;
}

void dns_fixture_init(struct dns_fixture *fixture)
{
    urcu_qsbr_register_thread();
    fixture->map = hm_dns_map_new();
    assert_non_null(fixture->map);
    struct hm_dns_name apex = dns_name("corp.internal");
    assert_int_equal(hm_dns_map_add_zone(fixture->map, &apex, &fixture->zone), HM_OK);
    hm_dns_zone_set_soa(fixture->zone, &(struct hm_dns_soa_fields){
                                           .mname = dns_name("ns1.corp.internal"),
                                           .rname = dns_name("hostmaster.corp.internal"),
                                           .serial = 7,
                                           .refresh = 60,
                                           .retry = 10,
                                           .expire = 604800,
                                           .ttl = 3600,
                                           .negative_ttl = 5,
                                       });
    fixture->answerer =
        (struct hm_dns_answerer){.map = fixture->map, .udp_payload = HM_DNS_UDP_DEFAULT};
}

void dns_fixture_fini(struct dns_fixture *fixture)
{
    hm_dns_map_free(fixture->map);
    urcu_qsbr_unregister_thread();
}

void dns_put_addresses(struct dns_fixture *fixture, const char *name, unsigned count,
                       unsigned preferred, uint16_t max)
{
    struct hm_dns_set set = {.type = HM_DNS_A, .ttl = 5, .max = max};
    for (unsigned i = 1; i <= count; i++) {
        uint8_t ip[4] = {10, 0, (uint8_t)(i >> 8), (uint8_t)i};
        assert_int_equal(
            hm_dns_set_add(&set, (struct hm_bytes){ip, 4}, i <= preferred, (struct hm_bytes){0}),
            HM_OK);
    }
    struct hm_dns_name owner = dns_name(name);
    assert_int_equal(hm_dns_map_put(fixture->map, fixture->zone, &owner, &set, count ? 1 : 0),
                     HM_OK);
    hm_dns_set_fini(&set);
}

uint8_t *dns_question(const struct dns_ask *ask, size_t *size)
{
    ldns_rdf *name = ldns_dname_new_frm_str(ask->name);
    assert_non_null(name);
    ldns_pkt *packet =
        ldns_pkt_query_new(name, ask->type, ask->class ? ask->class : LDNS_RR_CLASS_IN, LDNS_RD);
    assert_non_null(packet);
    ldns_pkt_set_id(packet, 0x1234);
    if (ask->payload) {
        ldns_pkt_set_edns_udp_size(packet, ask->payload);
    }
    uint8_t *wire = NULL;
    assert_int_equal(ldns_pkt2wire(&wire, packet, size), LDNS_STATUS_OK);
    ldns_pkt_free(packet);
    return wire;
}

size_t dns_raw(struct dns_fixture *fixture, const uint8_t *packet, size_t size)
{
    return hm_dns_answer(&fixture->answerer, (struct hm_bytes){packet, size}, false, fixture->out);
}

ldns_pkt *dns_asked(struct dns_fixture *fixture, const struct dns_ask *ask)
{
    size_t size;
    uint8_t *question = dns_question(ask, &size);
    size_t answer_size = hm_dns_answer(&fixture->answerer, (struct hm_bytes){question, size},
                                       ask->tcp, fixture->out);
    LDNS_FREE(question);
    assert_true(answer_size >= HM_DNS_HEADER_SIZE);
    if (!ask->tcp) {
        assert_true(answer_size <= (ask->payload > 512 ? ask->payload : 512U));
    }
    ldns_pkt *answer = NULL;
    assert_int_equal(ldns_wire2pkt(&answer, fixture->out, answer_size), LDNS_STATUS_OK);
    assert_true(ldns_pkt_qr(answer));
    assert_false(ldns_pkt_ra(answer));
    assert_int_equal(ldns_pkt_id(answer), 0x1234);
    return answer;
}

const char *dns_rr_text(const ldns_rr_list *list, size_t i)
{
    static char text[1024];
    assert_true(i < ldns_rr_list_rr_count(list));
    char *printed = ldns_rr2str(ldns_rr_list_rr(list, i));
    size_t length = 0;
    for (const char *at = printed; *at && *at != '\n'; at++) {
        HM_ASSERT(length + 1 < sizeof text);
        text[length++] = *at == '\t' ? ' ' : *at;
    }
    text[length] = '\0';
    LDNS_FREE(printed);
    return text;
}
