#include "core/conf/parse.h"

#include "core/base/memory.h"
#include "core/conf/events.h"
#include "core/conf/internal.h"
#include "core/conf/suggest.h"
#include "core/conf/value.h"

#include <string.h>

/* One file being read into the tree. */
struct reader {
    struct hm_conf *conf;
    struct hm_conf_errors *errors;
    struct hm_conf_events events;
};

static void read_value(struct reader *reader, struct hm_conf_node *node);

/* ---- the tree ---- */

struct hm_conf_node *hm_conf_node_new(struct hm_conf *conf, struct hm_conf_node *parent,
                                      const struct hm_conf_key *key, enum hm_conf_shape shape,
                                      const char *name)
{
    struct hm_conf_node *node = hm_arena_alloc(&conf->arena, 1, sizeof *node);
    node->key = key;
    node->schema = shape == HM_CONF_ONE && key ? key->child : NULL;
    node->shape = shape;
    node->name = name;
    if (parent) {
        *(parent->last ? &parent->last->next : &parent->first) = node;
        parent->last = node;
        parent->count++;
    }
    return node;
}

struct hm_conf_node *hm_conf_child(const struct hm_conf_node *map, const char *name)
{
    struct hm_conf_node *node = map->first;
    while (node && strcmp(node->name, name) != 0) {
        node = node->next;
    }
    return node;
}

/* What is written here has another form than the row wants. */
static void refuse_form(struct reader *reader, struct hm_conf_node *node)
{
    const struct hm_conf_key *key = node->key;
    struct hm_conf_origin at = hm_conf_events_place(&reader->events);
    node->broken = true;
    if (hm_conf_events_at(&reader->events, YAML_ALIAS_EVENT)) {
        return; /* told */
    }
    const char *name = key ? key->name : "the file";
    const char *wanted = hm_conf_type_words(key ? key->type : HM_CONF_MAP)->article;
    if (node->shape == HM_CONF_LIST) {
        hm_conf_error(reader->errors, &at, "%s takes a list, not %s: write %s", name,
                      hm_conf_events_word(&reader->events),
                      key->type == HM_CONF_MAP ? "- before each entry" : "[one, two]");
    } else if (node->shape != HM_CONF_ONE || !key || key->type == HM_CONF_MAP) {
        hm_conf_error(reader->errors, &at, "%s takes a map, not %s: write 'name: value' lines",
                      name, hm_conf_events_word(&reader->events));
    } else if (hm_conf_events_at_nothing(&reader->events)) {
        hm_conf_error(reader->errors, &at, "%s has no value: write %s, or remove the line", name,
                      wanted);
    } else {
        hm_conf_error(reader->errors, &at, "%s takes %s, not %s", name, wanted,
                      hm_conf_events_word(&reader->events));
    }
    hm_conf_events_skip(&reader->events);
}

static void read_scalar(struct reader *reader, struct hm_conf_node *node)
{
    if (!hm_conf_events_at(&reader->events, YAML_SCALAR_EVENT) ||
        hm_conf_events_at_nothing(&reader->events)) {
        refuse_form(reader, node);
        return;
    }
    const char *text = hm_conf_events_text(&reader->events);
    if (!text) {
        node->broken = true;
        return;
    }
    struct hm_buf why = {0};
    if (!hm_conf_value_read(node, text, &reader->conf->arena, &why)) {
        struct hm_conf_origin at = hm_conf_events_place(&reader->events);
        hm_conf_error(reader->errors, &at, "%s: %.*s", node->key->name, (int)why.size,
                      (const char *)why.data);
        node->broken = true;
    }
    hm_buf_fini(&why);
}

static void read_item(struct reader *reader, struct hm_conf_node *list)
{
    struct hm_conf_node *item = hm_conf_node_new(reader->conf, list, list->key, HM_CONF_ONE, NULL);
    item->origin = hm_conf_events_place(&reader->events);
    item->document = reader->conf->documents;
    read_value(reader, item);
}

static void read_list(struct reader *reader, struct hm_conf_node *list)
{
    if (hm_conf_events_at_nothing(&reader->events)) {
        return;
    }
    if (hm_conf_events_at(&reader->events, YAML_SCALAR_EVENT) && list->key->type != HM_CONF_MAP) {
        read_item(reader, list); /* a lone value is a list of one */
        return;
    }
    if (!hm_conf_events_at(&reader->events, YAML_SEQUENCE_START_EVENT)) {
        refuse_form(reader, list);
        return;
    }
    hm_conf_events_advance(&reader->events);
    while (!reader->events.over && !hm_conf_events_at(&reader->events, YAML_SEQUENCE_END_EVENT)) {
        read_item(reader, list);
        hm_conf_events_advance(&reader->events);
    }
}

/* ---- maps and tables ---- */

/* Appends where else a key of this name would be right, "services.check"; false when nowhere. */
static bool find_elsewhere(const struct hm_conf_schema *schema, const char *name,
                           struct hm_buf *path)
{
    size_t size = path->size;
    for (size_t i = 0; i < schema->count; i++) {
        const struct hm_conf_key *key = &schema->keys[i];
        if (!key->needs && strcmp(key->name, name) == 0) {
            return true;
        }
    }
    for (size_t i = 0; i < schema->count; i++) {
        const struct hm_conf_key *key = &schema->keys[i];
        if (key->child && !key->needs) {
            hm_buf_printf(path, "%s%s", size ? "." : "", key->name);
            if (find_elsewhere(key->child, name, path)) {
                return true;
            }
            path->size = size;
        }
    }
    return false;
}

/* What to do about an unknown key. */
static void print_way_out(const struct reader *reader, const struct hm_conf_schema *schema,
                          const char *name, struct hm_buf *text)
{
    const char *best = NULL;
    for (size_t i = 0; i < schema->count; i++) {
        best = hm_conf_nearer(name, best, schema->keys[i].name);
    }
    bool top = schema == reader->conf->schema;
    struct hm_buf path = {0};
    if (strcmp(name, "<<") == 0) {
        hm_buf_append_text(text, "merge keys are not supported, write the keys out");
    } else if (best) {
        hm_buf_printf(text, "did you mean '%s'?", best);
    } else if (find_elsewhere(reader->conf->schema, name, &path)) {
        hm_buf_append_text(text,
                           path.size ? "it belongs in " : "it belongs at the top, not indented");
        hm_buf_append(text, path.data, path.size);
    } else if (top) {
        hm_buf_append_text(text, "if it is the section of a module, name the module in 'roles' or "
                                 "'middlewares'; else remove it");
    } else {
        for (size_t i = 0; i < schema->count; i++) {
            hm_buf_printf(text, "%s%s", i ? ", " : "known are ", schema->keys[i].name);
        }
    }
    hm_buf_fini(&path);
}

static void tell_unknown(struct reader *reader, const struct hm_conf_node *map, const char *name)
{
    if (hm_conf_errors_full(reader->errors)) {
        reader->errors->dropped++;
        return;
    }
    struct hm_buf text = {0};
    hm_buf_append_text(&text, "unknown key ");
    hm_conf_quote(&text, name);
    hm_buf_printf(&text, "%s%s: ", map->key ? " in " : "", map->key ? map->key->name : "");
    print_way_out(reader, map->schema, name, &text);
    struct hm_conf_origin at = hm_conf_events_place(&reader->events);
    hm_conf_error(reader->errors, &at, "%.*s", (int)text.size, (const char *)text.data);
    hm_buf_fini(&text);
}

static const struct hm_conf_key *find_row(struct reader *reader, const struct hm_conf_node *map,
                                          const char *name)
{
    const struct hm_conf_schema *schema = map->schema;
    for (size_t i = 0; i < schema->count; i++) {
        const struct hm_conf_key *key = &schema->keys[i];
        if (strcmp(key->name, name) != 0) {
            continue;
        }
        if (key->needs && reader->conf->mode == HM_CONF_WHOLE) {
            struct hm_conf_origin at = hm_conf_events_place(&reader->events);
            hm_conf_error(reader->errors, &at,
                          "%s belongs to module %s, which this node does not load: add %s to "
                          "'roles' or 'middlewares', or remove it",
                          name, key->needs, key->needs);
        }
        return key->needs ? NULL : key;
    }
    if (map->key || reader->conf->mode == HM_CONF_WHOLE) {
        tell_unknown(reader, map, name);
    }
    return NULL;
}

/* The row that an entry answers to; NULL, told, when there is none. */
static const struct hm_conf_key *find_entry(struct reader *reader, const struct hm_conf_node *map,
                                            const char *name)
{
    if (map->shape == HM_CONF_ONE) {
        return find_row(reader, map, name);
    }
    struct hm_conf_origin at = hm_conf_events_place(&reader->events);
    if (map->count >= HM_CONF_TABLE_ENTRIES_MAX) {
        hm_conf_error(reader->errors, &at, "%s has more than 1024 entries: remove what follows",
                      map->key->name);
        return NULL;
    }
    if (!hm_conf_name_fits(map->key->names, name)) {
        struct hm_buf quoted = {0};
        hm_conf_quote(&quoted, name);
        const struct hm_conf_type_words *words = hm_conf_type_words(map->key->names);
        hm_conf_error(reader->errors, &at, "%s: the name %.*s is not %s%s%s", map->key->name,
                      (int)quoted.size, (const char *)quoted.data, words->article,
                      words->example ? ": " : "", words->example ? words->example : "");
        hm_buf_fini(&quoted);
        return NULL;
    }
    return map->key;
}

static bool can_merge(const struct hm_conf_node *node)
{
    return node->shape != HM_CONF_ONE || node->key->type == HM_CONF_MAP;
}

/* The node that the entry fills: a new one, or that of an earlier file; NULL, told, when the same
 * thing was written before. */
static struct hm_conf_node *open_entry(struct reader *reader, struct hm_conf_node *map,
                                       const struct hm_conf_key *key, const char *name,
                                       struct hm_conf_origin at)
{
    struct hm_conf *conf = reader->conf;
    struct hm_conf_node *node = hm_conf_child(map, name);
    if (node && (node->document == conf->documents || !can_merge(node))) {
        struct hm_buf quoted = {0};
        hm_conf_quote(&quoted, name);
        hm_conf_error(reader->errors, &at, "%.*s is set twice: first at %s:%u:%u; remove one",
                      (int)quoted.size, (const char *)quoted.data, node->origin.file,
                      node->origin.line, node->origin.column);
        hm_buf_fini(&quoted);
        return NULL;
    }
    if (!node) {
        bool table = map->shape != HM_CONF_ONE;
        enum hm_conf_shape shape = table ? HM_CONF_ONE : key->shape;
        shape = map->shape == HM_CONF_LISTS ? HM_CONF_LIST : shape;
        node = hm_conf_node_new(conf, map, key, shape, name);
        node->origin = at;
    }
    node->document = conf->documents;
    return node;
}

static const char *copy_name(struct hm_conf *conf, const char *text)
{
    size_t size = strlen(text);
    char *copy = hm_arena_alloc(&conf->arena, size + 1, 1);
    memcpy(copy, text, size);
    return copy;
}

static void read_entry(struct reader *reader, struct hm_conf_node *map)
{
    struct hm_conf_origin at = hm_conf_events_place(&reader->events);
    struct hm_conf_node *node = NULL;
    if (hm_conf_events_at(&reader->events, YAML_SCALAR_EVENT)) {
        const char *text = hm_conf_events_text(&reader->events);
        const struct hm_conf_key *key = text ? find_entry(reader, map, text) : NULL;
        const char *name = !key                        ? NULL
                           : map->shape == HM_CONF_ONE ? key->name
                                                       : copy_name(reader->conf, text);
        node = key ? open_entry(reader, map, key, name, at) : NULL;
    } else if (!hm_conf_events_at(&reader->events, YAML_ALIAS_EVENT)) {
        hm_conf_error(reader->errors, &at, "a key must be a single word, not %s",
                      hm_conf_events_word(&reader->events));
        hm_conf_events_skip(&reader->events);
    }
    hm_conf_events_advance(&reader->events);
    if (!node) {
        hm_conf_events_skip(&reader->events);
    } else if (reader->events.over) {
        node->broken = true; /* a key whose value could not be read */
    } else {
        read_value(reader, node);
    }
}

static void read_map(struct reader *reader, struct hm_conf_node *map)
{
    if (hm_conf_events_at_nothing(&reader->events)) {
        return; /* a section whose lines are all commented out */
    }
    if (!hm_conf_events_at(&reader->events, YAML_MAPPING_START_EVENT)) {
        refuse_form(reader, map);
        return;
    }
    hm_conf_events_advance(&reader->events);
    while (!reader->events.over && !hm_conf_events_at(&reader->events, YAML_MAPPING_END_EVENT)) {
        read_entry(reader, map);
        hm_conf_events_advance(&reader->events);
    }
}

/* Begins and stays at the value's first and last event. */
static void read_value(struct reader *reader, struct hm_conf_node *node)
{
    if (reader->events.over) {
        return;
    }
    if (node->shape == HM_CONF_LIST) {
        read_list(reader, node);
    } else if (node->shape != HM_CONF_ONE || !node->key || node->key->type == HM_CONF_MAP) {
        read_map(reader, node);
    } else {
        read_scalar(reader, node);
    }
}

/* ---- files ---- */

struct hm_conf *hm_conf_new(const struct hm_conf_schema *schema, enum hm_conf_mode mode)
{
    struct hm_conf *conf = hm_alloc(1, sizeof *conf);
    conf->schema = schema;
    conf->mode = mode;
    conf->root = hm_conf_node_new(conf, NULL, NULL, HM_CONF_ONE, NULL);
    conf->root->schema = schema;
    return conf;
}

static void read_file(struct reader *reader)
{
    hm_conf_events_advance(&reader->events); /* stream start */
    hm_conf_events_advance(&reader->events); /* document start, or stream end */
    if (hm_conf_events_at(&reader->events, YAML_STREAM_END_EVENT) || reader->events.over) {
        return;
    }
    hm_conf_events_advance(&reader->events);
    read_value(reader, reader->conf->root);
    reader->conf->cut |= reader->conf->root->broken;
    reader->conf->root->broken = false;
    hm_conf_events_advance(&reader->events); /* document end */
    hm_conf_events_advance(&reader->events);
    if (!reader->events.over && !hm_conf_events_at(&reader->events, YAML_STREAM_END_EVENT)) {
        struct hm_conf_origin at = hm_conf_events_place(&reader->events);
        hm_conf_error(reader->errors, &at,
                      "a second document (---): put it into a file of its own "
                      "in conf.d");
    }
}

void hm_conf_add(struct hm_conf *conf, const char *file, struct hm_bytes text,
                 struct hm_conf_errors *errors)
{
    struct hm_conf_origin start = {copy_name(conf, file), ++conf->documents, 1, 1};
    if (conf->documents == 1) {
        conf->root->origin = start;
    }
    if (text.size > HM_CONF_BYTES_MAX) {
        hm_conf_error(errors, &start, "the file is larger than 1 MiB: put parts of it into conf.d");
        conf->cut = true;
        return;
    }
    struct reader reader = {.conf = conf, .errors = errors};
    hm_conf_events_init(&reader.events, start, text, errors);
    read_file(&reader);
    conf->cut |= reader.events.over;
    hm_conf_events_fini(&reader.events);
}

enum hm_status hm_conf_parse(const struct hm_conf_schema *schema, const char *file,
                             struct hm_bytes text, struct hm_conf_errors *errors,
                             struct hm_conf **out)
{
    struct hm_conf *conf = hm_conf_new(schema, HM_CONF_WHOLE);
    hm_conf_add(conf, file, text, errors);
    enum hm_status status = hm_conf_finish(conf, errors);
    if (status != HM_OK) {
        hm_conf_free(conf);
        return status;
    }
    *out = conf;
    return HM_OK;
}

const struct hm_conf_node *hm_conf_root(const struct hm_conf *conf)
{
    return conf->root;
}

void hm_conf_free(struct hm_conf *conf)
{
    if (conf) {
        hm_arena_fini(&conf->arena);
        hm_free(conf);
    }
}
