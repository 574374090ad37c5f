/* What a journal does beside its records: snapshots, segments ahead of their need, segments that
 * are no longer needed. */
#include "tests/unit/journal_model.h"

static void write_snapshot_at(struct hm_journal *journal, uint64_t index, uint64_t number)
{
    static uint8_t state[20000];
    hm_journal_write(
        journal,
        &(struct hm_message){
            .kind = HM_MSG_log_snapshot,
            .log_snapshot = {.last_index = index, .last_term = 1, .state = {state, sizeof state}}},
        number);
}

/* So large that there is no other upkeep. */
static const struct hm_journal_config with_sides = {
    .segment_bytes = 1 << 20, .owner = {{1, 2, 3}}, .sides = true};

/* A large snapshot takes long; entries do not wait for it, and a crash at any time loses none. */
static void test_a_snapshot_goes_beside_the_entries(void **state)
{
    (void)state;
    struct disk disk = {.room = UINT64_MAX};
    struct hm_journal *journal = hm_journal_new(&with_sides);
    struct hm_journal_batch side, batch;
    for (uint64_t i = 1; i <= 3; i++) {
        model_write_entry(journal, i);
    }
    assert_int_equal(disk_run(journal, &disk), 3);
    assert_false(hm_journal_side_output(journal, &side));
    write_snapshot_at(journal, 2, 4);
    assert_false(hm_journal_output(journal, &batch));
    assert_true(hm_journal_side_output(journal, &side));
    assert_int_equal(side.count, 1);
    assert_int_equal(side.ops[0].kind, HM_DISK_REPLACE);
    model_write_entry(journal, 4);
    assert_true(disk_run(journal, &disk) >= 4);
    model_expect(&disk, 0, 4);
    assert_false(hm_journal_side_output(journal, &batch));
    assert_true(hm_journal_side_done(journal, HM_NO_SPACE)); /* it is tried again */
    assert_false(hm_journal_failed(journal));
    assert_true(hm_journal_side_output(journal, &side));
    assert_int_equal(disk_do(&disk, &side.ops[0]), HM_OK);
    model_expect(&disk, 2, 4);
    model_write_entry(journal, 5);
    disk_run(journal, &disk);
    model_expect(&disk, 2, 5);
    assert_false(hm_journal_side_done(journal, HM_OK));
    disk_run(journal, &disk);
    model_expect(&disk, 2, 5);
    disk_remove(&disk, "snapshot-00000000");
    static struct outcome outcome;
    model_recover(&disk, &outcome);
    assert_int_equal(outcome.status, HM_DAMAGED); /* a record names it */
    hm_journal_free(journal);
    disk_fini(&disk);
}

/* The leader's snapshot, and the end of the log, wait for what is being written to the same file.
 */
static void test_what_replaces_a_snapshot_waits_for_it(void **state)
{
    (void)state;
    struct hm_message other = {.kind = HM_MSG_log_snapshot,
                               .log_snapshot = {.last_index = 9, .last_term = 7}};
    struct hm_message forget = {.kind = HM_MSG_log_forget};
    for (int round = 0; round < 2; round++) {
        struct disk disk = {.room = UINT64_MAX};
        struct hm_journal *journal = hm_journal_new(&with_sides);
        struct hm_journal_batch side, batch;
        model_write_entry(journal, 1);
        model_write_entry(journal, 2);
        disk_run(journal, &disk);
        write_snapshot_at(journal, 1, 3);
        assert_true(hm_journal_side_output(journal, &side));
        write_snapshot_at(journal, 2, 4);
        hm_journal_write(journal, round ? &forget : &other, 5);
        assert_false(hm_journal_output(journal, &batch));
        assert_int_equal(disk_do(&disk, &side.ops[0]), HM_OK);
        assert_false(hm_journal_side_done(journal, HM_OK));
        assert_false(hm_journal_side_output(journal, &side)); /* the second is of no use any more */
        assert_int_equal(disk_run(journal, &disk), 5);
        if (round) {
            assert_null(disk_find(&disk, "snapshot-00000000"));
        } else {
            model_expect(&disk, 9, 9);
        }
        hm_journal_free(journal);
        disk_fini(&disk);
    }
}

/* After a failure an engine writes again what it does not know to be durable, its snapshot too; of
 * that the first copy still waits. All that was written becomes durable nevertheless. */
static void test_a_snapshot_written_again_is_told_durable(void **state)
{
    (void)state;
    struct disk disk = {.room = UINT64_MAX};
    struct hm_journal *journal = hm_journal_new(&with_sides);
    struct hm_journal_batch side;
    write_snapshot_at(journal, 9, 1);
    write_snapshot_at(journal, 9, 2);
    assert_true(hm_journal_side_output(journal, &side));
    assert_int_equal(disk_do(&disk, &side.ops[0]), HM_OK);
    assert_false(hm_journal_side_done(journal, HM_OK));
    assert_int_equal(disk_run(journal, &disk), 2);
    model_expect(&disk, 9, 9);
    hm_journal_free(journal);
    disk_fini(&disk);
}

static const struct hm_journal_config small_with_sides = {
    .segment_bytes = 4096, .owner = {{1, 2, 3}}, .sides = true};

/* The next segment is made while records are written to this one; a record that needs it waits. */
static void test_a_segment_is_made_beside(void **state)
{
    (void)state;
    struct disk disk = {.room = UINT64_MAX};
    struct hm_journal *journal = hm_journal_new(&small_with_sides);
    struct hm_journal_batch side, batch;
    model_write_entry(journal, 1);
    disk_run(journal, &disk);
    assert_false(hm_journal_side_output(journal, &side));
    model_write_entry(journal, 2);
    disk_run(journal, &disk);
    assert_true(hm_journal_side_output(journal, &side));
    assert_int_equal(side.ops[side.count - 1].kind, HM_DISK_ALLOCATE);
    model_write_entry(journal, 3);
    assert_int_equal(disk_run(journal, &disk), 3);
    model_write_entry(journal, 4);
    assert_false(hm_journal_output(journal, &batch));
    for (size_t i = 0; i < side.count; i++) {
        assert_int_equal(disk_do(&disk, &side.ops[i]), HM_OK);
    }
    assert_false(hm_journal_side_done(journal, HM_OK));
    assert_true(hm_journal_output(journal, &batch));
    assert_int_equal(batch.ops[0].kind, HM_DISK_WRITE);
    assert_false(hm_journal_side_output(journal, &side));
    for (size_t i = 0; i < batch.count; i++) {
        assert_int_equal(disk_do(&disk, &batch.ops[i]), HM_OK);
    }
    assert_int_equal(hm_journal_done(journal, HM_OK), 4);
    model_expect(&disk, 0, 4);

    /* Without room ahead of the need nothing has failed; the record that needs it makes it. */
    model_write_entry(journal, 5);
    disk_run(journal, &disk);
    assert_true(hm_journal_side_output(journal, &side));
    assert_false(hm_journal_side_done(journal, HM_NO_SPACE));
    assert_false(hm_journal_side_output(journal, &side));
    model_write_entry(journal, 6);
    model_write_entry(journal, 7);
    assert_int_equal(disk_run(journal, &disk), 7);
    model_expect(&disk, 0, 7);
    hm_journal_free(journal);
    disk_fini(&disk);
}

/* Covered segments go while records are written, but not while the first record of a segment is:
 * it repeats what they hold, votes among it. */
static void test_segments_go_beside(void **state)
{
    (void)state;
    struct hm_message snapshot = {.kind = HM_MSG_log_snapshot,
                                  .log_snapshot = {.last_index = 50, .last_term = 7}};
    struct disk disk = {.room = UINT64_MAX};
    struct hm_journal *journal = hm_journal_new(&small_with_sides);
    struct hm_journal_batch side, batch;
    for (uint64_t i = 1; i <= 6; i++) {
        model_write_entry(journal, i);
        disk_run(journal, &disk);
    }
    hm_journal_write(journal, &snapshot, 7);
    for (uint64_t i = 51; i <= 53; i++) {
        model_write_entry(journal, i);
    }
    assert_true(hm_journal_output(journal, &batch));
    for (size_t i = 0; i < batch.count; i++) {
        assert_int_equal(disk_do(&disk, &batch.ops[i]), HM_OK);
    }
    assert_false(hm_journal_side_output(journal, &side)); /* the snapshot is not durable */
    hm_journal_done(journal, HM_OK);
    assert_true(hm_journal_side_output(journal, &side));
    assert_int_equal(side.ops[0].kind, HM_DISK_REMOVE);
    assert_non_null(disk_find(&disk, side.ops[0].file));
    disk_run(journal, &disk);                          /* what is left goes on meanwhile */
    assert_true(hm_journal_side_done(journal, HM_IO)); /* it is tried again */
    assert_true(hm_journal_side_output(journal, &side));
    for (size_t i = 0; i < side.count; i++) {
        assert_int_equal(disk_do(&disk, &side.ops[i]), HM_OK);
    }
    assert_false(hm_journal_side_done(journal, HM_OK));
    assert_null(disk_find(&disk, "journal-0000000000000001"));
    model_expect(&disk, 50, 53);
    hm_journal_free(journal);
    disk_fini(&disk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_snapshot_goes_beside_the_entries),
        cmocka_unit_test(test_a_snapshot_written_again_is_told_durable),
        cmocka_unit_test(test_what_replaces_a_snapshot_waits_for_it),
        cmocka_unit_test(test_a_segment_is_made_beside),
        cmocka_unit_test(test_segments_go_beside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
