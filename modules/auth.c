/* Middleware `auth`: narrows what members may do beyond what every node enforces
 * (core/node/desk/allowed.c: a node speaks for itself). Over the control socket, which the file
 * system guards, everything. */
#include "modules/modules.h"

static const struct hm_conf_key keys[] = {
    {.name = "writers",
     .type = HM_CONF_LABEL,
     .shape = HM_CONF_LIST,
     .live = true,
     .fallback = "control, dns",
     .help = "roles whose members may change records; give all control nodes the same"},
};
static const struct hm_conf_schema schema = {keys, sizeof keys / sizeof *keys,
                                             "Who may do what in the cluster."};

struct auth {
    const struct hm_conf_node *section; /* NULL: defaults */
};

static enum hm_status init(struct hm_module_ctx *ctx, const struct hm_conf_node *section,
                           const struct hm_conf_node *root, struct hm_buf *error)
{
    (void)root;
    (void)error;
    struct auth *auth = hm_module_state(ctx);
    auth->section = section;
    return HM_OK;
}

static void reload(struct hm_module_ctx *ctx, const struct hm_conf_node *section,
                   const struct hm_conf_node *root)
{
    (void)root;
    struct auth *auth = hm_module_state(ctx);
    auth->section = section;
}

static bool may_write(struct hm_module_ctx *ctx, const struct hm_id *id)
{
    const struct auth *auth = hm_module_state(ctx);
    const struct hm_member *member = hm_members_find(&hm_module_view(ctx)->members, id);
    if (!member) {
        return false;
    }
    if (!auth->section) {
        return hm_member_has_role(member, "control") || hm_member_has_role(member, "dns");
    }
    const struct hm_conf_node *role = hm_conf_first(auth->section, "writers");
    while (role && !hm_member_has_role(member, role->text)) {
        role = role->next;
    }
    return role != NULL;
}

static enum hm_status check_submit(struct hm_module_ctx *ctx, const struct hm_submit *submit)
{
    struct hm_arena arena = {0};
    struct hm_message request;
    struct hm_reader in = hm_reader_of(submit->request);
    enum hm_status status = hm_message_decode(&in, &arena, &request);
    if (status == HM_OK && request.kind == HM_MSG_request_write &&
        !may_write(ctx, &submit->session)) {
        char session[HM_ID_TEXT_BYTES];
        hm_module_log(ctx, HM_LOG_WARN, "request denied", "kind=%s from=%s",
                      hm_message_name(request.kind), hm_id_format(&submit->session, session));
        status = HM_DENIED;
    }
    hm_arena_fini(&arena);
    return status;
}

static enum hm_status request(struct hm_module_ctx *ctx, const struct hm_request *request)
{
    bool local = hm_id_is_none(&request->from);
    return !local && request->message->kind == HM_MSG_submit
               ? check_submit(ctx, &request->message->submit)
               : HM_OK;
}

const struct hm_module hm_auth_module = {
    .abi = HM_MODULE_ABI,
    .kind = HM_MODULE_MIDDLEWARE,
    .name = "auth",
    .schema = &schema,
    .state_size = sizeof(struct auth),
    .init = init,
    .reload = reload,
    .request = request,
};
