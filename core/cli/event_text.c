/* What an event says, for people: names and addresses where the message has ids and structs. */
#include "core/cli/cli.h"
#include "core/state/members.h"

#define ID_DIGITS 8 /* enough to tell hosts apart; --format json has the whole id */

static void put_id(struct hm_buf *out, const struct hm_id *id)
{
    char text[HM_ID_TEXT_BYTES];
    hm_buf_printf(out, "%.*s", ID_DIGITS, hm_id_format(id, text));
}

static void put_member(struct hm_buf *out, const struct hm_member *member)
{
    char addr[HM_ADDR_TEXT_BYTES];
    hm_buf_printf(out, "%s (", member->name.text);
    put_id(out, &member->id);
    hm_buf_printf(out, ") at %s, ", hm_addr_format(&member->addr, addr));
    hm_member_put_roles(member, '+', out);
}

static void put_service(struct hm_buf *out, const struct hm_service *service)
{
    static const char *const health[] = {"unknown", "passing", "failing"};
    hm_buf_printf(out, " %s:%u", service->name.text, service->port);
    if (service->checked) {
        hm_buf_printf(out, "(%s)", service->health < 3 ? health[service->health] : "?");
    }
    if (service->draining) {
        hm_buf_append_text(out, "(draining)");
    }
}

static void put_host(struct hm_buf *out, const struct hm_host_state *state)
{
    struct hm_arena arena = {0};
    struct hm_message config;
    put_id(out, &state->host);
    hm_buf_printf(out, " version %llu.%llu serves", (unsigned long long)state->version.boot,
                  (unsigned long long)state->version.seq);
    if (hm_message_decode_only(state->config, HM_MSG_host_config, &arena, &config) == HM_OK) {
        for (uint32_t i = 0; i < config.host_config.services_count; i++) {
            put_service(out, &config.host_config.services[i]);
        }
        if (config.host_config.services_count == 0) {
            hm_buf_append_text(out, " nothing");
        }
    }
    hm_arena_fini(&arena);
}

static void put_gone(struct hm_buf *out, const struct hm_id *id, const struct hm_name *name)
{
    hm_buf_printf(out, "%s (", name->text);
    put_id(out, id);
    hm_buf_append_text(out, ")");
}

/* A value that is a message of ours is shown as one. */
static void put_value(struct hm_buf *out, struct hm_bytes value)
{
    struct hm_arena arena = {0};
    struct hm_message message;
    struct hm_reader in = hm_reader_of(value);
    if (hm_message_decode(&in, &arena, &message) == HM_OK && hm_reader_left(&in) == 0) {
        hm_buf_append_text(out, " is ");
        hm_message_print(out, &message);
    } else if (value.size) {
        hm_buf_printf(out, " has %zu bytes", value.size);
    }
    hm_arena_fini(&arena);
}

static void put_record(struct hm_buf *out, const struct hm_change *change)
{
    hm_buf_printf(out, "%s %.*s", change->scope.text, (int)change->key.size,
                  (const char *)change->key.data);
    if (!change->present) {
        hm_buf_append_text(out, " deleted");
    } else if (hm_bytes_equal(hm_bytes_of_text("vhosts"), hm_bytes_of_text(change->scope.text))) {
        hm_buf_printf(out, " is of service %.*s", (int)change->value.size,
                      (const char *)change->value.data);
    } else if (hm_name_is(&change->scope, "vhosts_allow")) {
        hm_buf_printf(out, " allows %.*s", (int)change->value.size,
                      (const char *)change->value.data);
    } else {
        put_value(out, change->value);
    }
}

static void put_lite(struct hm_buf *out, const struct hm_lite_kept *kept)
{
    char addr[HM_ADDR_TEXT_BYTES];
    hm_buf_printf(out, "%s at %s kept by ", kept->lite.name.text,
                  hm_addr_format(&kept->lite.addr, addr));
    put_id(out, &kept->lite.keeper);
    hm_buf_append_text(out, ": ");
    put_host(out, &kept->state);
}

/* What users say is anything: what is no text, or would move the cursor, is shown as dots. */
static void put_anything(struct hm_buf *out, struct hm_bytes bytes)
{
    json_t *text = json_stringn((const char *)bytes.data, bytes.size); /* NULL: not UTF-8 */
    for (size_t i = 0; i < bytes.size; i++) {
        uint8_t byte = bytes.data[i];
        bool shown = byte >= ' ' && byte != 0x7f && (byte < 0x80 || text);
        hm_put_u8(out, shown ? byte : '.');
    }
    json_decref(text);
}

static void put_user_event(struct hm_buf *out, const struct hm_user_event *event)
{
    put_anything(out, event->name);
    if (event->data.size) {
        hm_buf_append_text(out, ": ");
        put_anything(out, event->data);
    }
}

void hm_event_describe(const struct hm_message *body, struct hm_buf *out)
{
    switch (body->kind) {
    case HM_MSG_member_joined:
        put_member(out, &body->member_joined.member);
        break;
    case HM_MSG_member_changed:
        put_member(out, &body->member_changed.member);
        break;
    case HM_MSG_member_left:
        put_gone(out, &body->member_left.id, &body->member_left.name);
        break;
    case HM_MSG_member_failed:
        put_gone(out, &body->member_failed.id, &body->member_failed.name);
        break;
    case HM_MSG_epoch_raised:
        hm_buf_printf(out, "epoch %llu", (unsigned long long)body->epoch_raised.epoch);
        break;
    case HM_MSG_record_changed:
        put_record(out, &body->record_changed.change);
        break;
    case HM_MSG_host_changed:
        put_host(out, &body->host_changed.state);
        break;
    case HM_MSG_host_removed:
        put_id(out, &body->host_removed.host);
        break;
    case HM_MSG_lite_kept:
        put_lite(out, &body->lite_kept);
        break;
    case HM_MSG_lite_gone:
        put_gone(out, &body->lite_gone.id, &body->lite_gone.name);
        hm_buf_append_text(out, body->lite_gone.expired ? " was silent" : " withdrew");
        break;
    case HM_MSG_user_event:
        put_user_event(out, &body->user_event);
        break;
    default:
        hm_message_print(out, body);
        break;
    }
}
