/* A backup file of any bytes, checked as a whole and then restored. The first byte says how much is
 * fed at a time, and by its highest bit whether the rest is a file as it is, or the messages of one
 * (size (2 bytes), message), which get the frame and the checksums that a file has. */
#include "core/base/assert.h"
#include "core/node/control/restore.h"
#include "tests/unit/backup_feed.h"

#include <sodium.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SUM HM_BACKUP_SUM_BYTES

static void add_sum(struct hm_buf *file, size_t from, size_t size)
{
    uint8_t sum[SUM];
    crypto_generichash(sum, sizeof sum, file->data + from, size, NULL, 0);
    hm_buf_append(file, sum, sizeof sum);
}

/* The checksum before a block stands right before it; that of the first bytes is not in the file.
 */
static void frame(struct hm_bytes messages, struct hm_buf *file)
{
    struct hm_buf chain = {0};
    struct hm_reader in = hm_reader_of(messages);
    hm_buf_append(file, "HIMBACKF\1\0\0\0\0\0\0\0", HM_BACKUP_START_BYTES);
    hm_buf_append(&chain, file->data, file->size);
    add_sum(&chain, 0, chain.size);
    size_t last = HM_BACKUP_START_BYTES;
    while (hm_reader_left(&in) >= 2) {
        size_t wanted = hm_get_u8(&in);
        wanted |= (size_t)hm_get_u8(&in) << 8;
        struct hm_bytes one =
            hm_get_bytes(&in, wanted < hm_reader_left(&in) ? wanted : hm_reader_left(&in));
        hm_put_u32(&chain, (uint32_t)one.size);
        hm_buf_append(&chain, one.data, one.size);
        add_sum(&chain, last, chain.size - last);
        hm_put_u32(file, (uint32_t)one.size);
        hm_buf_append(file, one.data, one.size);
        hm_buf_append(file, chain.data + chain.size - SUM, SUM);
        last = chain.size - SUM;
    }
    hm_buf_fini(&chain);
}

static enum hm_status read_file(const struct hm_backup_visitor *visitor, struct hm_bytes file,
                                size_t step, struct hm_buf *error)
{
    struct hm_backup_reader *reader = hm_backup_reader_new(visitor, error);
    enum hm_status status = feed_all(reader, file, step);
    hm_backup_reader_free(reader);
    return status;
}

static enum hm_status ignore(void *context, const struct hm_disk_op *ops, size_t count)
{
    (void)ops;
    *(size_t *)context += count;
    return HM_OK;
}

/* What the check takes, a restore takes. */
static void restore(const struct hm_backup_check *check, struct hm_bytes file)
{
    struct hm_buf error = {0};
    size_t ops = 0;
    struct hm_label roles[] = {{{7, "control"}}, {{5, "names"}}};
    struct hm_restore_config config = {.self = {.id = {{1}},
                                                .name = hm_name_of("c1"),
                                                .addr = {.family = 4, .port = 1},
                                                .roles = roles,
                                                .roles_count = 2,
                                                .feature = HM_FEATURE_LEVEL},
                                       .other_key = true,
                                       .head = check->head};
    if (hm_restore_may(check, &config, &error) == HM_OK) {
        struct hm_restore *restoring = hm_restore_new(&config, ignore, &ops);
        struct hm_backup_visitor visitor = hm_restore_visitor(restoring);
        enum hm_status status = read_file(&visitor, file, file.size, &error);
        HM_ASSERT(status == HM_OK && ops > 0);
        status = hm_restore_finish(restoring);
        HM_ASSERT(status == HM_OK);
        hm_restore_free(restoring);
    }
    hm_buf_fini(&error);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hm_buf file = {0};
    struct hm_buf error = {0};
    struct hm_backup_check check;
    if (size == 0) {
        return 0;
    }
    struct hm_bytes rest = {data + 1, size - 1};
    if (data[0] & 0x80) {
        frame(rest, &file);
    } else {
        hm_buf_append(&file, rest.data, rest.size);
    }
    hm_backup_check_init(&check, &error);
    struct hm_backup_visitor visitor = hm_backup_check_visitor(&check);
    size_t step = (size_t)(data[0] & 0x7f) + 1;
    enum hm_status status = read_file(&visitor, hm_buf_view(&file), step, &error);
    HM_ASSERT((status == HM_OK) == (error.size == 0));
    if (status == HM_OK) {
        restore(&check, hm_buf_view(&file));
    }
    hm_backup_check_fini(&check);
    hm_buf_fini(&error);
    hm_buf_fini(&file);
    return 0;
}
