/* hivemind services: every instance, and why one is not served. */
#include "core/cli/cli.h"

#include <stdio.h>

struct arguments {
    struct hm_options options;
    struct hm_name service;
};

static const char *const health_names[] = {"unknown", "passing", "failing"};

static const struct argp_child children[] = {{&hm_options_argp, 0, NULL, 0}, {0}};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct arguments *out = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &out->options;
        return 0;
    case ARGP_KEY_ARG:
        if (state->arg_num > 0) {
            argp_error(state, "one service at a time, or none for all");
        }
        out->service = hm_option_name(state, arg, "a service");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {
    .parser = parse,
    .args_doc = "[NAME]",
    .children = children,
    .doc = "The instances of the service NAME, or of all, and why one is not served.\vExits with 3 "
           "when there is no such service.",
};

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

int hm_command_services(int argc, char **argv)
{
    struct arguments arguments = {0};
    struct hm_client client;
    struct hm_message reply;
    argp_parse(&argp, argc, argv, 0, NULL, &arguments);
    struct hm_message query = {.kind = HM_MSG_services_query,
                               .services_query = {.service = arguments.service}};
    int code =
        hm_client_ask_once(&arguments.options, &query, 0, HM_MSG_services_reply, &client, &reply);
    if (code != EXIT_OK) {
        return code;
    }
    if (reply.services_reply.status != HM_OK) {
        code = hm_complain_status(reply.services_reply.status, reply.services_reply.reason);
    } else {
        (arguments.options.json ? print_json : print_table)(&reply.services_reply);
    }
    hm_client_close(&client);
    return code;
}
