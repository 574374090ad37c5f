/* What is wrong with a configuration: every finding, each with its place. */
#ifndef HM_CONF_ERRORS_H
#define HM_CONF_ERRORS_H

#include "core/base/arena.h"
#include "core/base/bytes.h"

#include <stdint.h>

/* Where something was written; line and column count from 1, columns in characters. Line 0: not
 * written anywhere, a default. */
struct hm_conf_origin {
    const char *file;
    uint32_t document; /* the order of the files, from 1 */
    uint32_t line;
    uint32_t column;
};

/* Orders by file, line, column. */
int hm_conf_origin_compare(const struct hm_conf_origin *a, const struct hm_conf_origin *b);

#define HM_CONF_ERRORS_MAX 100

struct hm_conf_error {
    struct hm_conf_origin at;
    const char *text;
};

/* All zero is a valid empty list. It owns its texts. */
struct hm_conf_errors {
    struct hm_conf_error *items; /* at most HM_CONF_ERRORS_MAX */
    size_t count;
    size_t capacity;
    size_t dropped; /* found beyond the limit */
    struct hm_arena arena;
};

/* True when another finding would only be counted, so that its text need not be made. */
bool hm_conf_errors_full(const struct hm_conf_errors *errors);

/* Copies what it is given. Also for those who check more than the tables can say. */
void hm_conf_error(struct hm_conf_errors *errors, const struct hm_conf_origin *at,
                   const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Appends one line a finding, `file:line:column: text`, in the order of files and lines. */
void hm_conf_errors_print(const struct hm_conf_errors *errors, struct hm_buf *out);

void hm_conf_errors_fini(struct hm_conf_errors *errors);

/* Appends `text` in single quotes, cut to 64 bytes, without control characters: input that is
 * shown on a terminal. */
void hm_conf_quote(struct hm_buf *out, const char *text);

#endif
