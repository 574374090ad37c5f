/* hivemind services: every instance, and why one is not served. */
#include "core/cli/cli.h"

#include <stdio.h>

static const char *const health_names[] = {"unknown", "passing", "failing"};

static const char *health_name(uint8_t health)
{
    return health < sizeof health_names / sizeof *health_names ? health_names[health] : "unknown";
}

static void print_table(const struct hm_services_reply *reply)
{
    static const char *const headings[] = {"SERVICE", "HOST",   "ADDRESS", "WEIGHT",
                                           "HEALTH",  "SERVED", NULL};
    struct hm_sheet sheet = {.headings = headings};
    for (uint32_t i = 0; i < reply->instances_count; i++) {
        const struct hm_instance *instance = &reply->instances[i];
        char addr[HM_ADDR_TEXT_BYTES];
        hm_sheet_put(&sheet, "%s", instance->service.text);
        hm_sheet_put(&sheet, "%s", instance->host.text);
        hm_sheet_put(&sheet, "%s", hm_addr_format(&instance->addr, addr));
        hm_sheet_put(&sheet, "%u", instance->weight);
        hm_sheet_put(&sheet, "%s", health_name(instance->health));
        hm_sheet_put(&sheet, "%s%s%.*s", instance->served ? "yes" : "no",
                     instance->reason.size ? ": " : "", (int)instance->reason.size,
                     (const char *)instance->reason.data);
    }
    hm_sheet_print(&sheet);
    hm_sheet_fini(&sheet);
}

static void print_json(const struct hm_services_reply *reply)
{
    json_t *instances = json_array();
    for (uint32_t i = 0; i < reply->instances_count; i++) {
        const struct hm_instance *instance = &reply->instances[i];
        json_t *json = json_object();
        json_object_set_new(json, "service", hm_json_name(&instance->service));
        json_object_set_new(json, "host", hm_json_name(&instance->host));
        json_object_set_new(json, "addr", hm_json_addr(&instance->addr));
        json_object_set_new(json, "weight", json_integer(instance->weight));
        json_object_set_new(json, "health", json_string(health_name(instance->health)));
        json_object_set_new(json, "served", json_boolean(instance->served));
        json_object_set_new(json, "reason", hm_json_text(instance->reason));
        json_array_append_new(instances, json);
    }
    hm_json_print(instances);
}

static void check(struct hm_given *given, struct argp_state *state)
{
    struct hm_services_query *query = given->own;
    if (given->words[0]) {
        query->service = hm_option_name(state, given->words[0], "a service");
    }
}

static int run(struct hm_given *given)
{
    const struct hm_services_query *own = given->own;
    struct hm_message query = {.kind = HM_MSG_services_query, .services_query = *own};
    struct hm_message reply;
    int code = hm_client_ask(&given->client, &query, 0, HM_MSG_services_reply, &reply);
    if (code != EXIT_OK) {
        return code;
    }
    if (reply.services_reply.status != HM_OK) {
        return hm_complain_status(reply.services_reply.status, reply.services_reply.reason);
    }
    (given->options.json ? print_json : print_table)(&reply.services_reply);
    return EXIT_OK;
}

const struct hm_command hm_command_services = {
    .name = "services",
    .words = "[NAME]",
    .help = "what is served, and why something is not",
    .doc = "The instances of the service NAME, or of all, and why one is not served.\vExits with 3 "
           "when there is no such service.",
    .example = "web",
    .own_bytes = sizeof(struct hm_services_query),
    .check = check,
    .run = run,
};
