/* The one header that a module includes. A module is a shared object that exports
 *
 *     const struct hm_module hm_module = { .abi = HM_MODULE_ABI, .name = "...", ... };
 *
 * and is either a role (what a node performs) or a middleware of the request chain. */
#ifndef HIVEMIND_MODULE_H
#define HIVEMIND_MODULE_H

#include "core/base/bytes.h"
#include "core/base/ids.h"
#include "core/base/memory.h"
#include "core/conf/errors.h"
#include "core/conf/schema.h"
#include "core/conf/tree.h"
#include "core/log/machine.h"
#include "core/node/catalog/catalog.h"
#include "core/node/node.h"
#include "core/wire/message.h"

#define HM_MODULE_ABI 3u

enum hm_module_kind { HM_MODULE_ROLE, HM_MODULE_MIDDLEWARE };

/* Feeds that a role consumes. Every node carries `members`. */
#define HM_FEEDS_STATE 1u

/* A module's place in a node: what every function of this header takes. */
struct hm_module_ctx;

/* A request to this node, from a peer or over the control socket. */
struct hm_request {
    struct hm_id from;                /* the asking node; none: the control socket */
    const struct hm_message *message; /* valid during the call */
    uint64_t token;                   /* for hm_module_answer */
};

/* What a module is. Every hook may be NULL. */
struct hm_module {
    uint32_t abi;
    enum hm_module_kind kind;
    const char *name;
    const char *const *performs; /* role names, NULL at the end; NULL: none */
    /* Roles of which a live node is needed to be ready: a member that this node has heard. It is
     * not ready any more when all that have the role were removed, or were found gone by this node
     * itself for two seconds, as may be while there is no quorum to remove them. */
    const char *const *requires;
    /* Roles whose nodes it wants to know; what it publishes is pushed to those of them that
     * consume. A node knows few others. */
    const char *const *bootstraps;
    uint32_t feeds;
    const struct hm_conf_schema *schema; /* of its section, which has its name; or NULL */
    const struct hm_conf_schema *root;   /* keys that it adds to the root, or NULL */
    size_t state_size;                   /* bytes of hm_module_state, zeroed */
    /* Of a role: the state machine of a log of its own, role.NAME, which is there as soon as a
     * control node has the role, and is carried by those that have it. Its context is what
     * hm_module_state gives. Any node hands log_write to it and asks it by log_query. Without
     * `admit` it takes writers as a log without a machine does (core/log/replica.h). */
    const struct hm_machine *machine;
    /* Judges a configuration: adds every finding that the tables cannot make, at its place. Asked
     * before init and before reload, which are given nothing that has one; it has no node. */
    void (*check)(const struct hm_conf_node *section, const struct hm_conf_node *root,
                  struct hm_conf_errors *errors);
    /* Reads the configuration (`section` and `root` are NULL where there is none: defaults), before
     * anything runs; a sentence in `error` when it refuses. A configuration file without a key that
     * the schema requires, or without the section, is refused before. */
    enum hm_status (*init)(struct hm_module_ctx *ctx, const struct hm_conf_node *section,
                           const struct hm_conf_node *root, struct hm_buf *error);
    /* The node starts; its id is known. */
    enum hm_status (*start)(struct hm_module_ctx *ctx, struct hm_buf *error);
    /* The configuration was read anew (SIGHUP); only keys marked live differ, and every module has
     * found it good. */
    void (*reload)(struct hm_module_ctx *ctx, const struct hm_conf_node *section,
                   const struct hm_conf_node *root);
    /* A consumer's catalog changed. */
    void (*change)(struct hm_module_ctx *ctx, const struct hm_change_note *note);
    /* An event of feed members, on every node and with every role: member_joined, member_changed,
     * member_left, member_failed, epoch_raised, user_event (`body`, which lives during the call).
     * They come in order and each once, when the view (and the catalog) has followed already. What
     * was committed before this node knew the cluster, or while it was down or so far behind that
     * it had to bootstrap anew, is not told; hm_module_view has the outcome. */
    void (*event)(struct hm_module_ctx *ctx, const struct hm_event *event,
                  const struct hm_message *body);
    /* HM_OK: taken, it has been or will be answered (a middleware: let it pass). HM_NOT_FOUND: not
     * mine. Anything else refuses it with that status. */
    enum hm_status (*request)(struct hm_module_ctx *ctx, const struct hm_request *request);
    /* What became of a write; see hm_module_write. */
    void (*written)(struct hm_module_ctx *ctx, uint64_t write, const struct hm_submitted *answer);
    /* The time asked for with hm_module_wake has come. */
    void (*tick)(struct hm_module_ctx *ctx, hm_ms now);
    /* Facts for `hivemind status`: calls hm_module_fact. */
    void (*status)(struct hm_module_ctx *ctx);
    void (*fini)(struct hm_module_ctx *ctx);
};

/* The module's own memory, state_size bytes. */
void *hm_module_state(struct hm_module_ctx *ctx);
hm_ms hm_module_now(const struct hm_module_ctx *ctx);
/* Asks for tick at this time or before; HM_NEVER: no more. */
void hm_module_wake(struct hm_module_ctx *ctx, hm_ms at);
/* One logfmt line: `event` is the msg, the rest `key=value` pairs. */
void hm_module_log(struct hm_module_ctx *ctx, enum hm_log_level level, const char *event,
                   const char *format, ...) __attribute__((format(printf, 4, 5)));
/* Lines of this level are wanted; for those who would do some work for one. */
bool hm_module_logs(const struct hm_module_ctx *ctx, enum hm_log_level level);
void hm_module_fact(struct hm_module_ctx *ctx, const char *key, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
const struct hm_view *hm_module_view(const struct hm_module_ctx *ctx);
/* NULL unless a role of this node consumes the state feed. */
const struct hm_catalog *hm_module_catalog(const struct hm_module_ctx *ctx);
struct hm_id hm_module_node_id(const struct hm_module_ctx *ctx);
const struct hm_node_config *hm_module_node_config(const struct hm_module_ctx *ctx);

/* This node's host config from now on: it is pushed to consumers and appended to the log under the
 * next version, which is returned. An unchanged config makes no new version. */
struct hm_version hm_module_publish(struct hm_module_ctx *ctx, const struct hm_host_config *config);
/* Answers `request` with a change_report once this version is committed and served by all, or the
 * time is over. `addr` is shown in it, and what was refused to `service` (an empty name: to any).
 */
void hm_module_report_change(struct hm_module_ctx *ctx, const struct hm_request *request,
                             struct hm_version version, const struct hm_name *service,
                             const struct hm_addr *addr, uint32_t timeout_ms);
/* Changes records of the replicated state, if the conditions hold (copied): asked again and again
 * until the control plane answers, also over times without a quorum, or until the deadline
 * (HM_NEVER: there is none). Returns its number, never 0, for the hook `written`. HM_OK with index
 * 0 says only that it is decided: the answer to a retry; the records tell how. HM_NO_QUORUM: the
 * deadline came first, and whether it is committed is not known. */
uint64_t hm_module_write(struct hm_module_ctx *ctx, const struct hm_request_write *write,
                         hm_ms deadline);
/* Answers a request; `call` (the first field of every answer) is filled in by the node. */
void hm_module_answer(struct hm_module_ctx *ctx, const struct hm_request *request,
                      struct hm_message *message);
/* Keeps a small file durably in the node's data directory, under a name of the module's own; and
 * reads what was kept before the start (empty when nothing was; valid during start). */
void hm_module_keep(struct hm_module_ctx *ctx, const char *file, struct hm_bytes content);
struct hm_bytes hm_module_kept(struct hm_module_ctx *ctx, const char *file);

/* Sockets for modules, given by the adapter; NULL in the simulator. */
struct hm_module_watch;
enum { HM_WATCH_READ = 1, HM_WATCH_WRITE = 2 };
struct hm_module_io {
    void *context;
    /* Calls back in the node's thread when `fd` is ready; the adapter pops the node's acts after
     * every callback. */
    struct hm_module_watch *(*watch)(void *context, int fd, int events,
                                     void (*ready)(void *user, int events), void *user);
    void (*rewatch)(struct hm_module_watch *watch, int events); /* 0 pauses */
    void (*unwatch)(struct hm_module_watch *watch);
};
const struct hm_module_io *hm_module_io(const struct hm_module_ctx *ctx);
/* Appends "NAME (pid N)" of a process whose UDP socket or TCP listener stands in the way of `addr`;
 * false when it is not to be seen (it is another user's). For sentences about a port in use. */
bool hm_module_port_holder(const struct hm_addr *addr, bool tcp, struct hm_buf *out);

/* Commands that a role runs: at most `at_once` of them at a time, begun in the order in which they
 * were asked for. At most `waiting_max` wait for a place. The node waits for none of them; what
 * does not end keeps its place for ever. */
struct hm_module_runner;

struct hm_module_variable {
    const char *name;
    struct hm_bytes value; /* ends before its first 0 byte, which an environment cannot hold */
};

struct hm_module_command {
    const char *path; /* absolute; it gets no arguments */
    /* All of its environment besides a PATH. */
    const struct hm_module_variable *variables;
    size_t variable_count;
    struct hm_bytes input; /* on its standard input, then that ends */
};

/* What is sure to fit in a pipe that nobody reads yet. */
#define HM_MODULE_INPUT_BYTES_MAX 4096u

/* Lives until hm_module_runner_free, which is called in fini at the latest and leaves what still
 * runs alone. */
struct hm_module_runner *hm_module_runner_new(struct hm_module_ctx *ctx, size_t at_once,
                                              size_t waiting_max);
/* Copies the command. HM_FULL when too many wait, HM_TOO_LARGE for the input: then it is logged,
 * counted as dropped, and will not be run. One that cannot be run later is logged and counted as
 * failed, as is one that ends with another code than 0. */
enum hm_status hm_module_runner_run(struct hm_module_runner *runner,
                                    const struct hm_module_command *command);
/* A fact `key` for the hook `status`: running, waiting, done, failed, dropped. */
void hm_module_runner_fact(const struct hm_module_runner *runner, const char *key);
void hm_module_runner_free(struct hm_module_runner *runner);

#endif
