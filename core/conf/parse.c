#include "core/conf/parse.h"

#include "core/base/assert.h"
#include "core/base/memory.h"
#include "core/conf/internal.h"
#include "core/conf/suggest.h"
#include "core/conf/value.h"

#include <string.h>

#include <yaml.h>

/* One file being read. `event` is the current one; `over` once nothing more can be read. */
struct reader {
    struct hm_conf *conf;
    struct hm_conf_errors *errors;
    const char *file;
    struct hm_bytes text;
    yaml_parser_t yaml;
    yaml_event_t event; /* of type YAML_NO_EVENT when over */
    unsigned depth;
    size_t values;
    bool over;
};

static void read_value(struct reader *reader, struct hm_conf_node *node);

/* ---- events ---- */

static struct hm_conf_origin place(const struct reader *reader, yaml_mark_t mark)
{
    return (struct hm_conf_origin){reader->file, (uint32_t)mark.line + 1,
                                   (uint32_t)mark.column + 1};
}

static struct hm_conf_origin here(const struct reader *reader)
{
    return place(reader, reader->event.start_mark);
}

static void give_up(struct reader *reader, struct hm_conf_origin at, const char *text)
{
    hm_conf_error(reader->errors, &at, "%s", text);
    reader->over = true;
    reader->conf->cut = true;
    yaml_event_delete(&reader->event);
}

/* For bytes that libyaml could not even decode it gives their offset alone. */
static yaml_mark_t mark_at(struct hm_bytes text, size_t offset)
{
    yaml_mark_t mark = {0};
    for (size_t i = 0; i < offset && i < text.size; i++) {
        bool newline = text.data[i] == '\n';
        mark.line += newline;
        mark.column = newline ? 0 : mark.column + ((text.data[i] & 0xc0u) != 0x80u);
    }
    return mark;
}

/* libyaml's own words, and what usually is behind them. */
static void tell_broken(struct reader *reader)
{
    static const struct {
        const char *problem;
        const char *hint;
    } hints[] = {
        {"found character that cannot start any token",
         "indent with spaces, not tabs; quote values that begin with @, ` or %"},
        {"mapping values are not allowed in this context",
         "one 'key: value' a line, with the same indent; quote values with ': ' in them"},
        {"did not find expected key", "check the indent of this line and of those above"},
        {"did not find expected ',' or ']'", "close the list with ]"},
        {"did not find expected ',' or '}'", "close the map with }"},
        {"found unexpected end of stream", "a quote or bracket was not closed"},
        {"could not find expected ':'", "write 'key: value', with a space behind the colon"},
        {"control characters are not allowed", "is this a text file?"},
        {"block sequence entries are not allowed in this context",
         "begin the list on the line below its key"},
    };
    const yaml_parser_t *yaml = &reader->yaml;
    const char *problem = yaml->problem ? yaml->problem : "it cannot be read";
    yaml_mark_t mark = yaml->problem_mark;
    if (yaml->error == YAML_READER_ERROR) {
        mark = mark_at(reader->text, yaml->problem_offset);
        problem = strcmp(problem, "control characters are not allowed") == 0
                      ? problem
                      : "the text is not UTF-8";
    }
    const char *hint = NULL;
    for (size_t i = 0; i < sizeof hints / sizeof *hints; i++) {
        hint = strcmp(problem, hints[i].problem) == 0 ? hints[i].hint : hint;
    }
    struct hm_buf text = {0};
    hm_buf_printf(&text, "broken YAML: %s", problem);
    if (yaml->context && yaml->context_mark.line != mark.line) {
        hm_buf_printf(&text, " (%s that begins at line %zu)", yaml->context,
                      yaml->context_mark.line + 1);
    }
    hm_buf_printf(&text, "%s%s", hint ? ": " : "", hint ? hint : "");
    hm_put_u8(&text, 0);
    give_up(reader, place(reader, mark), (const char *)text.data);
    hm_buf_fini(&text);
}

static void check_limits(struct reader *reader)
{
    const yaml_event_t *event = &reader->event;
    bool start =
        event->type == YAML_MAPPING_START_EVENT || event->type == YAML_SEQUENCE_START_EVENT;
    bool end = event->type == YAML_MAPPING_END_EVENT || event->type == YAML_SEQUENCE_END_EVENT;
    reader->depth += start;
    reader->depth -= end;
    reader->values += start || event->type == YAML_SCALAR_EVENT;
    if (reader->depth > HM_CONF_DEPTH_MAX) {
        give_up(reader, here(reader), "nested deeper than 32 levels");
    } else if (reader->values > HM_CONF_VALUES_MAX) {
        give_up(reader, here(reader), "more than 65536 values in one file");
    }
}

/* Aliases would let a small file stand for a huge one, and tags change what a value is. */
static void refuse_extras(struct reader *reader)
{
    const yaml_event_t *event = &reader->event;
    const yaml_char_t *anchor = NULL, *tag = NULL;
    if (event->type == YAML_SCALAR_EVENT) {
        anchor = event->data.scalar.anchor;
        tag = event->data.scalar.tag;
    } else if (event->type == YAML_MAPPING_START_EVENT) {
        anchor = event->data.mapping_start.anchor;
        tag = event->data.mapping_start.tag;
    } else if (event->type == YAML_SEQUENCE_START_EVENT) {
        anchor = event->data.sequence_start.anchor;
        tag = event->data.sequence_start.tag;
    }
    struct hm_conf_origin at = here(reader);
    if (event->type == YAML_ALIAS_EVENT) {
        hm_conf_error(reader->errors, &at,
                      "aliases (*name) are not supported: write the value out");
    } else if (anchor) {
        hm_conf_error(reader->errors, &at, "anchors (&name) are not supported: remove it");
    } else if (tag) {
        hm_conf_error(reader->errors, &at, "tags (!name) are not supported: remove it");
    }
}

static void advance(struct reader *reader)
{
    if (reader->over) {
        return;
    }
    yaml_event_delete(&reader->event);
    if (!yaml_parser_parse(&reader->yaml, &reader->event)) {
        tell_broken(reader);
        return;
    }
    refuse_extras(reader);
    check_limits(reader);
}

static bool at_event(const struct reader *reader, yaml_event_type_t type)
{
    return !reader->over && reader->event.type == type;
}

/* Stays at the last event of the value. */
static void skip_value(struct reader *reader)
{
    unsigned depth = reader->depth;
    if (!at_event(reader, YAML_MAPPING_START_EVENT) &&
        !at_event(reader, YAML_SEQUENCE_START_EVENT)) {
        return;
    }
    while (!reader->over && reader->depth >= depth) {
        advance(reader);
    }
}

/* The scalar as a C string (until the next event); NULL, told, when it cannot be one. */
static const char *scalar_text(struct reader *reader)
{
    const char *text = (const char *)reader->event.data.scalar.value;
    size_t size = reader->event.data.scalar.length;
    struct hm_conf_origin at = here(reader);
    if (memchr(text, '\0', size)) {
        hm_conf_error(reader->errors, &at, "a NUL character is not allowed");
        return NULL;
    }
    if (size > HM_CONF_SCALAR_BYTES_MAX) {
        hm_conf_error(reader->errors, &at, "a value of more than 4096 bytes");
        return NULL;
    }
    return text;
}

/* Plain nothing, as in "key:" with the rest of the line empty. */
static bool at_nothing(const struct reader *reader)
{
    if (!at_event(reader, YAML_SCALAR_EVENT) ||
        reader->event.data.scalar.style != YAML_PLAIN_SCALAR_STYLE) {
        return false;
    }
    const char *text = (const char *)reader->event.data.scalar.value;
    return *text == '\0' || strcmp(text, "~") == 0 || strcmp(text, "null") == 0;
}

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

static const char *event_word(const struct reader *reader)
{
    switch (reader->event.type) {
    case YAML_MAPPING_START_EVENT:
        return "a map";
    case YAML_SEQUENCE_START_EVENT:
        return "a list";
    default:
        return "a single value";
    }
}

/* What is written here has another form than the row wants. */
static void refuse_form(struct reader *reader, struct hm_conf_node *node)
{
    const struct hm_conf_key *key = node->key;
    struct hm_conf_origin at = here(reader);
    node->broken = true;
    if (at_event(reader, YAML_ALIAS_EVENT)) {
        return; /* told */
    }
    const char *name = key ? key->name : "the file";
    const char *wanted = hm_conf_type_words(key ? key->type : HM_CONF_MAP)->article;
    if (node->shape == HM_CONF_LIST) {
        hm_conf_error(reader->errors, &at, "%s takes a list, not %s: write %s", name,
                      event_word(reader),
                      key->type == HM_CONF_MAP ? "- before each entry" : "[one, two]");
    } else if (node->shape != HM_CONF_ONE || !key || key->type == HM_CONF_MAP) {
        hm_conf_error(reader->errors, &at, "%s takes a map, not %s: write 'name: value' lines",
                      name, event_word(reader));
    } else if (at_nothing(reader)) {
        hm_conf_error(reader->errors, &at, "%s has no value: write %s, or remove the line", name,
                      wanted);
    } else {
        hm_conf_error(reader->errors, &at, "%s takes %s, not %s", name, wanted, event_word(reader));
    }
    skip_value(reader);
}

static void read_scalar(struct reader *reader, struct hm_conf_node *node)
{
    if (!at_event(reader, YAML_SCALAR_EVENT) || at_nothing(reader)) {
        refuse_form(reader, node);
        return;
    }
    const char *text = scalar_text(reader);
    if (!text) {
        node->broken = true;
        return;
    }
    struct hm_buf why = {0};
    if (!hm_conf_value_read(node, text, &reader->conf->arena, &why)) {
        struct hm_conf_origin at = here(reader);
        hm_conf_error(reader->errors, &at, "%s: %.*s", node->key->name, (int)why.size,
                      (const char *)why.data);
        node->broken = true;
    }
    hm_buf_fini(&why);
}

static void read_item(struct reader *reader, struct hm_conf_node *list)
{
    struct hm_conf_node *item = hm_conf_node_new(reader->conf, list, list->key, HM_CONF_ONE, NULL);
    item->origin = here(reader);
    item->document = reader->conf->documents;
    read_value(reader, item);
}

static void read_list(struct reader *reader, struct hm_conf_node *list)
{
    if (at_nothing(reader)) {
        return;
    }
    if (at_event(reader, YAML_SCALAR_EVENT) && list->key->type != HM_CONF_MAP) {
        read_item(reader, list); /* a lone value is a list of one */
        return;
    }
    if (!at_event(reader, YAML_SEQUENCE_START_EVENT)) {
        refuse_form(reader, list);
        return;
    }
    advance(reader);
    while (!reader->over && !at_event(reader, YAML_SEQUENCE_END_EVENT)) {
        read_item(reader, list);
        advance(reader);
    }
}

/* ---- maps and tables ---- */

static void tell_unknown(struct reader *reader, const struct hm_conf_node *map, const char *name)
{
    if (hm_conf_errors_full(reader->errors)) {
        reader->errors->dropped++;
        return;
    }
    const struct hm_conf_schema *schema = map->schema;
    const char *best = NULL;
    for (size_t i = 0; i < schema->count; i++) {
        best = hm_conf_nearer(name, best, schema->keys[i].name);
    }
    struct hm_buf text = {0};
    hm_buf_append_text(&text, "unknown key ");
    hm_conf_quote(&text, name);
    if (map->key) {
        hm_buf_printf(&text, " in %s", map->key->name);
    }
    if (best) {
        hm_buf_printf(&text, ": did you mean '%s'?", best);
    } else if (!map->key) {
        hm_buf_append_text(&text, ": if it is the section of a module, name the module in "
                                  "'roles' or 'middlewares'; else remove it");
    } else {
        for (size_t i = 0; i < schema->count; i++) {
            hm_buf_printf(&text, "%s%s", i ? ", " : ": known are ", schema->keys[i].name);
        }
    }
    struct hm_conf_origin at = here(reader);
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
            struct hm_conf_origin at = here(reader);
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
    struct hm_conf_origin at = here(reader);
    if (map->count >= HM_CONF_TABLE_ENTRIES_MAX) {
        hm_conf_error(reader->errors, &at, "%s has more than 1024 entries", map->key->name);
        return NULL;
    }
    if (!hm_conf_entry_name_fits(map->key->names, name)) {
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
    struct hm_conf_origin at = here(reader);
    struct hm_conf_node *node = NULL;
    if (at_event(reader, YAML_SCALAR_EVENT)) {
        const char *text = scalar_text(reader);
        const struct hm_conf_key *key = text ? find_entry(reader, map, text) : NULL;
        const char *name = !key                        ? NULL
                           : map->shape == HM_CONF_ONE ? key->name
                                                       : copy_name(reader->conf, text);
        node = key ? open_entry(reader, map, key, name, at) : NULL;
    } else if (!at_event(reader, YAML_ALIAS_EVENT)) {
        hm_conf_error(reader->errors, &at, "a key must be a single word, not %s",
                      event_word(reader));
        skip_value(reader);
    }
    advance(reader);
    if (!node) {
        skip_value(reader);
    } else if (reader->over) {
        node->broken = true; /* a key whose value could not be read */
    } else {
        read_value(reader, node);
    }
}

static void read_map(struct reader *reader, struct hm_conf_node *map)
{
    if (at_nothing(reader)) {
        return; /* a section whose lines are all commented out */
    }
    if (!at_event(reader, YAML_MAPPING_START_EVENT)) {
        refuse_form(reader, map);
        return;
    }
    advance(reader);
    while (!reader->over && !at_event(reader, YAML_MAPPING_END_EVENT)) {
        read_entry(reader, map);
        advance(reader);
    }
}

/* Begins and stays at the value's first and last event. */
static void read_value(struct reader *reader, struct hm_conf_node *node)
{
    if (reader->over) {
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
    advance(reader); /* stream start */
    advance(reader); /* document start, or stream end */
    if (at_event(reader, YAML_STREAM_END_EVENT) || reader->over) {
        return;
    }
    advance(reader);
    read_value(reader, reader->conf->root);
    reader->conf->cut |= reader->conf->root->broken;
    reader->conf->root->broken = false;
    advance(reader); /* document end */
    advance(reader);
    if (!reader->over && !at_event(reader, YAML_STREAM_END_EVENT)) {
        struct hm_conf_origin at = here(reader);
        hm_conf_error(reader->errors, &at,
                      "a second document (---): put it into a file of its own "
                      "in conf.d");
    }
}

void hm_conf_add(struct hm_conf *conf, const char *file, struct hm_bytes text,
                 struct hm_conf_errors *errors)
{
    struct reader reader = {
        .conf = conf, .errors = errors, .file = copy_name(conf, file), .text = text};
    struct hm_conf_origin start = {reader.file, 1, 1};
    errors->document = ++conf->documents;
    if (conf->documents == 1) {
        conf->root->origin = start;
    }
    if (text.size > HM_CONF_BYTES_MAX) {
        hm_conf_error(errors, &start, "the file is larger than 1 MiB");
        conf->cut = true;
        return;
    }
    HM_ASSERT(yaml_parser_initialize(&reader.yaml)); /* fails without memory alone */
    yaml_parser_set_encoding(&reader.yaml, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&reader.yaml, text.size ? text.data : (const uint8_t *)"",
                                 text.size);
    read_file(&reader);
    if (!reader.over) {
        yaml_event_delete(&reader.event);
    }
    yaml_parser_delete(&reader.yaml);
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
