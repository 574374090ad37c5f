/* hivemind check-config: everything that is wrong with a configuration, or that it is fine. */
#include "core/cli/cli.h"
#include "core/cli/settings.h"
#include "core/node/node.h"

#include <stdio.h>
#include <string.h>

/* A node can be made of it; it is never started. */
static bool modules_accept(const char *file, const struct hm_settings *settings,
                           struct hm_buf *error)
{
    struct hm_node_config config = {
        .name = hm_name_of("check"),
        .role_count = settings->role_count,
        .modules = settings->modules,
        .sections = settings->sections,
        .root = settings->root,
        .module_count = settings->module_count,
    };
    memcpy(config.roles, settings->roles, sizeof config.roles);
    hm_buf_printf(error, "%s: ", file);
    struct hm_node *node = hm_node_new(&config, error);
    bool accepted = node != NULL;
    hm_buf_append_text(error, "\n");
    hm_node_free(node);
    return accepted;
}

static int run(struct hm_given *given)
{
    const char *file = given->words[0];
    struct hm_loader loader = {0};
    struct hm_settings settings = {0};
    struct hm_buf error = {0};
    int code = EXIT_OK;
    if (hm_settings_read(file, &loader, &settings, &error) == HM_OK &&
        modules_accept(file, &settings, &error)) {
        printf("%s: ok\n", file);
    } else {
        fwrite(error.data, 1, error.size, stderr);
        code = EXIT_USAGE;
    }
    hm_settings_fini(&settings);
    hm_loader_fini(&loader);
    hm_buf_fini(&error);
    return code;
}

const struct hm_command hm_command_check_config = {
    .name = "check-config",
    .words = "FILE",
    .help = "tell what is wrong with a configuration",
    .doc = "Tell everything that is wrong with a configuration, each with file:line:column.\vExits "
           "with 0 when nothing is. conf.d/*.yaml beside FILE belongs to it.",
    .alone = true,
    .example = "/etc/hivemind/node.yaml",
    .run = run,
};
