/* What a node consumes: the records at its bootstrap, the host configs that are pushed to it, and
 * hints. */
#include "core/node/consumer/consumer.h"

#include "core/node/catalog/catalog.h"
#include "core/node/consumer/keeping.h"
#include "core/node/desk/acts.h"
#include "core/node/desk/peers.h"
#include "core/node/desk/requests.h"

#define PULL_RETRY_MS 1000u
#define PULL_AGAIN_MS 20u
#define PAGE_BYTES    (256u << 10)
#define PAGE_RECORDS  1024u

void hm_node_reload_catalog(struct hm_node *node)
{
    if (node->catalog) {
        hm_catalog_reload(node->catalog);
    }
    if (node->consumes) {
        hm_reconcile_repeat(&node->reconcile); /* of hosts that the catalog had not heard of */
    }
}

/* ---- bootstrap ---- */

/* The first try goes to a peer of our kind, if there is one; then the control plane is asked. */
static bool pick_source(struct hm_node *node, struct hm_peer *out)
{
    struct hm_bootstrap *bootstrap = node->bootstrap;
    if (!bootstrap->asked_peer) {
        bootstrap->asked_peer = true;
        for (size_t i = 0; i < node->view->members.count; i++) {
            const struct hm_member *member = node->view->members.items[i];
            if ((member->feeds & HM_MEMBER_CONSUMES) && !hm_id_equal(&member->id, &node->id)) {
                *out = (struct hm_peer){member->id, member->addr};
                return true;
            }
        }
    }
    return hm_node_pick_control(node, 0, out);
}

static void pull(struct hm_node *node)
{
    struct hm_bootstrap *bootstrap = node->bootstrap;
    struct hm_peer source;
    bootstrap->retry_at = node->now + PULL_RETRY_MS;
    if (!pick_source(node, &source)) {
        return;
    }
    bootstrap->call = ++node->calls.last_id;
    hm_node_send(
        node, &source,
        &(struct hm_message){.kind = HM_MSG_records_pull,
                             .records_pull = {.call = bootstrap->call,
                                              .after_scope = bootstrap->after_scope,
                                              .after_key = hm_buf_view(&bootstrap->after_key)}});
}

/* Every host is asked for its own word: what it pushed to others may not be committed yet. */
static void ask_hosts(struct hm_node *node)
{
    for (size_t i = 0; i < node->view->members.count; i++) {
        const struct hm_member *member = node->view->members.items[i];
        if (hm_member_has_role(member, "host")) {
            hm_node_send(node, &(struct hm_peer){member->id, member->addr},
                         &(struct hm_message){.kind = HM_MSG_config_pull,
                                              .config_pull = {.host = member->id}});
        }
    }
}

void hm_node_start_bootstrap(struct hm_node *node)
{
    struct hm_bootstrap *bootstrap = node->bootstrap;
    if (node->is_control) {
        /* Its records come through the log. */
        bootstrap->done = true;
        bootstrap->retry_at = HM_NEVER;
        ask_hosts(node);
        return;
    }
    bootstrap->asked_peer = false;
    bootstrap->after_scope = (struct hm_name){0};
    hm_buf_clear(&bootstrap->after_key);
    pull(node);
}

void hm_node_tick_bootstrap(struct hm_node *node)
{
    if (node->now >= node->bootstrap->retry_at && node->phase == HM_PHASE_MEMBER) {
        pull(node);
    }
}

void hm_node_on_records_pull(struct hm_node *node, const struct hm_request *request)
{
    const struct hm_records_pull *query = &request->message->records_pull;
    const struct hm_records *records = &node->view->records;
    struct hm_message reply = {.kind = HM_MSG_records_page};
    struct hm_records_page *page = &reply.records_page;
    bool ready = node->is_control ? hm_raft_has_quorum(node->control.raft, node->now)
                                  : node->consumes && node->bootstrap->done;
    if (node->phase != HM_PHASE_MEMBER || !ready) {
        page->status = HM_NOT_READY;
        hm_node_answer(node, request->token, &reply);
        return;
    }
    struct hm_arena arena = {0};
    size_t bytes = 0;
    size_t at = hm_records_after(records, &query->after_scope, query->after_key);
    page->state_place = hm_feed_place(&node->feeds[HM_FEED_STATE]);
    page->records = hm_arena_alloc(&arena, PAGE_RECORDS, sizeof *page->records);
    for (; at < records->count && page->records_count < PAGE_RECORDS && bytes < PAGE_BYTES; at++) {
        page->records[page->records_count++] = *records->items[at];
        bytes += records->items[at]->value.size;
    }
    if (query->after_scope.size == 0) {
        page->scopes = records->scopes;
        page->scopes_count = (uint32_t)records->scope_count;
    }
    page->last = at == records->count;
    hm_node_answer(node, request->token, &reply);
    hm_arena_fini(&arena);
}

static void take_first_page(struct hm_node *node, const struct hm_records_page *page)
{
    struct hm_view *view = &node->own_view;
    hm_records_fini(&view->records);
    view->state_position = page->state_place.position;
    for (uint32_t i = 0; i < page->scopes_count; i++) {
        hm_records_load_scope(&view->records, &page->scopes[i]);
    }
    hm_feed_start(&node->feeds[HM_FEED_STATE], page->state_place);
    hm_feed_set_history(&node->feeds[HM_FEED_STATE], &view->history);
}

/* Records of a place before ours, or before that of an earlier page, are not what the events that
 * we are to follow changed; and what these removed would stay. */
static bool is_behind_us(const struct hm_node *node, struct hm_place place)
{
    return hm_feed_is_ahead(hm_feed_place(&node->feeds[HM_FEED_STATE]), place);
}

void hm_node_on_records_page(struct hm_node *node, const struct hm_peer *from,
                             const struct hm_message *message)
{
    const struct hm_records_page *page = &message->records_page;
    struct hm_bootstrap *bootstrap = node->bootstrap;
    (void)from;
    if (page->call != bootstrap->call || bootstrap->retry_at == HM_NEVER || node->is_control) {
        return;
    }
    if (page->status != HM_OK || is_behind_us(node, page->state_place)) {
        /* A peer that is no further than we are: the control plane is asked instead, soon. */
        bootstrap->retry_at = node->now + PULL_AGAIN_MS;
        return;
    }
    if (bootstrap->after_scope.size == 0) {
        take_first_page(node, page);
    }
    for (uint32_t i = 0; i < page->records_count; i++) {
        hm_records_load(&node->own_view.records, &page->records[i]);
    }
    if (!page->last && page->records_count) {
        const struct hm_record *last = &page->records[page->records_count - 1];
        bootstrap->after_scope = last->scope;
        hm_buf_clear(&bootstrap->after_key);
        hm_buf_append(&bootstrap->after_key, last->key.data, last->key.size);
        pull(node);
        return;
    }
    bootstrap->retry_at = HM_NEVER;
    bootstrap->done = true;
    node->stale = false;
    hm_node_log(node, HM_LOG_INFO, "bootstrapped", "records=%zu", node->own_view.records.count);
    hm_node_reload_catalog(node);
    hm_node_reload_lites(node);
    ask_hosts(node);
}

/* ---- pushed host configs ---- */

void hm_node_on_reconcile(struct hm_node *node, const struct hm_peer *from,
                          const struct hm_message *message)
{
    if (node->consumes) {
        (void)hm_reconcile_input(&node->reconcile, node->now, from, message);
    }
}

static void apply_push(struct hm_node *node, struct hm_bytes bytes)
{
    struct hm_arena arena = {0};
    struct hm_message message;
    if (hm_message_decode_only(bytes, HM_MSG_push, &arena, &message) == HM_OK) {
        hm_keeper_pushed(&node->keeper, node->now, &message.push.state);
        node->dropped += hm_catalog_push(node->catalog, &message.push.state) == HM_BAD_BYTES;
    }
    hm_arena_fini(&arena);
}

void hm_node_pump_reconcile(struct hm_node *node)
{
    struct hm_effect effect;
    while (node->consumes && hm_reconcile_output(&node->reconcile, &effect)) {
        if (effect.kind == HM_EFFECT_SEND) {
            hm_node_send_bytes(node, &effect.peer, effect.message);
        } else if (effect.kind == HM_EFFECT_APPLY) {
            apply_push(node, effect.message);
        }
    }
}

/* ---- hints ---- */

void hm_node_on_hint(struct hm_node *node, const struct hm_peer *from,
                     const struct hm_message *message)
{
    (void)from;
    if (node->catalog) {
        hm_catalog_suspect(node->catalog, &message->hint.target,
                           message->hint.suspected ? node->now + HM_HINT_MS : 0);
    }
}
