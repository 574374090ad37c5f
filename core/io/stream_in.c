/* The transport's streams from others: a preamble each way, an empty frame that proves the key,
 * then frames to hand on. Until the proof a stranger costs us one small struct, for a few seconds.
 */
#include "core/base/memory.h"
#include "core/io/transport_parts.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>
#include <unistd.h>

#define READ_BYTES      (64u << 10)
#define READS_A_TURN    16
#define ACCEPTS_A_TURN  64
#define KEEP_BYTES      (256u << 10)
#define ACCEPT_PAUSE_MS 100
#define UNPROVED_BYTES  64

enum in_stage {
    IN_PREAMBLE, /* theirs is to come */
    IN_PROOF,    /* ours went; the empty frame is to come */
    IN_PROVED,
};

struct hm_in_link {
    struct hm_transport *transport;
    struct hm_addr from;
    enum in_stage stage;
    int fd;
    struct hm_watch *watch;
    struct hm_stream_seal seal;
    struct hm_buf got; /* not yet handled; at most UNPROVED_BYTES before the proof */
    hm_ms began;
};

static void close_link(struct hm_in_link *link)
{
    struct hm_transport *transport = link->transport;
    for (size_t i = 0; i < transport->in_count; i++) {
        if (transport->in[i] == link) {
            transport->in[i] = transport->in[--transport->in_count];
            break;
        }
    }
    transport->unproved -= link->stage != IN_PROVED;
    hm_watch_close(link->watch);
    close(link->fd);
    hm_buf_fini(&link->got);
    hm_stream_seal_fini(&link->seal);
    hm_free(link);
}

/* Forgets the first `size` bytes that came. */
static void consume(struct hm_in_link *link, size_t size)
{
    memmove(link->got.data, link->got.data + size, link->got.size - size);
    link->got.size -= size;
}

/* Answers the preamble of one who has our key; others get nothing. */
static bool answer_preamble(struct hm_in_link *link)
{
    struct hm_transport *transport = link->transport;
    uint8_t random[HM_PREAMBLE_RANDOM_BYTES];
    uint8_t ours[HM_PREAMBLE_BYTES];
    uint64_t cluster;
    enum hm_status status = hm_preamble_read(&transport->key, link->got.data, &cluster);
    if (status != HM_OK) {
        transport->counters.unsealed += status == HM_UNSEALED;
        transport->counters.malformed += status == HM_BAD_BYTES;
        return false;
    }
    randombytes_buf(random, sizeof random);
    hm_preamble_make(&transport->key, transport->cluster, random, ours);
    hm_stream_seal_init(&link->seal, &transport->key, link->got.data, ours,
                        HM_STREAM_FROM_CONNECTOR);
    consume(link, HM_PREAMBLE_BYTES);
    link->stage = IN_PROOF;
    return send(link->fd, ours, sizeof ours, MSG_NOSIGNAL) == (ssize_t)sizeof ours;
}

/* Opens one frame and hands its payload on. */
static bool take_frame(struct hm_in_link *link, struct hm_bytes frame)
{
    struct hm_transport *transport = link->transport;
    hm_buf_clear(&transport->plain);
    if (hm_stream_open(&link->seal, frame, &transport->plain) != HM_OK) {
        transport->counters.unsealed++;
        return false;
    }
    struct hm_reader in = hm_reader_of(hm_buf_view(&transport->plain));
    uint64_t cluster = hm_get_u64(&in);
    if (in.bad) {
        transport->counters.malformed++;
        return false;
    }
    transport->counters.frames_in++;
    if (link->stage == IN_PROOF) {
        link->stage = IN_PROVED;
        transport->unproved--;
        transport->timing_changed = true;
    } else {
        struct hm_bytes payload = hm_get_bytes(&in, hm_reader_left(&in));
        transport->events.received(transport->events.context, &link->from, true, cluster, payload);
    }
    if (transport->plain.capacity > KEEP_BYTES) {
        hm_buf_fini(&transport->plain);
    }
    return true;
}

/* Handles all whole frames that are there; false when the link is to be closed. */
static bool take_frames(struct hm_in_link *link)
{
    size_t done = 0;
    for (;;) {
        struct hm_bytes rest = {link->got.data + done, link->got.size - done};
        size_t size = 0;
        if (hm_stream_frame_bytes(rest, &size) != HM_OK ||
            (link->stage == IN_PROOF && size > HM_STREAM_PROOF_BYTES)) {
            link->transport->counters.malformed++;
            return false;
        }
        if (size == 0 || size > rest.size) {
            break;
        }
        if (!take_frame(link, (struct hm_bytes){rest.data, size})) {
            return false;
        }
        done += size;
    }
    consume(link, done);
    if (link->got.size == 0 && link->got.capacity > KEEP_BYTES) {
        hm_buf_fini(&link->got);
    }
    return true;
}

/* One read; false when there is nothing more for now, as far as a read tells that was not filled.
 * Sets `*gone` when the link is to be closed. */
static bool read_once(struct hm_in_link *link, bool *gone)
{
    size_t before = link->got.size;
    size_t room = link->stage == IN_PROVED ? READ_BYTES : UNPROVED_BYTES - before;
    uint8_t *into = hm_buf_extend(&link->got, room);
    ssize_t got = recv(link->fd, into, room, 0);
    link->got.size = before + (got > 0 ? (size_t)got : 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return false;
    }
    if (got <= 0) {
        *gone = true;
        return false;
    }
    link->transport->counters.bytes_in += (uint64_t)got;
    if (link->stage == IN_PREAMBLE && link->got.size >= HM_PREAMBLE_BYTES) {
        *gone = !answer_preamble(link);
    }
    if (!*gone && link->stage != IN_PREAMBLE) {
        *gone = !take_frames(link);
    }
    return !*gone && (size_t)got == room;
}

static void on_readable(void *user, int events)
{
    struct hm_in_link *link = user;
    bool gone = false;
    (void)events;
    for (int i = 0; i < READS_A_TURN && read_once(link, &gone); i++) {
    }
    if (gone) {
        close_link(link);
    } else if (link->got.size == 0) {
        hm_buf_fini(&link->got);
    }
}

/* ---- accepting ---- */

static bool is_welcome(const struct hm_transport *transport, const struct hm_addr *from)
{
    const struct hm_transport_limits *limits = &transport->limits;
    size_t of_host = 0;
    if (transport->unproved >= limits->unproved_max ||
        transport->in_count - transport->unproved >= limits->accepted_max) {
        return false;
    }
    for (size_t i = 0; transport->unproved > 0 && i < transport->in_count; i++) {
        const struct hm_in_link *link = transport->in[i];
        of_host += link->stage != IN_PROVED && hm_addr_same_ip(&link->from, from);
    }
    return of_host < limits->unproved_per_host_max;
}

static void welcome(struct hm_transport *transport, int fd, const struct hm_addr *from)
{
    struct hm_in_link *link = hm_alloc(1, sizeof *link);
    link->transport = transport;
    link->from = *from;
    link->fd = fd;
    link->began = hm_transport_now(transport);
    hm_stream_options(transport, fd, HM_STREAM_IDLE_IN_S);
    link->watch = hm_watch_open(transport->loop, fd, HM_WATCH_READ, on_readable, link);
    transport->in =
        hm_grow(transport->in, transport->in_count, &transport->in_capacity, sizeof *transport->in);
    transport->in[transport->in_count++] = link;
    transport->unproved++;
    transport->timing_changed = true;
}

static void on_accept(void *user, int events)
{
    struct hm_transport *transport = user;
    (void)events;
    for (int i = 0; i < ACCEPTS_A_TURN; i++) {
        struct sockaddr_storage name;
        socklen_t size = sizeof name;
        int fd = accept4(transport->sockets.tcp, (struct sockaddr *)&name, &size,
                         SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
                /* The listener stays readable: look again a little later. */
                transport->accept_paused = true;
                transport->timing_changed = true;
                hm_watch_set(transport->tcp, 0);
            }
            return;
        }
        struct hm_addr from = hm_socket_addr(&name);
        if (is_welcome(transport, &from)) {
            welcome(transport, fd, &from);
        } else {
            transport->counters.turned_away++;
            close(fd);
        }
    }
}

void hm_in_init(struct hm_transport *transport)
{
    transport->tcp =
        hm_watch_open(transport->loop, transport->sockets.tcp, HM_WATCH_READ, on_accept, transport);
}

void hm_in_tick(struct hm_transport *transport)
{
    hm_ms now = hm_transport_now(transport);
    if (transport->accept_paused) {
        transport->accept_paused = false;
        hm_watch_set(transport->tcp, HM_WATCH_READ);
    }
    for (size_t i = transport->in_count; transport->unproved > 0 && i-- > 0;) {
        struct hm_in_link *link = transport->in[i];
        if (link->stage != IN_PROVED && now >= link->began + transport->limits.handshake_ms) {
            transport->counters.unsealed++;
            close_link(link);
        }
    }
}

hm_ms hm_in_deadline(const struct hm_transport *transport)
{
    hm_ms first =
        transport->accept_paused ? hm_transport_now(transport) + ACCEPT_PAUSE_MS : HM_NEVER;
    for (size_t i = 0; transport->unproved > 0 && i < transport->in_count; i++) {
        const struct hm_in_link *link = transport->in[i];
        hm_ms deadline = link->began + transport->limits.handshake_ms;
        if (link->stage != IN_PROVED && deadline < first) {
            first = deadline;
        }
    }
    return first;
}

void hm_in_fini(struct hm_transport *transport)
{
    while (transport->in_count > 0) {
        close_link(transport->in[transport->in_count - 1]);
    }
    hm_watch_close(transport->tcp);
    hm_free(transport->in);
}
