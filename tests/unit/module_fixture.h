/* A place for one module without a node: the functions of module.h, noting what they are told. */
#ifndef HM_TESTS_MODULE_FIXTURE_H
#define HM_TESTS_MODULE_FIXTURE_H

#include "core/conf/parse.h"
#include "core/conf/root.h"
#include "core/include/hivemind/module.h"

#include <poll.h>

#define FIXTURE_WATCHES_MAX 16

struct hm_module_watch {
    int fd; /* -1: a free place */
    int events;
    void (*ready)(void *user, int events);
    void *user;
};

struct hm_module_ctx {
    const struct hm_module *module;
    void *state;
    hm_ms now;
    hm_ms wake_at;
    struct hm_view view;
    struct hm_node_config config;
    struct hm_buf logs;      /* event and the rest, a line each */
    struct hm_buf facts;     /* key=value, a line each */
    struct hm_buf published; /* encoded */
    uint64_t seq;            /* of what was published */
    struct hm_buf answer; /* the last answer, printed; "report SEQ ADDR" for a report of a change */
    struct hm_buf kept;
    bool has_io;
    struct hm_module_io io;
    struct hm_module_watch watches[FIXTURE_WATCHES_MAX];
    struct hm_arena arena;
    struct hm_conf *conf;
};

/* Makes the place; the module's init and start follow. */
void fixture_init(struct hm_module_ctx *ctx, const struct hm_module *module, bool with_io);
void fixture_fini(struct hm_module_ctx *ctx);
/* Reads YAML as a whole configuration with this module; fails the test when it does not read. */
const struct hm_conf_node *fixture_conf(struct hm_module_ctx *ctx, const char *yaml);
/* init and start with this YAML; the sentence is in `error` when one refuses. */
enum hm_status fixture_start(struct hm_module_ctx *ctx, const char *yaml, struct hm_buf *error);
/* Moves the time on and ticks when the module asked for it. */
void fixture_advance(struct hm_module_ctx *ctx, hm_ms now);
/* Waits until a watched descriptor is ready (or `also`, if it is not negative) and calls back;
 * fails the test after 10 s. */
void fixture_poll(struct hm_module_ctx *ctx, int also);
/* A request over the control socket (`from` none) or from a peer. */
enum hm_status fixture_request(struct hm_module_ctx *ctx, const struct hm_id *from,
                               const struct hm_message *message);
/* What the buffer holds as text. */
const char *fixture_text(struct hm_buf *buf);

#endif
