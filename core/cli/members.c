/* hivemind members: who is in the cluster. */
#include "core/cli/cli.h"

#include <stdio.h>

struct arguments {
    struct hm_options options;
    struct hm_members_query query;
};

static const struct argp_option own_options[] = {
    {"all", 'a', NULL, 0, "Ask the control plane for all (else what this node knows)", 0},
    {"role", 'r', "ROLE", 0, "Only those with this role", 0},
    {0},
};
static const struct argp_child children[] = {{&hm_options_argp, 0, NULL, 0}, {0}};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct arguments *out = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &out->options;
        return 0;
    case 'a':
        out->query.all = true;
        return 0;
    case 'r':
        out->query.role = hm_option_name(state, arg, "a role");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {
    .options = own_options,
    .parser = parse,
    .children = children,
    .doc = "Who is in the cluster.",
};

static void append_roles(const struct hm_member *member, struct hm_buf *out)
{
    for (uint32_t i = 0; i < member->roles_count; i++) {
        hm_buf_printf(out, "%s%s", i ? "," : "", member->roles[i].name.text);
    }
}

static void print_table(const struct hm_members_reply *reply)
{
    static const char *const headings[] = {"NAME",  "ADDRESS", "ROLES", "STATE",
                                           "SINCE", "ID",      NULL};
    struct hm_sheet sheet = {.headings = headings};
    for (uint32_t i = 0; i < reply->members_count; i++) {
        const struct hm_member_view *view = &reply->members[i];
        struct hm_buf roles = {0};
        char addr[HM_ADDR_TEXT_BYTES];
        char id[HM_ID_TEXT_BYTES];
        append_roles(&view->member, &roles);
        hm_sheet_put(&sheet, "%s", view->member.name.text);
        hm_sheet_put(&sheet, "%s", hm_addr_format(&view->member.addr, addr));
        hm_sheet_put(&sheet, "%.*s", (int)roles.size, (const char *)roles.data);
        hm_sheet_put(&sheet, "%.*s", (int)view->state.size, (const char *)view->state.data);
        hm_sheet_put(&sheet, "%llu", (unsigned long long)view->member.joined);
        hm_sheet_put(&sheet, "%s", hm_id_format(&view->member.id, id));
        hm_buf_fini(&roles);
    }
    hm_sheet_print(&sheet);
    hm_sheet_fini(&sheet);
}

static json_t *member_json(const struct hm_member_view *view)
{
    json_t *json = json_object();
    json_t *roles = json_array();
    for (uint32_t i = 0; i < view->member.roles_count; i++) {
        json_array_append_new(roles, hm_json_name(&view->member.roles[i].name));
    }
    json_object_set_new(json, "name", hm_json_name(&view->member.name));
    json_object_set_new(json, "id", hm_json_id(&view->member.id));
    json_object_set_new(json, "addr", hm_json_addr(&view->member.addr));
    json_object_set_new(json, "roles", roles);
    json_object_set_new(json, "state", hm_json_text(view->state));
    json_object_set_new(json, "boot", json_integer((json_int_t)view->member.boot));
    json_object_set_new(json, "joined", json_integer((json_int_t)view->member.joined));
    return json;
}

static void print_json(const struct hm_members_reply *reply)
{
    json_t *json = json_object();
    json_t *members = json_array();
    for (uint32_t i = 0; i < reply->members_count; i++) {
        json_array_append_new(members, member_json(&reply->members[i]));
    }
    json_object_set_new(json, "epoch", json_integer((json_int_t)reply->epoch));
    json_object_set_new(json, "index", json_integer((json_int_t)reply->index));
    json_object_set_new(json, "members", members);
    hm_json_print(json);
}

int hm_command_members(int argc, char **argv)
{
    struct arguments arguments = {0};
    struct hm_client client;
    struct hm_message reply;
    argp_parse(&argp, argc, argv, 0, NULL, &arguments);
    struct hm_message query = {.kind = HM_MSG_members_query, .members_query = arguments.query};
    int code =
        hm_client_ask_once(&arguments.options, &query, 0, HM_MSG_members_reply, &client, &reply);
    if (code != EXIT_OK) {
        return code;
    }
    if (reply.members_reply.status != HM_OK) {
        code = hm_complain_status(reply.members_reply.status, reply.members_reply.reason);
    } else {
        (arguments.options.json ? print_json : print_table)(&reply.members_reply);
    }
    hm_client_close(&client);
    return code;
}
