/* hivemind log: named logs, from any node: the group, and making and changing a log. */
#include "core/cli/log.h"

#include <stdio.h>
#include <string.h>

#define ROLE_PREFIX "role."

enum { CHANGE_ADD, CHANGE_REMOVE, CHANGE_TRANSFER, CHANGE_SNAPSHOT };

void hm_log_check(struct hm_given *given, struct argp_state *state)
{
    const char *word = given->words[0];
    struct hm_name name;
    size_t prefix =
        strncmp(word, ROLE_PREFIX, sizeof ROLE_PREFIX - 1) == 0 ? sizeof ROLE_PREFIX - 1 : 0;
    hm_option_name(state, word + prefix, "the name of a log");
    if (!hm_name_set(&name, word, strlen(word))) {
        argp_error(state,
                   "the name of a log has at most %d letters with its '" ROLE_PREFIX "': not '%s'",
                   HM_NAME_MAX, word);
    }
}

void hm_log_print_answer(const struct hm_given *given, const struct hm_answer *answer,
                         const char *what)
{
    if (given->options.json) {
        json_t *json = json_object();
        json_object_set_new(json, "log", json_string(given->words[0]));
        json_object_set_new(json, "index", json_integer((json_int_t)answer->index));
        json_object_set_new(json, "text", hm_json_text(answer->reason));
        hm_json_print(json);
    } else if (answer->reason.size > 2) {
        printf("%.*s\n", (int)answer->reason.size, (const char *)answer->reason.data);
    } else {
        printf("log %s %s\n", given->words[0], what);
    }
}

static int do_and_tell(struct hm_given *given, const struct hm_message *request, const char *what)
{
    struct hm_message reply;
    int code = hm_client_answer(&given->client, request, HM_LOG_NODE_MS, &reply);
    if (code == EXIT_OK) {
        hm_log_print_answer(given, &reply.answer, what);
    }
    return code;
}

/* ---- making and deleting ---- */

enum { KEY_KEEP = 'k', KEY_BYTES = 'b' };

static const struct argp_option create_options[] = {
    {"keep", KEY_KEEP, "N", 0, "So many entries stay readable (65536; at most 131072)", 0},
    {"keep-bytes", KEY_BYTES, "N", 0, "And so many bytes of them (4194304; at most 8388608)", 0},
    {0},
};

static void check_create(struct hm_given *given, struct argp_state *state)
{
    struct hm_log_create *create = given->own;
    const char *entries = hm_given_option(given, KEY_KEEP);
    const char *bytes = hm_given_option(given, KEY_BYTES);
    hm_log_check(given, state);
    create->name = hm_name_of(given->words[0]);
    if (entries) {
        create->keep_entries = (uint32_t)hm_option_number(state, entries, "--keep", 1, 131072);
    }
    if (bytes) {
        create->keep_bytes = (uint32_t)hm_option_number(state, bytes, "--keep-bytes", 1, 8u << 20);
    }
}

static int run_create(struct hm_given *given)
{
    const struct hm_log_create *create = given->own;
    struct hm_message request = {.kind = HM_MSG_log_create, .log_create = *create};
    return do_and_tell(given, &request, "is there");
}

static const struct hm_command create = {
    .name = "create",
    .words = "NAME",
    .help = "make a log",
    .example = "audit",
    .options = create_options,
    .own_bytes = sizeof(struct hm_log_create),
    .check = check_create,
    .run = run_create,
};

static int run_delete(struct hm_given *given)
{
    struct hm_message request = {.kind = HM_MSG_log_delete,
                                 .log_delete = {.name = hm_name_of(given->words[0])}};
    return do_and_tell(given, &request, "is gone");
}

static const struct hm_command delete = {
    .name = "delete",
    .words = "NAME",
    .help = "delete a log with all that is in it",
    .example = "audit",
    .check = hm_log_check,
    .run = run_delete,
};

/* ---- who carries it ---- */

static void check_change(struct hm_given *given, struct argp_state *state)
{
    hm_log_check(given, state);
    if (given->words[1]) {
        hm_option_name(state, given->words[1], "the name of a node");
    }
}

static int change(struct hm_given *given, uint8_t what, const char *told)
{
    struct hm_message request = {.kind = HM_MSG_log_change,
                                 .log_change = {.name = hm_name_of(given->words[0]), .what = what}};
    if (given->words[1]) {
        request.log_change.node = hm_name_of(given->words[1]);
    }
    return do_and_tell(given, &request, told);
}

static int run_add(struct hm_given *given)
{
    return change(given, CHANGE_ADD, "is carried there");
}

static int run_remove(struct hm_given *given)
{
    return change(given, CHANGE_REMOVE, "is carried there no more");
}

static int run_transfer(struct hm_given *given)
{
    return change(given, CHANGE_TRANSFER, "changes its leader");
}

static int run_snapshot(struct hm_given *given)
{
    return change(given, CHANGE_SNAPSHOT, "has a snapshot");
}

static const struct hm_command add = {
    .name = "add",
    .words = "NAME NODE",
    .help = "let a control node carry a log (again)",
    .example = "audit control-3",
    .check = check_change,
    .run = run_add,
};

static const struct hm_command drop = {
    .name = "remove",
    .words = "NAME NODE",
    .help = "let a control node carry a log no more",
    .example = "audit control-3",
    .check = check_change,
    .run = run_remove,
};

static const struct hm_command transfer = {
    .name = "transfer",
    .words = "NAME [NODE]",
    .help = "hand leadership over",
    .example = "audit control-2",
    .check = check_change,
    .run = run_transfer,
};

static const struct hm_command snapshot = {
    .name = "snapshot",
    .words = "NAME",
    .help = "have a log take a snapshot now",
    .example = "audit",
    .check = check_change,
    .run = run_snapshot,
};

/* ---- the group ---- */

static const struct hm_command *const verbs[] = {
    &create,
    &hm_command_log_list,
    &delete,
    &hm_command_log_append,
    &hm_command_log_session,
    &hm_command_log_read,
    &hm_command_log_follow,
    &hm_command_log_members,
    &add,
    &drop,
    &transfer,
    &snapshot,
    NULL,
};

const struct hm_command hm_command_log = {
    .name = "log",
    .words = "COMMAND",
    .help = "logs of your own: create, append, read, follow",
    .doc = "Logs that a program of yours appends to and reads, carried by the control plane.",
    .verbs = verbs,
};
