/* The journal against a model_small disk that crashes: what was durable is found again, a torn tail
 * is cut, damage is told with file and offset. */
#include "tests/unit/journal_model.h"

/* ---- a random but possible history ---- */

#define STEPS_MAX 200

struct history {
    struct hm_random random;
    struct model models[STEPS_MAX + 1]; /* after each number */
    size_t steps;
};

static void write_kind(struct history *history, struct hm_journal *journal, uint64_t what)
{
    static uint8_t filler[700];
    struct model model = history->models[history->steps];
    uint32_t log = (uint32_t)hm_random_below(&history->random, MODEL_LOGS);
    struct hm_entry entries[4];
    struct hm_message message;
    if (what < 2) {
        message = (struct hm_message){.kind = HM_MSG_log_hard_state,
                                      .log_hard_state = {.log = log,
                                                         .term = model.term[log] + 1,
                                                         .vote = hm_random_id(&history->random)}};
    } else if (what < 4 && model.last[log] > model.snapshot[log]) {
        uint64_t at = hm_random_between(&history->random, model.snapshot[log] + 1, model.last[log]);
        message = (struct hm_message){.kind = HM_MSG_log_snapshot,
                                      .log_snapshot = {.log = log,
                                                       .last_index = at,
                                                       .last_term = model.terms[log][at],
                                                       .state = {filler, 100}}};
    } else if (what == 4) {
        /* From the leader: another history, so the log goes. */
        message = (struct hm_message){.kind = HM_MSG_log_snapshot,
                                      .log_snapshot = {.log = log,
                                                       .last_index = model.snapshot[log] + 3,
                                                       .last_term = 1000 + history->steps,
                                                       .state = {filler, 100}}};
    } else {
        uint64_t back = hm_random_below(&history->random, 3);
        uint64_t held = model.last[log] - model.snapshot[log];
        uint32_t count = (uint32_t)hm_random_below(&history->random, 4);
        for (uint32_t i = 0; i < count; i++) {
            entries[i] = (struct hm_entry){
                .term = history->steps + 1,
                .body = {filler, hm_random_below(&history->random, sizeof filler)}};
        }
        message = (struct hm_message){
            .kind = HM_MSG_log_append,
            .log_append = {.log = log,
                           .first_index = model.last[log] + 1 - (back < held ? back : held),
                           .entries = entries,
                           .entries_count = count}};
    }
    history->steps++;
    model_apply(&model, &message);
    history->models[history->steps] = model;
    hm_journal_write(journal, &message, history->steps);
}

static void write_step(struct history *history, struct hm_journal *journal)
{
    write_kind(history, journal, hm_random_below(&history->random, 20));
}

/* Which number the recovered state is of; SIZE_MAX when of none. The latest of equal ones. */
static size_t place_of(const struct history *history, const struct model *model)
{
    for (size_t i = history->steps + 1; i-- > 0;) {
        if (model_equal(&history->models[i], model)) {
            return i;
        }
    }
    return SIZE_MAX;
}

static void make_history(struct history *history, uint64_t seed)
{
    memset(history, 0, sizeof *history);
    hm_random_init(&history->random, seed);
}

/* ---- tests ---- */

static void test_what_was_written_is_found(void **state)
{
    (void)state;
    static struct history history;
    static struct outcome outcome;
    for (uint64_t seed = 1; seed <= 30; seed++) {
        make_history(&history, seed);
        struct disk disk = {.room = UINT64_MAX};
        struct hm_journal *journal = hm_journal_new(&model_small);
        while (history.steps < STEPS_MAX) {
            write_step(&history, journal);
            if (hm_random_chance(&history.random, 400)) {
                disk_run(journal, &disk);
            }
            if (hm_random_chance(&history.random, 30)) { /* a restart */
                uint64_t durable = disk_run(journal, &disk);
                assert_true(durable == 0 || durable == history.steps);
                hm_journal_free(journal);
                journal = hm_journal_new(&model_small);
                model_recover_into(journal, &disk, &outcome);
                assert_string_equal(outcome.error, "");
                assert_string_equal(outcome.report, "");
                assert_true(model_equal(&outcome.model, &history.models[history.steps]));
            }
        }
        disk_run(journal, &disk);
        model_recover(&disk, &outcome);
        assert_int_equal(outcome.status, HM_OK);
        assert_true(model_equal(&outcome.model, &history.models[history.steps]));
        hm_journal_free(journal);
        disk_fini(&disk);
    }
}

static void test_covered_segments_go(void **state)
{
    (void)state;
    struct disk disk = {.room = UINT64_MAX};
    struct hm_journal *journal = hm_journal_new(&model_small);
    static uint8_t filler[1000];
    struct hm_entry entry = {.term = 1, .body = {filler, sizeof filler}};
    hm_journal_write(journal,
                     &(struct hm_message){.kind = HM_MSG_log_hard_state,
                                          .log_hard_state = {.log = 0, .term = 9}},
                     1);
    for (uint64_t i = 1; i <= 100; i++) {
        hm_journal_write(
            journal,
            &(struct hm_message){
                .kind = HM_MSG_log_append,
                .log_append = {.first_index = i, .entries = &entry, .entries_count = 1}},
            i + 1);
        assert_int_equal(disk_run(journal, &disk), i + 1);
        if (i % 10 == 0) {
            hm_journal_write(
                journal,
                &(struct hm_message){.kind = HM_MSG_log_snapshot,
                                     .log_snapshot = {.last_index = i, .last_term = 1}},
                i + 1);
            disk_run(journal, &disk);
        }
        assert_true(disk.count <= 8);
    }
    assert_true(hm_journal_bytes(journal) <= 2 * 4096);
    static struct outcome outcome;
    model_recover(&disk, &outcome);
    assert_int_equal(outcome.status, HM_OK);
    assert_int_equal(outcome.model.term[0], 9);
    assert_int_equal(outcome.model.last[0], 100);
    hm_journal_free(journal);
    disk_fini(&disk);
}

/* Stops before operation `stop` of the whole run; a write before the sync is torn. */
static bool run_until(struct hm_journal *journal, struct disk *disk, size_t stop,
                      struct hm_random *torn, uint64_t *durable)
{
    struct hm_journal_batch batch;
    while (hm_journal_output(journal, &batch)) {
        for (size_t i = 0; i < batch.count; i++) {
            bool unsynced = batch.ops[i].kind == HM_DISK_WRITE && disk->ops + 1 == stop;
            if (disk->ops == stop || unsynced) {
                if (unsynced) {
                    disk_write(disk, &batch.ops[i], torn);
                }
                return false;
            }
            assert_int_equal(disk_do(disk, &batch.ops[i]), HM_OK);
        }
        *durable = hm_journal_done(journal, HM_OK);
    }
    return true;
}

struct lane {
    struct hm_journal_batch batch;
    bool out;
    size_t at;
};

/* The same with what is done beside, the operations of both in any order; what is not done in
 * `turns` operations stays out. */
static bool run_lanes_until(struct hm_journal *journal, struct disk *disk, struct lane lanes[2],
                            size_t turns, size_t stop, struct hm_random *random, uint64_t *durable)
{
    for (; turns > 0; turns--) {
        lanes[1].out = lanes[1].out || hm_journal_side_output(journal, &lanes[1].batch);
        lanes[0].out = lanes[0].out || hm_journal_output(journal, &lanes[0].batch);
        if (!lanes[0].out && !lanes[1].out) {
            return true;
        }
        bool beside = lanes[1].out && (!lanes[0].out || hm_random_chance(random, 500));
        struct lane *lane = &lanes[beside];
        const struct hm_disk_op *op = &lane->batch.ops[lane->at];
        bool unsynced = op->kind == HM_DISK_WRITE && disk->ops + 1 == stop;
        if (disk->ops == stop || unsynced) {
            if (unsynced) {
                disk_write(disk, op, random);
            }
            return false;
        }
        assert_int_equal(disk_do(disk, op), HM_OK);
        if (++lane->at == lane->batch.count) {
            *lane = (struct lane){0};
            if (beside) {
                assert_false(hm_journal_side_done(journal, HM_OK));
            } else {
                *durable = hm_journal_done(journal, HM_OK);
            }
        }
    }
    return true;
}

/* Of the snapshots only those of a leader, which are not written beside: such a one may be found
 * before its number is durable, and no step of the history looks like that. */
static void write_step_in_order(struct history *history, struct hm_journal *journal)
{
    uint64_t what = hm_random_below(&history->random, 20);
    write_kind(history, journal, what == 2 || what == 3 ? 4 : what);
}

static void crash_at_every_operation(const struct hm_journal_config *config)
{
    static struct history history;
    static struct outcome outcome;
    size_t cut = 0;
    for (size_t stop = 0; stop < 400; stop++) {
        make_history(&history, 7 + stop % 3);
        struct hm_random torn;
        hm_random_init(&torn, stop);
        struct disk disk = {.room = UINT64_MAX};
        struct hm_journal *journal = hm_journal_new(config);
        struct lane lanes[2] = {0};
        uint64_t durable = 0;
        bool goes_on = true;
        while (goes_on && history.steps < STEPS_MAX) {
            if (config->sides) {
                write_step_in_order(&history, journal);
                goes_on = run_lanes_until(journal, &disk, lanes, 3, stop, &torn, &durable);
            } else {
                write_step(&history, journal);
                goes_on = !hm_random_chance(&history.random, 500) ||
                          run_until(journal, &disk, stop, &torn, &durable);
            }
        }
        hm_journal_free(journal);
        journal = hm_journal_new(&model_small);
        model_recover_into(journal, &disk, &outcome);
        assert_string_equal(outcome.error, "");
        size_t place = place_of(&history, &outcome.model);
        assert_true(place != SIZE_MAX && place >= durable);
        cut += outcome.report[0] != 0;
        /* It goes on from there, and a second recovery finds that too. */
        history.models[0] = outcome.model;
        history.steps = 0;
        for (int i = 0; i < 20; i++) {
            write_step(&history, journal);
            disk_run(journal, &disk);
        }
        hm_journal_free(journal);
        model_recover(&disk, &outcome);
        assert_string_equal(outcome.error, "");
        assert_string_equal(outcome.report, "");
        assert_true(model_equal(&outcome.model, &history.models[20]));
        disk_fini(&disk);
    }
    assert_true(cut > 20);
}

static void test_a_crash_at_every_operation(void **state)
{
    (void)state;
    crash_at_every_operation(&model_small);
}

static void test_a_crash_at_every_operation_beside(void **state)
{
    (void)state;
    crash_at_every_operation(&(struct hm_journal_config){
        .segment_bytes = model_small.segment_bytes, .owner = model_small.owner, .sides = true});
}

/* Some segments and snapshots, the last segment without one: then every prefix of its records is a
 * state that was. */
static void write_sample(struct history *history, struct disk *disk)
{
    make_history(history, 3);
    *disk = (struct disk){.room = UINT64_MAX};
    struct hm_journal *journal = hm_journal_new(&model_small);
    for (int i = 0; i < 60; i++) {
        write_kind(history, journal, i < 40 ? hm_random_below(&history->random, 20) : 10);
        disk_run(journal, disk);
    }
    hm_journal_free(journal);
}

static const char *last_segment(const struct disk *disk)
{
    const char *last = "";
    for (size_t i = 0; i < disk->count; i++) {
        struct hm_bytes content = disk->files[i].content;
        bool blank = content.data[0] == 0;
        if (strncmp(disk->files[i].name, "journal-", 8) == 0 && !blank &&
            strcmp(disk->files[i].name, last) > 0) {
            last = disk->files[i].name;
        }
    }
    return last;
}

/* Never a state that was not, never a crash; in an older segment never less than everything. */
static void check_hurt(const struct history *history, const struct disk *disk, const char *file,
                       const char *last, size_t counts[3])
{
    static struct outcome outcome;
    model_recover(disk, &outcome);
    if (outcome.status != HM_OK) {
        assert_non_null(strstr(outcome.error, "byte"));
        assert_string_equal(outcome.report, "");
        counts[0]++;
        return;
    }
    size_t place = place_of(history, &outcome.model);
    assert_true(place != SIZE_MAX);
    if (strcmp(file, last) != 0) {
        assert_int_equal(place, history->steps);
    }
    counts[outcome.report[0] ? 1 : 2]++;
    if (place != history->steps) {
        assert_true(outcome.report[0] != 0);
    }
}

static void test_every_truncation(void **state)
{
    (void)state;
    static struct history history;
    struct disk disk;
    size_t counts[3] = {0};
    write_sample(&history, &disk);
    for (size_t file = 0; file < disk.count; file++) {
        struct hm_bytes whole = disk.files[file].content;
        for (size_t size = 0; size < whole.size; size++) {
            disk.files[file].content.size = size;
            check_hurt(&history, &disk, disk.files[file].name, last_segment(&disk), counts);
        }
        disk.files[file].content = whole;
    }
    assert_true(counts[0] > 1000 && counts[1] > 1000);
    disk_fini(&disk);
}

static void test_every_byte_flipped(void **state)
{
    (void)state;
    static struct history history;
    struct disk disk;
    size_t counts[3] = {0};
    write_sample(&history, &disk);
    char last[HM_DISK_FILE_BYTES_MAX];
    snprintf(last, sizeof last, "%s", last_segment(&disk));
    for (size_t file = 0; file < disk.count; file++) {
        for (size_t at = 0; at < disk.files[file].content.size; at++) {
            uint8_t bit = (uint8_t)(1u << at % 8);
            disk_bytes(&disk.files[file])[at] ^= bit;
            static struct outcome outcome;
            model_recover(&disk, &outcome);
            /* Everything, or all but the last batch, or refused. */
            if (outcome.status == HM_OK) {
                size_t place = place_of(&history, &outcome.model);
                assert_true(place >= history.steps - 1 && place != SIZE_MAX);
            }
            check_hurt(&history, &disk, disk.files[file].name, last, counts);
            disk_bytes(&disk.files[file])[at] ^= bit;
        }
    }
    assert_true(counts[0] > 1000);
    disk_fini(&disk);
}

static void test_missing_files_are_told(void **state)
{
    (void)state;
    static struct history history;
    static struct outcome outcome;
    struct disk disk;
    write_sample(&history, &disk);
    size_t refused = 0;
    for (size_t i = 0; i < disk.count; i++) {
        struct disk less;
        disk_copy(&less, &disk);
        bool blank = less.files[i].content.data[0] == 0;
        char name[HM_DISK_FILE_BYTES_MAX];
        snprintf(name, sizeof name, "%s", less.files[i].name);
        disk_remove(&less, name);
        model_recover(&less, &outcome);
        if (strcmp(name, last_segment(&disk)) != 0 && (!blank || name[0] == 's')) {
            /* Entries that were cut again may keep a segment that nobody needs. */
            assert_true(outcome.status == HM_DAMAGED ||
                        model_equal(&outcome.model, &history.models[history.steps]));
            refused += outcome.status == HM_DAMAGED;
        }
        disk_fini(&less);
    }
    assert_true(refused >= 2);
    disk_fini(&disk);
}

static void test_foreign_files_and_owners(void **state)
{
    (void)state;
    static struct history history;
    static struct outcome outcome;
    struct disk disk;
    write_sample(&history, &disk);
    disk_create(&disk, "node.id", 5);
    disk_create(&disk, "journal-0000000000000009.old", 5);
    model_recover(&disk, &outcome);
    assert_int_equal(outcome.status, HM_OK);
    assert_true(model_equal(&outcome.model, &history.models[history.steps]));

    struct hm_journal *journal = hm_journal_new(&(struct hm_journal_config){.owner = {{9}}});
    model_recover_into(journal, &disk, &outcome);
    assert_int_equal(outcome.status, HM_DENIED);
    assert_non_null(strstr(outcome.error, "belongs to node 01020300"));
    assert_non_null(strstr(outcome.error, "this is node 09000000"));
    hm_journal_free(journal);
    disk_fini(&disk);
}

static void test_a_full_disk_is_met_early_and_survived(void **state)
{
    (void)state;
    struct disk disk = {.room = 2 * 4096};
    struct hm_journal *journal = hm_journal_new(&model_small);
    uint64_t durable = 0;
    uint64_t index = 1;
    for (; !hm_journal_failed(journal); index++) {
        assert_true(index < 100);
        model_write_entry(journal, index);
        uint64_t now = disk_run(journal, &disk);
        assert_true(now >= durable);
        durable = now;
    }
    /* Both segments are full to the last record; only the write that had no room failed. */
    assert_int_equal(durable, 6);
    assert_int_equal(index, 8);
    static struct outcome outcome;
    model_recover(&disk, &outcome);
    assert_int_equal(outcome.status, HM_OK);
    assert_int_equal(outcome.model.last[0], durable);

    model_write_entry(journal, index);
    hm_journal_retry(journal);
    assert_int_equal(disk_run(journal, &disk), 6); /* still full */
    assert_true(hm_journal_failed(journal));
    disk.room = 100 * 4096;
    hm_journal_retry(journal);
    assert_int_equal(disk_run(journal, &disk), index);
    model_recover(&disk, &outcome);
    assert_int_equal(outcome.status, HM_OK);
    assert_int_equal(outcome.model.last[0], index);
    hm_journal_free(journal);
    disk_fini(&disk);
}

static void test_a_message_larger_than_a_segment(void **state)
{
    (void)state;
    static uint8_t filler[20000];
    struct disk disk = {.room = UINT64_MAX};
    struct hm_journal *journal = hm_journal_new(&model_small);
    struct hm_entry entry = {.term = 3, .body = {filler, sizeof filler}};
    model_write_entry(journal, 1);
    model_write_entry(journal, 2);
    model_write_entry(journal, 3);
    disk_run(journal, &disk);
    hm_journal_write(journal,
                     &(struct hm_message){
                         .kind = HM_MSG_log_append,
                         .log_append = {.first_index = 4, .entries = &entry, .entries_count = 1}},
                     4);
    model_write_entry(journal, 5);
    assert_int_equal(disk_run(journal, &disk), 5);
    static struct outcome outcome;
    model_recover(&disk, &outcome);
    assert_int_equal(outcome.status, HM_OK);
    assert_int_equal(outcome.model.last[0], 5);
    assert_int_equal(outcome.model.terms[0][4], 3);
    hm_journal_free(journal);
    disk_fini(&disk);
}

static void test_what_is_written_meanwhile_is_one_batch(void **state)
{
    (void)state;
    struct disk disk = {.room = UINT64_MAX};
    struct hm_journal *journal = hm_journal_new(
        &(struct hm_journal_config){.segment_bytes = 1 << 20, .owner = model_small.owner});
    struct hm_journal_batch batch;
    model_write_entry(journal, 1);
    assert_true(hm_journal_output(journal, &batch));
    for (uint64_t i = 2; i <= 50; i++) {
        model_write_entry(journal, i);
    }
    struct hm_journal_batch none;
    assert_false(hm_journal_output(journal, &none));
    for (size_t i = 0; i < batch.count; i++) {
        assert_int_equal(disk_do(&disk, &batch.ops[i]), HM_OK);
    }
    assert_int_equal(hm_journal_done(journal, HM_OK), 1);
    assert_true(hm_journal_output(journal, &batch));
    assert_int_equal(batch.count, 2);
    assert_int_equal(batch.ops[1].kind, HM_DISK_SYNC);
    assert_int_equal(hm_journal_done(journal, HM_OK), 50);
    hm_journal_free(journal);
    disk_fini(&disk);
}

/* An engine that installs a snapshot first cuts what its log holds behind it, be that nothing. */
static void test_a_cut_behind_the_end_is_no_hole(void **state)
{
    (void)state;
    struct disk disk = {.room = UINT64_MAX};
    static struct outcome outcome;
    struct hm_journal *journal = hm_journal_new(&model_small);
    struct hm_message cut = {.kind = HM_MSG_log_append, .log_append = {.first_index = 31}};
    model_write_entry(journal, 1);
    hm_journal_write(journal, &cut, 2);
    disk_run(journal, &disk);
    model_recover(&disk, &outcome);
    assert_string_equal(outcome.error, "");
    assert_int_equal(outcome.model.last[0], 1);
    hm_journal_write(journal,
                     &(struct hm_message){.kind = HM_MSG_log_snapshot,
                                          .log_snapshot = {.last_index = 30, .last_term = 1}},
                     3);
    model_write_entry(journal, 31);
    disk_run(journal, &disk);
    model_recover(&disk, &outcome);
    assert_string_equal(outcome.error, "");
    assert_int_equal(outcome.model.snapshot[0], 30);
    assert_int_equal(outcome.model.last[0], 31);
    hm_journal_free(journal);
    disk_fini(&disk);
}

/* A crash comes when the file of the leader's snapshot is there and no record names it yet. What is
 * written after the start follows that snapshot, also for the start after it. */
static void test_what_follows_a_snapshot_that_no_record_names(void **state)
{
    (void)state;
    for (uint64_t before = 0; before <= 12; before += 4) {
        struct disk disk = {.room = UINT64_MAX};
        static struct outcome outcome;
        struct hm_journal_batch batch;
        struct hm_journal *journal = hm_journal_new(&model_small);
        hm_journal_write(journal, &(struct hm_message){.kind = HM_MSG_log_hard_state}, 1);
        for (uint64_t i = 1; i <= before; i++) {
            model_write_entry(journal, i);
        }
        disk_run(journal, &disk);
        hm_journal_write(journal,
                         &(struct hm_message){.kind = HM_MSG_log_snapshot,
                                              .log_snapshot = {.last_index = 9, .last_term = 7}},
                         99);
        assert_true(hm_journal_output(journal, &batch));
        assert_int_equal(batch.ops[0].kind, HM_DISK_REPLACE);
        assert_int_equal(disk_do(&disk, &batch.ops[0]), HM_OK);
        hm_journal_free(journal);

        journal = hm_journal_new(&model_small);
        model_recover_into(journal, &disk, &outcome);
        assert_int_equal(outcome.model.last[0], 9);
        model_write_entry(journal, 10);
        disk_run(journal, &disk);
        hm_journal_free(journal);
        model_expect(&disk, 9, 10);
        disk_fini(&disk);
    }
}

#define MOVED_PIECES 6u

/* Entries 1 to 12, as write_entry writes them, two to a piece. */
static void move_entries(struct hm_journal *journal)
{
    static uint8_t filler[1000];
    struct hm_bytes pieces[MOVED_PIECES];
    struct hm_entry entries[2] = {{.term = 1, .body = {filler, sizeof filler}},
                                  {.term = 1, .body = {filler, sizeof filler}}};
    for (uint64_t i = 0; i < MOVED_PIECES; i++) {
        struct hm_buf piece = {0};
        hm_message_encode(&piece, &(struct hm_message){.kind = HM_MSG_log_moved,
                                                       .log_moved = {.first_index = 2 * i + 1,
                                                                     .entries = entries,
                                                                     .entries_count = 2}});
        pieces[i] = hm_bytes_copy(hm_buf_view(&piece));
        hm_buf_fini(&piece);
    }
    hm_journal_move(journal, pieces, MOVED_PIECES);
    for (size_t i = 0; i < MOVED_PIECES; i++) {
        hm_bytes_free(pieces[i]);
    }
}

/* A crash anywhere in a move takes no entry; after it the old segments go, also if the crash comes
 * when only some of them are gone. */
static void test_what_is_moved_is_always_whole(void **state)
{
    (void)state;
    bool all = false;
    size_t stop = 0;
    for (; !all; stop++) {
        struct disk disk = {.room = UINT64_MAX};
        struct hm_journal *journal = hm_journal_new(&model_small);
        struct hm_random torn;
        uint64_t durable = 0;
        uint32_t log;
        hm_random_init(&torn, stop);
        for (uint64_t i = 1; i <= 12; i++) {
            model_write_entry(journal, i);
            disk_run(journal, &disk);
        }
        assert_true(hm_journal_is_held(journal, &log) && log == 0);
        move_entries(journal);
        assert_false(hm_journal_is_held(journal, &log));
        all = run_until(journal, &disk, disk.ops + stop, &torn, &durable);
        model_expect(&disk, 0, 12);
        if (all) {
            assert_null(disk_find(&disk, "journal-0000000000000001"));
            assert_null(disk_find(&disk, "journal-0000000000000002"));
        }
        hm_journal_free(journal);
        disk_fini(&disk);
    }
    assert_true(stop > 2 * MOVED_PIECES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_was_written_is_found),
        cmocka_unit_test(test_covered_segments_go),
        cmocka_unit_test(test_a_crash_at_every_operation),
        cmocka_unit_test(test_a_crash_at_every_operation_beside),
        cmocka_unit_test(test_every_truncation),
        cmocka_unit_test(test_every_byte_flipped),
        cmocka_unit_test(test_missing_files_are_told),
        cmocka_unit_test(test_foreign_files_and_owners),
        cmocka_unit_test(test_a_full_disk_is_met_early_and_survived),
        cmocka_unit_test(test_a_message_larger_than_a_segment),
        cmocka_unit_test(test_what_is_written_meanwhile_is_one_batch),
        cmocka_unit_test(test_a_cut_behind_the_end_is_no_hole),
        cmocka_unit_test(test_what_follows_a_snapshot_that_no_record_names),
        cmocka_unit_test(test_what_is_moved_is_always_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
