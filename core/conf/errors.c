#include "core/conf/errors.h"

#include "core/base/memory.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define QUOTED_BYTES_MAX 64u

bool hm_conf_errors_full(const struct hm_conf_errors *errors)
{
    return errors->count == HM_CONF_ERRORS_MAX;
}

static char *copy_text(struct hm_arena *arena, const char *text)
{
    size_t size = strlen(text);
    char *copy = hm_arena_alloc(arena, size + 1, 1);
    memcpy(copy, text, size);
    return copy;
}

void hm_conf_error(struct hm_conf_errors *errors, const struct hm_conf_origin *at,
                   const char *format, ...)
{
    if (hm_conf_errors_full(errors)) {
        errors->dropped++;
        return;
    }
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    errors->items = hm_grow(errors->items, errors->count, &errors->capacity, sizeof *errors->items);
    errors->items[errors->count++] = (struct hm_conf_error){
        .at = {copy_text(&errors->arena, at->file ? at->file : "(default)"), at->document, at->line,
               at->column},
        .text = copy_text(&errors->arena, text),
    };
}

int hm_conf_origin_compare(const struct hm_conf_origin *a, const struct hm_conf_origin *b)
{
    if (a->document != b->document) {
        return a->document < b->document ? -1 : 1;
    }
    if (a->line != b->line) {
        return a->line < b->line ? -1 : 1;
    }
    return a->column < b->column ? -1 : a->column > b->column;
}

/* What stands at one place keeps the order of its finding. */
static int compare_errors(const void *a, const void *b)
{
    const struct hm_conf_error *left = *(const struct hm_conf_error *const *)a;
    const struct hm_conf_error *right = *(const struct hm_conf_error *const *)b;
    int order = hm_conf_origin_compare(&left->at, &right->at);
    return order ? order : left < right ? -1 : left > right;
}

void hm_conf_errors_print(const struct hm_conf_errors *errors, struct hm_buf *out)
{
    const struct hm_conf_error *sorted[HM_CONF_ERRORS_MAX];
    for (size_t i = 0; i < errors->count; i++) {
        sorted[i] = &errors->items[i];
    }
    qsort(sorted, errors->count, sizeof *sorted, compare_errors);
    for (size_t i = 0; i < errors->count; i++) {
        hm_buf_printf(out, "%s:%u:%u: %s\n", sorted[i]->at.file, sorted[i]->at.line,
                      sorted[i]->at.column, sorted[i]->text);
    }
    if (errors->dropped > 0) {
        hm_buf_printf(out, "and %zu more\n", errors->dropped);
    }
}

void hm_conf_errors_fini(struct hm_conf_errors *errors)
{
    hm_free(errors->items);
    hm_arena_fini(&errors->arena);
    *errors = (struct hm_conf_errors){0};
}

void hm_conf_quote(struct hm_buf *out, const char *text)
{
    size_t size = strlen(text);
    size_t shown = size < QUOTED_BYTES_MAX ? size : QUOTED_BYTES_MAX;
    while (shown < size && shown > 0 && ((uint8_t)text[shown] & 0xc0u) == 0x80u) {
        shown--; /* never half a character */
    }
    hm_buf_append_text(out, "'");
    for (size_t i = 0; i < shown; i++) {
        uint8_t byte = (uint8_t)text[i];
        /* U+0080 to U+009f are control characters too: 0xc2 0x80 to 0xc2 0x9f. */
        bool second = i > 0 && (uint8_t)text[i - 1] == 0xc2u && byte < 0xa0u;
        hm_put_u8(out, byte < 0x20u || byte == 0x7fu || second ? '?' : byte);
    }
    hm_buf_append_text(out, shown < size ? "...'" : "'");
}
