/* hivemind: the table of commands. */
#include "core/cli/cli.h"

static const struct hm_command *const commands[] = {
    &hm_command_run,      &hm_command_dev,      &hm_command_check_config,
    &hm_command_keygen,   &hm_command_status,   &hm_command_members,
    &hm_command_services, &hm_command_events,   &hm_command_emit,
    &hm_command_announce, &hm_command_withdraw, &hm_command_drain,
    &hm_command_undrain,  &hm_command_log,      &hm_command_control,
    &hm_command_names,    &hm_command_dns,      &hm_command_leave,
    &hm_command_schema,   &hm_command_protocol, NULL,
};

static const struct hm_command hivemind = {
    .doc = "A cluster inside the servers that you already run.\v --version tells the version.\n"
           "Exit codes: 0 ok, 1 failure, 2 usage, 3 not found, 4 unreachable, 5 degraded.",
    .verbs = commands,
};

int main(int argc, char **argv)
{
    char name[] = "hivemind";
    argp_program_version = "hivemind " HM_VERSION;
    argp_err_exit_status = EXIT_USAGE;
    argv[0] = name;
    return hm_command_main(&hivemind, argc, argv);
}
