/* hivemind: the table of subcommands, and finding the one that is meant. */
#include "core/cli/cli.h"
#include "core/conf/errors.h"
#include "core/conf/suggest.h"

#include <stdio.h>
#include <string.h>

static const struct hm_command commands[] = {
    {"run", "run a node as its configuration says", hm_command_run},
    {"dev", "a cluster of one to try things on, gone at its end", hm_command_dev},
    {"check-config", "tell what is wrong with a configuration", hm_command_check_config},
    {"keygen", "make a cluster key", hm_command_keygen},
    {"status", "how a node is: one verdict, then facts", hm_command_status},
    {"members", "who is in the cluster", hm_command_members},
    {"services", "what is served, and why something is not", hm_command_services},
    {"events", "what the cluster agreed on, in order", hm_command_events},
    {"emit", "tell every node something", hm_command_emit},
    {"announce", "announce a service of this host", hm_command_announce},
    {"withdraw", "take an announcement back", hm_command_withdraw},
    {"drain", "send nothing new to this host's services", hm_command_drain},
    {"undrain", "send traffic to them again", hm_command_undrain},
    {"log", "logs of your own: create, append, read, follow", hm_command_log},
    {"control", "the control plane: how it is, and its recovery", hm_command_control},
    {"names", "unique names for applications: register, check, release", hm_command_names},
    {"leave", "leave the cluster, then stop", hm_command_leave},
    {"schema", "the JSON Schema of a configuration, or its manual", hm_command_schema},
    {"protocol", "the protocol document", hm_command_protocol},
};

#define COMMAND_COUNT (sizeof commands / sizeof *commands)

static void print_help(FILE *out)
{
    fprintf(out, "Usage: hivemind COMMAND [OPTION...]\n"
                 "A cluster inside the servers that you already run.\n\n");
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        fprintf(out, "  %-13s %s\n", commands[i].name, commands[i].help);
    }
    fprintf(out, "\n`hivemind COMMAND --help` tells more of each; --version tells the version.\n"
                 "Exit codes: 0 ok, 1 failure, 2 usage, 3 not found, 4 unreachable, 5 degraded.\n");
}

static int unknown_command(const char *word)
{
    const char *nearest = NULL;
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        nearest = hm_conf_nearer(word, nearest, commands[i].name);
    }
    struct hm_buf quoted = {0};
    hm_conf_quote(&quoted, word);
    fprintf(stderr, "hivemind: unknown command %.*s%s%s%s; `hivemind --help` lists them\n",
            (int)quoted.size, (const char *)quoted.data, nearest ? ": did you mean '" : "",
            nearest ? nearest : "", nearest ? "'?" : "");
    hm_buf_fini(&quoted);
    return EXIT_USAGE;
}

int main(int argc, char **argv)
{
    argp_program_version = "hivemind " HM_VERSION;
    argp_err_exit_status = EXIT_USAGE;
    const char *word = argc > 1 ? argv[1] : NULL;
    bool help = word && strcmp(word, "help") == 0;
    if (!word || help || strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 ||
        strcmp(word, "-?") == 0) {
        print_help(word ? stdout : stderr);
        return word ? EXIT_OK : EXIT_USAGE;
    }
    if (strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0) {
        puts(argp_program_version);
        return EXIT_OK;
    }
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (strcmp(word, commands[i].name) == 0) {
            char name[64];
            snprintf(name, sizeof name, "hivemind %s", word);
            argv[1] = name;
            return commands[i].run(argc - 1, argv + 1);
        }
    }
    return unknown_command(word);
}
