/* hivemind keygen: a cluster key, to a new file or to the terminal. */
#include "core/cli/cli.h"
#include "core/io/keyfile.h"

#include <stdio.h>

static const struct argp_option options[] = {
    {"output", 'o', "FILE", 0, "Write a new file with mode 0600 (else to the standard output)", 0},
    {0},
};

static int run(struct hm_given *given)
{
    const char *file = hm_given_option(given, 'o');
    struct hm_key key;
    struct hm_buf error = {0};
    int code = EXIT_OK;
    if (!file) {
        char text[HM_KEY_TEXT_BYTES];
        hm_key_draw(&key);
        hm_key_format(&key, text);
        fputs(text, stdout);
    } else if (hm_keyfile_generate(file, &key, &error) == HM_OK) {
        printf("%s: key %08x\n", file, hm_key_id(&key));
    } else {
        hm_complain("%.*s", (int)error.size, (const char *)error.data);
        code = EXIT_FAILED;
    }
    hm_key_wipe(&key);
    hm_buf_fini(&error);
    return code;
}

const struct hm_command hm_command_keygen = {
    .name = "keygen",
    .help = "make a cluster key",
    .doc = "Make a cluster key. Whoever has it can be in the cluster.\vCopy it to every machine, "
           "readable by root (mode 0600) or by the group hivemind (0640). An existing file is "
           "never overwritten.",
    .alone = true,
    .options = options,
    .run = run,
};
