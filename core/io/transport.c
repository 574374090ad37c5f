#include "core/io/transport.h"

#include "core/base/assert.h"
#include "core/base/memory.h"
#include "core/io/transport_parts.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sodium.h>

#define PAYLOAD_BYTES_MAX (HM_WIRE_MESSAGE_BYTES_MAX + 16u)

_Static_assert(PAYLOAD_BYTES_MAX + HM_STREAM_CLUSTER_BYTES <= HM_STREAM_PAYLOAD_BYTES_MAX, "");

hm_ms hm_transport_now(const struct hm_transport *transport)
{
    return uv_now(transport->loop);
}

void hm_stream_options(const struct hm_transport *transport, int fd, int idle_s)
{
    const int on = 1;
    const int timeout_ms = (int)transport->limits.handshake_ms;
    const int interval_s = 5;
    const int probes = 3;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms, sizeof timeout_ms);
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof idle_s);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval_s, sizeof interval_s);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
}

static void reschedule(struct hm_transport *transport)
{
    hm_ms out = hm_out_deadline(transport);
    hm_ms in = hm_in_deadline(transport);
    hm_ms next = out < in ? out : in;
    hm_ms now = hm_transport_now(transport);
    transport->timing_changed = false;
    hm_timer_set(transport->timer, next == HM_NEVER ? HM_NEVER : next > now ? next - now : 0);
}

void hm_transport_flush(struct hm_transport *transport)
{
    hm_out_flush(transport);
    hm_datagrams_flush(transport); /* last: the callbacks of streams that end may send some */
    if (transport->timing_changed) {
        reschedule(transport);
    }
}

static void on_prepare(uv_prepare_t *prepare)
{
    hm_transport_flush(prepare->data);
}

static void on_due(void *user)
{
    struct hm_transport *transport = user;
    hm_out_tick(transport);
    hm_in_tick(transport);
    transport->timing_changed = true;
}

static void set_limits(struct hm_transport_limits *limits)
{
    const struct hm_transport_limits usual = {
        .queue_bytes_max = 32u << 20,
        .accepted_max = 4096,
        .unproved_max = 1024,
        .unproved_per_host_max = 64,
        .senders_max = 16384,
        .handshake_ms = 5000,
        .idle_ms = 60000,
        .hold_after_ms = 1000,
        .backoff_min_ms = 50,
        .backoff_max_ms = 1000,
    };
#define OR_USUAL(field) limits->field = limits->field ? limits->field : usual.field
    OR_USUAL(queue_bytes_max);
    OR_USUAL(accepted_max);
    OR_USUAL(unproved_max);
    OR_USUAL(unproved_per_host_max);
    OR_USUAL(senders_max);
    OR_USUAL(handshake_ms);
    OR_USUAL(idle_ms);
    OR_USUAL(hold_after_ms);
    OR_USUAL(backoff_min_ms);
    OR_USUAL(backoff_max_ms);
#undef OR_USUAL
}

struct hm_transport *hm_transport_new(uv_loop_t *loop, const struct hm_sockets *sockets,
                                      const struct hm_key *key,
                                      const struct hm_transport_limits *limits,
                                      const struct hm_transport_events *events)
{
    struct hm_transport *transport = hm_alloc(1, sizeof *transport);
    uint64_t salt;
    HM_ASSERT(sodium_init() >= 0);
    randombytes_buf(&salt, sizeof salt);
    transport->loop = loop;
    transport->sockets = *sockets;
    transport->key = *key;
    transport->events = *events;
    if (limits != NULL) {
        transport->limits = *limits;
    }
    set_limits(&transport->limits);
    hm_sealer_init(&transport->sealer, key, salt);
    hm_opener_init(&transport->opener, key, transport->limits.senders_max);
    hm_datagrams_init(transport);
    hm_in_init(transport);
    transport->timer = hm_timer_open(loop, on_due, transport);
    transport->prepare = hm_alloc(1, sizeof *transport->prepare);
    uv_prepare_init(loop, transport->prepare);
    transport->prepare->data = transport;
    uv_prepare_start(transport->prepare, on_prepare);
    return transport;
}

static void free_handle(uv_handle_t *handle)
{
    hm_free(handle);
}

void hm_transport_free(struct hm_transport *transport)
{
    if (transport == NULL) {
        return;
    }
    uv_close((uv_handle_t *)transport->prepare, free_handle);
    hm_timer_close(transport->timer);
    hm_datagrams_fini(transport);
    hm_out_fini(transport);
    hm_in_fini(transport);
    hm_sockets_close(&transport->sockets);
    hm_sealer_fini(&transport->sealer);
    hm_opener_fini(&transport->opener);
    hm_key_wipe(&transport->key);
    hm_free(transport);
}

void hm_transport_set_cluster(struct hm_transport *transport, uint64_t cluster)
{
    transport->cluster = cluster;
}

void hm_transport_send(struct hm_transport *transport, const struct hm_addr *to, bool stream,
                       struct hm_bytes payload)
{
    HM_ASSERT(payload.size <= PAYLOAD_BYTES_MAX);
    if (!stream && payload.size <= HM_WIRE_DATAGRAM_BYTES_MAX) {
        hm_datagrams_send(transport, to, false, payload);
    } else {
        hm_out_send(transport, to, payload);
    }
}

void hm_transport_send_brief(struct hm_transport *transport, const struct hm_addr *to,
                             struct hm_bytes payload)
{
    HM_ASSERT(payload.size <= HM_WIRE_DATAGRAM_BYTES_MAX);
    hm_datagrams_send(transport, to, true, payload);
}

void hm_transport_hold(struct hm_transport *transport, const struct hm_addr *to, bool hold)
{
    hm_out_hold(transport, to, hold);
}

const struct hm_transport_counters *hm_transport_counters(const struct hm_transport *transport)
{
    return &transport->counters;
}
