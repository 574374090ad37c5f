/* hivemind log list, members: which logs there are, and who carries one. */
#include "core/cli/log.h"

#include <stdio.h>

/* ---- list ---- */

static void print_logs(const struct hm_log_listed *listed)
{
    static const char *const headings[] = {"LOG",    "ENTRIES",  "KEPT FROM", "LEADER",
                                           "VOTERS", "LEARNERS", NULL};
    struct hm_sheet sheet = {.headings = headings};
    for (uint32_t i = 0; i < listed->logs_count; i++) {
        const struct hm_log_info *log = &listed->logs[i];
        hm_sheet_put(&sheet, "%s", log->name.text);
        hm_sheet_put(&sheet, "%llu", (unsigned long long)log->newest);
        hm_sheet_put(&sheet, "%llu", (unsigned long long)log->oldest);
        hm_sheet_put(&sheet, "%s", log->leader.size ? log->leader.text : "-");
        hm_sheet_put(&sheet, "%u", log->voters);
        hm_sheet_put(&sheet, "%u", log->learners);
    }
    hm_sheet_print(&sheet);
    hm_sheet_fini(&sheet);
}

static json_t *log_json(const struct hm_log_info *log)
{
    json_t *json = json_object();
    json_object_set_new(json, "name", hm_json_name(&log->name));
    json_object_set_new(json, "id", json_integer(log->id));
    json_object_set_new(json, "newest", json_integer((json_int_t)log->newest));
    json_object_set_new(json, "oldest", json_integer((json_int_t)log->oldest));
    json_object_set_new(json, "leader",
                        log->leader.size ? hm_json_name(&log->leader) : json_null());
    json_object_set_new(json, "voters", json_integer(log->voters));
    json_object_set_new(json, "learners", json_integer(log->learners));
    json_object_set_new(json, "keep_entries", json_integer(log->keep_entries));
    json_object_set_new(json, "keep_bytes", json_integer(log->keep_bytes));
    return json;
}

static void print_logs_json(const struct hm_log_listed *listed)
{
    json_t *logs = json_array();
    for (uint32_t i = 0; i < listed->logs_count; i++) {
        json_array_append_new(logs, log_json(&listed->logs[i]));
    }
    hm_json_print(logs);
}

static int run_list(struct hm_given *given)
{
    struct hm_message reply;
    struct hm_message query = {.kind = HM_MSG_log_list};
    int code = hm_client_ask(&given->client, &query, HM_LOG_NODE_MS, HM_MSG_log_listed, &reply);
    if (code == EXIT_OK) {
        (given->options.json ? print_logs_json : print_logs)(&reply.log_listed);
    }
    return code;
}

const struct hm_command hm_command_log_list = {
    .name = "list",
    .help = "which logs there are",
    .run = run_list,
};

/* ---- members ---- */

static void print_members(const struct hm_log_members_reply *reply)
{
    static const char *const headings[] = {"NAME", "ADDRESS", "STATE", "ID", NULL};
    struct hm_sheet sheet = {.headings = headings};
    for (uint32_t i = 0; i < reply->members_count; i++) {
        const struct hm_log_member *member = &reply->members[i];
        char addr[HM_ADDR_TEXT_BYTES];
        char id[HM_ID_TEXT_BYTES];
        hm_sheet_put(&sheet, "%s", member->name.size ? member->name.text : "-");
        hm_sheet_put(&sheet, "%s", hm_addr_format(&member->addr, addr));
        hm_sheet_put(&sheet, "%.*s", (int)member->state.size, (const char *)member->state.data);
        hm_sheet_put(&sheet, "%s", hm_id_format(&member->id, id));
    }
    hm_sheet_print(&sheet);
    hm_sheet_fini(&sheet);
}

static void print_members_json(const struct hm_log_members_reply *reply)
{
    json_t *members = json_array();
    for (uint32_t i = 0; i < reply->members_count; i++) {
        const struct hm_log_member *member = &reply->members[i];
        json_t *json = json_object();
        json_object_set_new(json, "name",
                            member->name.size ? hm_json_name(&member->name) : json_null());
        json_object_set_new(json, "id", hm_json_id(&member->id));
        json_object_set_new(json, "addr", hm_json_addr(&member->addr));
        json_object_set_new(json, "state", hm_json_text(member->state));
        json_array_append_new(members, json);
    }
    hm_json_print(members);
}

static int run_members(struct hm_given *given)
{
    struct hm_message reply;
    struct hm_message query = {.kind = HM_MSG_log_members,
                               .log_members = {.name = hm_name_of(given->words[0])}};
    int code =
        hm_client_ask(&given->client, &query, HM_LOG_NODE_MS, HM_MSG_log_members_reply, &reply);
    if (code == EXIT_OK) {
        (given->options.json ? print_members_json : print_members)(&reply.log_members_reply);
    }
    return code;
}

const struct hm_command hm_command_log_members = {
    .name = "members",
    .words = "NAME",
    .help = "who carries a log",
    .example = "audit",
    .check = hm_log_check,
    .run = run_members,
};
