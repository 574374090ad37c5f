/* Descriptors and timers on a libuv loop, each ended by one call: what sockets here and modules
 * (HTTP clients, checks) are built on. */
#ifndef HM_IO_WATCH_H
#define HM_IO_WATCH_H

#include "core/base/ids.h"
#include "core/include/hivemind/module.h"

#include <uv.h>

struct hm_watch;
struct hm_timer;

/* Calls `ready` with those of HM_WATCH_READ and HM_WATCH_WRITE that are possible. An error on the
 * descriptor shows as all that was asked for: the read, write or getsockopt that follows tells.
 * NULL when the descriptor cannot be watched (a plain file). */
struct hm_watch *hm_watch_open(uv_loop_t *loop, int fd, int events,
                               void (*ready)(void *user, int events), void *user);
/* 0 pauses it; an error then goes unnoticed until it is watched again. */
void hm_watch_set(struct hm_watch *watch, int events);
/* No more calls; the descriptor stays open and may be closed right after. NULL is fine. */
void hm_watch_close(struct hm_watch *watch);

struct hm_timer *hm_timer_open(uv_loop_t *loop, void (*due)(void *user), void *user);
/* Due once, `delay` ms from now; a later call replaces it. HM_NEVER: not at all. */
void hm_timer_set(struct hm_timer *timer, hm_ms delay);
/* NULL is fine. */
void hm_timer_close(struct hm_timer *timer);

#endif
