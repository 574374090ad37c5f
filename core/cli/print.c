/* Tables for people, JSON for machines, complaints for stderr. */
#include "core/cli/cli.h"

#include "core/base/memory.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* ---- tables ---- */

static size_t column_count(const struct hm_sheet *sheet)
{
    size_t count = 0;
    while (sheet->headings[count]) {
        count++;
    }
    return count;
}

void hm_sheet_put(struct hm_sheet *sheet, const char *format, ...)
{
    struct hm_buf text = {0};
    char cell[4096];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(cell, sizeof cell, format, arguments);
    va_end(arguments);
    hm_buf_append(&text, cell, strlen(cell) + 1);
    sheet->cells = hm_grow(sheet->cells, sheet->count, &sheet->capacity, sizeof *sheet->cells);
    sheet->cells[sheet->count++] = (char *)text.data;
}

/* No column after the last is padded, so that no line ends in blanks. */
static void print_cell(const char *cell, size_t width, bool last)
{
    if (last) {
        printf("%s\n", cell);
    } else {
        printf("%-*s  ", (int)width, cell);
    }
}

void hm_sheet_print(const struct hm_sheet *sheet)
{
    size_t columns = column_count(sheet);
    size_t *widths = hm_alloc(columns, sizeof *widths);
    for (size_t i = 0; i < columns; i++) {
        widths[i] = strlen(sheet->headings[i]);
    }
    for (size_t i = 0; i < sheet->count; i++) {
        size_t width = strlen(sheet->cells[i]);
        size_t *column = &widths[i % columns];
        *column = width > *column ? width : *column;
    }
    for (size_t i = 0; i < columns; i++) {
        print_cell(sheet->headings[i], widths[i], i + 1 == columns);
    }
    for (size_t i = 0; i < sheet->count; i++) {
        print_cell(sheet->cells[i], widths[i % columns], i % columns + 1 == columns);
    }
    hm_free(widths);
}

void hm_sheet_fini(struct hm_sheet *sheet)
{
    for (size_t i = 0; i < sheet->count; i++) {
        hm_free(sheet->cells[i]);
    }
    hm_free(sheet->cells);
}

/* ---- JSON ---- */

/* What a node tells is text; bytes that are no UTF-8 become none rather than end the program. */
json_t *hm_json_text(struct hm_bytes text)
{
    json_t *json = json_stringn((const char *)text.data, text.size);
    return json ? json : json_string("");
}

json_t *hm_json_name(const struct hm_name *name)
{
    return hm_json_text(hm_bytes_of_text(name->text));
}

json_t *hm_json_id(const struct hm_id *id)
{
    char text[HM_ID_TEXT_BYTES];
    return json_string(hm_id_format(id, text));
}

json_t *hm_json_addr(const struct hm_addr *addr)
{
    char text[HM_ADDR_TEXT_BYTES];
    return hm_addr_is_none(addr) ? json_null() : json_string(hm_addr_format(addr, text));
}

void hm_json_print(json_t *json)
{
    json_dumpf(json, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
    putchar('\n');
    json_decref(json);
}

void hm_json_print_line(json_t *json)
{
    json_dumpf(json, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(json);
}

void hm_json_print_index(uint64_t index)
{
    json_t *json = json_object();
    json_object_set_new(json, "index", json_integer((json_int_t)index));
    hm_json_print(json);
}

/* ---- complaints ---- */

void hm_complain(const char *format, ...)
{
    va_list arguments;
    fputs("hivemind: ", stderr);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
}

int hm_complain_status(uint16_t status, struct hm_bytes reason)
{
    const char *text = hm_status_text((enum hm_status)status);
    if (reason.size) {
        hm_complain("%s: %.*s", text, (int)reason.size, (const char *)reason.data);
    } else {
        hm_complain("%s", text);
    }
    return hm_status_exit_code((enum hm_status)status);
}
