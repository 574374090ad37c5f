/* The routing table as JSON, for people and their tools. */
#ifndef HM_NGX_REPORT_H
#define HM_NGX_REPORT_H

#include "ngx_hivemind/table.h"

/* Appends one JSON object. HM_BUSY, with `out` as it was, when the table cannot be read. */
HM_MUST_USE enum hm_status hm_table_json(const struct hm_table *table, struct hm_buf *out);

#endif
