#include "ngx_hivemind/report.h"

#include <inttypes.h>

/* RFC 8259, section 7; bytes above 0x7f are shown as U+FFFD: names here are ASCII. */
static void put_string(struct hm_buf *out, const void *text, size_t size)
{
    const uint8_t *bytes = text;
    hm_buf_append(out, "\"", 1);
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] == '"' || bytes[i] == '\\') {
            hm_buf_append(out, "\\", 1);
            hm_buf_append(out, &bytes[i], 1);
        } else if (bytes[i] < 0x20) {
            hm_buf_printf(out, "\\u%04x", bytes[i]);
        } else if (bytes[i] > 0x7e) {
            hm_buf_append_text(out, "\\ufffd");
        } else {
            hm_buf_append(out, &bytes[i], 1);
        }
    }
    hm_buf_append(out, "\"", 1);
}

static void put_endpoint(struct hm_buf *out, const struct hm_table_endpoint *endpoint)
{
    char text[HM_ADDR_TEXT_BYTES];
    hm_buf_printf(out, "{\"address\":\"%s\",\"host\":", hm_addr_format(&endpoint->addr, text));
    put_string(out, endpoint->host.text, endpoint->host.size);
    hm_buf_printf(out, ",\"weight\":%" PRIu32 ",\"state\":\"%s\"}", endpoint->weight,
                  hm_table_state_name(endpoint->state));
}

/* Services own their endpoints in order (*next is where the next one starts), so that a file whose
 * services overlap cannot make the report longer than the table. */
static bool put_service(struct hm_buf *out, const struct hm_table_view *view, uint32_t number,
                        uint32_t *next)
{
    struct hm_table_service service;
    if (!hm_table_view_service_at(view, number, &service) || service.first != *next) {
        return false;
    }
    hm_buf_append_text(out, number ? ",{\"name\":" : "{\"name\":");
    put_string(out, service.name.text, service.name.size);
    uint32_t count = 0;
    for (unsigned state = 0; state < HM_TABLE_STATES; state++) {
        hm_buf_printf(out, ",\"%s\":%" PRIu32, hm_table_state_name((enum hm_table_state)state),
                      service.counts[state]);
        count += service.counts[state];
    }
    hm_buf_append_text(out, ",\"endpoints\":[");
    for (uint32_t i = 0; i < count; i++) {
        struct hm_table_endpoint endpoint;
        if (!hm_table_view_endpoint(view, service.first + i, &endpoint)) {
            return false;
        }
        hm_buf_append_text(out, i ? "," : "");
        put_endpoint(out, &endpoint);
    }
    hm_buf_append_text(out, "]}");
    *next += count;
    return true;
}

static bool put_vhost(struct hm_buf *out, const struct hm_table_view *view, uint32_t number)
{
    uint8_t name[HM_TABLE_VHOST_MAX];
    size_t size;
    uint32_t service_number;
    struct hm_table_service service;
    if (!hm_table_view_vhost_at(view, number, name, &size, &service_number) ||
        !hm_table_view_service_at(view, service_number, &service)) {
        return false;
    }
    hm_buf_append_text(out, number ? ",{\"name\":" : "{\"name\":");
    put_string(out, name, size);
    hm_buf_append_text(out, ",\"service\":");
    put_string(out, service.name.text, service.name.size);
    hm_buf_append_text(out, "}");
    return true;
}

static bool put_table(struct hm_buf *out, const struct hm_table *table,
                      const struct hm_table_view *view, uint64_t generation)
{
    bool whole = true;
    uint32_t next = 0;
    hm_buf_printf(out, "{\"generation\":%" PRIu64 ",\"bytes\":%zu,\"bytes_max\":%zu,\"services\":[",
                  generation, view->size, hm_table_capacity(table));
    for (uint32_t i = 0; whole && i < view->service_count; i++) {
        whole = put_service(out, view, i, &next);
    }
    hm_buf_append_text(out, "],\"vhosts\":[");
    for (uint32_t i = 0; whole && i < view->vhost_count; i++) {
        whole = put_vhost(out, view, i);
    }
    hm_buf_append_text(out, "]}\n");
    return whole;
}

enum hm_status hm_table_json(const struct hm_table *table, struct hm_buf *out)
{
    size_t size = out->size;
    for (int attempt = 0; attempt < HM_TABLE_ATTEMPTS; attempt++) {
        struct hm_table_reading reading;
        bool begun = hm_table_begin(table, &reading);
        bool whole = begun && put_table(out, table, &reading.view, reading.generation);
        if (whole && hm_table_end(table, &reading)) {
            return HM_OK;
        }
        out->size = size;
    }
    return HM_BUSY;
}
