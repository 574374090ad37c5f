/* Two transports on loopback, and strangers who speak to one: what arrives, what is refused, and
 * who is told. */
#include "core/base/hash.h"
#include "core/base/memory.h"
#include "core/base/random.h"
#include "core/io/transport.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define GUARD_MS 20000

/* One transport and what it told. */
struct end {
    struct hm_transport *transport;
    struct hm_addr addr;
    size_t datagrams;
    size_t payloads; /* over streams */
    size_t bytes;
    uint32_t crc; /* of all payloads over streams, in order */
    uint64_t cluster;
    struct hm_buf last;
    size_t ups;
    size_t downs;
    enum hm_status why;
    size_t refusals;
    struct hm_addr about;
};

/* A loop, two ends, and a guard that fails the test when what it waits for never comes. */
struct world {
    uv_loop_t loop;
    uv_timer_t guard;
    bool late;
    struct end a;
    struct end b;
};

static const struct hm_key ours = {{1}};
static const struct hm_key theirs = {{2}};

static void on_received(void *context, const struct hm_addr *from, bool stream, uint64_t cluster,
                        struct hm_bytes payload)
{
    struct end *end = context;
    assert_true(!hm_addr_is_none(from));
    end->cluster = cluster;
    if (stream) {
        end->payloads++;
        end->bytes += payload.size;
        end->crc = hm_crc32c(end->crc, payload);
    } else {
        end->datagrams++;
    }
    hm_buf_clear(&end->last);
    hm_buf_append(&end->last, payload.data, payload.size);
}

static void on_up(void *context, const struct hm_addr *addr)
{
    struct end *end = context;
    end->ups++;
    end->about = *addr;
}

static void on_down(void *context, const struct hm_addr *addr, enum hm_status why)
{
    struct end *end = context;
    end->downs++;
    end->about = *addr;
    end->why = why;
}

static void on_refused(void *context, const struct hm_addr *addr)
{
    struct end *end = context;
    end->refusals++;
    end->about = *addr;
}

static void start_at(struct world *world, struct end *end, const struct hm_key *key,
                     const char *where, const struct hm_transport_limits *limits)
{
    const struct hm_transport_events events = {end, on_received, on_up, on_down, on_refused};
    struct hm_sockets sockets;
    struct hm_buf error = {0};
    struct hm_addr addr;
    assert_true(hm_addr_parse(where, 0, &addr));
    assert_int_equal(hm_sockets_open(&addr, &sockets, &error), HM_OK);
    end->transport = hm_transport_new(&world->loop, &sockets, key, limits, &events);
    end->addr = sockets.addr;
    assert_int_not_equal(end->addr.port, 0);
}

static void start(struct world *world, struct end *end, const struct hm_key *key,
                  const struct hm_transport_limits *limits)
{
    start_at(world, end, key, "127.0.0.1", limits);
}

static void on_guard(uv_timer_t *guard)
{
    struct world *world = guard->data;
    world->late = true;
}

static void world_init(struct world *world)
{
    memset(world, 0, sizeof *world);
    assert_int_equal(uv_loop_init(&world->loop), 0);
    uv_timer_init(&world->loop, &world->guard);
    world->guard.data = world;
    uv_timer_start(&world->guard, on_guard, GUARD_MS, 0);
}

static void world_fini(struct world *world)
{
    struct end *ends[] = {&world->a, &world->b};
    for (size_t i = 0; i < 2; i++) {
        hm_transport_free(ends[i]->transport);
        hm_buf_fini(&ends[i]->last);
    }
    uv_close((uv_handle_t *)&world->guard, NULL);
    uv_run(&world->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&world->loop), 0);
}

/* Turns the loop until the claim holds. */
#define UNTIL(world, claim)                      \
    while (!(claim)) {                           \
        uv_run(&(world)->loop, UV_RUN_ONCE);     \
        if ((world)->late) {                     \
            fail_msg("waited in vain: " #claim); \
        }                                        \
    }

static void send_text(struct end *from, const struct hm_addr *to, bool stream, const char *text)
{
    hm_transport_send(from->transport, to, stream, hm_bytes_of_text(text));
}

static bool last_is(const struct end *end, const char *text)
{
    return hm_bytes_equal(hm_buf_view(&end->last), hm_bytes_of_text(text));
}

static void test_datagrams_both_ways(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    start(&world, &world.a, &ours, NULL);
    start(&world, &world.b, &ours, NULL);
    hm_transport_set_cluster(world.a.transport, 77);
    send_text(&world.a, &world.b.addr, false, "ping");
    UNTIL(&world, world.b.datagrams == 1);
    assert_true(last_is(&world.b, "ping"));
    assert_int_equal(world.b.cluster, 77);
    for (int i = 0; i < 100; i++) { /* several batches */
        send_text(&world.b, &world.a.addr, false, "pong");
    }
    UNTIL(&world, world.a.datagrams == 100);
    assert_int_equal(world.a.cluster, 0);
    assert_int_equal(world.a.payloads + world.a.ups + world.a.downs, 0);
    /* What is too long for a datagram takes the stream. */
    struct hm_buf longer = {0};
    memset(hm_buf_extend(&longer, HM_WIRE_DATAGRAM_BYTES_MAX + 1), 'x', longer.size);
    hm_transport_send(world.a.transport, &world.b.addr, false, hm_buf_view(&longer));
    UNTIL(&world, world.b.payloads == 1);
    hm_buf_fini(&longer);
    world_fini(&world);
}

/* A brief datagram reaches only who has heard this process in full, in this cluster. */
static void test_brief_datagrams(void **state)
{
    (void)state;
    struct world world;
    static const char text[] = "it says who it is, then something";
    world_init(&world);
    start(&world, &world.a, &ours, NULL);
    start(&world, &world.b, &ours, NULL);
    const struct hm_transport_counters *counters = hm_transport_counters(world.b.transport);
    for (unsigned turn = 0; turn < 2; turn++) {
        hm_transport_set_cluster(world.a.transport, 77 + turn);
        hm_transport_send_brief(world.a.transport, &world.b.addr, hm_bytes_of_text(text));
        UNTIL(&world, counters->unknown == turn + 1);
        send_text(&world.a, &world.b.addr, false, text);
        UNTIL(&world, world.b.datagrams == 2 * turn + 1);
        world.b.cluster = 0;
        hm_transport_send_brief(world.a.transport, &world.b.addr, hm_bytes_of_text(text));
        UNTIL(&world, world.b.datagrams == 2 * turn + 2);
        assert_true(last_is(&world.b, text));
        assert_int_equal(world.b.cluster, 77 + turn);
    }
    assert_int_equal(counters->unsealed, 0);
    world_fini(&world);
}

static void test_ipv6_and_both(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    start_at(&world, &world.a, &ours, "::1", NULL);
    start_at(&world, &world.b, &ours, "::", NULL); /* reached over IPv4 as well */
    struct hm_addr six = world.a.addr;
    struct hm_addr four;
    six.port = world.b.addr.port;
    send_text(&world.a, &six, false, "six");
    UNTIL(&world, world.b.datagrams == 1);
    send_text(&world.a, &six, true, "six");
    UNTIL(&world, world.b.payloads == 1);
    hm_transport_free(world.a.transport);
    start(&world, &world.a, &ours, NULL);
    assert_true(hm_addr_parse("127.0.0.1", world.b.addr.port, &four));
    send_text(&world.a, &four, false, "four");
    UNTIL(&world, world.b.datagrams == 2);
    assert_true(last_is(&world.b, "four"));
    send_text(&world.b, &world.a.addr, false, "back");
    UNTIL(&world, world.a.datagrams == 1);
    send_text(&world.b, &world.a.addr, true, "stream back");
    UNTIL(&world, world.a.payloads == 1);
    /* A refusal over IPv4 is told by a socket of IPv6 as well. */
    hm_transport_free(world.a.transport);
    world.a.transport = NULL;
    send_text(&world.b, &world.a.addr, false, "gone?");
    UNTIL(&world, world.b.refusals == 1);
    assert_true(hm_addr_equal(&world.b.about, &world.a.addr));
    world_fini(&world);
}

static void test_ten_megabytes_in_order(void **state)
{
    (void)state;
    struct world world;
    struct hm_random random;
    uint32_t crc = 0;
    size_t sent = 0;
    size_t bytes = 0;
    struct hm_buf payload = {0};
    world_init(&world);
    hm_random_init(&random, 5);
    start(&world, &world.a, &ours, NULL);
    start(&world, &world.b, &ours, NULL);
    while (bytes < 10u << 20) {
        hm_buf_clear(&payload);
        size_t size = (size_t)hm_random_below(&random, 300000);
        hm_random_fill(&random, hm_buf_extend(&payload, size), size);
        crc = hm_crc32c(crc, hm_buf_view(&payload));
        bytes += size;
        sent++;
        hm_transport_send(world.a.transport, &world.b.addr, true, hm_buf_view(&payload));
    }
    UNTIL(&world, world.b.payloads == sent);
    assert_int_equal(world.b.bytes, bytes);
    assert_int_equal(world.b.crc, crc);
    assert_int_equal(world.a.ups, 1);
    assert_int_equal(world.a.downs, 0);
    /* The longest message there may be. */
    hm_buf_clear(&payload);
    memset(hm_buf_extend(&payload, HM_WIRE_MESSAGE_BYTES_MAX + 16), 'm', payload.size);
    hm_transport_send(world.a.transport, &world.b.addr, true, hm_buf_view(&payload));
    UNTIL(&world, world.b.payloads == sent + 1);
    assert_int_equal(world.b.bytes, bytes + HM_WIRE_MESSAGE_BYTES_MAX + 16);
    hm_buf_fini(&payload);
    world_fini(&world);
}

static void test_another_key_gets_silence(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    start(&world, &world.a, &ours, NULL);
    start(&world, &world.b, &theirs, NULL);
    send_text(&world.a, &world.b.addr, false, "hello");
    send_text(&world.a, &world.b.addr, true, "hello");
    UNTIL(&world, world.a.downs == 1);
    assert_int_equal(world.a.why, HM_UNSEALED);
    assert_true(hm_addr_equal(&world.a.about, &world.b.addr));
    UNTIL(&world, hm_transport_counters(world.b.transport)->unsealed == 2);
    assert_int_equal(world.b.datagrams + world.b.payloads, 0);
    assert_int_equal(hm_transport_counters(world.b.transport)->frames_out, 0);
    world_fini(&world);
}

static void test_nobody_there(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    start(&world, &world.a, &ours, NULL);
    start(&world, &world.b, &ours, NULL);
    struct hm_addr gone = world.b.addr;
    hm_transport_free(world.b.transport);
    world.b.transport = NULL;
    for (size_t i = 1; i <= 3; i++) {
        send_text(&world.a, &gone, false, "there?");
        UNTIL(&world, world.a.refusals == i);
        assert_true(hm_addr_equal(&world.a.about, &gone));
    }
    send_text(&world.a, &gone, true, "there?");
    UNTIL(&world, world.a.downs == 1);
    assert_int_equal(world.a.why, HM_UNREACHABLE);
    /* The next one waits for the backoff, then fails as well. */
    send_text(&world.a, &gone, true, "there?");
    UNTIL(&world, world.a.downs == 2);
    /* A refusal does not hide what comes from others. */
    start(&world, &world.b, &ours, NULL);
    send_text(&world.a, &gone, false, "there?");
    send_text(&world.a, &world.b.addr, false, "you?");
    send_text(&world.b, &world.a.addr, false, "me");
    UNTIL(&world, world.a.refusals == 4 && world.a.datagrams == 1 && world.b.datagrams == 1);
    world_fini(&world);
}

static void test_a_peer_that_restarts(void **state)
{
    (void)state;
    struct world world;
    char where[HM_ADDR_TEXT_BYTES];
    world_init(&world);
    start(&world, &world.a, &ours, NULL);
    start(&world, &world.b, &ours, NULL);
    send_text(&world.a, &world.b.addr, true, "one");
    UNTIL(&world, world.b.payloads == 1);
    hm_transport_free(world.b.transport);
    UNTIL(&world, world.a.downs == 1);
    assert_int_equal(world.a.why, HM_IO);
    start_at(&world, &world.b, &ours, hm_addr_format(&world.b.addr, where), NULL);
    send_text(&world.a, &world.b.addr, true, "two");
    UNTIL(&world, world.b.payloads == 2);
    assert_true(last_is(&world.b, "two"));
    assert_int_equal(world.a.ups, 2);
    world_fini(&world);
}

static void test_idle_streams_are_closed_and_come_back(void **state)
{
    (void)state;
    struct world world;
    const struct hm_transport_limits limits = {.idle_ms = 20};
    world_init(&world);
    start(&world, &world.a, &ours, &limits);
    start(&world, &world.b, &ours, NULL);
    send_text(&world.a, &world.b.addr, true, "one");
    UNTIL(&world, world.b.payloads == 1 && world.a.downs == 1);
    assert_int_equal(world.a.why, HM_OK);
    send_text(&world.a, &world.b.addr, true, "two");
    UNTIL(&world, world.b.payloads == 2);
    world_fini(&world);
}

static void test_held_streams_stand(void **state)
{
    (void)state;
    struct world world;
    char where[HM_ADDR_TEXT_BYTES];
    const struct hm_transport_limits limits = {.idle_ms = 20, .hold_after_ms = 5};
    world_init(&world);
    start(&world, &world.a, &ours, &limits);
    start(&world, &world.b, &ours, &limits);
    hm_transport_hold(world.a.transport, &world.b.addr, true);
    UNTIL(&world, world.a.ups == 1);
    /* One that is not held is closed; this one, which is idle for longer, is not. */
    send_text(&world.b, &world.a.addr, true, "hello");
    UNTIL(&world, world.b.downs == 1);
    assert_int_equal(world.a.downs, 0);
    hm_transport_free(world.b.transport);
    UNTIL(&world, world.a.downs == 1);
    assert_int_equal(world.a.why, HM_IO);
    start_at(&world, &world.b, &ours, hm_addr_format(&world.b.addr, where), NULL);
    UNTIL(&world, world.a.ups == 2);
    hm_transport_hold(world.a.transport, &world.b.addr, false);
    UNTIL(&world, world.a.why == HM_OK);
    /* Held for a moment only: never connected. */
    hm_transport_hold(world.a.transport, &world.b.addr, true);
    hm_transport_hold(world.a.transport, &world.b.addr, false);
    send_text(&world.b, &world.a.addr, true, "hello");
    UNTIL(&world, world.a.payloads == 2);
    assert_int_equal(world.a.ups, 2);
    assert_int_equal(world.b.payloads, 0);
    world_fini(&world);
}

/* To hold a stream is no reason to let wait what is to be said over it. */
static void test_who_is_held_is_spoken_to_at_once(void **state)
{
    (void)state;
    struct world world;
    const struct hm_transport_limits limits = {.hold_after_ms = 3600000};
    world_init(&world);
    start(&world, &world.a, &ours, &limits);
    start(&world, &world.b, &ours, &limits);
    hm_transport_hold(world.a.transport, &world.b.addr, true);
    send_text(&world.a, &world.b.addr, true, "hello");
    UNTIL(&world, world.b.payloads == 1);
    world_fini(&world);
}

static void test_a_peer_that_does_not_read(void **state)
{
    (void)state;
    struct world world;
    struct hm_sockets silent;
    struct hm_buf error = {0};
    struct hm_buf payload = {0};
    struct hm_addr any;
    const struct hm_transport_limits limits = {.queue_bytes_max = 1u << 20, .handshake_ms = 50};
    world_init(&world);
    start(&world, &world.a, &ours, &limits);
    assert_true(hm_addr_parse("127.0.0.1", 0, &any));
    assert_int_equal(hm_sockets_open(&any, &silent, &error), HM_OK); /* the kernel accepts */
    memset(hm_buf_extend(&payload, 600000), 'x', 600000);
    for (int i = 0; i < 4; i++) {
        hm_transport_send(world.a.transport, &silent.addr, true, hm_buf_view(&payload));
    }
    assert_int_equal(world.a.downs, 0); /* never from within send */
    hm_transport_flush(world.a.transport);
    assert_int_equal(world.a.downs, 1);
    assert_int_equal(world.a.why, HM_FULL);
    hm_transport_send(world.a.transport, &silent.addr, true, hm_buf_view(&payload));
    UNTIL(&world, world.a.downs == 2);
    assert_int_equal(world.a.why, HM_UNSEALED); /* connected, but unanswered */
    hm_sockets_close(&silent);
    hm_buf_fini(&payload);
    world_fini(&world);
}

/* A blocking socket of a stranger, connected to an end. */
static int stranger(const struct hm_addr *to, int type)
{
    struct sockaddr_storage name;
    int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
    socklen_t size = hm_socket_address(to, AF_INET, &name);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&name, size), 0);
    return fd;
}

static void put(int fd, struct hm_bytes bytes)
{
    assert_int_equal(send(fd, bytes.data, bytes.size, MSG_NOSIGNAL), (ssize_t)bytes.size);
}

static void test_replayed_and_broken_datagrams(void **state)
{
    (void)state;
    struct world world;
    struct hm_sealer sealer;
    struct hm_buf frame = {0};
    world_init(&world);
    start(&world, &world.a, &ours, NULL);
    const struct hm_transport_counters *counters = hm_transport_counters(world.a.transport);
    int fd = stranger(&world.a.addr, SOCK_DGRAM);
    hm_sealer_init(&sealer, &ours, 4);
    hm_seal(&sealer, 0, hm_bytes_of_text("once"), &frame);
    put(fd, hm_buf_view(&frame));
    put(fd, hm_buf_view(&frame));
    put(fd, hm_bytes_of_text("no frame"));
    put(fd, hm_bytes_of_text(""));
    memset(hm_buf_extend(&frame, 4000), 0, 4000);
    put(fd, hm_buf_view(&frame)); /* longer than any of ours */
    UNTIL(&world, counters->malformed == 3);
    assert_int_equal(counters->frames_in, 1);
    assert_int_equal(counters->replayed, 1);
    assert_int_equal(world.a.datagrams, 1);
    close(fd);
    hm_sealer_fini(&sealer);
    hm_buf_fini(&frame);
    world_fini(&world);
}

static bool is_closed(int fd)
{
    uint8_t byte;
    return recv(fd, &byte, 1, MSG_DONTWAIT) == 0;
}

static void test_strangers_on_streams(void **state)
{
    (void)state;
    struct world world;
    const struct hm_transport_limits limits = {.handshake_ms = 100};
    uint8_t random[HM_PREAMBLE_RANDOM_BYTES] = {0};
    uint8_t preamble[HM_PREAMBLE_BYTES];
    uint8_t answer[HM_PREAMBLE_BYTES];
    world_init(&world);
    start(&world, &world.a, &ours, &limits);
    const struct hm_transport_counters *counters = hm_transport_counters(world.a.transport);
    /* Speaks something else. */
    int http = stranger(&world.a.addr, SOCK_STREAM);
    put(http, hm_bytes_of_text("GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
    UNTIL(&world, counters->malformed == 1);
    /* Says nothing. */
    int mute = stranger(&world.a.addr, SOCK_STREAM);
    UNTIL(&world, counters->unsealed == 1);
    UNTIL(&world, is_closed(mute));
    /* Knows the key's id, but not the key: claims a long frame, then sends one that does not open.
     */
    int liar = stranger(&world.a.addr, SOCK_STREAM);
    int thief = stranger(&world.a.addr, SOCK_STREAM);
    hm_preamble_make(&ours, 0, random, preamble);
    put(liar, (struct hm_bytes){preamble, sizeof preamble});
    put(thief, (struct hm_bytes){preamble, sizeof preamble});
    struct hm_buf frame = {0};
    hm_put_u32(&frame, 1u << 20);
    put(liar, hm_buf_view(&frame));
    UNTIL(&world, counters->malformed == 2);
    hm_buf_clear(&frame);
    struct hm_stream_seal seal;
    UNTIL(&world, recv(thief, answer, sizeof answer, MSG_DONTWAIT) == (ssize_t)sizeof answer);
    hm_stream_seal_init(&seal, &theirs, preamble, answer, HM_STREAM_FROM_CONNECTOR);
    hm_stream_seal(&seal, hm_bytes_of_text("01234567"), &frame);
    put(thief, hm_buf_view(&frame));
    UNTIL(&world, counters->unsealed == 2);
    UNTIL(&world, is_closed(thief));
    assert_int_equal(world.a.payloads, 0);
    close(http);
    close(mute);
    close(liar);
    close(thief);
    hm_buf_fini(&frame);
    world_fini(&world);
}

static void test_unproved_streams_are_limited(void **state)
{
    (void)state;
    struct world world;
    const struct hm_transport_limits limits = {.unproved_per_host_max = 2};
    int fds[5];
    world_init(&world);
    start(&world, &world.a, &ours, &limits);
    start(&world, &world.b, &ours, NULL);
    for (size_t i = 0; i < 5; i++) {
        fds[i] = stranger(&world.a.addr, SOCK_STREAM);
    }
    UNTIL(&world, hm_transport_counters(world.a.transport)->turned_away == 3);
    for (size_t i = 0; i < 5; i++) {
        close(fds[i]);
    }
    /* With them gone there is room again; proved streams do not count. */
    while (world.a.payloads < 3) {
        size_t payloads = world.a.payloads;
        size_t downs = world.b.downs;
        send_text(&world.b, &world.a.addr, true, "hello");
        UNTIL(&world, world.a.payloads > payloads || world.b.downs > downs);
    }
    world_fini(&world);
}

/* Without descriptors left the listener rests, and is served again once there are some. */
static void test_out_of_descriptors(void **state)
{
    (void)state;
    struct world world;
    struct rlimit before;
    world_init(&world);
    start(&world, &world.a, &ours, NULL);
    start(&world, &world.b, &ours, NULL);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    int fd = stranger(&world.a.addr, SOCK_STREAM);
    struct rlimit tight = {(rlim_t)fd + 1, before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
    size_t turns = 0;
    send_text(&world.b, &world.a.addr, true, "no socket for this one");
    send_text(&world.b, &world.a.addr, false, "still heard");
    UNTIL(&world, world.a.datagrams == 1 && world.b.downs == 1);
    assert_int_equal(world.b.why, HM_UNREACHABLE);
    /* A loop that spins on the listener makes thousands of turns. */
    for (hm_ms from = uv_now(&world.loop); uv_now(&world.loop) < from + 250; turns++) {
        uv_run(&world.loop, UV_RUN_ONCE);
    }
    assert_true(turns < 50);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    send_text(&world.b, &world.a.addr, true, "now");
    UNTIL(&world, world.a.payloads == 1);
    close(fd);
    world_fini(&world);
}

static void test_port_in_use_names_its_holder(void **state)
{
    (void)state;
    struct world world;
    struct hm_sockets second;
    struct hm_buf error = {0};
    char wanted[64];
    world_init(&world);
    start(&world, &world.a, &ours, NULL);
    assert_int_equal(hm_sockets_open(&world.a.addr, &second, &error), HM_EXISTS);
    hm_put_u8(&error, 0);
    snprintf(wanted, sizeof wanted, "is in use by test_transport (pid %d)", (int)getpid());
    assert_non_null(strstr((char *)error.data, wanted));
    hm_buf_fini(&error);
    world_fini(&world);
}

static void test_adopted_sockets(void **state)
{
    (void)state;
    struct hm_sockets opened;
    struct hm_sockets adopted;
    struct hm_addr any;
    struct hm_buf error = {0};
    assert_true(hm_addr_parse("127.0.0.1", 0, &any));
    assert_int_equal(hm_sockets_open(&any, &opened, &error), HM_OK);
    assert_int_equal(hm_sockets_adopt(opened.tcp, opened.udp, &adopted, &error), HM_BAD_ARGUMENT);
    assert_true(error.size > 0);
    assert_int_equal(hm_sockets_adopt(opened.udp, opened.tcp, &adopted, &error), HM_OK);
    assert_true(hm_addr_equal(&adopted.addr, &opened.addr));
    hm_sockets_close(&adopted);
    hm_buf_fini(&error);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_datagrams_both_ways),
        cmocka_unit_test(test_brief_datagrams),
        cmocka_unit_test(test_ipv6_and_both),
        cmocka_unit_test(test_ten_megabytes_in_order),
        cmocka_unit_test(test_another_key_gets_silence),
        cmocka_unit_test(test_nobody_there),
        cmocka_unit_test(test_a_peer_that_restarts),
        cmocka_unit_test(test_idle_streams_are_closed_and_come_back),
        cmocka_unit_test(test_held_streams_stand),
        cmocka_unit_test(test_who_is_held_is_spoken_to_at_once),
        cmocka_unit_test(test_a_peer_that_does_not_read),
        cmocka_unit_test(test_replayed_and_broken_datagrams),
        cmocka_unit_test(test_strangers_on_streams),
        cmocka_unit_test(test_unproved_streams_are_limited),
        cmocka_unit_test(test_out_of_descriptors),
        cmocka_unit_test(test_port_in_use_names_its_holder),
        cmocka_unit_test(test_adopted_sockets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
