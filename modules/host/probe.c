#include "modules/host/probe.h"

#include "modules/host/http.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_BYTES 4096

struct hm_probe {
    const struct hm_module_io *io;
    struct hm_module_watch *watch;
    int fd;
    bool connected;
    bool http;
    struct hm_buf request;
    size_t sent; /* bytes of the request; <= request.size */
    struct hm_http_answer answer;
    hm_probe_done *done;
    void *user;
};

static socklen_t to_sockaddr(const struct hm_addr *addr, struct sockaddr_storage *out)
{
    memset(out, 0, sizeof *out);
    if (addr->family == 4) {
        struct sockaddr_in *in = (struct sockaddr_in *)out;
        in->sin_family = AF_INET;
        in->sin_port = htons(addr->port);
        memcpy(&in->sin_addr, addr->ip, 4);
        return sizeof *in;
    }
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)out;
    in6->sin6_family = AF_INET6;
    in6->sin6_port = htons(addr->port);
    memcpy(&in6->sin6_addr, addr->ip, 16);
    return sizeof *in6;
}

void hm_probe_cancel(struct hm_probe *probe)
{
    probe->io->unwatch(probe->watch);
    close(probe->fd);
    hm_buf_fini(&probe->request);
    hm_free(probe);
}

static void finish(struct hm_probe *probe, bool passed, const char *why)
{
    hm_probe_done *done = probe->done;
    void *user = probe->user;
    hm_probe_cancel(probe);
    done(user, passed, why);
}

static void judge(struct hm_probe *probe)
{
    char why[32];
    uint16_t status = probe->answer.status;
    snprintf(why, sizeof why, "HTTP status %u", status);
    finish(probe, status >= 200 && status < 400, why);
}

static void send_request(struct hm_probe *probe)
{
    while (probe->sent < probe->request.size) {
        ssize_t done = send(probe->fd, probe->request.data + probe->sent,
                            probe->request.size - probe->sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (done < 0 && errno == EINTR) {
            continue;
        }
        if (done < 0 && errno == EAGAIN) {
            return;
        }
        if (done < 0) {
            finish(probe, false, strerror(errno));
            return;
        }
        probe->sent += (size_t)done;
    }
    probe->io->rewatch(probe->watch, HM_WATCH_READ);
}

/* One piece a call: a server that never stops sending takes no more than its turn. */
static void read_answer(struct hm_probe *probe)
{
    uint8_t piece[READ_BYTES];
    ssize_t size = recv(probe->fd, piece, sizeof piece, MSG_DONTWAIT);
    if (size < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (size < 0) {
        finish(probe, false, strerror(errno));
        return;
    }
    if (size == 0) {
        finish(probe, false, "the connection ended before the answer");
        return;
    }
    switch (hm_http_read(&probe->answer, (struct hm_bytes){piece, (size_t)size})) {
    case HM_HTTP_MORE:
        break;
    case HM_HTTP_DONE:
        judge(probe);
        break;
    case HM_HTTP_BAD:
        finish(probe, false,
               probe->answer.bytes == HM_HTTP_HEADER_BYTES_MAX ? "too long an HTTP header"
                                                               : "what answers speaks no HTTP/1");
        break;
    }
}

static void ready(void *user, int events)
{
    (void)events;
    struct hm_probe *probe = user;
    int error = 0;
    socklen_t size = sizeof error;
    if (probe->connected && probe->sent == probe->request.size) {
        read_answer(probe);
        return;
    }
    if (!probe->connected && getsockopt(probe->fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0) {
        error = errno;
    }
    if (error || !probe->http) {
        finish(probe, error == 0, error ? strerror(error) : "");
        return;
    }
    probe->connected = true;
    send_request(probe);
}

static int open_connection(const struct hm_addr *addr)
{
    struct sockaddr_storage to;
    socklen_t size = to_sockaddr(addr, &to);
    int fd = socket(to.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&to, size) != 0 && errno != EINPROGRESS) {
        int why = errno;
        close(fd);
        errno = why;
        return -1;
    }
    return fd;
}

struct hm_probe *hm_probe_start(const struct hm_module_io *io, const struct hm_addr *addr,
                                const char *path, hm_probe_done *done, void *user, const char **why)
{
    int fd = open_connection(addr);
    if (fd < 0) {
        *why = strerror(errno);
        return NULL;
    }
    struct hm_probe *probe = hm_alloc(1, sizeof *probe);
    *probe = (struct hm_probe){.io = io, .fd = fd, .http = path, .done = done, .user = user};
    probe->watch = io->watch(io->context, fd, HM_WATCH_WRITE, ready, probe);
    if (!probe->watch) {
        *why = "its socket cannot be watched";
        close(fd);
        hm_free(probe);
        return NULL;
    }
    if (path) {
        char host[HM_ADDR_TEXT_BYTES];
        hm_http_ask(hm_addr_format(addr, host), path, &probe->request);
    }
    return probe;
}
