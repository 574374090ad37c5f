/* A small zone, and questions to it that are asked and read with ldns. */
#ifndef HM_TESTS_DNS_FIXTURE_H
#define HM_TESTS_DNS_FIXTURE_H

#include "dns_processor/answer.h"

#include <ldns/ldns.h>

struct dns_fixture {
    struct hm_dns_map *map;
    struct hm_dns_zone *zone;
    struct hm_dns_answerer answerer;
    uint8_t out[HM_DNS_TCP_MAX];
};

/* The map with zone corp.internal, its SOA (serial 7) and nothing else. Registers the thread. */
void dns_fixture_init(struct dns_fixture *fixture);
void dns_fixture_fini(struct dns_fixture *fixture);

struct hm_dns_name dns_name(const char *text);

/* Puts `count` A records 10.0.0.1 .. at `name`, the first `preferred` of them preferred. */
void dns_put_addresses(struct dns_fixture *fixture, const char *name, unsigned count,
                       unsigned preferred, uint16_t max);

struct dns_ask {
    const char *name;
    ldns_rr_type type;
    ldns_rr_class class; /* 0: IN */
    uint16_t payload;    /* 0: no EDNS */
    bool tcp;
};

/* The wire form of a question; the caller frees it with LDNS_FREE. */
uint8_t *dns_question(const struct dns_ask *ask, size_t *size);

/* Asks in process; asserts that the answer parses. The caller frees it with ldns_pkt_free. */
ldns_pkt *dns_asked(struct dns_fixture *fixture, const struct dns_ask *ask);

/* Answers raw bytes; the size of the answer that is in fixture->out. */
size_t dns_raw(struct dns_fixture *fixture, const uint8_t *packet, size_t size);

/* The i-th record of a list as text, in a static buffer, blanks single. */
const char *dns_rr_text(const ldns_rr_list *list, size_t i);

#endif
