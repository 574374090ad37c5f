/* A query's bytes in, the answer's bytes out, over a map of prepared wire data. */
#ifndef HM_DNS_ANSWER_H
#define HM_DNS_ANSWER_H

#include "dns_processor/zone.h"

/* Written by one thread, read by any. */
struct hm_dns_counters {
    uint64_t queries; /* all that came, dropped ones too */
    uint64_t dropped;
    uint64_t truncated;
    uint64_t over_tcp;
    uint64_t rcodes[HM_DNS_RCODES];
};

/* What one thread answers with. */
struct hm_dns_answerer {
    const struct hm_dns_map *map;
    uint16_t udp_payload; /* largest UDP answer: HM_DNS_UDP_MIN .. HM_DNS_UDP_MAX */
    uint32_t rotation;    /* one further with each answer */
    struct hm_dns_counters counters;
};

/* Answers into `out`, which holds HM_DNS_TCP_MAX bytes when `tcp`, else `udp_payload`. Returns the
 * size of the answer; 0: say nothing. The calling thread is registered with urcu_qsbr and online.
 */
size_t hm_dns_answer(struct hm_dns_answerer *answerer, struct hm_bytes packet, bool tcp,
                     uint8_t *out);

/* Adds `from`, which its thread may be writing, to `sum`. */
void hm_dns_counters_add(struct hm_dns_counters *sum, const struct hm_dns_counters *from);

#endif
