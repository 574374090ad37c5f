/* hivemind control: the control plane, as those see it who keep it alive. */
#include "core/cli/cli.h"
#include "core/conf/suggest.h"

#include <stdio.h>
#include <string.h>

static const struct hm_command verbs[] = {
    {"status", "its voters and learners, how far each is, log and disk", hm_control_status},
    {"recover", "a majority is lost for good: go on with this node", hm_control_recover},
    {"rejoin", "on a fenced node: put its control data aside and join", hm_control_rejoin},
};

#define VERB_COUNT (sizeof verbs / sizeof *verbs)

static void print_help(FILE *out)
{
    fprintf(out, "Usage: hivemind control VERB [OPTION...]\n"
                 "The control plane: the nodes whose quorum has the last word.\n\n");
    for (size_t i = 0; i < VERB_COUNT; i++) {
        fprintf(out, "  %-9s %s\n", verbs[i].name, verbs[i].help);
    }
    fprintf(out, "\n`hivemind control VERB --help` tells more of each.\n");
}

int hm_command_control(int argc, char **argv)
{
    const char *word = argc > 1 ? argv[1] : NULL;
    bool help = word && (strcmp(word, "--help") == 0 || strcmp(word, "-?") == 0);
    const char *nearest = NULL;
    if (!word || help) {
        print_help(word ? stdout : stderr);
        return word ? EXIT_OK : EXIT_USAGE;
    }
    for (size_t i = 0; i < VERB_COUNT; i++) {
        if (strcmp(word, verbs[i].name) == 0) {
            char name[64];
            snprintf(name, sizeof name, "hivemind control %s", word);
            argv[1] = name;
            return verbs[i].run(argc - 1, argv + 1);
        }
        nearest = hm_conf_nearer(word, nearest, verbs[i].name);
    }
    hm_complain("unknown verb '%s'%s%s%s; `hivemind control --help` lists them", word,
                nearest ? ": did you mean '" : "", nearest ? nearest : "", nearest ? "'?" : "");
    return EXIT_USAGE;
}
