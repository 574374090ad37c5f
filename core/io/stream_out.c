/* The transport's streams to others: connected on demand or to be held, written in order, closed
 * when idle. */
#include "core/base/assert.h"
#include "core/base/hash.h"
#include "core/base/memory.h"
#include "core/io/transport_parts.h"

#include <errno.h>
#include <netinet/in.h>
#include <sodium.h>
#include <string.h>
#include <unistd.h>

#define WIRE_BYTES_AHEAD (256u << 10) /* sealed before it is written */
#define KEEP_BYTES       (256u << 10) /* buffers larger than this are freed when empty */
#define FORGET_MS        10000 /* how long a link without use is remembered for its backoff */
#define BRIEF_MS         1000  /* a stream that lasted less failed: back off */

enum out_stage {
    OUT_CLOSED, /* fd is -1; may wait for retry_at */
    OUT_CONNECTING,
    OUT_GREETING, /* our preamble went, theirs has not come */
    OUT_UP,
};

struct hm_out_link {
    struct hm_transport *transport;
    struct hm_addr addr;
    enum out_stage stage;
    bool dirty;            /* counted in out_dirty */
    bool held;             /* stands without anything to say */
    hm_ms hold_at;         /* then it is connected for that alone */
    enum hm_status failed; /* to be told in the next flush; until then nothing is queued */
    int fd;
    struct hm_watch *watch;
    struct hm_stream_seal seal;
    uint8_t ours[HM_PREAMBLE_BYTES];
    uint8_t theirs[HM_PREAMBLE_BYTES];
    size_t theirs_size;
    struct hm_buf queue; /* payloads not yet sealed: size u32, cluster u64, payload */
    size_t queue_at;     /* bytes before are done */
    struct hm_buf wire;  /* sealed frames */
    size_t wire_at;      /* bytes before are written */
    hm_ms began;         /* of this stage */
    hm_ms used;          /* last time that something was sent */
    hm_ms retry_at;      /* not before */
    hm_ms backoff;       /* 0: the last attempt went well */
};

static void mark_dirty(struct hm_out_link *link)
{
    if (!link->dirty) {
        link->dirty = true;
        link->transport->out_dirty++;
    }
}

static void set_stage(struct hm_out_link *link, enum out_stage stage)
{
    link->stage = stage;
    link->began = hm_transport_now(link->transport);
    link->transport->timing_changed = true;
}

static bool has_queued(const struct hm_out_link *link)
{
    return link->queue_at < link->queue.size;
}

/* Is it to be connected, when it is not? */
static bool is_wanted(const struct hm_out_link *link)
{
    return has_queued(link) || link->held;
}

/* What is to be said waits for no more than a failed connection makes it wait. */
static hm_ms connect_at(const struct hm_out_link *link)
{
    return has_queued(link) || link->hold_at < link->retry_at ? link->retry_at : link->hold_at;
}

static bool has_unwritten(const struct hm_out_link *link)
{
    return has_queued(link) || link->wire_at < link->wire.size;
}

static void drop_queue(struct hm_out_link *link)
{
    hm_buf_fini(&link->queue);
    hm_buf_fini(&link->wire);
    link->queue_at = 0;
    link->wire_at = 0;
}

/* Back to CLOSED, and tells so. */
static void shut(struct hm_out_link *link, enum hm_status why)
{
    struct hm_transport *transport = link->transport;
    const struct hm_transport_limits *limits = &transport->limits;
    hm_ms now = hm_transport_now(transport);
    bool lasted = link->stage == OUT_UP && now - link->began >= BRIEF_MS;
    bool silent = !has_queued(link);
    hm_watch_close(link->watch);
    link->watch = NULL;
    if (link->fd >= 0) {
        close(link->fd);
    }
    link->fd = -1;
    link->failed = HM_OK;
    drop_queue(link);
    hm_stream_seal_fini(&link->seal);
    if (why == HM_OK || lasted) {
        link->backoff = 0;
    } else {
        link->backoff = link->backoff ? link->backoff * 2 : limits->backoff_min_ms;
        link->backoff =
            link->backoff < limits->backoff_max_ms ? link->backoff : limits->backoff_max_ms;
    }
    link->hold_at = now + link->backoff;
    link->retry_at = silent && link->backoff ? now + limits->backoff_min_ms : link->hold_at;
    link->used = now;
    set_stage(link, OUT_CLOSED);
    transport->events.stream_down(transport->events.context, &link->addr, why);
}

/* ---- writing ---- */

static void seal_ahead(struct hm_out_link *link)
{
    while (has_queued(link) && link->wire.size - link->wire_at < WIRE_BYTES_AHEAD) {
        struct hm_reader in = hm_reader_of((struct hm_bytes){link->queue.data + link->queue_at,
                                                             link->queue.size - link->queue_at});
        uint32_t size = hm_get_u32(&in);
        struct hm_bytes payload = hm_get_bytes(&in, size);
        HM_ASSERT(!in.bad);
        size_t before = link->wire.size;
        hm_stream_seal(&link->seal, payload, &link->wire);
        link->queue_at += sizeof size + size;
        link->transport->counters.frames_out++;
        link->transport->counters.bytes_out += link->wire.size - before;
    }
}

/* Empties a buffer whose bytes are all done; gives back what a burst made large. */
static void reset_if_done(struct hm_buf *buf, size_t *at)
{
    if (*at == buf->size) {
        if (buf->capacity > KEEP_BYTES) {
            hm_buf_fini(buf);
        } else {
            hm_buf_clear(buf);
        }
        *at = 0;
    } else if (*at > KEEP_BYTES && *at > buf->size / 2) {
        memmove(buf->data, buf->data + *at, buf->size - *at);
        buf->size -= *at;
        *at = 0;
    }
}

static enum hm_status status_of_error(int error)
{
    return error == ECONNRESET || error == EPIPE ? HM_IO : HM_UNREACHABLE;
}

/* Writes until all is written or the system takes no more. */
static void write_out(struct hm_out_link *link)
{
    for (;;) {
        seal_ahead(link);
        size_t left = link->wire.size - link->wire_at;
        ssize_t done =
            left ? send(link->fd, link->wire.data + link->wire_at, left, MSG_NOSIGNAL) : 0;
        if (done < 0 && errno == EINTR) {
            continue;
        }
        if (done < 0 && errno != EAGAIN) {
            shut(link, status_of_error(errno));
            return;
        }
        link->wire_at += done > 0 ? (size_t)done : 0;
        reset_if_done(&link->wire, &link->wire_at);
        reset_if_done(&link->queue, &link->queue_at);
        if (done < 0 || !has_unwritten(link)) {
            hm_watch_set(link->watch, HM_WATCH_READ | (done < 0 ? HM_WATCH_WRITE : 0));
            return;
        }
    }
}

/* ---- connecting ---- */

static void on_connected(struct hm_out_link *link)
{
    int error = 0;
    socklen_t size = sizeof error;
    uint8_t random[HM_PREAMBLE_RANDOM_BYTES];
    if (getsockopt(link->fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0 || error != 0) {
        shut(link, HM_UNREACHABLE);
        return;
    }
    randombytes_buf(random, sizeof random);
    hm_preamble_make(&link->transport->key, link->transport->cluster, random, link->ours);
    if (send(link->fd, link->ours, sizeof link->ours, MSG_NOSIGNAL) != (ssize_t)sizeof link->ours) {
        shut(link, HM_IO);
        return;
    }
    link->theirs_size = 0;
    set_stage(link, OUT_GREETING);
    hm_watch_set(link->watch, HM_WATCH_READ);
}

/* Appends the empty frame that proves the key. */
static void seal_proof(struct hm_out_link *link)
{
    struct hm_buf empty = {0};
    hm_put_u64(&empty, link->transport->cluster);
    hm_stream_seal(&link->seal, hm_buf_view(&empty), &link->wire);
    hm_buf_fini(&empty);
}

static void on_greeting(struct hm_out_link *link)
{
    struct hm_transport *transport = link->transport;
    uint64_t cluster;
    ssize_t got = recv(link->fd, link->theirs + link->theirs_size,
                       sizeof link->theirs - link->theirs_size, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (got <= 0) {
        /* Who has another key closes without a word. */
        shut(link, got == 0 ? HM_UNSEALED : status_of_error(errno));
        return;
    }
    link->theirs_size += (size_t)got;
    if (link->theirs_size < sizeof link->theirs) {
        return;
    }
    if (hm_preamble_read(&transport->key, link->theirs, &cluster) != HM_OK) {
        transport->counters.unsealed++;
        shut(link, HM_UNSEALED);
        return;
    }
    hm_stream_seal_init(&link->seal, &transport->key, link->ours, link->theirs,
                        HM_STREAM_FROM_CONNECTOR);
    set_stage(link, OUT_UP);
    link->used = hm_transport_now(transport);
    seal_proof(link);
    mark_dirty(link);
    transport->events.stream_up(transport->events.context, &link->addr);
}

/* Nothing comes back on a stream: what is readable is its end, or a breach of the rules. */
static void on_readable(struct hm_out_link *link)
{
    uint8_t byte;
    ssize_t got = recv(link->fd, &byte, 1, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    link->transport->counters.malformed += got > 0;
    shut(link, got < 0 ? status_of_error(errno) : HM_IO);
}

static void on_ready(void *user, int events)
{
    struct hm_out_link *link = user;
    if (link->stage == OUT_CONNECTING) {
        on_connected(link);
    } else if (link->stage == OUT_GREETING) {
        on_greeting(link);
    } else {
        if (events & HM_WATCH_READ) {
            on_readable(link);
        }
        if (link->stage == OUT_UP && (events & HM_WATCH_WRITE)) {
            write_out(link);
        }
    }
}

/* As our datagrams do: the others' limits for one address then mean us alone, and what lets an
 * address through lets all of us through. Where that is not possible the system chooses. */
static void speak_from_own_address(const struct hm_transport *transport, int fd, int family)
{
    const int on = 1;
    struct hm_addr own = transport->sockets.addr;
    struct sockaddr_storage name;
    own.port = 0;
    socklen_t size = hm_socket_address(&own, family, &name);
    if (size && setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on) == 0) {
        (void)!bind(fd, (struct sockaddr *)&name, size);
    }
}

static void connect_link(struct hm_out_link *link)
{
    struct hm_transport *transport = link->transport;
    int family = link->addr.family == 6 ? AF_INET6 : AF_INET;
    struct sockaddr_storage name;
    socklen_t size = hm_socket_address(&link->addr, family, &name);
    set_stage(link, OUT_CONNECTING);
    link->fd = size ? socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0) : -1;
    if (link->fd < 0) {
        shut(link, HM_UNREACHABLE);
        return;
    }
    hm_stream_options(transport, link->fd, HM_STREAM_IDLE_OUT_S);
    speak_from_own_address(transport, link->fd, family);
    if (connect(link->fd, (struct sockaddr *)&name, size) != 0 && errno != EINPROGRESS) {
        shut(link, HM_UNREACHABLE);
        return;
    }
    link->watch = hm_watch_open(transport->loop, link->fd, HM_WATCH_WRITE, on_ready, link);
    HM_ASSERT(link->watch != NULL);
}

/* ---- the table of links ---- */

static uint64_t hash_of_addr(const struct hm_addr *addr)
{
    uint8_t key[19] = {addr->family, (uint8_t)(addr->port >> 8), (uint8_t)addr->port};
    memcpy(key + 3, addr->ip, 16);
    return hm_hash(0, (struct hm_bytes){key, sizeof key});
}

static struct hm_out_link *find(struct hm_transport *transport, const struct hm_addr *addr,
                                uint64_t hash)
{
    size_t cursor = 0;
    uint32_t at;
    while ((at = hm_index_next(&transport->out_by_addr, hash, &cursor)) != HM_INDEX_END) {
        if (hm_addr_equal(&transport->out[at]->addr, addr)) {
            return transport->out[at];
        }
    }
    return NULL;
}

static struct hm_out_link *find_or_make(struct hm_transport *transport, const struct hm_addr *addr)
{
    uint64_t hash = hash_of_addr(addr);
    struct hm_out_link *link = find(transport, addr, hash);
    if (link) {
        return link;
    }
    link = hm_alloc(1, sizeof *link);
    link->transport = transport;
    link->addr = *addr;
    link->fd = -1;
    link->used = hm_transport_now(transport);
    transport->out = hm_grow(transport->out, transport->out_count, &transport->out_capacity,
                             sizeof *transport->out);
    hm_index_add(&transport->out_by_addr, hash, (uint32_t)transport->out_count);
    transport->out[transport->out_count++] = link;
    return link;
}

static void free_link(struct hm_out_link *link)
{
    hm_watch_close(link->watch);
    if (link->fd >= 0) {
        close(link->fd);
    }
    drop_queue(link);
    hm_stream_seal_fini(&link->seal);
    hm_free(link);
}

static void forget(struct hm_transport *transport, size_t at)
{
    size_t last = transport->out_count - 1;
    struct hm_out_link *link = transport->out[at];
    hm_index_remove(&transport->out_by_addr, hash_of_addr(&link->addr), (uint32_t)at);
    if (at != last) {
        uint64_t hash = hash_of_addr(&transport->out[last]->addr);
        hm_index_remove(&transport->out_by_addr, hash, (uint32_t)last);
        hm_index_add(&transport->out_by_addr, hash, (uint32_t)at);
        transport->out[at] = transport->out[last];
    }
    transport->out_count--;
    transport->out_dirty -= link->dirty;
    free_link(link);
}

void hm_out_send(struct hm_transport *transport, const struct hm_addr *to, struct hm_bytes payload)
{
    struct hm_out_link *link = find_or_make(transport, to);
    mark_dirty(link);
    if (link->failed != HM_OK) {
        return;
    }
    if (link->queue.size - link->queue_at + payload.size > transport->limits.queue_bytes_max) {
        drop_queue(link);
        link->failed = HM_FULL;
        return;
    }
    hm_put_u32(&link->queue, (uint32_t)(payload.size + HM_STREAM_CLUSTER_BYTES));
    hm_put_u64(&link->queue, transport->cluster);
    hm_buf_append(&link->queue, payload.data, payload.size);
    link->used = hm_transport_now(transport);
}

void hm_out_hold(struct hm_transport *transport, const struct hm_addr *to, bool hold)
{
    struct hm_out_link *link =
        hold ? find_or_make(transport, to) : find(transport, to, hash_of_addr(to));
    if (!link || link->held == hold) {
        return;
    }
    link->held = hold;
    link->hold_at = hm_transport_now(transport) + transport->limits.hold_after_ms;
    transport->timing_changed = true;
}

static void flush_link(struct hm_out_link *link)
{
    link->dirty = false;
    link->transport->out_dirty--;
    if (link->failed != HM_OK) {
        shut(link, link->failed);
    } else if (link->stage == OUT_CLOSED && is_wanted(link)) {
        if (hm_transport_now(link->transport) >= connect_at(link)) {
            connect_link(link);
        } else {
            link->transport->timing_changed = true;
        }
    } else if (link->stage == OUT_UP && has_unwritten(link)) {
        write_out(link);
    }
}

void hm_out_flush(struct hm_transport *transport)
{
    for (size_t i = 0; i < transport->out_count && transport->out_dirty > 0; i++) {
        if (transport->out[i]->dirty) {
            flush_link(transport->out[i]);
        }
    }
    /* What a callback sent meanwhile to a link already passed goes in the next turn. */
    transport->timing_changed |= transport->out_dirty > 0;
}

/* ---- time ---- */

static hm_ms deadline_of(const struct hm_out_link *link)
{
    const struct hm_transport_limits *limits = &link->transport->limits;
    switch (link->stage) {
    case OUT_CONNECTING:
    case OUT_GREETING:
        return link->began + limits->handshake_ms;
    case OUT_UP:
        return link->held ? HM_NEVER : link->used + limits->idle_ms;
    default:
        return is_wanted(link) ? connect_at(link) : link->used + FORGET_MS;
    }
}

hm_ms hm_out_deadline(const struct hm_transport *transport)
{
    hm_ms first = transport->out_dirty > 0 ? hm_transport_now(transport) : HM_NEVER;
    for (size_t i = 0; i < transport->out_count; i++) {
        hm_ms deadline = deadline_of(transport->out[i]);
        first = deadline < first ? deadline : first;
    }
    return first;
}

void hm_out_tick(struct hm_transport *transport)
{
    hm_ms now = hm_transport_now(transport);
    for (size_t i = transport->out_count; i-- > 0;) {
        struct hm_out_link *link = transport->out[i];
        if (now < deadline_of(link)) {
            continue;
        }
        if (link->stage == OUT_CONNECTING) {
            shut(link, HM_UNREACHABLE);
        } else if (link->stage == OUT_GREETING) {
            shut(link, HM_UNSEALED);
        } else if (link->stage == OUT_UP) {
            if (has_unwritten(link)) {
                link->used = now;
            } else {
                shut(link, HM_OK);
            }
        } else if (is_wanted(link)) {
            mark_dirty(link);
        } else {
            forget(transport, i);
        }
    }
}

void hm_out_fini(struct hm_transport *transport)
{
    for (size_t i = 0; i < transport->out_count; i++) {
        free_link(transport->out[i]);
    }
    hm_free(transport->out);
    hm_index_fini(&transport->out_by_addr);
}
