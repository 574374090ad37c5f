/* A thread that answers datagrams in batches. */
#ifndef HM_DNS_UDP_H
#define HM_DNS_UDP_H

#include "dns_processor/answer.h"

#include <pthread.h>

struct hm_dns_udp {
    pthread_t thread;
    struct hm_dns_answerer answerer;
    int *fds; /* one for each address, not blocking */
    size_t fd_count;
    int stop_fd;          /* readable: end */
    const bool *stopping; /* set before stop_fd becomes readable, for a thread that never waits */
};

/* The thread's function; its argument is a struct hm_dns_udp. */
void *hm_dns_udp_run(void *argument);

#endif
