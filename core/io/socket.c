#include "core/io/socket.h"

#include "core/include/hivemind/module.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#define FREE_PORT_TRIES  16
#define SOCKET_BUF_BYTES (1 << 20)

static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

socklen_t hm_socket_address(const struct hm_addr *addr, int family, struct sockaddr_storage *out)
{
    memset(out, 0, sizeof *out);
    if (family == AF_INET) {
        struct sockaddr_in *in = (struct sockaddr_in *)out;
        if (addr->family != 4) {
            return 0;
        }
        in->sin_family = AF_INET;
        in->sin_port = htons(addr->port);
        memcpy(&in->sin_addr, addr->ip, 4);
        return sizeof *in;
    }
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)out;
    in6->sin6_family = AF_INET6;
    in6->sin6_port = htons(addr->port);
    if (addr->family == 4) {
        memcpy(in6->sin6_addr.s6_addr, mapped, sizeof mapped);
        memcpy(in6->sin6_addr.s6_addr + sizeof mapped, addr->ip, 4);
    } else if (addr->family == 6) {
        memcpy(in6->sin6_addr.s6_addr, addr->ip, 16);
    } else {
        return 0;
    }
    return sizeof *in6;
}

struct hm_addr hm_socket_addr(const struct sockaddr_storage *from)
{
    struct hm_addr addr = {0};
    if (from->ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)from;
        addr.family = 4;
        addr.port = ntohs(in->sin_port);
        memcpy(addr.ip, &in->sin_addr, 4);
    } else if (from->ss_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)from;
        addr.port = ntohs(in6->sin6_port);
        if (memcmp(in6->sin6_addr.s6_addr, mapped, sizeof mapped) == 0) {
            addr.family = 4;
            memcpy(addr.ip, in6->sin6_addr.s6_addr + sizeof mapped, 4);
        } else {
            addr.family = 6;
            memcpy(addr.ip, in6->sin6_addr.s6_addr, 16);
        }
    }
    return addr;
}

struct hm_addr hm_socket_name(int fd)
{
    struct sockaddr_storage name = {0};
    socklen_t size = sizeof name;
    if (getsockname(fd, (struct sockaddr *)&name, &size) != 0) {
        return (struct hm_addr){0};
    }
    return hm_socket_addr(&name);
}

static int open_one(const struct hm_addr *addr, bool tcp)
{
    int family = addr->family == 6 ? AF_INET6 : AF_INET;
    int on = 1;
    int off = 0;
    struct sockaddr_storage name;
    socklen_t size = hm_socket_address(addr, family, &name);
    int fd = socket(family, (tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -1;
    }
    if (family == AF_INET6) {
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    }
    if (tcp) {
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    }
    if (bind(fd, (struct sockaddr *)&name, size) != 0 || (tcp && listen(fd, SOMAXCONN) != 0)) {
        int error = errno;
        close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

static void set_udp_options(int fd)
{
    int on = 1;
    int bytes = SOCKET_BUF_BYTES;
    /* Refusals by ICMP go to the error queue with the address they are about (ip(7)). */
    setsockopt(fd, IPPROTO_IP, IP_RECVERR, &on, sizeof on);
    setsockopt(fd, IPPROTO_IPV6, IPV6_RECVERR, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
}

static enum hm_status explain(const struct hm_addr *addr, bool tcp, int error, struct hm_buf *out)
{
    char text[HM_ADDR_TEXT_BYTES];
    const char *kind = tcp ? "TCP" : "UDP";
    if (error == EADDRINUSE) {
        hm_buf_printf(out, "%s %s is in use by ", kind, hm_addr_format(addr, text));
        if (!hm_module_port_holder(addr, tcp, out)) {
            hm_buf_append_text(out, "a process of another user");
        }
        return HM_EXISTS;
    }
    hm_buf_printf(out, "cannot listen on %s %s: %s", kind, hm_addr_format(addr, text),
                  error == EADDRNOTAVAIL ? "no interface of this machine has this address"
                                         : strerror(error));
    return HM_IO;
}

enum hm_status hm_sockets_open(const struct hm_addr *addr, struct hm_sockets *out,
                               struct hm_buf *error)
{
    for (int tries = 1;; tries++) {
        struct hm_sockets sockets = {.udp = -1, .tcp = open_one(addr, true), .addr = *addr};
        if (sockets.tcp < 0) {
            return explain(addr, true, errno, error);
        }
        sockets.addr.port = hm_socket_name(sockets.tcp).port;
        sockets.udp = open_one(&sockets.addr, false);
        if (sockets.udp >= 0) {
            set_udp_options(sockets.udp);
            *out = sockets;
            return HM_OK;
        }
        int why = errno;
        close(sockets.tcp);
        if (addr->port != 0 || why != EADDRINUSE || tries == FREE_PORT_TRIES) {
            return explain(&sockets.addr, false, why, error);
        }
    }
}

static bool is_of_type(int fd, int type)
{
    int got = 0;
    socklen_t size = sizeof got;
    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &got, &size) == 0 && got == type;
}

enum hm_status hm_sockets_adopt(int udp, int tcp, struct hm_sockets *out, struct hm_buf *error)
{
    int listening = 0;
    socklen_t size = sizeof listening;
    if (!is_of_type(udp, SOCK_DGRAM) || !is_of_type(tcp, SOCK_STREAM) ||
        getsockopt(tcp, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) != 0 || !listening) {
        hm_buf_append_text(error, "what was handed over is not a UDP socket and a TCP listener");
        return HM_BAD_ARGUMENT;
    }
    struct hm_addr a = hm_socket_name(udp);
    struct hm_addr b = hm_socket_name(tcp);
    if (hm_addr_is_none(&a) || !hm_addr_equal(&a, &b)) {
        hm_buf_append_text(error, "the sockets handed over are not of one address and port");
        return HM_BAD_ARGUMENT;
    }
    const int fds[] = {udp, tcp};
    for (size_t i = 0; i < 2; i++) {
        fcntl(fds[i], F_SETFL, fcntl(fds[i], F_GETFL) | O_NONBLOCK);
        fcntl(fds[i], F_SETFD, FD_CLOEXEC);
    }
    set_udp_options(udp);
    *out = (struct hm_sockets){.udp = udp, .tcp = tcp, .addr = a};
    return HM_OK;
}

void hm_sockets_close(struct hm_sockets *sockets)
{
    close(sockets->udp);
    close(sockets->tcp);
    sockets->udp = -1;
    sockets->tcp = -1;
}
