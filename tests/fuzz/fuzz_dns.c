/* Any bytes as a query over UDP and TCP: the answer keeps its limit, and another library reads it.
 */
#include "core/base/assert.h"
#include "dns_processor/answer.h"
#include "dns_processor/view.h"

#include <ldns/ldns.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct hm_dns_map *map;

static struct hm_dns_name name_of(const char *text)
{
    struct hm_dns_name name;
    enum hm_status status = hm_dns_name_parse(text, &name);
    HM_ASSERT(status == HM_OK);
    return name;
}

static void put(struct hm_dns_zone *zone, const char *text, struct hm_dns_set *sets, size_t count)
{
    struct hm_dns_name name = name_of(text);
    enum hm_status status = hm_dns_map_put(map, zone, &name, sets, count);
    HM_ASSERT(status == HM_OK);
    for (size_t i = 0; i < count; i++) {
        hm_dns_set_fini(&sets[i]);
    }
}

/* `count` instances, one a host, of IPv4 and IPv6, every third suspect. */
static void put_service(struct hm_dns_zone *zone, const char *name, const char *srv_name,
                        unsigned count)
{
    struct hm_dns_gather gather = {0};
    for (unsigned i = 0; i < count; i++) {
        struct hm_dns_instance instance = {
            .host = hm_name_of("h0000"),
            .addr = {i % 2 ? 4 : 6, {10, 0, (uint8_t)(i >> 8), (uint8_t)i}, 80},
            .served = true,
            .healthy = true,
            .suspect = i % 3 == 0,
        };
        for (unsigned digit = 4, left = i; digit > 0; digit--, left /= 10) {
            instance.host.text[digit] = (char)('0' + left % 10);
        }
        hm_dns_gather_instance(&gather, &instance);
    }
    struct hm_dns_name hosts = name_of("host.z");
    struct hm_dns_set sets[2];
    (void)hm_dns_gather_select(&gather, HM_DNS_NONE_ALL);
    bool filled = hm_dns_gather_srv_set(&gather, &hosts, 5, 60, &sets[0]);
    HM_ASSERT(filled);
    put(zone, srv_name, sets, 1);
    put(zone, name, sets, hm_dns_gather_address_sets(&gather, 5, 8, sets));
    hm_dns_gather_fini(&gather);
}

static void found(void)
{
    hm_dns_thread_enter();
    urcu_qsbr_thread_online();
    map = hm_dns_map_new();
    struct hm_dns_name apex = name_of("z");
    struct hm_dns_zone *zone;
    enum hm_status status = hm_dns_map_add_zone(map, &apex, &zone);
    HM_ASSERT(status == HM_OK);
    hm_dns_zone_set_soa(zone, &(struct hm_dns_soa_fields){.mname = name_of("n.z"),
                                                          .rname = name_of("r.z"),
                                                          .serial = 1,
                                                          .ttl = 3600,
                                                          .negative_ttl = 5});
    put_service(zone, "w.z", "_w._tcp.z", 5);
    put_service(zone, "b.z", "_b._tcp.z", 2000);
    struct hm_dns_set set = {.type = HM_DNS_TXT, .ttl = 60};
    status = hm_dns_set_add(&set, hm_bytes_of_text("\003tag"), true, (struct hm_bytes){0});
    HM_ASSERT(status == HM_OK);
    put(zone, "t.z", &set, 1);
}

static void ask(struct hm_bytes query, bool tcp, uint16_t udp_payload)
{
    static uint8_t out[HM_DNS_TCP_MAX];
    struct hm_dns_answerer answerer = {.map = map, .udp_payload = udp_payload};
    size_t size = hm_dns_answer(&answerer, query, tcp, out);
    HM_ASSERT(size <= (tcp ? HM_DNS_TCP_MAX : udp_payload));
    if (size == 0) {
        return;
    }
    HM_ASSERT(size >= HM_DNS_HEADER_SIZE && memcmp(out, query.data, 2) == 0);
    HM_ASSERT((out[2] & 0x80) != 0 && (out[3] & 0x80) == 0); /* a reply, never recursive */
    ldns_pkt *packet = NULL;
    ldns_status status = ldns_wire2pkt(&packet, out, size);
    HM_ASSERT(status == LDNS_STATUS_OK);
    ldns_pkt_free(packet);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!map) {
        found();
    }
    struct hm_bytes query = {data, size};
    ask(query, false, HM_DNS_UDP_MIN);
    ask(query, false, HM_DNS_UDP_MAX);
    ask(query, true, HM_DNS_UDP_DEFAULT);
    urcu_qsbr_quiescent_state();
    return 0;
}
