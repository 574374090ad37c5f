/* What arrives finds its handler here: messages between engines at once, requests through the chain
 * of middlewares, what becomes of our own calls. One row a message, one row a kind of call. */
#include "core/node/dispatch.h"

#include "core/base/assert.h"
#include "core/node/commands.h"
#include "core/node/consumer/consumer.h"
#include "core/node/consumer/keeping.h"
#include "core/node/control/control.h"
#include "core/node/control/control_status.h"
#include "core/node/control/joins.h"
#include "core/node/control/proposals.h"
#include "core/node/control/recovery.h"
#include "core/node/control/verdict.h"
#include "core/node/desk/envelope.h"
#include "core/node/desk/requests.h"
#include "core/node/desk/standing.h"
#include "core/node/desk/submit.h"
#include "core/node/host/host.h"
#include "core/node/host/report.h"
#include "core/node/logs/backup.h"
#include "core/node/logs/log_admin.h"
#include "core/node/logs/log_calls.h"
#include "core/node/member/emit.h"
#include "core/node/member/feeds.h"
#include "core/node/member/fresh.h"
#include "core/node/member/joining.h"
#include "core/node/member/membership.h"
#include "core/node/member/slices.h"
#include "core/node/modules.h"

typedef void message_handler(struct hm_node *node, const struct hm_peer *from,
                             const struct hm_message *message);
typedef void request_handler(struct hm_node *node, const struct hm_request *request);

struct row {
    message_handler *message; /* between engines, or an answer */
    request_handler *request; /* asks for something: passes the chain, is answered */
    bool peers;               /* a request not of the control socket alone */
    bool strangers;           /* also from nodes that are no members */
    bool fenced;              /* also while this node is fenced */
    bool passing; /* also from those whom a node does not know that cannot tell who is a member */
};

static void on_version_reply(struct hm_node *node, const struct hm_peer *from,
                             const struct hm_message *message)
{
    (void)from;
    hm_node_report_version(node, message->version_reply.call, &message->version_reply.version);
}

/* A digest that was asked for, by a joiner or by a member in want of a slice. */
static void on_joined(struct hm_node *node, const struct hm_peer *from,
                      const struct hm_message *message)
{
    if (!hm_node_on_fresh_slice(node, &message->joined)) {
        hm_node_on_joined(node, from, message);
    }
}

static const struct row rows[] = {
    [HM_MSG_ping] = {.message = hm_node_on_swim, .passing = true},
    [HM_MSG_ack] = {.message = hm_node_on_swim, .passing = true},
    [HM_MSG_probe_request] = {.message = hm_node_on_swim, .passing = true},
    [HM_MSG_probe_result] = {.message = hm_node_on_swim, .passing = true},
    [HM_MSG_suspect] = {.message = hm_node_on_swim, .passing = true},
    [HM_MSG_alive] = {.message = hm_node_on_swim, .passing = true},
    [HM_MSG_stopping] = {.message = hm_node_on_swim},
    [HM_MSG_slice_ask] = {.message = hm_node_on_slice, .passing = true},
    [HM_MSG_slice_tell] = {.message = hm_node_on_slice, .passing = true},
    [HM_MSG_report] = {.message = hm_node_on_report},
    [HM_MSG_hint] = {.message = hm_node_on_hint, .passing = true},
    [HM_MSG_feed_event] = {.message = hm_node_on_feed, .passing = true},
    [HM_MSG_feed_pull] = {.message = hm_node_on_feed, .passing = true},
    [HM_MSG_feed_range] = {.message = hm_node_on_feed, .passing = true},
    [HM_MSG_feed_quiet] = {.message = hm_node_on_feed, .passing = true},
    [HM_MSG_feed_behind] = {.message = hm_node_on_feed, .passing = true},
    [HM_MSG_push] = {.message = hm_node_on_reconcile, .passing = true},
    [HM_MSG_pushed] = {.message = hm_node_on_pushed},
    [HM_MSG_reconcile_summary] = {.message = hm_node_on_reconcile},
    [HM_MSG_reconcile_versions] = {.message = hm_node_on_reconcile},
    [HM_MSG_reconcile_deltas] = {.message = hm_node_on_reconcile},
    [HM_MSG_config_pull] = {.message = hm_node_on_config_pull},
    /* A voter's Raft messages count whether or not it is a member at the moment. */
    [HM_MSG_vote_request] = {.message = hm_node_on_log, .strangers = true},
    [HM_MSG_vote_reply] = {.message = hm_node_on_log, .strangers = true},
    [HM_MSG_append] = {.message = hm_node_on_log, .strangers = true},
    [HM_MSG_append_reply] = {.message = hm_node_on_log, .strangers = true},
    [HM_MSG_snapshot_chunk] = {.message = hm_node_on_log, .strangers = true},
    [HM_MSG_snapshot_reply] = {.message = hm_node_on_log, .strangers = true},
    [HM_MSG_timeout_now] = {.message = hm_node_on_log, .strangers = true},
    [HM_MSG_joined] = {.message = on_joined, .strangers = true},
    [HM_MSG_refusal] = {.message = hm_node_on_refusal, .strangers = true, .fenced = true},
    [HM_MSG_submitted] = {.message = hm_node_on_submitted, .strangers = true},
    [HM_MSG_records_page] = {.message = hm_node_on_records_page},
    [HM_MSG_version_reply] = {.message = on_version_reply},
    [HM_MSG_answer] = {.message = hm_node_on_reply},
    [HM_MSG_status_reply] = {.message = hm_node_on_reply},
    [HM_MSG_members_reply] = {.message = hm_node_on_reply},
    [HM_MSG_services_reply] = {.message = hm_node_on_reply},
    [HM_MSG_events_reply] = {.message = hm_node_on_reply},
    [HM_MSG_control_reply] = {.message = hm_node_on_reply},
    [HM_MSG_join] = {.request = hm_node_on_join, .peers = true, .strangers = true},
    [HM_MSG_submit] = {.request = hm_node_on_submit, .peers = true},
    [HM_MSG_records_pull] = {.request = hm_node_on_records_pull, .peers = true},
    [HM_MSG_version_query] = {.request = hm_node_on_version_query, .peers = true},
    [HM_MSG_status_query] = {.request = hm_node_on_status_query, .peers = true, .fenced = true},
    [HM_MSG_members_query] = {.request = hm_node_on_members_query, .peers = true},
    [HM_MSG_services_query] = {.request = hm_node_on_services_query, .peers = true},
    [HM_MSG_events_query] = {.request = hm_node_on_events_query, .peers = true},
    [HM_MSG_keepalive] = {.request = hm_node_on_keepalive, .peers = true, .strangers = true},
    [HM_MSG_emit] = {.request = hm_node_on_emit},
    [HM_MSG_leave] = {.request = hm_node_on_leave},
    [HM_MSG_recover] = {.request = hm_node_on_recover, .fenced = true},
    [HM_MSG_rejoin] = {.request = hm_node_on_rejoin, .fenced = true},
    [HM_MSG_backup_query] = {.request = hm_node_on_backup_query, .fenced = true},
    [HM_MSG_index_query] = {.message = hm_node_on_index_query},
    [HM_MSG_index_reply] = {.message = hm_node_on_index_reply},
    [HM_MSG_log_listed] = {.message = hm_node_on_reply},
    [HM_MSG_log_page] = {.message = hm_node_on_reply},
    [HM_MSG_log_members_reply] = {.message = hm_node_on_reply},
    [HM_MSG_log_create] = {.request = hm_node_on_log_create, .peers = true},
    [HM_MSG_log_delete] = {.request = hm_node_on_log_delete, .peers = true},
    [HM_MSG_log_list] = {.request = hm_node_on_log_list, .peers = true},
    [HM_MSG_log_write] = {.request = hm_node_on_log_call, .peers = true},
    [HM_MSG_log_read] = {.request = hm_node_on_log_call, .peers = true},
    [HM_MSG_log_query] = {.request = hm_node_on_log_call, .peers = true},
    [HM_MSG_log_members] = {.request = hm_node_on_log_call, .peers = true},
    [HM_MSG_log_change] = {.request = hm_node_on_log_call, .peers = true},
    [HM_MSG_control_query] = {.request = hm_node_on_control_query, .peers = true, .fenced = true},
};

const struct hm_call_hooks hm_node_call_hooks[HM_CALL_KIND_COUNT] = {
    [HM_CALL_HOST] = {.submitted = hm_node_host_submitted, .untaken = hm_node_host_untaken},
    [HM_CALL_RETURN] = {.submitted = hm_node_return_submitted},
    [HM_CALL_LEAVE] = {.submitted = hm_node_leave_submitted, .expired = hm_node_leave_expired},
    [HM_CALL_WRITE] = {.submitted = hm_node_module_written,
                       .expired = hm_node_module_write_expired},
    [HM_CALL_EMIT] = {.submitted = hm_node_emit_submitted, .expired = hm_node_emit_expired},
    [HM_CALL_KEEP] = {.submitted = hm_node_keep_submitted},
    [HM_CALL_FORWARD] = {.answered = hm_node_forward_answered, .expired = hm_node_forward_expired},
    [HM_CALL_MEMBERS] = {.answered = hm_node_report_members, .expired = hm_node_report_nobody},
    [HM_CALL_LOGS] = {.submitted = hm_node_log_record_submitted,
                      .expired = hm_node_log_record_expired},
    [HM_CALL_LOG] = {.send = hm_node_send_log_call,
                     .answered = hm_node_log_call_answered,
                     .expired = hm_node_log_call_expired},
};

static const struct row *find(enum hm_message_kind kind)
{
    static const struct row none;
    return (size_t)kind < sizeof rows / sizeof *rows ? &rows[kind] : &none;
}

/* ---- requests ---- */

/* The role that does what a node without it is asked for in vain. */
static const char *role_for(enum hm_message_kind kind)
{
    return kind == HM_MSG_zones_query || kind == HM_MSG_zone_forget ? "dns" : "host";
}

void hm_node_request(struct hm_node *node, const struct hm_request *request)
{
    if (node->phase == HM_PHASE_FENCED && !find(request->message->kind)->fenced) {
        hm_node_answer_status(node, request->token, HM_STALE, "node %s: %s", node->config.name.text,
                              hm_node_fence_text());
        return;
    }
    enum hm_status status = hm_node_run_chain(node, request);
    if (status == HM_OK) {
        request_handler *handler = find(request->message->kind)->request;
        if (handler) {
            handler(node, request);
            return;
        }
        status = hm_node_offer_request(node, request);
    }
    if (status == HM_NOT_FOUND) {
        hm_node_answer_status(node, request->token, status,
                              "node %s has no role that does this; run it on a node with role %s",
                              node->config.name.text, role_for(request->message->kind));
    } else if (status != HM_OK) {
        hm_node_answer_status(node, request->token, status, "%s: %s",
                              hm_message_name(request->message->kind), hm_status_text(status));
    }
}

static void open_and_request(struct hm_node *node, struct hm_origin *origin,
                             const struct hm_message *message)
{
    struct hm_message copy = *message;
    uint64_t *call = hm_node_call_of(&copy);
    if (!call) {
        node->dropped++;
        return;
    }
    origin->call = *call;
    struct hm_request request = {.message = message};
    request.from = origin->local ? (struct hm_id){{0}} : origin->peer.id;
    request.token = hm_node_open_request(node, origin);
    if (request.token) {
        hm_node_request(node, &request);
    }
}

/* ---- messages ---- */

void hm_node_deliver(struct hm_node *node, const struct hm_peer *from,
                     const struct hm_message *message)
{
    const struct row *row = find(message->kind);
    bool member = hm_members_find(&node->view->members, &from->id) != NULL;
    /* Only those who know everybody can tell who is a member; a control node whose log has not come
     * yet hears everyone. */
    bool judges = node->is_control && node->view->cluster != 0;
    bool passes = row->strangers || (!judges && (row->passing || node->is_control));
    if (node->phase == HM_PHASE_FENCED && !row->fenced) {
        hm_node_refuse_peer(node, from, HM_STALE, hm_node_fence_text());
    } else if (!row->message && !row->request &&
               hm_message_class(message->kind) != HM_CLASS_CONTROL) {
        node->dropped++;
    } else if (!member && !passes) {
        if (judges && message->kind == HM_MSG_ping && node->phase == HM_PHASE_MEMBER) {
            hm_node_refuse_peer(node, from, HM_REMOVED, "not a member (any more); join again");
        }
    } else if (row->message) {
        row->message(node, from, message);
    } else if (!row->peers) {
        /* A command: what it would do is for the people of this machine to say. */
        node->dropped++;
    } else {
        struct hm_origin origin = {.peer = *from};
        open_and_request(node, &origin, message);
    }
}

/* Answers to a command that was passed on look like messages; commands are requests of their own.
 */
void hm_node_control(struct hm_node *node, hm_ms now, uint64_t connection, struct hm_bytes bytes)
{
    node->now = now;
    struct hm_reader in = hm_reader_of(bytes);
    struct hm_message message;
    if (hm_message_decode(&in, &node->arena, &message) != HM_OK || hm_reader_left(&in) ||
        hm_message_class(message.kind) != HM_CLASS_CONTROL) {
        node->dropped++;
    } else {
        struct hm_origin origin = {.local = true, .connection = connection};
        open_and_request(node, &origin, &message);
    }
    hm_arena_clear(&node->arena);
    node->fed = true;
}

void hm_node_control_closed(struct hm_node *node, hm_ms now, uint64_t connection)
{
    node->now = now;
    hm_node_forget_asker(node, connection);
    hm_node_close_backup(node, connection);
}

void hm_node_deliver_mail(struct hm_node *node)
{
    struct hm_peer self = {node->id, node->config.addr};
    while (node->mail.size) {
        struct hm_buf mail = node->mail;
        node->mail = (struct hm_buf){0};
        struct hm_reader in = hm_reader_of(hm_buf_view(&mail));
        while (hm_reader_left(&in)) {
            struct hm_arena arena = {0};
            struct hm_message message;
            struct hm_reader one = hm_reader_of(hm_get_bytes(&in, hm_get_u32(&in)));
            enum hm_status status = hm_message_decode(&one, &arena, &message);
            HM_ASSERT(status == HM_OK);
            hm_node_deliver(node, &self, &message);
            hm_arena_fini(&arena);
        }
        hm_buf_fini(&mail);
    }
}

/* May a payload with this cluster in its header be looked into? A stranger may only ask to join or
 * to be kept, a node without a cluster only hear about its own asking. */
static bool is_of_our_cluster(const struct hm_node *node, uint64_t cluster,
                              const struct hm_message *message)
{
    enum hm_message_kind kind = message->kind;
    bool about_joining = kind == HM_MSG_join || kind == HM_MSG_joined || kind == HM_MSG_refusal ||
                         kind == HM_MSG_keepalive;
    /* Generations of one cluster speak about joining alone; a lite host knows of none. */
    bool crosses = (kind == HM_MSG_join && message->join.cluster == node->cluster) ||
                   (kind == HM_MSG_joined && message->joined.cluster == node->cluster) ||
                   (kind == HM_MSG_keepalive && message->keepalive.cluster == node->cluster);
    if (node->cluster == 0 || cluster == 0) {
        return about_joining;
    }
    return cluster == hm_node_mark(node) || kind == HM_MSG_refusal || crosses;
}

void hm_node_receive(struct hm_node *node, hm_ms now, const struct hm_addr *from, bool stream,
                     uint64_t cluster, struct hm_bytes payload)
{
    node->now = now;
    struct hm_reader in = hm_reader_of(payload);
    struct hm_peer peer = {{{0}}, {0}};
    if (!hm_node_get_envelope(&in, &peer) || hm_id_equal(&peer.id, &node->id)) {
        node->dropped++;
        return;
    }
    if (!stream && hm_addr_is_none(&peer.addr)) {
        peer.addr = *from;
    }
    while (hm_reader_left(&in)) {
        struct hm_message message;
        if (hm_message_decode(&in, &node->arena, &message) != HM_OK) {
            node->dropped++;
            break;
        }
        if (is_of_our_cluster(node, cluster, &message)) {
            hm_node_deliver(node, &peer, &message);
        } else if (stream && cluster && node->cluster) {
            /* Whose generation of this cluster is older sees so by the refusal's. */
            hm_node_refuse_peer(node, &peer, HM_WRONG_CLUSTER,
                                "this is another cluster, or it was recovered since");
            break;
        }
    }
    hm_arena_clear(&node->arena);
    node->fed = true;
}
