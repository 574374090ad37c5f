#include "tests/bench/load.h"

#include "core/base/assert.h"
#include "core/base/memory.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define READ_BYTES  (256u << 10)
#define EVENTS_MAX  64
#define SILENCE_MS  10000u /* without --failover: then the peer is broken */
#define PATIENCE_MS 20u    /* with it: then the next target is tried */
#define PAUSE_MS    2      /* between two tries */
#define NS_PER_MS   1000000u
#define VALUE_BYTES 200u
#define CLIENTS_MAX 4096u
#define SECONDS_MAX 3600.0

static uint64_t now_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

__attribute__((noreturn)) static void give_up(const struct load *load, const char *what,
                                              const char *why)
{
    (void)fprintf(stderr, "%s: %s: %s\n", load->targets[load->target], what, why);
    exit(1);
}

/* ---- answers ---- */

void load_done(struct load *load, uint32_t client, const char *why)
{
    uint64_t now = now_ns();
    uint64_t asked = load->asked_ns[client];
    HM_ASSERT(asked != 0);
    if (why != NULL && load->failover) {
        load->again[client] = true;
        return;
    }
    load->asked_ns[client] = 0;
    load->turns[client]++;
    load->all++;
    if (why != NULL) {
        if (load->failures++ == 0) {
            (void)fprintf(stderr, "%s: %s: %s\n", load->targets[load->target], load->verb, why);
        }
        return;
    }
    if (now < load->from_ns || now > load->until_ns) {
        return;
    }
    if (load->last_ns != 0 && now - load->last_ns > load->gap_ns) {
        load->gap_ns = now - load->last_ns;
    }
    load->last_ns = now;
    load->took_ns =
        hm_grow(load->took_ns, load->took_count, &load->took_capacity, sizeof *load->took_ns);
    load->took_ns[load->took_count++] = now - asked;
}

/* ---- connections ---- */

/* A target with a slash is a UNIX socket, another one IPV4:PORT. -1 with errno. */
static int connect_to(const struct load *load, const char *target)
{
    union {
        struct sockaddr any;
        struct sockaddr_un un;
        struct sockaddr_in in;
    } name = {0};
    socklen_t size = sizeof name.un;
    const char *colon = strrchr(target, ':');
    char host[INET_ADDRSTRLEN];
    if (strchr(target, '/') != NULL && strlen(target) < sizeof name.un.sun_path) {
        name.un.sun_family = AF_UNIX;
        memcpy(name.un.sun_path, target, strlen(target));
    } else if (colon != NULL && (size_t)(colon - target) < sizeof host) {
        name.in.sin_family = AF_INET;
        name.in.sin_port = htons((uint16_t)strtoul(colon + 1, NULL, 10));
        memcpy(host, target, (size_t)(colon - target));
        host[colon - target] = 0;
        size = sizeof name.in;
        if (inet_pton(AF_INET, host, &name.in.sin_addr) != 1) {
            give_up(load, target, "no IPv4 address with a port");
        }
    } else {
        give_up(load, target, "neither the path of a socket nor IPV4:PORT");
    }
    int fd = socket(name.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, &name.any, size) != 0) {
        int why = errno;
        if (fd >= 0) {
            close(fd);
        }
        errno = why;
        return -1;
    }
    if (name.any.sa_family == AF_INET) {
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    }
    return fd;
}

static void watch(struct load_link *link, int operation, bool waits)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = link};
    if (waits) {
        event.events |= EPOLLOUT;
    }
    link->waits = waits;
    (void)epoll_ctl(link->load->epoll, operation, link->fd, &event);
}

static void close_link(struct load_link *link)
{
    if (link->fd >= 0) {
        link->load->protocol->close(link);
        close(link->fd);
        link->fd = -1;
        hm_buf_fini(&link->out);
        link->out_at = 0;
    }
}

/* What was on its way over it is to be asked again. */
static void lose(struct load_link *link, const char *why)
{
    struct load *load = link->load;
    if (!load->failover) {
        give_up(load, "connection", why);
    }
    close_link(link);
    for (uint32_t client = 0; client < load->clients; client++) {
        load->again[client] = load->asked_ns[client] != 0;
    }
    load->target = (load->target + 1) % load->target_count;
}

static void open_link(struct load_link *link)
{
    struct load *load = link->load;
    link->fd = connect_to(load, load->targets[load->target]);
    if (link->fd < 0) {
        lose(link, strerror(errno));
        return;
    }
    (void)fcntl(link->fd, F_SETFL, O_NONBLOCK);
    watch(link, EPOLL_CTL_ADD, false);
    load->protocol->open(link);
}

static void write_out(struct load_link *link)
{
    if (link->load->protocol->flush != NULL) {
        link->load->protocol->flush(link);
    }
    while (link->out_at < link->out.size) {
        ssize_t done = send(link->fd, link->out.data + link->out_at, link->out.size - link->out_at,
                            MSG_NOSIGNAL);
        if (done < 0 && errno == EAGAIN) {
            if (!link->waits) {
                watch(link, EPOLL_CTL_MOD, true);
            }
            return;
        }
        if (done < 0) {
            lose(link, strerror(errno));
            return;
        }
        link->out_at += (size_t)done;
    }
    hm_buf_clear(&link->out);
    link->out_at = 0;
    if (link->waits) {
        watch(link, EPOLL_CTL_MOD, false);
    }
}

/* ---- the loop ---- */

/* Every client of the link that is free asks next. */
static void ask(struct load_link *link)
{
    struct load *load = link->load;
    uint32_t first = (uint32_t)(link - load->links);
    uint64_t now = now_ns();
    if (now >= load->until_ns) {
        return;
    }
    for (uint32_t client = first; client < load->clients; client += load->connections) {
        if (load->asked_ns[client] == 0 || load->again[client]) {
            /* A repeated request goes on being as old as it is. */
            load->asked_ns[client] = load->again[client] ? load->asked_ns[client] : now;
            load->again[client] = false;
            load->protocol->request(link, client);
        }
    }
    write_out(link);
}

static void read_in(struct load_link *link)
{
    static uint8_t bytes[READ_BYTES];
    ssize_t got = recv(link->fd, bytes, sizeof bytes, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (got <= 0) {
        lose(link, got < 0 ? strerror(errno) : "the peer closed it");
    } else if (!link->load->protocol->received(link, (struct hm_bytes){bytes, (size_t)got})) {
        lose(link, "what came is no answer");
    }
}

static bool repeats(const struct load *load)
{
    for (uint32_t client = 0; client < load->clients; client++) {
        if (load->again[client]) {
            return true;
        }
    }
    return false;
}

/* One link, one client: what failed is tried at the next target after a short pause, as is what is
 * not answered in time. */
static void fail_over(struct load *load, uint64_t *tried_ns, uint64_t answered_before)
{
    struct load_link *link = &load->links[0];
    uint64_t now = now_ns();
    if (load->all != answered_before) {
        *tried_ns = now;
        return;
    }
    bool failed = link->fd < 0 || repeats(load);
    if (now - *tried_ns < (failed ? (uint64_t)PAUSE_MS : (uint64_t)PATIENCE_MS) * NS_PER_MS) {
        return;
    }
    *tried_ns = now;
    if (link->fd >= 0) {
        lose(link, "no answer");
    }
    open_link(link);
    if (link->fd >= 0) {
        ask(link);
    }
}

static void run_loop(struct load *load)
{
    struct epoll_event events[EVENTS_MAX];
    uint64_t tried = now_ns();
    while (now_ns() < load->until_ns) {
        uint64_t before = load->all;
        int patience = load->failover ? PAUSE_MS : (int)SILENCE_MS;
        int count = epoll_wait(load->epoll, events, EVENTS_MAX, patience);
        if (count == 0 && !load->failover) {
            give_up(load, load->verb, "no answer for 10 s");
        }
        for (int i = 0; i < count; i++) {
            struct load_link *link = events[i].data.ptr;
            if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
                read_in(link);
            }
            if (link->fd >= 0 && !(load->failover && repeats(load))) {
                ask(link);
            }
        }
        if (load->failover) {
            fail_over(load, &tried, before);
        }
    }
}

static void run(struct load *load)
{
    load->epoll = epoll_create1(EPOLL_CLOEXEC);
    HM_ASSERT(load->epoll >= 0);
    uint64_t now = now_ns();
    load->from_ns = now + (uint64_t)load->warm_up_ms * NS_PER_MS;
    load->until_ns = load->from_ns + (uint64_t)load->run_ms * NS_PER_MS;
    for (uint32_t i = 0; i < load->connections; i++) {
        load->links[i] = (struct load_link){.load = load, .fd = -1};
        open_link(&load->links[i]);
        if (load->links[i].fd >= 0) {
            ask(&load->links[i]);
        }
    }
    run_loop(load);
    for (uint32_t i = 0; i < load->connections; i++) {
        close_link(&load->links[i]);
    }
    /* A silence that lasts to the end is a gap too. */
    if (load->last_ns != 0 && load->until_ns - load->last_ns > load->gap_ns) {
        load->gap_ns = load->until_ns - load->last_ns;
    }
}

/* ---- what came of it ---- */

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static double us_at(const struct load *load, size_t percent)
{
    size_t rank = (load->took_count * percent + 99) / 100;
    return (double)load->took_ns[rank > 0 ? rank - 1 : 0] / 1e3;
}

static double seconds_of(struct timeval time)
{
    return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

static int report(struct load *load)
{
    struct rusage usage;
    (void)getrusage(RUSAGE_SELF, &usage);
    if (load->took_count == 0) {
        (void)fprintf(stderr, "%s: nothing was answered as wished\n", load->verb);
        return 1;
    }
    qsort(load->took_ns, load->took_count, sizeof *load->took_ns, compare);
    printf("{\"rate\": %.1f, \"p50_us\": %.1f, \"p99_us\": %.1f, \"max_us\": %.1f, "
           "\"gap_ms\": %.2f, \"answers\": %zu, \"all_answers\": %llu, \"failures\": %llu, "
           "\"client_cpu_s\": %.3f}\n",
           (double)load->took_count * 1e3 / load->run_ms, us_at(load, 50), us_at(load, 99),
           us_at(load, 100), (double)load->gap_ns / 1e6, load->took_count,
           (unsigned long long)load->all, (unsigned long long)load->failures,
           seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime));
    return 0;
}

/* ---- the command line ---- */

static int usage(const struct load_protocol *protocol)
{
    (void)fprintf(stderr,
                  "usage: load VERB [OPTION..] TARGET..\n%s"
                  "  --clients N      each with one request on its way (1)\n"
                  "  --connections N  that they share (as many as clients)\n"
                  "  --seconds S      that count (2), after --warm-up S (0.5)\n"
                  "  --bytes N        of a value (200)\n"
                  "  --run NAME       what keys begin with (run)\n"
                  "  --failover       one client: what fails goes to the next target, again and "
                  "again\n"
                  "A target is the path of a UNIX socket or IPV4:PORT; without --failover the "
                  "first one\nalone is used.\n",
                  protocol->usage);
    return 2;
}

static bool take_option(struct load *load, int option, const char *text)
{
    char *end = NULL;
    double number = text != NULL ? strtod(text, &end) : 0;
    bool is_number = text != NULL && end != text && *end == 0 && number >= 0;
    switch (option) {
    case 'r':
        load->run = text;
        return true;
    case 'f':
        load->failover = true;
        return true;
    case 'c':
        load->clients = is_number && number <= CLIENTS_MAX ? (uint32_t)number : 0;
        return load->clients > 0;
    case 'n':
        load->connections = is_number && number <= CLIENTS_MAX ? (uint32_t)number : 0;
        return load->connections > 0;
    case 's':
        load->run_ms = is_number && number <= SECONDS_MAX ? (uint32_t)(number * 1e3) : 0;
        return load->run_ms > 0;
    case 'w':
        load->warm_up_ms = is_number && number <= SECONDS_MAX ? (uint32_t)(number * 1e3) : 0;
        return is_number;
    case 'b':
        load->value_bytes = is_number && number <= READ_BYTES ? (uint32_t)number : 0;
        return load->value_bytes > 0;
    default:
        return false;
    }
}

static bool parse(struct load *load, int argc, char **argv)
{
    static const struct option options[] = {
        {"clients", required_argument, NULL, 'c'}, {"connections", required_argument, NULL, 'n'},
        {"seconds", required_argument, NULL, 's'}, {"warm-up", required_argument, NULL, 'w'},
        {"bytes", required_argument, NULL, 'b'},   {"run", required_argument, NULL, 'r'},

        {"failover", no_argument, NULL, 'f'},      {0},
    };
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (!take_option(load, option, optarg)) {
            return false;
        }
    }
    if (argc - optind < 2) {
        return false;
    }
    load->verb = argv[optind];
    load->targets = argv + optind + 1;
    load->target_count = (uint32_t)(argc - optind - 1);
    if (load->connections == 0 || load->connections > load->clients) {
        load->connections = load->clients;
    }
    return !load->failover || load->clients == 1;
}

int load_main(const struct load_protocol *protocol, int argc, char **argv)
{
    struct load load = {.protocol = protocol,
                        .run = "run",
                        .clients = 1,
                        .value_bytes = VALUE_BYTES,
                        .warm_up_ms = 500,
                        .run_ms = 2000};
    if (!parse(&load, argc, argv) || !protocol->choose(&load)) {
        return usage(protocol);
    }
    load.value = hm_alloc(load.value_bytes, 1);
    memset(load.value, 'v', load.value_bytes);
    load.turns = hm_alloc(load.clients, sizeof *load.turns);
    load.asked_ns = hm_alloc(load.clients, sizeof *load.asked_ns);
    load.again = hm_alloc(load.clients, sizeof *load.again);
    load.links = hm_alloc(load.connections, sizeof *load.links);
    run(&load);
    int code = report(&load);
    hm_free(load.value);
    hm_free(load.turns);
    hm_free(load.asked_ns);
    hm_free(load.again);
    hm_free(load.links);
    hm_free(load.took_ns);
    return code;
}
