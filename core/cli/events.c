/* hivemind events: what the cluster agreed on, in order. */
#include "core/cli/cli.h"
#include "core/io/log.h"

#include <stdio.h>

#define PAGE_EVENTS 256
#define FOLLOW_MS   10000

static const struct argp_option options[] = {
    {"from", 'n', "N", 0, "Begin at this index (else at the oldest that is held)", 0},
    {"follow", 'f', NULL, 0, "Go on as events come, until interrupted", 0},
    {0},
};

static void check(struct hm_given *given, struct argp_state *state)
{
    const char *from = hm_given_option(given, 'n');
    if (from) {
        *(uint64_t *)given->own = hm_option_number(state, from, "--from", 0, UINT64_MAX);
    }
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
    hm_json_print_line(object);
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
    char when[HM_LOG_TIME_BYTES];
    hm_log_time(event->time_ms, when);
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
static int run(struct hm_given *given)
{
    uint64_t from = *(uint64_t *)given->own;
    bool follow = hm_given_option(given, 'f');
    for (;;) {
        uint32_t wait_ms = follow ? FOLLOW_MS : 0;
        struct hm_message reply;
        struct hm_message query = {
            .kind = HM_MSG_events_query,
            .events_query = {.from = from, .most = PAGE_EVENTS, .wait_ms = wait_ms}};
        int code = hm_client_ask(&given->client, &query, wait_ms, HM_MSG_events_reply, &reply);
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
            print_event(&page->events[i], given->options.json);
        }
        fflush(stdout);
        from = page->next;
        if (!follow && page->events_count == 0) {
            return EXIT_OK;
        }
    }
}

const struct hm_command hm_command_events = {
    .name = "events",
    .help = "what the cluster agreed on, in order",
    .doc = "What the cluster agreed on, in order.\vA line an event: its index, log time, kind and "
           "content; with --format json one object a line.",
    .options = options,
    .own_bytes = sizeof(uint64_t),
    .check = check,
    .run = run,
};
