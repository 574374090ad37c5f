#include "dns_processor/socket.h"

#include "core/include/hivemind/module.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define TCP_BACKLOG 128

union any_address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

static socklen_t to_socket_address(const struct hm_addr *addr, union any_address *out)
{
    memset(out, 0, sizeof *out);
    if (addr->family == 4) {
        out->v4.sin_family = AF_INET;
        out->v4.sin_port = htons(addr->port);
        memcpy(&out->v4.sin_addr, addr->ip, 4);
        return sizeof out->v4;
    }
    out->v6.sin6_family = AF_INET6;
    out->v6.sin6_port = htons(addr->port);
    memcpy(&out->v6.sin6_addr, addr->ip, 16);
    return sizeof out->v6;
}

static bool is_wildcard(const struct hm_addr *addr)
{
    static const uint8_t zero[16];
    return memcmp(addr->ip, zero, sizeof zero) == 0;
}

/* Says why binding failed: what, where, by whom, and what to do. Leaves errno at `code`. */
static void explain(const struct hm_dns_bind *bind, bool tcp, int code, struct hm_buf *error)
{
    char text[HM_ADDR_TEXT_BYTES];
    hm_buf_printf(error, "%s %s", tcp ? "TCP" : "UDP", hm_addr_format(&bind->addr, text));
    if (code == EADDRINUSE) {
        struct hm_buf holder = {0};
        bool known = hm_module_port_holder(&bind->addr, tcp, &holder);
        hm_put_u8(&holder, 0);
        const char *name = known ? (const char *)holder.data : "a process of another user";
        hm_buf_printf(error, " is in use by %s", name);
        if (strncmp(name, "systemd-resolve", strlen("systemd-resolve")) == 0) {
            hm_buf_append_text(error, " (systemd-resolved's stub: DNSStubListener=no in "
                                      "/etc/systemd/resolved.conf ends it)");
        }
        hm_buf_fini(&holder);
    } else if (code == EACCES) {
        hm_buf_append_text(error, " needs CAP_NET_BIND_SERVICE, root, or a port above 1023");
    } else if (code == EADDRNOTAVAIL) {
        hm_buf_append_text(error, " is no address of this machine");
    } else {
        hm_buf_printf(error, " cannot be opened: %s", strerror(code));
    }
    hm_buf_printf(error, "; change dns.listen%s%s", bind->where ? " at " : "",
                  bind->where ? bind->where : "");
    errno = code;
}

static bool set_flag(int fd, int level, int name)
{
    int on = 1;
    return setsockopt(fd, level, name, &on, sizeof on) == 0;
}

/* A bound socket; -1 with errno set. A port of 0 in `addr` becomes the real one. */
static int open_bound(struct hm_addr *addr, int type, int reuse)
{
    int fd = socket(addr->family == 4 ? AF_INET : AF_INET6, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return -1;
    }
    union any_address socket_address;
    socklen_t size = to_socket_address(addr, &socket_address);
    bool ready = !reuse || set_flag(fd, SOL_SOCKET, reuse);
    if (addr->family == 6) { /* :: is IPv6 alone, so that 0.0.0.0 can stand beside it */
        ready = ready && set_flag(fd, IPPROTO_IPV6, IPV6_V6ONLY);
    }
    if (ready && type == SOCK_DGRAM && is_wildcard(addr)) {
        ready = addr->family == 4 ? set_flag(fd, IPPROTO_IP, IP_PKTINFO)
                                  : set_flag(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO);
    }
    if (ready && bind(fd, &socket_address.any, size) == 0 &&
        getsockname(fd, &socket_address.any, &size) == 0) {
        addr->port =
            ntohs(addr->family == 4 ? socket_address.v4.sin_port : socket_address.v6.sin6_port);
        return fd;
    }
    int code = errno;
    close(fd);
    errno = code;
    return -1;
}

int hm_dns_socket_udp(struct hm_dns_bind *bind, struct hm_buf *error)
{
    int fd = open_bound(&bind->addr, SOCK_DGRAM, SO_REUSEPORT);
    if (fd < 0) {
        explain(bind, false, errno, error);
    }
    return fd;
}

int hm_dns_socket_tcp(struct hm_dns_bind *bind, struct hm_buf *error)
{
    int fd = open_bound(&bind->addr, SOCK_STREAM, SO_REUSEADDR);
    if (fd >= 0 && set_flag(fd, IPPROTO_TCP, TCP_NODELAY) && listen(fd, TCP_BACKLOG) == 0) {
        return fd;
    }
    int code = errno;
    if (fd >= 0) {
        close(fd);
    }
    explain(bind, true, code, error);
    return -1;
}

bool hm_dns_socket_is_free(const struct hm_dns_bind *bind, struct hm_buf *error)
{
    struct hm_addr addr = bind->addr;
    int fd = open_bound(&addr, SOCK_DGRAM, 0);
    if (fd < 0) {
        explain(bind, false, errno, error);
        return false;
    }
    close(fd);
    return true;
}
