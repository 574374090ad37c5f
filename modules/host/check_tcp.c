/* A TCP connection that stands is a pass. */
#include "modules/host/check.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct prober {
    const struct hm_module_io *io;
};

struct probe {
    struct prober *prober;
    struct hm_module_watch *watch;
    int fd;
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

static void *open_prober(const struct hm_module_io *io, void (*touch)(void *user), void *user)
{
    (void)touch;
    (void)user;
    struct prober *prober = hm_alloc(1, sizeof *prober);
    prober->io = io;
    return prober;
}

static void cancel(void *probe)
{
    struct probe *own = probe;
    own->prober->io->unwatch(own->watch);
    close(own->fd);
    hm_free(own);
}

static void ready(void *user, int events)
{
    (void)events;
    struct probe *probe = user;
    hm_probe_done *done = probe->done;
    void *for_whom = probe->user;
    int error = 0;
    socklen_t size = sizeof error;
    if (getsockopt(probe->fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0) {
        error = errno;
    }
    cancel(probe);
    done(for_whom, error == 0, error ? strerror(error) : "");
}

static void *start(void *prober, const struct hm_addr *addr, const char *path, hm_probe_done *done,
                   void *user, const char **why)
{
    (void)path;
    struct prober *own = prober;
    struct sockaddr_storage to;
    socklen_t size = to_sockaddr(addr, &to);
    int fd = socket(to.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        *why = strerror(errno);
        return NULL;
    }
    if (connect(fd, (struct sockaddr *)&to, size) != 0 && errno != EINPROGRESS) {
        *why = strerror(errno);
        close(fd);
        return NULL;
    }
    struct probe *probe = hm_alloc(1, sizeof *probe);
    *probe = (struct probe){.prober = own, .fd = fd, .done = done, .user = user};
    probe->watch = own->io->watch(own->io->context, fd, HM_WATCH_WRITE, ready, probe);
    if (!probe->watch) {
        *why = "its socket cannot be watched";
        close(fd);
        hm_free(probe);
        return NULL;
    }
    return probe;
}

const struct hm_prober hm_prober_tcp = {
    .abi = HM_MODULE_ABI,
    .open = open_prober,
    .close = hm_free,
    .start = start,
    .cancel = cancel,
};
