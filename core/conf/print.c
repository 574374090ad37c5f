#include "core/conf/print.h"

#include "core/conf/value.h"

#include <string.h>

/* ---- JSON Schema ---- */

static void json_text(struct hm_buf *out, const char *text)
{
    hm_put_u8(out, '"');
    for (const char *at = text; *at; at++) {
        uint8_t byte = (uint8_t)*at;
        if (byte == '"' || byte == '\\') {
            hm_put_u8(out, '\\');
            hm_put_u8(out, byte);
        } else if (byte < 0x20u) {
            hm_buf_printf(out, "\\u%04x", byte);
        } else {
            hm_put_u8(out, byte);
        }
    }
    hm_put_u8(out, '"');
}

static void json_map(const struct hm_conf_schema *schema, struct hm_buf *out);

static void json_range(const struct hm_conf_key *key, const char *low, const char *high,
                       struct hm_buf *out)
{
    if (key->min != 0 || key->max != 0) {
        hm_buf_printf(out, ",\"%s\":%lld,\"%s\":%lld", low, (long long)key->min, high,
                      (long long)key->max);
    }
}

static void json_value(const struct hm_conf_key *key, struct hm_buf *out)
{
    switch (key->type) {
    case HM_CONF_MAP:
        json_map(key->child, out);
        return;
    case HM_CONF_FLAG:
        hm_buf_append_text(out, "{\"type\":\"boolean\"}");
        return;
    case HM_CONF_INTEGER:
        hm_buf_append_text(out, "{\"type\":\"integer\"");
        json_range(key, "minimum", "maximum", out);
        break;
    case HM_CONF_TEXT:
        hm_buf_append_text(out, "{\"type\":\"string\"");
        json_range(key, "minLength", "maxLength", out);
        break;
    case HM_CONF_CHOICE:
        hm_buf_append_text(out, "{\"enum\":[");
        for (const char *const *choice = key->choices; *choice; choice++) {
            hm_buf_append_text(out, choice == key->choices ? "" : ",");
            json_text(out, *choice);
        }
        hm_buf_append_text(out, "]");
        break;
    case HM_CONF_SIZE:
        hm_buf_append_text(out, "{\"type\":[\"integer\",\"string\"],"
                                "\"pattern\":\"^[0-9]+ *(B|K|M|G|KiB|MiB|GiB)?$\"");
        break;
    case HM_CONF_DURATION:
        hm_buf_append_text(out, "{\"type\":\"string\",\"pattern\":\"^[0-9]+ *(ms|s|m|h|d)$\"");
        break;
    case HM_CONF_PATH:
        hm_buf_append_text(out, "{\"type\":\"string\",\"pattern\":\"^/\"");
        break;
    default:
        hm_buf_append_text(out, "{\"type\":\"string\",\"description\":");
        json_text(out, hm_conf_type_words(key->type)->article);
        break;
    }
    hm_buf_append_text(out, "}");
}

static void json_list(const struct hm_conf_key *key, struct hm_buf *out)
{
    bool lone = key->type != HM_CONF_MAP;
    hm_buf_append_text(out, lone ? "{\"anyOf\":[{\"type\":\"array\",\"items\":"
                                 : "{\"type\":\"array\",\"items\":");
    json_value(key, out);
    hm_buf_append_text(out, key->required ? ",\"minItems\":1}" : "}");
    if (lone) {
        hm_buf_append_text(out, ",");
        json_value(key, out);
        hm_buf_append_text(out, "]}");
    }
}

static void json_shape(const struct hm_conf_key *key, struct hm_buf *out)
{
    switch (key->shape) {
    case HM_CONF_ONE:
        json_value(key, out);
        return;
    case HM_CONF_LIST:
        json_list(key, out);
        return;
    case HM_CONF_TABLE:
    case HM_CONF_LISTS:
        hm_buf_append_text(out, "{\"type\":\"object\",\"additionalProperties\":");
        if (key->shape == HM_CONF_TABLE) {
            json_value(key, out);
        } else {
            json_list(key, out);
        }
        hm_buf_append_text(out, "}");
        return;
    }
}

/* Keys of one group: not two together (each pair), and one of them when it is required. */
static void json_groups(const struct hm_conf_schema *schema, struct hm_buf *out)
{
    const char *comma = ",\"allOf\":[";
    for (size_t i = 0; i < schema->count; i++) {
        const struct hm_conf_key *key = &schema->keys[i];
        bool first = key->one_of != NULL;
        for (size_t j = 0; j < i && first; j++) {
            first = !schema->keys[j].one_of || strcmp(schema->keys[j].one_of, key->one_of) != 0;
        }
        if (!first) {
            continue;
        }
        hm_buf_printf(out, "%s{\"oneOf\":[", comma);
        comma = ",";
        const char *between = "";
        struct hm_buf any = {0};
        for (size_t j = i; j < schema->count; j++) {
            if (schema->keys[j].one_of && strcmp(schema->keys[j].one_of, key->one_of) == 0) {
                hm_buf_printf(&any, "%s{\"required\":[\"%s\"]}", between, schema->keys[j].name);
                between = ",";
            }
        }
        hm_buf_append(out, any.data, any.size);
        if (!key->required) {
            hm_buf_append_text(out, ",{\"not\":{\"anyOf\":[");
            hm_buf_append(out, any.data, any.size);
            hm_buf_append_text(out, "]}}");
        }
        hm_buf_append_text(out, "]}");
        hm_buf_fini(&any);
    }
    hm_buf_append_text(out, *comma == ',' && comma[1] == '\0' ? "]" : "");
}

static void json_map_inside(const struct hm_conf_schema *schema, struct hm_buf *out)
{
    hm_buf_append_text(out, "\"type\":\"object\",\"additionalProperties\":false,\"properties\":{");
    const char *comma = "";
    for (size_t i = 0; i < schema->count; i++) {
        const struct hm_conf_key *key = &schema->keys[i];
        if (key->needs) {
            continue;
        }
        hm_buf_append_text(out, comma);
        comma = ",";
        json_text(out, key->name);
        hm_buf_append_text(out, ":{\"description\":");
        json_text(out, key->help);
        hm_buf_append_text(out, ",\"allOf\":[");
        json_shape(key, out);
        hm_buf_append_text(out, "]}");
    }
    hm_buf_append_text(out, "}");
    const char *before = ",\"required\":[";
    for (size_t i = 0; i < schema->count; i++) {
        if (schema->keys[i].required && !schema->keys[i].one_of && !schema->keys[i].needs) {
            hm_buf_append_text(out, before);
            json_text(out, schema->keys[i].name);
            before = ",";
        }
    }
    hm_buf_append_text(out, before[1] == '\0' ? "]" : "");
    json_groups(schema, out);
}

static void json_map(const struct hm_conf_schema *schema, struct hm_buf *out)
{
    hm_buf_append_text(out, "{");
    json_map_inside(schema, out);
    hm_buf_append_text(out, "}");
}

void hm_conf_print_json_schema(const struct hm_conf_schema *schema, const char *title,
                               struct hm_buf *out)
{
    hm_buf_append_text(out, "{\"$schema\":\"https://json-schema.org/draft/2020-12/schema\","
                            "\"title\":");
    json_text(out, title);
    hm_buf_append_text(out, ",");
    json_map_inside(schema, out);
    hm_buf_append_text(out, "}\n");
}

/* ---- manual ---- */

static void manual_type(const struct hm_conf_key *key, struct hm_buf *out)
{
    static const char *const shapes[] = {
        [HM_CONF_ONE] = "",
        [HM_CONF_LIST] = "list: ",
        [HM_CONF_TABLE] = "names, each with one: ",
        [HM_CONF_LISTS] = "names, each with a list: ",
    };
    hm_buf_append_text(out, shapes[key->shape]);
    hm_buf_append_text(out, hm_conf_type_words(key->type)->word);
    for (const char *const *choice = key->choices; choice && *choice; choice++) {
        hm_buf_printf(out, "%s%s", choice == key->choices ? " of " : ", ", *choice);
    }
    if (key->min != 0 || key->max != 0) {
        hm_buf_append_text(out, " from ");
        hm_conf_number_print(key->type, key->min, out);
        hm_buf_append_text(out, " to ");
        hm_conf_number_print(key->type, key->max, out);
    }
    hm_buf_printf(out, "%s%s", key->unit ? " " : "", key->unit ? key->unit : "");
}

static void manual_row(const struct hm_conf_key *key, struct hm_buf *out)
{
    hm_buf_printf(out, "| `%s` | ", key->name);
    manual_type(key, out);
    hm_buf_append_text(out, " | ");
    if (key->required) {
        hm_buf_append_text(out, key->one_of ? "one of these is required" : "required");
    } else if (key->fallback) {
        hm_buf_printf(out, "`%s`", key->fallback);
    } else if (key->type == HM_CONF_MAP && !key->absent) {
        hm_buf_append_text(out, key->shape == HM_CONF_ONE ? "see below" : "none, see below");
    } else {
        hm_buf_append_text(out, key->absent ? key->absent : "none");
    }
    hm_buf_printf(out, " | %s | %s |\n", key->live ? "yes" : "restart", key->help);
}

static void manual_section(const struct hm_conf_schema *schema, const char *title, const char *path,
                           unsigned level, struct hm_buf *out)
{
    hm_buf_printf(out, "%.*s %s\n\n", (int)(level < 6 ? level : 6), "######", title);
    if (schema->help) {
        hm_buf_printf(out, "%s\n\n", schema->help);
    }
    hm_buf_append_text(out, "| key | value | default | live | what it is |\n"
                            "|---|---|---|---|---|\n");
    for (size_t i = 0; i < schema->count; i++) {
        manual_row(&schema->keys[i], out);
    }
    hm_buf_append_text(out, "\n");
    for (size_t i = 0; i < schema->count; i++) {
        const struct hm_conf_key *key = &schema->keys[i];
        if (key->type != HM_CONF_MAP) {
            continue;
        }
        static const char *const marks[] = {"", "[]", ".NAME", ".NAME[]"};
        struct hm_buf child = {0};
        hm_buf_printf(&child, "%s%s%s%s", path, *path ? "." : "", key->name, marks[key->shape]);
        hm_put_u8(&child, 0);
        struct hm_buf heading = {0};
        hm_buf_printf(&heading, "`%s`", (const char *)child.data);
        hm_put_u8(&heading, 0);
        manual_section(key->child, (const char *)heading.data, (const char *)child.data, level + 1,
                       out);
        hm_buf_fini(&heading);
        hm_buf_fini(&child);
    }
}

void hm_conf_print_manual(const struct hm_conf_schema *schema, const char *title,
                          struct hm_buf *out)
{
    manual_section(schema, title, "", 2, out);
}
