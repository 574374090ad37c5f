/* Recovery over any files. The input is a row of files: kind, size (2 bytes), content. Of some the
 * checksums are made right, so that what lies behind them is reached too. */
#include "core/base/assert.h"
#include "core/base/hash.h"
#include "core/base/memory.h"
#include "core/engine/journal_format.h"

#include <stdio.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FILES_MAX 8

/* Bits of a file's kind: snapshot or segment; checksums made right; below, its number. */
#define IS_SNAPSHOT 0x80u
#define IS_REPAIRED 0x40u
#define NUMBER      0x07u

static void put(uint8_t *at, uint64_t value, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        at[i] = (uint8_t)(value >> (8 * i));
    }
}

static void repair_snapshot(uint8_t *file, size_t size)
{
    if (size >= JOURNAL_HEADER_BYTES) {
        put(file + 4, JOURNAL_FORMAT, 4);
        put(file + 8, JOURNAL_SNAPSHOT_MAGIC, 8);
        memset(file + 16, 0, 16);
        put(file + 32, size - JOURNAL_HEADER_BYTES, 8);
        put(file, hm_crc32c(0, (struct hm_bytes){file + 4, size - 4}), 4);
    }
}

static void repair_segment(uint8_t *file, size_t size, uint64_t number)
{
    if (size < JOURNAL_HEADER_BYTES) {
        return;
    }
    put(file, JOURNAL_SEGMENT_MAGIC, 8);
    put(file + 8, JOURNAL_FORMAT, 4);
    memset(file + 16, 0, 16);
    put(file + 32, number, 8);
    struct hm_bytes header = {file, JOURNAL_HEADER_BYTES - 4};
    put(file + JOURNAL_HEADER_BYTES - 4, hm_crc32c(0, header), 4);
    size_t at = JOURNAL_HEADER_BYTES;
    while (at + JOURNAL_RECORD_BYTES < size) {
        size_t length = file[at + 4];
        size_t end = at + JOURNAL_RECORD_BYTES + JOURNAL_ALIGN(length);
        if (end > size) {
            return;
        }
        memset(file + at + 5, 0, 3);
        put(file + at, journal_record_crc(number, (struct hm_bytes){file + at + 4, end - at - 4}),
            4);
        at = end;
    }
}

/* The state that comes out is one that an engine could take: no gaps. */
static void restored(void *context, const struct hm_message *message)
{
    uint64_t *next = context;
    if (message->kind == HM_MSG_log_hard_state) {
        *next = 0; /* another log */
    } else if (message->kind == HM_MSG_log_snapshot) {
        *next = message->log_snapshot.last_index + 1;
    } else {
        HM_ASSERT(message->log_append.entries_count > 0);
        HM_ASSERT(*next == 0 || message->log_append.first_index == *next ||
                  message->log_append.first_index == 1);
        *next = message->log_append.first_index + message->log_append.entries_count;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hm_disk_file files[FILES_MAX];
    size_t count = 0;
    while (size >= 3 && count < FILES_MAX) {
        unsigned kind = data[0];
        size_t length = data[1] | (size_t)data[2] << 8;
        data += 3;
        size -= 3;
        length = length < size ? length : size;
        uint8_t *content = hm_alloc(length + 1, 1);
        memcpy(content, data, length);
        data += length;
        size -= length;
        struct hm_disk_file *file = &files[count++];
        if (kind & IS_SNAPSHOT) {
            journal_snapshot_name(file->name, kind & NUMBER);
        } else {
            journal_segment_name(file->name, kind & NUMBER);
        }
        if (kind & IS_REPAIRED) {
            if (kind & IS_SNAPSHOT) {
                repair_snapshot(content, length);
            } else {
                repair_segment(content, length, kind & NUMBER);
            }
        }
        file->content = (struct hm_bytes){content, length};
    }
    struct hm_journal *journal = hm_journal_new(&(struct hm_journal_config){.segment_bytes = 4096});
    struct hm_buf error = {0};
    struct hm_buf report = {0};
    uint64_t next = 0;
    enum hm_status status =
        hm_journal_recover(journal, files, count, restored, &next, &error, &report);
    HM_ASSERT((status == HM_OK) == (error.size == 0));
    struct hm_journal_batch batch;
    while (status == HM_OK && hm_journal_output(journal, &batch)) {
        hm_journal_done(journal, HM_OK);
    }
    hm_journal_free(journal);
    hm_buf_fini(&error);
    hm_buf_fini(&report);
    while (count) {
        hm_bytes_free(files[--count].content);
    }
    return 0;
}
