/* Middleware `auth`: who may ask for what. Over the control socket, which the file system guards,
 * everything; peers what the tables say and nothing else. */
#include "modules/modules.h"

enum who {
    NOBODY,
    ANY_PEER,
    CONTROL,        /* members with the role control */
    CONTROL_OR_DNS, /* members with the role control or dns */
    OWNER,          /* the node that the request is about */
};

struct rule {
    enum hm_message_kind kind;
    enum who who;
};

/* What a peer may ask of this node. */
static const struct rule asked[] = {
    {HM_MSG_join, ANY_PEER},          {HM_MSG_submit, ANY_PEER},
    {HM_MSG_report, ANY_PEER},        {HM_MSG_config_pull, ANY_PEER},
    {HM_MSG_feed_pull, ANY_PEER},     {HM_MSG_records_pull, ANY_PEER},
    {HM_MSG_version_query, ANY_PEER}, {HM_MSG_status_query, ANY_PEER},
    {HM_MSG_members_query, ANY_PEER}, {HM_MSG_services_query, ANY_PEER},
    {HM_MSG_events_query, ANY_PEER},  {HM_MSG_leave, NOBODY},
    {HM_MSG_announce, NOBODY},        {HM_MSG_withdraw, NOBODY},
    {HM_MSG_drain, NOBODY},
};

/* What the session of a submit may put into the log. */
static const struct rule submitted[] = {
    {HM_MSG_request_join, ANY_PEER}, /* whether it may enter is decided where it is applied */
    {HM_MSG_request_leave, OWNER},          {HM_MSG_request_host, OWNER},
    {HM_MSG_request_fail, CONTROL},         {HM_MSG_request_found, CONTROL},
    {HM_MSG_request_write, CONTROL_OR_DNS},
};

static enum who allowed(const struct rule *rules, size_t count, enum hm_message_kind kind)
{
    for (size_t i = 0; i < count; i++) {
        if (rules[i].kind == kind) {
            return rules[i].who;
        }
    }
    return NOBODY;
}

static bool has_role(const struct hm_module_ctx *ctx, const struct hm_id *id, const char *role)
{
    const struct hm_member *member = hm_members_find(&hm_module_view(ctx)->members, id);
    return member && hm_member_has_role(member, role);
}

static bool owns(const struct hm_id *session, const struct hm_message *request)
{
    const struct hm_id *owner = request->kind == HM_MSG_request_host
                                    ? &request->request_host.state.host
                                    : &request->request_leave.id;
    return hm_id_equal(session, owner);
}

static bool may(const struct hm_module_ctx *ctx, const struct hm_id *session,
                const struct hm_message *request)
{
    switch (allowed(submitted, sizeof submitted / sizeof *submitted, request->kind)) {
    case ANY_PEER:
        return true;
    case CONTROL:
        return has_role(ctx, session, "control");
    case CONTROL_OR_DNS:
        return has_role(ctx, session, "control") || has_role(ctx, session, "dns");
    case OWNER:
        return owns(session, request);
    default:
        return false;
    }
}

/* The session speaks for itself; only the control plane passes on what others submitted to it. */
static enum hm_status check_submit(const struct hm_module_ctx *ctx, const struct hm_id *from,
                                   const struct hm_submit *submit)
{
    if (!hm_id_equal(from, &submit->session) && !has_role(ctx, from, "control")) {
        return HM_DENIED;
    }
    struct hm_arena arena = {0};
    struct hm_message request;
    struct hm_reader in = hm_reader_of(submit->request);
    enum hm_status status = hm_message_decode(&in, &arena, &request);
    if (status == HM_OK && !may(ctx, &submit->session, &request)) {
        status = HM_DENIED;
    }
    hm_arena_fini(&arena);
    return status;
}

static enum hm_status request(struct hm_module_ctx *ctx, const struct hm_request *request)
{
    const struct hm_message *message = request->message;
    enum hm_status status = HM_OK;
    if (hm_id_is_none(&request->from)) {
        return HM_OK;
    }
    if (allowed(asked, sizeof asked / sizeof *asked, message->kind) != ANY_PEER) {
        status = HM_DENIED;
    } else if (message->kind == HM_MSG_submit) {
        status = check_submit(ctx, &request->from, &message->submit);
    }
    if (status != HM_OK) {
        char from[HM_ID_TEXT_BYTES];
        hm_module_log(ctx, HM_LOG_WARN, "request denied", "kind=%s from=%s",
                      hm_message_name(message->kind), hm_id_format(&request->from, from));
    }
    return status;
}

const struct hm_module hm_auth_module = {
    .abi = HM_MODULE_ABI,
    .kind = HM_MODULE_MIDDLEWARE,
    .name = "auth",
    .request = request,
};
