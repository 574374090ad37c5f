/* The descriptor and the step: a libuv loop of the server's own that nobody runs but the step. What
 * libuv does not put into its descriptor, time and wake-ups, goes through a timerfd in it. */
#include "core/embed/internal.h"

#include "core/base/assert.h"
#include "core/base/memory.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/random.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define DISK_RETRY_MS 1000u
/* A step ends after so many rounds even when more could be done: the program has other work. */
#define ROUNDS_MAX 16

/* ---- time ---- */

hm_ms embed_now(struct hivemind_server *server)
{
    const struct hivemind_server_config *config = &server->config;
    return config->now_ms ? config->now_ms(config->clock_context) : uv_now(&server->loop);
}

uint64_t embed_wall_ms(struct hivemind_server *server)
{
    struct timespec now;
    if (server->config.now_ms) {
        return embed_now(server);
    }
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* `delay_ms` 0: at once. HM_NEVER: not at all. */
static void set_alarm(struct hivemind_server *server, hm_ms delay_ms)
{
    struct itimerspec spec = {0};
    if (delay_ms != HM_NEVER) {
        spec.it_value.tv_sec = (time_t)(delay_ms / 1000);
        spec.it_value.tv_nsec = delay_ms ? (long)(delay_ms % 1000) * 1000000 : 1;
    }
    HM_ASSERT(timerfd_settime(server->alarm, 0, &spec, NULL) == 0);
}

void embed_wake(struct hivemind_server *server)
{
    if (server->started && !server->woken) {
        server->woken = true;
        if (!server->stepping) {
            set_alarm(server, 0);
        }
    }
}

static void on_alarm(void *user, int events)
{
    struct hivemind_server *server = user;
    uint64_t count;
    (void)events;
    (void)!read(server->alarm, &count, sizeof count);
}

hm_ms embed_deadline(struct hivemind_server *server)
{
    hm_ms soonest = hm_logs_deadline(server->logs);
    for (size_t i = 0; i < server->participant_count; i++) {
        const struct hivemind_participant *participant = server->participants[i];
        soonest = participant->calls_at < soonest ? participant->calls_at : soonest;
        soonest = participant->changes_at < soonest ? participant->changes_at : soonest;
    }
    return server->retry_at < soonest ? server->retry_at : soonest;
}

/* Until a step is useful without any descriptor saying so; HM_NEVER. */
static hm_ms delay(struct hivemind_server *server)
{
    int of_loop = uv_backend_timeout(&server->loop);
    hm_ms now = embed_now(server);
    hm_ms deadline = embed_deadline(server);
    hm_ms left = deadline == HM_NEVER ? HM_NEVER : deadline > now ? deadline - now : 0;
    if (server->woken) {
        return 0;
    }
    return of_loop >= 0 && (hm_ms)of_loop < left ? (hm_ms)of_loop : left;
}

int hivemind_timeout_ms(const struct hivemind_server *server)
{
    struct hivemind_server *own = (struct hivemind_server *)server; /* libuv caches the time */
    if (!server->started) {
        return -1;
    }
    if (!server->stepping) {
        uv_update_time(&own->loop);
    }
    hm_ms left = delay(own);
    return left == HM_NEVER ? -1 : left > INT32_MAX ? INT32_MAX : (int)left;
}

int hivemind_fd(const struct hivemind_server *server)
{
    return uv_backend_fd(&server->loop);
}

/* ---- the loop ---- */

enum hm_status embed_loop_open(struct hivemind_server *server)
{
    if (uv_loop_init(&server->loop) != 0) {
        return embed_fail(server, HM_IO, "no event loop: %s", strerror(errno));
    }
    server->alarm = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (server->alarm < 0) {
        int why = errno;
        uv_loop_close(&server->loop);
        return embed_fail(server, HM_IO, "no timer: %s", strerror(why));
    }
    server->alarm_watch =
        hm_watch_open(&server->loop, server->alarm, HM_WATCH_READ, on_alarm, server);
    HM_ASSERT(server->alarm_watch != NULL);
    return HM_OK;
}

void embed_loop_close(struct hivemind_server *server)
{
    hm_watch_close(server->alarm_watch);
    close(server->alarm);
    while (uv_loop_close(&server->loop) == UV_EBUSY) {
        uv_run(&server->loop, UV_RUN_NOWAIT);
    }
}

bool embed_loop_turn(struct hivemind_server *server)
{
    struct pollfd descriptor = {.fd = uv_backend_fd(&server->loop), .events = POLLIN};
    /* Descriptors opened by a callback are watched from the next run on: so after a run that found
     * something there is another. */
    bool any = poll(&descriptor, 1, 0) > 0 || uv_backend_timeout(&server->loop) == 0;
    uv_run(&server->loop, UV_RUN_NOWAIT);
    return any;
}

void embed_loop_arm(struct hivemind_server *server)
{
    /* By a clock of its own the program steps when it likes. */
    hm_ms left = delay(server);
    if (server->config.now_ms && left > 0) {
        left = HM_NEVER;
    }
    set_alarm(server, left);
}

/* ---- the disk ---- */

void embed_on_disk_done(void *context, uint64_t number, enum hm_status status)
{
    struct hivemind_server *server = context;
    (void)number;
    bool failed_before = hm_logs_disk_failed(server->logs);
    hm_logs_disk_done(server->logs, embed_now(server), status);
    bool failed = hm_logs_disk_failed(server->logs);
    server->retry_at = failed ? embed_now(server) + DISK_RETRY_MS : HM_NEVER;
    for (size_t i = 0; i < server->participant_count && failed != failed_before; i++) {
        server->participants[i]->changed = true;
    }
    (void)embed_pump(server);
}

static void tick(struct hivemind_server *server)
{
    hm_ms now = embed_now(server);
    hm_logs_set_wall(server->logs, now, embed_wall_ms(server));
    hm_logs_tick(server->logs, now);
    if (now >= server->retry_at) {
        server->retry_at = HM_NEVER;
        if (hm_logs_disk_failed(server->logs)) {
            server->retry_at = now + DISK_RETRY_MS;
            hm_logs_disk_retry(server->logs);
        }
    }
}

/* ---- the step ---- */

enum hm_status hivemind_step(struct hivemind_server *server)
{
    if (server->stepping) {
        return embed_fail(server, HM_BUSY, "a step within a step");
    }
    if (!server->started) {
        return embed_fail(server, HM_NOT_STARTED, "the server is not started");
    }
    server->stepping = true;
    bool more = true;
    for (int i = 0; i < ROUNDS_MAX && more; i++) {
        server->woken = false;
        more = embed_loop_turn(server);
        more |= embed_receive(server);
        tick(server);
        more |= embed_pump(server);
        more |= server->woken;
    }
    server->woken = more;
    server->stepping = false;
    embed_loop_arm(server);
    return HM_OK;
}
