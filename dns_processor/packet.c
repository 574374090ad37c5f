#include "dns_processor/packet.h"

#include "core/base/assert.h"

#include <string.h>

#define FLAG_QR     0x8000
#define FLAG_OPCODE 0x7800
#define FLAG_AA     0x0400
#define FLAG_TC     0x0200
#define FLAG_RD     0x0100
#define FLAG_CD     0x0010

#define OPT_SIZE       11 /* root owner, type, class, ttl, no options */
#define OPT_DNSSEC_OK  0x8000
#define POINTER_MASK   0xc0
#define RR_FIXED_SIZE  10 /* type, class, ttl, rdata length */
#define OPTION_MINIMUM 4  /* code, length */

static bool question_name(struct hm_bytes packet, struct hm_dns_query *query, size_t *end)
{
    size_t at = HM_DNS_HEADER_SIZE;
    size_t size = 0;
    for (;;) {
        if (at >= packet.size) {
            return false;
        }
        size_t length = packet.data[at];
        if (length > HM_DNS_LABEL_MAX || at + 1 + length > packet.size ||
            size + 1 + length > HM_DNS_NAME_MAX) {
            return false;
        }
        query->name.wire[size] = (uint8_t)length;
        if (length == 0) {
            break;
        }
        query->label_at[query->label_count++] = (uint8_t)size;
        for (size_t i = 1; i <= length; i++) {
            uint8_t byte = packet.data[at + i];
            query->name.wire[size + i] = (uint8_t)(byte + (byte >= 'A' && byte <= 'Z' ? 32 : 0));
        }
        at += 1 + length;
        size += 1 + length;
    }
    query->name.size = (uint8_t)(size + 1);
    *end = at + 1;
    return true;
}

/* Over an owner name that nobody reads; pointers end it and are not followed. 0: malformed. */
static size_t skip_name(struct hm_bytes packet, size_t at)
{
    for (size_t size = 0; at < packet.size;) {
        size_t length = packet.data[at];
        if ((length & POINTER_MASK) == POINTER_MASK) {
            return at + 2 <= packet.size ? at + 2 : 0;
        }
        size += 1 + length;
        if (length > HM_DNS_LABEL_MAX || size > HM_DNS_NAME_MAX) {
            return 0;
        }
        at += 1 + length;
        if (length == 0) {
            return at;
        }
    }
    return 0;
}

/* Unknown options are ignored (RFC 6891, section 6.1.2), but they must add up. */
static bool options_add_up(const uint8_t *at, size_t size)
{
    while (size >= OPTION_MINIMUM) {
        size_t option = OPTION_MINIMUM + (size_t)hm_dns_get16(at + 2);
        if (option > size) {
            return false;
        }
        at += option;
        size -= option;
    }
    return size == 0;
}

static enum hm_dns_rcode read_additional(struct hm_bytes packet, size_t at, unsigned count,
                                         struct hm_dns_query *query)
{
    uint8_t version = 0;
    for (unsigned i = 0; i < count; i++) {
        bool root_owner = at < packet.size && packet.data[at] == 0;
        at = skip_name(packet, at);
        if (at == 0 || packet.size - at < RR_FIXED_SIZE) {
            return HM_DNS_FORMERR;
        }
        const uint8_t *rr = packet.data + at;
        size_t rdata_size = hm_dns_get16(rr + 8);
        at += RR_FIXED_SIZE;
        if (packet.size - at < rdata_size) {
            return HM_DNS_FORMERR;
        }
        if (hm_dns_get16(rr) == HM_DNS_OPT) {
            if (query->edns || !root_owner || !options_add_up(rr + RR_FIXED_SIZE, rdata_size)) {
                return HM_DNS_FORMERR;
            }
            query->edns = true;
            query->udp_payload = hm_dns_get16(rr + 2);
            version = rr[5];
            query->dnssec_ok = (hm_dns_get16(rr + 6) & OPT_DNSSEC_OK) != 0;
        }
        at += rdata_size;
    }
    if (at != packet.size) {
        return HM_DNS_FORMERR;
    }
    return version == 0 ? HM_DNS_NOERROR : HM_DNS_BADVERS;
}

static enum hm_dns_rcode read_body(struct hm_bytes packet, struct hm_dns_query *query)
{
    const uint8_t *header = packet.data;
    if ((hm_dns_get16(header + 2) & FLAG_OPCODE) != 0) {
        return HM_DNS_NOTIMP;
    }
    size_t at = 0;
    if (hm_dns_get16(header + 4) != 1 || !question_name(packet, query, &at) ||
        packet.size - at < 4) {
        return HM_DNS_FORMERR;
    }
    query->type = hm_dns_get16(packet.data + at);
    uint16_t class = hm_dns_get16(packet.data + at + 2);
    at += 4;
    query->question_size = (uint16_t)(at - HM_DNS_HEADER_SIZE);
    /* Transfers carry an SOA in the authority section; they are refused before it is read. */
    if (query->type >= HM_DNS_TKEY && query->type <= HM_DNS_AXFR) {
        return HM_DNS_REFUSED;
    }
    if (hm_dns_get16(header + 6) != 0 || hm_dns_get16(header + 8) != 0) {
        return HM_DNS_FORMERR;
    }
    enum hm_dns_rcode rcode = read_additional(packet, at, hm_dns_get16(header + 10), query);
    if (rcode == HM_DNS_NOERROR && class != HM_DNS_CLASS_IN) {
        rcode = HM_DNS_REFUSED;
    }
    return rcode;
}

bool hm_dns_query_read(struct hm_bytes packet, struct hm_dns_query *out)
{
    if (packet.size < HM_DNS_HEADER_SIZE || (hm_dns_get16(packet.data + 2) & FLAG_QR) != 0) {
        return false;
    }
    out->type = 0;
    out->question_size = 0;
    out->udp_payload = 0;
    out->edns = false;
    out->dnssec_ok = false;
    out->label_count = 0;
    out->name.size = 0;
    out->rcode = read_body(packet, out);
    return true;
}

void hm_dns_reply_begin(struct hm_dns_reply *reply, uint8_t *data, size_t limit,
                        struct hm_bytes packet, const struct hm_dns_query *query)
{
    HM_ASSERT(limit >= HM_DNS_UDP_MIN);
    size_t question_size = query->question_size;
    memcpy(data + HM_DNS_HEADER_SIZE, packet.data + HM_DNS_HEADER_SIZE, question_size);
    *reply = (struct hm_dns_reply){
        .data = data,
        .size = HM_DNS_HEADER_SIZE + question_size,
        .limit = limit - (query->edns ? OPT_SIZE : 0),
    };
}

void hm_dns_reply_truncate(struct hm_dns_reply *reply, const struct hm_dns_query *query)
{
    reply->size = HM_DNS_HEADER_SIZE + (size_t)query->question_size;
    reply->answer_count = 0;
    reply->authority_count = 0;
    reply->additional_count = 0;
    reply->truncated = true;
}

size_t hm_dns_reply_end(struct hm_dns_reply *reply, struct hm_bytes packet,
                        const struct hm_dns_query *query, enum hm_dns_rcode rcode,
                        uint16_t udp_payload)
{
    if (query->edns) {
        uint8_t *opt = reply->data + reply->size;
        opt[0] = 0;
        hm_dns_put16(opt + 1, HM_DNS_OPT);
        hm_dns_put16(opt + 3, udp_payload);
        opt[5] = (uint8_t)(rcode >> 4);
        opt[6] = 0;
        hm_dns_put16(opt + 7, query->dnssec_ok ? OPT_DNSSEC_OK : 0);
        hm_dns_put16(opt + 9, 0);
        reply->size += OPT_SIZE;
        reply->additional_count++;
    }
    uint16_t asked = hm_dns_get16(packet.data + 2);
    unsigned flags = FLAG_QR | (asked & (FLAG_OPCODE | FLAG_RD | FLAG_CD)) | (rcode & 15U);
    flags |= reply->authoritative ? FLAG_AA : 0U;
    flags |= reply->truncated ? FLAG_TC : 0U;
    uint8_t *header = reply->data;
    memcpy(header, packet.data, 2);
    hm_dns_put16(header + 2, (uint16_t)flags);
    hm_dns_put16(header + 4, query->question_size > 0 ? 1 : 0);
    hm_dns_put16(header + 6, reply->answer_count);
    hm_dns_put16(header + 8, reply->authority_count);
    hm_dns_put16(header + 10, reply->additional_count);
    return reply->size;
}
