/* hivemind control status: who votes, how far each is, and how log and disk are. */
#include "core/cli/cli.h"

#include <stdio.h>

static const struct argp_option options[] = {
    {"local", 'l', NULL, 0, "As this node knows it, with its own log and disk (else the leader's)",
     0},
    {0},
};

static const char *state_of(const struct hm_control_node *node)
{
    return node->leads                   ? "leader"
           : node->known && !node->heard ? "silent"
           : node->known                 ? "follows"
                                         : "unknown";
}

static void print_nodes(const struct hm_control_reply *reply)
{
    static const char *const headings[] = {"NAME",  "ADDRESS", "VOTES", "STATE",
                                           "MATCH", "LAG",     "ID",    NULL};
    struct hm_sheet sheet = {.headings = headings};
    for (uint32_t i = 0; i < reply->nodes_count; i++) {
        const struct hm_control_node *node = &reply->nodes[i];
        char addr[HM_ADDR_TEXT_BYTES];
        char id[HM_ID_TEXT_BYTES];
        hm_sheet_put(&sheet, "%s", node->name.size ? node->name.text : "(no member)");
        hm_sheet_put(&sheet, "%s", hm_addr_format(&node->addr, addr));
        hm_sheet_put(&sheet, "%s", node->voting ? "yes" : "learns");
        hm_sheet_put(&sheet, "%s", state_of(node));
        if (node->known) {
            hm_sheet_put(&sheet, "%llu", (unsigned long long)node->match);
            hm_sheet_put(&sheet, "%llu", (unsigned long long)node->lag);
        } else {
            hm_sheet_put(&sheet, "?");
            hm_sheet_put(&sheet, "?");
        }
        hm_sheet_put(&sheet, "%s", hm_id_format(&node->id, id));
    }
    hm_sheet_print(&sheet);
    hm_sheet_fini(&sheet);
}

static void print_table(const struct hm_control_reply *reply)
{
    const char *leader = "none";
    for (uint32_t i = 0; i < reply->nodes_count; i++) {
        if (reply->nodes[i].leads && reply->nodes[i].name.size) {
            leader = reply->nodes[i].name.text;
        }
    }
    printf("%.*s\n", (int)reply->verdict.size, (const char *)reply->verdict.data);
    printf("  leader    %s in term %llu\n", leader, (unsigned long long)reply->term);
    printf("  epoch     %llu, event %llu\n", (unsigned long long)reply->epoch,
           (unsigned long long)reply->index);
    printf("  log       of %s: last %llu, committed %llu, applied %llu, snapshot %llu\n",
           reply->teller.text, (unsigned long long)reply->last, (unsigned long long)reply->commit,
           (unsigned long long)reply->applied, (unsigned long long)reply->snapshot);
    printf("  disk      of %s: %.*s, journal %llu KiB, sync p50 %llu us, p99 %llu us\n\n",
           reply->teller.text, (int)reply->disk.size, (const char *)reply->disk.data,
           (unsigned long long)reply->journal_bytes / 1024, (unsigned long long)reply->sync_p50_us,
           (unsigned long long)reply->sync_p99_us);
    print_nodes(reply);
}

static json_t *node_json(const struct hm_control_node *node)
{
    json_t *json = json_object();
    json_object_set_new(json, "name", hm_json_name(&node->name));
    json_object_set_new(json, "id", hm_json_id(&node->id));
    json_object_set_new(json, "addr", hm_json_addr(&node->addr));
    json_object_set_new(json, "votes", json_boolean(node->voting));
    json_object_set_new(json, "state", json_string(state_of(node)));
    json_object_set_new(json, "match",
                        node->known ? json_integer((json_int_t)node->match) : json_null());
    json_object_set_new(json, "lag",
                        node->known ? json_integer((json_int_t)node->lag) : json_null());
    return json;
}

static void print_json(const struct hm_control_reply *reply)
{
    const struct {
        const char *key;
        uint64_t value;
    } numbers[] = {
        {"epoch", reply->epoch},
        {"index", reply->index},
        {"term", reply->term},
        {"last", reply->last},
        {"commit", reply->commit},
        {"applied", reply->applied},
        {"snapshot", reply->snapshot},
        {"journal_bytes", reply->journal_bytes},
        {"sync_p50_us", reply->sync_p50_us},
        {"sync_p99_us", reply->sync_p99_us},
    };
    json_t *json = json_object();
    json_t *nodes = json_array();
    json_object_set_new(json, "status", json_string(hm_status_name((enum hm_status)reply->status)));
    json_object_set_new(json, "verdict", hm_json_text(reply->verdict));
    json_object_set_new(json, "teller", hm_json_name(&reply->teller));
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        json_object_set_new(json, numbers[i].key, json_integer((json_int_t)numbers[i].value));
    }
    json_object_set_new(json, "disk", hm_json_text(reply->disk));
    for (uint32_t i = 0; i < reply->nodes_count; i++) {
        json_array_append_new(nodes, node_json(&reply->nodes[i]));
    }
    json_object_set_new(json, "nodes", nodes);
    hm_json_print(json);
}

static int run(struct hm_given *given)
{
    bool local = hm_given_option(given, 'l');
    struct hm_message query = {.kind = HM_MSG_control_query, .control_query = {.local = local}};
    struct hm_message reply;
    int code = hm_client_ask(&given->client, &query, 0, HM_MSG_control_reply, &reply);
    if (code != EXIT_OK) {
        return code;
    }
    (given->options.json ? print_json : print_table)(&reply.control_reply);
    return hm_status_exit_code((enum hm_status)reply.control_reply.status);
}

const struct hm_command hm_command_control_status = {
    .name = "status",
    .help = "its voters and learners, how far each is, log and disk",
    .doc = "Who votes in the control plane, how far each is, and how log and disk of the leader "
           "are.\vLAG counts the entries of the leader that a node has not durably; only the "
           "leader knows it. Exits with 0 when there is a quorum, 5 when there is none.",
    .options = options,
    .run = run,
};
