/* hivemind drain, undrain: send nothing new to this host's services, or do again. */
#include "core/cli/change.h"

static void check(struct hm_given *given, struct argp_state *state)
{
    struct hm_drain *drain = given->own;
    if (given->words[0]) {
        drain->service = hm_option_name(state, given->words[0], "a service");
    }
    drain->draining = given->command == &hm_command_drain;
    drain->timeout_ms = given->options.timeout_ms;
}

static int run(struct hm_given *given)
{
    const struct hm_drain *drain = given->own;
    struct hm_message request = {.kind = HM_MSG_drain, .drain = *drain};
    return hm_change_ask(given, &request,
                         drain->service.size ? drain->service.text : "all services");
}

const struct hm_command hm_command_drain = {
    .name = "drain",
    .words = "[NAME]",
    .help = "send nothing new to this host's services",
    .doc =
        "Send nothing new to the service NAME of this host, or to all of them; what runs may "
        "finish. It lasts until `hivemind undrain` or a restart of the node; without NAME it also "
        "holds for services that come meanwhile.",
    .example = "web",
    .own_bytes = sizeof(struct hm_drain),
    .check = check,
    .run = run,
};

const struct hm_command hm_command_undrain = {
    .name = "undrain",
    .words = "[NAME]",
    .help = "send traffic to them again",
    .doc = "Send traffic again to the service NAME of this host, or to all of them.",
    .example = "web",
    .own_bytes = sizeof(struct hm_drain),
    .check = check,
    .run = run,
};
