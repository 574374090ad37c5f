/* A node on a libuv loop: what it wants done is done, what happens is told to it. The same for the
 * daemon and for nginx; configuration, modules and signals are the caller's. */
#ifndef HM_IO_DAEMON_H
#define HM_IO_DAEMON_H

#include "core/io/socket.h"
#include "core/node/node.h"
#include "core/wire/seal.h"

#include <uv.h>

#define HM_DAEMON_PORT 9610 /* unless written */

struct hm_daemon;

struct hm_daemon_events {
    void *context;
    /* `line` is the rest of a logfmt line after the level. */
    void (*log)(void *context, enum hm_log_level level, struct hm_bytes line);
    /* Joined, and what its roles require is there. May be NULL. */
    void (*ready)(void *context);
    /* The node has ended (HM_OK: asked to). hm_daemon_close is to follow, not from within. */
    void (*stopped)(void *context, enum hm_status status);
};

/* Borrowed until hm_daemon_open returns; what `node` points to until hm_daemon_close. */
struct hm_daemon_config {
    const struct hm_node_config *node; /* its seed, io, join and durable are filled in here */
    const struct hm_key *key;
    struct hm_sockets sockets; /* taken over, also when it fails */
    const char *data;          /* data directory; NULL: nothing is kept */
    const char *control;       /* path of the control socket, to be made; NULL: none */
    int control_fd;            /* or a listener of hm_control_listen; taken over if it starts;
                                  0: none */
    const char *const *join;   /* "HOST", "HOST:PORT"; names are resolved before every retry */
    size_t join_count;
    struct hm_daemon_events events;
};

/* Starts a node. On failure a sentence is in `error` and nothing is left: HM_BAD_CONFIG a module
 * refuses its configuration, HM_BUSY the data directory is in use, HM_DENIED it is another node's,
 * HM_DAMAGED, HM_EXISTS, HM_IO. The loop must then run once more. */
HM_MUST_USE enum hm_status hm_daemon_open(uv_loop_t *loop, const struct hm_daemon_config *config,
                                          struct hm_daemon **out, struct hm_buf *error);

/* SIGTERM: `stopped` follows. */
void hm_daemon_stop(struct hm_daemon *daemon);
/* New live configuration (hm_node_reload), and whom to join from now on. */
void hm_daemon_reload(struct hm_daemon *daemon, const struct hm_conf_node *const *sections,
                      const struct hm_conf_node *root, const char *const *join, size_t join_count);
/* The least severe lines that `log` is given from now on; at first all. */
void hm_daemon_set_log_level(struct hm_daemon *daemon, enum hm_log_level level);
struct hm_node *hm_daemon_node(struct hm_daemon *daemon);
/* Ends it without a word to anyone. The loop must run once more. NULL is fine. */
void hm_daemon_close(struct hm_daemon *daemon);

#endif
