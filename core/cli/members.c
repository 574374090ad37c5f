/* hivemind members: who is in the cluster. */
#include "core/state/members.h"
#include "core/cli/cli.h"

#include <stdio.h>

static const struct argp_option options[] = {
    {"all", 'a', NULL, 0, "Ask the control plane for all (else what this node knows)", 0},
    {"role", 'r', "ROLE", 0, "Only those with this role", 0},
    {0},
};

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
        hm_member_put_roles(&view->member, ',', &roles);
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

static void check(struct hm_given *given, struct argp_state *state)
{
    struct hm_members_query *query = given->own;
    const char *role = hm_given_option(given, 'r');
    query->all = hm_given_option(given, 'a');
    if (role) {
        query->role = hm_option_name(state, role, "a role");
    }
}

static int run(struct hm_given *given)
{
    const struct hm_members_query *own = given->own;
    struct hm_message query = {.kind = HM_MSG_members_query, .members_query = *own};
    struct hm_message reply;
    int code = hm_client_ask(&given->client, &query, 0, HM_MSG_members_reply, &reply);
    if (code != EXIT_OK) {
        return code;
    }
    if (reply.members_reply.status != HM_OK) {
        return hm_complain_status(reply.members_reply.status, reply.members_reply.reason);
    }
    (given->options.json ? print_json : print_table)(&reply.members_reply);
    return EXIT_OK;
}

const struct hm_command hm_command_members = {
    .name = "members",
    .help = "who is in the cluster",
    .doc = "Who is in the cluster.",
    .options = options,
    .own_bytes = sizeof(struct hm_members_query),
    .check = check,
    .run = run,
};
