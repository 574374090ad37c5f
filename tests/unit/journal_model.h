/* What the logs of a journal hold, as a model that a journal is compared with. */
#ifndef TESTS_UNIT_JOURNAL_MODEL_H
#define TESTS_UNIT_JOURNAL_MODEL_H

#include "tests/unit/journal_disk.h"

#define MODEL_LOGS        2
#define MODEL_ENTRIES_MAX 512

struct model {
    uint64_t term[MODEL_LOGS];
    uint64_t snapshot[MODEL_LOGS];
    uint64_t snapshot_term[MODEL_LOGS];
    uint64_t last[MODEL_LOGS];
    uint64_t terms[MODEL_LOGS][MODEL_ENTRIES_MAX]; /* by index */
};

void model_apply(void *context, const struct hm_message *message);
bool model_equal(const struct model *a, const struct model *b);

extern const struct hm_journal_config model_small;

struct outcome {
    enum hm_status status;
    struct model model;
    char error[512];
    char report[512];
};

void model_recover_into(struct hm_journal *journal, const struct disk *disk, struct outcome *out);
/* Into a journal of its own. */
void model_recover(const struct disk *disk, struct outcome *out);
/* What is recovered of log 0 is its snapshot up to `snapshot`, and entries up to `last`. */
void model_expect(const struct disk *disk, uint64_t snapshot, uint64_t last);

/* One entry of 1,000 bytes in log 0; its index is its number too. */
void model_write_entry(struct hm_journal *journal, uint64_t index);

#endif
