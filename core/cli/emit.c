/* hivemind emit: tells every node something, in the one order that all see. */
#include "core/cli/cli.h"
#include "core/state/state.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct arguments {
    struct hm_options options;
    const char *name;
    const char *data; /* "-": standard input */
};

static const struct argp_child children[] = {{&hm_options_argp, 0, NULL, 0}, {0}};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct arguments *out = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &out->options;
        return 0;
    case ARGP_KEY_ARG:
        if (state->arg_num == 0) {
            out->name = arg;
        } else if (state->arg_num == 1) {
            out->data = arg;
        } else {
            argp_error(state, "what is '%s'? NAME and DATA were given; quote data with spaces",
                       arg);
        }
        return 0;
    case ARGP_KEY_END:
        if (!out->name) {
            argp_error(state, "NAME is needed: `hivemind emit deploy v7`");
        }
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {
    .parser = parse,
    .args_doc = "NAME [DATA|-]",
    .children = children,
    .doc = "Tell every node of the cluster something: the event NAME with DATA (-: from standard "
           "input). It is committed to the log, and the roles of every node see it.\vNAME has 1 to "
           "255 bytes, DATA at most 512. Exits with 0 when it is committed, 5 when the control "
           "plane has no quorum to do so.",
};

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

static void print_emitted(const struct arguments *arguments, uint64_t index)
{
    if (arguments->options.json) {
        json_t *json = json_object();
        json_object_set_new(json, "index", json_integer((json_int_t)index));
        hm_json_print(json);
    } else if (index) {
        printf("%s committed at %llu\n", arguments->name, (unsigned long long)index);
    } else {
        printf("%s committed\n", arguments->name); /* a retry of what had been committed already */
    }
}

int hm_command_emit(int argc, char **argv)
{
    struct arguments arguments = {0};
    uint8_t data[HM_USER_EVENT_DATA_BYTES_MAX + 1];
    struct hm_client client;
    struct hm_message reply;
    struct hm_message request = {.kind = HM_MSG_emit};
    argp_parse(&argp, argc, argv, 0, NULL, &arguments);
    int code = read_data(arguments.data, data, &request.emit.data);
    if (code == EXIT_OK &&
        (arguments.name[0] == '\0' || strlen(arguments.name) > HM_USER_EVENT_NAME_BYTES_MAX)) {
        hm_complain("the name of an event has 1 to %u bytes", HM_USER_EVENT_NAME_BYTES_MAX);
        code = EXIT_USAGE;
    }
    if (code != EXIT_OK) {
        return code;
    }
    request.emit.name = hm_bytes_of_text(arguments.name);
    request.emit.timeout_ms = arguments.options.timeout_ms;
    code = hm_client_ask_once(&arguments.options, &request, arguments.options.timeout_ms,
                              HM_MSG_answer, &client, &reply);
    if (code != EXIT_OK) {
        return code;
    }
    if (reply.answer.status != HM_OK) {
        code = hm_complain_status(reply.answer.status, reply.answer.reason);
    } else {
        print_emitted(&arguments, reply.answer.index);
    }
    hm_client_close(&client);
    return code;
}
