/* DNS messages as bytes on the hot path: a query is read, a reply is written; nothing is allocated.
 */
#ifndef HM_DNS_PACKET_H
#define HM_DNS_PACKET_H

#include "core/base/bytes.h"
#include "core/base/status.h"
#include "dns_processor/name.h"

#define HM_DNS_HEADER_SIZE 12
#define HM_DNS_UDP_MIN     512  /* what every client can take (RFC 1035, section 4.2.1) */
#define HM_DNS_UDP_DEFAULT 1232 /* what passes IPv6 paths unfragmented (DNS flag day 2020) */
#define HM_DNS_UDP_MAX     4096
#define HM_DNS_TCP_MAX     65535

enum hm_dns_type {
    HM_DNS_A = 1,
    HM_DNS_NS = 2,
    HM_DNS_SOA = 6,
    HM_DNS_PTR = 12,
    HM_DNS_TXT = 16,
    HM_DNS_AAAA = 28,
    HM_DNS_SRV = 33,
    HM_DNS_OPT = 41,
    HM_DNS_TKEY = 249, /* the first of TKEY, TSIG, IXFR, AXFR */
    HM_DNS_AXFR = 252,
    HM_DNS_ANY = 255,
};

#define HM_DNS_CLASS_IN 1

enum hm_dns_rcode {
    HM_DNS_NOERROR = 0,
    HM_DNS_FORMERR = 1,
    HM_DNS_SERVFAIL = 2,
    HM_DNS_NXDOMAIN = 3,
    HM_DNS_NOTIMP = 4,
    HM_DNS_REFUSED = 5,
    HM_DNS_BADVERS = 16,
    HM_DNS_RCODES = 17,
};

/* What a query says. `rcode` is its first fault, HM_DNS_NOERROR when it may be looked up. */
struct hm_dns_query {
    enum hm_dns_rcode rcode;
    uint16_t type;
    uint16_t question_size; /* bytes from offset 12 to echo; 0 when the question is not usable */
    uint16_t udp_payload;   /* what the client takes by EDNS, 0 without */
    bool edns;
    bool dnssec_ok;
    uint8_t label_count;
    uint8_t label_at[HM_DNS_LABELS_MAX]; /* where each label starts in name.wire */
    struct hm_dns_name name;             /* valid when question_size > 0 */
};

/* Reads a query (RFC 1035 section 4, RFC 6891). False: say nothing (a reply, or no whole header).
 * Compression pointers in the question are refused: nothing stands before it to point at. */
HM_MUST_USE bool hm_dns_query_read(struct hm_bytes packet, struct hm_dns_query *out);

/* A reply under way. Records go in by section order; size <= limit always. */
struct hm_dns_reply {
    uint8_t *data;
    size_t size;
    size_t limit; /* room for OPT is set aside already */
    uint16_t answer_count;
    uint16_t authority_count;
    uint16_t additional_count;
    bool authoritative;
    bool truncated;
};

/* Starts a reply to `query` in `data`, which holds `limit` bytes: at least HM_DNS_UDP_MIN. The
 * question goes back byte for byte, so that the client sees its own mix of cases. */
void hm_dns_reply_begin(struct hm_dns_reply *reply, uint8_t *data, size_t limit,
                        struct hm_bytes packet, const struct hm_dns_query *query);

/* Forgets all records, for a truncated reply. */
void hm_dns_reply_truncate(struct hm_dns_reply *reply, const struct hm_dns_query *query);

/* Adds OPT when the client spoke EDNS, fills in the header; returns the size of the message. */
size_t hm_dns_reply_end(struct hm_dns_reply *reply, struct hm_bytes packet,
                        const struct hm_dns_query *query, enum hm_dns_rcode rcode,
                        uint16_t udp_payload);

static inline uint16_t hm_dns_get16(const uint8_t *at)
{
    return (uint16_t)(at[0] << 8 | at[1]);
}

static inline void hm_dns_put16(uint8_t *at, uint16_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static inline void hm_dns_put32(uint8_t *at, uint32_t value)
{
    hm_dns_put16(at, (uint16_t)(value >> 16));
    hm_dns_put16(at + 2, (uint16_t)value);
}

#endif
