/* What the load generators share: clients with one request each on its way, over a few connections,
 * in one thread; how long each request took, and what to print of that. A protocol says what a
 * request and an answer look like. */
#ifndef HM_BENCH_LOAD_H
#define HM_BENCH_LOAD_H

#include "core/base/bytes.h"

#include <stdbool.h>
#include <stdint.h>

struct load;

/* One connection; its protocol keeps what it needs in `session`. */
struct load_link {
    struct load *load;
    void *session;
    struct hm_buf out; /* written as soon as the socket takes it */
    size_t out_at;
    int fd;
    bool waits; /* for room in the socket */
};

struct load_protocol {
    const char *usage; /* its verbs, for --help */
    /* Looks at load->verb; false: there is no such verb. */
    bool (*choose)(struct load *load);
    void (*open)(struct load_link *link);
    /* The client's next request; load->turns[client] differs each time. It may wait for flush. */
    void (*request)(struct load_link *link, uint32_t client);
    /* Calls load_done for each answer; false: this is no peer of ours. */
    bool (*received)(struct load_link *link, struct hm_bytes bytes);
    void (*flush)(struct load_link *link); /* puts what is left to say into link->out; or NULL */
    void (*close)(struct load_link *link);
};

struct load {
    const struct load_protocol *protocol;
    void *context; /* of the protocol */
    const char *verb;
    const char *run; /* keys begin with it, so that those of two runs differ */
    char *const *targets;
    uint32_t target_count;
    uint32_t clients;
    uint32_t connections;
    uint32_t value_bytes;
    uint32_t warm_up_ms;
    uint32_t run_ms;
    bool failover; /* what fails is tried again at the next target */
    uint8_t *value;
    uint64_t *turns; /* by client: requests answered */
    struct load_link *links;
    uint32_t target; /* where links are opened */
    int epoll;
    uint64_t *asked_ns; /* by client; 0: nothing is on its way */
    bool *again;        /* by client: its request failed and is to be repeated */
    uint64_t from_ns;   /* what is answered from here on counts */
    uint64_t until_ns;
    uint64_t last_ns; /* the latest answer */
    uint64_t gap_ns;  /* longest time between two answers */
    uint64_t all;     /* answers, with those of the warm-up */
    uint64_t failures;
    uint64_t *took_ns;
    size_t took_count;
    size_t took_capacity;
};

/* Parses the command line, runs, prints one line of JSON. The exit code: 1 when nothing could be
 * measured, 2 for a wrong command line. */
int load_main(const struct load_protocol *protocol, int argc, char **argv);

/* The client's request was answered; `why` NULL: as wished. */
void load_done(struct load *load, uint32_t client, const char *why);

#endif
