/* What the tests of configurations share: a schema, a place for errors, a parse that must pass. */
#ifndef HM_TESTS_CONF_FIXTURE_H
#define HM_TESTS_CONF_FIXTURE_H

#include "core/base/memory.h"
#include "tests/unit/conf_example.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* Keys that every file needs, so that an example can be about something else: 2 lines. */
#define NEEDED "key: /k\nroles: [host]\n"

struct fixture {
    struct hm_arena arena;
    const struct hm_conf_schema *schema;
    struct hm_conf_errors errors;
    struct hm_buf printed;
};

static inline int set_up(void **state)
{
    struct fixture *fixture = hm_alloc(1, sizeof *fixture);
    fixture->schema = example_schema(&fixture->arena);
    *state = fixture;
    return 0;
}

static inline int tear_down(void **state)
{
    struct fixture *fixture = *state;
    hm_conf_errors_fini(&fixture->errors);
    hm_buf_fini(&fixture->printed);
    hm_arena_fini(&fixture->arena);
    hm_free(fixture);
    return 0;
}

static inline const char *printed_errors(struct fixture *fixture)
{
    hm_buf_clear(&fixture->printed);
    hm_conf_errors_print(&fixture->errors, &fixture->printed);
    hm_put_u8(&fixture->printed, 0);
    return (const char *)fixture->printed.data;
}

static inline struct hm_conf *parse(struct fixture *fixture, const char *text)
{
    struct hm_conf *conf = NULL;
    enum hm_status status =
        hm_conf_parse(fixture->schema, "a.yaml", hm_bytes_of_text(text), &fixture->errors, &conf);
    if (status != HM_OK) {
        fail_msg("%s%s", text, printed_errors(fixture));
    }
    return conf;
}

#endif
