/* hivemind log read, follow: entries of a log. */
#include "core/cli/log.h"
#include "core/io/log.h"

#include <stdio.h>

#define FOLLOW_MS 10000u

enum { KEY_FROM = 'n', KEY_TO = 'e', KEY_LOCAL = 'l', KEY_RAW = 'r' };

#define FROM                                                                                 \
    {                                                                                        \
        "from", KEY_FROM, "I", 0, "Begin at this index (else at the oldest that is kept)", 0 \
    }
#define RAW                                                                     \
    {                                                                           \
        "raw", KEY_RAW, NULL, 0, "The bytes of the entries and nothing else", 0 \
    }

static const struct argp_option read_options[] = {
    FROM,
    {"to", KEY_TO, "I", 0, "End at this index (else at the newest)", 0},
    {"local", KEY_LOCAL, NULL, 0, "A control node's own copy, which may lag; needs no quorum", 0},
    RAW,
    {0},
};
static const struct argp_option follow_options[] = {FROM, RAW, {0}};

/* ---- an entry ---- */

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
    hm_json_print_line(object);
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

static void print_item(const struct hm_given *given, const struct hm_log_item *item)
{
    char when[HM_LOG_TIME_BYTES];
    hm_log_time(item->time_ms, when);
    if (hm_given_option(given, KEY_RAW)) {
        fwrite(item->data.data, 1, item->data.size, stdout);
    } else if (given->options.json) {
        print_json_item(item, when);
    } else {
        printf("%llu  %s  ", (unsigned long long)item->index, when);
        print_escaped(item->data);
        putchar('\n');
    }
}

/* ---- pages of them ---- */

/* Page after page. A read that is not local is up to date from its first page on: later ones go on
 * to where the log ended then. */
static int print_pages(struct hm_given *given, struct hm_log_read *read)
{
    for (;;) {
        struct hm_message reply;
        struct hm_message query = {.kind = HM_MSG_log_read, .log_read = *read};
        int code = hm_client_ask(&given->client, &query, read->wait_ms + HM_LOG_NODE_MS,
                                 HM_MSG_log_page, &reply);
        if (code != EXIT_OK) {
            return code;
        }
        const struct hm_log_page *page = &reply.log_page;
        if (page->status != HM_OK) {
            return hm_complain_status(page->status, page->reason);
        }
        for (uint32_t i = 0; i < page->items_count; i++) {
            print_item(given, &page->items[i]);
        }
        if (fflush(stdout) != 0) {
            return EXIT_FAILED; /* nobody reads any more */
        }
        read->to = read->wait_ms || read->to ? read->to : page->newest;
        read->from = page->next;
        if (read->wait_ms == 0 && read->from > read->to) {
            return EXIT_OK;
        }
    }
}

static void check_follow(struct hm_given *given, struct argp_state *state)
{
    struct hm_log_read *read = given->own;
    const char *from = hm_given_option(given, KEY_FROM);
    hm_log_check(given, state);
    read->name = hm_name_of(given->words[0]);
    if (from) {
        read->from = hm_option_number(state, from, "--from", 0, UINT64_MAX);
    }
}

static void check_read(struct hm_given *given, struct argp_state *state)
{
    struct hm_log_read *read = given->own;
    const char *to = hm_given_option(given, KEY_TO);
    check_follow(given, state);
    read->local = hm_given_option(given, KEY_LOCAL);
    if (to) {
        read->to = hm_option_number(state, to, "--to", 1, UINT64_MAX);
        if (read->to < read->from) {
            argp_error(state, "--to %s lies before --from: it is the last index that is read", to);
        }
    }
}

static int run_read(struct hm_given *given)
{
    return print_pages(given, given->own);
}

static int run_follow(struct hm_given *given)
{
    struct hm_log_read *read = given->own;
    read->local = true;
    read->wait_ms = FOLLOW_MS;
    return print_pages(given, read);
}

const struct hm_command hm_command_log_read = {
    .name = "read",
    .words = "NAME",
    .help = "entries, with all that was committed before",
    .doc = "The entries of the log NAME, with all that was committed before.\vA line an entry: its "
           "index, log time and data; with --format json one object a line, in which data that is "
           "no UTF-8 comes as `base64`.",
    .example = "audit",
    .options = read_options,
    .own_bytes = sizeof(struct hm_log_read),
    .check = check_read,
    .run = run_read,
};

const struct hm_command hm_command_log_follow = {
    .name = "follow",
    .words = "NAME",
    .help = "entries as they come, each once and in order",
    .doc = "The entries of the log NAME as they come, each once and in order, until interrupted.",
    .example = "audit",
    .options = follow_options,
    .own_bytes = sizeof(struct hm_log_read),
    .check = check_follow,
    .run = run_follow,
};
