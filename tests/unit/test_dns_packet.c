/* Bytes in, bytes out: every rcode, EDNS, size limits, hostile packets. */
#include "tests/unit/dns_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static int set_up(void **state)
{
    static struct dns_fixture fixture;
    dns_fixture_init(&fixture);
    dns_put_addresses(&fixture, "web.corp.internal", 2, 2, 8);
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    dns_fixture_fini(*state);
    return 0;
}

/* The rcode of an answer in `out`, or -1 for silence. */
static int rcode_of(struct dns_fixture *fixture, const uint8_t *packet, size_t size)
{
    size_t answer = dns_raw(fixture, packet, size);
    assert_true(answer == 0 || answer >= HM_DNS_HEADER_SIZE);
    return answer ? fixture->out[3] & 15 : -1;
}

static int rcode_asked(struct dns_fixture *fixture, const struct dns_ask *ask)
{
    ldns_pkt *answer = dns_asked(fixture, ask);
    int rcode = (int)ldns_pkt_get_rcode(answer);
    ldns_pkt_free(answer);
    return rcode;
}

static void test_rcodes(void **state)
{
    const struct {
        struct dns_ask ask;
        int rcode;
        bool authoritative;
        size_t authority_count;
    } rows[] = {
        {{"web.corp.internal", LDNS_RR_TYPE_A}, HM_DNS_NOERROR, true, 0},
        {{"web.corp.internal", LDNS_RR_TYPE_TXT}, HM_DNS_NOERROR, true, 1},
        {{"web.corp.internal", (ldns_rr_type)65535}, HM_DNS_NOERROR, true, 1},
        {{"none.corp.internal", LDNS_RR_TYPE_A}, HM_DNS_NXDOMAIN, true, 1},
        {{"a.b.c.d.e.f.corp.internal", LDNS_RR_TYPE_A}, HM_DNS_NXDOMAIN, true, 1},
        {{"example.com", LDNS_RR_TYPE_A}, HM_DNS_REFUSED, false, 0},
        {{"internal", LDNS_RR_TYPE_A}, HM_DNS_REFUSED, false, 0},
        {{".", LDNS_RR_TYPE_NS}, HM_DNS_REFUSED, false, 0},
        {{"version.bind", LDNS_RR_TYPE_TXT, LDNS_RR_CLASS_CH}, HM_DNS_REFUSED, false, 0},
        {{"web.corp.internal", LDNS_RR_TYPE_A, LDNS_RR_CLASS_CH}, HM_DNS_REFUSED, false, 0},
        {{"corp.internal", LDNS_RR_TYPE_AXFR}, HM_DNS_REFUSED, false, 0},
        {{"corp.internal", LDNS_RR_TYPE_TKEY}, HM_DNS_REFUSED, false, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ldns_pkt *answer = dns_asked(*state, &rows[i].ask);
        assert_int_equal(ldns_pkt_get_rcode(answer), rows[i].rcode);
        assert_int_equal(ldns_pkt_aa(answer), rows[i].authoritative);
        assert_int_equal(ldns_pkt_nscount(answer), rows[i].authority_count);
        assert_int_equal(ldns_pkt_qdcount(answer), 1);
        ldns_pkt_free(answer);
    }
}

static void test_negative_answers_carry_the_soa(void **state)
{
    ldns_pkt *answer = dns_asked(*state, &(struct dns_ask){"x.corp.internal", LDNS_RR_TYPE_A});
    assert_string_equal(dns_rr_text(ldns_pkt_authority(answer), 0),
                        "corp.internal. 5 IN SOA ns1.corp.internal. hostmaster.corp.internal. "
                        "7 60 10 604800 5");
    ldns_pkt_free(answer);
    answer = dns_asked(*state, &(struct dns_ask){"corp.internal", LDNS_RR_TYPE_SOA});
    assert_string_equal(dns_rr_text(ldns_pkt_answer(answer), 0),
                        "corp.internal. 3600 IN SOA ns1.corp.internal. hostmaster.corp.internal. "
                        "7 60 10 604800 5");
    ldns_pkt_free(answer);
}

static void test_the_question_comes_back_in_its_own_case(void **state)
{
    struct dns_fixture *fixture = *state;
    size_t size;
    uint8_t *question = dns_question(&(struct dns_ask){"wEb.CORP.iNtErNaL", LDNS_RR_TYPE_A}, &size);
    assert_true(dns_raw(fixture, question, size) > size);
    assert_memory_equal(fixture->out + 12, question + 12, size - 12);
    assert_int_equal(hm_dns_get16(fixture->out + 6), 2);
    LDNS_FREE(question);
}

static void test_any_gets_one_set(void **state)
{
    ldns_pkt *answer = dns_asked(*state, &(struct dns_ask){"web.corp.internal", LDNS_RR_TYPE_ANY});
    assert_int_equal(ldns_pkt_ancount(answer), 2);
    ldns_pkt_free(answer);
    answer = dns_asked(*state, &(struct dns_ask){"corp.internal", LDNS_RR_TYPE_ANY});
    assert_int_equal(ldns_pkt_ancount(answer), 1);
    ldns_pkt_free(answer);
}

static void test_edns(void **state)
{
    struct dns_fixture *fixture = *state;
    struct dns_ask ask = {"web.corp.internal", LDNS_RR_TYPE_A, .payload = 4096};
    ldns_pkt *answer = dns_asked(fixture, &ask);
    assert_true(ldns_pkt_edns(answer));
    assert_int_equal(ldns_pkt_edns_udp_size(answer), HM_DNS_UDP_DEFAULT);
    ldns_pkt_free(answer);
    ask.payload = 0;
    answer = dns_asked(fixture, &ask);
    assert_false(ldns_pkt_edns(answer));
    ldns_pkt_free(answer);

    ask.payload = 1232;
    size_t size;
    uint8_t *question = dns_question(&ask, &size);
    uint8_t packet[600];
    memcpy(packet, question, size);
    LDNS_FREE(question);
    uint8_t *opt = packet + size - 11;
    opt[7] = 0x80; /* DNSSEC OK is copied (RFC 3225, section 3) */
    size_t answer_size = dns_raw(fixture, packet, size);
    assert_int_equal(fixture->out[answer_size - 4], 0x80);
    const uint8_t options[] = {0xff, 0xf0, 0, 2, 1, 2, 0, 3, 0, 0};
    opt[10] = sizeof options;
    memcpy(packet + size, options, sizeof options);
    assert_int_equal(rcode_of(fixture, packet, size + sizeof options), HM_DNS_NOERROR);
    packet[size + 3] = 9; /* an option beyond the end */
    assert_int_equal(rcode_of(fixture, packet, size + sizeof options), HM_DNS_FORMERR);
    opt[10] = 3; /* not even an option's head */
    assert_int_equal(rcode_of(fixture, packet, size + 3), HM_DNS_FORMERR);
    opt[10] = 0;
    opt[6] = 1; /* version 1: BADVERS is 16, of which OPT holds the upper bits */
    answer_size = dns_raw(fixture, packet, size);
    assert_int_equal(fixture->out[3] & 15, 0);
    assert_int_equal(fixture->out[answer_size - 6], 1);
    assert_int_equal(hm_dns_get16(fixture->out + 6), 0);
    opt[6] = 0;
    memcpy(packet + size, opt, 11); /* OPT twice */
    packet[11] = 2;
    assert_int_equal(rcode_of(fixture, packet, size + 11), HM_DNS_FORMERR);
}

static void test_size_limits(void **state)
{
    struct dns_fixture *fixture = *state;
    dns_put_addresses(fixture, "many.corp.internal", 200, 200, 0);
    const struct {
        uint16_t payload;
        uint16_t server_payload;
        unsigned records; /* that just fit */
    } rows[] = {{0, 1232, 29},    {100, 1232, 29},   {1232, 1232, 74},
                {4096, 1232, 74}, {4096, 4096, 200}, {1300, 4096, 78}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        fixture->answerer.udp_payload = rows[i].server_payload;
        struct dns_ask ask = {"many.corp.internal", LDNS_RR_TYPE_A, .payload = rows[i].payload};
        bool fits_all = rows[i].records == 200;
        ldns_pkt *answer = dns_asked(fixture, &ask);
        assert_int_equal(ldns_pkt_tc(answer), !fits_all);
        assert_int_equal(ldns_pkt_ancount(answer), fits_all ? 200 : 0);
        ldns_pkt_free(answer);
        if (fits_all) {
            continue;
        }
        dns_put_addresses(fixture, "many.corp.internal", rows[i].records, 1, 0);
        answer = dns_asked(fixture, &ask);
        assert_false(ldns_pkt_tc(answer));
        assert_int_equal(ldns_pkt_ancount(answer), rows[i].records);
        ldns_pkt_free(answer);
        dns_put_addresses(fixture, "many.corp.internal", rows[i].records + 1, 1, 0);
        answer = dns_asked(fixture, &ask);
        assert_true(ldns_pkt_tc(answer));
        ldns_pkt_free(answer);
        dns_put_addresses(fixture, "many.corp.internal", 200, 200, 0);
    }
    ldns_pkt *answer =
        dns_asked(fixture, &(struct dns_ask){"many.corp.internal", LDNS_RR_TYPE_A, .tcp = true});
    assert_false(ldns_pkt_tc(answer));
    assert_int_equal(ldns_pkt_ancount(answer), 200);
    ldns_pkt_free(answer);
    fixture->answerer.udp_payload = HM_DNS_UDP_DEFAULT;
}

static void test_opcodes_and_counts(void **state)
{
    struct dns_fixture *fixture = *state;
    size_t size;
    uint8_t *packet = dns_question(&(struct dns_ask){"web.corp.internal", LDNS_RR_TYPE_A}, &size);
    for (unsigned opcode = 1; opcode < 16; opcode++) {
        packet[2] = (uint8_t)(opcode << 3 | 1);
        assert_int_equal(rcode_of(fixture, packet, size), HM_DNS_NOTIMP);
        assert_int_equal(fixture->out[2] >> 3 & 15, opcode);
    }
    packet[2] = 0x81; /* a reply is no question */
    assert_int_equal(rcode_of(fixture, packet, size), -1);
    packet[2] = 1;
    for (size_t place = 5; place <= 11; place += 2) {
        uint8_t kept = packet[place];
        packet[place] = 2;
        assert_int_equal(rcode_of(fixture, packet, size), HM_DNS_FORMERR);
        packet[place] = kept;
    }
    packet[5] = 0;
    assert_int_equal(rcode_of(fixture, packet, size), HM_DNS_FORMERR);
    packet[5] = 1;
    assert_int_equal(rcode_of(fixture, packet, size), HM_DNS_NOERROR);
    LDNS_FREE(packet);
}

static void test_every_cut_is_refused(void **state)
{
    size_t size;
    uint8_t *packet = dns_question(
        &(struct dns_ask){"web.corp.internal", LDNS_RR_TYPE_A, .payload = 1232}, &size);
    for (size_t cut = 0; cut < size; cut++) {
        assert_int_equal(rcode_of(*state, packet, cut), cut < 12 ? -1 : HM_DNS_FORMERR);
    }
    uint8_t longer[100] = {0};
    memcpy(longer, packet, size);
    assert_int_equal(rcode_of(*state, longer, size + 1), HM_DNS_FORMERR);
    LDNS_FREE(packet);
}

/* A question with this name, as bytes. */
static int rcode_of_name(struct dns_fixture *fixture, const uint8_t *name, size_t size)
{
    uint8_t packet[600] = {0x12, 0x34, 1, 0, 0, 1};
    memcpy(packet + 12, name, size);
    packet[12 + size + 1] = HM_DNS_A;
    packet[12 + size + 3] = HM_DNS_CLASS_IN;
    return rcode_of(fixture, packet, 12 + size + 4);
}

static void test_hostile_names(void **state)
{
    const uint8_t itself[] = {0xc0, 0x0c};
    const uint8_t through_a_label[] = {1, 'a', 0xc0, 0x0c};
    const uint8_t header[] = {0xc0, 0x00};
    assert_int_equal(rcode_of_name(*state, itself, sizeof itself), HM_DNS_FORMERR);
    assert_int_equal(rcode_of_name(*state, through_a_label, 4), HM_DNS_FORMERR);
    assert_int_equal(rcode_of_name(*state, header, sizeof header), HM_DNS_FORMERR);
    uint8_t name[300] = {0};
    name[0] = 64; /* a label of 64 */
    assert_int_equal(rcode_of_name(*state, name, 66), HM_DNS_FORMERR);
    name[0] = 63;
    assert_int_equal(rcode_of_name(*state, name, 65), HM_DNS_REFUSED);
    for (size_t i = 0; i < 254; i += 2) {
        name[i] = 1;
        name[i + 1] = 'x';
    }
    name[254] = 0; /* 127 labels, 255 bytes: the most there is */
    assert_int_equal(rcode_of_name(*state, name, 255), HM_DNS_REFUSED);
    name[252] = 2;
    name[254] = 'x';
    name[255] = 0;
    assert_int_equal(rcode_of_name(*state, name, 256), HM_DNS_FORMERR);
}

static void test_other_records_in_a_query(void **state)
{
    size_t size;
    uint8_t *packet = dns_question(&(struct dns_ask){"web.corp.internal", LDNS_RR_TYPE_A}, &size);
    uint8_t longer[200];
    memcpy(longer, packet, size);
    LDNS_FREE(packet);
    const uint8_t record[] = {0xc0, 0x0c, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 1, 2, 3, 4};
    memcpy(longer + size, record, sizeof record);
    longer[11] = 1;
    assert_int_equal(rcode_of(*state, longer, size + sizeof record), HM_DNS_NOERROR);
    longer[size + 3] = HM_DNS_OPT; /* OPT belongs to the root */
    assert_int_equal(rcode_of(*state, longer, size + sizeof record), HM_DNS_FORMERR);
}

static void test_a_zone_without_soa_is_not_ready(void **state)
{
    struct dns_fixture *fixture = *state;
    struct hm_dns_zone *zone;
    struct hm_dns_name apex = dns_name("new.internal");
    assert_int_equal(hm_dns_map_add_zone(fixture->map, &apex, &zone), HM_OK);
    assert_int_equal(hm_dns_map_add_zone(fixture->map, &apex, &zone), HM_EXISTS);
    assert_int_equal(rcode_asked(fixture, &(struct dns_ask){"x.new.internal", LDNS_RR_TYPE_A}),
                     HM_DNS_SERVFAIL);
}

static void test_counters(void **state)
{
    struct dns_fixture *fixture = *state;
    struct hm_dns_counters before = {0};
    hm_dns_counters_add(&before, &fixture->answerer.counters);
    (void)rcode_asked(fixture, &(struct dns_ask){"x.corp.internal", LDNS_RR_TYPE_A});
    (void)rcode_of(fixture, (const uint8_t *)"", 0);
    struct hm_dns_counters after = {0};
    hm_dns_counters_add(&after, &fixture->answerer.counters);
    assert_int_equal(after.queries - before.queries, 2);
    assert_int_equal(after.dropped - before.dropped, 1);
    assert_int_equal(after.rcodes[HM_DNS_NXDOMAIN] - before.rcodes[HM_DNS_NXDOMAIN], 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rcodes),
        cmocka_unit_test(test_negative_answers_carry_the_soa),
        cmocka_unit_test(test_the_question_comes_back_in_its_own_case),
        cmocka_unit_test(test_any_gets_one_set),
        cmocka_unit_test(test_edns),
        cmocka_unit_test(test_size_limits),
        cmocka_unit_test(test_opcodes_and_counts),
        cmocka_unit_test(test_every_cut_is_refused),
        cmocka_unit_test(test_hostile_names),
        cmocka_unit_test(test_other_records_in_a_query),
        cmocka_unit_test(test_a_zone_without_soa_is_not_ready),
        cmocka_unit_test(test_counters),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
