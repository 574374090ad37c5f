/* The sockets of the DNS server: UDP threads with their own SO_REUSEPORT sockets, one TCP thread.
 */
#ifndef HM_DNS_SERVER_H
#define HM_DNS_SERVER_H

#include "dns_processor/answer.h"

#define HM_DNS_TCP_CONNECTIONS 256u
#define HM_DNS_TCP_IDLE_MS     10000u
#define HM_DNS_THREADS_MAX     64u

struct hm_dns_server_config {
    const struct hm_dns_map *map;
    const struct hm_addr *listen; /* 0.0.0.0 and :: answer from the address that was asked */
    size_t listen_count;          /* a port of 0: any that is free for UDP and TCP */
    unsigned threads;             /* for UDP, 1 .. HM_DNS_THREADS_MAX */
    uint16_t udp_payload;         /* HM_DNS_UDP_MIN .. HM_DNS_UDP_MAX */
    unsigned tcp_connections;     /* one more closes the one that was silent for longest */
    unsigned tcp_idle_ms;         /* without a whole query for so long a connection is closed */
    const char *where;            /* "FILE:LINE:COLUMN" of the addresses, for errors; or NULL */
};

struct hm_dns_server;

/* Opens all sockets, then starts the threads. On failure nothing is left open and `error` has a
 * sentence: for a port in use, its holder and the line to change (HM_BUSY); HM_DENIED: the port
 * needs a privilege; HM_IO: anything else. The config is copied; the map outlives the server. */
HM_MUST_USE enum hm_status hm_dns_server_start(const struct hm_dns_server_config *config,
                                               struct hm_buf *error, struct hm_dns_server **out);

/* Ends the threads and closes everything. A caller that is registered with urcu_qsbr is offline. */
void hm_dns_server_stop(struct hm_dns_server *server);

/* Answers from another map from now on; no thread uses the old one any more when this returns. */
void hm_dns_server_use(struct hm_dns_server *server, const struct hm_dns_map *map);

/* The address of the i-th `listen`, with its real port. */
struct hm_addr hm_dns_server_address(const struct hm_dns_server *server, size_t i);

/* The sum over all threads. */
struct hm_dns_counters hm_dns_server_counters(const struct hm_dns_server *server);

#endif
