/* Middleware `log`: one line for every request, with what is asked and by whom. */
#include "modules/modules.h"

#include <stdio.h>

/* What changes something is worth a line always, the rest only to those who look closely. */
static enum hm_log_level level_of(enum hm_message_kind kind)
{
    switch (kind) {
    case HM_MSG_join:
    case HM_MSG_leave:
    case HM_MSG_announce:
    case HM_MSG_withdraw:
    case HM_MSG_drain:
    case HM_MSG_emit:
        return HM_LOG_INFO;
    default:
        return HM_LOG_DEBUG;
    }
}

/* What it is about, where that is one word. */
static const struct hm_name *subject_of(const struct hm_message *message)
{
    switch (message->kind) {
    case HM_MSG_join:
        return &message->join.member.name;
    case HM_MSG_announce:
        return &message->announce.service;
    case HM_MSG_withdraw:
        return &message->withdraw.service;
    case HM_MSG_drain:
        return &message->drain.service;
    default:
        return NULL;
    }
}

static enum hm_status request(struct hm_module_ctx *ctx, const struct hm_request *request)
{
    char from[HM_NAME_MAX + 1 + HM_ID_TEXT_BYTES];
    enum hm_log_level level = level_of(request->message->kind);
    if (!hm_module_logs(ctx, level)) {
        return HM_OK;
    }
    const struct hm_member *member = hm_members_find(&hm_module_view(ctx)->members, &request->from);
    if (hm_id_is_none(&request->from)) {
        snprintf(from, sizeof from, "control-socket");
    } else if (member) {
        snprintf(from, sizeof from, "%s", member->name.text);
    } else {
        hm_id_format(&request->from, from);
    }
    const struct hm_name *subject = subject_of(request->message);
    bool has_subject = subject && hm_name_is_label(subject);
    hm_module_log(ctx, level, "request", "kind=%s from=%s%s%s",
                  hm_message_name(request->message->kind), from, has_subject ? " subject=" : "",
                  has_subject ? subject->text : "");
    return HM_OK;
}

const struct hm_module hm_log_module = {
    .abi = HM_MODULE_ABI,
    .kind = HM_MODULE_MIDDLEWARE,
    .name = "log",
    .request = request,
};
