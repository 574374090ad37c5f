/* A node's life: made, started, fed, ticked, stopped. */
#include "core/node/node.h"

#include "core/base/hash.h"
#include "core/node/catalog/catalog.h"
#include "core/node/commands.h"
#include "core/node/consumer/consumer.h"
#include "core/node/consumer/keeping.h"
#include "core/node/control/control.h"
#include "core/node/control/joins.h"
#include "core/node/control/proposals.h"
#include "core/node/control/recovery.h"
#include "core/node/control/verdict.h"
#include "core/node/desk/acts.h"
#include "core/node/desk/calls.h"
#include "core/node/desk/disk.h"
#include "core/node/desk/inside.h"
#include "core/node/desk/requests.h"
#include "core/node/desk/standing.h"
#include "core/node/desk/submit.h"
#include "core/node/dispatch.h"
#include "core/node/events.h"
#include "core/node/host/host.h"
#include "core/node/host/report.h"
#include "core/node/logs/log_admin.h"
#include "core/node/logs/log_calls.h"
#include "core/node/logs/log_reads.h"
#include "core/node/logs/named.h"
#include "core/node/member/emit.h"
#include "core/node/member/feeds.h"
#include "core/node/member/fresh.h"
#include "core/node/member/joining.h"
#include "core/node/member/membership.h"
#include "core/node/member/slices.h"
#include "core/node/modules.h"

#include <stdio.h>
#include <string.h>

#define FOUND_WAIT_MS    10000u
#define RESTART_GRACE_MS 30000u
#define REMOVAL_BRAKE_MS 30000u
#define FANOUT           2u
#define VOTERS_TARGET    3u
#define LEAP_EVENTS      1000u /* member events: who is further behind fetches a fresh slice */
#define STOP_MS          150u  /* what is queued goes out, a leader hands over */

static const struct hm_upward upward = {
    .calls = hm_node_call_hooks, .event = hm_node_on_event, .replaced = hm_node_on_replaced};

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
    struct hm_office office;
    struct hm_proposals proposals;
    struct hm_judge judge;
    struct hm_joins joins;
    struct hm_recovery recovery;
    struct hm_slices slices;
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
    node->office = &whole->office;
    node->proposals = &whole->proposals;
    node->judge = &whole->judge;
    node->joins = &whole->joins;
    node->recovery = &whole->recovery;
    node->slices = &whole->slices;
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
    hm_free(node->log_calls->lanes);
    hm_index_fini(&node->requests.by_token);
    hm_free(node->acts.items);
    hm_free(node->facts->items);
    hm_buf_fini(&node->acts.bytes);
    hm_arena_fini(&node->arena);
    hm_buf_fini(&node->mail);
    hm_buf_fini(&node->own->config);
    hm_buf_fini(&node->bootstrap->after_key);
    hm_free(node);
}

/* ---- started ---- */

static enum hm_status take_identity(struct hm_node *node, struct hm_bytes content,
                                    struct hm_buf *error)
{
    struct hm_arena arena = {0};
    struct hm_message message;
    enum hm_status status = HM_DAMAGED;
    if (content.size > 4) {
        struct hm_bytes body = {content.data, content.size - 4};
        struct hm_reader sum = hm_reader_of((struct hm_bytes){content.data + body.size, 4});
        if (hm_get_u32(&sum) == hm_crc32c(0, body) &&
            hm_message_decode_only(body, HM_MSG_node_identity, &arena, &message) == HM_OK) {
            status = HM_OK;
        }
    }
    if (status != HM_OK) {
        hm_buf_printf(error, "file identity of the data directory is damaged; restore it, or start "
                             "with an empty directory as a new node");
    } else if (!hm_name_equal_nocase(&message.node_identity.name, &node->config.name)) {
        status = HM_DENIED;
        hm_buf_printf(error,
                      "the data directory belongs to node %s and this is node %s; name another "
                      "directory with data:, or set name: %s",
                      message.node_identity.name.text, node->config.name.text,
                      message.node_identity.name.text);
    } else {
        node->id = message.node_identity.id;
        node->cluster = message.node_identity.cluster;
        node->boot = message.node_identity.boot + 1;
        node->journal_begun = message.node_identity.voted;
    }
    hm_arena_fini(&arena);
    return status;
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

/* Its identity is durable: nobody will see two nodes of one boot. */
static void identified(struct hm_node *node)
{
    const struct hm_control *control = &node->control;
    bool has_log = control->raft && (hm_raft_last_index(control->raft) > 0 ||
                                     hm_raft_snapshot_index(control->raft) > 0);
    if (has_log && node->met) {
        node->phase = HM_PHASE_FENCED;
        hm_node_log(node, HM_LOG_ERROR, "fenced", "reason=\"%s\"", hm_node_fence_text());
        return;
    }
    if (has_log && node->cluster) {
        hm_node_become_member(node);
        return;
    }
    if (has_log) {
        /* It stopped while founding. Either its log knows the cluster, and refuses another
         * founding, or the cluster is founded now. */
        hm_node_go_on_founding(node);
        return;
    }
    hm_node_begin_joining(node);
    if (node->config.bootstrap && node->is_control && node->cluster == 0) {
        node->joining.found_at = node->now + node->config.found_wait_ms;
    }
}

/* ---- fed ---- */

void hm_node_stream_up(struct hm_node *node, hm_ms now, const struct hm_addr *addr)
{
    (void)addr;
    node->now = now;
}

static void evidence(struct hm_node *node, const struct hm_addr *addr, bool reset)
{
    const struct hm_member *member = hm_members_find_addr(&node->view->members, addr);
    if (!member) {
        return;
    }
    hm_swim_refused(&node->swim, node->now, &member->id);
    if (reset && node->control.logs) {
        hm_logs_peer_reset(node->control.logs, node->now, &member->id);
    }
}

void hm_node_stream_down(struct hm_node *node, hm_ms now, const struct hm_addr *addr,
                         enum hm_status why)
{
    node->now = now;
    if (why == HM_IO || why == HM_UNREACHABLE) {
        evidence(node, addr, true);
        hm_node_join_peer_lost(node, addr);
        hm_node_call_lost(node, addr);
    }
    node->fed = true;
}

void hm_node_refused(struct hm_node *node, hm_ms now, const struct hm_addr *addr)
{
    node->now = now;
    evidence(node, addr, false);
    node->fed = true;
}

void hm_node_disk_done(struct hm_node *node, hm_ms now, uint64_t number, enum hm_status status)
{
    node->now = now;
    hm_node_on_disk_done(node, number, status);
    node->fed = true;
}

void hm_node_set_wall(struct hm_node *node, hm_ms now, uint64_t wall_ms)
{
    node->wall_offset = wall_ms - now;
    if (node->control.logs) {
        hm_logs_set_wall(node->control.logs, now, wall_ms);
    }
}

void hm_node_set_log_level(struct hm_node *node, enum hm_log_level level)
{
    node->log_level = level;
}

void hm_node_set_join(struct hm_node *node, const struct hm_addr *join, size_t count)
{
    node->config.join_count = count < HM_NODE_JOIN_MAX ? count : HM_NODE_JOIN_MAX;
    memcpy(node->config.join, join, node->config.join_count * sizeof *join);
}

void hm_node_stop(struct hm_node *node, hm_ms now)
{
    node->now = now;
    if (node->phase >= HM_PHASE_STOPPING) {
        return;
    }
    hm_node_log(node, HM_LOG_INFO, "stopping", "name=%s", node->config.name.text);
    if (node->phase == HM_PHASE_MEMBER) {
        hm_node_tell_stopping(node);
        if (hm_node_is_leader(node) && hm_raft_transfer(node->control.raft, now, NULL) != HM_OK) {
            hm_node_log(node, HM_LOG_DEBUG, "leadership stays", "reason=\"nobody to hand it to\"");
        }
        hm_node_hand_over_logs(node);
        node->stop_at = now + STOP_MS;
    } else {
        node->stop_at = now;
    }
    node->phase = HM_PHASE_STOPPING;
    node->fed = true;
}

/* ---- driven ---- */

static void step_phase(struct hm_node *node)
{
    if (node->phase == HM_PHASE_IDENTIFYING && hm_node_files_are_kept(node)) {
        identified(node);
    } else if (node->phase == HM_PHASE_ADOPTING && hm_node_files_are_kept(node)) {
        hm_node_become_member(node);
        hm_node_republish(node);
    }
    bool ends = node->phase == HM_PHASE_STOPPING || node->phase == HM_PHASE_LEAVING;
    if (ends && node->now >= node->stop_at && hm_node_files_are_kept(node)) {
        node->phase = HM_PHASE_STOPPED;
    }
    if (node->phase == HM_PHASE_STOPPED && node->stop_at != 0) {
        node->stop_at = 0; /* said once */
        hm_node_act(node, &(struct hm_act){.kind = HM_ACT_STOPPED, .status = node->stop_status});
    }
}

static void pump(struct hm_node *node)
{
    if (node->phase == HM_PHASE_NEW) {
        return;
    }
    do {
        hm_node_deliver_mail(node);
        step_phase(node);
        hm_node_tick_joining(node);
        hm_node_pump_logs(node);
        hm_node_note_caught_up(node);
        hm_node_refresh_slices(node);
        hm_node_pump_feeds(node);
        hm_node_pump_slice(node);
        hm_node_pump_swim(node);
        hm_node_pump_keeper(node);
        hm_node_pump_verdict(node);
        hm_node_pump_reconcile(node);
        hm_node_pump_host(node);
        hm_node_pump_push(node);
        hm_node_check_reports(node);
    } while (node->mail.size || node->slices->changed);
    hm_node_answer_event_waits(node);
    hm_node_answer_log_waits(node);
    hm_node_pump_disk(node);
    hm_node_check_ready(node);
}

bool hm_node_output(struct hm_node *node, struct hm_act *out)
{
    if (hm_node_next_act(node, out)) {
        return true;
    }
    if (node->fed) {
        node->fed = false;
        pump(node);
    }
    return hm_node_next_act(node, out);
}

void hm_node_tick(struct hm_node *node, hm_ms now)
{
    node->now = now;
    if (node->phase == HM_PHASE_STOPPED || node->phase == HM_PHASE_NEW) {
        return;
    }
    hm_node_tick_disk(node);
    hm_node_tick_control(node);
    if (node->phase == HM_PHASE_MEMBER || node->phase == HM_PHASE_LEAVING) {
        hm_slice_tick(&node->slice, now);
        hm_swim_tick(&node->swim, now);
        hm_node_tick_fresh_slice(node);
        hm_feed_tick(&node->feeds[HM_FEED_MEMBERS], now);
        hm_feed_tick(&node->feeds[HM_FEED_STATE], now);
        hm_reconcile_tick(&node->reconcile, now);
        hm_push_tick(&node->pusher, now);
        hm_keeper_tick(&node->keeper, now);
        hm_node_repeat_reports(node);
        hm_node_tick_bootstrap(node);
    }
    if (node->catalog) {
        hm_catalog_tick(node->catalog, now);
    }
    hm_node_tick_calls(node);
    hm_node_tick_modules(node);
    hm_node_expire_requests(node);
    node->fed = true;
}

static hm_ms sooner(hm_ms a, hm_ms b)
{
    return a < b ? a : b;
}

/* Past it, only the disk is waited for, which will tell. */
static hm_ms stop_deadline(const struct hm_node *node)
{
    return node->stop_at > node->now ? node->stop_at : HM_NEVER;
}

hm_ms hm_node_deadline(const struct hm_node *node)
{
    hm_ms at = HM_NEVER;
    if (node->phase == HM_PHASE_STOPPED || node->phase == HM_PHASE_NEW) {
        return at;
    }
    if (node->phase == HM_PHASE_MEMBER || node->phase == HM_PHASE_LEAVING) {
        at = sooner(at, hm_swim_deadline(&node->swim));
        at = sooner(at, hm_slice_deadline(&node->slice));
        at = sooner(at, node->phase == HM_PHASE_MEMBER ? node->slices->fresh_at : HM_NEVER);
        at = sooner(at, hm_feed_deadline(&node->feeds[HM_FEED_MEMBERS]));
        at = sooner(at, hm_feed_deadline(&node->feeds[HM_FEED_STATE]));
        at = sooner(at, hm_reconcile_deadline(&node->reconcile));
        at = sooner(at, hm_push_deadline(&node->pusher));
        at = sooner(at, hm_keeper_deadline(&node->keeper));
        at = sooner(at, node->report_at);
        at = sooner(at, node->own->submit_at > node->now ? node->own->submit_at : HM_NEVER);
        /* Only a member pulls: a time that has come would be a loop while it leaves. */
        at = sooner(at, node->phase == HM_PHASE_MEMBER ? node->bootstrap->retry_at : HM_NEVER);
    } else if (node->phase == HM_PHASE_JOINING) {
        at = sooner(at, sooner(node->joining.ask_at, node->joining.found_at));
    }
    at = sooner(at, stop_deadline(node));
    at = sooner(at, hm_node_control_deadline(node));
    at = sooner(at, hm_calls_deadline(&node->calls));
    at = sooner(at, hm_node_reports_deadline(node));
    at = sooner(at, hm_node_event_waits_deadline(node));
    at = sooner(at, hm_node_log_waits_deadline(node));
    at = sooner(at, hm_node_modules_deadline(node));
    at = sooner(at, node->disk.busy ? HM_NEVER : node->disk.retry_at);
    at = sooner(at, node->disk.side_retry_at);
    return node->catalog ? sooner(at, hm_catalog_deadline(node->catalog)) : at;
}

/* ---- looked at ---- */

const struct hm_view *hm_node_view(const struct hm_node *node)
{
    return node->view;
}

const struct hm_catalog *hm_node_catalog(const struct hm_node *node)
{
    return node->catalog;
}

const struct hm_slice *hm_node_slice(const struct hm_node *node)
{
    return &node->slice;
}

struct hm_id hm_node_id(const struct hm_node *node)
{
    return node->id;
}
