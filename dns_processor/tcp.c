#include "dns_processor/tcp.h"

#include "core/base/assert.h"
#include "core/base/memory.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define LENGTH_SIZE  2
#define QUERY_MAX    4096 /* a longer one ends the connection */
#define IN_SIZE      (LENGTH_SIZE + QUERY_MAX)
#define EVENTS       32
#define PAUSE_MS     1000 /* how long we accept nothing when the process is out of descriptors */
#define SWEEP_MAX_MS 1000

/* Where an event came from. */
enum place_kind { PLACE_STOP, PLACE_LISTENER, PLACE_CONNECTION };
struct place {
    enum place_kind kind;
    int fd; /* -1: a connection that is free */
};

struct connection {
    struct place place;
    hm_ms active_at; /* accepted, or its last whole query */
    uint64_t turn;   /* the same moment among all connections: the lowest was silent for longest */
    uint8_t *rest;   /* of an answer that the client has not taken yet; NULL: none, so we read */
    size_t rest_size;
    size_t rest_sent;
    size_t in_size;
    uint8_t *in; /* IN_SIZE bytes while it is open: free slots cost little memory */
};

struct service {
    struct hm_dns_tcp *tcp;
    int epoll_fd;
    struct place stop;
    struct place *listeners;
    struct connection *connections;
    unsigned open_count;
    uint64_t turns;
    hm_ms paused_until; /* 0: listeners are watched */
    uint8_t out[LENGTH_SIZE + HM_DNS_TCP_MAX];
};

static hm_ms now_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (hm_ms)now.tv_sec * 1000 + (hm_ms)now.tv_nsec / 1000000;
}

static void watch(struct service *service, struct place *place, int operation, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = place};
    int failed = epoll_ctl(service->epoll_fd, operation, place->fd, &event);
    HM_ASSERT(!failed || errno == ENOMEM || errno == ENOSPC);
}

static void mark_active(struct service *service, struct connection *connection, hm_ms now)
{
    connection->active_at = now;
    connection->turn = ++service->turns;
}

static void close_connection(struct service *service, struct connection *connection)
{
    (void)close(connection->place.fd);
    hm_free(connection->rest);
    hm_free(connection->in);
    connection->rest = NULL;
    connection->in = NULL;
    connection->place.fd = -1;
    service->open_count--;
}

/* Sends an answer; what does not go out at once is kept, and nothing is read until it has gone.
 * False: the connection is over. */
static bool send_answer(struct service *service, struct connection *connection, size_t size)
{
    ssize_t sent = send(connection->place.fd, service->out, size, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN && errno != EINTR) {
        return false;
    }
    size_t gone = sent > 0 ? (size_t)sent : 0;
    if (gone < size) {
        connection->rest_size = size - gone;
        connection->rest_sent = 0;
        connection->rest = hm_alloc(1, connection->rest_size);
        memcpy(connection->rest, service->out + gone, connection->rest_size);
        watch(service, &connection->place, EPOLL_CTL_MOD, EPOLLOUT);
    }
    return true;
}

/* Answers the whole queries that are in the buffer. False: the connection is over. */
static bool answer_buffered(struct service *service, struct connection *connection, hm_ms now)
{
    size_t at = 0;
    while (!connection->rest && connection->in_size - at >= LENGTH_SIZE) {
        size_t size = hm_dns_get16(connection->in + at);
        if (size > QUERY_MAX) {
            return false;
        }
        if (connection->in_size - at < LENGTH_SIZE + size) {
            break;
        }
        struct hm_bytes query = {connection->in + at + LENGTH_SIZE, size};
        size_t answer =
            hm_dns_answer(&service->tcp->answerer, query, true, service->out + LENGTH_SIZE);
        hm_dns_put16(service->out, (uint16_t)answer);
        if (answer == 0 || !send_answer(service, connection, LENGTH_SIZE + answer)) {
            return false;
        }
        mark_active(service, connection, now);
        at += LENGTH_SIZE + size;
    }
    memmove(connection->in, connection->in + at, connection->in_size - at);
    connection->in_size -= at;
    return true;
}

static bool read_more(struct service *service, struct connection *connection, hm_ms now)
{
    ssize_t came = recv(connection->place.fd, connection->in + connection->in_size,
                        IN_SIZE - connection->in_size, 0);
    if (came <= 0) {
        return came < 0 && (errno == EAGAIN || errno == EINTR);
    }
    connection->in_size += (size_t)came;
    return answer_buffered(service, connection, now);
}

static bool write_more(struct service *service, struct connection *connection, hm_ms now)
{
    ssize_t sent = send(connection->place.fd, connection->rest + connection->rest_sent,
                        connection->rest_size - connection->rest_sent, MSG_NOSIGNAL);
    if (sent < 0) {
        return errno == EAGAIN || errno == EINTR;
    }
    connection->rest_sent += (size_t)sent;
    if (connection->rest_sent < connection->rest_size) {
        return true;
    }
    hm_free(connection->rest);
    connection->rest = NULL;
    watch(service, &connection->place, EPOLL_CTL_MOD, EPOLLIN);
    return answer_buffered(service, connection, now);
}

/* A free slot; when there is none, that of the connection that was silent for longest. */
static struct connection *free_slot(struct service *service)
{
    struct connection *oldest = NULL;
    for (unsigned i = 0; i < service->tcp->connections_max; i++) {
        struct connection *connection = &service->connections[i];
        if (connection->place.fd < 0) {
            return connection;
        }
        if (!oldest || connection->turn < oldest->turn) {
            oldest = connection;
        }
    }
    close_connection(service, oldest);
    return oldest;
}

static void watch_listeners(struct service *service, uint32_t events)
{
    for (size_t i = 0; i < service->tcp->fd_count; i++) {
        watch(service, &service->listeners[i], EPOLL_CTL_MOD, events);
    }
}

static void accept_one(struct service *service, int listener, hm_ms now)
{
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            service->paused_until = now + PAUSE_MS;
            watch_listeners(service, 0);
        }
        return;
    }
    struct connection *connection = free_slot(service);
    connection->place.fd = fd;
    mark_active(service, connection, now);
    connection->in = hm_alloc(IN_SIZE, 1);
    connection->in_size = 0;
    service->open_count++;
    watch(service, &connection->place, EPOLL_CTL_ADD, EPOLLIN);
}

static void serve_connection(struct service *service, struct connection *connection, hm_ms now)
{
    /* Closed and perhaps reused by an earlier event of this round: then reading finds nothing. */
    if (connection->place.fd >= 0) {
        bool alive = connection->rest ? write_more(service, connection, now)
                                      : read_more(service, connection, now);
        if (!alive) {
            close_connection(service, connection);
        }
    }
}

static void sweep(struct service *service, hm_ms now)
{
    for (unsigned i = 0; i < service->tcp->connections_max && service->open_count > 0; i++) {
        struct connection *connection = &service->connections[i];
        if (connection->place.fd >= 0 && now - connection->active_at >= service->tcp->idle_ms) {
            close_connection(service, connection);
        }
    }
    if (service->paused_until && now >= service->paused_until) {
        service->paused_until = 0;
        watch_listeners(service, EPOLLIN);
    }
}

/* Waits offline, so that a writer never waits for us. Returns the number of events. */
static int wait_events(struct service *service, struct epoll_event *events)
{
    unsigned idle_ms = service->tcp->idle_ms;
    bool waiting = service->open_count > 0 || service->paused_until;
    int timeout = !waiting ? -1 : (int)(idle_ms < SWEEP_MAX_MS ? idle_ms : SWEEP_MAX_MS);
    urcu_qsbr_thread_offline();
    int count = epoll_wait(service->epoll_fd, events, EVENTS, timeout);
    urcu_qsbr_thread_online();
    return count;
}

static struct service *service_new(struct hm_dns_tcp *tcp)
{
    struct service *service = hm_alloc(1, sizeof *service);
    service->tcp = tcp;
    service->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    HM_ASSERT(service->epoll_fd >= 0);
    service->stop = (struct place){PLACE_STOP, tcp->stop_fd};
    watch(service, &service->stop, EPOLL_CTL_ADD, EPOLLIN);
    service->listeners = hm_alloc(tcp->fd_count, sizeof *service->listeners);
    for (size_t i = 0; i < tcp->fd_count; i++) {
        service->listeners[i] = (struct place){PLACE_LISTENER, tcp->fds[i]};
        watch(service, &service->listeners[i], EPOLL_CTL_ADD, EPOLLIN);
    }
    service->connections = hm_alloc(tcp->connections_max, sizeof *service->connections);
    for (unsigned i = 0; i < tcp->connections_max; i++) {
        service->connections[i].place = (struct place){PLACE_CONNECTION, -1};
    }
    return service;
}

static void service_free(struct service *service)
{
    for (unsigned i = 0; i < service->tcp->connections_max; i++) {
        if (service->connections[i].place.fd >= 0) {
            close_connection(service, &service->connections[i]);
        }
    }
    (void)close(service->epoll_fd);
    hm_free(service->connections);
    hm_free(service->listeners);
    hm_free(service);
}

void *hm_dns_tcp_run(void *argument)
{
    struct service *service = service_new(argument);
    urcu_qsbr_register_thread();
    for (bool stopping = false; !stopping;) {
        struct epoll_event events[EVENTS];
        int count = wait_events(service, events);
        hm_ms now = now_ms();
        for (int i = 0; i < count; i++) {
            struct place *place = events[i].data.ptr;
            if (place->kind == PLACE_STOP) {
                stopping = true;
            } else if (place->kind == PLACE_LISTENER) {
                accept_one(service, place->fd, now);
            } else {
                serve_connection(service, (struct connection *)(void *)place, now);
            }
        }
        sweep(service, now);
    }
    urcu_qsbr_unregister_thread();
    service_free(service);
    return NULL;
}
