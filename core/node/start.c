/* A node's first days: made of its configuration, started from its files; and its end. */
#include "core/base/hash.h"
#include "core/node/catalog/catalog.h"
#include "core/node/commands.h"
#include "core/node/consumer/consumer.h"
#include "core/node/control/control.h"
#include "core/node/control/joins.h"
#include "core/node/control/proposals.h"
#include "core/node/control/recovery.h"
#include "core/node/control/verdict.h"
#include "core/node/desk/acts.h"
#include "core/node/desk/calls.h"
#include "core/node/desk/disk.h"
#include "core/node/desk/inside.h"
#include "core/node/desk/standing.h"
#include "core/node/dispatch.h"
#include "core/node/events.h"
#include "core/node/host/host.h"
#include "core/node/host/report.h"
#include "core/node/logs/backup.h"
#include "core/node/logs/log_admin.h"
#include "core/node/logs/log_calls.h"
#include "core/node/logs/log_reads.h"
#include "core/node/logs/named.h"
#include "core/node/member/emit.h"
#include "core/node/member/required.h"
#include "core/node/member/slices.h"
#include "core/node/modules.h"

#include <string.h>

#define FOUND_WAIT_MS    10000u
#define RESTART_GRACE_MS 30000u
#define REMOVAL_BRAKE_MS 30000u
#define FANOUT           2u
#define VOTERS_TARGET    3u
#define LEAP_EVENTS      1000u /* member events: who is further behind fetches a fresh slice */

static const struct hm_upward upward = {.calls = hm_node_call_hooks,
                                        .event = hm_node_on_event,
                                        .replaced = hm_node_on_replaced,
                                        .fenced = hm_node_on_fenced};

/* ---- made ---- */

static bool performs(const struct hm_module *module, const struct hm_name *role)
{
    for (const char *const *name = module->performs; name && *name; name++) {
        if (hm_name_is(role, *name)) {
            return true;
        }
    }
    return false;
}

static bool roles_have_modules(struct hm_node *node, struct hm_buf *error)
{
    const struct hm_node_config *config = &node->config;
    for (size_t i = 0; i < config->role_count; i++) {
        bool found = false;
        for (size_t j = 0; j < config->module_count; j++) {
            found = found || performs(config->modules[j], &config->roles[i]);
        }
        if (!found) {
            hm_buf_printf(error, "no loaded module performs role %s", config->roles[i].text);
            return false;
        }
        node->is_control = node->is_control || hm_name_is(&config->roles[i], "control");
    }
    for (size_t j = 0; j < config->module_count; j++) {
        node->consumes = node->consumes || (config->modules[j]->feeds & HM_FEEDS_STATE);
    }
    node->carries_state = node->is_control || node->consumes;
    return true;
}

static void set_defaults(struct hm_node_config *config)
{
    config->rings = config->rings ? config->rings : HM_RINGS_DEFAULT;
    config->push_fanout = config->push_fanout ? config->push_fanout : FANOUT;
    config->voters_target = config->voters_target ? config->voters_target : VOTERS_TARGET;
    config->found_wait_ms = config->found_wait_ms ? config->found_wait_ms : FOUND_WAIT_MS;
    config->restart_grace_ms =
        config->restart_grace_ms ? config->restart_grace_ms : RESTART_GRACE_MS;
    config->removal_brake_ms =
        config->removal_brake_ms ? config->removal_brake_ms : REMOVAL_BRAKE_MS;
    config->feature = config->feature ? config->feature : HM_FEATURE_LEVEL;
}

/* A node and what its rooms keep, in one piece of memory. */
struct whole {
    struct hm_node node; /* first: it is freed by this */
    struct hm_own_host own;
    struct hm_reports reports;
    struct hm_bootstrap bootstrap;
    struct hm_carried carried;
    struct hm_log_admin log_admin;
    struct hm_log_calls log_calls;
    struct hm_log_waits log_waits;
    struct hm_backup backup;
    struct hm_office office;
    struct hm_proposals proposals;
    struct hm_judge judge;
    struct hm_joins joins;
    struct hm_recovery recovery;
    struct hm_slices slices;
    struct hm_required required;
    struct hm_news news;
    struct hm_facts facts;
    struct hm_commands commands;
};

static struct hm_node *make(void)
{
    struct whole *whole = hm_alloc(1, sizeof *whole);
    struct hm_node *node = &whole->node;
    node->own = &whole->own;
    node->reports = &whole->reports;
    node->bootstrap = &whole->bootstrap;
    node->carried = &whole->carried;
    node->log_admin = &whole->log_admin;
    node->log_calls = &whole->log_calls;
    node->log_waits = &whole->log_waits;
    node->backup = &whole->backup;
    node->office = &whole->office;
    node->proposals = &whole->proposals;
    node->judge = &whole->judge;
    node->joins = &whole->joins;
    node->recovery = &whole->recovery;
    node->slices = &whole->slices;
    node->required = &whole->required;
    node->news = &whole->news;
    node->facts = &whole->facts;
    node->commands = &whole->commands;
    return node;
}

struct hm_node *hm_node_new(const struct hm_node_config *config, struct hm_buf *error)
{
    struct hm_node *node = make();
    node->config = *config;
    node->upward = &upward;
    set_defaults(&node->config);
    hm_random_init(&node->random, config->seed);
    node->view = &node->own_view;
    node->log_level = HM_LOG_DEBUG;
    node->stop_at = HM_NEVER;
    node->disk.retry_at = node->disk.side_retry_at = HM_NEVER;
    node->joining.found_at = HM_NEVER;
    node->bootstrap->retry_at = HM_NEVER;
    node->slices->fresh_at = HM_NEVER;
    node->joins->flush_at = HM_NEVER;
    if (!roles_have_modules(node, error) || hm_node_open_modules(node, error) != HM_OK) {
        hm_node_free(node);
        return NULL;
    }
    hm_node_open_required(node);
    return node;
}

static void free_engines(struct hm_node *node)
{
    hm_slice_fini(&node->slice);
    hm_swim_fini(&node->swim);
    hm_feed_fini(&node->feeds[HM_FEED_MEMBERS]);
    hm_feed_fini(&node->feeds[HM_FEED_STATE]);
    hm_reconcile_fini(&node->reconcile);
    hm_push_fini(&node->pusher);
    hm_keeper_fini(&node->keeper);
}

void hm_node_free(struct hm_node *node)
{
    if (!node) {
        return;
    }
    hm_node_close_required(node);
    hm_node_close_modules(node);
    hm_catalog_free(node->catalog);
    if (node->phase != HM_PHASE_NEW) {
        free_engines(node);
    }
    hm_node_close_control(node);
    hm_view_fini(&node->own_view);
    hm_calls_fini(&node->calls);
    hm_node_free_reports(node);
    for (size_t i = 0; i < node->kept_count; i++) {
        hm_bytes_free(node->kept[i].content);
    }
    for (size_t i = 0; i < node->disk.count; i++) {
        hm_buf_fini(&node->disk.files[i].content);
    }
    hm_free(node->kept);
    hm_free(node->disk.files);
    hm_free(node->requests.origins);
    hm_free(node->commands->event_waits);
    hm_free(node->log_waits->items);
    hm_buf_fini(&node->backup->state);
    hm_buf_fini(&node->recovery->reply);
    hm_free(node->backup->reads);
    hm_free(node->log_calls->lanes);
    hm_index_fini(&node->requests.by_token);
    hm_free(node->acts.items);
    hm_free(node->facts->items);
    hm_buf_fini(&node->acts.bytes);
    hm_arena_fini(&node->arena);
    hm_buf_fini(&node->mail);
    hm_buf_fini(&node->own->config);
    hm_buf_fini(&node->own->refusals);
    hm_buf_fini(&node->bootstrap->after_key);
    hm_free(node);
}

/* ---- started ---- */

static enum hm_status take_identity(struct hm_node *node, struct hm_bytes content,
                                    struct hm_buf *error)
{
    struct hm_node_identity identity;
    if (!hm_node_get_identity(content, &identity)) {
        hm_buf_printf(error,
                      "file identity of the data directory is damaged: restore it from a copy, "
                      "or move the directory away, to start with an empty one as a new node");
        return HM_DAMAGED;
    }
    if (!hm_name_equal_nocase(&identity.name, &node->config.name)) {
        hm_buf_printf(error,
                      "the data directory belongs to node %s and this is node %s; name another "
                      "directory with data:, or set name: %s",
                      identity.name.text, node->config.name.text, identity.name.text);
        return HM_DENIED;
    }
    node->id = identity.id;
    node->cluster = identity.cluster;
    node->boot = identity.boot + 1;
    node->journal_begun = identity.voted;
    return HM_OK;
}

/* A new id: whoever remembers the old one's votes must not take this node for it. The cluster
 * stays, so that it never founds another. */
static void become_another(struct hm_node *node, const struct hm_id *id)
{
    node->id = *id;
    node->boot = 1;
    node->journal_begun = false;
}

static enum hm_status take_files(struct hm_node *node, const struct hm_disk_file *files,
                                 size_t count, struct hm_buf *error)
{
    const struct hm_disk_file *rejoins = NULL;
    bool identified = false;
    bool journal = false;
    struct hm_id fresh = hm_random_id(&node->random);
    node->id = fresh;
    node->boot = 1;
    node->kept = hm_alloc(count, sizeof *node->kept);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(files[i].name, "identity") == 0) {
            enum hm_status status = take_identity(node, files[i].content, error);
            if (status != HM_OK) {
                return status;
            }
            identified = true;
        } else if (strcmp(files[i].name, HM_NODE_REJOIN_FILE) == 0) {
            rejoins = &files[i];
        } else if (strcmp(files[i].name, HM_NODE_FENCED_FILE) == 0) {
            hm_node_recall_fence(node, files[i].content);
        } else if (strncmp(files[i].name, "journal-", 8) == 0) {
            journal = true;
        } else if (strncmp(files[i].name, "snapshot-", 9) != 0) {
            node->kept[node->kept_count] = files[i];
            node->kept[node->kept_count++].content = hm_bytes_copy(files[i].content);
        }
    }
    if (rejoins && !identified) { /* its control data was put aside */
        enum hm_status status = take_identity(node, rejoins->content, error);
        become_another(node, &fresh);
        return status;
    }
    if (node->is_control && node->journal_begun && !journal) {
        hm_node_log(node, HM_LOG_WARN, "journal is gone",
                    "reason=\"it held what this node voted\" next=\"joins under another id\"");
        become_another(node, &fresh);
    }
    return HM_OK;
}

static void open_engines(struct hm_node *node)
{
    struct hm_peer self = {node->id, node->config.addr};
    struct hm_slice_config slice = {.self = node->id, .rings = node->config.rings};
    node->incarnation = node->boot << 32;
    struct hm_swim_config swim = {.self = self,
                                  .incarnation = node->incarnation,
                                  .restart_grace_ms = node->config.restart_grace_ms};
    hm_slice_init(&node->slice, &slice, hm_random_u64(&node->random));
    hm_members_keep_rings(&node->own_view.members, node->config.rings, false);
    hm_swim_init(&node->swim, &swim, hm_random_u64(&node->random));
    for (unsigned feed = 0; feed < HM_FEED_COUNT; feed++) {
        struct hm_feed_config config = {.feed = (uint8_t)feed, .source = node->is_control};
        if (feed == HM_FEED_MEMBERS && !node->is_control) {
            config.leap = LEAP_EVENTS;
            config.ring_events = LEAP_EVENTS;
        }
        hm_feed_init(&node->feeds[feed], &config, hm_random_u64(&node->random));
    }
    hm_reconcile_init(&node->reconcile, hm_random_u64(&node->random));
    hm_push_init(&node->pusher,
                 &(struct hm_push_config){.self = node->id, .fanout = node->config.push_fanout},
                 hm_random_u64(&node->random));
    hm_keeper_init(&node->keeper, &node->id, hm_hash_id(node->config.seed, &node->id));
    node->calls.last_id = node->boot << 32;
}

enum hm_status hm_node_start(struct hm_node *node, hm_ms now, uint64_t wall_ms,
                             const struct hm_disk_file *files, size_t file_count,
                             struct hm_buf *error)
{
    node->now = now;
    node->wall_offset = wall_ms - now;
    enum hm_status status = take_files(node, files, file_count, error);
    if (status != HM_OK) {
        return status;
    }
    open_engines(node);
    node->phase = HM_PHASE_IDENTIFYING;
    if (node->is_control) {
        status = hm_node_open_control(node, files, file_count, error);
        /* A source goes on from wherever the log begins. */
        hm_feed_start(&node->feeds[HM_FEED_MEMBERS], (struct hm_place){0, 0});
        hm_feed_start(&node->feeds[HM_FEED_STATE], (struct hm_place){0, 0});
    }
    if (status == HM_OK && node->carries_state) {
        node->catalog = hm_catalog_new(node->view, hm_node_catalog_changed, node);
    }
    if (status == HM_OK) {
        status = hm_node_start_modules(node, error);
    }
    if (status != HM_OK) {
        return status;
    }
    if (node->cluster) {
        hm_node_take_generation(node,
                                node->control.raft ? hm_raft_generation(node->control.raft) : 0);
    }
    hm_node_keep_identity(node);
    node->fed = true;
    return HM_OK;
}
