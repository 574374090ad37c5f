/* One attempt to reach a service. Over TCP a connection that stands is a pass; over HTTP an answer
 * of 2xx or 3xx. How long it may take is the caller's to say. */
#ifndef HM_MODULES_HOST_PROBE_H
#define HM_MODULES_HOST_PROBE_H

#include "core/include/hivemind/module.h"

struct hm_probe;

/* Called once for each probe that was started and not cancelled, never before hm_probe_start
 * returned. `why` says why it did not pass, and lives during the call. */
typedef void hm_probe_done(void *user, bool passed, const char *why);

/* Starts one; `path` of an HTTP request, NULL: a TCP connection. A connection is never used twice:
 * one that was kept would hide that no new one can be made. NULL, and a sentence in `why`, when it
 * failed at once: `done` is not called. */
struct hm_probe *hm_probe_start(const struct hm_module_io *io, const struct hm_addr *addr,
                                const char *path, hm_probe_done *done, void *user,
                                const char **why);
void hm_probe_cancel(struct hm_probe *probe);

#endif
