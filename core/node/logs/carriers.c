#include "core/node/logs/carriers.h"

#include "core/node/logs/named.h"

#include <stdio.h>
#include <string.h>

bool hm_node_is_carrier(const struct hm_log_record *record, const struct hm_name *log,
                        const struct hm_member *member)
{
    const char *role = hm_node_role_of_log(log);
    bool out = false;
    for (uint32_t i = 0; i < record->excluded_count; i++) {
        out |= hm_id_equal(&record->excluded[i].id, &member->id);
    }
    return !out && hm_member_has_role(member, "control") &&
           (!role || hm_member_has_role(member, role));
}

static bool carries_all(const struct hm_node *node, const struct hm_member *member)
{
    const struct hm_records *records = &node->view->records;
    struct hm_name scope = hm_name_of(HM_SCOPE_LOGS);
    struct hm_arena arena = {0};
    bool all = true;
    for (size_t i = hm_records_after(records, &scope, (struct hm_bytes){0});
         all && i < records->count && hm_name_equal(&records->items[i]->scope, &scope); i++) {
        struct hm_name name;
        struct hm_log_record record;
        uint64_t index;
        struct hm_bytes key = records->items[i]->key;
        all = !hm_name_set(&name, (const char *)key.data, key.size) ||
              !hm_node_log_record(node, &name, &arena, &record, &index) ||
              hm_node_is_carrier(&record, &name, member);
    }
    hm_arena_fini(&arena);
    return all;
}

void hm_node_name_carriers(const struct hm_node *node, char *out, size_t size)
{
    const struct hm_member *member;
    struct hm_members_walk walk = {0};
    size_t used = 0;
    out[0] = 0;
    while ((member = hm_members_next(&node->view->members, "control", &walk))) {
        size_t wanted = (used ? 2u : 0u) + member->name.size;
        if (carries_all(node, member) && used + wanted < size) {
            used += (size_t)snprintf(out + used, size - used, "%s%s", used ? ", " : "",
                                     member->name.text);
        }
    }
}
