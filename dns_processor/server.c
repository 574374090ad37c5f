#include "dns_processor/server.h"

#include "core/base/assert.h"
#include "core/base/memory.h"
#include "dns_processor/socket.h"
#include "dns_processor/tcp.h"
#include "dns_processor/udp.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define FREE_PORT_TRIES 16 /* a port that is free for UDP need not be free for TCP */

struct hm_dns_server {
    struct hm_addr *addresses;
    size_t address_count;
    struct hm_dns_udp *udp;
    unsigned udp_count;
    unsigned udp_started;
    struct hm_dns_tcp tcp;
    bool tcp_started;
    bool stopping;
    int stop_fd;
};

static void close_fd(int *fd)
{
    if (*fd >= 0) {
        (void)close(*fd);
    }
    *fd = -1;
}

static void close_address(struct hm_dns_server *server, size_t i)
{
    for (unsigned t = 0; t < server->udp_count; t++) {
        close_fd(&server->udp[t].fds[i]);
    }
    close_fd(&server->tcp.fds[i]);
}

/* The sockets of all threads for address i. False with a sentence in `error`; what was opened is
 * closed. */
static bool open_once(struct hm_dns_server *server, size_t i, struct hm_dns_bind *bind,
                      struct hm_buf *error)
{
    if (bind->addr.port != 0 && !hm_dns_socket_is_free(bind, error)) {
        return false;
    }
    for (unsigned t = 0; t < server->udp_count; t++) {
        server->udp[t].fds[i] = hm_dns_socket_udp(bind, error);
        if (server->udp[t].fds[i] < 0) {
            close_address(server, i);
            return false;
        }
    }
    server->tcp.fds[i] = hm_dns_socket_tcp(bind, error);
    if (server->tcp.fds[i] < 0) {
        int code = errno;
        close_address(server, i);
        errno = code;
        return false;
    }
    return true;
}

static enum hm_status open_address(struct hm_dns_server *server, size_t i,
                                   const struct hm_addr *addr, const char *where,
                                   struct hm_buf *error)
{
    int code = 0;
    for (int left = addr->port ? 1 : FREE_PORT_TRIES; left > 0; left--) {
        struct hm_dns_bind bind = {*addr, where};
        hm_buf_clear(error);
        if (open_once(server, i, &bind, error)) {
            server->addresses[i] = bind.addr;
            return HM_OK;
        }
        code = errno;
    }
    return code == EADDRINUSE ? HM_BUSY : code == EACCES ? HM_DENIED : HM_IO;
}

static struct hm_dns_server *server_new(const struct hm_dns_server_config *config)
{
    struct hm_dns_server *server = hm_alloc(1, sizeof *server);
    struct hm_dns_answerer answerer = {.map = config->map, .udp_payload = config->udp_payload};
    size_t count = config->listen_count;
    server->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    server->addresses = hm_alloc(count, sizeof *server->addresses);
    server->address_count = count;
    server->udp = hm_alloc(config->threads, sizeof *server->udp);
    server->udp_count = config->threads;
    server->tcp = (struct hm_dns_tcp){
        .answerer = answerer,
        .fds = hm_alloc(count, sizeof(int)),
        .fd_count = count,
        .stop_fd = server->stop_fd,
        .connections_max = config->tcp_connections,
        .idle_ms = config->tcp_idle_ms,
    };
    memset(server->tcp.fds, 0xff, count * sizeof(int)); /* all -1 */
    for (unsigned t = 0; t < config->threads; t++) {
        server->udp[t] = (struct hm_dns_udp){
            .answerer = answerer,
            .fds = hm_alloc(count, sizeof(int)),
            .fd_count = count,
            .stop_fd = server->stop_fd,
            .stopping = &server->stopping,
        };
        memset(server->udp[t].fds, 0xff, count * sizeof(int));
    }
    return server;
}

/* Signals belong to the process's main thread: ours start with all of them blocked. */
static bool start_threads(struct hm_dns_server *server)
{
    sigset_t all;
    sigset_t kept;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &kept);
    bool started = true;
    for (unsigned t = 0; started && t < server->udp_count; t++) {
        struct hm_dns_udp *udp = &server->udp[t];
        started = pthread_create(&udp->thread, NULL, hm_dns_udp_run, udp) == 0;
        server->udp_started += started;
        if (started) {
            (void)pthread_setname_np(udp->thread, "dns-udp");
        }
    }
    if (started) {
        started = pthread_create(&server->tcp.thread, NULL, hm_dns_tcp_run, &server->tcp) == 0;
        server->tcp_started = started;
    }
    if (server->tcp_started) {
        (void)pthread_setname_np(server->tcp.thread, "dns-tcp");
    }
    (void)pthread_sigmask(SIG_SETMASK, &kept, NULL);
    return started;
}

enum hm_status hm_dns_server_start(const struct hm_dns_server_config *config, struct hm_buf *error,
                                   struct hm_dns_server **out)
{
    HM_ASSERT(config->threads > 0 && config->threads <= HM_DNS_THREADS_MAX);
    HM_ASSERT(config->udp_payload >= HM_DNS_UDP_MIN && config->udp_payload <= HM_DNS_UDP_MAX);
    HM_ASSERT(config->tcp_connections > 0);
    struct hm_dns_server *server = server_new(config);
    enum hm_status status = HM_OK;
    if (server->stop_fd < 0) {
        hm_buf_printf(error, "no event descriptor: %s", strerror(errno));
        status = HM_IO;
    }
    for (size_t i = 0; i < config->listen_count && status == HM_OK; i++) {
        status = open_address(server, i, &config->listen[i], config->where, error);
    }
    if (status == HM_OK && !start_threads(server)) {
        hm_buf_append_text(
            error, "no thread can be started: lower dns.threads, or raise the limit of processes");
        status = HM_IO;
    }
    if (status != HM_OK) {
        hm_dns_server_stop(server);
        return status;
    }
    *out = server;
    return HM_OK;
}

void hm_dns_server_stop(struct hm_dns_server *server)
{
    __atomic_store_n(&server->stopping, true, __ATOMIC_RELEASE);
    if (server->udp_started > 0) {
        uint64_t one = 1;
        ssize_t written = write(server->stop_fd, &one, sizeof one);
        HM_ASSERT(written == sizeof one);
    }
    for (unsigned t = 0; t < server->udp_started; t++) {
        (void)pthread_join(server->udp[t].thread, NULL);
    }
    if (server->tcp_started) {
        (void)pthread_join(server->tcp.thread, NULL);
    }
    for (size_t i = 0; i < server->address_count; i++) {
        close_address(server, i);
    }
    for (unsigned t = 0; t < server->udp_count; t++) {
        hm_free(server->udp[t].fds);
    }
    close_fd(&server->stop_fd);
    hm_free(server->tcp.fds);
    hm_free(server->udp);
    hm_free(server->addresses);
    hm_free(server);
}

void hm_dns_server_use(struct hm_dns_server *server, const struct hm_dns_map *map)
{
    for (unsigned t = 0; t < server->udp_count; t++) {
        __atomic_store_n(&server->udp[t].answerer.map, map, __ATOMIC_RELEASE);
    }
    __atomic_store_n(&server->tcp.answerer.map, map, __ATOMIC_RELEASE);
    urcu_qsbr_synchronize_rcu();
}

struct hm_addr hm_dns_server_address(const struct hm_dns_server *server, size_t i)
{
    HM_ASSERT(i < server->address_count);
    return server->addresses[i];
}

struct hm_dns_counters hm_dns_server_counters(const struct hm_dns_server *server)
{
    struct hm_dns_counters sum = {0};
    for (unsigned t = 0; t < server->udp_count; t++) {
        hm_dns_counters_add(&sum, &server->udp[t].answerer.counters);
    }
    hm_dns_counters_add(&sum, &server->tcp.answerer.counters);
    return sum;
}
