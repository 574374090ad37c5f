#include "core/state/view.h"

#define SKIPPED_VERSIONS (1u << 20)

static void put_host(struct hm_view *view, const struct hm_host_state *state, uint64_t index)
{
    char key[HM_ID_TEXT_BYTES];
    struct hm_name scope = hm_name_of(HM_SCOPE_HOSTS);
    struct hm_buf value = {0};
    hm_message_encode(&value, &(struct hm_message){.kind = HM_MSG_push, .push = {*state}});
    hm_records_put(&view->records, &scope, hm_bytes_of_text(hm_id_format(&state->host, key)),
                   hm_buf_view(&value), index);
    hm_buf_fini(&value);
}

static void delete_host(struct hm_view *view, const struct hm_id *host, uint64_t index)
{
    char key[HM_ID_TEXT_BYTES];
    struct hm_name scope = hm_name_of(HM_SCOPE_HOSTS);
    hm_records_delete(&view->records, &scope, hm_bytes_of_text(hm_id_format(host, key)), index);
}

static void change_record(struct hm_view *view, const struct hm_change *change, uint64_t index)
{
    if (change->present) {
        hm_records_put(&view->records, &change->scope, change->key, change->value, index);
    } else {
        hm_records_delete(&view->records, &change->scope, change->key, index);
    }
}

/* ---- lite hosts ---- */

static void put_lite(struct hm_view *view, const struct hm_lite *lite, uint64_t index)
{
    struct hm_name scope = hm_name_of(HM_SCOPE_LITES);
    struct hm_name key = hm_name_lower(&lite->name);
    struct hm_buf value = {0};
    hm_message_encode(
        &value, &(struct hm_message){.kind = HM_MSG_lite_record, .lite_record = {.lite = *lite}});
    hm_records_put(&view->records, &scope, hm_name_bytes(&key), hm_buf_view(&value), index);
    hm_buf_fini(&value);
}

static void delete_lite(struct hm_view *view, const struct hm_name *name, uint64_t index)
{
    struct hm_name scope = hm_name_of(HM_SCOPE_LITES);
    struct hm_name key = hm_name_lower(name);
    hm_records_delete(&view->records, &scope, hm_name_bytes(&key), index);
}

static bool read_lite(const struct hm_record *record, struct hm_lite *out)
{
    struct hm_arena arena = {0};
    struct hm_message message;
    bool read =
        hm_message_decode_only(record->value, HM_MSG_lite_record, &arena, &message) == HM_OK;
    if (read) {
        *out = message.lite_record.lite;
    }
    hm_arena_fini(&arena);
    return read;
}

bool hm_view_lite(const struct hm_view *view, const struct hm_name *name, struct hm_lite *out)
{
    struct hm_name scope = hm_name_of(HM_SCOPE_LITES);
    struct hm_name key = hm_name_lower(name);
    const struct hm_record *record = hm_records_find(&view->records, &scope, hm_name_bytes(&key));
    return record && read_lite(record, out);
}

bool hm_view_next_lite(const struct hm_view *view, struct hm_name *name, struct hm_lite *out)
{
    struct hm_name scope = hm_name_of(HM_SCOPE_LITES);
    for (;;) {
        size_t at = hm_records_after(&view->records, &scope, hm_name_bytes(name));
        if (at >= view->records.count || !hm_name_equal(&view->records.items[at]->scope, &scope) ||
            !hm_name_set(name, (const char *)view->records.items[at]->key.data,
                         view->records.items[at]->key.size)) {
            return false;
        }
        if (read_lite(view->records.items[at], out)) {
            return true;
        }
    }
}

/* ---- braked hosts ---- */

static bool read_braked(const struct hm_record *record, struct hm_braked *out)
{
    struct hm_arena arena = {0};
    struct hm_message message;
    bool read = hm_message_decode_only(record->value, HM_MSG_braked, &arena, &message) == HM_OK;
    if (read) {
        *out = message.braked;
    }
    hm_arena_fini(&arena);
    return read;
}

bool hm_view_braked(const struct hm_view *view, const struct hm_id *host, struct hm_braked *out)
{
    char key[HM_ID_TEXT_BYTES];
    struct hm_name scope = hm_name_of(HM_SCOPE_BRAKED);
    const struct hm_record *record =
        hm_records_find(&view->records, &scope, hm_bytes_of_text(hm_id_format(host, key)));
    return record && read_braked(record, out);
}

bool hm_view_next_braked(const struct hm_view *view, struct hm_id *host, struct hm_braked *out)
{
    struct hm_name scope = hm_name_of(HM_SCOPE_BRAKED);
    char key[HM_ID_TEXT_BYTES] = "";
    if (!hm_id_is_none(host)) {
        hm_id_format(host, key);
    }
    size_t at = hm_records_after(&view->records, &scope, hm_bytes_of_text(key));
    for (; at < view->records.count; at++) {
        const struct hm_record *record = view->records.items[at];
        if (!hm_name_equal(&record->scope, &scope)) {
            return false;
        }
        if (hm_id_parse((const char *)record->key.data, record->key.size, host) &&
            read_braked(record, out)) {
            return true;
        }
    }
    return false;
}

static enum hm_status evolve_body(struct hm_view *view, const struct hm_event *event,
                                  const struct hm_message *body)
{
    switch (body->kind) {
    case HM_MSG_member_joined:
        hm_members_put(&view->members, &body->member_joined.member);
        view->total++;
        return HM_OK;
    case HM_MSG_member_changed:
        hm_members_put(&view->members, &body->member_changed.member);
        return HM_OK;
    case HM_MSG_member_left:
        hm_members_remove(&view->members, &body->member_left.id);
        view->total -= view->total > 0;
        return HM_OK;
    case HM_MSG_member_failed:
        hm_members_remove(&view->members, &body->member_failed.id);
        view->total -= view->total > 0;
        return HM_OK;
    case HM_MSG_epoch_raised:
        /* What was committed behind the survivor's last event had versions too. */
        if (view->epoch && body->epoch_raised.epoch - view->epoch >= HM_EPOCH_RECOVERY &&
            event->state_position > view->state_position) {
            hm_records_skip(&view->records, SKIPPED_VERSIONS);
        }
        view->epoch = body->epoch_raised.epoch;
        view->history = body->epoch_raised.history;
        return HM_OK;
    case HM_MSG_record_changed:
        change_record(view, &body->record_changed.change, event->index);
        return HM_OK;
    case HM_MSG_host_changed:
        put_host(view, &body->host_changed.state, event->index);
        return HM_OK;
    case HM_MSG_host_removed:
        delete_host(view, &body->host_removed.host, event->index);
        return HM_OK;
    case HM_MSG_lite_kept:
        put_lite(view, &body->lite_kept.lite, event->index);
        put_host(view, &body->lite_kept.state, event->index);
        return HM_OK;
    case HM_MSG_lite_gone:
        delete_lite(view, &body->lite_gone.name, event->index);
        delete_host(view, &body->lite_gone.id, event->index);
        return HM_OK;
    case HM_MSG_user_event:
        return HM_OK; /* changes nothing: it is for the roles */
    default:
        return HM_BAD_BYTES;
    }
}

enum hm_status hm_view_evolve(struct hm_view *view, const struct hm_event *event)
{
    bool news = event->members_position > view->members_position ||
                event->state_position > view->state_position;
    if (!news) {
        return HM_OK;
    }
    struct hm_arena arena = {0};
    struct hm_message body;
    struct hm_reader in = hm_reader_of(event->body);
    enum hm_status status = hm_message_decode(&in, &arena, &body);
    if (status == HM_OK) {
        status = evolve_body(view, event, &body);
    }
    hm_arena_fini(&arena);
    if (status != HM_OK) {
        return status;
    }
    /* The feeds run apart, so each of these may be ahead of the others. */
    view->index = event->index > view->index ? event->index : view->index;
    view->time_ms = event->time_ms > view->time_ms ? event->time_ms : view->time_ms;
    if (event->members_position > view->members_position) {
        view->members_position = event->members_position;
    }
    if (event->state_position > view->state_position) {
        view->state_position = event->state_position;
    }
    return HM_OK;
}

int hm_version_compare(const struct hm_version *a, const struct hm_version *b)
{
    if (a->boot != b->boot) {
        return a->boot < b->boot ? -1 : 1;
    }
    return (a->seq > b->seq) - (a->seq < b->seq);
}

bool hm_view_host(const struct hm_view *view, const struct hm_id *host, struct hm_arena *arena,
                  struct hm_host_state *out)
{
    char key[HM_ID_TEXT_BYTES];
    struct hm_name scope = hm_name_of(HM_SCOPE_HOSTS);
    struct hm_message push;
    const struct hm_record *record =
        hm_records_find(&view->records, &scope, hm_bytes_of_text(hm_id_format(host, key)));
    if (!record || hm_message_decode_only(record->value, HM_MSG_push, arena, &push) != HM_OK) {
        return false;
    }
    *out = push.push.state;
    return true;
}

void hm_view_clear(struct hm_view *view)
{
    hm_members_clear(&view->members);
    hm_records_fini(&view->records);
    *view = (struct hm_view){.members = view->members};
}

void hm_view_fini(struct hm_view *view)
{
    hm_members_fini(&view->members);
    hm_records_fini(&view->records);
    *view = (struct hm_view){0};
}
