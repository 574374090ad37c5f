#include "dns_processor/answer.h"

#include <string.h>

#define POINTER_BITS 0xc000
#define POINTER_MAX  0x3fff /* the furthest place that a pointer reaches */

/* One writer: a plain load and store, never torn for a reader. */
static void count(uint64_t *counter)
{
    __atomic_store_n(counter, *counter + 1, __ATOMIC_RELAXED);
}

static const struct hm_dns_rrset *find_set(const struct hm_dns_node *node, uint16_t type)
{
    for (size_t i = 0; i < node->set_count; i++) {
        /* One set is answer enough to "any" (RFC 8482, section 4.1). */
        if (node->sets[i].type == type || type == HM_DNS_ANY) {
            return &node->sets[i];
        }
    }
    return NULL;
}

static struct hm_bytes record_at(const struct hm_dns_rrset *set, uint32_t i)
{
    if (set->record_size) {
        return (struct hm_bytes){set->wire + (size_t)i * set->record_size, set->record_size};
    }
    uint32_t start = set->record_at[i];
    return (struct hm_bytes){set->wire + start, set->record_at[i + 1] - start};
}

/* The record that comes `nth`: those preferred first, both groups turned by `rotation`. */
static uint32_t rotated(const struct hm_dns_rrset *set, uint32_t nth, uint32_t rotation)
{
    if (nth < set->preferred) {
        return (uint32_t)(((uint64_t)rotation + nth) % set->preferred);
    }
    uint32_t others = set->count - set->preferred;
    return set->preferred + (uint32_t)(((uint64_t)rotation + nth - set->preferred) % others);
}

static bool append(struct hm_dns_reply *reply, const uint8_t *data, size_t size)
{
    if (reply->limit - reply->size < size) {
        return false;
    }
    memcpy(reply->data + reply->size, data, size);
    reply->size += size;
    return true;
}

/* Appends a record whose owner is the name at `owner_offset` of the message. */
static bool append_owned(struct hm_dns_reply *reply, size_t owner_offset,
                         struct hm_bytes owner_wire, const uint8_t *tail, size_t tail_size)
{
    uint8_t pointer[2];
    struct hm_bytes owner = owner_wire;
    if (owner_offset <= POINTER_MAX) {
        hm_dns_put16(pointer, (uint16_t)(POINTER_BITS | owner_offset));
        owner = (struct hm_bytes){pointer, sizeof pointer};
    }
    if (reply->limit - reply->size < owner.size + tail_size) {
        return false;
    }
    return append(reply, owner.data, owner.size) && append(reply, tail, tail_size);
}

/* Additional records are a courtesy: those that do not fit stay out, and no TC is set
 * (RFC 2181, section 9). */
static void append_extras(struct hm_dns_reply *reply, const struct hm_dns_query *query,
                          const struct hm_dns_rrset *set, uint32_t taken, uint32_t rotation)
{
    size_t answer_at = HM_DNS_HEADER_SIZE + (size_t)query->question_size;
    for (uint32_t nth = 0; nth < taken; nth++) {
        uint32_t i = rotated(set, nth, rotation);
        struct hm_bytes record = record_at(set, i);
        struct hm_bytes target = {record.data + set->target_offset,
                                  record.size - set->target_offset};
        const uint8_t *at = set->extra + set->extra_at[i];
        const uint8_t *end = set->extra + set->extra_at[i + 1];
        while (at < end) {
            size_t size = 10 + (size_t)hm_dns_get16(at + 8);
            if (!append_owned(reply, answer_at + set->target_offset, target, at, size)) {
                return;
            }
            reply->additional_count++;
            at += size;
        }
        answer_at += record.size;
    }
}

/* Over TCP a set beyond 64 KiB is cut to what fits, another part each time; over UDP it is TC. */
static void append_set(struct hm_dns_reply *reply, const struct hm_dns_query *query,
                       const struct hm_dns_rrset *set, uint32_t rotation, bool tcp)
{
    uint32_t wanted = set->max && set->max < set->count ? set->max : set->count;
    uint32_t taken = 0;
    for (; taken < wanted; taken++) {
        struct hm_bytes record = record_at(set, rotated(set, taken, rotation));
        if (!append(reply, record.data, record.size)) {
            if (tcp) {
                break;
            }
            hm_dns_reply_truncate(reply, query);
            return;
        }
    }
    reply->answer_count = (uint16_t)taken;
    if (set->extra_at) {
        append_extras(reply, query, set, taken, rotation);
    }
}

/* The apex ends the question's name, so a pointer there is its owner name. */
static void append_soa(struct hm_dns_reply *reply, const struct hm_dns_query *query,
                       const struct hm_dns_zone *zone, const struct hm_dns_soa *soa, bool negative)
{
    const struct hm_dns_name *apex = hm_dns_zone_name(zone);
    size_t owner_offset = HM_DNS_HEADER_SIZE + (size_t)query->name.size - apex->size;
    if (!append_owned(reply, owner_offset, hm_dns_name_bytes(apex),
                      negative ? soa->negative : soa->answer, soa->size)) {
        hm_dns_reply_truncate(reply, query);
    } else if (negative) {
        reply->authority_count = 1;
    } else {
        reply->answer_count = 1;
    }
}

static enum hm_dns_rcode look_up(struct hm_dns_answerer *answerer, struct hm_dns_reply *reply,
                                 const struct hm_dns_query *query, bool tcp)
{
    const struct hm_dns_map *map = __atomic_load_n(&answerer->map, __ATOMIC_ACQUIRE);
    const struct hm_dns_node *node = hm_dns_map_find(map, query);
    const struct hm_dns_zone *zone = node ? node->zone : hm_dns_map_zone_above(map, query);
    if (!zone) {
        return HM_DNS_REFUSED;
    }
    const struct hm_dns_soa *soa = hm_dns_zone_soa(zone);
    if (!soa) {
        return HM_DNS_SERVFAIL;
    }
    reply->authoritative = true;
    bool apex = node && node->name_size == hm_dns_zone_name(zone)->size;
    if (apex && (query->type == HM_DNS_SOA || query->type == HM_DNS_ANY)) {
        append_soa(reply, query, zone, soa, false);
        return HM_DNS_NOERROR;
    }
    const struct hm_dns_rrset *set = node ? find_set(node, query->type) : NULL;
    if (set) {
        append_set(reply, query, set, answerer->rotation++, tcp);
        return HM_DNS_NOERROR;
    }
    append_soa(reply, query, zone, soa, true);
    return node ? HM_DNS_NOERROR : HM_DNS_NXDOMAIN;
}

static size_t reply_limit(const struct hm_dns_answerer *answerer, const struct hm_dns_query *query,
                          bool tcp)
{
    if (tcp) {
        return HM_DNS_TCP_MAX;
    }
    if (query->udp_payload <= HM_DNS_UDP_MIN) { /* less counts as 512 (RFC 6891, 6.2.3) */
        return HM_DNS_UDP_MIN;
    }
    return query->udp_payload < answerer->udp_payload ? query->udp_payload : answerer->udp_payload;
}

size_t hm_dns_answer(struct hm_dns_answerer *answerer, struct hm_bytes packet, bool tcp,
                     uint8_t *out)
{
    struct hm_dns_counters *counters = &answerer->counters;
    count(&counters->queries);
    if (tcp) {
        count(&counters->over_tcp);
    }
    struct hm_dns_query query;
    if (!hm_dns_query_read(packet, &query)) {
        count(&counters->dropped);
        return 0;
    }
    struct hm_dns_reply reply;
    hm_dns_reply_begin(&reply, out, reply_limit(answerer, &query, tcp), packet, &query);
    enum hm_dns_rcode rcode = query.rcode;
    if (rcode == HM_DNS_NOERROR) {
        rcode = look_up(answerer, &reply, &query, tcp);
    }
    count(&counters->rcodes[rcode]);
    if (reply.truncated) {
        count(&counters->truncated);
    }
    return hm_dns_reply_end(&reply, packet, &query, rcode, answerer->udp_payload);
}

void hm_dns_counters_add(struct hm_dns_counters *sum, const struct hm_dns_counters *from)
{
    sum->queries += __atomic_load_n(&from->queries, __ATOMIC_RELAXED);
    sum->dropped += __atomic_load_n(&from->dropped, __ATOMIC_RELAXED);
    sum->truncated += __atomic_load_n(&from->truncated, __ATOMIC_RELAXED);
    sum->over_tcp += __atomic_load_n(&from->over_tcp, __ATOMIC_RELAXED);
    for (size_t i = 0; i < HM_DNS_RCODES; i++) {
        sum->rcodes[i] += __atomic_load_n(&from->rcodes[i], __ATOMIC_RELAXED);
    }
}
