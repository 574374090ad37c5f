/* Role `teller` of bench members: says on standard output what its node learns, the moment that it
 * learns it: `failed NAME`, `event NAME`, and `whole` when there are as many members as there are
 * to be. It is a role as anybody could write it: the node does not know that it is looked at. */
#include "core/include/hivemind/module.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

/* A node that has fallen behind is not told of the events that it skipped: it is looked at as well,
 * some time after the last event, while it is not whole. */
#define LOOK_MS 500

struct teller {
    uint64_t members; /* as many make it whole */
    bool whole;
};

static const struct hm_conf_key keys[] = {{.name = "members",
                                           .type = HM_CONF_INTEGER,
                                           .required = true,
                                           .min = 1,
                                           .max = 1000000,
                                           .help = "so many make the cluster whole"}};
static const struct hm_conf_schema schema = {keys, 1, "Says what the node learns."};

/* In one write, so that it stays a line among those of the log. */
__attribute__((format(printf, 1, 2))) static void tell(const char *format, ...)
{
    char line[512];
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    if (size > 0) {
        size = size < (int)sizeof line ? size : (int)sizeof line - 1;
        (void)!write(STDOUT_FILENO, line, (size_t)size);
    }
}

static enum hm_status init(struct hm_module_ctx *ctx, const struct hm_conf_node *section,
                           const struct hm_conf_node *root, struct hm_buf *error)
{
    struct teller *teller = hm_module_state(ctx);
    (void)root;
    if (!section || !hm_conf_is_set(section, "members")) {
        hm_buf_printf(error, "role teller wants to know how many there are to be");
        return HM_BAD_CONFIG;
    }
    teller->members = (uint64_t)hm_conf_integer(section, "members");
    return HM_OK;
}

static void look(struct hm_module_ctx *ctx, hm_ms now)
{
    struct teller *teller = hm_module_state(ctx);
    bool whole = hm_module_view(ctx)->total == teller->members;
    if (whole && !teller->whole) {
        tell("whole\n");
    }
    teller->whole = whole;
    hm_module_wake(ctx, whole ? HM_NEVER : now + LOOK_MS);
}

static enum hm_status start(struct hm_module_ctx *ctx, struct hm_buf *error)
{
    (void)error;
    look(ctx, hm_module_now(ctx));
    return HM_OK;
}

static void on_event(struct hm_module_ctx *ctx, const struct hm_event *event,
                     const struct hm_message *body)
{
    (void)event;
    if (body->kind == HM_MSG_member_failed) {
        tell("failed %s\n", body->member_failed.name.text);
    } else if (body->kind == HM_MSG_user_event) {
        tell("event %.*s\n", (int)body->user_event.name.size,
             (const char *)body->user_event.name.data);
    }
    look(ctx, hm_module_now(ctx));
}

static const char *const performs[] = {"teller", NULL};

const struct hm_module hm_module = {.abi = HM_MODULE_ABI,
                                    .kind = HM_MODULE_ROLE,
                                    .name = "teller",
                                    .performs = performs,
                                    .schema = &schema,
                                    .state_size = sizeof(struct teller),
                                    .init = init,
                                    .start = start,
                                    .event = on_event,
                                    .tick = look};
