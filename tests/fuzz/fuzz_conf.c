/* Any bytes as a configuration: parsed alone, then as the second file, walked, compared, told. */
#include "core/base/assert.h"
#include "core/conf/print.h"
#include "tests/unit/conf_example.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t count_nodes(const struct hm_conf_node *node)
{
    size_t count = 1;
    size_t children = 0;
    for (const struct hm_conf_node *child = node->first; child; child = child->next) {
        count += count_nodes(child);
        children++;
    }
    HM_ASSERT(children == node->count);
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hm_arena arena = {0};
    struct hm_conf_errors errors = {0};
    const struct hm_conf_schema *schema = example_schema(&arena);
    struct hm_conf *one = hm_conf_new(schema, HM_CONF_WHOLE);
    struct hm_conf *two = hm_conf_new(schema, HM_CONF_WHOLE);
    struct hm_bytes text = {data, size};
    hm_conf_add(one, "one", text, &errors);
    enum hm_status status = hm_conf_finish(one, &errors);
    HM_ASSERT((status == HM_OK) == (errors.count == 0));
    hm_conf_add(two, "main", hm_bytes_of_text("key: /k\nroles: [host]\ndns: {limits: {a: 1}}\n"),
                &errors);
    hm_conf_add(two, "two", text, &errors);
    status = hm_conf_finish(two, &errors);
    HM_ASSERT(count_nodes(hm_conf_root(one)) > 0 && count_nodes(hm_conf_root(two)) > 0);

    struct hm_buf printed = {0};
    hm_conf_errors_print(&errors, &printed);
    for (size_t i = 0; i < printed.size; i++) {
        HM_ASSERT(printed.data[i] == '\n' || printed.data[i] >= ' ');
    }
    struct hm_conf_diff diff;
    hm_conf_diff(hm_conf_root(one), hm_conf_root(two), &diff);
    for (size_t i = 0; i < diff.count; i++) {
        HM_ASSERT(diff.items[i].path[0] != 0);
        HM_ASSERT(diff.items[i].before || diff.items[i].after);
    }
    hm_conf_diff_fini(&diff);
    hm_conf_diff(hm_conf_root(one), hm_conf_root(one), &diff);
    HM_ASSERT(diff.count == 0);
    hm_conf_diff_fini(&diff);

    hm_buf_fini(&printed);
    hm_conf_free(one);
    hm_conf_free(two);
    hm_conf_errors_fini(&errors);
    hm_arena_fini(&arena);
    return 0;
}
