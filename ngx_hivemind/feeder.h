/* What fills the routing table: the cluster node in the module, a line protocol in the system
 * tests. Whoever links the module gives one of them. It runs in the dedicated process, on a libuv
 * loop that the module drives from nginx's event loop, and never blocks. */
#ifndef HM_NGX_FEEDER_H
#define HM_NGX_FEEDER_H

#include "core/node/node.h"
#include "core/wire/seal.h"
#include "ngx_hivemind/snapshot.h"

#include <uv.h>

/* What the hivemind { } block says. Borrowed: it lives as long as the process. */
struct hm_feeder_config {
    struct hm_name name;
    const char *state_dir;
    const struct hm_key *key;
    const char *const *join; /* "HOST" or "HOST:PORT" */
    size_t join_count;
    struct hm_addr advertise; /* none: to be found out */
    int udp, tcp;             /* bound to one address, `tcp` listening; the feeder's from now on */
    int control;              /* of hm_control_listen, the feeder's as well; -1: none */
};

/* What a feeder may do to the module, all within the loop's callbacks. */
struct hm_feeder_sink {
    void *context;
    /* Shows a new state of the table, as hm_table_publish does. Not to be called before the feeder
     * knows the whole: what the last process left is served meanwhile. */
    enum hm_status (*change)(void *context, const struct hm_draft *draft);
    void (*log)(void *context, enum hm_log_level level, const char *line);
};

struct hm_feeder;

/* NULL, with a sentence in `error`, when it cannot run; the descriptors are closed then. */
struct hm_feeder *hm_feeder_start(uv_loop_t *loop, const struct hm_feeder_config *config,
                                  const struct hm_feeder_sink *sink, struct hm_buf *error);

/* The process ends now: last words to the cluster, without waiting for answers. */
void hm_feeder_stop(struct hm_feeder *feeder);

#endif
