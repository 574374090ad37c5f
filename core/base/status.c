#include "core/base/status.h"

#include <stddef.h>

struct row {
    const char *name;
    const char *text;
    int exit_code;
};

static const struct row *find(enum hm_status status)
{
    switch (status) {
#define HM_STATUS_CASE(name, number, exit_code, text)           \
    case HM_##name: {                                           \
        static const struct row row = {#name, text, exit_code}; \
        return &row;                                            \
    }
        HM_STATUS_TABLE(HM_STATUS_CASE)
#undef HM_STATUS_CASE
    }
    return NULL;
}

const char *hm_status_text(enum hm_status status)
{
    const struct row *row = find(status);
    return row ? row->text : "unknown status";
}

const char *hm_status_name(enum hm_status status)
{
    const struct row *row = find(status);
    return row ? row->name : "UNKNOWN";
}

int hm_status_exit_code(enum hm_status status)
{
    const struct row *row = find(status);
    return row ? row->exit_code : 1;
}
