#include "tests/unit/state_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

struct hm_id id_of(uint8_t number)
{
    return (struct hm_id){{number}};
}

/* Each state stands in a replica, as in a log. */
static struct hm_replica replicas[2];

struct hm_replica *replica_of(const struct hm_state *state)
{
    for (size_t i = 0; i < sizeof replicas / sizeof *replicas; i++) {
        if (replicas[i].context == state) {
            return &replicas[i];
        }
    }
    return NULL;
}

struct hm_state *new_state(void)
{
    struct hm_state *state = hm_state_new();
    hm_replica_init(replica_of(NULL), &hm_state_machine, state);
    return state;
}

void free_state(struct hm_state *state)
{
    struct hm_replica *replica = replica_of(state);
    hm_replica_fini(replica);
    replica->context = NULL;
    hm_state_free(state);
}

struct hm_outcome apply(struct hm_state *state, uint8_t session, uint64_t seq,
                        const struct hm_message *request)
{
    struct hm_buf body = {0};
    struct hm_outcome outcome;
    hm_message_encode(&body, request);
    struct hm_log_request entry = {.session = id_of(session),
                                   .seq = seq,
                                   .time_ms = 1000 + seq,
                                   .request = hm_buf_view(&body)};
    hm_replica_apply(replica_of(state), &entry, 0, &outcome);
    hm_buf_fini(&body);
    return outcome;
}

struct hm_member member_of(uint8_t number, const char *name)
{
    return (struct hm_member){.id = id_of(number),
                              .name = hm_name_of(name),
                              .addr = {.family = 4, .ip = {10, 0, 0, number}, .port = 9610},
                              .boot = 1,
                              .feature = HM_FEATURE_LEVEL};
}

struct hm_outcome join(struct hm_state *state, uint8_t number, const char *name)
{
    return apply(state, number, 0,
                 &(struct hm_message){.kind = HM_MSG_request_join,
                                      .request_join = {.member = member_of(number, name)}});
}

struct hm_state *founded(void)
{
    struct hm_state *state = new_state();
    struct hm_outcome outcome =
        apply(state, 1, 0,
              &(struct hm_message){.kind = HM_MSG_request_found,
                                   .request_found = {.cluster = CLUSTER,
                                                     .history = id_of(99),
                                                     .founder = member_of(1, "c1")}});
    assert_int_equal(outcome.status, HM_OK);
    assert_int_equal(outcome.events, 2);
    return state;
}

struct hm_outcome change_host(struct hm_state *state, uint8_t number, uint64_t seq,
                              const char *vhost, const char *service)
{
    struct hm_claim claim = {.key = hm_bytes_of_text(vhost), .owner = hm_name_of(service)};
    struct hm_message request = {.kind = HM_MSG_request_host,
                                 .request_host = {.state = {.host = id_of(number),
                                                            .version = {1, seq},
                                                            .config = hm_bytes_of_text("config")},
                                                  .claims = &claim,
                                                  .claims_count = vhost[0] ? 1 : 0}};
    return apply(state, number, 0, &request);
}

const char *owner_of(const struct hm_state *state, const char *vhost)
{
    static char text[64];
    struct hm_name scope = hm_name_of(HM_SCOPE_VHOSTS);
    const struct hm_record *record =
        hm_records_find(&hm_state_view(state)->records, &scope, hm_bytes_of_text(vhost));
    if (!record) {
        return "nobody";
    }
    snprintf(text, sizeof text, "%.*s", (int)record->value.size, (const char *)record->value.data);
    return text;
}

struct hm_message write_of(struct hm_change *change, struct hm_condition *condition)
{
    return (struct hm_message){.kind = HM_MSG_request_write,
                               .request_write = {.conditions = condition,
                                                 .conditions_count = condition ? 1 : 0,
                                                 .changes = change,
                                                 .changes_count = 1}};
}
