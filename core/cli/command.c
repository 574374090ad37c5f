/* Commands and groups of them: finding the one that is meant, reading what it is given, running it.
 */
#include "core/base/assert.h"
#include "core/base/memory.h"
#include "core/cli/cli.h"
#include "core/conf/errors.h"
#include "core/conf/suggest.h"

#include <stdio.h>
#include <string.h>

/* ---- a group ---- */

/* "append NAME [DATA|-]" */
static int print_use(char *out, size_t size, const struct hm_command *command)
{
    return snprintf(out, size, "%s%s%s", command->name, command->words ? " " : "",
                    command->words ? command->words : "");
}

static void print_help(const struct hm_command *group, const char *path, FILE *out)
{
    const char *const doc = group->doc;
    const size_t first = strcspn(doc, "\v");
    char use[80];
    int width = 0;
    for (const struct hm_command *const *verb = group->verbs; *verb; verb++) {
        int size = print_use(use, sizeof use, *verb);
        width = size > width ? size : width;
    }
    fprintf(out, "Usage: %s COMMAND [OPTION...]\n%.*s\n\n", path, (int)first, doc);
    for (const struct hm_command *const *verb = group->verbs; *verb; verb++) {
        print_use(use, sizeof use, *verb);
        fprintf(out, "  %-*s  %s\n", width, use, (*verb)->help);
    }
    fprintf(out, "\n`%s COMMAND --help` tells more of each.%s\n", path,
            doc[first] ? doc + first + 1 : "");
}

static int unknown_command(const struct hm_command *group, const char *path, const char *word)
{
    const char *nearest = NULL;
    struct hm_buf quoted = {0};
    hm_conf_quote(&quoted, word);
    for (const struct hm_command *const *verb = group->verbs; *verb; verb++) {
        nearest = hm_conf_nearer(word, nearest, (*verb)->name);
    }
    if (word[0] == '-') {
        hm_complain("%.*s stands before a command; options come after it: `%s COMMAND [OPTION...]`",
                    (int)quoted.size, (const char *)quoted.data, path);
    } else if (nearest) {
        hm_complain("unknown command %.*s: did you mean '%s'? `%s --help` lists all",
                    (int)quoted.size, (const char *)quoted.data, nearest, path);
    } else {
        hm_complain("unknown command %.*s; `%s --help` lists all", (int)quoted.size,
                    (const char *)quoted.data, path);
    }
    hm_buf_fini(&quoted);
    return EXIT_USAGE;
}

static bool is_one_of(const char *word, const char *const *list)
{
    while (*list && strcmp(word, *list) != 0) {
        list++;
    }
    return *list != NULL;
}

static int run_group(const struct hm_command *group, int argc, char **argv)
{
    static const char *const help[] = {"help", "--help", "-h", "-?", NULL};
    static const char *const version[] = {"--version", "-V", NULL};
    char option[] = "--help";
    char *word = argc > 1 ? argv[1] : NULL;
    bool helps = word && is_one_of(word, help);
    if (!word || (helps && (argc == 2 || is_one_of(argv[2], help)))) {
        print_help(group, argv[0], word ? stdout : stderr);
        return word ? EXIT_OK : EXIT_USAGE;
    }
    if (is_one_of(word, version)) {
        puts(argp_program_version);
        return EXIT_OK;
    }
    if (helps) { /* "help log append" is "log append --help" */
        memmove(argv + 1, argv + 2, (size_t)(argc - 2) * sizeof *argv);
        argv[argc - 1] = option;
        word = argv[1];
    }
    for (const struct hm_command *const *verb = group->verbs; *verb; verb++) {
        if (strcmp(word, (*verb)->name) == 0) {
            char path[64];
            snprintf(path, sizeof path, "%s %s", argv[0], word);
            argv[1] = path;
            return hm_command_main(*verb, argc - 1, argv + 1);
        }
    }
    return unknown_command(group, argv[0], word);
}

/* ---- one command ---- */

static size_t place_of(const struct hm_command *command, int key)
{
    size_t place = 0;
    while (command->options[place].key != key) {
        place++;
    }
    HM_ASSERT(place < HM_COMMAND_OPTIONS_MAX);
    return place;
}

const char *hm_given_option(const struct hm_given *given, int key)
{
    return given->texts[place_of(given->command, key)];
}

/* How many words there may be, or, `least`, must be. */
static size_t word_count(const struct hm_command *command, bool least)
{
    size_t count = 0;
    for (const char *at = command->words; at && *at && *at != '-'; at += *at == ' ') {
        count += !least || *at != '[';
        at += strcspn(at, " ");
    }
    return count;
}

/* "it takes NAME PORT: `hivemind announce web 8080`" */
static void refuse_words(const struct hm_command *command, struct argp_state *state,
                         const char *surplus)
{
    char what[64] = "";
    if (surplus) {
        struct hm_buf quoted = {0};
        hm_conf_quote(&quoted, surplus);
        snprintf(what, sizeof what, "what is %.*s? ", (int)quoted.size, (const char *)quoted.data);
        hm_buf_fini(&quoted);
    }
    if (command->example) {
        argp_error(state, "%sit takes %s: `%s %s`", what, command->words, state->name,
                   command->example);
    } else {
        argp_error(state, "%sit takes %s", what,
                   command->words ? command->words : "no words, only options");
    }
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct hm_given *given = state->input;
    const struct hm_command *command = given->command;
    switch (key) {
    case ARGP_KEY_INIT:
        if (!command->alone) {
            state->child_inputs[0] = &given->options;
        }
        return 0;
    case ARGP_KEY_ARG:
        if (state->arg_num >= word_count(command, false)) {
            refuse_words(command, state, arg);
        }
        given->words[state->arg_num] = arg;
        return 0;
    case ARGP_KEY_END:
        if (state->arg_num < word_count(command, true)) {
            refuse_words(command, state, NULL);
        }
        if (command->check) {
            command->check(given, state);
        }
        return 0;
    default:
        if (key >= ARGP_KEY_END) {
            return ARGP_ERR_UNKNOWN; /* argp's own, not of an option */
        }
        given->texts[place_of(command, key)] = arg ? arg : "";
        if (command->option) {
            command->option(given, key, arg, state);
        }
        return 0;
    }
}

static int run_one(const struct hm_command *command, int argc, char **argv)
{
    static const struct argp_child children[] = {{&hm_options_argp, 0, NULL, 0}, {0}};
    const struct argp argp = {.options = command->options,
                              .parser = parse,
                              .args_doc = command->words,
                              .doc = command->doc ? command->doc : command->help,
                              .children = command->alone ? NULL : children};
    struct hm_given given = {.command = command};
    given.own = command->own_bytes ? hm_alloc(1, command->own_bytes) : NULL;
    argp_parse(&argp, argc, argv, 0, NULL, &given);
    bool alone =
        command->alone || (command->alone_with && hm_given_option(&given, command->alone_with));
    int code = alone ? EXIT_OK : hm_client_open(&given.client, &given.options);
    if (code == EXIT_OK) {
        code = command->run(&given);
        if (!alone) {
            hm_client_close(&given.client);
        }
    }
    hm_free(given.own);
    return code;
}

int hm_command_main(const struct hm_command *command, int argc, char **argv)
{
    return (command->verbs ? run_group : run_one)(command, argc, argv);
}
