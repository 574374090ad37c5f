/* hivemind control recover, rejoin: after a majority of the control plane is lost for good. */
#include "core/cli/cli.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

/* The epoch's event is durable within a few syncs; a slow disk gets some more time. */
#define COMMIT_TRIES   200
#define COMMIT_STEP_MS 50

static const struct argp_option options[] = {
    {"yes", 'y', NULL, 0, "Do not ask: for scripts", 0},
    {0},
};

bool hm_is_confirmed(const struct hm_given *given)
{
    char line[16] = "";
    if (hm_given_option(given, 'y')) {
        return true;
    }
    fputs("Type 'yes' to do it: ", stderr); /* stdout is for what comes of it */
    if (!fgets(line, sizeof line, stdin) || strcmp(line, "yes\n") != 0) {
        hm_complain("nothing was changed; --yes does it without asking");
        return false;
    }
    return true;
}

static void tell_plan(FILE *out, const struct hm_recover_reply *reply)
{
    fprintf(out,
            "This node goes on alone, as a control plane of one voter:\n"
            "  epoch %llu follows epoch %llu\n"
            "  its log goes to entry %llu, of which it knows %llu to be committed; all of it is "
            "kept\n"
            "  its last event is %llu; whatever the others committed behind it is lost\n",
            (unsigned long long)reply->next_epoch, (unsigned long long)reply->epoch,
            (unsigned long long)reply->last, (unsigned long long)reply->commit,
            (unsigned long long)reply->index);
    if (reply->logs) {
        fprintf(out, "  %u named logs go on likewise\n", reply->logs);
    }
    for (uint32_t i = 0; i < reply->fenced_count; i++) {
        char addr[HM_ADDR_TEXT_BYTES];
        fprintf(out, "  %s at %s is fenced until `hivemind control rejoin` there\n",
                reply->fenced[i].name.size ? reply->fenced[i].name.text : "a node",
                hm_addr_format(&reply->fenced[i].addr, addr));
    }
}

static void print_done(const struct hm_given *given, const struct hm_recover_reply *reply)
{
    if (!given->options.json) {
        printf("recovered: epoch %llu\n", (unsigned long long)reply->next_epoch);
        return;
    }
    json_t *json = json_object();
    json_object_set_new(json, "epoch", json_integer((json_int_t)reply->next_epoch));
    json_object_set_new(json, "last", json_integer((json_int_t)reply->last));
    json_object_set_new(json, "fenced", json_integer((json_int_t)reply->fenced_count));
    hm_json_print(json);
}

/* Waits until the new epoch is committed. */
static int wait_for_epoch(struct hm_client *client, uint64_t epoch)
{
    struct hm_message query = {.kind = HM_MSG_control_query, .control_query = {.local = true}};
    struct hm_message reply;
    for (int i = 0; i < COMMIT_TRIES; i++) {
        int code = hm_client_ask(client, &query, 0, HM_MSG_control_reply, &reply);
        if (code != EXIT_OK) {
            return code;
        }
        if (reply.control_reply.epoch >= epoch) {
            return EXIT_OK;
        }
        nanosleep(&(struct timespec){.tv_nsec = COMMIT_STEP_MS * 1000000L}, NULL);
    }
    hm_complain("the new epoch is not durable yet; `hivemind control status` tells how the disk "
                "is");
    return EXIT_FAILED;
}

static int run_recover(struct hm_given *given)
{
    struct hm_message request = {.kind = HM_MSG_recover};
    struct hm_message reply;
    const struct hm_recover_reply *told = &reply.recover_reply;
    int code = hm_client_ask(&given->client, &request, 0, HM_MSG_recover_reply, &reply);
    if (code == EXIT_OK && told->status == HM_OK) {
        if (!hm_given_option(given, 'y')) {
            tell_plan(given->options.json ? stderr : stdout, told);
        }
        if (!hm_is_confirmed(given)) {
            return EXIT_FAILED;
        }
        request.recover.now = true;
        code = hm_client_ask(&given->client, &request, 0, HM_MSG_recover_reply, &reply);
    }
    if (code == EXIT_OK && told->status != HM_OK) {
        return hm_complain_status(told->status, told->reason);
    }
    if (code == EXIT_OK) {
        struct hm_recover_reply done = *told;
        code = wait_for_epoch(&given->client, done.next_epoch);
        if (code == EXIT_OK) {
            print_done(given, &done);
        }
    }
    return code;
}

static int run_rejoin(struct hm_given *given)
{
    struct hm_message reply;
    struct hm_message request = {.kind = HM_MSG_rejoin};
    if (!hm_given_option(given, 'y')) {
        fputs("This node puts its control data aside and joins the recovered control plane.\n",
              given->options.json ? stderr : stdout);
    }
    if (!hm_is_confirmed(given)) {
        return EXIT_FAILED;
    }
    int code = hm_client_answer(&given->client, &request, 0, &reply);
    if (code == EXIT_OK && given->options.json) {
        json_t *json = json_object();
        json_object_set_new(json, "rejoins", json_true());
        hm_json_print(json);
    } else if (code == EXIT_OK) {
        printf("it starts anew and joins; `hivemind status` tells when it is ready\n");
    }
    return code;
}

const struct hm_command hm_command_control_recover = {
    .name = "recover",
    .help = "a majority is lost for good: go on with this node",
    .doc = "Go on with this control node alone, in a new epoch, when a majority of the control "
           "plane is lost for good. It keeps all that its log has; the other control nodes are "
           "fenced: they serve nothing until `hivemind control rejoin` there.\vRun it on the "
           "survivor whose log goes furthest (`hivemind control status --local` on each), and on "
           "one only. What was committed without this node is lost.",
    .options = options,
    .run = run_recover,
};

const struct hm_command hm_command_control_rejoin = {
    .name = "rejoin",
    .help = "on a fenced node: put its control data aside and join",
    .doc = "On a control node that is fenced, because the control plane was recovered without it: "
           "put its control data aside (it is renamed, not deleted), start anew under another id, "
           "and join.",
    .options = options,
    .run = run_rejoin,
};
