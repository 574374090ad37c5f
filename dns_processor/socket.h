/* Sockets bound to one address, and sentences for why that failed. */
#ifndef HM_DNS_SOCKET_H
#define HM_DNS_SOCKET_H

#include "core/base/bytes.h"
#include "core/base/ids.h"

/* What an address's sockets are opened for. */
struct hm_dns_bind {
    struct hm_addr addr; /* port 0: filled in by the first that binds */
    const char *where;   /* place in the configuration, or NULL */
};

/* A UDP socket that shares its port with others of this process. -1 with a sentence in `error`, and
 * errno, as for the others here. */
int hm_dns_socket_udp(struct hm_dns_bind *bind, struct hm_buf *error);
/* A listening TCP socket, not blocking. -1 with a sentence in `error`. */
int hm_dns_socket_tcp(struct hm_dns_bind *bind, struct hm_buf *error);
/* Whether nobody else has the UDP port: SO_REUSEPORT alone would share it with a stranger of the
 * same user. False with a sentence in `error`. */
bool hm_dns_socket_is_free(const struct hm_dns_bind *bind, struct hm_buf *error);

#endif
