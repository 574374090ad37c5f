/* Single values: text to value and back. */
#ifndef HM_CONF_VALUE_H
#define HM_CONF_VALUE_H

#include "core/base/arena.h"
#include "core/base/bytes.h"
#include "core/conf/tree.h"

/* How a type is called and written. */
struct hm_conf_type_words {
    const char *word;    /* "duration" */
    const char *article; /* "a duration" */
    const char *example; /* for a way out; NULL when the text cannot be wrong */
};

const struct hm_conf_type_words *hm_conf_type_words(enum hm_conf_type type);

/* Reads `text` as the type of `node->key` into the node; the text is copied into `arena`. False,
 * with a sentence in `why`, when it is not such a value. */
bool hm_conf_value_read(struct hm_conf_node *node, const char *text, struct hm_arena *arena,
                        struct hm_buf *why);

/* True when the text is a value of this type: TEXT (not empty), LABEL, SERVICE or DOMAIN. */
bool hm_conf_name_fits(enum hm_conf_type type, const char *text);

/* Appends a limit as one would write it: 60000 of a duration is "1m". */
void hm_conf_number_print(enum hm_conf_type type, int64_t number, struct hm_buf *out);

#endif
