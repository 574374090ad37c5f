/* Lite hosts, as a node keeps them or follows how others do: the keeper's effects, and what it is
 * told. The members that consume pushed configs keep: what a lite host says reaches them at once
 * and without quorum, and only they answer for it. Where there are none, the control plane does. */
#include "core/node/consumer/keeping.h"

#include "core/node/catalog/catalog.h"
#include "core/node/desk/acts.h"
#include "core/node/desk/peers.h"
#include "core/node/desk/requests.h"
#include "core/node/desk/submit.h"

void hm_node_refresh_keepers(struct hm_node *node)
{
    const struct hm_members *members = &node->view->members;
    struct hm_peer *peers = hm_alloc(members->count + 1, sizeof *peers);
    size_t count = 0;
    for (size_t i = 0; i < members->count; i++) {
        const struct hm_member *member = members->items[i];
        if (member->feeds & HM_MEMBER_CONSUMES) {
            peers[count++] = (struct hm_peer){member->id, member->addr};
        }
    }
    if (count == 0) {
        count = hm_node_peers_with_role(node, "control", peers, members->count);
    }
    hm_keeper_set_candidates(&node->keeper, node->now, peers, count);
    hm_free(peers);
}

/* Asked for whenever it matters: SWIM does not say of one that it watches no more, or had only
 * asked others about, that it is well. */
static void refresh_doubts(struct hm_node *node)
{
    struct hm_id unwell[4 * HM_RINGS_MAX];
    size_t count = hm_swim_unwell(&node->swim, unwell, sizeof unwell / sizeof *unwell);
    hm_keeper_set_doubts(&node->keeper, unwell, count);
}

void hm_node_on_keepalive(struct hm_node *node, const struct hm_request *request)
{
    const struct hm_origin *origin = hm_node_origin(node, request->token);
    struct hm_peer from = origin ? origin->peer : (struct hm_peer){{{0}}, {0}};
    hm_node_close_request(node, request->token);
    if (hm_addr_is_none(&from.addr) || hm_id_is_none(&from.id)) {
        node->dropped++;
    } else if (node->phase != HM_PHASE_MEMBER) {
        hm_node_send(
            node, &from,
            &(struct hm_message){
                .kind = HM_MSG_keepalive_reply,
                .keepalive_reply = {.call = request->message->keepalive.call,
                                    .status = HM_NOT_READY,
                                    .reason = hm_bytes_of_text("this node is no member itself")}});
    } else {
        refresh_doubts(node);
        (void)hm_keeper_input(&node->keeper, node->now, &from, request->message);
    }
}

/* ---- what the log says ---- */

static void recorded(struct hm_node *node, const struct hm_lite *lite)
{
    struct hm_arena arena = {0};
    struct hm_host_state state = {0};
    if (node->consumes) {
        hm_reconcile_admit(&node->reconcile, node->now, &lite->id);
    }
    if (hm_view_host(node->view, &lite->id, &arena, &state)) {
        struct hm_braked braked;
        hm_keeper_recorded(&node->keeper, node->now, lite, &state.version);
        hm_keeper_braked(&node->keeper, &lite->id, hm_view_braked(node->view, &lite->id, &braked));
    }
    hm_arena_fini(&arena);
}

void hm_node_on_lite_event(struct hm_node *node, const struct hm_message *body)
{
    const struct hm_id *id;
    if (body->kind == HM_MSG_lite_kept) {
        const struct hm_lite *lite = &body->lite_kept.lite;
        id = &lite->id;
        if (node->catalog) {
            hm_catalog_refresh_lite(node->catalog, &lite->name);
        }
        recorded(node, lite);
    } else {
        id = &body->lite_gone.id;
        if (node->catalog) {
            hm_catalog_refresh(node->catalog, id);
        }
        if (node->consumes) {
            hm_reconcile_forget(&node->reconcile, id);
        }
        hm_keeper_gone(&node->keeper, node->now, id);
    }
}

void hm_node_reload_lites(struct hm_node *node)
{
    struct hm_name name = {0};
    for (size_t i = node->keeper.count; i > 0; i--) {
        const struct hm_keeper_entry *entry = &node->keeper.entries[i - 1];
        struct hm_lite lite;
        struct hm_id id = entry->id;
        if (entry->recorded && (!hm_view_lite(node->view, &entry->record.name, &lite) ||
                                !hm_id_equal(&lite.id, &id))) {
            hm_keeper_gone(&node->keeper, node->now, &id);
        }
    }
    for (struct hm_lite lite; hm_view_next_lite(node->view, &name, &lite);) {
        recorded(node, &lite);
    }
}

/* ---- what the keeper wants ---- */

/* The highest config that is known of it: pushed, or committed. */
static void adopt(struct hm_node *node, const struct hm_id *id)
{
    struct hm_arena arena = {0};
    struct hm_buf pushed = {0};
    struct hm_host_state state = {.host = *id};
    const struct hm_catalog_host *host = node->catalog ? hm_catalog_host(node->catalog, id) : NULL;
    if (hm_view_host(node->view, id, &arena, &state)) {
        struct hm_version committed = state.version;
        if (host && hm_version_compare(&host->version, &committed) > 0) {
            hm_message_encode(&pushed, &(struct hm_message){.kind = HM_MSG_host_config,
                                                            .host_config = *host->config});
            state.config = hm_buf_view(&pushed);
            state.version = host->version;
        }
        hm_keeper_adopt(&node->keeper, node->now, &state, &committed);
    }
    hm_buf_fini(&pushed);
    hm_arena_fini(&arena);
}

static void log_expired(struct hm_node *node, const struct hm_id *id)
{
    const struct hm_catalog_host *host = node->catalog ? hm_catalog_host(node->catalog, id) : NULL;
    char text[HM_ID_TEXT_BYTES];
    hm_node_log(node, HM_LOG_INFO, "lease expired", "name=%s id=%s", host ? host->name.text : "?",
                hm_id_format(id, text));
}

static void carry_out(struct hm_node *node, struct hm_bytes bytes)
{
    struct hm_arena arena = {0};
    struct hm_message message;
    struct hm_reader in = hm_reader_of(bytes);
    if (hm_message_decode(&in, &arena, &message) != HM_OK) {
        node->dropped++;
    } else if (message.kind == HM_MSG_push && node->consumes) {
        (void)hm_reconcile_offer(&node->reconcile, node->now, &message.push.state);
    } else if (message.kind == HM_MSG_push) {
        if (node->catalog && hm_catalog_push(node->catalog, &message.push.state) == HM_BAD_BYTES) {
            node->dropped++;
        }
    } else {
        hm_node_submit(node, &message, HM_CALL_KEEP, 0, HM_NEVER);
    }
    hm_arena_fini(&arena);
}

void hm_node_pump_keeper(struct hm_node *node)
{
    struct hm_effect effect;
    hm_keeper_set_cluster(&node->keeper, node->cluster);
    while (hm_keeper_output(&node->keeper, &effect)) {
        struct hm_id id = effect.peer.id;
        switch (effect.kind) {
        case HM_EFFECT_SEND:
            hm_node_send_bytes(node, &effect.peer, effect.message);
            break;
        case HM_EFFECT_APPLY:
            carry_out(node, effect.message);
            break;
        case HM_EFFECT_NOTIFY:
            if (effect.notice == HM_KEEPER_ADOPT) {
                adopt(node, &id);
            } else {
                log_expired(node, &id);
            }
            break;
        default:
            break;
        }
    }
}

void hm_node_keep_submitted(struct hm_node *node, const struct hm_call *call,
                            const struct hm_submitted *answer)
{
    struct hm_arena arena = {0};
    struct hm_message carrier;
    struct hm_message request;
    struct hm_reader in = {0};
    if (hm_message_decode_only(hm_buf_view(&call->message), HM_MSG_submit, &arena, &carrier) ==
        HM_OK) {
        in = hm_reader_of(carrier.submit.request);
    }
    if (hm_message_decode(&in, &arena, &request) == HM_OK) {
        bool keep = request.kind == HM_MSG_request_keep;
        const struct hm_id *id = keep ? &request.request_keep.lite.id : &request.request_lapse.id;
        const struct hm_version *version =
            keep ? &request.request_keep.state.version : &request.request_lapse.version;
        hm_keeper_submitted(&node->keeper, node->now, id, version, (enum hm_status)answer->status,
                            answer->reason);
    }
    hm_arena_fini(&arena);
}
