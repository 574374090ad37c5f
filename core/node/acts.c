/* What a node wants done: queued here, popped by the adapter. And who is reached where. */
#include "core/node/internal.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* What a burst made large is given back. */
#define KEEP_BYTES (1u << 20)

void hm_node_act(struct hm_node *node, const struct hm_act *act)
{
    if (node->act_first == node->act_count) {
        node->act_first = node->act_count = 0;
        hm_buf_reuse(&node->act_bytes, KEEP_BYTES);
    }
    node->acts = hm_grow(node->acts, node->act_count, &node->act_capacity, sizeof *node->acts);
    struct hm_queued_act *queued = &node->acts[node->act_count++];
    *queued = (struct hm_queued_act){.act = *act, .offset = node->act_bytes.size};
    hm_buf_append(&node->act_bytes, act->bytes.data, act->bytes.size);
}

bool hm_node_output(struct hm_node *node, struct hm_act *out)
{
    if (node->act_first == node->act_count && node->fed) {
        node->fed = false;
        hm_node_pump(node);
    }
    if (node->act_first == node->act_count) {
        return false;
    }
    const struct hm_queued_act *queued = &node->acts[node->act_first++];
    *out = queued->act;
    out->bytes.data = node->act_bytes.data ? node->act_bytes.data + queued->offset : NULL;
    return true;
}

void hm_node_log(struct hm_node *node, enum hm_log_level level, const char *event,
                 const char *format, ...)
{
    char line[1024];
    if (level > node->log_level) {
        return;
    }
    int used = snprintf(line, sizeof line, "msg=\"%s\" ", event);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line + used, sizeof line - (size_t)used, format, arguments);
    va_end(arguments);
    /* Reasons and names come from others: a line stays a line. */
    for (char *letter = line; *letter; letter++) {
        *letter = iscntrl((unsigned char)*letter) ? ' ' : *letter;
    }
    hm_node_act(node, &(struct hm_act){
                          .kind = HM_ACT_LOG, .level = level, .bytes = hm_bytes_of_text(line)});
}

bool hm_node_find_peer(const struct hm_node *node, const struct hm_id *id, struct hm_peer *out)
{
    const struct hm_member *member = hm_members_find(&node->view->members, id);
    if (member) {
        *out = (struct hm_peer){member->id, member->addr};
        return true;
    }
    size_t count = 0;
    const struct hm_voter *voters =
        node->control.raft ? hm_raft_voters(node->control.raft, &count) : NULL;
    for (size_t i = 0; i < count; i++) { /* before the log has come */
        if (hm_id_equal(&voters[i].id, id) && !hm_addr_is_none(&voters[i].addr)) {
            *out = (struct hm_peer){voters[i].id, voters[i].addr};
            return true;
        }
    }
    return false;
}

/* What every payload starts with: who speaks, and on a stream, whose source port says nothing,
 * where it is reached. */
static void put_envelope(const struct hm_node *node, bool stream, struct hm_buf *out)
{
    hm_buf_append(out, node->id.bytes, sizeof node->id.bytes);
    hm_put_u8(out, stream ? node->config.addr.family : 0);
    if (stream) {
        hm_buf_append(out, node->config.addr.ip, hm_addr_ip_bytes(&node->config.addr));
        hm_put_varint(out, node->config.addr.port);
    }
}

static bool get_envelope(struct hm_reader *in, struct hm_peer *from)
{
    struct hm_bytes id = hm_get_bytes(in, sizeof from->id.bytes);
    struct hm_addr addr = {.family = hm_get_u8(in)};
    if (in->bad || (addr.family != 0 && addr.family != 4 && addr.family != 6)) {
        return false;
    }
    memcpy(from->id.bytes, id.data, id.size);
    if (addr.family) {
        struct hm_bytes ip = hm_get_bytes(in, hm_addr_ip_bytes(&addr));
        uint64_t port = hm_get_varint(in);
        if (in->bad || port == 0 || port > UINT16_MAX) {
            return false;
        }
        memcpy(addr.ip, ip.data, ip.size);
        addr.port = (uint16_t)port;
        from->addr = addr;
    }
    return true;
}

void hm_node_send_bytes(struct hm_node *node, const struct hm_peer *to, struct hm_bytes message)
{
    struct hm_peer known = *to;
    if (hm_addr_is_none(&to->addr) && !hm_node_find_peer(node, &to->id, &known)) {
        return;
    }
    if (hm_addr_equal(&known.addr, &node->config.addr)) {
        hm_put_u32(&node->mail, (uint32_t)message.size);
        hm_buf_append(&node->mail, message.data, message.size);
        return;
    }
    struct hm_reader in = hm_reader_of(message);
    enum hm_message_kind kind = (enum hm_message_kind)hm_get_varint(&in);
    bool stream = hm_message_class(kind) != HM_CLASS_DATAGRAM;
    struct hm_buf payload = {0};
    put_envelope(node, stream, &payload);
    if (!stream && payload.size + message.size > HM_WIRE_DATAGRAM_BYTES_MAX - 64) {
        stream = true;
        hm_buf_clear(&payload);
        put_envelope(node, stream, &payload);
    }
    hm_buf_append(&payload, message.data, message.size);
    hm_node_act(node, &(struct hm_act){.kind = HM_ACT_SEND,
                                       .addr = known.addr,
                                       .stream = stream,
                                       .bytes = hm_buf_view(&payload)});
    hm_buf_fini(&payload);
}

void hm_node_send(struct hm_node *node, const struct hm_peer *to, const struct hm_message *message)
{
    struct hm_buf bytes = {0};
    hm_message_encode(&bytes, message);
    hm_node_send_bytes(node, to, hm_buf_view(&bytes));
    hm_buf_fini(&bytes);
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
    if (!get_envelope(&in, &peer) || hm_id_equal(&peer.id, &node->id)) {
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
