/* hivemind log append, session: what writers do. */
#include "core/cli/log.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define DATA_BYTES_MAX ((1u << 20) - 64u)

/* ---- append ---- */

enum { KEY_SESSION = 's', KEY_SEQ = 'q' };

static const struct argp_option options[] = {
    {"session", KEY_SESSION, "ID", 0, "A writer of its own (`hivemind log session` makes one)", 0},
    {"seq", KEY_SEQ, "N", 0, "Counts within the session: the same again is the same entry", 0},
    {0},
};

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

static void check(struct hm_given *given, struct argp_state *state)
{
    struct hm_log_write *write = given->own;
    const char *session = hm_given_option(given, KEY_SESSION);
    const char *seq = hm_given_option(given, KEY_SEQ);
    hm_log_check(given, state);
    write->name = hm_name_of(given->words[0]);
    if (!session != !seq) {
        argp_error(state,
                   "--session and --seq come together: `hivemind log session` makes the one, "
                   "the other counts from 1");
    }
    if (session && (!parse_session(session, &write->session) || hm_id_is_none(&write->session))) {
        argp_error(state, "--session is 32 hex digits, as `hivemind log session` prints them");
    }
    if (seq) {
        write->seq = hm_option_number(state, seq, "--seq", 1, UINT64_MAX);
    }
}

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

static int run(struct hm_given *given)
{
    const struct hm_log_write *write = given->own;
    const char *text = given->words[1];
    struct hm_message request = {.kind = HM_MSG_log_write, .log_write = *write};
    struct hm_message reply;
    struct hm_buf input = {0};
    int code = EXIT_OK;
    if (text && strcmp(text, "-") != 0) {
        request.log_write.data = hm_bytes_of_text(text);
    } else if (read_input(&input)) {
        request.log_write.data = hm_buf_view(&input);
    } else {
        hm_complain("standard input cannot be read: %s", strerror(errno));
        code = EXIT_FAILED;
    }
    if (request.log_write.data.size > DATA_BYTES_MAX) {
        hm_complain("an entry has at most %u bytes: append where to find it; nothing was appended",
                    DATA_BYTES_MAX);
        code = EXIT_FAILED;
    }
    if (code == EXIT_OK) {
        code = hm_client_answer(&given->client, &request, HM_LOG_NODE_MS, &reply);
    }
    if (code == EXIT_OK && given->options.json) {
        hm_log_print_answer(given, &reply.answer, "");
    } else if (code == EXIT_OK) {
        printf("%llu\n", (unsigned long long)reply.answer.index);
    }
    hm_buf_fini(&input);
    return code;
}

const struct hm_command hm_command_log_append = {
    .name = "append",
    .words = "NAME [DATA|-]",
    .help = "add an entry, of standard input without DATA",
    .doc = "Add an entry to the log NAME: DATA, or what comes on standard input. Prints its index "
           "once it is committed.\vAny bytes, up to 1 MiB less 64 bytes.",
    .example = "audit 'door 7 opened'",
    .options = options,
    .own_bytes = sizeof(struct hm_log_write),
    .check = check,
    .run = run,
};

/* ---- session ---- */

/* A UUID of version 7 (RFC 9562): the log knows by it how old a session is. */
static int run_session(struct hm_given *given)
{
    struct hm_id id;
    struct timespec now;
    char text[HM_ID_TEXT_BYTES];
    FILE *chance = fopen("/dev/urandom", "rb");
    (void)given;
    if (!chance || fread(id.bytes, 1, sizeof id.bytes, chance) != sizeof id.bytes) {
        hm_complain("cannot read /dev/urandom: %s", strerror(errno));
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

const struct hm_command hm_command_log_session = {
    .name = "session",
    .help = "a new session for appends that are retried",
    .doc =
        "Print a new session, for `hivemind log append --session`: an append that is retried with "
        "the same --seq is one entry.",
    .alone = true,
    .run = run_session,
};
