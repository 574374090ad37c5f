/* hivemind leave: out of the cluster, for good. */
#include "core/cli/cli.h"

#include <stdio.h>

/* The node waits for the commit longer than one waits for an answer. */
#define COMMIT_MS 10000

static int run(struct hm_given *given)
{
    struct hm_message reply;
    struct hm_message request = {.kind = HM_MSG_leave};
    int code = hm_client_answer(&given->client, &request, COMMIT_MS, &reply);
    if (code == EXIT_OK && given->options.json) {
        hm_json_print_index(reply.answer.index);
    } else if (code == EXIT_OK) {
        printf("left, committed at %llu\n", (unsigned long long)reply.answer.index);
    }
    return code;
}

const struct hm_command hm_command_leave = {
    .name = "leave",
    .help = "leave the cluster, then stop",
    .doc = "Leave the cluster, then stop the node.\vTo stop a node that is to come back, stop its "
           "service instead (SIGTERM).",
    .run = run,
};
