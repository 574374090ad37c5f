/* An HTTP answer of 2xx or 3xx is a pass. A shared object of its own: whoever configures no http
 * check loads no HTTP library. */
#include "modules/host/check.h"

#include <curl/curl.h>
#include <stdio.h>

#define BODY_BYTES_MAX 65536u /* the rest of a body is not waited for */

struct prober {
    const struct hm_module_io *io;
    void (*touch)(void *user);
    void *user;
    CURLM *multi;
    hm_ms now;
    hm_ms deadline; /* of libcurl's own timer */
};

struct probe {
    struct prober *prober;
    CURL *easy;
    size_t body_bytes;
    char error[CURL_ERROR_SIZE];
    hm_probe_done *done;
    void *user;
};

/* A descriptor that libcurl wants to be watched. */
struct watched {
    struct prober *prober;
    struct hm_module_watch *watch;
    curl_socket_t fd;
};

/* ---- what libcurl asks for ---- */

static void end(struct probe *probe)
{
    curl_multi_remove_handle(probe->prober->multi, probe->easy);
    curl_easy_cleanup(probe->easy);
    hm_free(probe);
}

static void finish(struct probe *probe, CURLcode code)
{
    char why[CURL_ERROR_SIZE + 32];
    hm_probe_done *done = probe->done;
    void *user = probe->user;
    long status = 0;
    curl_easy_getinfo(probe->easy, CURLINFO_RESPONSE_CODE, &status);
    bool answered = code == CURLE_OK || (code == CURLE_WRITE_ERROR && status != 0);
    if (answered) {
        snprintf(why, sizeof why, "HTTP status %ld", status);
    } else {
        snprintf(why, sizeof why, "%s", *probe->error ? probe->error : curl_easy_strerror(code));
    }
    end(probe);
    done(user, answered && status >= 200 && status < 400, why);
}

static void collect(struct prober *prober)
{
    CURLMsg *message;
    int left;
    while ((message = curl_multi_info_read(prober->multi, &left))) {
        if (message->msg == CURLMSG_DONE) {
            void *probe;
            CURLcode code = message->data.result;
            curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &probe);
            finish(probe, code);
        }
    }
    prober->touch(prober->user);
}

static void ready(void *user, int events)
{
    struct watched *watched = user; /* may be gone after the action */
    struct prober *prober = watched->prober;
    int running;
    int mask = (events & HM_WATCH_READ ? CURL_CSELECT_IN : 0) |
               (events & HM_WATCH_WRITE ? CURL_CSELECT_OUT : 0);
    curl_multi_socket_action(prober->multi, watched->fd, mask, &running);
    collect(prober);
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *user, void *of_socket)
{
    (void)easy;
    struct prober *prober = user;
    struct watched *watched = of_socket;
    int events =
        (what & CURL_POLL_IN ? HM_WATCH_READ : 0) | (what & CURL_POLL_OUT ? HM_WATCH_WRITE : 0);
    if (what == CURL_POLL_REMOVE) {
        if (watched) {
            curl_multi_assign(prober->multi, fd, NULL);
            prober->io->unwatch(watched->watch);
            hm_free(watched);
        }
        return 0;
    }
    if (watched) {
        prober->io->rewatch(watched->watch, events);
        return 0;
    }
    watched = hm_alloc(1, sizeof *watched);
    *watched = (struct watched){.prober = prober, .fd = fd};
    watched->watch = prober->io->watch(prober->io->context, fd, events, ready, watched);
    if (!watched->watch) {
        hm_free(watched);
        return -1;
    }
    curl_multi_assign(prober->multi, fd, watched);
    return 0;
}

/* `now` may be from the last tick: the timer is then early, which libcurl forgives. */
static int on_timer(CURLM *multi, long timeout_ms, void *user)
{
    (void)multi;
    struct prober *prober = user;
    prober->deadline = timeout_ms < 0 ? HM_NEVER : prober->now + (hm_ms)timeout_ms;
    return 0;
}

static size_t on_body(char *data, size_t size, size_t count, void *user)
{
    (void)data;
    struct probe *probe = user;
    probe->body_bytes += size * count;
    return probe->body_bytes > BODY_BYTES_MAX ? 0 : size * count;
}

/* ---- the prober ---- */

static void *open_prober(const struct hm_module_io *io, void (*touch)(void *user), void *user)
{
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        return NULL;
    }
    struct prober *prober = hm_alloc(1, sizeof *prober);
    *prober = (struct prober){
        .io = io, .touch = touch, .user = user, .multi = curl_multi_init(), .deadline = HM_NEVER};
    if (!prober->multi) {
        hm_free(prober);
        curl_global_cleanup();
        return NULL;
    }
    curl_multi_setopt(prober->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(prober->multi, CURLMOPT_SOCKETDATA, prober);
    curl_multi_setopt(prober->multi, CURLMOPT_TIMERFUNCTION, on_timer);
    curl_multi_setopt(prober->multi, CURLMOPT_TIMERDATA, prober);
    return prober;
}

static void close_prober(void *prober)
{
    struct prober *own = prober;
    curl_multi_cleanup(own->multi);
    hm_free(own);
    curl_global_cleanup();
}

static void cancel(void *probe)
{
    end(probe);
}

static void *start(void *prober, const struct hm_addr *addr, const char *path, hm_probe_done *done,
                   void *user, const char **why)
{
    struct prober *own = prober;
    struct probe *probe = hm_alloc(1, sizeof *probe);
    struct hm_buf url = {0};
    char text[HM_ADDR_TEXT_BYTES];
    *probe = (struct probe){.prober = own, .easy = curl_easy_init(), .done = done, .user = user};
    if (!probe->easy) {
        *why = "out of resources";
        hm_free(probe);
        return NULL;
    }
    hm_buf_printf(&url, "http://%s%s", hm_addr_format(addr, text), path);
    hm_put_u8(&url, 0);
    CURL *easy = probe->easy;
    curl_easy_setopt(easy, CURLOPT_URL, (const char *)url.data);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, probe);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, probe->error);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, probe);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "hivemind-check");
    curl_easy_setopt(easy, CURLOPT_PROXY, ""); /* whatever the environment says */
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    /* A connection that was kept would hide that no new one can be made. */
    curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
    curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
    hm_buf_fini(&url);
    if (curl_multi_add_handle(own->multi, easy) != CURLM_OK) {
        *why = "the HTTP library refuses it";
        curl_easy_cleanup(easy);
        hm_free(probe);
        return NULL;
    }
    return probe;
}

static void tick(void *prober, hm_ms now)
{
    struct prober *own = prober;
    int running;
    own->now = now;
    own->deadline = HM_NEVER;
    curl_multi_socket_action(own->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    collect(own);
}

static hm_ms deadline(const void *prober)
{
    return ((const struct prober *)prober)->deadline;
}

extern const struct hm_prober hm_prober;
__attribute__((visibility("default"))) const struct hm_prober hm_prober = {
    .abi = HM_MODULE_ABI,
    .open = open_prober,
    .close = close_prober,
    .start = start,
    .cancel = cancel,
    .tick = tick,
    .deadline = deadline,
};
