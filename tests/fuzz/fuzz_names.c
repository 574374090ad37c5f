/* The registry of names: entries, questions and snapshots from hostile bytes. Names stay in order
 * and good, and a snapshot of them is what it is taken for.
 *
 * The input is a script: what happens (u8), how many bytes (u8), those. */
#include "core/base/assert.h"
#include "core/base/utf8.h"
#include "core/names/names.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool look(void *context, const struct names_entry *entry)
{
    struct hm_buf *last = context;
    struct hm_bytes name = names_name(entry);
    HM_ASSERT(last->size == 0 || hm_bytes_compare(hm_buf_view(last), name) < 0);
    HM_ASSERT(hm_utf8_is_plain(name) && hm_utf8_is_plain(names_owner(entry)));
    hm_buf_clear(last);
    hm_buf_append(last, name.data, name.size);
    return true;
}

static void step(struct names *names, uint8_t what, uint64_t index, struct hm_bytes bytes)
{
    struct hm_outcome out = {.status = HM_OK, .index = index};
    struct hm_log_entry entry = {
        .index = index, .time_ms = index, .request = bytes, .refused = what & 1};
    switch (what % 5) {
    case 0:
        names_machine.query(names, bytes, &out);
        break;
    case 1:
        names_machine.repeat(names, &entry, &out);
        break;
    case 2:
        out.status = names_machine.install(names, bytes);
        break;
    default:
        names_machine.apply(names, &entry, &out);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct names names = {0};
    struct hm_reader in = hm_reader_of((struct hm_bytes){data, size});
    struct hm_buf first = {0};
    struct hm_buf second = {0};
    struct hm_buf last = {0};
    for (uint64_t index = 1; hm_reader_left(&in) >= 2; index++) {
        uint8_t what = hm_get_u8(&in);
        size_t wanted = hm_get_u8(&in);
        size_t left = hm_reader_left(&in);
        step(&names, what, index, hm_get_bytes(&in, wanted < left ? wanted : left));
    }
    names_map_walk(&names.map, (struct hm_bytes){0}, look, &last);
    names_machine.snapshot(&names, &first);
    enum hm_status status = names_machine.install(&names, hm_buf_view(&first));
    HM_ASSERT(status == HM_OK);
    names_machine.snapshot(&names, &second);
    HM_ASSERT(hm_bytes_equal(hm_buf_view(&first), hm_buf_view(&second)));
    names_map_fini(&names.map);
    hm_arena_fini(&names.arena);
    hm_buf_fini(&names.answer);
    hm_buf_fini(&last);
    hm_buf_fini(&first);
    hm_buf_fini(&second);
    return 0;
}
