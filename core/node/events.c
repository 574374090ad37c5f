/* An event was applied to the view: who follows. */
#include "core/node/events.h"

#include "core/node/catalog/catalog.h"
#include "core/node/consumer/consumer.h"
#include "core/node/consumer/keeping.h"
#include "core/node/control/verdict.h"
#include "core/node/logs/named.h"
#include "core/node/member/emit.h"
#include "core/node/member/membership.h"
#include "core/node/member/slices.h"
#include "core/node/modules.h"

static void refresh_host(struct hm_node *node, const struct hm_id *host)
{
    /* What a consumer has is served until its bootstrap has the whole of the new. */
    bool bootstraps = !node->is_control && node->bootstrap->retry_at != HM_NEVER;
    if (node->catalog && !bootstraps) {
        hm_catalog_refresh(node->catalog, host);
    }
}

/* The commit of a config that was pushed before changes no answer, but the zone's serial. */
static void tell_record(struct hm_node *node, const struct hm_id *host)
{
    char key[HM_ID_TEXT_BYTES];
    hm_node_catalog_changed(
        node, &(struct hm_change_note){.kind = HM_CHANGE_RECORD,
                                       .scope = hm_name_of(HM_SCOPE_HOSTS),
                                       .key = hm_bytes_of_text(hm_id_format(host, key))});
}

/* A failed host is kept as suspect, or is not any more. */
static void brake_changed(struct hm_node *node, const struct hm_change *change)
{
    struct hm_id host;
    if (hm_name_is(&change->scope, HM_SCOPE_BRAKED) &&
        hm_id_parse((const char *)change->key.data, change->key.size, &host)) {
        hm_keeper_braked(&node->keeper, &host, change->present);
        refresh_host(node, &host);
    }
}

static void member_came(struct hm_node *node, const struct hm_member *member, bool joined)
{
    hm_node_on_member_came(node, member, joined);
    hm_verdict_forget(&node->judge->verdict, &member->id);
    hm_node_forget_left(node, &member->id);
    refresh_host(node, &member->id);
}

static void member_went(struct hm_node *node, const struct hm_id *id, const struct hm_name *name,
                        bool failed)
{
    hm_node_on_member_went(node, id, name, failed);
    hm_verdict_forget(&node->judge->verdict, id);
    if (!failed) {
        hm_node_note_left(node, id);
    }
    refresh_host(node, id);
}

void hm_node_on_event(struct hm_node *node, const struct hm_event *event)
{
    struct hm_arena arena = {0};
    struct hm_message body;
    struct hm_reader in = hm_reader_of(event->body);
    if (hm_message_decode(&in, &arena, &body) != HM_OK) {
        hm_arena_fini(&arena);
        return; /* the view refused it before */
    }
    switch (body.kind) {
    case HM_MSG_member_joined:
        member_came(node, &body.member_joined.member, true);
        break;
    case HM_MSG_member_changed:
        member_came(node, &body.member_changed.member, false);
        break;
    case HM_MSG_member_left:
        member_went(node, &body.member_left.id, &body.member_left.name, false);
        break;
    case HM_MSG_member_failed:
        member_went(node, &body.member_failed.id, &body.member_failed.name, true);
        break;
    case HM_MSG_host_changed:
        refresh_host(node, &body.host_changed.state.host);
        tell_record(node, &body.host_changed.state.host);
        break;
    case HM_MSG_host_removed:
        refresh_host(node, &body.host_removed.host);
        tell_record(node, &body.host_removed.host);
        break;
    case HM_MSG_lite_kept:
        hm_node_on_lite_event(node, &body);
        tell_record(node, &body.lite_kept.lite.id);
        break;
    case HM_MSG_lite_gone:
        hm_node_on_lite_event(node, &body);
        tell_record(node, &body.lite_gone.id);
        break;
    case HM_MSG_epoch_raised:
        if (node->phase == HM_PHASE_MEMBER) {
            hm_node_reload_catalog(node); /* versions of scopes have jumped */
        }
        break;
    case HM_MSG_record_changed:
        brake_changed(node, &body.record_changed.change);
        if (node->catalog) {
            hm_catalog_record(node->catalog, &body.record_changed.change.scope,
                              body.record_changed.change.key);
        }
        break;
    default:
        break;
    }
    if (hm_node_is_news(node, event)) {
        hm_node_run_event(node, event, &body);
    }
    if (event->members_position) {
        hm_node_slice_reach(node, event->members_position);
    }
    hm_arena_fini(&arena);
}

void hm_node_on_replaced(struct hm_node *node)
{
    hm_node_reload_slice(node);
    hm_node_recall_leaves(node);
    hm_node_reload_catalog(node);
    hm_node_reload_lites(node);
}

void hm_node_on_fenced(struct hm_node *node)
{
    hm_node_catalog_changed(node, &(struct hm_change_note){.kind = HM_CHANGE_ENDED});
}
