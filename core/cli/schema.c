/* hivemind schema: what a configuration may say, for editors and for people. */
#include "core/base/memory.h"
#include "core/cli/cli.h"
#include "core/cli/settings.h"
#include "core/conf/print.h"

#include <stdio.h>

static const struct argp_option options[] = {
    {"manual", 'm', NULL, 0, "Print a manual (Markdown) instead", 0},
    {0},
};

static int run(struct hm_given *given)
{
    struct hm_loader loader = {0};
    struct hm_arena arena = {0};
    struct hm_buf text = {0};
    hm_loader_add_defaults(&loader);
    const struct hm_conf_schema *schema = hm_settings_schema(&arena, &loader);
    if (hm_given_option(given, 'm')) {
        hm_conf_print_manual(schema, "Configuration", &text);
    } else {
        hm_conf_print_json_schema(schema, "Hivemind configuration", &text);
    }
    fwrite(text.data, 1, text.size, stdout);
    hm_buf_fini(&text);
    hm_arena_fini(&arena);
    hm_loader_fini(&loader);
    return EXIT_OK;
}

const struct hm_command hm_command_schema = {
    .name = "schema",
    .help = "the JSON Schema of a configuration, or its manual",
    .doc = "Print the JSON Schema of a configuration, with the keys of all modules that are "
           "found.",
    .alone = true,
    .options = options,
    .run = run,
};
