/* hivemind withdraw: this host no longer serves this. */
#include "core/cli/change.h"

static void check(struct hm_given *given, struct argp_state *state)
{
    struct hm_withdraw *withdraw = given->own;
    withdraw->service = hm_option_name(state, given->words[0], "a service");
    if (given->words[1]) {
        withdraw->port = (uint16_t)hm_option_number(state, given->words[1], "PORT", 1, 65535);
    }
    withdraw->timeout_ms = given->options.timeout_ms;
}

static int run(struct hm_given *given)
{
    const struct hm_withdraw *withdraw = given->own;
    struct hm_message request = {.kind = HM_MSG_withdraw, .withdraw = *withdraw};
    return hm_change_ask(given, &request, withdraw->service.text);
}

const struct hm_command hm_command_withdraw = {
    .name = "withdraw",
    .words = "NAME [PORT]",
    .help = "take an announcement back",
    .doc = "Take back what was announced with `hivemind announce`, at one PORT or at all.",
    .example = "web",
    .own_bytes = sizeof(struct hm_withdraw),
    .check = check,
    .run = run,
};
