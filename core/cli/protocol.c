/* hivemind protocol: every message, as docs/PROTOCOL.md has it. */
#include "core/cli/cli.h"

#include <stdio.h>

static const struct argp argp = {
    .doc = "Print the protocol document (Markdown): every message that crosses a wire, a journal "
           "or the control socket.",
};

int hm_command_protocol(int argc, char **argv)
{
    struct hm_buf text = {0};
    argp_parse(&argp, argc, argv, 0, NULL, NULL);
    hm_message_document(&text);
    fwrite(text.data, 1, text.size, stdout);
    hm_buf_fini(&text);
    return EXIT_OK;
}
