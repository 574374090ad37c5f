/* Role `webhook`: runs a command for each event of the cluster, as Serf runs its event handlers, so
 * that those which exist work. In the environment: SERF_EVENT (member-join, member-update,
 * member-leave, member-failed, user), SERF_SELF_NAME, SERF_SELF_ROLE, SERF_USER_EVENT and
 * SERF_USER_LTIME (the event's index). On standard input: the data of a user event, or of a member
 * NAME, IP (not of one that is gone), ROLES and an empty fourth column, with tabs between them.
 *
 *     cc -shared -fPIC $(pkg-config --cflags hivemind-module) role_webhook.c -o webhook.so
 *
 *     modules: [/usr/local/lib/my-modules]     # where webhook.so is
 *     roles: [host, webhook]
 *     webhook: {command: /usr/local/bin/on-event} */
#include <hivemind/module.h>

#define AT_ONCE     4  /* commands that may run */
#define WAITING_MAX 64 /* events that may wait; more are dropped, counted and logged */

struct webhook {
    const char *command;
    struct hm_module_runner *runner;
};

static const struct hm_conf_key keys[] = {
    {.name = "command", .type = HM_CONF_PATH, .required = true, .help = "the program to run"}};
static const struct hm_conf_schema schema = {keys, 1, "Runs a command for each event."};

static enum hm_status init(struct hm_module_ctx *ctx, const struct hm_conf_node *section,
                           const struct hm_conf_node *root, struct hm_buf *error)
{
    struct webhook *hook = hm_module_state(ctx);
    (void)root, (void)error;
    hook->command = hm_conf_text(section, "command");
    hook->runner = hm_module_runner_new(ctx, AT_ONCE, WAITING_MAX);
    return HM_OK;
}

static void put_member(struct hm_buf *input, const struct hm_name *name,
                       const struct hm_member *member)
{
    char ip[HM_ADDR_TEXT_BYTES];
    hm_buf_printf(input, "%s\t%s\t", name->text,
                  member ? hm_addr_format_ip(&member->addr, ip) : "");
    if (member) {
        hm_member_put_roles(member, ',', input);
    }
    hm_buf_append_text(input, "\t\n");
}

/* Serf's word for the event, and what it gives a handler to read; NULL for one it does not know. */
static const char *describe(const struct hm_message *body, struct hm_buf *input)
{
    switch (body->kind) {
    case HM_MSG_member_joined:
        put_member(input, &body->member_joined.member.name, &body->member_joined.member);
        return "member-join";
    case HM_MSG_member_changed:
        put_member(input, &body->member_changed.member.name, &body->member_changed.member);
        return "member-update";
    case HM_MSG_member_left:
        put_member(input, &body->member_left.name, NULL);
        return "member-leave";
    case HM_MSG_member_failed:
        put_member(input, &body->member_failed.name, NULL);
        return "member-failed";
    case HM_MSG_user_event:
        hm_buf_append(input, body->user_event.data.data, body->user_event.data.size);
        return "user";
    default:
        return NULL;
    }
}

static void on_event(struct hm_module_ctx *ctx, const struct hm_event *event,
                     const struct hm_message *body)
{
    struct webhook *hook = hm_module_state(ctx);
    const struct hm_node_config *node = hm_module_node_config(ctx);
    bool user = body->kind == HM_MSG_user_event;
    struct hm_buf input = {0}, time = {0};
    const char *what = describe(body, &input);
    if (user) {
        hm_buf_printf(&time, "%llu", (unsigned long long)event->index);
    }
    if (what) {
        const struct hm_module_variable variables[] = {
            {"SERF_EVENT", hm_bytes_of_text(what)},
            {"SERF_SELF_NAME", hm_bytes_of_text(node->name.text)},
            {"SERF_SELF_ROLE", hm_bytes_of_text(node->roles[0].text)},
            {"SERF_USER_EVENT", user ? body->user_event.name : (struct hm_bytes){0}},
            {"SERF_USER_LTIME", hm_buf_view(&time)}};
        hm_module_runner_run(hook->runner,
                             &(struct hm_module_command){.path = hook->command,
                                                         .variables = variables,
                                                         .variable_count = 5,
                                                         .input = hm_buf_view(&input)});
    }
    hm_buf_fini(&input);
    hm_buf_fini(&time);
}

static void status(struct hm_module_ctx *ctx)
{
    const struct webhook *hook = hm_module_state(ctx);
    hm_module_runner_fact(hook->runner, "webhook");
}

static void fini(struct hm_module_ctx *ctx)
{
    const struct webhook *hook = hm_module_state(ctx);
    hm_module_runner_free(hook->runner);
}

static const char *const performs[] = {"webhook", NULL};

const struct hm_module hm_module = {.abi = HM_MODULE_ABI,
                                    .kind = HM_MODULE_ROLE,
                                    .name = "webhook",
                                    .performs = performs,
                                    .schema = &schema,
                                    .state_size = sizeof(struct webhook),
                                    .init = init,
                                    .event = on_event,
                                    .status = status,
                                    .fini = fini};
