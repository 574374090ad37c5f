/* What a node wants done: queued here, popped by the adapter. */
#include "core/node/desk/acts.h"

#include "core/node/desk/envelope.h"
#include "core/node/desk/inside.h"
#include "core/node/desk/peers.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>

/* What a burst made large is given back. */
#define KEEP_BYTES (1u << 20)

void hm_node_act(struct hm_node *node, const struct hm_act *act)
{
    if (node->acts.first == node->acts.count) {
        node->acts.first = node->acts.count = 0;
        hm_buf_reuse(&node->acts.bytes, KEEP_BYTES);
    }
    node->acts.items =
        hm_grow(node->acts.items, node->acts.count, &node->acts.capacity, sizeof *node->acts.items);
    struct hm_queued_act *queued = &node->acts.items[node->acts.count++];
    *queued = (struct hm_queued_act){.act = *act, .offset = node->acts.bytes.size};
    hm_buf_append(&node->acts.bytes, act->bytes.data, act->bytes.size);
}

bool hm_node_next_act(struct hm_node *node, struct hm_act *out)
{
    if (node->acts.first == node->acts.count) {
        return false;
    }
    const struct hm_queued_act *queued = &node->acts.items[node->acts.first++];
    *out = queued->act;
    out->bytes.data = node->acts.bytes.data ? node->acts.bytes.data + queued->offset : NULL;
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

static void send_bytes(struct hm_node *node, const struct hm_peer *to, bool brief,
                       struct hm_bytes message)
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
    hm_node_put_envelope(node, stream, &payload);
    if (!stream && payload.size + message.size > HM_WIRE_DATAGRAM_BYTES_MAX - 64) {
        stream = true;
        hm_buf_clear(&payload);
        hm_node_put_envelope(node, stream, &payload);
    }
    hm_buf_append(&payload, message.data, message.size);
    hm_node_act(node, &(struct hm_act){.kind = HM_ACT_SEND,
                                       .addr = known.addr,
                                       .stream = stream,
                                       .brief = brief && !stream,
                                       .bytes = hm_buf_view(&payload)});
    hm_buf_fini(&payload);
}

void hm_node_send_bytes(struct hm_node *node, const struct hm_peer *to, struct hm_bytes message)
{
    send_bytes(node, to, false, message);
}

void hm_node_send_brief(struct hm_node *node, const struct hm_peer *to, struct hm_bytes message)
{
    send_bytes(node, to, true, message);
}

void hm_node_send(struct hm_node *node, const struct hm_peer *to, const struct hm_message *message)
{
    struct hm_buf bytes = {0};
    hm_message_encode(&bytes, message);
    hm_node_send_bytes(node, to, hm_buf_view(&bytes));
    hm_buf_fini(&bytes);
}
