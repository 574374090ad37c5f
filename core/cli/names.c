/* hivemind names: unique names for applications, from any node. One table of its own subcommands.
 */
#include "core/base/utf8.h"
#include "core/cli/cli.h"
#include "core/io/log.h"

#include <stdio.h>
#include <string.h>

/* What a node takes to say that there is no quorum comes on top of --timeout. */
#define NODE_MS        2000u
#define TEXT_BYTES_MAX 255u
#define LOG_NAME       "role.names"

#define KEY_OWNER 'o'

/* ---- asking ---- */

/* Hands a message to the registry: into its log, or as a question. `reply` is an answer. */
static int ask(struct hm_client *client, bool writes, const struct hm_message *body,
               struct hm_message *reply)
{
    struct hm_buf bytes = {0};
    struct hm_message request = {.kind = writes ? HM_MSG_log_write : HM_MSG_log_query};
    hm_message_encode(&bytes, body);
    if (writes) {
        request.log_write =
            (struct hm_log_write){.name = hm_name_of(LOG_NAME), .data = hm_buf_view(&bytes)};
    } else {
        request.log_query =
            (struct hm_log_query){.name = hm_name_of(LOG_NAME), .data = hm_buf_view(&bytes)};
    }
    int code = hm_client_ask(client, &request, NODE_MS, HM_MSG_answer, reply);
    hm_buf_fini(&bytes);
    return code;
}

/* Who holds the name, where the answer says it. */
static bool holder_of(struct hm_client *client, const struct hm_answer *answer,
                      struct hm_names_item *out)
{
    struct hm_message message;
    bool told = hm_message_decode_only(answer->data, HM_MSG_names_holder, &client->arena,
                                       &message) == HM_OK;
    if (told) {
        *out = message.names_holder.item;
    }
    return told;
}

static json_t *item_json(const struct hm_names_item *item)
{
    char when[HM_LOG_TIME_BYTES];
    json_t *json = json_object();
    hm_log_time(item->time_ms, when);
    json_object_set_new(json, "name", hm_json_text(item->name));
    json_object_set_new(json, "owner", hm_json_text(item->owner));
    json_object_set_new(json, "index", json_integer((json_int_t)item->index));
    json_object_set_new(json, "time", json_string(when));
    return json;
}

/* ---- the verbs ---- */

/* What became of a register or a release: in JSON on stdout whatever it was. */
static int tell(const struct hm_given *given, const struct hm_answer *answer,
                const struct hm_names_item *holder, const char *done)
{
    const char *name = given->words[0];
    const char *owner = hm_given_option(given, KEY_OWNER);
    int code = hm_status_exit_code((enum hm_status)answer->status);
    if (given->options.json) {
        json_t *json = json_object();
        json_object_set_new(json, "name", json_string(name));
        json_object_set_new(json, "status",
                            json_string(hm_status_name((enum hm_status)answer->status)));
        json_object_set_new(json, "owner",
                            holder                    ? hm_json_text(holder->owner)
                            : answer->status == HM_OK ? json_string(owner)
                                                      : json_null());
        json_object_set_new(json, "index", json_integer((json_int_t)answer->index));
        hm_json_print(json);
    } else if (holder) {
        hm_complain("'%s' belongs to '%.*s'", name, (int)holder->owner.size,
                    (const char *)holder->owner.data);
    } else if (answer->status != HM_OK) {
        return hm_complain_status(answer->status, answer->reason);
    } else {
        printf("'%s' %s '%s'\n", name, done, owner);
    }
    return code;
}

static int write_and_tell(struct hm_given *given, const struct hm_message *body, const char *done)
{
    struct hm_message reply;
    struct hm_names_item holder;
    int code = ask(&given->client, true, body, &reply);
    if (code != EXIT_OK) {
        return code;
    }
    bool told = holder_of(&given->client, &reply.answer, &holder);
    return tell(given, &reply.answer, told ? &holder : NULL, done);
}

static int run_register(struct hm_given *given)
{
    struct hm_message body = {
        .kind = HM_MSG_names_register,
        .names_register = {hm_bytes_of_text(given->words[0]),
                           hm_bytes_of_text(hm_given_option(given, KEY_OWNER))}};
    return write_and_tell(given, &body, "belongs to");
}

static int run_release(struct hm_given *given)
{
    struct hm_message body = {
        .kind = HM_MSG_names_release,
        .names_release = {hm_bytes_of_text(given->words[0]),
                          hm_bytes_of_text(hm_given_option(given, KEY_OWNER))}};
    return write_and_tell(given, &body, "is free again, said");
}

static int run_check(struct hm_given *given)
{
    struct hm_message reply;
    struct hm_names_item holder;
    struct hm_message body = {.kind = HM_MSG_names_check,
                              .names_check = {hm_bytes_of_text(given->words[0])}};
    int code = ask(&given->client, false, &body, &reply);
    if (code != EXIT_OK) {
        return code;
    }
    if (reply.answer.status != HM_OK || !holder_of(&given->client, &reply.answer, &holder)) {
        return hm_complain_status(reply.answer.status, reply.answer.reason);
    }
    if (given->options.json) {
        hm_json_print(item_json(&holder));
    } else {
        printf("%.*s\n", (int)holder.owner.size, (const char *)holder.owner.data);
    }
    return EXIT_OK;
}

/* ---- list ---- */

static void put_rows(struct hm_sheet *sheet, const struct hm_names_page *page)
{
    for (uint32_t i = 0; i < page->items_count; i++) {
        const struct hm_names_item *item = &page->items[i];
        char when[HM_LOG_TIME_BYTES];
        hm_log_time(item->time_ms, when);
        hm_sheet_put(sheet, "%.*s", (int)item->name.size, (const char *)item->name.data);
        hm_sheet_put(sheet, "%.*s", (int)item->owner.size, (const char *)item->owner.data);
        hm_sheet_put(sheet, "%s", when);
    }
}

/* The items of one array, page by page: there may be very many. */
static void print_items(const struct hm_names_page *page, bool *any)
{
    for (uint32_t i = 0; i < page->items_count; i++) {
        json_t *json = item_json(&page->items[i]);
        fputs(*any ? ",\n  " : "[\n  ", stdout);
        json_dumpf(json, stdout, JSON_COMPACT);
        json_decref(json);
        *any = true;
    }
}

static int list_pages(struct hm_given *given, struct hm_sheet *sheet, struct hm_buf *after)
{
    const char *prefix = given->words[0] ? given->words[0] : "";
    bool any = false;
    for (;;) {
        struct hm_message reply;
        struct hm_message page;
        struct hm_message body = {
            .kind = HM_MSG_names_list,
            .names_list = {.prefix = hm_bytes_of_text(prefix), .after = hm_buf_view(after)}};
        int code = ask(&given->client, false, &body, &reply);
        if (code != EXIT_OK) {
            return code;
        }
        if (reply.answer.status != HM_OK ||
            hm_message_decode_only(reply.answer.data, HM_MSG_names_page, &given->client.arena,
                                   &page) != HM_OK) {
            return hm_complain_status(reply.answer.status, reply.answer.reason);
        }
        const struct hm_names_page *names = &page.names_page;
        if (given->options.json) {
            print_items(names, &any);
        } else {
            put_rows(sheet, names);
        }
        if (names->last || names->items_count == 0) {
            break;
        }
        struct hm_bytes last = names->items[names->items_count - 1].name;
        hm_buf_clear(after);
        hm_buf_append(after, last.data, last.size);
    }
    if (given->options.json) {
        puts(any ? "\n]" : "[]");
    } else {
        hm_sheet_print(sheet);
    }
    return EXIT_OK;
}

static int run_list(struct hm_given *given)
{
    static const char *const headings[] = {"NAME", "OWNER", "SINCE", NULL};
    struct hm_sheet sheet = {.headings = headings};
    struct hm_buf after = {0};
    int code = list_pages(given, &sheet, &after);
    hm_sheet_fini(&sheet);
    hm_buf_fini(&after);
    return code;
}

/* ---- the group ---- */

static const struct argp_option owner_options[] = {
    {"owner", KEY_OWNER, "OWNER", 0, "Who it is for: any text that tells owners apart", 0},
    {0},
};

static void expect_text(struct argp_state *state, const char *text, const char *what, size_t least)
{
    struct hm_bytes bytes = hm_bytes_of_text(text);
    if (bytes.size < least || bytes.size > TEXT_BYTES_MAX || !hm_utf8_is_plain(bytes)) {
        argp_error(state, "%s is %zu to %u bytes of UTF-8 without control characters", what, least,
                   TEXT_BYTES_MAX);
    }
}

static void check_prefix(struct hm_given *given, struct argp_state *state)
{
    if (given->words[0]) {
        expect_text(state, given->words[0], "a prefix", 0);
    }
}

static void check_name(struct hm_given *given, struct argp_state *state)
{
    expect_text(state, given->words[0], "a name", 1);
}

static void check_name_and_owner(struct hm_given *given, struct argp_state *state)
{
    const char *owner = hm_given_option(given, KEY_OWNER);
    check_name(given, state);
    if (!owner) {
        argp_error(state, "it takes %s: `%s %s`", given->command->words, state->name,
                   given->command->example);
    }
    expect_text(state, owner, "--owner", 1);
}

static const struct hm_command take = {
    .name = "register",
    .words = "NAME --owner OWNER",
    .help = "make a name the owner's, if it is nobody's",
    .example = "printer --owner alice",
    .options = owner_options,
    .check = check_name_and_owner,
    .run = run_register,
};

static const struct hm_command check = {
    .name = "check",
    .words = "NAME",
    .help = "whose a name is",
    .example = "printer",
    .check = check_name,
    .run = run_check,
};

static const struct hm_command release = {
    .name = "release",
    .words = "NAME --owner OWNER",
    .help = "give up a name, as its owner",
    .example = "printer --owner alice",
    .options = owner_options,
    .check = check_name_and_owner,
    .run = run_release,
};

static const struct hm_command list = {
    .name = "list",
    .words = "[PREFIX]",
    .help = "names in order, and whose they are",
    .example = "pri",
    .check = check_prefix,
    .run = run_list,
};

static const struct hm_command *const verbs[] = {&take, &check, &release, &list, NULL};

const struct hm_command hm_command_names = {
    .name = "names",
    .words = "COMMAND",
    .help = "unique names for applications: register, check, release",
    .doc = "Unique names for applications: each belongs to one owner at a time. Some control nodes "
           "have role names.",
    .verbs = verbs,
};
