/* Sealed datagrams and streams between nodes, on a libuv loop.
 *
 * A node has one address: a UDP socket and a TCP listener. A stream has one direction: a node that
 * has something to send connects to the address of its peer, and only sends there; what it accepted
 * it only reads. The first frame of a stream is empty: it proves the key before anything of size is
 * read. All callbacks come from the loop or from hm_transport_flush, never from within send. */
#ifndef HM_IO_TRANSPORT_H
#define HM_IO_TRANSPORT_H

#include "core/base/bytes.h"
#include "core/base/ids.h"
#include "core/io/socket.h"
#include "core/wire/seal.h"

#include <uv.h>

struct hm_transport;

struct hm_transport_events {
    void *context;
    /* An opened payload, valid during the call. `from` is the sender's socket: for a stream its
     * port says nothing. `cluster` is what the sender thinks to be in, 0 before it joined. */
    void (*received)(void *context, const struct hm_addr *from, bool stream, uint64_t cluster,
                     struct hm_bytes payload);
    /* Our stream to this address stands. */
    void (*stream_up)(void *context, const struct hm_addr *addr);
    /* It is gone, or never came to be, with what was queued on it: HM_UNREACHABLE refused or timed
     * out, HM_IO reset, HM_UNSEALED connected but unanswered (another key), HM_FULL the peer reads
     * too slowly, HM_OK closed by us when idle. */
    void (*stream_down)(void *context, const struct hm_addr *addr, enum hm_status why);
    /* A datagram of ours was refused by the host that it reached: nobody listens there. */
    void (*refused)(void *context, const struct hm_addr *addr);
};

/* 0 means the default. */
struct hm_transport_limits {
    size_t queue_bytes_max;       /* waiting for one peer: 32 MiB */
    size_t accepted_max;          /* streams to us that proved the key: 4,096 */
    size_t unproved_max;          /* those that did not yet: 1024 */
    size_t unproved_per_host_max; /* of one IP address: 64 */
    size_t senders_max;           /* remembered against replays: 16,384 */
    hm_ms handshake_ms;           /* for connecting, and for proving the key: 5 s */
    hm_ms idle_ms;                /* until an unused stream is closed: 60 s */
    hm_ms hold_after_ms;          /* who is held for less, in a crowd, is not connected to: 1 s */
    hm_ms backoff_min_ms;         /* after a failure, doubled by each: 50 ms */
    hm_ms backoff_max_ms;         /* 1 s */
};

/* Since the start. */
struct hm_transport_counters {
    uint64_t frames_in;
    uint64_t frames_out;
    uint64_t bytes_in; /* with headers and tags */
    uint64_t bytes_out;
    uint64_t unsealed;    /* frames and streams that did not open */
    uint64_t unknown;     /* brief datagrams of whom we have not heard in full */
    uint64_t replayed;    /* datagrams seen before */
    uint64_t malformed;   /* no frames at all, and streams that broke the rules */
    uint64_t refused;     /* datagrams refused by their host */
    uint64_t dropped;     /* datagrams that the system did not take */
    uint64_t turned_away; /* connections over a limit */
};

/* Takes over `sockets`. `events` is copied, its functions are all set. */
struct hm_transport *hm_transport_new(uv_loop_t *loop, const struct hm_sockets *sockets,
                                      const struct hm_key *key,
                                      const struct hm_transport_limits *limits,
                                      const struct hm_transport_events *events);
/* Closes everything, tells nobody. Not from a callback of its own. The loop must run once more for
 * libuv to let go of its handles. */
void hm_transport_free(struct hm_transport *transport);

/* The cluster id that frames carry from now on; 0 at the start. */
void hm_transport_set_cluster(struct hm_transport *transport, uint64_t cluster);

/* Queues a payload (copied): as a datagram when `stream` is false and it has at most
 * HM_WIRE_DATAGRAM_BYTES_MAX bytes, else on the stream to this address, which is connected on
 * demand. Datagrams may be lost, what is on a stream arrives in order or stream_down is called.
 * Payloads have at most HM_WIRE_MESSAGE_BYTES_MAX + 16 bytes (asserted). */
void hm_transport_send(struct hm_transport *transport, const struct hm_addr *to, bool stream,
                       struct hm_bytes payload);
/* A datagram in the brief form (seal.h): it opens only for a peer that has heard this process in
 * full since that started, and since our cluster id last changed. Else nobody tells: send in full
 * when no answer comes. The payload has 17 to HM_WIRE_DATAGRAM_BYTES_MAX bytes (asserted). */
void hm_transport_send_brief(struct hm_transport *transport, const struct hm_addr *to,
                             struct hm_bytes payload);
/* A stream to this address stands from now on, or need not any more: it is connected without
 * anything to send, again when it fails, and not closed when idle. It costs no traffic but TCP's
 * keepalive, and when the process there ends, stream_down says so at once. */
void hm_transport_hold(struct hm_transport *transport, const struct hm_addr *to, bool hold);
/* Writes what is queued now; else this is done right before the loop waits. Who answers callbacks
 * by more sends later than from within them calls this until there is nothing new, then waits. */
void hm_transport_flush(struct hm_transport *transport);

const struct hm_transport_counters *hm_transport_counters(const struct hm_transport *transport);

#endif
