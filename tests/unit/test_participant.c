/* Participants of logs: what is applied once, who is answered, what a snapshot carries, and several
 * logs over one journal. */
#include "core/base/memory.h"
#include "core/log/logs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define FILES_MAX 200

/* ---- a state machine: the requests, one after the other ---- */

struct list {
    char text[256];
    bool odd_refused; /* refuses what has an odd size */
};

static void list_apply(void *context, const struct hm_log_entry *entry, struct hm_outcome *out)
{
    struct list *list = context;
    if (list->odd_refused && entry->request.size % 2) {
        out->status = HM_CONFLICT;
        return;
    }
    size_t used = strlen(list->text);
    snprintf(list->text + used, sizeof list->text - used, "%.*s ", (int)entry->request.size,
             (const char *)entry->request.data);
}

static void list_snapshot(void *context, struct hm_buf *out)
{
    hm_buf_append_text(out, ((struct list *)context)->text);
}

static enum hm_status list_install(void *context, struct hm_bytes state)
{
    struct list *list = context;
    if (state.size >= sizeof list->text) {
        return HM_BAD_BYTES;
    }
    memset(list->text, 0, sizeof list->text);
    memcpy(list->text, state.data, state.size);
    return HM_OK;
}

static const struct hm_machine list_machine = {
    .apply = list_apply, .snapshot = list_snapshot, .install = list_install};

/* ---- a process with logs, its only voter, and a disk that keeps what it is given ---- */

struct process {
    struct hm_logs *logs;
    struct list lists[2];
    struct hm_disk_file files[FILES_MAX];
    size_t file_count;
    hm_ms now;
    struct hm_log_effect answers[16];
    struct hm_outcome outcomes[16];
    size_t answer_count;
    size_t syncs;
    bool disk_works;
    uint32_t useless;    /* a log that is not opened; 0: none */
    struct hm_keep keep; /* not zero: log 1 is a list that keeps so much */
};

static struct hm_disk_file *find_file(struct process *process, const char *name)
{
    for (size_t i = 0; i < process->file_count; i++) {
        if (strcmp(process->files[i].name, name) == 0) {
            return &process->files[i];
        }
    }
    return NULL;
}

static void do_op(struct process *process, const struct hm_disk_op *op)
{
    struct hm_disk_file *file = find_file(process, op->file);
    if (op->kind == HM_DISK_REMOVE && file) {
        hm_bytes_free(file->content);
        *file = process->files[--process->file_count];
    } else if (op->kind == HM_DISK_ALLOCATE || (op->kind == HM_DISK_REPLACE && !file)) {
        assert_true(process->file_count < FILES_MAX);
        file = &process->files[process->file_count++];
        snprintf(file->name, sizeof file->name, "%s", op->file);
        file->content = (struct hm_bytes){hm_alloc(op->size, 1), op->size};
    }
    if (op->kind == HM_DISK_REPLACE) {
        hm_bytes_free(file->content);
        file->content = hm_bytes_copy(op->bytes);
    } else if (op->kind == HM_DISK_WRITE) {
        memcpy((uint8_t *)file->content.data + op->offset, op->bytes.data, op->bytes.size);
    }
    process->syncs += op->kind == HM_DISK_SYNC;
}

static void take_effects(struct process *process)
{
    struct hm_log_effect effect;
    while (hm_logs_output(process->logs, process->now, &effect)) {
        assert_int_not_equal(effect.kind, HM_LOG_BROKEN);
        if (effect.kind == HM_LOG_ANSWER) {
            process->outcomes[process->answer_count] = *effect.outcome;
            process->answers[process->answer_count++] = effect;
        }
    }
}

static void pump(struct process *process)
{
    struct hm_journal_batch batch;
    take_effects(process);
    while (process->disk_works && hm_logs_disk_output(process->logs, &batch)) {
        for (size_t i = 0; i < batch.count; i++) {
            do_op(process, &batch.ops[i]);
        }
        hm_logs_disk_done(process->logs, process->now, HM_OK);
        take_effects(process);
    }
}

static bool use_log(void *context, uint32_t log, struct hm_participant_config *out)
{
    struct process *process = context;
    out->raft.log = log;
    out->raft.trailing_entries = process->keep.entries ? 16 : 0;
    out->machine = &list_machine;
    out->context = &process->lists[log % 2];
    if (log == 1 && process->keep.entries) {
        out->machine = &hm_list_machine;
        out->keep = process->keep;
    }
    return log == 0 || log != process->useless;
}

/* The first time it founds both logs; later it finds them in its files. */
static void start(struct process *process)
{
    struct hm_buf error = {0};
    struct hm_buf report = {0};
    struct hm_logs_config config = {.self = {.id = {{1}}}, .durable = true, .segment_bytes = 4096};
    process->disk_works = true;
    process->logs = hm_logs_new(&config);
    assert_int_equal(hm_logs_recover(process->logs, process->now, process->files,
                                     process->file_count, use_log, process, &error, &report),
                     HM_OK);
    for (uint32_t log = 0; log < 2 && process->file_count == 0; log++) {
        struct hm_participant_config opened;
        memset(&opened, 0, sizeof opened);
        (void)use_log(process, log, &opened);
        struct hm_participant *participant = hm_logs_open(process->logs, process->now, &opened);
        assert_int_equal(hm_raft_found(hm_participant_raft(participant), process->now), HM_OK);
    }
    hm_buf_fini(&error);
    hm_buf_fini(&report);
    pump(process);
    hm_logs_tick(process->logs, process->now += 1000);
    pump(process);
}

static void stop(struct process *process)
{
    hm_logs_free(process->logs);
    process->logs = NULL;
    memset(process->lists, 0, sizeof process->lists);
    process->answer_count = 0;
}

static void end(struct process *process)
{
    stop(process);
    for (size_t i = 0; i < process->file_count; i++) {
        hm_bytes_free(process->files[i].content);
    }
}

static enum hm_status propose(struct process *process, uint32_t log, uint8_t session, uint64_t seq,
                              const char *text, uint64_t token)
{
    return hm_participant_propose(
        hm_logs_find(process->logs, log), process->now,
        &(struct hm_submission){
            .session = {{session}}, .seq = seq, .request = hm_bytes_of_text(text), .token = token});
}

/* ---- tests ---- */

static void test_what_is_on_its_way_is_not_proposed_again(void **unused)
{
    (void)unused;
    struct process process = {0};
    start(&process);
    const struct hm_raft *raft = hm_participant_raft(hm_logs_find(process.logs, 0));
    process.disk_works = false;
    uint64_t before = hm_raft_last_index(raft);
    assert_int_equal(propose(&process, 0, 9, 1, "a", 11), HM_OK);
    assert_int_equal(propose(&process, 0, 9, 2, "b", 12), HM_OK);
    assert_int_equal(propose(&process, 0, 9, 1, "a", 13), HM_OK);
    pump(&process);
    assert_int_equal(process.answer_count, 0);
    assert_int_equal(hm_raft_last_index(raft), before + 2);
    process.disk_works = true;
    pump(&process);
    assert_string_equal(process.lists[0].text, "a b ");
    assert_int_equal(process.answer_count, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(process.outcomes[i].status, HM_OK);
        assert_int_equal(process.outcomes[i].index, process.answers[i].token == 12 ? 2 : 1);
    }
    end(&process);
}

/* The answer was lost: whoever asks again hears the same, be it a refusal. */
static void test_a_retry_hears_what_was_answered(void **unused)
{
    (void)unused;
    struct process process = {.lists[0].odd_refused = true};
    start(&process);
    assert_int_equal(propose(&process, 0, 9, 1, "even", 1), HM_OK);
    pump(&process);
    assert_int_equal(propose(&process, 0, 9, 1, "even", 2), HM_OK);
    pump(&process);
    assert_int_equal(propose(&process, 0, 9, 2, "odd", 3), HM_OK);
    assert_int_equal(propose(&process, 0, 8, 0, "no session", 4), HM_OK);
    pump(&process);
    assert_int_equal(propose(&process, 0, 9, 2, "odd", 5), HM_OK);
    pump(&process);
    assert_int_equal(process.answer_count, 5);
    assert_int_equal(process.outcomes[1].index, 1);
    assert_int_equal(process.outcomes[1].status, HM_OK);
    assert_int_equal(process.outcomes[4].status, HM_CONFLICT);
    assert_int_equal(process.outcomes[4].index, process.outcomes[2].index);
    assert_string_equal(process.lists[0].text, "even no session ");
    end(&process);
}

static void test_sessions_are_in_the_snapshot(void **unused)
{
    (void)unused;
    struct process process = {0};
    start(&process);
    assert_int_equal(propose(&process, 1, 9, 7, "once", 1), HM_OK);
    pump(&process);
    assert_int_equal(hm_participant_compact(hm_logs_find(process.logs, 1)), HM_OK);
    pump(&process);
    stop(&process);
    start(&process);
    assert_string_equal(process.lists[1].text, "once ");
    assert_int_equal(propose(&process, 1, 9, 7, "once", 2), HM_OK);
    assert_int_equal(propose(&process, 1, 9, 8, "twice", 3), HM_OK);
    pump(&process);
    assert_int_equal(process.outcomes[0].index, 1);
    assert_int_equal(process.outcomes[1].index, 2);
    assert_string_equal(process.lists[1].text, "once twice ");
    end(&process);
}

/* One sync makes both durable, neither counts before it, and each finds its own again. */
static void test_logs_share_a_journal(void **unused)
{
    (void)unused;
    struct process process = {0};
    start(&process);
    process.disk_works = false;
    for (uint32_t i = 0; i < 20; i++) {
        char text[8];
        snprintf(text, sizeof text, "%u", i);
        assert_int_equal(propose(&process, i % 2, 0, 0, text, i < 2 ? i + 1 : 0), HM_OK);
    }
    pump(&process);
    assert_int_equal(process.answer_count, 0);
    assert_string_equal(process.lists[0].text, "");
    size_t syncs = process.syncs;
    process.disk_works = true;
    pump(&process);
    assert_int_equal(process.syncs, syncs + 1);
    assert_int_equal(process.answer_count, 2);
    assert_string_equal(process.lists[0].text, "0 2 4 6 8 10 12 14 16 18 ");
    assert_string_equal(process.lists[1].text, "1 3 5 7 9 11 13 15 17 19 ");
    stop(&process);
    start(&process);
    assert_string_equal(process.lists[0].text, "0 2 4 6 8 10 12 14 16 18 ");
    assert_string_equal(process.lists[1].text, "1 3 5 7 9 11 13 15 17 19 ");
    assert_int_equal(hm_participant_replica(hm_logs_find(process.logs, 1))->index, 10);
    end(&process);
}

/* A leader without a disk gives up what it has not written, and says so; the logs come back. */
static void test_a_failed_disk_disowns_what_waits(void **unused)
{
    (void)unused;
    struct process process = {0};
    struct hm_journal_batch batch;
    start(&process);
    assert_int_equal(propose(&process, 0, 9, 1, "a", 1), HM_OK);
    take_effects(&process);
    assert_true(hm_logs_disk_output(process.logs, &batch));
    hm_logs_disk_done(process.logs, process.now, HM_NO_SPACE);
    assert_true(hm_logs_disk_failed(process.logs));
    take_effects(&process);
    assert_int_equal(process.answer_count, 1);
    assert_int_equal(process.outcomes[0].status, HM_NOT_LEADER);
    assert_int_equal(propose(&process, 1, 9, 1, "b", 2), HM_NOT_LEADER);
    hm_logs_disk_retry(process.logs);
    pump(&process);
    hm_logs_tick(process.logs, process.now += 1000);
    pump(&process);
    assert_false(hm_logs_disk_failed(process.logs));
    assert_int_equal(propose(&process, 0, 9, 1, "a", 3), HM_OK);
    assert_int_equal(propose(&process, 1, 9, 1, "b", 4), HM_OK);
    pump(&process);
    assert_string_equal(process.lists[0].text, "a ");
    assert_string_equal(process.lists[1].text, "b ");
    end(&process);
}

static void test_reads_are_answered_behind_what_they_follow(void **unused)
{
    (void)unused;
    struct process process = {0};
    start(&process);
    assert_int_equal(propose(&process, 0, 9, 1, "a", 1), HM_OK);
    pump(&process);
    assert_int_equal(hm_participant_read(hm_logs_find(process.logs, 0), process.now, 2), HM_OK);
    pump(&process);
    assert_int_equal(process.answer_count, 2);
    assert_int_equal(process.answers[1].token, 2);
    assert_int_equal(process.outcomes[1].status, HM_OK);
    assert_int_equal(process.outcomes[1].index, 1);
    end(&process);
}

static void apply_at(struct hm_replica *replica, uint64_t time_ms, uint64_t seq,
                     struct hm_outcome *out)
{
    struct hm_log_request request = {
        .session = {{9}}, .seq = seq, .time_ms = time_ms, .request = hm_bytes_of_text("x")};
    hm_replica_apply(replica, &request, 0, out);
}

static void test_log_time_never_goes_back_and_forgets_idle_writers(void **unused)
{
    (void)unused;
    struct list list = {0};
    struct hm_replica replica;
    struct hm_outcome out;
    hm_replica_init(&replica, &list_machine, &list);
    apply_at(&replica, 5000, 1, &out);
    apply_at(&replica, 4000, 2, &out);
    assert_int_equal(replica.time_ms, 5000);
    apply_at(&replica, 5000 + HM_SESSION_IDLE_MS, 2, &out);
    assert_int_equal(replica.index, 2);
    assert_int_equal(replica.sessions.count, 1);
    /* Behind the window nobody can tell any more: never applied. */
    apply_at(&replica, 5000 + HM_SESSION_IDLE_MS, 70, &out);
    apply_at(&replica, 5000 + HM_SESSION_IDLE_MS, 6, &out);
    assert_int_equal(out.status, HM_SESSION_EXPIRED);
    apply_at(&replica, 5000 + HM_SESSION_IDLE_MS, 7, &out);
    assert_int_equal(out.status, HM_OK);
    assert_int_equal(replica.index, 4);
    hm_replica_fini(&replica);
}

/* ---- a log that is a list ---- */

static struct hm_id session_of(uint64_t made_ms, uint8_t number)
{
    struct hm_id id = {{0}};
    for (size_t i = 0; i < 6; i++) {
        id.bytes[i] = (uint8_t)(made_ms >> (40 - 8 * i));
    }
    id.bytes[15] = number;
    return id;
}

static struct hm_outcome append(struct hm_replica *replica, uint64_t time_ms, struct hm_id session,
                                uint64_t seq, const char *text)
{
    struct hm_outcome out;
    struct hm_log_request request = {
        .session = session, .seq = seq, .time_ms = time_ms, .request = hm_bytes_of_text(text)};
    hm_replica_apply(replica, &request, 0, &out);
    return out;
}

static void assert_kept(const struct hm_replica *replica, uint64_t index, const char *text)
{
    struct hm_log_item item;
    assert_true(hm_kept_find(&replica->kept, index, &item));
    assert_int_equal(item.index, index);
    assert_true(hm_bytes_equal(item.data, hm_bytes_of_text(text)));
}

static void assert_not_kept(const struct hm_replica *replica, uint64_t index)
{
    struct hm_log_item item;
    assert_false(hm_kept_find(&replica->kept, index, &item));
}

static void test_a_list_keeps_its_newest_and_brings_them_in_a_snapshot(void **unused)
{
    (void)unused;
    struct hm_replica replica;
    struct hm_replica copy;
    struct hm_buf snapshot = {0};
    hm_replica_init(&replica, &hm_list_machine, NULL);
    hm_replica_init(&copy, &hm_list_machine, NULL);
    hm_kept_limit(&replica.kept, (struct hm_keep){3, 100});
    const char *const texts[] = {"one", "two", "three", "four", "five"};
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(append(&replica, 1000, (struct hm_id){{0}}, 0, texts[i]).index, i + 1);
    }
    assert_not_kept(&replica, 2);
    assert_not_kept(&replica, 6);
    assert_kept(&replica, 3, "three");
    hm_replica_snapshot(&replica, true, &snapshot);
    assert_int_equal(hm_replica_install(&copy, hm_buf_view(&snapshot)), HM_OK);
    assert_kept(&copy, 3, "three");
    assert_kept(&copy, 5, "five");
    assert_int_equal(append(&copy, 1000, (struct hm_id){{0}}, 0, "six").index, 6);
    assert_not_kept(&copy, 3);
    /* By bytes, too; the newest stays whatever its size. */
    hm_kept_limit(&copy.kept, (struct hm_keep){3, 7});
    assert_not_kept(&copy, 4);
    hm_kept_limit(&copy.kept, (struct hm_keep){3, 1});
    assert_kept(&copy, 6, "six");
    assert_int_equal(hm_kept_count(&copy.kept), 1);
    snapshot.size--;
    assert_int_equal(hm_replica_install(&copy, hm_buf_view(&snapshot)), HM_BAD_BYTES);
    assert_kept(&copy, 6, "six");
    hm_buf_fini(&snapshot);
    hm_replica_fini(&replica);
    hm_replica_fini(&copy);
}

static void test_a_retry_out_of_order_is_told_its_place(void **unused)
{
    (void)unused;
    struct hm_replica replica;
    struct hm_id session = session_of(1000000, 1);
    hm_replica_init(&replica, &hm_list_machine, NULL);
    hm_kept_limit(&replica.kept, (struct hm_keep){2, 100});
    for (uint64_t seq = 1; seq <= 3; seq++) {
        assert_int_equal(append(&replica, 1000000, session, seq, "x").index, seq);
    }
    assert_int_equal(append(&replica, 1000000, session, 2, "x").index, 2);
    /* No longer kept: that it is in the log is all that is known. */
    struct hm_outcome out = append(&replica, 1000000, session, 1, "x");
    assert_int_equal(out.status, HM_OK);
    assert_int_equal(out.index, 0);
    assert_int_equal(replica.index, 3);
    hm_replica_fini(&replica);
}

/* Who comes back after it was forgotten is not taken for new, whatever its clock says. */
static void test_an_old_session_never_writes_again(void **unused)
{
    (void)unused;
    const uint64_t start = 100u * HM_SESSION_IDLE_MS;
    const uint64_t minute = 60000;
    struct hm_replica replica;
    hm_replica_init(&replica, &hm_list_machine, NULL);
    for (uint64_t ahead = 0; ahead <= 10; ahead++) { /* minutes: of the writer's clock */
        struct hm_id session = session_of(start + ahead * minute, (uint8_t)ahead);
        assert_int_equal(append(&replica, start, session, 1, "x").status, HM_OK);
    }
    uint64_t length = replica.index;
    assert_int_equal(append(&replica, start, session_of(start + 11 * minute, 1), 1, "x").status,
                     HM_SESSION_EXPIRED);
    assert_int_equal(append(&replica, start, session_of(start - 50 * minute, 1), 1, "x").status,
                     HM_SESSION_EXPIRED);
    for (uint64_t later = 1; later < 180; later++) {
        for (uint64_t ahead = 0; ahead <= 10; ahead++) {
            struct hm_id session = session_of(start + ahead * minute, (uint8_t)ahead);
            enum hm_status status =
                append(&replica, start + later * minute, session, 1, "x").status;
            /* Asking again is use: it is remembered as long as it does. */
            assert_int_equal(status, HM_OK);
        }
    }
    assert_int_equal(replica.index, length);
    uint64_t end = start + 179 * minute + HM_SESSION_IDLE_MS + 1;
    for (uint64_t ahead = 0; ahead <= 10; ahead++) {
        struct hm_id session = session_of(start + ahead * minute, (uint8_t)ahead);
        assert_int_equal(append(&replica, end, session, 1, "x").status, HM_SESSION_EXPIRED);
    }
    hm_replica_fini(&replica);
    /* The same without a word in between, at every minute. */
    for (uint64_t later = 59; later < 80; later++) {
        hm_replica_init(&replica, &hm_list_machine, NULL);
        struct hm_id session = session_of(start + 10 * minute, 1);
        (void)append(&replica, start, session, 1, "x");
        (void)append(&replica, start + later * minute, session, 1, "x");
        assert_int_equal(replica.index, 1);
        hm_replica_fini(&replica);
    }
}

static size_t count_snapshots(struct process *process)
{
    size_t count = 0;
    for (size_t i = 0; i < process->file_count; i++) {
        count += strncmp(process->files[i].name, "snapshot-", 9) == 0;
    }
    return count;
}

/* Segments that hold only what is forgotten go, its snapshot too, and a start finds nothing of it.
 */
static void test_a_forgotten_log_gives_back_its_room(void **unused)
{
    (void)unused;
    struct process process = {0};
    start(&process);
    char text[201];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = 0;
    for (uint32_t i = 0; i < 60; i++) {
        assert_int_equal(propose(&process, 1, 0, 0, text, 0), HM_OK);
        pump(&process);
        memset(process.lists[1].text, 0, sizeof process.lists[1].text);
    }
    assert_int_equal(hm_participant_compact(hm_logs_find(process.logs, 1)), HM_OK);
    pump(&process);
    assert_int_equal(count_snapshots(&process), 1);
    for (uint32_t i = 0; i < 30; i++) {
        assert_int_equal(propose(&process, 1, 0, 0, text, 0), HM_OK);
        pump(&process);
        memset(process.lists[1].text, 0, sizeof process.lists[1].text);
    }
    assert_int_equal(propose(&process, 0, 0, 0, "stays", 0), HM_OK);
    assert_int_equal(propose(&process, 1, 0, 0, "goes", 0), HM_OK);
    hm_logs_forget(process.logs, 1);
    pump(&process);
    assert_null(hm_logs_find(process.logs, 1));
    assert_int_equal(count_snapshots(&process), 0);
    for (int round = 0; round < 2; round++) {
        stop(&process);
        start(&process);
        assert_null(hm_logs_find(process.logs, 1));
        assert_string_equal(process.lists[0].text, "stays ");
        pump(&process);
    }
    /* Log 0 alone decides which segments stay. */
    assert_int_equal(hm_participant_compact(hm_logs_find(process.logs, 0)), HM_OK);
    for (uint32_t i = 0; i < 40; i++) {
        assert_int_equal(propose(&process, 0, 0, 0, text, 0), HM_OK);
        pump(&process);
        memset(process.lists[0].text, 0, sizeof process.lists[0].text);
        assert_int_equal(hm_participant_compact(hm_logs_find(process.logs, 0)), HM_OK);
        pump(&process);
    }
    assert_true(process.file_count <= 5);
    end(&process);
}

static void write_many(struct process *process, uint32_t log, size_t count)
{
    char text[201];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = 0;
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(propose(process, log, 0, 0, text, 0), HM_OK);
        pump(process);
        memset(process->lists[log].text, 0, sizeof process->lists[log].text);
    }
}

/* A log that a process has no use for (any more) does not keep the segments of the others; it is
 * found whole by who has. */
static void test_a_log_without_use_holds_nothing_up(void **unused)
{
    (void)unused;
    struct process process = {0};
    start(&process);
    write_many(&process, 0, 20); /* so that what follows is in several segments */
    for (int i = 0; i < 3; i++) {
        assert_int_equal(propose(&process, 1, 0, 0, "promised", 0), HM_OK);
        pump(&process);
        write_many(&process, 0, 20);
    }
    uint64_t term = hm_raft_term(hm_participant_raft(hm_logs_find(process.logs, 1)));
    for (int round = 0; round < 2; round++) {
        stop(&process);
        process.useless = 1;
        start(&process);
        assert_null(hm_logs_find(process.logs, 1));
        write_many(&process, 0, 1500);
        assert_true(hm_logs_journal_bytes(process.logs) <
                    (HM_LOGS_JOURNAL_BYTES / HM_JOURNAL_SEGMENT_BYTES + 4) * 4096);
    }
    stop(&process);
    process.useless = 0;
    start(&process);
    assert_string_equal(process.lists[1].text, "promised promised promised ");
    assert_true(hm_raft_term(hm_participant_raft(hm_logs_find(process.logs, 1))) > term);
    end(&process);
}

/* Entries FIRST to LAST are kept, each with its own text and time. */
static void assert_keeps(struct process *process, uint64_t first, uint64_t last)
{
    char text[64];
    struct hm_log_item item;
    const struct hm_replica *replica = hm_participant_replica(hm_logs_find(process->logs, 1));
    assert_int_equal(hm_replica_oldest(replica), first);
    assert_int_equal(replica->index, last);
    for (uint64_t i = first; i <= last; i++) {
        snprintf(text, sizeof text, "entry %llu", (unsigned long long)i);
        assert_true(hm_kept_find(&replica->kept, i, &item));
        assert_int_equal(item.index, i);
        assert_true(hm_bytes_equal(item.data, hm_bytes_of_text(text)));
    }
}

static void append_entries(struct process *process, uint64_t first, uint64_t last)
{
    char text[64];
    for (uint64_t i = first; i <= last; i++) {
        snprintf(text, sizeof text, "entry %llu", (unsigned long long)i);
        assert_int_equal(propose(process, 1, 0, 0, text, 0), HM_OK);
        if (i % 50 == 0 || i == last) {
            pump(process);
        }
    }
}

static void restart(struct process *process)
{
    stop(process);
    start(process);
}

/* More than what Raft holds back for followers that lag, and it holds no more than that: the rest
 * of what is kept is packed, and comes back from the disk. */
static void test_what_is_kept_outlives_snapshots_and_restarts(void **unused)
{
    (void)unused;
    struct process process = {.keep = {2000, 1u << 20}};
    start(&process);
    struct hm_participant *log = hm_logs_find(process.logs, 1);
    for (uint64_t i = 500; i <= 5000; i += 500) {
        append_entries(&process, i - 499, i);
        hm_participant_shorten(log);
        pump(&process);
        assert_keeps(&process, i > 2000 ? i - 1999 : 1, i);
    }
    uint64_t index = hm_raft_snapshot_index(hm_participant_raft(log));
    assert_true(index >= 2500 && index <= 3010);
    struct hm_bytes body;
    uint64_t last = hm_raft_last_index(hm_participant_raft(log));
    assert_true(hm_raft_body(hm_participant_raft(log), last - 15, &body));
    assert_false(hm_raft_body(hm_participant_raft(log), last - 40, &body));
    restart(&process);
    assert_keeps(&process, 3001, 5000);
    log = hm_logs_find(process.logs, 1);
    assert_int_equal(hm_participant_compact(log), HM_OK);
    pump(&process);
    assert_keeps(&process, 3001, 5000);
    append_entries(&process, 5001, 5600);
    hm_participant_shorten(log);
    pump(&process);
    assert_keeps(&process, 3601, 5600); /* packed, then places */
    restart(&process);
    assert_keeps(&process, 3601, 5600);
    append_entries(&process, 5601, 8000);
    assert_keeps(&process, 6001, 8000);
    end(&process);
}

/* Log 0 has a few entries in the first segment, and would keep it and all behind it for ever. */
static void test_a_quiet_log_gives_the_journal_free(void **unused)
{
    (void)unused;
    struct process process = {.keep = {100, 1u << 20}};
    start(&process);
    assert_int_equal(propose(&process, 0, 0, 0, "quiet", 0), HM_OK);
    pump(&process);
    for (uint64_t i = 100; i <= 6000; i += 100) {
        append_entries(&process, i - 99, i);
        hm_participant_shorten(hm_logs_find(process.logs, 1));
        pump(&process);
        assert_true(hm_logs_journal_bytes(process.logs) <= 20 * 4096 + 2 * 100 * 100);
    }
    restart(&process);
    assert_string_equal(process.lists[0].text, "quiet ");
    assert_keeps(&process, 5901, 6000);
    end(&process);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_on_its_way_is_not_proposed_again),
        cmocka_unit_test(test_a_retry_hears_what_was_answered),
        cmocka_unit_test(test_sessions_are_in_the_snapshot),
        cmocka_unit_test(test_logs_share_a_journal),
        cmocka_unit_test(test_a_failed_disk_disowns_what_waits),
        cmocka_unit_test(test_reads_are_answered_behind_what_they_follow),
        cmocka_unit_test(test_log_time_never_goes_back_and_forgets_idle_writers),
        cmocka_unit_test(test_a_list_keeps_its_newest_and_brings_them_in_a_snapshot),
        cmocka_unit_test(test_a_retry_out_of_order_is_told_its_place),
        cmocka_unit_test(test_an_old_session_never_writes_again),
        cmocka_unit_test(test_a_forgotten_log_gives_back_its_room),
        cmocka_unit_test(test_a_log_without_use_holds_nothing_up),
        cmocka_unit_test(test_what_is_kept_outlives_snapshots_and_restarts),
        cmocka_unit_test(test_a_quiet_log_gives_the_journal_free),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
