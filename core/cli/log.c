/* hivemind log: named logs, from any node. One table of its own subcommands. */
#include "core/cli/cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* What a node takes to say that there is no quorum comes on top of --timeout. */
#define NODE_MS        2000u
#define FOLLOW_MS      10000u
#define DATA_BYTES_MAX ((1u << 20) - 64u)
#define ROLE_PREFIX    "role."

enum { KEY_KEEP = 'k', KEY_BYTES = 'b', KEY_SESSION = 's', KEY_SEQ = 'q' };
enum { KEY_FROM = 'n', KEY_TO = 'e', KEY_LOCAL = 'l', KEY_RAW = 'r' };

struct arguments {
    struct hm_options options;
    const struct hm_log_verb *verb;
    const char *words[3]; /* NAME, then what the verb takes besides */
    int word_count;
    struct hm_name name;
    uint32_t keep_entries;
    uint32_t keep_bytes;
    struct hm_id session;
    uint64_t seq;
    uint64_t from;
    uint64_t to;
    bool local;
    bool raw;
};

struct hm_log_verb {
    const char *name;
    const char *words; /* as help shows them */
    const char *help;
    const struct argp_option *options;
    int least; /* words */
    int most;
    int (*run)(struct hm_client *client, struct arguments *arguments);
};

/* ---- asking ---- */

static int ask_for_answer(struct hm_client *client, const struct hm_message *request,
                          struct hm_message *reply)
{
    int code = hm_client_ask(client, request, NODE_MS, HM_MSG_answer, reply);
    if (code == EXIT_OK && reply->answer.status != HM_OK) {
        code = hm_complain_status(reply->answer.status, reply->answer.reason);
    }
    return code;
}

static void print_answer(const struct arguments *arguments, const struct hm_answer *answer,
                         const char *what)
{
    if (arguments->options.json) {
        json_t *json = json_object();
        json_object_set_new(json, "log", hm_json_name(&arguments->name));
        json_object_set_new(json, "index", json_integer((json_int_t)answer->index));
        json_object_set_new(json, "text", hm_json_text(answer->reason));
        hm_json_print(json);
    } else if (answer->reason.size > 2) {
        printf("%.*s\n", (int)answer->reason.size, (const char *)answer->reason.data);
    } else {
        printf("log %s %s\n", arguments->name.text, what);
    }
}

static int do_and_tell(struct hm_client *client, const struct arguments *arguments,
                       const struct hm_message *request, const char *what)
{
    struct hm_message reply;
    int code = ask_for_answer(client, request, &reply);
    if (code == EXIT_OK) {
        print_answer(arguments, &reply.answer, what);
    }
    return code;
}

static int run_create(struct hm_client *client, struct arguments *arguments)
{
    struct hm_message request = {.kind = HM_MSG_log_create,
                                 .log_create = {.name = arguments->name,
                                                .keep_entries = arguments->keep_entries,
                                                .keep_bytes = arguments->keep_bytes}};
    return do_and_tell(client, arguments, &request, "is there");
}

static int run_delete(struct hm_client *client, struct arguments *arguments)
{
    struct hm_message request = {.kind = HM_MSG_log_delete,
                                 .log_delete = {.name = arguments->name}};
    return do_and_tell(client, arguments, &request, "is gone");
}

static int change(struct hm_client *client, struct arguments *arguments, uint8_t what,
                  const char *told)
{
    struct hm_message request = {.kind = HM_MSG_log_change,
                                 .log_change = {.name = arguments->name, .what = what}};
    if (arguments->words[1]) {
        request.log_change.node = hm_name_of(arguments->words[1]);
    }
    return do_and_tell(client, arguments, &request, told);
}

static int run_add(struct hm_client *client, struct arguments *arguments)
{
    return change(client, arguments, 0, "is carried there");
}

static int run_remove(struct hm_client *client, struct arguments *arguments)
{
    return change(client, arguments, 1, "is carried there no more");
}

static int run_transfer(struct hm_client *client, struct arguments *arguments)
{
    return change(client, arguments, 2, "changes its leader");
}

static int run_snapshot(struct hm_client *client, struct arguments *arguments)
{
    return change(client, arguments, 3, "has a snapshot");
}

/* ---- append ---- */

/* All of standard input, as far as an entry may be long. */
static bool read_input(struct hm_buf *out)
{
    size_t got;
    do {
        uint8_t *into = hm_buf_extend(out, 65536);
        got = fread(into, 1, 65536, stdin);
        out->size -= 65536 - got;
    } while (got > 0 && out->size <= DATA_BYTES_MAX);
    return !ferror(stdin);
}

static int run_append(struct hm_client *client, struct arguments *arguments)
{
    struct hm_buf input = {0};
    struct hm_message reply;
    bool piped = !arguments->words[1] || strcmp(arguments->words[1], "-") == 0;
    struct hm_bytes data = piped ? (struct hm_bytes){0} : hm_bytes_of_text(arguments->words[1]);
    int code = EXIT_OK;
    if (piped && !read_input(&input)) {
        hm_complain("cannot read standard input");
        code = EXIT_FAILED;
    }
    data = piped ? hm_buf_view(&input) : data;
    if (code == EXIT_OK && data.size > DATA_BYTES_MAX) {
        hm_complain("an entry has at most %u bytes; nothing was appended", DATA_BYTES_MAX);
        code = EXIT_FAILED;
    }
    if (code == EXIT_OK) {
        struct hm_message request = {.kind = HM_MSG_log_write,
                                     .log_write = {.name = arguments->name,
                                                   .session = arguments->session,
                                                   .seq = arguments->seq,
                                                   .data = data}};
        code = ask_for_answer(client, &request, &reply);
    }
    if (code == EXIT_OK && arguments->options.json) {
        print_answer(arguments, &reply.answer, "");
    } else if (code == EXIT_OK) {
        printf("%llu\n", (unsigned long long)reply.answer.index);
    }
    hm_buf_fini(&input);
    return code;
}

/* A UUID of version 7 (RFC 9562): the log knows by it how old a session is. */
static int run_session(struct hm_client *client, struct arguments *arguments)
{
    struct hm_id id;
    struct timespec now;
    char text[HM_ID_TEXT_BYTES];
    FILE *chance = fopen("/dev/urandom", "rb");
    (void)client;
    (void)arguments;
    if (!chance || fread(id.bytes, 1, sizeof id.bytes, chance) != sizeof id.bytes) {
        hm_complain("cannot read /dev/urandom");
        if (chance) {
            fclose(chance);
        }
        return EXIT_FAILED;
    }
    fclose(chance);
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
    for (size_t i = 0; i < 6; i++) {
        id.bytes[i] = (uint8_t)(ms >> (40 - 8 * i));
    }
    id.bytes[6] = (uint8_t)((id.bytes[6] & 0x0f) | 0x70);
    id.bytes[8] = (uint8_t)((id.bytes[8] & 0x3f) | 0x80);
    puts(hm_id_format(&id, text));
    return EXIT_OK;
}

/* ---- read and follow ---- */

static const char base64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static json_t *json_base64(struct hm_bytes bytes)
{
    struct hm_buf text = {0};
    for (size_t i = 0; i < bytes.size; i += 3) {
        uint32_t word = (uint32_t)bytes.data[i] << 16;
        word |= i + 1 < bytes.size ? (uint32_t)bytes.data[i + 1] << 8 : 0;
        word |= i + 2 < bytes.size ? bytes.data[i + 2] : 0;
        uint8_t four[4] = {(uint8_t)base64[word >> 18], (uint8_t)base64[word >> 12 & 63],
                           (uint8_t)(i + 1 < bytes.size ? base64[word >> 6 & 63] : '='),
                           (uint8_t)(i + 2 < bytes.size ? base64[word & 63] : '=')};
        hm_buf_append(&text, four, sizeof four);
    }
    json_t *json = hm_json_text(hm_buf_view(&text));
    hm_buf_fini(&text);
    return json;
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

/* One object a line; what is no UTF-8 comes as `base64`. */
static void print_json_item(const struct hm_log_item *item, const char *when)
{
    json_t *object = json_object();
    json_t *text = json_stringn((const char *)item->data.data, item->data.size);
    json_object_set_new(object, "index", json_integer((json_int_t)item->index));
    json_object_set_new(object, "time", json_string(when));
    if (item->seq) {
        json_object_set_new(object, "session", hm_json_id(&item->session));
        json_object_set_new(object, "seq", json_integer((json_int_t)item->seq));
    }
    if (text) {
        json_object_set_new(object, "data", text);
    } else {
        json_object_set_new(object, "base64", json_base64(item->data));
    }
    json_dumpf(object, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(object);
}

/* On one line, and nothing that a terminal obeys. */
static void print_escaped(struct hm_bytes data)
{
    json_t *text = json_stringn((const char *)data.data, data.size);
    for (size_t i = 0; i < data.size; i++) {
        uint8_t byte = data.data[i];
        bool plain = byte >= ' ' && byte != 0x7f && byte != '\\' && (byte < 0x80 || text);
        printf(plain ? "%c" : "\\x%02x", byte);
    }
    json_decref(text);
}

static void print_item(const struct arguments *arguments, const struct hm_log_item *item)
{
    char when[64];
    format_time(item->time_ms, when, sizeof when);
    if (arguments->raw) {
        fwrite(item->data.data, 1, item->data.size, stdout);
    } else if (arguments->options.json) {
        print_json_item(item, when);
    } else {
        printf("%llu  %s  ", (unsigned long long)item->index, when);
        print_escaped(item->data);
        putchar('\n');
    }
}

/* Page after page. A read that is not local is up to date from its first page on: later ones go on
 * to where the log ended then. */
static int print_pages(struct hm_client *client, struct arguments *arguments, uint32_t wait_ms)
{
    for (;;) {
        struct hm_message reply;
        struct hm_message query = {.kind = HM_MSG_log_read,
                                   .log_read = {.name = arguments->name,
                                                .from = arguments->from,
                                                .to = arguments->to,
                                                .local = arguments->local,
                                                .wait_ms = wait_ms}};
        int code = hm_client_ask(client, &query, wait_ms + NODE_MS, HM_MSG_log_page, &reply);
        if (code != EXIT_OK) {
            return code;
        }
        const struct hm_log_page *page = &reply.log_page;
        if (page->status != HM_OK) {
            return hm_complain_status(page->status, page->reason);
        }
        for (uint32_t i = 0; i < page->items_count; i++) {
            print_item(arguments, &page->items[i]);
        }
        if (fflush(stdout) != 0) {
            return EXIT_FAILED; /* nobody reads any more */
        }
        arguments->to = wait_ms || arguments->to ? arguments->to : page->newest;
        arguments->from = page->next;
        if (wait_ms == 0 && arguments->from > arguments->to) {
            return EXIT_OK;
        }
    }
}

static int run_read(struct hm_client *client, struct arguments *arguments)
{
    if (arguments->to && arguments->to < arguments->from) {
        hm_complain("--to lies before --from");
        return EXIT_USAGE;
    }
    return print_pages(client, arguments, 0);
}

static int run_follow(struct hm_client *client, struct arguments *arguments)
{
    arguments->local = true;
    return print_pages(client, arguments, FOLLOW_MS);
}

/* ---- list and members ---- */

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

static int run_list(struct hm_client *client, struct arguments *arguments)
{
    struct hm_message reply;
    struct hm_message query = {.kind = HM_MSG_log_list};
    int code = hm_client_ask(client, &query, NODE_MS, HM_MSG_log_listed, &reply);
    if (code != EXIT_OK) {
        return code;
    }
    const struct hm_log_listed *listed = &reply.log_listed;
    if (!arguments->options.json) {
        print_logs(listed);
        return EXIT_OK;
    }
    json_t *logs = json_array();
    for (uint32_t i = 0; i < listed->logs_count; i++) {
        json_array_append_new(logs, log_json(&listed->logs[i]));
    }
    hm_json_print(logs);
    return EXIT_OK;
}

static json_t *member_json(const struct hm_log_member *member)
{
    json_t *json = json_object();
    json_object_set_new(json, "name",
                        member->name.size ? hm_json_name(&member->name) : json_null());
    json_object_set_new(json, "id", hm_json_id(&member->id));
    json_object_set_new(json, "addr", hm_json_addr(&member->addr));
    json_object_set_new(json, "state", hm_json_text(member->state));
    return json;
}

static int run_members(struct hm_client *client, struct arguments *arguments)
{
    static const char *const headings[] = {"NAME", "ADDRESS", "STATE", "ID", NULL};
    struct hm_sheet sheet = {.headings = headings};
    struct hm_message reply;
    struct hm_message query = {.kind = HM_MSG_log_members,
                               .log_members = {.name = arguments->name}};
    json_t *members = json_array();
    int code = hm_client_ask(client, &query, NODE_MS, HM_MSG_log_members_reply, &reply);
    for (uint32_t i = 0; code == EXIT_OK && i < reply.log_members_reply.members_count; i++) {
        const struct hm_log_member *member = &reply.log_members_reply.members[i];
        char addr[HM_ADDR_TEXT_BYTES];
        char id[HM_ID_TEXT_BYTES];
        json_array_append_new(members, member_json(member));
        hm_sheet_put(&sheet, "%s", member->name.size ? member->name.text : "-");
        hm_sheet_put(&sheet, "%s", hm_addr_format(&member->addr, addr));
        hm_sheet_put(&sheet, "%.*s", (int)member->state.size, (const char *)member->state.data);
        hm_sheet_put(&sheet, "%s", hm_id_format(&member->id, id));
    }
    if (code == EXIT_OK && !arguments->options.json) {
        hm_sheet_print(&sheet);
    }
    hm_sheet_fini(&sheet);
    if (code == EXIT_OK && arguments->options.json) {
        hm_json_print(members);
    } else {
        json_decref(members);
    }
    return code;
}

/* ---- the table ---- */

static const struct argp_option no_options[] = {{0}};
static const struct argp_option create_options[] = {
    {"keep", KEY_KEEP, "N", 0, "So many entries stay readable (65536; at most 131072)", 0},
    {"keep-bytes", KEY_BYTES, "N", 0, "And so many bytes of them (4194304; at most 8388608)", 0},
    {0}};
static const struct argp_option append_options[] = {
    {"session", KEY_SESSION, "ID", 0, "A writer of its own (`hivemind log session` makes one)", 0},
    {"seq", KEY_SEQ, "N", 0, "Counts within the session: the same again is the same entry", 0},
    {0}};
static const struct argp_option read_options[] = {
    {"from", KEY_FROM, "I", 0, "Begin at this index (else at the oldest that is kept)", 0},
    {"to", KEY_TO, "I", 0, "End at this index (else at the newest)", 0},
    {"local", KEY_LOCAL, NULL, 0, "A control node's own copy, which may lag; needs no quorum", 0},
    {"raw", KEY_RAW, NULL, 0, "The bytes of the entries and nothing else", 0},
    {0}};
static const struct argp_option follow_options[] = {
    {"from", KEY_FROM, "I", 0, "Begin at this index (else at the oldest that is kept)", 0},
    {"raw", KEY_RAW, NULL, 0, "The bytes of the entries and nothing else", 0},
    {0}};

static const struct hm_log_verb verbs[] = {
    {"create", "NAME", "make a log", create_options, 1, 1, run_create},
    {"list", "", "which logs there are", no_options, 0, 0, run_list},
    {"delete", "NAME", "delete a log with all that is in it", no_options, 1, 1, run_delete},
    {"append", "NAME [DATA|-]", "add an entry, of standard input without DATA", append_options, 1,
     2, run_append},
    {"session", "", "a new session for appends that are retried", no_options, 0, 0, run_session},
    {"read", "NAME", "entries, with all that was committed before", read_options, 1, 1, run_read},
    {"follow", "NAME", "entries as they come, each once and in order", follow_options, 1, 1,
     run_follow},
    {"members", "NAME", "who carries a log", no_options, 1, 1, run_members},
    {"add", "NAME NODE", "let a control node carry a log (again)", no_options, 2, 2, run_add},
    {"remove", "NAME NODE", "let a control node carry a log no more", no_options, 2, 2, run_remove},
    {"transfer", "NAME [NODE]", "hand leadership over", no_options, 1, 2, run_transfer},
    {"snapshot", "NAME", "have a log take a snapshot now", no_options, 1, 1, run_snapshot},
};

#define VERB_COUNT (sizeof verbs / sizeof *verbs)

/* 32 hex digits, with or without the hyphens of a UUID. */
static bool parse_session(const char *text, struct hm_id *out)
{
    static const char digits[] = "0123456789abcdef";
    size_t count = 0;
    for (; *text; text++) {
        int low = *text >= 'A' && *text <= 'F' ? *text + 32 : *text;
        const char *digit = strchr(digits, low);
        if (*text == '-') {
            continue;
        }
        if (!digit || count == 2 * sizeof out->bytes) {
            return false;
        }
        unsigned value = (unsigned)(digit - digits);
        uint8_t *byte = &out->bytes[count / 2];
        *byte = (uint8_t)(count % 2 ? *byte | value : value << 4);
        count++;
    }
    return count == 2 * sizeof out->bytes;
}

/* The log of a role is role.NAME. */
static struct hm_name parse_name(struct argp_state *state, const char *word)
{
    struct hm_name name;
    size_t prefix =
        strncmp(word, ROLE_PREFIX, sizeof ROLE_PREFIX - 1) == 0 ? sizeof ROLE_PREFIX - 1 : 0;
    name = hm_option_name(state, word + prefix, "the name of a log");
    if (!hm_name_set(&name, word, strlen(word))) {
        argp_error(state, "the name of a log has at most %d letters", HM_NAME_MAX);
    }
    return name;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct arguments *out = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &out->options;
        return 0;
    case KEY_KEEP:
        out->keep_entries = (uint32_t)hm_option_number(state, arg, "--keep", 1, 131072);
        return 0;
    case KEY_BYTES:
        out->keep_bytes = (uint32_t)hm_option_number(state, arg, "--keep-bytes", 1, 8u << 20);
        return 0;
    case KEY_SESSION:
        if (!parse_session(arg, &out->session)) {
            argp_error(state, "--session is 32 hex digits, as `hivemind log session` prints them");
        }
        return 0;
    case KEY_SEQ:
        out->seq = hm_option_number(state, arg, "--seq", 1, UINT64_MAX);
        return 0;
    case KEY_FROM:
        out->from = hm_option_number(state, arg, "--from", 0, UINT64_MAX);
        return 0;
    case KEY_TO:
        out->to = hm_option_number(state, arg, "--to", 1, UINT64_MAX);
        return 0;
    case KEY_LOCAL:
        out->local = true;
        return 0;
    case KEY_RAW:
        out->raw = true;
        return 0;
    case ARGP_KEY_ARG:
        if (out->word_count >= out->verb->most) {
            argp_error(state, "too many arguments: %s", arg);
        }
        out->words[out->word_count++] = arg;
        return 0;
    case ARGP_KEY_END:
        if (out->word_count < out->verb->least) {
            argp_error(state, "it takes %s", out->verb->words);
        }
        if (out->word_count) {
            out->name = parse_name(state, out->words[0]);
        }
        if (hm_id_is_none(&out->session) != (out->seq == 0)) {
            argp_error(state, "--session and --seq come together");
        }
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static int run_verb(const struct hm_log_verb *verb, int argc, char **argv)
{
    static const struct argp_child children[] = {{&hm_options_argp, 0, NULL, 0}, {0}};
    const struct argp argp = {.options = verb->options,
                              .parser = parse,
                              .args_doc = verb->words,
                              .children = children,
                              .doc = verb->help};
    struct arguments arguments = {.verb = verb};
    struct hm_client client;
    argp_parse(&argp, argc, argv, 0, NULL, &arguments);
    if (verb->run == run_session) {
        return run_session(NULL, &arguments);
    }
    int code = hm_client_open(&client, &arguments.options);
    if (code == EXIT_OK) {
        code = verb->run(&client, &arguments);
        hm_client_close(&client);
    }
    return code;
}

static void print_help(FILE *out)
{
    fprintf(out, "Usage: hivemind log COMMAND [OPTION...]\n"
                 "Logs that a program of yours appends to and reads, carried by the control "
                 "plane.\n\n");
    for (size_t i = 0; i < VERB_COUNT; i++) {
        fprintf(out, "  %-8s %-14s %s\n", verbs[i].name, verbs[i].words, verbs[i].help);
    }
    fprintf(out, "\n`hivemind log COMMAND --help` tells more of each.\n");
}

int hm_command_log(int argc, char **argv)
{
    const char *word = argc > 1 ? argv[1] : NULL;
    if (!word || strcmp(word, "--help") == 0 || strcmp(word, "-?") == 0) {
        print_help(word ? stdout : stderr);
        return word ? EXIT_OK : EXIT_USAGE;
    }
    for (size_t i = 0; i < VERB_COUNT; i++) {
        if (strcmp(word, verbs[i].name) == 0) {
            char name[64];
            snprintf(name, sizeof name, "hivemind log %s", word);
            argv[1] = name;
            return run_verb(&verbs[i], argc - 1, argv + 1);
        }
    }
    hm_complain("log: unknown command %s; `hivemind log --help` lists them", word);
    return EXIT_USAGE;
}
