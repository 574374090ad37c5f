/* What the files of the transport share: datagrams, streams out and streams in. */
#ifndef HM_IO_TRANSPORT_PARTS_H
#define HM_IO_TRANSPORT_PARTS_H

#include "core/base/index.h"
#include "core/io/transport.h"
#include "core/io/watch.h"

#define HM_DATAGRAM_BATCH       32
#define HM_DATAGRAM_FRAME_BYTES 2048
#define HM_STREAM_CLUSTER_BYTES 8 /* in front of every payload on a stream: the cluster id */
#define HM_STREAM_PROOF_BYTES   (HM_STREAM_CLUSTER_BYTES + HM_STREAM_FRAME_EXTRA)

_Static_assert(HM_WIRE_DATAGRAM_BYTES_MAX + HM_SEAL_FRAME_EXTRA <= HM_DATAGRAM_FRAME_BYTES, "");

/* A datagram that waits for the flush: frame at `offset` of the outgoing bytes. */
struct hm_datagram {
    struct sockaddr_storage to;
    socklen_t to_size;
    size_t offset;
    size_t size;
};

struct hm_out_link;
struct hm_in_link;

struct hm_transport {
    uv_loop_t *loop;
    uv_prepare_t *prepare;
    struct hm_timer *timer;
    struct hm_transport_events events;
    struct hm_transport_limits limits; /* no zeros */
    struct hm_transport_counters counters;
    struct hm_key key;
    uint64_t cluster;
    struct hm_sockets sockets;
    int family; /* of the UDP socket */
    bool timing_changed;

    struct hm_sealer sealer;
    struct hm_opener opener;
    struct hm_watch *udp;
    struct hm_buf plain; /* what was opened last */
    struct hm_buf frames;
    struct hm_datagram datagrams[HM_DATAGRAM_BATCH]; /* waiting, their frames in `frames` */
    size_t datagram_count;

    struct hm_out_link **out; /* streams to others, found by `out_by_addr` */
    size_t out_count;
    size_t out_capacity;
    size_t out_dirty; /* links that have something to do in the next flush */
    struct hm_index out_by_addr;

    struct hm_watch *tcp;
    struct hm_in_link **in; /* streams to us, in no order */
    size_t in_count;
    size_t in_capacity;
    size_t unproved;
    bool accept_paused; /* out of descriptors */
};

hm_ms hm_transport_now(const struct hm_transport *transport);

/* datagram.c */
void hm_datagrams_init(struct hm_transport *transport);
void hm_datagrams_send(struct hm_transport *transport, const struct hm_addr *to, bool brief,
                       struct hm_bytes payload);
void hm_datagrams_flush(struct hm_transport *transport);
void hm_datagrams_fini(struct hm_transport *transport);

/* stream_out.c */
void hm_out_send(struct hm_transport *transport, const struct hm_addr *to, struct hm_bytes payload);
void hm_out_hold(struct hm_transport *transport, const struct hm_addr *to, bool hold);
void hm_out_flush(struct hm_transport *transport);
/* Acts on deadlines that have passed. */
void hm_out_tick(struct hm_transport *transport);
hm_ms hm_out_deadline(const struct hm_transport *transport);
void hm_out_fini(struct hm_transport *transport);

/* stream_in.c */
void hm_in_init(struct hm_transport *transport);
void hm_in_tick(struct hm_transport *transport);
hm_ms hm_in_deadline(const struct hm_transport *transport);
void hm_in_fini(struct hm_transport *transport);
/* Options of every TCP connection: no delay, notice a dead peer. That is only for tidiness, since
 * SWIM is what notices soon: a stream that is held is silent but for the keepalive, one every
 * `idle_s` from either end, which adds up. The end that reads has less to lose. */
#define HM_STREAM_IDLE_OUT_S 60
#define HM_STREAM_IDLE_IN_S  120
void hm_stream_options(const struct hm_transport *transport, int fd, int idle_s);

#endif
