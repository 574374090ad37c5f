/* hivemind drain, undrain: send nothing new to this host's services, or do again. */
#include "core/cli/change.h"

struct arguments {
    struct hm_options options;
    struct hm_name service;
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
        if (state->arg_num > 0) {
            argp_error(state, "one service at a time, or none for all");
        }
        out->service = hm_option_name(state, arg, "a service");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp drain_argp = {
    .parser = parse,
    .args_doc = "[NAME]",
    .children = children,
    .doc =
        "Send nothing new to the service NAME of this host, or to all of them; what runs may "
        "finish. It lasts until `hivemind undrain` or a restart of the node; without NAME it also "
        "holds for services that come meanwhile.",
};
static const struct argp undrain_argp = {
    .parser = parse,
    .args_doc = "[NAME]",
    .children = children,
    .doc = "Send traffic again to the service NAME of this host, or to all of them.",
};

static int set_draining(int argc, char **argv, const struct argp *argp, bool draining)
{
    struct arguments arguments = {0};
    argp_parse(argp, argc, argv, 0, NULL, &arguments);
    struct hm_message request = {.kind = HM_MSG_drain,
                                 .drain = {.service = arguments.service,
                                           .draining = draining,
                                           .timeout_ms = arguments.options.timeout_ms}};
    return hm_change_ask(&arguments.options, &request,
                         arguments.service.size ? arguments.service.text : "all services");
}

int hm_command_drain(int argc, char **argv)
{
    return set_draining(argc, argv, &drain_argp, true);
}

int hm_command_undrain(int argc, char **argv)
{
    return set_draining(argc, argv, &undrain_argp, false);
}
