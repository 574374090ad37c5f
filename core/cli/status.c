/* hivemind status: a verdict first, then the facts. */
#include "core/cli/cli.h"

#include <stdio.h>

static void print_json(const struct hm_status_reply *reply)
{
    json_t *facts = json_object();
    for (uint32_t i = 0; i < reply->facts_count; i++) {
        json_object_setn_new(facts, (const char *)reply->facts[i].key.data,
                             reply->facts[i].key.size, hm_json_text(reply->facts[i].value));
    }
    json_t *json = json_object();
    json_object_set_new(json, "status", json_string(hm_status_name((enum hm_status)reply->status)));
    json_object_set_new(json, "verdict", hm_json_text(reply->verdict));
    json_object_set_new(json, "facts", facts);
    hm_json_print(json);
}

static void print_facts(const struct hm_status_reply *reply)
{
    size_t width = 0;
    printf("%.*s\n", (int)reply->verdict.size, (const char *)reply->verdict.data);
    for (uint32_t i = 0; i < reply->facts_count; i++) {
        width = reply->facts[i].key.size > width ? reply->facts[i].key.size : width;
    }
    for (uint32_t i = 0; i < reply->facts_count; i++) {
        const struct hm_pair *fact = &reply->facts[i];
        printf("  %.*s%*s%.*s\n", (int)fact->key.size, (const char *)fact->key.data,
               (int)(width - fact->key.size + 2), "", (int)fact->value.size,
               (const char *)fact->value.data);
    }
}

static int run(struct hm_given *given)
{
    struct hm_message reply;
    struct hm_message query = {.kind = HM_MSG_status_query};
    int code = hm_client_ask(&given->client, &query, 0, HM_MSG_status_reply, &reply);
    if (code != EXIT_OK) {
        return code;
    }
    (given->options.json ? print_json : print_facts)(&reply.status_reply);
    return hm_status_exit_code((enum hm_status)reply.status_reply.status);
}

const struct hm_command hm_command_status = {
    .name = "status",
    .help = "how a node is: one verdict, then facts",
    .doc = "How a node is: one verdict, then facts.\vExits with 0 when it is healthy, 5 when the "
           "control plane has no quorum, 1 when it is not ready.",
    .run = run,
};
