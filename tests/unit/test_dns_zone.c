/* From cluster facts to answers: names, health, glue, reverse zones; and readers beside a writer.
 */
#include "core/base/memory.h"
#include "dns_processor/build.h"
#include "tests/unit/dns_fixture.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* A cluster of a few facts; a name of NULL ends each list. */
struct fact_host {
    const char *name;
    const char *addresses[3];
    const char *tag;
};
struct fact_instance {
    const char *service;
    const char *host;
    const char *addr;
    uint32_t weight;
    bool unserved, unhealthy, suspect;
};
struct fact_vhost {
    const char *name;
    const char *addr;
};

struct world {
    struct dns_fixture fixture;
    struct hm_dns_build *build;
    struct fact_host hosts[8];
    struct fact_instance instances[32];
    struct fact_vhost vhosts[4];
};

static struct hm_addr addr_of(const char *text)
{
    struct hm_addr addr;
    assert_true(hm_addr_parse(text, 80, &addr));
    return addr;
}

static bool see_service(void *context, const struct hm_name *name, struct hm_dns_gather *out)
{
    struct world *world = context;
    bool found = false;
    for (const struct fact_instance *at = world->instances; at->service; at++) {
        if (hm_name_is(name, at->service)) {
            hm_dns_gather_instance(out, &(struct hm_dns_instance){
                                            .host = hm_name_of(at->host),
                                            .addr = addr_of(at->addr),
                                            .weight = at->weight,
                                            .served = !at->unserved,
                                            .healthy = !at->unhealthy,
                                            .suspect = at->suspect,
                                        });
            found = true;
        }
    }
    return found;
}

static bool see_host(void *context, const struct hm_name *name, struct hm_dns_gather *out)
{
    struct world *world = context;
    for (const struct fact_host *at = world->hosts; at->name; at++) {
        if (hm_name_is(name, at->name)) {
            for (size_t i = 0; at->addresses[i]; i++) {
                struct hm_addr addr = addr_of(at->addresses[i]);
                hm_dns_gather_address(out, &addr, false);
            }
            if (at->tag) {
                hm_dns_gather_tag(out, hm_bytes_of_text(at->tag));
            }
            return true;
        }
    }
    return false;
}

static bool see_vhost(void *context, const char *name, struct hm_dns_gather *out)
{
    struct world *world = context;
    for (const struct fact_vhost *at = world->vhosts; at->name; at++) {
        if (strcmp(name, at->name) == 0) {
            struct hm_addr addr = addr_of(at->addr);
            hm_dns_gather_address(out, &addr, false);
            return true;
        }
    }
    return false;
}

static struct hm_dns_zone_config zone_defaults(const char *name)
{
    return (struct hm_dns_zone_config){
        .name = name,
        .ttl_service = HM_DNS_TTL_SERVICE,
        .ttl_host = HM_DNS_TTL_HOST,
        .ttl_zone = HM_DNS_TTL_ZONE,
        .ttl_negative = HM_DNS_TTL_NEGATIVE,
        .max_answers = HM_DNS_MAX_ANSWERS,
    };
}

static void start(struct world *world, const struct hm_dns_zone_config *zones, size_t count)
{
    urcu_qsbr_register_thread();
    world->fixture.map = hm_dns_map_new();
    world->fixture.answerer =
        (struct hm_dns_answerer){.map = world->fixture.map, .udp_payload = HM_DNS_UDP_DEFAULT};
    struct hm_dns_view view = {world, see_service, see_host, see_vhost};
    struct hm_buf error = {0};
    assert_int_equal(
        hm_dns_build_new(world->fixture.map, &view, zones, count, &error, &world->build), HM_OK);
    hm_buf_fini(&error);
    hm_dns_build_serial(world->build, 1);
}

static void start_plain(struct world *world)
{
    struct hm_dns_zone_config zone = zone_defaults("corp.internal");
    start(world, &zone, 1);
}

static void stop(struct world *world)
{
    hm_dns_build_free(world->build);
    urcu_qsbr_thread_online();
    hm_dns_map_free(world->fixture.map);
    urcu_qsbr_unregister_thread();
}

static void change_service(struct world *world, const char *name)
{
    struct hm_name service = hm_name_of(name);
    (void)hm_dns_build_service(world->build, &service);
}

static void change_host(struct world *world, const char *name)
{
    struct hm_name host = hm_name_of(name);
    hm_dns_build_host(world->build, &host);
}

/* Asserts what a question gets: "NXDOMAIN", "NODATA", "REFUSED", or the rdata of all records of the
 * answer in order, joined by commas; "|" and the owner and rdata of the additional ones follow. */
static void expect(struct world *world, const char *name, ldns_rr_type type, const char *wanted)
{
    urcu_qsbr_thread_online();
    world->fixture.answerer.rotation = 0;
    ldns_pkt *packet = dns_asked(&world->fixture, &(struct dns_ask){name, type});
    urcu_qsbr_thread_offline();
    struct hm_buf got = {0};
    if (ldns_pkt_get_rcode(packet) != LDNS_RCODE_NOERROR) {
        char *rcode = ldns_pkt_rcode2str(ldns_pkt_get_rcode(packet));
        hm_buf_append_text(&got, rcode);
        LDNS_FREE(rcode);
    } else if (ldns_pkt_ancount(packet) == 0) {
        hm_buf_append_text(&got, "NODATA");
    }
    for (size_t i = 0; i < ldns_pkt_ancount(packet); i++) {
        const char *text = dns_rr_text(ldns_pkt_answer(packet), i);
        for (int skip = 0; skip < 4; skip++) { /* owner, TTL, class, type */
            text = strchr(text, ' ') + 1;
        }
        hm_buf_printf(&got, "%s%s", i ? "," : "", text);
    }
    for (size_t i = 0; i < ldns_pkt_arcount(packet); i++) {
        hm_buf_printf(&got, "|%s", dns_rr_text(ldns_pkt_additional(packet), i));
    }
    hm_put_u8(&got, 0);
    assert_string_equal((const char *)got.data, wanted);
    hm_buf_fini(&got);
    ldns_pkt_free(packet);
}

static void test_services(void **state)
{
    (void)state;
    static struct world world = {
        .instances = {{"web", "h1", "10.0.0.1:8080", 5},
                      {"web", "h1", "10.0.0.1:8081", 0},
                      {"web", "h2", "10.0.0.2:8080", 70000},
                      {"web", "h2", "[2001:db8::2]:8080", 70000}},
    };
    start_plain(&world);
    change_service(&world, "web");
    expect(&world, "web.corp.internal", LDNS_RR_TYPE_A, "10.0.0.1,10.0.0.2");
    expect(&world, "web.corp.internal", LDNS_RR_TYPE_AAAA, "2001:db8::2");
    expect(&world, "_web._tcp.corp.internal", LDNS_RR_TYPE_SRV,
           "10 5 8080 h1.host.corp.internal.,10 1 8081 h1.host.corp.internal.,"
           "10 65535 8080 h2.host.corp.internal."
           "|h1.host.corp.internal. 60 IN A 10.0.0.1"
           "|h2.host.corp.internal. 60 IN A 10.0.0.2"
           "|h2.host.corp.internal. 60 IN AAAA 2001:db8::2");
    expect(&world, "_tcp.corp.internal", LDNS_RR_TYPE_SRV, "NODATA");
    expect(&world, "_web._tcp.corp.internal", LDNS_RR_TYPE_A, "NODATA");
    world.instances[0].service = NULL;
    change_service(&world, "web");
    expect(&world, "web.corp.internal", LDNS_RR_TYPE_A, "NXDOMAIN");
    expect(&world, "_web._tcp.corp.internal", LDNS_RR_TYPE_SRV, "NXDOMAIN");
    expect(&world, "_tcp.corp.internal", LDNS_RR_TYPE_SRV, "NXDOMAIN");
    assert_int_equal(hm_dns_map_name_count(world.fixture.map), 1);
    stop(&world);
}

static void test_health(void **state)
{
    (void)state;
    static struct world world = {
        .instances = {{"web", "h1", "10.0.0.1", .suspect = true},
                      {"web", "h2", "10.0.0.2", .unhealthy = true},
                      {"web", "h3", "10.0.0.3", .unserved = true},
                      {"web", "h4", "10.0.0.4"}},
    };
    struct hm_dns_zone_config zones[] = {zone_defaults("corp.internal"),
                                         zone_defaults("strict.internal")};
    zones[1].none_healthy = HM_DNS_NONE_NODATA;
    start(&world, zones, 2);
    struct hm_name web = hm_name_of("web");
    assert_int_equal(hm_dns_build_service(world.build, &web), HM_DNS_SERVICE_HEALTHY);
    expect(&world, "web.corp.internal", LDNS_RR_TYPE_A, "10.0.0.4,10.0.0.1");
    expect(&world, "_web._tcp.corp.internal", LDNS_RR_TYPE_SRV,
           "10 1 80 h4.host.corp.internal.,20 1 80 h1.host.corp.internal."
           "|h4.host.corp.internal. 60 IN A 10.0.0.4|h1.host.corp.internal. 60 IN A 10.0.0.1");
    world.instances[0].unhealthy = true;
    world.instances[3].unhealthy = true;
    assert_int_equal(hm_dns_build_service(world.build, &web), HM_DNS_SERVICE_NONE_HEALTHY);
    expect(&world, "web.corp.internal", LDNS_RR_TYPE_A, "10.0.0.2,10.0.0.4,10.0.0.1");
    expect(&world, "web.strict.internal", LDNS_RR_TYPE_A, "NODATA");
    expect(&world, "_web._tcp.strict.internal", LDNS_RR_TYPE_SRV, "NODATA");
    for (size_t i = 0; i < 4; i++) {
        world.instances[i].unserved = true; /* all drained: nothing is revived */
    }
    assert_int_equal(hm_dns_build_service(world.build, &web), HM_DNS_SERVICE_HEALTHY);
    expect(&world, "web.corp.internal", LDNS_RR_TYPE_A, "NODATA");
    world.instances[0].service = NULL;
    assert_int_equal(hm_dns_build_service(world.build, &web), HM_DNS_SERVICE_GONE);
    stop(&world);
}

static void test_answers_are_limited_and_rotated(void **state)
{
    (void)state;
    static struct world world;
    static char texts[20][16];
    for (size_t i = 0; i < 20; i++) {
        snprintf(texts[i], sizeof texts[i], "10.0.0.%zu", i + 1);
        world.instances[i] = (struct fact_instance){"web", "h", texts[i], 0, .suspect = i < 10};
    }
    start_plain(&world);
    change_service(&world, "web");
    unsigned seen[21] = {0};
    for (unsigned round = 0; round < 10; round++) {
        ldns_pkt *packet =
            dns_asked(&world.fixture, &(struct dns_ask){"web.corp.internal", LDNS_RR_TYPE_A});
        assert_int_equal(ldns_pkt_ancount(packet), HM_DNS_MAX_ANSWERS);
        const ldns_rr *first = ldns_rr_list_rr(ldns_pkt_answer(packet), 0);
        seen[ldns_rdf_data(ldns_rr_rdf(first, 0))[3]]++;
        ldns_pkt_free(packet);
    }
    for (unsigned i = 1; i <= 20; i++) { /* suspects stay out while eight others are there */
        assert_int_equal(seen[i], i <= 10 ? 0 : 1);
    }
    stop(&world);
}

static void test_hosts(void **state)
{
    (void)state;
    static struct world world = {
        .hosts = {{"h1", {"10.0.0.1", "2001:db8::1"}, "rack=1"}, {"h2", {"10.0.0.2"}}},
    };
    start_plain(&world);
    change_host(&world, "h1");
    change_host(&world, "h2");
    expect(&world, "h1.host.corp.internal", LDNS_RR_TYPE_A, "10.0.0.1");
    expect(&world, "H1.HOST.corp.internal", LDNS_RR_TYPE_AAAA, "2001:db8::1");
    expect(&world, "h1.host.corp.internal", LDNS_RR_TYPE_TXT, "\"rack=1\"");
    expect(&world, "h2.host.corp.internal", LDNS_RR_TYPE_TXT, "NODATA");
    expect(&world, "host.corp.internal", LDNS_RR_TYPE_A, "NODATA");
    world.hosts[0] = world.hosts[1];
    world.hosts[1].name = NULL;
    change_host(&world, "h1");
    expect(&world, "h1.host.corp.internal", LDNS_RR_TYPE_A, "NXDOMAIN");
    expect(&world, "host.corp.internal", LDNS_RR_TYPE_A, "NODATA"); /* h2 is there yet */
    expect(&world, "h2.host.corp.internal", LDNS_RR_TYPE_A, "10.0.0.2");
    stop(&world);
}

static void test_vhosts_and_what_wins_a_name(void **state)
{
    (void)state;
    static struct world world = {
        .instances = {{"shop", "h1", "10.0.0.1"}, {"ns1", "h1", "10.0.0.1"}},
        .vhosts = {{"corp.internal", "10.0.0.8"},
                   {"shop.corp.internal", "10.0.0.8"},
                   {"a.b.corp.internal", "10.0.0.8"}},
    };
    start_plain(&world);
    struct hm_addr glue = addr_of("10.0.0.11");
    struct hm_dns_nameserver nameservers[] = {{"ns1", &glue, 1}, {"ns.example.org.", NULL, 0}};
    struct hm_buf error = {0};
    assert_int_equal(hm_dns_build_nameservers(world.build, 0, nameservers, 2, &error), HM_OK);
    change_service(&world, "shop");
    change_service(&world, "ns1");
    for (size_t i = 0; i < 3; i++) {
        hm_dns_build_vhost(world.build, world.vhosts[i].name);
    }
    hm_dns_build_vhost(world.build, "www.example.org");          /* not ours: nothing */
    hm_dns_build_vhost(world.build, "_shop._tcp.corp.internal"); /* nor a virtual host's place */
    expect(&world, "_shop._tcp.corp.internal", LDNS_RR_TYPE_SRV,
           "10 1 80 h1.host.corp.internal.|h1.host.corp.internal. 60 IN A 10.0.0.1");
    expect(&world, "corp.internal", LDNS_RR_TYPE_A, "10.0.0.8");
    expect(&world, "corp.internal", LDNS_RR_TYPE_NS,
           "ns1.corp.internal.,ns.example.org.|ns1.corp.internal. 3600 IN A 10.0.0.11");
    expect(&world, "corp.internal", LDNS_RR_TYPE_SOA,
           "ns1.corp.internal. hostmaster.corp.internal. 1 60 10 604800 5");
    expect(&world, "shop.corp.internal", LDNS_RR_TYPE_A, "10.0.0.8");
    expect(&world, "a.b.corp.internal", LDNS_RR_TYPE_A, "10.0.0.8");
    expect(&world, "b.corp.internal", LDNS_RR_TYPE_A, "NODATA");
    expect(&world, "ns1.corp.internal", LDNS_RR_TYPE_A, "10.0.0.11");
    assert_int_equal(hm_dns_build_nameservers(world.build, 0, nameservers + 1, 1, &error), HM_OK);
    expect(&world, "ns1.corp.internal", LDNS_RR_TYPE_A, "10.0.0.1"); /* the service again */
    world.vhosts[1].name = NULL;
    hm_dns_build_vhost(world.build, "shop.corp.internal");
    expect(&world, "shop.corp.internal", LDNS_RR_TYPE_A, "10.0.0.1");
    hm_dns_build_serial(world.build, 9);
    expect(&world, "corp.internal", LDNS_RR_TYPE_SOA,
           "ns.example.org. hostmaster.corp.internal. 9 60 10 604800 5");
    nameservers[0].name = "a..b";
    assert_int_equal(hm_dns_build_nameservers(world.build, 0, nameservers, 1, &error),
                     HM_BAD_CONFIG);
    hm_buf_fini(&error);
    stop(&world);
}

static void test_reverse(void **state)
{
    (void)state;
    static struct world world = {
        .hosts = {{"h1", {"10.0.1.1", "2001:db8::1"}},
                  {"h2", {"10.0.1.1"}},
                  {"h3", {"10.9.0.1"}},
                  {"h4", {"192.0.2.33"}}},
    };
    const struct hm_dns_prefix prefixes[] = {
        {addr_of("10.0.0.0"), 16}, {addr_of("2001:db8::"), 46}, {addr_of("192.0.2.32"), 30}};
    struct hm_dns_zone_config zone = zone_defaults("corp.internal");
    zone.reverse = prefixes;
    zone.reverse_count = 3;
    start(&world, &zone, 1);
    struct hm_dns_nameserver nameserver = {"ns1", NULL, 0};
    struct hm_buf error = {0};
    assert_int_equal(hm_dns_build_nameservers(world.build, 0, &nameserver, 1, &error), HM_OK);
    hm_buf_fini(&error);
    for (size_t i = 0; i < 4; i++) {
        change_host(&world, world.hosts[i].name);
    }
    expect(&world, "1.1.0.10.in-addr.arpa", LDNS_RR_TYPE_PTR,
           "h1.host.corp.internal.,h2.host.corp.internal.");
    expect(&world, "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa",
           LDNS_RR_TYPE_PTR, "h1.host.corp.internal.");
    expect(&world, "33.2.0.192.in-addr.arpa", LDNS_RR_TYPE_PTR, "h4.host.corp.internal.");
    expect(&world, "33.2.0.192.in-addr.arpa", LDNS_RR_TYPE_NS, "ns1.corp.internal.");
    expect(&world, "34.2.0.192.in-addr.arpa", LDNS_RR_TYPE_PTR, "NODATA");
    expect(&world, "36.2.0.192.in-addr.arpa", LDNS_RR_TYPE_PTR, "REFUSED");
    expect(&world, "1.0.9.10.in-addr.arpa", LDNS_RR_TYPE_PTR, "REFUSED");
    expect(&world, "9.0.0.10.in-addr.arpa", LDNS_RR_TYPE_PTR, "NXDOMAIN");
    expect(&world, "0.10.in-addr.arpa", LDNS_RR_TYPE_NS, "ns1.corp.internal.");
    world.hosts[0].addresses[0] = "10.0.1.7";
    change_host(&world, "h1");
    expect(&world, "1.1.0.10.in-addr.arpa", LDNS_RR_TYPE_PTR, "h2.host.corp.internal.");
    expect(&world, "7.1.0.10.in-addr.arpa", LDNS_RR_TYPE_PTR, "h1.host.corp.internal.");
    stop(&world);
}

static void test_zones_within_zones(void **state)
{
    (void)state;
    static struct world world = {.instances = {{"web", "h1", "10.0.0.1"}}};
    const struct hm_dns_zone_config zones[] = {zone_defaults("dc1.eu.corp.internal"),
                                               zone_defaults("corp.internal")};
    start(&world, zones, 2);
    change_service(&world, "web");
    expect(&world, "web.dc1.eu.corp.internal", LDNS_RR_TYPE_A, "10.0.0.1");
    expect(&world, "web.corp.internal", LDNS_RR_TYPE_A, "10.0.0.1");
    expect(&world, "eu.corp.internal", LDNS_RR_TYPE_A, "NODATA");
    stop(&world);
    struct hm_dns_view view = {&world, see_service, see_host, see_vhost};
    const struct hm_dns_zone_config twice[] = {zones[0], zones[0]};
    const struct hm_dns_zone_config bad = zone_defaults("a..b");
    struct hm_buf error = {0};
    struct hm_dns_build *build = NULL;
    urcu_qsbr_register_thread();
    struct hm_dns_map *map = hm_dns_map_new();
    assert_int_equal(hm_dns_build_new(map, &view, twice, 2, &error, &build), HM_BAD_CONFIG);
    assert_int_equal(hm_dns_build_new(map, &view, &bad, 1, &error, &build), HM_BAD_CONFIG);
    hm_put_u8(&error, 0);
    assert_string_equal((const char *)error.data, "zone 'dc1.eu.corp.internal' is there twice"
                                                  "zone 'a..b' is not a domain name");
    hm_buf_fini(&error);
    urcu_qsbr_thread_online();
    hm_dns_map_free(map);
    urcu_qsbr_unregister_thread();
}

/* A service larger than 64 KiB of SRV records: over UDP it is cut, over TCP as much as fits. */
static void test_a_service_beyond_tcp(void **state)
{
    (void)state;
    static struct dns_fixture fixture;
    dns_fixture_init(&fixture);
    struct hm_dns_gather gather = {0};
    for (unsigned i = 0; i < 3000; i++) {
        struct hm_dns_instance instance = {.served = true, .healthy = true};
        char name[16];
        snprintf(name, sizeof name, "h%04u", i);
        instance.host = hm_name_of(name);
        instance.addr = (struct hm_addr){4, {10, 1, (uint8_t)(i >> 8), (uint8_t)i}, 80};
        hm_dns_gather_instance(&gather, &instance);
    }
    assert_true(hm_dns_gather_select(&gather, HM_DNS_NONE_ALL));
    struct hm_dns_set set;
    struct hm_dns_name hosts = dns_name("host.corp.internal");
    assert_true(hm_dns_gather_srv_set(&gather, &hosts, 5, 60, &set));
    struct hm_dns_name owner = dns_name("_big._tcp.corp.internal");
    assert_int_equal(hm_dns_map_put(fixture.map, fixture.zone, &owner, &set, 1), HM_OK);
    struct dns_ask ask = {"_big._tcp.corp.internal", LDNS_RR_TYPE_SRV, .payload = 1232};
    ldns_pkt *packet = dns_asked(&fixture, &ask);
    assert_true(ldns_pkt_tc(packet));
    ldns_pkt_free(packet);
    ask.tcp = true;
    packet = dns_asked(&fixture, &ask);
    assert_false(ldns_pkt_tc(packet));
    assert_in_range(ldns_pkt_ancount(packet), 1000, 2999);
    ldns_pkt_free(packet);
    hm_dns_set_fini(&set);
    /* 700 fit, with extras whose owners are beyond the reach of pointers. */
    gather.instance_count = 700;
    assert_true(hm_dns_gather_srv_set(&gather, &hosts, 5, 60, &set));
    assert_int_equal(hm_dns_map_put(fixture.map, fixture.zone, &owner, &set, 1), HM_OK);
    fixture.answerer.rotation = 0;
    packet = dns_asked(&fixture, &ask);
    assert_int_equal(ldns_pkt_ancount(packet), 700);
    assert_int_equal(ldns_pkt_arcount(packet), 700); /* OPT is told apart by ldns */
    assert_string_equal(dns_rr_text(ldns_pkt_additional(packet), 699),
                        "h0699.host.corp.internal. 60 IN A 10.1.2.187");
    ldns_pkt_free(packet);
    hm_dns_set_fini(&set);
    hm_dns_gather_fini(&gather);
    dns_fixture_fini(&fixture);
}

struct reader {
    struct hm_dns_answerer answerer;
    const bool *stop;
    uint64_t answers;
    uint64_t wrong;
};

/* Every answer is one of the two that the writer puts, whole: 10.0.0.1 to .4, or .1 to .8. */
static void *read_on(void *argument)
{
    struct reader *reader = argument;
    size_t size;
    uint8_t *question = dns_question(&(struct dns_ask){"web.corp.internal", LDNS_RR_TYPE_A}, &size);
    uint8_t out[HM_DNS_UDP_DEFAULT];
    urcu_qsbr_register_thread();
    while (!__atomic_load_n(reader->stop, __ATOMIC_ACQUIRE) || reader->answers == 0) {
        size_t answer =
            hm_dns_answer(&reader->answerer, (struct hm_bytes){question, size}, false, out);
        unsigned count = hm_dns_get16(out + 6);
        unsigned sum = 0;
        for (unsigned i = 0; i < count; i++) {
            sum += out[size + (i + 1U) * 16U - 1];
        }
        bool whole = answer == size + count * 16U &&
                     ((count == 4 && sum == 10) || (count == 8 && sum == 36));
        reader->wrong += !whole;
        reader->answers++;
        urcu_qsbr_quiescent_state();
    }
    urcu_qsbr_unregister_thread();
    LDNS_FREE(question);
    return NULL;
}

static void test_readers_beside_a_writer(void **state)
{
    (void)state;
    static struct dns_fixture fixture;
    dns_fixture_init(&fixture);
    dns_put_addresses(&fixture, "web.corp.internal", 4, 4, 0);
    bool stop = false;
    struct reader readers[2];
    pthread_t threads[2];
    for (size_t i = 0; i < 2; i++) {
        readers[i] = (struct reader){fixture.answerer, &stop, 0, 0};
        assert_int_equal(pthread_create(&threads[i], NULL, read_on, &readers[i]), 0);
    }
    for (unsigned i = 0; i < 20000; i++) {
        char other[40];
        snprintf(other, sizeof other, "n%u.sub%u.corp.internal", i % 500, i % 7);
        dns_put_addresses(&fixture, "web.corp.internal", i % 2 ? 4 : 8, 3, 0);
        if (i % 3) {
            dns_put_addresses(&fixture, other, 1, 1, 0);
        } else {
            struct hm_dns_name name = dns_name(other);
            hm_dns_map_remove(fixture.map, fixture.zone, &name);
        }
        urcu_qsbr_quiescent_state();
    }
    __atomic_store_n(&stop, true, __ATOMIC_RELEASE);
    urcu_qsbr_thread_offline();
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_true(readers[i].answers > 0);
        assert_int_equal(readers[i].wrong, 0);
    }
    urcu_qsbr_thread_online();
    dns_fixture_fini(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_services),
        cmocka_unit_test(test_health),
        cmocka_unit_test(test_answers_are_limited_and_rotated),
        cmocka_unit_test(test_hosts),
        cmocka_unit_test(test_vhosts_and_what_wins_a_name),
        cmocka_unit_test(test_reverse),
        cmocka_unit_test(test_zones_within_zones),
        cmocka_unit_test(test_a_service_beyond_tcp),
        cmocka_unit_test(test_readers_beside_a_writer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
