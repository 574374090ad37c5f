/* hivemind leave: out of the cluster, for good. */
#include "core/cli/cli.h"

#include <stdio.h>

/* The node waits for the commit longer than one waits for an answer. */
#define COMMIT_MS 10000

static const struct argp_child children[] = {{&hm_options_argp, 0, NULL, 0}, {0}};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    (void)arg;
    if (key == ARGP_KEY_INIT) {
        state->child_inputs[0] = state->input;
        return 0;
    }
    return ARGP_ERR_UNKNOWN;
}

static const struct argp argp = {
    .parser = parse,
    .children = children,
    .doc = "Leave the cluster, then stop the node.\vTo stop a node that is to come back, stop its "
           "service instead (SIGTERM).",
};

int hm_command_leave(int argc, char **argv)
{
    struct hm_options options = {0};
    struct hm_client client;
    struct hm_message reply;
    struct hm_message request = {.kind = HM_MSG_leave};
    argp_parse(&argp, argc, argv, 0, NULL, &options);
    int code = hm_client_ask_once(&options, &request, COMMIT_MS, HM_MSG_answer, &client, &reply);
    if (code != EXIT_OK) {
        return code;
    }
    if (reply.answer.status != HM_OK) {
        code = hm_complain_status(reply.answer.status, reply.answer.reason);
    } else if (options.json) {
        json_t *json = json_object();
        json_object_set_new(json, "index", json_integer((json_int_t)reply.answer.index));
        hm_json_print(json);
    } else {
        printf("left, committed at %llu\n", (unsigned long long)reply.answer.index);
    }
    hm_client_close(&client);
    return code;
}
