/* The thread that answers over TCP (RFC 7766): framed, pipelined, bounded. */
#ifndef HM_DNS_TCP_H
#define HM_DNS_TCP_H

#include "dns_processor/answer.h"

#include <pthread.h>

struct hm_dns_tcp {
    pthread_t thread;
    struct hm_dns_answerer answerer;
    int *fds; /* listening, one for each address */
    size_t fd_count;
    int stop_fd; /* readable: end */
    unsigned connections_max;
    unsigned idle_ms;
};

/* The thread's function; its argument is a struct hm_dns_tcp. */
void *hm_dns_tcp_run(void *argument);

#endif
