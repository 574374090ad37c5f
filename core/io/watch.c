#include "core/io/watch.h"

#include "core/base/assert.h"
#include "core/base/memory.h"

/* libuv wants handles to live until their close callback: so they live on the heap. */
struct hm_watch {
    uv_poll_t poll;
    int events;
    void (*ready)(void *user, int events);
    void *user;
};

struct hm_timer {
    uv_timer_t timer;
    void (*due)(void *user);
    void *user;
};

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct hm_watch *watch = poll->data;
    int wanted = watch->events;
    int ready =
        (events & UV_READABLE ? HM_WATCH_READ : 0) | (events & UV_WRITABLE ? HM_WATCH_WRITE : 0);
    if (status < 0) {
        /* libuv stopped it because of an error (an ICMP message too is one); its owner decides. */
        watch->events = 0;
        hm_watch_set(watch, wanted);
        ready = wanted;
    }
    watch->ready(watch->user, ready & wanted);
}

struct hm_watch *hm_watch_open(uv_loop_t *loop, int fd, int events,
                               void (*ready)(void *user, int events), void *user)
{
    struct hm_watch *watch = hm_alloc(1, sizeof *watch);
    watch->ready = ready;
    watch->user = user;
    if (uv_poll_init(loop, &watch->poll, fd) != 0) {
        hm_free(watch);
        return NULL;
    }
    watch->poll.data = watch;
    hm_watch_set(watch, events);
    return watch;
}

void hm_watch_set(struct hm_watch *watch, int events)
{
    int wanted =
        (events & HM_WATCH_READ ? UV_READABLE : 0) | (events & HM_WATCH_WRITE ? UV_WRITABLE : 0);
    if (watch->events == events) {
        return;
    }
    watch->events = events;
    if (wanted == 0) {
        uv_poll_stop(&watch->poll);
    } else {
        HM_ASSERT(uv_poll_start(&watch->poll, wanted, on_poll) == 0);
    }
}

static void on_closed(uv_handle_t *handle)
{
    hm_free(handle->data);
}

void hm_watch_close(struct hm_watch *watch)
{
    if (watch != NULL) {
        uv_close((uv_handle_t *)&watch->poll, on_closed);
    }
}

static void on_timer(uv_timer_t *handle)
{
    struct hm_timer *timer = handle->data;
    timer->due(timer->user);
}

struct hm_timer *hm_timer_open(uv_loop_t *loop, void (*due)(void *user), void *user)
{
    struct hm_timer *timer = hm_alloc(1, sizeof *timer);
    timer->due = due;
    timer->user = user;
    uv_timer_init(loop, &timer->timer);
    timer->timer.data = timer;
    return timer;
}

void hm_timer_set(struct hm_timer *timer, hm_ms delay)
{
    if (delay == HM_NEVER) {
        uv_timer_stop(&timer->timer);
    } else {
        uv_timer_start(&timer->timer, on_timer, delay, 0);
    }
}

void hm_timer_close(struct hm_timer *timer)
{
    if (timer != NULL) {
        uv_close((uv_handle_t *)&timer->timer, on_closed);
    }
}
