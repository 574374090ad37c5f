/* hivemind control: the control plane, as those see it who keep it alive. */
#include "core/cli/cli.h"

static const struct hm_command *const verbs[] = {
    &hm_command_control_status,  &hm_command_control_backup, &hm_command_control_restore,
    &hm_command_control_recover, &hm_command_control_rejoin, NULL,
};

const struct hm_command hm_command_control = {
    .name = "control",
    .words = "COMMAND",
    .help = "the control plane: how it is, and its recovery",
    .doc = "The control plane: the nodes whose quorum has the last word.",
    .verbs = verbs,
};
