#include "tests/unit/journal_model.h"

const struct hm_journal_config model_small = {.segment_bytes = 4096, .owner = {{1, 2, 3}}};

void model_apply(void *context, const struct hm_message *message)
{
    struct model *model = context;
    if (message->kind == HM_MSG_log_hard_state) {
        model->term[message->log_hard_state.log] = message->log_hard_state.term;
    } else if (message->kind == HM_MSG_log_append) {
        const struct hm_log_append *append = &message->log_append;
        assert_true(append->first_index <= model->last[append->log] + 1);
        model->last[append->log] = append->first_index + append->entries_count - 1;
        for (uint32_t i = 0; i < append->entries_count; i++) {
            model->terms[append->log][append->first_index + i] = append->entries[i].term;
        }
    } else {
        const struct hm_log_snapshot *snapshot = &message->log_snapshot;
        uint32_t log = snapshot->log;
        if (snapshot->last_index > model->last[log] ||
            model->terms[log][snapshot->last_index] != snapshot->last_term) {
            model->last[log] = snapshot->last_index;
        }
        model->snapshot[log] = snapshot->last_index;
        model->snapshot_term[log] = snapshot->last_term;
    }
}

bool model_equal(const struct model *a, const struct model *b)
{
    for (uint32_t log = 0; log < MODEL_LOGS; log++) {
        if (a->term[log] != b->term[log] || a->snapshot[log] != b->snapshot[log] ||
            a->last[log] != b->last[log] || a->snapshot_term[log] != b->snapshot_term[log]) {
            return false;
        }
        for (uint64_t i = a->snapshot[log] + 1; i <= a->last[log]; i++) {
            if (a->terms[log][i] != b->terms[log][i]) {
                return false;
            }
        }
    }
    return true;
}

void model_recover_into(struct hm_journal *journal, const struct disk *disk, struct outcome *out)
{
    struct hm_buf error = {0};
    struct hm_buf report = {0};
    memset(out, 0, sizeof *out);
    out->status = hm_journal_recover(journal, disk->files, disk->count, model_apply, &out->model,
                                     &error, &report);
    snprintf(out->error, sizeof out->error, "%.*s", (int)error.size, (char *)error.data);
    snprintf(out->report, sizeof out->report, "%.*s", (int)report.size, (char *)report.data);
    hm_buf_fini(&error);
    hm_buf_fini(&report);
}

void model_recover(const struct disk *disk, struct outcome *out)
{
    struct hm_journal *journal = hm_journal_new(&model_small);
    model_recover_into(journal, disk, out);
    hm_journal_free(journal);
}

void model_write_entry(struct hm_journal *journal, uint64_t index)
{
    static uint8_t filler[1000];
    struct hm_entry entry = {.term = 1, .body = {filler, sizeof filler}};
    hm_journal_write(
        journal,
        &(struct hm_message){
            .kind = HM_MSG_log_append,
            .log_append = {.first_index = index, .entries = &entry, .entries_count = 1}},
        index);
}

void model_expect(const struct disk *disk, uint64_t snapshot, uint64_t last)
{
    static struct outcome outcome;
    model_recover(disk, &outcome);
    assert_string_equal(outcome.error, "");
    assert_int_equal(outcome.model.snapshot[0], snapshot);
    assert_int_equal(outcome.model.last[0], last);
}
