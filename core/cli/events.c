/* hivemind events: what the cluster agreed on, in order. */
#include "core/cli/cli.h"

#include <stdio.h>
#include <time.h>

#define PAGE_EVENTS 256
#define FOLLOW_MS   10000

struct arguments {
    struct hm_options options;
    uint64_t from;
    bool follow;
};

static const struct argp_option own_options[] = {
    {"from", 'n', "N", 0, "Begin at this index (else at the oldest that is held)", 0},
    {"follow", 'f', NULL, 0, "Go on as events come, until interrupted", 0},
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
    case 'n':
        out->from = hm_option_number(state, arg, "--from", 0, UINT64_MAX);
        return 0;
    case 'f':
        out->follow = true;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {
    .options = own_options,
    .parser = parse,
    .children = children,
    .doc = "What the cluster agreed on, in order.\vA line an event: its index, log time, kind and "
           "content; with --format json one object a line.",
};

static void format_time(uint64_t time_ms, char *out, size_t size)
{
    time_t seconds = (time_t)(time_ms / 1000);
    struct tm parts;
    char text[32];
    gmtime_r(&seconds, &parts);
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
    snprintf(out, size, "%s.%03uZ", text, (unsigned)(time_ms % 1000));
}

/* One object a line, with all that the message says. */
static void print_json(const struct hm_event *event, const struct hm_message *body,
                       const char *when)
{
    struct hm_buf text = {0};
    hm_message_print(&text, body);
    json_t *object = json_object();
    json_object_set_new(object, "index", json_integer((json_int_t)event->index));
    json_object_set_new(object, "epoch", json_integer((json_int_t)event->epoch));
    json_object_set_new(object, "time", json_string(when));
    json_object_set_new(object, "origin", hm_json_id(&event->origin));
    json_object_set_new(object, "kind", json_string(hm_message_name(body->kind)));
    if (body->kind == HM_MSG_user_event) {
        json_object_set_new(object, "name", hm_json_text(body->user_event.name));
        json_object_set_new(object, "data", hm_json_text(body->user_event.data));
    }
    json_object_set_new(object, "text", hm_json_text(hm_buf_view(&text)));
    json_dumpf(object, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(object);
    hm_buf_fini(&text);
}

static void print_line(const struct hm_event *event, const struct hm_message *body,
                       const char *when)
{
    struct hm_buf text = {0};
    hm_event_describe(body, &text);
    printf("%llu  %s  %-14s  %.*s\n", (unsigned long long)event->index, when,
           hm_message_name(body->kind), (int)text.size, (const char *)text.data);
    hm_buf_fini(&text);
}

static void print_event(const struct hm_event *event, bool json)
{
    struct hm_arena arena = {0};
    struct hm_message body;
    struct hm_reader in = hm_reader_of(event->body);
    char when[64];
    format_time(event->time_ms, when, sizeof when);
    if (hm_message_decode(&in, &arena, &body) != HM_OK) {
        hm_complain("event %llu is of a newer release; upgrade hivemind to read it",
                    (unsigned long long)event->index);
    } else if (json) {
        print_json(event, &body, when);
    } else {
        print_line(event, &body, when);
    }
    hm_arena_fini(&arena);
}

/* Page after page; without --follow to the newest. */
static int print_events(struct hm_client *client, struct arguments *arguments)
{
    for (;;) {
        uint32_t wait_ms = arguments->follow ? FOLLOW_MS : 0;
        struct hm_message reply;
        struct hm_message query = {
            .kind = HM_MSG_events_query,
            .events_query = {.from = arguments->from, .most = PAGE_EVENTS, .wait_ms = wait_ms}};
        int code = hm_client_ask(client, &query, wait_ms, HM_MSG_events_reply, &reply);
        if (code != EXIT_OK) {
            return code;
        }
        const struct hm_events_reply *page = &reply.events_reply;
        if (page->status != HM_OK && page->status != HM_COMPACTED) {
            return hm_complain_status(page->status, page->reason);
        }
        if (page->status == HM_COMPACTED) {
            hm_complain("%.*s", (int)page->reason.size, (const char *)page->reason.data);
        }
        for (uint32_t i = 0; i < page->events_count; i++) {
            print_event(&page->events[i], arguments->options.json);
        }
        fflush(stdout);
        arguments->from = page->next;
        if (!arguments->follow && page->events_count == 0) {
            return EXIT_OK;
        }
    }
}

int hm_command_events(int argc, char **argv)
{
    struct arguments arguments = {0};
    struct hm_client client;
    argp_parse(&argp, argc, argv, 0, NULL, &arguments);
    int code = hm_client_open(&client, &arguments.options);
    if (code == EXIT_OK) {
        code = print_events(&client, &arguments);
        hm_client_close(&client);
    }
    return code;
}
