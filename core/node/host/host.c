/* This node's own host config: versioned here, pushed to consumers, appended to the log. */
#include "core/node/host/host.h"

#include "core/node/desk/acts.h"
#include "core/node/desk/standing.h"
#include "core/node/desk/submit.h"

#include <stdio.h>

#define CLAIMS_MAX      4096u
#define REFUSED_WAIT_MS 1000u

static struct hm_host_state own_state(const struct hm_node *node)
{
    return (struct hm_host_state){
        .host = node->id, .version = node->own->version, .config = hm_buf_view(&node->own->config)};
}

struct hm_version hm_node_publish(struct hm_node *node, const struct hm_host_config *config)
{
    struct hm_own_host *own = node->own;
    struct hm_buf bytes = {0};
    hm_message_encode(&bytes,
                      &(struct hm_message){.kind = HM_MSG_host_config, .host_config = *config});
    if (own->version.boot && hm_bytes_equal(hm_buf_view(&bytes), hm_buf_view(&own->config))) {
        hm_buf_fini(&bytes);
        if (own->refused[0]) { /* what was refused within it may be granted by now: asked again */
            own->committed = (struct hm_version){0};
        }
        return own->version;
    }
    hm_buf_fini(&own->config);
    own->config = bytes;
    own->version = (struct hm_version){node->boot, own->version.seq + 1};
    struct hm_host_state state = own_state(node);
    (void)hm_push_publish(&node->pusher, node->now, &state);
    return own->version;
}

void hm_node_republish(struct hm_node *node)
{
    struct hm_own_host *own = node->own;
    if (own->version.boot) {
        own->version.seq++;
        struct hm_host_state state = own_state(node);
        (void)hm_push_publish(&node->pusher, node->now, &state);
    }
}

/* The virtual hosts that the config asks for, each for its service. */
static uint32_t list_claims(const struct hm_host_config *config, struct hm_claim *out)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < config->services_count; i++) {
        const struct hm_service *service = &config->services[i];
        for (uint32_t j = 0; j < service->vhosts_count && count < CLAIMS_MAX; j++) {
            out[count++] =
                (struct hm_claim){.key = service->vhosts[j].name, .owner = service->name};
        }
    }
    return count;
}

/* One submit at a time: what changes meanwhile goes with the next. */
void hm_node_pump_host(struct hm_node *node)
{
    struct hm_own_host *own = node->own;
    if (node->phase != HM_PHASE_MEMBER || own->submit_call || own->version.boot == 0 ||
        node->now < own->submit_at || hm_version_compare(&own->version, &own->committed) <= 0) {
        return;
    }
    struct hm_arena arena = {0};
    struct hm_message config;
    struct hm_message request = {.kind = HM_MSG_request_host,
                                 .request_host = {.state = own_state(node)}};
    if (hm_message_decode_only(hm_buf_view(&own->config), HM_MSG_host_config, &arena, &config) ==
        HM_OK) {
        request.request_host.claims =
            hm_arena_alloc(&arena, CLAIMS_MAX, sizeof *request.request_host.claims);
        request.request_host.claims_count =
            list_claims(&config.host_config, request.request_host.claims);
    }
    own->submitted = own->version;
    own->submit_call = hm_node_submit(node, &request, HM_CALL_HOST, 0, HM_NEVER);
    hm_arena_fini(&arena);
}

void hm_node_host_untaken(struct hm_node *node, const struct hm_call *call)
{
    struct hm_own_host *own = node->own;
    own->unheard = own->unheard || call->id == own->submit_call;
}

void hm_node_host_submitted(struct hm_node *node, const struct hm_call *call,
                            const struct hm_submitted *answer)
{
    (void)call;
    struct hm_own_host *own = node->own;
    own->submit_call = 0;
    own->unheard = false;
    if (answer->status == HM_OK) {
        own->committed = own->submitted;
        own->committed_index = answer->index;
        snprintf(own->refused, sizeof own->refused, "%.*s", (int)answer->reason.size,
                 (const char *)answer->reason.data);
        hm_buf_clear(&own->refusals);
        hm_buf_append(&own->refusals, answer->data.data, answer->data.size);
        if (own->refused[0]) {
            hm_node_log(node, HM_LOG_WARN, "virtual host refused", "reason=\"%s\"", own->refused);
        }
        return;
    }
    hm_node_log(node, HM_LOG_WARN, "host config not committed", "status=%s reason=\"%.*s\"",
                hm_status_name((enum hm_status)answer->status), (int)answer->reason.size,
                (const char *)answer->reason.data);
    /* Asked for before it was out: asked again as of now. */
    bool stale = answer->status == HM_SESSION_EXPIRED;
    own->submit_at = node->now + (stale ? 0 : REFUSED_WAIT_MS);
    if (answer->status == HM_REMOVED && node->phase == HM_PHASE_MEMBER) {
        hm_node_begin_joining(node);
    }
}

/* ---- pushed ---- */

void hm_node_pump_push(struct hm_node *node)
{
    struct hm_effect effect;
    while (hm_push_output(&node->pusher, &effect)) {
        if (effect.kind == HM_EFFECT_SEND && node->phase == HM_PHASE_MEMBER) {
            hm_node_send_bytes(node, &effect.peer, effect.message);
        }
    }
}

void hm_node_on_config_pull(struct hm_node *node, const struct hm_peer *from,
                            const struct hm_message *message)
{
    if (hm_id_equal(&message->config_pull.host, &node->id)) {
        hm_push_pulled(&node->pusher, node->now, from);
    }
}

void hm_node_on_pushed(struct hm_node *node, const struct hm_peer *from,
                       const struct hm_message *message)
{
    (void)hm_push_input(&node->pusher, node->now, from, message);
}
