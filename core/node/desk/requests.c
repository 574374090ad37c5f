/* Requests to this node: each has a token, by which whoever does it answers, now or later. */
#include "core/node/desk/requests.h"

#include "core/base/assert.h"
#include "core/node/desk/acts.h"
#include "core/node/desk/inside.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* An asker that was not answered for so long is forgotten. */
#define REQUEST_MS   60000u
#define REQUESTS_MAX 16384u

struct hm_bytes hm_node_text(struct hm_arena *arena, const char *format, ...)
{
    char text[HM_WIRE_TEXT_BYTES_MAX];
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    size_t used = size < 0 ? 0 : (size_t)size < sizeof text ? (size_t)size : sizeof text - 1;
    uint8_t *copy = hm_arena_alloc(arena, used, 1);
    memcpy(copy, text, used);
    return (struct hm_bytes){copy, used};
}

/* In all of class CONTROL the call comes first, so it is in one place. */
/* clang-format off */
#define FIRST_DATAGRAM(name)
#define FIRST_STREAM(name)
#define FIRST_CONTROL(name) \
    _Static_assert(offsetof(struct hm_##name, call) == 0, #name " does not start with its call");
#define FIRST_REQUEST(name)
#define FIRST_EVENT(name)
#define FIRST_LOCAL(name)
#define HM_STRUCT(struct_name, doc)
#define HM_MESSAGE(number, struct_name, class, doc) FIRST_##class(struct_name)
#define HM_FIELD(type, field, doc)
#define HM_NEST(type, field, doc)
#define HM_LIST(type, field, most, doc)
#define HM_END(struct_name)
#include "core/wire/messages.def"
#include "core/wire/undef.h"
/* clang-format on */

/* Every request and every answer has its call. */
uint64_t *hm_node_call_of(struct hm_message *message)
{
    switch (message->kind) {
#define CALL_OF(name)   \
    case HM_MSG_##name: \
        return &message->name.call;
        CALL_OF(join)
        CALL_OF(joined)
        CALL_OF(submit)
        CALL_OF(submitted)
        CALL_OF(records_pull)
        CALL_OF(records_page)
        CALL_OF(version_query)
        CALL_OF(version_reply)
        CALL_OF(keepalive)
#undef CALL_OF
    default:
        return hm_message_class(message->kind) == HM_CLASS_CONTROL ? &message->answer.call : NULL;
    }
}

uint64_t hm_node_open_request(struct hm_node *node, const struct hm_origin *origin)
{
    if (node->requests.count >= REQUESTS_MAX) {
        return 0;
    }
    node->requests.origins = hm_grow(node->requests.origins, node->requests.count,
                                     &node->requests.capacity, sizeof *node->requests.origins);
    struct hm_origin *opened = &node->requests.origins[node->requests.count++];
    *opened = *origin;
    opened->token = ++node->requests.last_token;
    opened->forget_at = node->now + REQUEST_MS;
    hm_index_add(&node->requests.by_token, opened->token, (uint32_t)(node->requests.count - 1));
    return opened->token;
}

const struct hm_origin *hm_node_origin(const struct hm_node *node, uint64_t token)
{
    size_t cursor = 0;
    uint32_t slot;
    while ((slot = hm_index_next(&node->requests.by_token, token, &cursor)) != HM_INDEX_END) {
        if (node->requests.origins[slot].token == token) {
            return &node->requests.origins[slot];
        }
    }
    return NULL;
}

static void forget_origin(struct hm_node *node, size_t at)
{
    size_t last = --node->requests.count;
    hm_index_remove(&node->requests.by_token, node->requests.origins[at].token, (uint32_t)at);
    if (at != last) {
        node->requests.origins[at] = node->requests.origins[last];
        hm_index_remove(&node->requests.by_token, node->requests.origins[at].token, (uint32_t)last);
        hm_index_add(&node->requests.by_token, node->requests.origins[at].token, (uint32_t)at);
    }
}

void hm_node_close_request(struct hm_node *node, uint64_t token)
{
    const struct hm_origin *found = hm_node_origin(node, token);
    if (found) {
        forget_origin(node, (size_t)(found - node->requests.origins));
    }
}

void hm_node_expire_requests(struct hm_node *node)
{
    for (size_t i = node->requests.count; i > 0; i--) {
        if (node->now >= node->requests.origins[i - 1].forget_at) {
            forget_origin(node, i - 1);
        }
    }
}

void hm_node_answer(struct hm_node *node, uint64_t token, struct hm_message *message)
{
    const struct hm_origin *found = hm_node_origin(node, token);
    uint64_t *call = hm_node_call_of(message);
    HM_ASSERT(call != NULL);
    if (!found) {
        return;
    }
    struct hm_origin origin = *found;
    hm_node_close_request(node, token);
    *call = origin.call;
    if (!origin.local) {
        hm_node_send(node, &origin.peer, message);
        return;
    }
    struct hm_buf bytes = {0};
    hm_message_encode(&bytes, message);
    hm_node_act(node, &(struct hm_act){.kind = HM_ACT_REPLY,
                                       .number = origin.connection,
                                       .bytes = hm_buf_view(&bytes)});
    hm_buf_fini(&bytes);
}

void hm_node_answer_status(struct hm_node *node, uint64_t token, enum hm_status status,
                           const char *format, ...)
{
    char reason[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reason, sizeof reason, format, arguments);
    va_end(arguments);
    hm_node_answer(node, token,
                   &(struct hm_message){
                       .kind = HM_MSG_answer,
                       .answer = {.status = (uint16_t)status, .reason = hm_bytes_of_text(reason)}});
}

void hm_node_forget_asker(struct hm_node *node, uint64_t connection)
{
    for (size_t i = node->requests.count; i > 0; i--) {
        if (node->requests.origins[i - 1].local &&
            node->requests.origins[i - 1].connection == connection) {
            forget_origin(node, i - 1);
        }
    }
}
