/* The transport's datagrams: received and sent in batches, refusals read from the error queue. */
#include "core/base/memory.h"
#include "core/io/transport_parts.h"

#include <errno.h>
#include <linux/errqueue.h>
#include <netinet/in.h>
#include <string.h>

#define BATCHES_A_TURN 8

/* Hands one received frame on, or counts why not. */
static void take_frame(struct hm_transport *transport, const struct hm_addr *from,
                       struct hm_bytes frame)
{
    uint64_t cluster = 0;
    hm_buf_clear(&transport->plain);
    transport->counters.bytes_in += frame.size;
    switch (hm_open(&transport->opener, frame, &cluster, &transport->plain)) {
    case HM_OK:
        transport->counters.frames_in++;
        transport->events.received(transport->events.context, from, false, cluster,
                                   hm_buf_view(&transport->plain));
        break;
    case HM_UNSEALED:
        transport->counters.unsealed++;
        break;
    case HM_NOT_FOUND:
        transport->counters.unknown++;
        break;
    case HM_REPLAYED:
        transport->counters.replayed++;
        break;
    default:
        transport->counters.malformed++;
        break;
    }
}

/* The number of datagrams that were there. Room for a batch on the stack: of what is never written
 * there is no memory, and mostly there is one. */
static int receive_batch(struct hm_transport *transport)
{
    uint8_t inbox[HM_DATAGRAM_BATCH][HM_DATAGRAM_FRAME_BYTES];
    struct mmsghdr headers[HM_DATAGRAM_BATCH];
    struct iovec parts[HM_DATAGRAM_BATCH];
    struct sockaddr_storage names[HM_DATAGRAM_BATCH];
    memset(headers, 0, sizeof headers);
    for (size_t i = 0; i < HM_DATAGRAM_BATCH; i++) {
        parts[i] = (struct iovec){inbox[i], HM_DATAGRAM_FRAME_BYTES};
        headers[i].msg_hdr.msg_iov = &parts[i];
        headers[i].msg_hdr.msg_iovlen = 1;
        headers[i].msg_hdr.msg_name = &names[i];
        headers[i].msg_hdr.msg_namelen = sizeof names[i];
    }
    int count = recvmmsg(transport->sockets.udp, headers, HM_DATAGRAM_BATCH, MSG_DONTWAIT, NULL);
    for (int i = 0; i < count; i++) {
        struct hm_addr from = hm_socket_addr(&names[i]);
        if (headers[i].msg_hdr.msg_flags & MSG_TRUNC) {
            transport->counters.malformed++;
        } else {
            take_frame(transport, &from, (struct hm_bytes){inbox[i], headers[i].msg_len});
        }
    }
    return count;
}

static bool is_refusal(struct msghdr *header)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c != NULL; c = CMSG_NXTHDR(header, c)) {
        if ((c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_RECVERR) ||
            (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_RECVERR)) {
            struct sock_extended_err error;
            memcpy(&error, CMSG_DATA(c), sizeof error);
            return error.ee_errno == ECONNREFUSED &&
                   (error.ee_origin == SO_EE_ORIGIN_ICMP || error.ee_origin == SO_EE_ORIGIN_ICMP6);
        }
    }
    return false;
}

/* Reads what ICMP said about datagrams of ours, at most a batch of it. */
static void drain_errors(struct hm_transport *transport)
{
    for (int i = 0; i < HM_DATAGRAM_BATCH; i++) {
        struct sockaddr_storage about = {0};
        uint8_t byte;
        struct iovec part = {&byte, 1};
        _Alignas(struct cmsghdr) uint8_t control[512];
        struct msghdr header = {
            .msg_name = &about,
            .msg_namelen = sizeof about,
            .msg_iov = &part,
            .msg_iovlen = 1,
            .msg_control = control,
            .msg_controllen = sizeof control,
        };
        if (recvmsg(transport->sockets.udp, &header, MSG_ERRQUEUE | MSG_DONTWAIT) < 0) {
            return;
        }
        if (is_refusal(&header)) {
            struct hm_addr addr = hm_socket_addr(&about);
            transport->counters.refused++;
            transport->events.refused(transport->events.context, &addr);
        }
    }
}

static void on_udp(void *user, int events)
{
    struct hm_transport *transport = user;
    (void)events;
    drain_errors(transport);
    for (int i = 0; i < BATCHES_A_TURN; i++) {
        int count = receive_batch(transport);
        if (count < HM_DATAGRAM_BATCH && (count >= 0 || errno != ECONNREFUSED)) {
            return;
        }
    }
}

void hm_datagrams_init(struct hm_transport *transport)
{
    transport->family = transport->sockets.addr.family == 6 ? AF_INET6 : AF_INET;
    transport->udp =
        hm_watch_open(transport->loop, transport->sockets.udp, HM_WATCH_READ, on_udp, transport);
}

void hm_datagrams_send(struct hm_transport *transport, const struct hm_addr *to, bool brief,
                       struct hm_bytes payload)
{
    if (transport->datagram_count == HM_DATAGRAM_BATCH) {
        hm_datagrams_flush(transport);
    }
    struct hm_datagram *datagram = &transport->datagrams[transport->datagram_count];
    datagram->to_size = hm_socket_address(to, transport->family, &datagram->to);
    if (datagram->to_size == 0) {
        transport->counters.dropped++;
        return;
    }
    datagram->offset = transport->frames.size;
    if (brief) {
        hm_seal_brief(&transport->sealer, transport->cluster, payload, &transport->frames);
    } else {
        hm_seal(&transport->sealer, transport->cluster, payload, &transport->frames);
    }
    datagram->size = transport->frames.size - datagram->offset;
    transport->datagram_count++;
}

void hm_datagrams_flush(struct hm_transport *transport)
{
    struct mmsghdr headers[HM_DATAGRAM_BATCH];
    struct iovec parts[HM_DATAGRAM_BATCH];
    unsigned count = (unsigned)transport->datagram_count;
    unsigned sent = 0;
    int refusals = 0;
    memset(headers, 0, count * sizeof *headers);
    for (unsigned i = 0; i < count; i++) {
        struct hm_datagram *datagram = &transport->datagrams[i];
        parts[i] = (struct iovec){transport->frames.data + datagram->offset, datagram->size};
        headers[i].msg_hdr.msg_iov = &parts[i];
        headers[i].msg_hdr.msg_iovlen = 1;
        headers[i].msg_hdr.msg_name = &datagram->to;
        headers[i].msg_hdr.msg_namelen = datagram->to_size;
    }
    while (sent < count) {
        int done = sendmmsg(transport->sockets.udp, headers + sent, count - sent, MSG_DONTWAIT);
        if (done > 0) {
            for (int i = 0; i < done; i++, sent++) {
                transport->counters.frames_out++;
                transport->counters.bytes_out += transport->datagrams[sent].size;
            }
        } else if (errno == EINTR || (errno == ECONNREFUSED && refusals++ < 64)) {
            continue; /* an earlier datagram's refusal, told now; this one was not tried */
        } else if (errno == EAGAIN) {
            transport->counters.dropped += count - sent;
            break;
        } else {
            transport->counters.dropped++;
            sent++;
        }
    }
    transport->datagram_count = 0;
    hm_buf_clear(&transport->frames);
}

void hm_datagrams_fini(struct hm_transport *transport)
{
    hm_watch_close(transport->udp);
    hm_buf_fini(&transport->plain);
    hm_buf_fini(&transport->frames);
}
