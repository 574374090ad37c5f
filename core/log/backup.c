#include "core/log/backup.h"

#include "core/base/assert.h"
#include "core/base/memory.h"
#include "core/base/plant.h"

#include <inttypes.h>
#include <sodium.h>
#include <string.h>

/* Above this an index or term is a lie, and sums cannot overflow below. */
#define NUMBER_MAX (UINT64_MAX >> 3)

static const char magic[8] = {'H', 'I', 'M', 'B', 'A', 'C', 'K', 'F'};

/* Over the checksum before, if any, and what follows it. */
static void add_up(const uint8_t *before, struct hm_bytes bytes, uint8_t out[HM_BACKUP_SUM_BYTES])
{
    crypto_generichash_state state;
    crypto_generichash_init(&state, NULL, 0, HM_BACKUP_SUM_BYTES);
    if (before) {
        crypto_generichash_update(&state, before, HM_BACKUP_SUM_BYTES);
    }
    crypto_generichash_update(&state, bytes.data, bytes.size);
    crypto_generichash_final(&state, out, HM_BACKUP_SUM_BYTES);
}

/* ---- written ---- */

static void put_block(struct hm_backup_writer *writer, const struct hm_message *message,
                      struct hm_buf *out)
{
    struct hm_buf body = {0};
    size_t at = out->size;
    hm_message_encode(&body, message);
    HM_ASSERT(body.size <= HM_BACKUP_BLOCK_BYTES_MAX);
    hm_put_u32(out, (uint32_t)body.size);
    hm_buf_append(out, body.data, body.size);
    hm_buf_fini(&body);
    add_up(writer->sum, (struct hm_bytes){out->data + at, out->size - at}, writer->sum);
    hm_buf_append(out, writer->sum, sizeof writer->sum);
    writer->bytes += out->size - at;
}

void hm_backup_begin(struct hm_backup_writer *writer, const struct hm_backup_head *head,
                     struct hm_buf *out)
{
    size_t at = out->size;
    hm_buf_append(out, magic, sizeof magic);
    hm_put_u32(out, HM_BACKUP_FORMAT);
    hm_put_u32(out, 0);
    *writer = (struct hm_backup_writer){.bytes = HM_BACKUP_START_BYTES};
    add_up(NULL, (struct hm_bytes){out->data + at, HM_BACKUP_START_BYTES}, writer->sum);
    put_block(writer,
              &(struct hm_message){.kind = HM_MSG_backup_header, .backup_header = {.head = *head}},
              out);
}

void hm_backup_log(struct hm_backup_writer *writer, const struct hm_backup_log *log,
                   struct hm_buf *out)
{
    writer->logs++;
    put_block(
        writer,
        &(struct hm_message){.kind = HM_MSG_backup_section, .backup_section = {.about = *log}},
        out);
}

void hm_backup_data(struct hm_backup_writer *writer, struct hm_bytes data, struct hm_buf *out)
{
    HM_ASSERT(data.size > 0 && data.size <= HM_BACKUP_DATA_BYTES_MAX);
    put_block(writer,
              &(struct hm_message){.kind = HM_MSG_backup_data, .backup_data = {.data = data}}, out);
}

void hm_backup_end(struct hm_backup_writer *writer, struct hm_buf *out)
{
    put_block(writer,
              &(struct hm_message){.kind = HM_MSG_backup_end,
                                   .backup_end = {.logs = writer->logs, .bytes = writer->bytes}},
              out);
}

/* ---- read ---- */

struct hm_backup_reader {
    struct hm_backup_visitor visitor;
    struct hm_buf *error;
    enum hm_status status; /* of what has come so far */
    struct hm_buf in;      /* the block that is coming */
    uint64_t offset;       /* where it begins */
    uint8_t sum[HM_BACKUP_SUM_BYTES];
    bool started; /* the first bytes are those of a backup */
    bool ended;
    struct hm_arena arena;   /* of a block */
    struct hm_log_name *all; /* the logs that the header lists; owned */
    uint32_t count;          /* of them; 0: the header has not come */
    uint32_t done;           /* so many logs have come whole */
    bool inside;             /* one is coming */
    struct hm_backup_log log;
    struct hm_buf state; /* what has come of it */
};

struct hm_backup_reader *hm_backup_reader_new(const struct hm_backup_visitor *visitor,
                                              struct hm_buf *error)
{
    struct hm_backup_reader *reader = hm_alloc(1, sizeof *reader);
    reader->visitor = *visitor;
    reader->error = error;
    return reader;
}

void hm_backup_reader_free(struct hm_backup_reader *reader)
{
    if (!reader) {
        return;
    }
    hm_buf_fini(&reader->in);
    hm_buf_fini(&reader->state);
    hm_arena_fini(&reader->arena);
    hm_free(reader->all);
    hm_free(reader);
}

/* Where it is, for people: "section 2 (log audit)". */
static void put_place(const struct hm_backup_reader *reader)
{
    if (reader->count == 0) {
        hm_buf_printf(reader->error, "in its header");
    } else if (reader->done < reader->count) {
        const struct hm_log_name *log = &reader->all[reader->done];
        hm_buf_printf(reader->error, "in section %u of %u (%s %s)", reader->done + 1, reader->count,
                      log->log ? "log" : "the event log,", log->name.text);
    } else {
        hm_buf_printf(reader->error, "behind its last section");
    }
}

#define DAMAGED(reader, ...)                                       \
    (put_place(reader), hm_buf_append_text((reader)->error, ": "), \
     hm_buf_printf((reader)->error, __VA_ARGS__), HM_DAMAGED)

static enum hm_status take_start(struct hm_backup_reader *reader)
{
    struct hm_reader in = hm_reader_of(hm_buf_view(&reader->in));
    struct hm_bytes first = hm_get_bytes(&in, sizeof magic);
    uint32_t format = hm_get_u32(&in);
    uint32_t zero = hm_get_u32(&in);
    if (!hm_bytes_equal(first, (struct hm_bytes){(const uint8_t *)magic, sizeof magic})) {
        hm_buf_append_text(reader->error, "it is no backup: it does not begin like one");
        return HM_DAMAGED;
    }
    if (format != HM_BACKUP_FORMAT) {
        hm_buf_printf(reader->error,
                      "it is of format %" PRIu32 "; this release reads format %u, a newer one may "
                      "read it",
                      format, HM_BACKUP_FORMAT);
        return HM_WRONG_FEATURE;
    }
    if (zero != 0) {
        return DAMAGED(reader, "byte 12 to 15 are not what was written");
    }
    add_up(NULL, hm_buf_view(&reader->in), reader->sum);
    reader->started = true;
    return HM_OK;
}

/* The event log comes first, the others by rising id, so none comes twice. */
static bool is_in_order(const struct hm_backup_head *head)
{
    for (uint32_t i = 0; i < head->logs_count; i++) {
        if (i == 0 ? head->logs[i].log != 0 : head->logs[i].log <= head->logs[i - 1].log) {
            return false;
        }
    }
    return head->logs_count > 0 && head->cluster != 0;
}

static enum hm_status take_head(struct hm_backup_reader *reader, const struct hm_backup_head *head)
{
    if (reader->count || !is_in_order(head)) {
        return DAMAGED(reader, "the block at byte %" PRIu64 " is out of place", reader->offset);
    }
    reader->count = head->logs_count;
    reader->all = hm_alloc(head->logs_count, sizeof *reader->all);
    memcpy(reader->all, head->logs, head->logs_count * sizeof *head->logs);
    return reader->visitor.head(reader->visitor.context, head);
}

static bool is_next(const struct hm_backup_reader *reader, const struct hm_backup_log *log)
{
    if (reader->inside || reader->done == reader->count) {
        return false;
    }
    const struct hm_log_name *next = &reader->all[reader->done];
    return log->log == next->log && hm_name_equal(&log->name, &next->name) && log->applied != 0 &&
           log->applied <= NUMBER_MAX && log->term != 0 && log->term <= NUMBER_MAX &&
           log->bytes != 0 && log->bytes <= HM_WIRE_STORED_BYTES_MAX;
}

static enum hm_status take_log(struct hm_backup_reader *reader, const struct hm_backup_log *log)
{
    if (!is_next(reader, log)) {
        return DAMAGED(reader, "the block at byte %" PRIu64 " is out of place", reader->offset);
    }
    reader->inside = true;
    reader->log = *log;
    hm_buf_clear(&reader->state);
    return HM_OK;
}

static enum hm_status take_data(struct hm_backup_reader *reader, struct hm_bytes data)
{
    if (!reader->inside || data.size == 0 || data.size > reader->log.bytes - reader->state.size) {
        return DAMAGED(reader, "the block at byte %" PRIu64 " is out of place", reader->offset);
    }
    hm_buf_append(&reader->state, data.data, data.size);
    if (reader->state.size < reader->log.bytes) {
        return HM_OK;
    }
    enum hm_status status =
        reader->visitor.log(reader->visitor.context, &reader->log, hm_buf_view(&reader->state));
    reader->inside = false;
    reader->done += status == HM_OK;
    return status;
}

static enum hm_status take_message(struct hm_backup_reader *reader, struct hm_bytes body)
{
    struct hm_message message;
    struct hm_reader in = hm_reader_of(body);
    enum hm_status status = hm_message_decode(&in, &reader->arena, &message);
    if (status == HM_OK && hm_reader_left(&in) == 0) {
        switch ((int)message.kind) {
        case HM_MSG_backup_header:
            return take_head(reader, &message.backup_header.head);
        case HM_MSG_backup_section:
            return take_log(reader, &message.backup_section.about);
        case HM_MSG_backup_data:
            return take_data(reader, message.backup_data.data);
        case HM_MSG_backup_end:
            if (reader->count && reader->done == reader->count &&
                message.backup_end.logs == reader->count &&
                message.backup_end.bytes == reader->offset) {
                reader->ended = true;
                return HM_OK;
            }
            break;
        default:
            break;
        }
    }
    return DAMAGED(reader, "the block at byte %" PRIu64 " is not one of this format",
                   reader->offset);
}

static enum hm_status take_block(struct hm_backup_reader *reader)
{
    uint8_t sum[HM_BACKUP_SUM_BYTES];
    size_t size = reader->in.size - HM_BACKUP_SUM_BYTES;
    add_up(reader->sum, (struct hm_bytes){reader->in.data, size}, sum);
    if (memcmp(sum, reader->in.data + size, sizeof sum) != 0 && !hm_plant("backup_unchecked")) {
        return DAMAGED(reader, "bytes %" PRIu64 " to %" PRIu64 " do not match their checksum",
                       reader->offset, reader->offset + reader->in.size - 1);
    }
    memcpy(reader->sum, sum, sizeof sum);
    struct hm_bytes body = {reader->in.data + sizeof(uint32_t), size - sizeof(uint32_t)};
    enum hm_status status = take_message(reader, body);
    hm_arena_clear(&reader->arena);
    return status;
}

/* How long what is coming is, as far as it is known. */
static enum hm_status wanted(struct hm_backup_reader *reader, size_t *out)
{
    struct hm_reader in = hm_reader_of(hm_buf_view(&reader->in));
    *out = !reader->started ? HM_BACKUP_START_BYTES : sizeof(uint32_t);
    if (!reader->started || reader->in.size < sizeof(uint32_t)) {
        return HM_OK;
    }
    uint32_t size = hm_get_u32(&in);
    if (size == 0 || size > HM_BACKUP_BLOCK_BYTES_MAX) {
        return DAMAGED(reader, "the size at byte %" PRIu64 " is not one that a block has",
                       reader->offset);
    }
    *out = sizeof size + size + HM_BACKUP_SUM_BYTES;
    return HM_OK;
}

static enum hm_status feed(struct hm_backup_reader *reader, struct hm_bytes bytes)
{
    while (bytes.size) {
        size_t want;
        if (reader->ended) {
            return DAMAGED(reader, "there is more from byte %" PRIu64 " on, where it should end",
                           reader->offset);
        }
        enum hm_status status = wanted(reader, &want);
        if (status != HM_OK) {
            return status;
        }
        size_t lacks = want - reader->in.size;
        size_t take = lacks < bytes.size ? lacks : bytes.size;
        hm_buf_append(&reader->in, bytes.data, take);
        bytes = (struct hm_bytes){bytes.data + take, bytes.size - take};
        bool whole = reader->in.size == want && (!reader->started || want > sizeof(uint32_t));
        if (!whole) {
            continue;
        }
        status = reader->started ? take_block(reader) : take_start(reader);
        if (status != HM_OK) {
            return status;
        }
        reader->offset += reader->in.size;
        hm_buf_clear(&reader->in);
    }
    return HM_OK;
}

enum hm_status hm_backup_feed(struct hm_backup_reader *reader, struct hm_bytes bytes)
{
    if (reader->status == HM_OK) {
        reader->status = feed(reader, bytes);
    }
    return reader->status;
}

enum hm_status hm_backup_finish(struct hm_backup_reader *reader)
{
    if (reader->status == HM_OK && !reader->ended && !hm_plant("backup_may_be_cut")) {
        reader->status =
            DAMAGED(reader, "it is cut off after byte %" PRIu64, reader->offset + reader->in.size);
    }
    return reader->status;
}
