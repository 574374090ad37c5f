#include "core/conf/parse.h"

#include <string.h>

static bool has_key(const struct hm_conf_key *keys, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(keys[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

static size_t add_part(struct hm_conf_key *keys, size_t count, const struct hm_conf_part *part)
{
    const struct hm_conf_key section = {
        .name = part->section,
        .type = HM_CONF_MAP,
        .child = part->schema,
        .help = part->schema->help,
        .live = part->live,
    };
    const struct hm_conf_key *rows = part->section ? &section : part->schema->keys;
    size_t row_count = part->section ? 1 : part->schema->count;
    for (size_t i = 0; i < row_count; i++) {
        if (has_key(keys, count, rows[i].name)) {
            continue;
        }
        keys[count] = rows[i];
        keys[count].needs = part->loaded ? NULL : part->module;
        count++;
    }
    return count;
}

const struct hm_conf_schema *hm_conf_compose(struct hm_arena *arena,
                                             const struct hm_conf_schema *root,
                                             const struct hm_conf_part *parts, size_t count)
{
    size_t room = root->count;
    for (size_t i = 0; i < count; i++) {
        room += parts[i].section ? 1 : parts[i].schema->count;
    }
    struct hm_conf_key *keys = hm_arena_alloc(arena, room, sizeof *keys);
    memcpy(keys, root->keys, root->count * sizeof *keys);
    size_t used = root->count;
    for (size_t i = 0; i < count; i++) {
        used = add_part(keys, used, &parts[i]);
    }
    struct hm_conf_schema *whole = hm_arena_alloc(arena, 1, sizeof *whole);
    *whole = (struct hm_conf_schema){.keys = keys, .count = used, .help = root->help};
    return whole;
}
