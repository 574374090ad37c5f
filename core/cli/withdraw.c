/* hivemind withdraw: this host no longer serves this. */
#include "core/cli/change.h"

struct arguments {
    struct hm_options options;
    struct hm_withdraw withdraw;
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
            out->withdraw.service = hm_option_name(state, arg, "a service");
        } else if (state->arg_num == 1) {
            out->withdraw.port = (uint16_t)hm_option_number(state, arg, "PORT", 1, 65535);
        } else {
            argp_error(state, "what is '%s'? NAME and PORT were given", arg);
        }
        return 0;
    case ARGP_KEY_END:
        if (state->arg_num == 0) {
            argp_error(state, "which service? `hivemind withdraw web`");
        }
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {
    .parser = parse,
    .args_doc = "NAME [PORT]",
    .children = children,
    .doc = "Take back what was announced with `hivemind announce`, at one PORT or at all.",
};

int hm_command_withdraw(int argc, char **argv)
{
    struct arguments arguments = {0};
    argp_parse(&argp, argc, argv, 0, NULL, &arguments);
    arguments.withdraw.timeout_ms = arguments.options.timeout_ms;
    struct hm_message request = {.kind = HM_MSG_withdraw, .withdraw = arguments.withdraw};
    return hm_change_ask(&arguments.options, &request, arguments.withdraw.service.text);
}
