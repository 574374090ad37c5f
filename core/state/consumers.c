/* Where the consumers are, as records: what is built of these facts is a function of the log alone,
 * and a failure takes nobody's place away. */
#include "core/state/state_internal.h"

static const struct hm_record *find(const struct hm_state *state, struct hm_bytes key)
{
    struct hm_name scope = hm_name_of(HM_SCOPE_CONSUMERS);
    return hm_records_find(&state->view.records, &scope, key);
}

/* Nothing is emitted when the record says so already. */
static void put(struct hm_state *state, struct hm_bytes key, const struct hm_consumer *consumer,
                struct hm_outcome *out)
{
    struct hm_buf bytes = {0};
    hm_message_encode(&bytes, &(struct hm_message){.kind = HM_MSG_consumer, .consumer = *consumer});
    struct hm_bytes value = hm_buf_view(&bytes);
    const struct hm_record *record = find(state, key);
    if (!record || !hm_bytes_equal(record->value, value)) {
        hm_state_emit_record(state, HM_SCOPE_CONSUMERS, key, &value, out);
    }
    hm_buf_fini(&bytes);
}

static bool is_failed(const struct hm_record *record)
{
    struct hm_arena arena = {0};
    struct hm_message message;
    bool failed =
        hm_message_decode_only(record->value, HM_MSG_consumer, &arena, &message) == HM_OK &&
        message.consumer.failed;
    hm_arena_fini(&arena);
    return failed;
}

/* One more has failed: there may be one too many. */
static void trim(struct hm_state *state, struct hm_outcome *out)
{
    const struct hm_records *records = &state->view.records;
    struct hm_name scope = hm_name_of(HM_SCOPE_CONSUMERS);
    const struct hm_record *first = NULL;
    size_t count = 0;
    for (size_t i = hm_records_after(records, &scope, (struct hm_bytes){0});
         i < records->count && hm_name_equal(&records->items[i]->scope, &scope); i++) {
        const struct hm_record *record = records->items[i];
        if (is_failed(record)) {
            count++;
            first = first && first->index < record->index ? first : record;
        }
    }
    if (count > HM_STATE_CONSUMERS_FAILED_MAX) {
        hm_state_emit_record(state, HM_SCOPE_CONSUMERS, first->key, NULL, out);
    }
}

static void mark_failed(struct hm_state *state, const struct hm_record *record, struct hm_bytes key,
                        struct hm_outcome *out)
{
    struct hm_arena arena = {0};
    struct hm_message message;
    if (hm_message_decode_only(record->value, HM_MSG_consumer, &arena, &message) == HM_OK) {
        message.consumer.failed = true;
        put(state, key, &message.consumer, out);
        trim(state, out);
    }
    hm_arena_fini(&arena);
}

void hm_state_place_consumer(struct hm_state *state, const struct hm_member *member,
                             struct hm_outcome *out)
{
    struct hm_name name = hm_name_lower(&member->name);
    struct hm_bytes key = hm_name_bytes(&name);
    if (member->feeds & HM_MEMBER_CONSUMES) {
        put(state, key,
            &(struct hm_consumer){
                .addr = member->addr, .roles = member->roles, .roles_count = member->roles_count},
            out);
    } else if (find(state, key)) {
        hm_state_emit_record(state, HM_SCOPE_CONSUMERS, key, NULL, out);
    }
}

void hm_state_displace_consumer(struct hm_state *state, const struct hm_name *name, bool failed,
                                struct hm_outcome *out)
{
    struct hm_name lower = hm_name_lower(name);
    struct hm_bytes key = hm_name_bytes(&lower);
    const struct hm_record *record = find(state, key);
    if (record && failed) {
        mark_failed(state, record, key, out);
    } else if (record) {
        hm_state_emit_record(state, HM_SCOPE_CONSUMERS, key, NULL, out);
    }
}
