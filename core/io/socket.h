/* Socket addresses, and a UDP socket with a TCP listener on one address and port. */
#ifndef HM_IO_SOCKET_H
#define HM_IO_SOCKET_H

#include "core/base/bytes.h"
#include "core/base/ids.h"

#include <sys/socket.h>

/* The address as the system wants it; `family` is that of the socket (AF_INET, AF_INET6): an IPv4
 * address goes into an IPv6 socket as a mapped one. Returns its length; 0 when an IPv4 socket
 * cannot reach it. */
socklen_t hm_socket_address(const struct hm_addr *addr, int family, struct sockaddr_storage *out);
/* And back; a mapped address becomes the IPv4 one it is. None for other families. */
struct hm_addr hm_socket_addr(const struct sockaddr_storage *from);
/* What a socket is bound to; none when it cannot be told. */
struct hm_addr hm_socket_name(int fd);

/* Two sockets on one address and port; non-blocking, closed on exec. */
struct hm_sockets {
    int udp;
    int tcp; /* listening */
    struct hm_addr addr;
};

/* Binds both. Port 0 takes one that is free for both. HM_EXISTS (the port is in use: `error` names
 * who holds it) or HM_IO; a sentence is appended to `error`, nothing stays open. */
HM_MUST_USE enum hm_status hm_sockets_open(const struct hm_addr *addr, struct hm_sockets *out,
                                           struct hm_buf *error);
/* Takes over two that are open already (from systemd, nginx). HM_BAD_ARGUMENT with a sentence when
 * they are not a UDP socket and a TCP listener of one address and port; they then stay the
 * caller's. */
HM_MUST_USE enum hm_status hm_sockets_adopt(int udp, int tcp, struct hm_sockets *out,
                                            struct hm_buf *error);
void hm_sockets_close(struct hm_sockets *sockets);

#endif
