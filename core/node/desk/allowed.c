/* What a node may ask of others, whatever middlewares there are: to speak for itself, as its roles
 * allow. With one key for the whole cluster a node's word for who it is counts; a node key of its
 * own will have to prove it. */
#include "core/node/desk/allowed.h"

#include "core/node/desk/acts.h"

/* Who may put a request into the log by a submit. A kind without a row: nobody; what only the
 * leader says, as who has failed, it proposes itself. */
enum who {
    NOBODY,
    MEMBER, /* any member */
    OWNER,  /* the node that the request is about */
    READER, /* members that carry feed state: who cannot read records writes none */
};

static const struct rule {
    enum hm_message_kind kind;
    enum who who;
} rules[] = {
    {HM_MSG_request_join, OWNER},   {HM_MSG_request_leave, OWNER}, {HM_MSG_request_host, OWNER},
    {HM_MSG_request_write, READER}, {HM_MSG_request_emit, MEMBER}, {HM_MSG_request_keep, OWNER},
    {HM_MSG_request_lapse, READER}, /* whether it is its keeper's is decided where it is applied */
};

static enum who who_may(enum hm_message_kind kind)
{
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        if (rules[i].kind == kind) {
            return rules[i].who;
        }
    }
    return NOBODY;
}

/* Whom a request is about. */
static struct hm_id owner_of(const struct hm_message *request)
{
    switch (request->kind) {
    case HM_MSG_request_join:
        return request->request_join.member.id;
    case HM_MSG_request_leave:
        return request->request_leave.id;
    case HM_MSG_request_host:
        return request->request_host.state.host;
    case HM_MSG_request_keep:
        return request->request_keep.lite.keeper;
    default:
        return (struct hm_id){{0}};
    }
}

static bool may(const struct hm_node *node, const struct hm_id *session,
                const struct hm_message *request)
{
    const struct hm_member *member = hm_members_find(&node->view->members, session);
    struct hm_id owner = owner_of(request);
    switch (who_may(request->kind)) {
    case MEMBER:
        return member != NULL;
    case OWNER:
        return hm_id_equal(session, &owner);
    case READER:
        return member && (member->feeds & HM_MEMBER_CARRIES_STATE);
    case NOBODY:
        break;
    }
    return false;
}

static enum hm_status deny(struct hm_node *node, const struct hm_id *from,
                           enum hm_message_kind kind)
{
    char text[HM_ID_TEXT_BYTES];
    hm_node_log(node, HM_LOG_WARN, "request denied", "kind=%s from=%s", hm_message_name(kind),
                hm_id_format(from, text));
    return HM_DENIED;
}

/* Only the control plane passes on what others submitted to it. */
enum hm_status hm_node_may_submit(struct hm_node *node, const struct hm_id *from,
                                  const struct hm_submit *submit)
{
    const struct hm_member *relay = hm_members_find(&node->view->members, from);
    if (!hm_id_equal(from, &submit->session) && !(relay && hm_member_has_role(relay, "control"))) {
        return deny(node, from, HM_MSG_submit);
    }
    struct hm_arena arena = {0};
    struct hm_message request;
    struct hm_reader in = hm_reader_of(submit->request);
    enum hm_status status = hm_message_decode(&in, &arena, &request);
    if (status == HM_OK && !may(node, &submit->session, &request)) {
        status = deny(node, &submit->session, request.kind);
    }
    hm_arena_fini(&arena);
    return status;
}

/* Any member may have been asked by a joiner, and passes it on. */
enum hm_status hm_node_may_join(struct hm_node *node, const struct hm_id *from,
                                const struct hm_join *join)
{
    bool allowed = join->hops ? hm_members_find(&node->view->members, from) != NULL
                              : hm_id_equal(from, &join->member.id);
    return allowed ? HM_OK : deny(node, from, HM_MSG_join);
}
