/* hivemind protocol: every message, as docs/PROTOCOL.md has it. */
#include "core/cli/cli.h"

#include <stdio.h>

static int run(struct hm_given *given)
{
    struct hm_buf text = {0};
    (void)given;
    hm_message_document(&text);
    fwrite(text.data, 1, text.size, stdout);
    hm_buf_fini(&text);
    return EXIT_OK;
}

const struct hm_command hm_command_protocol = {
    .name = "protocol",
    .help = "the protocol document",
    .doc = "Print the protocol document (Markdown): every message that crosses a wire, a journal "
           "or the control socket.",
    .alone = true,
    .run = run,
};
