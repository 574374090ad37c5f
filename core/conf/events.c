#include "core/conf/events.h"

#include "core/base/assert.h"
#include "core/conf/parse.h"

#include <string.h>

void hm_conf_events_init(struct hm_conf_events *events, struct hm_conf_origin start,
                         struct hm_bytes text, struct hm_conf_errors *errors)
{
    *events = (struct hm_conf_events){.errors = errors, .start = start, .text = text};
    HM_ASSERT(yaml_parser_initialize(&events->yaml)); /* fails without memory alone */
    yaml_parser_set_encoding(&events->yaml, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&events->yaml, text.size ? text.data : (const uint8_t *)"",
                                 text.size);
}

void hm_conf_events_fini(struct hm_conf_events *events)
{
    yaml_event_delete(&events->event);
    yaml_parser_delete(&events->yaml);
}

static struct hm_conf_origin place(const struct hm_conf_events *events, yaml_mark_t mark)
{
    struct hm_conf_origin origin = events->start;
    origin.line = (uint32_t)mark.line + 1;
    origin.column = (uint32_t)mark.column + 1;
    return origin;
}

struct hm_conf_origin hm_conf_events_place(const struct hm_conf_events *events)
{
    return place(events, events->event.start_mark);
}

static void give_up(struct hm_conf_events *events, struct hm_conf_origin at, const char *text)
{
    hm_conf_error(events->errors, &at, "%s", text);
    events->over = true;
    yaml_event_delete(&events->event);
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
static void tell_broken(struct hm_conf_events *events)
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
    const yaml_parser_t *yaml = &events->yaml;
    const char *problem = yaml->problem ? yaml->problem : "it cannot be read";
    yaml_mark_t mark = yaml->problem_mark;
    if (yaml->error == YAML_READER_ERROR) {
        mark = mark_at(events->text, yaml->problem_offset);
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
    give_up(events, place(events, mark), (const char *)text.data);
    hm_buf_fini(&text);
}

static void check_limits(struct hm_conf_events *events)
{
    const yaml_event_t *event = &events->event;
    bool start =
        event->type == YAML_MAPPING_START_EVENT || event->type == YAML_SEQUENCE_START_EVENT;
    bool end = event->type == YAML_MAPPING_END_EVENT || event->type == YAML_SEQUENCE_END_EVENT;
    events->depth += start;
    events->depth -= end;
    events->values += start || event->type == YAML_SCALAR_EVENT;
    if (events->depth > HM_CONF_DEPTH_MAX) {
        give_up(events, hm_conf_events_place(events), "nested deeper than 32 levels");
    } else if (events->values > HM_CONF_VALUES_MAX) {
        give_up(events, hm_conf_events_place(events), "more than 65536 values in one file");
    }
}

/* Aliases would let a small file stand for a huge one, and tags change what a value is. */
static void refuse_extras(struct hm_conf_events *events)
{
    const yaml_event_t *event = &events->event;
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
    struct hm_conf_origin at = hm_conf_events_place(events);
    if (event->type == YAML_ALIAS_EVENT) {
        hm_conf_error(events->errors, &at,
                      "aliases (*name) are not supported: write the value out");
    } else if (anchor) {
        hm_conf_error(events->errors, &at, "anchors (&name) are not supported: remove it");
    } else if (tag) {
        hm_conf_error(events->errors, &at, "tags (!name) are not supported: remove it");
    }
}

void hm_conf_events_advance(struct hm_conf_events *events)
{
    if (events->over) {
        return;
    }
    yaml_event_delete(&events->event);
    if (!yaml_parser_parse(&events->yaml, &events->event)) {
        tell_broken(events);
        return;
    }
    refuse_extras(events);
    check_limits(events);
}

bool hm_conf_events_at(const struct hm_conf_events *events, yaml_event_type_t type)
{
    return !events->over && events->event.type == type;
}

void hm_conf_events_skip(struct hm_conf_events *events)
{
    unsigned depth = events->depth;
    if (!hm_conf_events_at(events, YAML_MAPPING_START_EVENT) &&
        !hm_conf_events_at(events, YAML_SEQUENCE_START_EVENT)) {
        return;
    }
    while (!events->over && events->depth >= depth) {
        hm_conf_events_advance(events);
    }
}

const char *hm_conf_events_text(struct hm_conf_events *events)
{
    const char *text = (const char *)events->event.data.scalar.value;
    size_t size = events->event.data.scalar.length;
    struct hm_conf_origin at = hm_conf_events_place(events);
    if (memchr(text, '\0', size)) {
        hm_conf_error(events->errors, &at, "a NUL character is not allowed: remove it");
        return NULL;
    }
    if (size > HM_CONF_SCALAR_BYTES_MAX) {
        hm_conf_error(events->errors, &at, "a value of more than 4096 bytes: shorten it");
        return NULL;
    }
    return text;
}

/* Plain nothing, as in "key:" with the rest of the line empty. */
bool hm_conf_events_at_nothing(const struct hm_conf_events *events)
{
    if (!hm_conf_events_at(events, YAML_SCALAR_EVENT) ||
        events->event.data.scalar.style != YAML_PLAIN_SCALAR_STYLE) {
        return false;
    }
    const char *text = (const char *)events->event.data.scalar.value;
    return *text == '\0' || strcmp(text, "~") == 0 || strcmp(text, "null") == 0;
}

const char *hm_conf_events_word(const struct hm_conf_events *events)
{
    switch (events->event.type) {
    case YAML_MAPPING_START_EVENT:
        return "a map";
    case YAML_SEQUENCE_START_EVENT:
        return "a list";
    default:
        return "a single value";
    }
}
