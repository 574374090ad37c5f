/* hivemind names: unique names for applications, from any node. One table of its own subcommands.
 */
#include "core/base/utf8.h"
#include "core/cli/cli.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

/* What a node takes to say that there is no quorum comes on top of --timeout. */
#define NODE_MS        2000u
#define TEXT_BYTES_MAX 255u
#define LOG_NAME       "role.names"

enum { KEY_OWNER = 'o' };

struct arguments {
    struct hm_options options;
    const struct hm_names_verb *verb;
    const char *word; /* NAME or PREFIX */
    const char *owner;
};

struct hm_names_verb {
    const char *name;
    const char *words; /* as help shows them */
    const char *help;
    bool named; /* the word has to be there */
    bool owned; /* so has --owner */
    int (*run)(struct hm_client *client, const struct arguments *arguments);
};

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

static void format_time(uint64_t time_ms, char *out, size_t size)
{
    time_t seconds = (time_t)(time_ms / 1000);
    struct tm parts;
    char text[32];
    gmtime_r(&seconds, &parts);
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
    snprintf(out, size, "%s.%03uZ", text, (unsigned)(time_ms % 1000));
}

static json_t *item_json(const struct hm_names_item *item)
{
    char when[64];
    json_t *json = json_object();
    format_time(item->time_ms, when, sizeof when);
    json_object_set_new(json, "name", hm_json_text(item->name));
    json_object_set_new(json, "owner", hm_json_text(item->owner));
    json_object_set_new(json, "index", json_integer((json_int_t)item->index));
    json_object_set_new(json, "time", json_string(when));
    return json;
}

/* ---- the verbs ---- */

/* What became of a register or a release: in JSON on stdout whatever it was. */
static int tell(struct hm_client *client, const struct arguments *arguments,
                const struct hm_answer *answer, const char *done)
{
    struct hm_names_item holder = {.name = hm_bytes_of_text(arguments->word)};
    bool told = holder_of(client, answer, &holder);
    int code = hm_status_exit_code((enum hm_status)answer->status);
    if (arguments->options.json) {
        json_t *json = json_object();
        json_object_set_new(json, "name", json_string(arguments->word));
        json_object_set_new(json, "status",
                            json_string(hm_status_name((enum hm_status)answer->status)));
        json_object_set_new(json, "owner",
                            told                      ? hm_json_text(holder.owner)
                            : answer->status == HM_OK ? json_string(arguments->owner)
                                                      : json_null());
        json_object_set_new(json, "index", json_integer((json_int_t)answer->index));
        hm_json_print(json);
        return code;
    }
    if (told) {
        hm_complain("'%s' belongs to '%.*s'", arguments->word, (int)holder.owner.size,
                    (const char *)holder.owner.data);
    } else if (answer->status != HM_OK) {
        return hm_complain_status(answer->status, answer->reason);
    } else {
        printf("'%s' %s '%s'\n", arguments->word, done, arguments->owner);
    }
    return code;
}

static int run_register(struct hm_client *client, const struct arguments *arguments)
{
    struct hm_message reply;
    struct hm_message body = {
        .kind = HM_MSG_names_register,
        .names_register = {hm_bytes_of_text(arguments->word), hm_bytes_of_text(arguments->owner)}};
    int code = ask(client, true, &body, &reply);
    return code == EXIT_OK ? tell(client, arguments, &reply.answer, "belongs to") : code;
}

static int run_release(struct hm_client *client, const struct arguments *arguments)
{
    struct hm_message reply;
    struct hm_message body = {
        .kind = HM_MSG_names_release,
        .names_release = {hm_bytes_of_text(arguments->word), hm_bytes_of_text(arguments->owner)}};
    int code = ask(client, true, &body, &reply);
    return code == EXIT_OK ? tell(client, arguments, &reply.answer, "is free again, said") : code;
}

static int run_check(struct hm_client *client, const struct arguments *arguments)
{
    struct hm_message reply;
    struct hm_names_item holder;
    struct hm_message body = {.kind = HM_MSG_names_check,
                              .names_check = {hm_bytes_of_text(arguments->word)}};
    int code = ask(client, false, &body, &reply);
    if (code != EXIT_OK) {
        return code;
    }
    if (reply.answer.status != HM_OK || !holder_of(client, &reply.answer, &holder)) {
        return hm_complain_status(reply.answer.status, reply.answer.reason);
    }
    if (arguments->options.json) {
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
        char when[64];
        format_time(item->time_ms, when, sizeof when);
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

static int list_pages(struct hm_client *client, const struct arguments *arguments,
                      struct hm_sheet *sheet, struct hm_buf *after)
{
    bool any = false;
    for (;;) {
        struct hm_message reply;
        struct hm_message page;
        struct hm_message body = {
            .kind = HM_MSG_names_list,
            .names_list = {.prefix = hm_bytes_of_text(arguments->word ? arguments->word : ""),
                           .after = hm_buf_view(after)}};
        int code = ask(client, false, &body, &reply);
        if (code != EXIT_OK) {
            return code;
        }
        if (reply.answer.status != HM_OK ||
            hm_message_decode_only(reply.answer.data, HM_MSG_names_page, &client->arena, &page) !=
                HM_OK) {
            return hm_complain_status(reply.answer.status, reply.answer.reason);
        }
        const struct hm_names_page *names = &page.names_page;
        if (arguments->options.json) {
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
    if (arguments->options.json) {
        puts(any ? "\n]" : "[]");
    } else {
        hm_sheet_print(sheet);
    }
    return EXIT_OK;
}

static int run_list(struct hm_client *client, const struct arguments *arguments)
{
    static const char *const headings[] = {"NAME", "OWNER", "SINCE", NULL};
    struct hm_sheet sheet = {.headings = headings};
    struct hm_buf after = {0};
    int code = list_pages(client, arguments, &sheet, &after);
    hm_sheet_fini(&sheet);
    hm_buf_fini(&after);
    return code;
}

/* ---- the table ---- */

static const struct hm_names_verb verbs[] = {
    {"register", "NAME --owner OWNER", "make a name the owner's, if it is nobody's", true, true,
     run_register},
    {"check", "NAME", "whose a name is", true, false, run_check},
    {"release", "NAME --owner OWNER", "give up a name, as its owner", true, true, run_release},
    {"list", "[PREFIX]", "names in order, and whose they are", false, false, run_list},
};

#define VERB_COUNT (sizeof verbs / sizeof *verbs)

static const struct argp_option owner_options[] = {
    {"owner", KEY_OWNER, "OWNER", 0, "Who it is for: any text that tells owners apart", 0}, {0}};
static const struct argp_option no_options[] = {{0}};

static void expect_text(struct argp_state *state, const char *text, const char *what, size_t least)
{
    struct hm_bytes bytes = hm_bytes_of_text(text);
    if (bytes.size < least || bytes.size > TEXT_BYTES_MAX || !hm_utf8_is_plain(bytes)) {
        argp_error(state, "%s is %zu to %u bytes of UTF-8 without control characters", what, least,
                   TEXT_BYTES_MAX);
    }
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct arguments *out = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &out->options;
        return 0;
    case KEY_OWNER:
        expect_text(state, arg, "--owner", 1);
        out->owner = arg;
        return 0;
    case ARGP_KEY_ARG:
        if (out->word) {
            argp_error(state, "too many arguments: %s", arg);
        }
        expect_text(state, arg, out->verb->named ? "a name" : "a prefix", out->verb->named ? 1 : 0);
        out->word = arg;
        return 0;
    case ARGP_KEY_END:
        if ((out->verb->named && !out->word) || (out->verb->owned && !out->owner)) {
            argp_error(state, "it takes %s", out->verb->words);
        }
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static int run_verb(const struct hm_names_verb *verb, int argc, char **argv)
{
    static const struct argp_child children[] = {{&hm_options_argp, 0, NULL, 0}, {0}};
    const struct argp argp = {.options = verb->owned ? owner_options : no_options,
                              .parser = parse,
                              .args_doc = verb->owned ? "NAME" : verb->words,
                              .children = children,
                              .doc = verb->help};
    struct arguments arguments = {.verb = verb};
    struct hm_client client;
    argp_parse(&argp, argc, argv, 0, NULL, &arguments);
    int code = hm_client_open(&client, &arguments.options);
    if (code == EXIT_OK) {
        code = verb->run(&client, &arguments);
        hm_client_close(&client);
    }
    return code;
}

static void print_help(FILE *out)
{
    fprintf(out, "Usage: hivemind names COMMAND [OPTION...]\n"
                 "Unique names for applications: each belongs to one owner at a time. Some control "
                 "nodes have role names.\n\n");
    for (size_t i = 0; i < VERB_COUNT; i++) {
        fprintf(out, "  %-8s %-19s %s\n", verbs[i].name, verbs[i].words, verbs[i].help);
    }
    fprintf(out, "\n`hivemind names COMMAND --help` tells more of each.\n");
}

int hm_command_names(int argc, char **argv)
{
    const char *word = argc > 1 ? argv[1] : NULL;
    if (!word || strcmp(word, "--help") == 0 || strcmp(word, "-?") == 0) {
        print_help(word ? stdout : stderr);
        return word ? EXIT_OK : EXIT_USAGE;
    }
    for (size_t i = 0; i < VERB_COUNT; i++) {
        if (strcmp(word, verbs[i].name) == 0) {
            char name[64];
            snprintf(name, sizeof name, "hivemind names %s", word);
            argv[1] = name;
            return run_verb(&verbs[i], argc - 1, argv + 1);
        }
    }
    hm_complain("names: unknown command %s; `hivemind names --help` lists them", word);
    return EXIT_USAGE;
}
