#include "dns_processor/udp.h"

#include "core/base/memory.h"

#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#define BATCH         16
#define CONTROL_BYTES 64 /* one in_pktinfo or in6_pktinfo */

_Static_assert(CMSG_SPACE(sizeof(struct in6_pktinfo)) <= CONTROL_BYTES, "room for the address");

struct batch {
    struct mmsghdr in[BATCH];
    struct mmsghdr out[BATCH];
    struct iovec in_part[BATCH];
    struct iovec out_part[BATCH];
    struct sockaddr_storage from[BATCH];
    _Alignas(struct cmsghdr) uint8_t control[BATCH][CONTROL_BYTES];
    uint8_t query[BATCH][HM_DNS_UDP_MAX];
    uint8_t answer[BATCH][HM_DNS_UDP_MAX];
};

static void batch_init(struct batch *batch)
{
    for (size_t i = 0; i < BATCH; i++) {
        batch->in_part[i] = (struct iovec){batch->query[i], HM_DNS_UDP_MAX};
        batch->out_part[i] = (struct iovec){batch->answer[i], 0};
        batch->in[i].msg_hdr = (struct msghdr){
            .msg_name = &batch->from[i],
            .msg_iov = &batch->in_part[i],
            .msg_iovlen = 1,
            .msg_control = batch->control[i],
        };
    }
}

/* What told us where a datagram went to makes the answer come from there. The interface is left to
 * the routing table, but for link-local IPv6, which means nothing without it. */
static void answer_from_there(struct msghdr *header)
{
    struct cmsghdr *control = CMSG_FIRSTHDR(header);
    if (!control) {
        return;
    }
    if (control->cmsg_level == IPPROTO_IP && control->cmsg_type == IP_PKTINFO) {
        struct in_pktinfo info;
        memcpy(&info, CMSG_DATA(control), sizeof info);
        info.ipi_ifindex = 0;
        memcpy(CMSG_DATA(control), &info, sizeof info);
    } else if (control->cmsg_level == IPPROTO_IPV6 && control->cmsg_type == IPV6_PKTINFO) {
        struct in6_pktinfo info;
        memcpy(&info, CMSG_DATA(control), sizeof info);
        if (!IN6_IS_ADDR_LINKLOCAL(&info.ipi6_addr)) {
            info.ipi6_ifindex = 0;
        }
        memcpy(CMSG_DATA(control), &info, sizeof info);
    }
}

/* Sends what is ready; a datagram that the kernel refuses is passed over, as if it were lost. */
static void send_all(int fd, struct mmsghdr *messages, unsigned count)
{
    for (unsigned sent = 0; sent < count;) {
        int more = sendmmsg(fd, messages + sent, count - sent, 0);
        sent += more > 0 ? (unsigned)more : 1;
    }
}

/* One batch from one socket; whether anything came. */
static bool serve(struct hm_dns_udp *udp, struct batch *batch, int fd)
{
    for (size_t i = 0; i < BATCH; i++) {
        batch->in[i].msg_hdr.msg_namelen = sizeof batch->from[i];
        batch->in[i].msg_hdr.msg_controllen = CONTROL_BYTES;
    }
    int came = recvmmsg(fd, batch->in, BATCH, MSG_DONTWAIT, NULL);
    if (came <= 0) {
        return false;
    }
    unsigned ready = 0;
    for (int i = 0; i < came; i++) {
        struct msghdr *header = &batch->in[i].msg_hdr;
        struct hm_bytes query = {batch->query[i], batch->in[i].msg_len};
        size_t size = hm_dns_answer(&udp->answerer, query, false, batch->answer[i]);
        if (size == 0) {
            continue;
        }
        answer_from_there(header);
        batch->out_part[i].iov_len = size;
        batch->out[ready].msg_hdr = *header;
        batch->out[ready].msg_hdr.msg_iov = &batch->out_part[i];
        batch->out[ready].msg_hdr.msg_flags = 0;
        if (header->msg_controllen == 0) {
            batch->out[ready].msg_hdr.msg_control = NULL;
        }
        ready++;
    }
    send_all(fd, batch->out, ready);
    return true;
}

void *hm_dns_udp_run(void *argument)
{
    struct hm_dns_udp *udp = argument;
    struct batch *batch = hm_alloc(1, sizeof *batch);
    struct pollfd *polled = hm_alloc(udp->fd_count + 1, sizeof *polled);
    batch_init(batch);
    for (size_t i = 0; i < udp->fd_count; i++) {
        polled[i] = (struct pollfd){udp->fds[i], POLLIN, 0};
    }
    polled[udp->fd_count] = (struct pollfd){udp->stop_fd, POLLIN, 0};
    urcu_qsbr_register_thread();
    while (!__atomic_load_n(udp->stopping, __ATOMIC_ACQUIRE)) {
        bool busy = false;
        for (size_t i = 0; i < udp->fd_count; i++) {
            busy |= serve(udp, batch, udp->fds[i]);
        }
        if (busy) {
            urcu_qsbr_quiescent_state();
            continue;
        }
        urcu_qsbr_thread_offline();
        (void)poll(polled, udp->fd_count + 1, -1);
        urcu_qsbr_thread_online();
    }
    urcu_qsbr_unregister_thread();
    hm_free(polled);
    hm_free(batch);
    return NULL;
}
