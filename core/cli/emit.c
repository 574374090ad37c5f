/* hivemind emit: tells every node something, in the one order that all see. */
#include "core/cli/cli.h"
#include "core/state/state.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* At most one byte more than is allowed: it is refused then. */
static int read_data(const char *text, uint8_t data[HM_USER_EVENT_DATA_BYTES_MAX + 1],
                     struct hm_bytes *out)
{
    *out = text ? hm_bytes_of_text(text) : (struct hm_bytes){0};
    if (text && strcmp(text, "-") == 0) {
        size_t size = fread(data, 1, HM_USER_EVENT_DATA_BYTES_MAX + 1, stdin);
        if (ferror(stdin)) {
            hm_complain("standard input cannot be read: %s", strerror(errno));
            return EXIT_FAILED;
        }
        *out = (struct hm_bytes){data, size};
    }
    if (out->size > HM_USER_EVENT_DATA_BYTES_MAX) {
        hm_complain("the data of an event has at most %u bytes; emit where to find them",
                    HM_USER_EVENT_DATA_BYTES_MAX);
        return EXIT_USAGE;
    }
    return EXIT_OK;
}

static void check(struct hm_given *given, struct argp_state *state)
{
    size_t size = strlen(given->words[0]);
    if (size == 0 || size > HM_USER_EVENT_NAME_BYTES_MAX) {
        argp_error(state, "the name of an event has 1 to %u bytes, not %zu",
                   HM_USER_EVENT_NAME_BYTES_MAX, size);
    }
}

static int run(struct hm_given *given)
{
    const char *name = given->words[0];
    uint8_t data[HM_USER_EVENT_DATA_BYTES_MAX + 1];
    struct hm_message reply;
    struct hm_message request = {
        .kind = HM_MSG_emit,
        .emit = {.name = hm_bytes_of_text(name), .timeout_ms = given->options.timeout_ms}};
    int code = read_data(given->words[1], data, &request.emit.data);
    if (code == EXIT_OK) {
        code = hm_client_answer(&given->client, &request, given->options.timeout_ms, &reply);
    }
    if (code != EXIT_OK) {
        return code;
    }
    if (given->options.json) {
        hm_json_print_index(reply.answer.index);
    } else if (reply.answer.index) {
        printf("%s committed at %llu\n", name, (unsigned long long)reply.answer.index);
    } else {
        printf("%s committed\n", name); /* a retry of what had been committed already */
    }
    return EXIT_OK;
}

const struct hm_command hm_command_emit = {
    .name = "emit",
    .words = "NAME [DATA|-]",
    .help = "tell every node something",
    .doc = "Tell every node of the cluster something: the event NAME with DATA (-: from standard "
           "input). It is committed to the log, and the roles of every node see it.\vNAME has 1 to "
           "255 bytes, DATA at most 512. Exits with 0 when it is committed, 5 when the control "
           "plane has no quorum to do so.",
    .example = "deploy 'v7 of the shop'",
    .check = check,
    .run = run,
};
