/* What stays readable of a log, beside a plain list of all that was ever added. */
#include "core/base/memory.h"
#include "core/base/random.h"
#include "core/log/kept.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define ENTRIES_MAX 3000u
#define SESSIONS    3u
#define DATA_MAX    (40u << 10)

/* Entry i stands at Raft index 2 * i; what is below `base` is not in Raft's log any more. */
struct model {
    struct hm_random random;
    struct hm_kept kept;
    struct hm_log_item items[ENTRIES_MAX + 1]; /* by index; data is owned */
    uint64_t last;
    uint64_t base;
    struct hm_buf body;
};

static bool body_of(void *context, uint64_t raft_index, struct hm_bytes *out)
{
    struct model *model = context;
    uint64_t index = raft_index / 2;
    if (raft_index <= model->base || index > model->last) {
        return false;
    }
    const struct hm_log_item *item = &model->items[index];
    hm_buf_clear(&model->body);
    hm_message_encode(&model->body, &(struct hm_message){.kind = HM_MSG_log_request,
                                                         .log_request = {.session = item->session,
                                                                         .seq = item->seq,
                                                                         .time_ms = item->time_ms,
                                                                         .request = item->data}});
    *out = hm_buf_view(&model->body);
    return true;
}

static void add(struct model *model)
{
    static uint8_t data[DATA_MAX];
    uint64_t large = hm_random_below(&model->random, 50) == 0 ? DATA_MAX : 300;
    size_t size = (size_t)hm_random_below(&model->random, large);
    memset(data, (int)model->last, size);
    struct hm_log_item *item = &model->items[++model->last];
    *item = (struct hm_log_item){.index = model->last,
                                 .time_ms = model->items[model->last - 1].time_ms +
                                            hm_random_below(&model->random, 1000),
                                 .seq = hm_random_below(&model->random, 20),
                                 .data = hm_bytes_copy((struct hm_bytes){data, size})};
    item->session.bytes[5] = (uint8_t)hm_random_below(&model->random, SESSIONS);
    hm_kept_add(&model->kept,
                &(struct hm_log_entry){.index = item->index,
                                       .time_ms = item->time_ms,
                                       .session = item->session,
                                       .seq = item->seq,
                                       .request = item->data},
                2 * item->index);
}

static void pack(struct model *model)
{
    uint64_t index =
        model->base + hm_random_below(&model->random, 2 * model->last + 2 - model->base);
    hm_kept_pack(&model->kept, index);
    model->base = index;
}

static uint64_t oldest_of(const struct model *model)
{
    uint64_t index = model->last + 1;
    uint64_t bytes = 0;
    while (index > 1 && model->last + 1 - index < model->kept.keep.entries) {
        bytes += model->items[index - 1].data.size;
        if (bytes > model->kept.keep.bytes && index <= model->last) {
            break;
        }
        index--;
    }
    return index;
}

static void assert_kept(const struct model *model, uint64_t oldest)
{
    struct hm_log_item item;
    assert_int_equal(hm_kept_count(&model->kept), model->last + 1 - oldest);
    assert_false(hm_kept_find(&model->kept, oldest - 1, &item));
    assert_false(hm_kept_find(&model->kept, model->last + 1, &item));
    for (uint64_t index = oldest; index <= model->last; index++) {
        const struct hm_log_item *expected = &model->items[index];
        assert_true(hm_kept_find(&model->kept, index, &item));
        assert_int_equal(item.index, index);
        assert_int_equal(item.time_ms, expected->time_ms);
        assert_int_equal(item.seq, expected->seq);
        assert_true(hm_id_equal(&item.session, &expected->session));
        assert_true(hm_bytes_equal(item.data, expected->data));
    }
}

static void assert_written(const struct model *model, uint64_t oldest)
{
    struct hm_id session = {{0}};
    for (uint8_t number = 0; number < SESSIONS; number++) {
        session.bytes[5] = number;
        for (uint64_t seq = 0; seq < 21; seq++) {
            uint64_t index = model->last;
            while (index >= oldest && !(model->items[index].seq == seq &&
                                        hm_id_equal(&model->items[index].session, &session))) {
                index--;
            }
            assert_int_equal(hm_kept_written(&model->kept, &session, seq),
                             index >= oldest ? index : 0);
        }
    }
}

static void free_model(struct model *model)
{
    hm_kept_fini(&model->kept);
    for (uint64_t i = 1; i <= model->last; i++) {
        hm_bytes_free(model->items[i].data);
    }
    hm_buf_fini(&model->body);
    hm_free(model);
}

static void run(uint64_t seed, bool has_log)
{
    struct model *model = hm_alloc(1, sizeof *model);
    hm_random_init(&model->random, seed);
    model->kept.body = has_log ? body_of : NULL;
    model->kept.context = model;
    hm_kept_limit(&model->kept,
                  (struct hm_keep){(uint32_t)hm_random_below(&model->random, 1500) + 1,
                                   (uint32_t)hm_random_below(&model->random, 400000)});
    while (model->last < ENTRIES_MAX) {
        add(model);
        if (hm_random_below(&model->random, 40) == 0) {
            pack(model);
        }
        if (hm_random_below(&model->random, 300) == 0) {
            uint64_t oldest = oldest_of(model);
            assert_kept(model, oldest);
            assert_written(model, oldest);
        }
    }
    hm_kept_limit(&model->kept, (struct hm_keep){3, 1000000});
    assert_kept(model, oldest_of(model));
    free_model(model);
}

static void test_what_is_packed_is_what_was_added(void **unused)
{
    (void)unused;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        run(seed, seed % 4 != 0);
    }
}

/* What many places took while Raft's log was long is given back when it is not. */
static void test_places_give_back_what_they_do_not_use(void **unused)
{
    (void)unused;
    struct model *model = hm_alloc(1, sizeof *model);
    model->kept.body = body_of;
    model->kept.context = model;
    hm_kept_limit(&model->kept, (struct hm_keep){ENTRIES_MAX, HM_KEEP_BYTES_MAX});
    for (size_t i = 0; i < ENTRIES_MAX; i++) {
        add(model);
    }
    assert_true(model->kept.place_capacity >= ENTRIES_MAX);
    hm_kept_pack(&model->kept, 2 * ENTRIES_MAX - 20);
    assert_int_equal(model->kept.place_count, 10);
    assert_true(model->kept.place_capacity * sizeof *model->kept.places <= 64u << 10);
    assert_kept(model, 1);
    free_model(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_packed_is_what_was_added),
        cmocka_unit_test(test_places_give_back_what_they_do_not_use),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
