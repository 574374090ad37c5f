/* The DNS server over real sockets on loopback. */
#include "dns_processor/server.h"
#include "dns_processor/socket.h"
#include "tests/unit/dns_fixture.h"

#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define DEADLINE_S 20 /* for whatever should come */

struct running {
    struct dns_fixture fixture;
    struct hm_dns_server *server;
};

static struct hm_dns_server_config config_of(struct running *running, const struct hm_addr *listen,
                                             size_t count)
{
    return (struct hm_dns_server_config){
        .map = running->fixture.map,
        .listen = listen,
        .listen_count = count,
        .threads = 2,
        .udp_payload = HM_DNS_UDP_DEFAULT,
        .tcp_connections = 4,
        .tcp_idle_ms = 60000,
        .where = "dns.yaml:3:11",
    };
}

static void start(struct running *running, const struct hm_dns_server_config *config)
{
    struct hm_buf error = {0};
    enum hm_status status = hm_dns_server_start(config, &error, &running->server);
    if (status != HM_OK) {
        print_error("%.*s\n", (int)error.size, (const char *)error.data);
    }
    assert_int_equal(status, HM_OK);
    hm_buf_fini(&error);
}

static void start_on(struct running *running, const char *addr, unsigned tcp_idle_ms)
{
    struct hm_addr listen_at;
    assert_true(hm_addr_parse(addr, 0, &listen_at));
    struct hm_dns_server_config config = config_of(running, &listen_at, 1);
    config.tcp_idle_ms = tcp_idle_ms;
    start(running, &config);
}

static int set_up(void **state)
{
    static struct running running;
    memset(&running, 0, sizeof running);
    dns_fixture_init(&running.fixture);
    dns_put_addresses(&running.fixture, "web.corp.internal", 2, 2, 8);
    dns_put_addresses(&running.fixture, "many.corp.internal", 3500, 3500, 0);
    urcu_qsbr_thread_offline();
    *state = &running;
    return 0;
}

static int tear_down(void **state)
{
    struct running *running = *state;
    if (running->server) {
        hm_dns_server_stop(running->server);
    }
    urcu_qsbr_thread_online();
    dns_fixture_fini(&running->fixture);
    return 0;
}

static int connected_to(const char *ip, uint16_t port, int type)
{
    bool v6 = strchr(ip, ':') != NULL;
    int fd = socket(v6 ? AF_INET6 : AF_INET, type | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    struct timeval deadline = {.tv_sec = DEADLINE_S};
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &deadline, sizeof deadline), 0);
    struct sockaddr_in v4_address = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr_in6 v6_address = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    int failed;
    if (v6) {
        assert_int_equal(inet_pton(AF_INET6, ip, &v6_address.sin6_addr), 1);
        failed = connect(fd, (struct sockaddr *)&v6_address, sizeof v6_address);
    } else {
        assert_int_equal(inet_pton(AF_INET, ip, &v4_address.sin_addr), 1);
        failed = connect(fd, (struct sockaddr *)&v4_address, sizeof v4_address);
    }
    assert_int_equal(failed, 0);
    return fd;
}

static int dial(struct running *running, const char *ip, int type)
{
    return connected_to(ip, hm_dns_server_address(running->server, 0).port, type);
}

/* Sends a question; with a length before it when `framed`. */
static void send_question(int fd, const char *name, bool framed)
{
    size_t size;
    uint8_t *question = dns_question(&(struct dns_ask){name, LDNS_RR_TYPE_A}, &size);
    uint8_t packet[600];
    hm_dns_put16(packet, (uint16_t)size);
    memcpy(packet + 2, question, size);
    LDNS_FREE(question);
    size_t skip = framed ? 0 : 2;
    assert_int_equal(send(fd, packet + skip, size + 2 - skip, MSG_NOSIGNAL), size + 2 - skip);
}

/* Reads one framed answer; how many records it has, -1 at the end of the connection. */
static int read_answer(int fd)
{
    static uint8_t packet[HM_DNS_TCP_MAX];
    uint8_t length[2];
    ssize_t came = recv(fd, length, 2, MSG_WAITALL);
    if (came != 2) {
        assert_true(came == 0 || errno == ECONNRESET); /* not the deadline */
        return -1;
    }
    size_t size = hm_dns_get16(length);
    assert_true(size >= HM_DNS_HEADER_SIZE);
    assert_int_equal(recv(fd, packet, size, MSG_WAITALL), size);
    return hm_dns_get16(packet + 6);
}

static void assert_udp_answers(int fd)
{
    uint8_t packet[HM_DNS_UDP_MAX];
    send_question(fd, "web.corp.internal", false);
    assert_true(recv(fd, packet, sizeof packet, 0) > HM_DNS_HEADER_SIZE);
    assert_int_equal(hm_dns_get16(packet + 6), 2);
    close(fd);
}

static void test_a_stock_resolver(void **state)
{
    struct running *running = *state;
    start_on(running, "127.0.0.1", 60000);
    ldns_resolver *resolver = ldns_resolver_new();
    ldns_rdf *ip = ldns_rdf_new_frm_str(LDNS_RDF_TYPE_A, "127.0.0.1");
    assert_int_equal(ldns_resolver_push_nameserver(resolver, ip), LDNS_STATUS_OK);
    ldns_resolver_set_port(resolver, hm_dns_server_address(running->server, 0).port);
    ldns_resolver_set_recursive(resolver, false);
    const struct {
        const char *name;
        size_t records;
    } rows[] = {{"web.corp.internal", 2}, {"many.corp.internal", 3500}}; /* the second by TCP */
    for (size_t i = 0; i < 2; i++) {
        ldns_rdf *name = ldns_dname_new_frm_str(rows[i].name);
        ldns_pkt *packet = NULL;
        assert_int_equal(
            ldns_resolver_send(&packet, resolver, name, LDNS_RR_TYPE_A, LDNS_RR_CLASS_IN, 0),
            LDNS_STATUS_OK);
        assert_int_equal(ldns_pkt_ancount(packet), rows[i].records);
        ldns_pkt_free(packet);
        ldns_rdf_deep_free(name);
    }
    ldns_rdf_deep_free(ip);
    ldns_resolver_deep_free(resolver);
    struct hm_dns_counters counters = hm_dns_server_counters(running->server);
    assert_true(counters.truncated > 0);
    assert_int_equal(counters.queries - counters.truncated, 2);
    assert_int_equal(counters.over_tcp, 1);
    assert_int_equal(counters.rcodes[HM_DNS_NOERROR], counters.queries);
}

static void test_wildcards_answer_from_the_address_asked(void **state)
{
    struct running *running = *state;
    struct hm_addr both[2];
    assert_true(hm_addr_parse("0.0.0.0", 0, &both[0]));
    assert_true(hm_addr_parse("::", 0, &both[1]));
    struct hm_dns_server_config config = config_of(running, both, 2);
    start(running, &config);
    /* A connected socket takes only what comes from the address that it asked. */
    assert_udp_answers(dial(running, "127.0.0.2", SOCK_DGRAM));
    assert_udp_answers(dial(running, "127.0.0.3", SOCK_DGRAM));
    int v6 = connected_to("::1", hm_dns_server_address(running->server, 1).port, SOCK_DGRAM);
    assert_udp_answers(v6);
}

static void test_udp_bursts_and_garbage(void **state)
{
    struct running *running = *state;
    start_on(running, "127.0.0.1", 60000);
    int fd = dial(running, "127.0.0.1", SOCK_DGRAM);
    static const uint8_t garbage[HM_DNS_UDP_MAX + 100];
    const size_t sizes[] = {0, 1, 11, 12, 40, HM_DNS_UDP_MAX, sizeof garbage};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        assert_int_equal(send(fd, garbage, sizes[i], 0), sizes[i]);
    }
    for (size_t i = 0; i < 40; i++) {
        send_question(fd, "web.corp.internal", false);
    }
    uint8_t packet[HM_DNS_UDP_MAX];
    for (size_t answered = 0, refused = 0; answered + refused < 44;) {
        assert_true(recv(fd, packet, sizeof packet, 0) >= HM_DNS_HEADER_SIZE);
        answered += (packet[3] & 15) == HM_DNS_NOERROR;
        refused += (packet[3] & 15) == HM_DNS_FORMERR;
        assert_true(answered <= 40 && refused <= 4);
    }
    close(fd);
}

static void test_tcp_pipelining_and_pieces(void **state)
{
    struct running *running = *state;
    start_on(running, "::1", 60000);
    int fd = dial(running, "::1", SOCK_STREAM);
    for (size_t i = 0; i < 50; i++) {
        send_question(fd, "web.corp.internal", true);
    }
    for (size_t i = 0; i < 50; i++) {
        assert_int_equal(read_answer(fd), 2);
    }
    size_t size;
    uint8_t *question = dns_question(&(struct dns_ask){"web.corp.internal", LDNS_RR_TYPE_A}, &size);
    uint8_t length[2];
    hm_dns_put16(length, (uint16_t)size);
    for (size_t i = 0; i < size + 2; i++) {
        assert_int_equal(send(fd, i < 2 ? length + i : question + i - 2, 1, 0), 1);
    }
    LDNS_FREE(question);
    assert_int_equal(read_answer(fd), 2);
    send_question(fd, "web.corp.internal", true);
    assert_int_equal(shutdown(fd, SHUT_WR), 0); /* what was asked before is answered */
    assert_int_equal(read_answer(fd), 2);
    assert_int_equal(read_answer(fd), -1);
    close(fd);
}

/* A client that asks for megabytes and reads late costs one answer at a time, and gets all. */
static void test_tcp_a_slow_reader(void **state)
{
    struct running *running = *state;
    start_on(running, "127.0.0.1", 60000);
    int fd = dial(running, "127.0.0.1", SOCK_STREAM);
    for (size_t i = 0; i < 300; i++) { /* 16 MiB of answers */
        send_question(fd, "many.corp.internal", true);
    }
    int other = dial(running, "127.0.0.1", SOCK_STREAM);
    send_question(other, "web.corp.internal", true);
    assert_int_equal(read_answer(other), 2);
    close(other);
    for (size_t i = 0; i < 300; i++) {
        assert_int_equal(read_answer(fd), 3500);
    }
    close(fd);
}

static void test_tcp_ends_idle_and_wrong_connections(void **state)
{
    struct running *running = *state;
    start_on(running, "127.0.0.1", 30);
    int silent = dial(running, "127.0.0.1", SOCK_STREAM);
    assert_int_equal(read_answer(silent), -1);
    close(silent);
    int half = dial(running, "127.0.0.1", SOCK_STREAM);
    assert_int_equal(send(half, "\0", 1, MSG_NOSIGNAL), 1);
    assert_int_equal(read_answer(half), -1);
    close(half);
    int huge = dial(running, "127.0.0.1", SOCK_STREAM);
    assert_int_equal(send(huge, "\xff\xff", 2, MSG_NOSIGNAL), 2);
    assert_int_equal(read_answer(huge), -1);
    close(huge);
    int empty = dial(running, "127.0.0.1", SOCK_STREAM);
    assert_int_equal(send(empty, "\0\0", 2, MSG_NOSIGNAL), 2);
    assert_int_equal(read_answer(empty), -1);
    close(empty);
}

static void test_tcp_a_flood_closes_the_oldest(void **state)
{
    struct running *running = *state;
    start_on(running, "127.0.0.1", 60000);
    int fds[5];
    for (size_t i = 0; i < 5; i++) { /* one more than there is room for */
        if (i == 4) {
            send_question(fds[0], "web.corp.internal", true);
            assert_int_equal(read_answer(fds[0]), 2);
        }
        fds[i] = dial(running, "127.0.0.1", SOCK_STREAM);
        send_question(fds[i], "web.corp.internal", true);
        assert_int_equal(read_answer(fds[i]), 2);
    }
    assert_int_equal(read_answer(fds[1]), -1); /* the one that was silent for longest */
    send_question(fds[0], "web.corp.internal", true);
    assert_int_equal(read_answer(fds[0]), 2);
    send_question(fds[4], "web.corp.internal", true);
    assert_int_equal(read_answer(fds[4]), 2);
    for (size_t i = 0; i < 5; i++) {
        close(fds[i]);
    }
}

/* The error names this very process, and the line. */
static void assert_in_use(struct running *running, const struct hm_addr *addr, const char *protocol)
{
    struct hm_dns_server_config config = config_of(running, addr, 1);
    struct hm_dns_server *other = NULL;
    struct hm_buf error = {0};
    char address[HM_ADDR_TEXT_BYTES];
    char wanted[256];
    assert_int_equal(hm_dns_server_start(&config, &error, &other), HM_BUSY);
    hm_put_u8(&error, 0);
    snprintf(wanted, sizeof wanted,
             "%s %s is in use by test_dns_server (pid %d); change dns.listen at dns.yaml:3:11",
             protocol, hm_addr_format(addr, address), (int)getpid());
    assert_string_equal((const char *)error.data, wanted);
    hm_buf_fini(&error);
}

static void test_a_port_in_use(void **state)
{
    struct running *running = *state;
    const char *const addresses[] = {"127.0.0.1", "::1"};
    for (size_t i = 0; i < 2; i++) {
        start_on(running, addresses[i], 60000);
        struct hm_addr taken = hm_dns_server_address(running->server, 0);
        assert_in_use(running, &taken, "UDP");
        hm_dns_server_stop(running->server);
        running->server = NULL;
        struct hm_buf error = {0};
        struct hm_dns_bind bind = {.addr = taken};
        int fd = hm_dns_socket_tcp(&bind, &error);
        assert_true(fd >= 0);
        assert_in_use(running, &taken, "TCP");
        close(fd);
        hm_buf_fini(&error);
    }
}

static void test_an_address_that_is_not_ours(void **state)
{
    struct running *running = *state;
    struct hm_addr foreign;
    assert_true(hm_addr_parse("192.0.2.1:5353", 0, &foreign));
    struct hm_dns_server_config config = config_of(running, &foreign, 1);
    struct hm_buf error = {0};
    assert_int_equal(hm_dns_server_start(&config, &error, &running->server), HM_IO);
    hm_put_u8(&error, 0);
    assert_string_equal((const char *)error.data, "UDP 192.0.2.1:5353 is no address of this "
                                                  "machine; change dns.listen at dns.yaml:3:11");
    hm_buf_fini(&error);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_stock_resolver, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_wildcards_answer_from_the_address_asked, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_udp_bursts_and_garbage, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_tcp_pipelining_and_pieces, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_tcp_a_slow_reader, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_tcp_ends_idle_and_wrong_connections, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_tcp_a_flood_closes_the_oldest, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_port_in_use, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_an_address_that_is_not_ours, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
