#include "core/engine/journal.h"

#include "core/base/assert.h"
#include "core/base/hash.h"
#include "core/base/memory.h"
#include "core/base/plant.h"
#include "core/engine/journal_format.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* What a record of many made large is given back. */
#define RECORD_KEEP_BYTES (256u << 10)

/* ---- what both halves use ---- */

struct journal_log *journal_log_of(struct hm_journal *journal, uint32_t log)
{
    for (size_t i = 0; i < journal->log_count; i++) {
        if (journal->logs[i].log == log) {
            return &journal->logs[i];
        }
    }
    journal->logs =
        hm_grow(journal->logs, journal->log_count, &journal->log_capacity, sizeof *journal->logs);
    struct journal_log *added = &journal->logs[journal->log_count++];
    *added = (struct journal_log){.log = log};
    return added;
}

static void cut_runs(struct journal_log *log, uint64_t first_index)
{
    while (log->run_count && log->runs[log->run_count - 1].first_index >= first_index) {
        log->run_count--;
    }
    /* Cutting behind the end changes nothing. */
    log->next_index = first_index < log->next_index ? first_index : log->next_index;
}

void journal_run(struct journal_log *log, uint64_t first_index, uint64_t term)
{
    cut_runs(log, first_index);
    if (log->run_count == 0 || log->runs[log->run_count - 1].term != term) {
        log->runs = hm_grow(log->runs, log->run_count, &log->run_capacity, sizeof *log->runs);
        log->runs[log->run_count++] = (struct journal_run){first_index, term};
    }
    log->next_index = first_index + 1;
}

/* Raft, section 7, step 6. Returns whether entries stay. */
static bool keeps_entries(struct journal_log *log, uint64_t last_index, uint64_t last_term)
{
    size_t at = log->run_count;
    while (at > 0 && log->runs[at - 1].first_index > last_index) {
        at--;
    }
    if (at == 0 || last_index >= log->next_index || log->runs[at - 1].term != last_term) {
        log->run_count = 0;
        journal_run(log, last_index, last_term);
        return false;
    }
    log->run_count -= at - 1;
    memmove(log->runs, log->runs + at - 1, log->run_count * sizeof *log->runs);
    return true;
}

struct journal_segment *journal_add_segment(struct hm_journal *journal, uint64_t number,
                                            uint64_t bytes)
{
    journal->segments = hm_grow(journal->segments, journal->segment_count,
                                &journal->segment_capacity, sizeof *journal->segments);
    struct journal_segment *added = &journal->segments[journal->segment_count++];
    *added = (struct journal_segment){.number = number, .bytes = bytes};
    return added;
}

void journal_cover(struct journal_segment *segment, uint32_t log, uint64_t last_index)
{
    for (size_t i = 0; i < segment->cover_count; i++) {
        if (segment->covers[i].log == log) {
            if (segment->covers[i].last_index < last_index) {
                segment->covers[i].last_index = last_index;
            }
            return;
        }
    }
    segment->covers = hm_grow(segment->covers, segment->cover_count, &segment->cover_capacity,
                              sizeof *segment->covers);
    segment->covers[segment->cover_count++] = (struct journal_cover){log, last_index};
}

void journal_segment_name(char name[HM_DISK_FILE_BYTES_MAX], uint64_t number)
{
    /* By hand: this is done for every operation on the disk. */
    static const char prefix[] = "journal-";
    static const char digits[] = "0123456789abcdef";
    memcpy(name, prefix, sizeof prefix - 1);
    char *at = name + sizeof prefix - 1;
    for (int shift = 60; shift >= 0; shift -= 4) {
        *at++ = digits[number >> shift & 15];
    }
    *at = 0;
}

void journal_snapshot_name(char name[HM_DISK_FILE_BYTES_MAX], uint32_t log)
{
    snprintf(name, HM_DISK_FILE_BYTES_MAX, "snapshot-%08" PRIx32, log);
}

uint32_t journal_record_crc(uint64_t segment, struct hm_bytes behind_crc)
{
    uint8_t number[8];
    for (size_t i = 0; i < sizeof number; i++) {
        number[i] = (uint8_t)(segment >> (8 * i));
    }
    return hm_crc32c(hm_crc32c(0, (struct hm_bytes){number, sizeof number}), behind_crc);
}

/* ---- life ---- */

struct hm_journal *hm_journal_new(const struct hm_journal_config *config)
{
    struct hm_journal *journal = hm_alloc(1, sizeof *journal);
    journal->config = *config;
    if (journal->config.segment_bytes == 0) {
        journal->config.segment_bytes = HM_JOURNAL_SEGMENT_BYTES;
    }
    journal->config.segment_bytes = JOURNAL_ALIGN(journal->config.segment_bytes);
    journal->sequence = 1;
    return journal;
}

static void pending_fini(struct journal_pending *pending)
{
    hm_buf_fini(&pending->message);
    hm_buf_fini(&pending->snapshot);
}

void hm_journal_free(struct hm_journal *journal)
{
    if (!journal) {
        return;
    }
    for (size_t i = 0; i < journal->pending_count; i++) {
        pending_fini(&journal->pending[i]);
    }
    for (size_t i = 0; i < journal->segment_count; i++) {
        hm_free(journal->segments[i].covers);
    }
    for (size_t i = 0; i < journal->log_count; i++) {
        hm_free(journal->logs[i].runs);
    }
    hm_free(journal->pending);
    hm_free(journal->segments);
    hm_free(journal->logs);
    hm_free(journal->upkeep_ops);
    for (size_t i = 0; i < journal->side_count; i++) {
        hm_buf_fini(&journal->sides[i].content);
    }
    hm_free(journal->sides);
    hm_buf_fini(&journal->record);
    hm_buf_fini(&journal->snapshot);
    hm_arena_fini(&journal->arena);
    hm_free(journal);
}

/* ---- writing ---- */

static void pad(struct hm_buf *buf, size_t size)
{
    HM_ASSERT(size >= buf->size);
    size_t missing = size - buf->size;
    memset(hm_buf_extend(buf, missing), 0, missing);
}

static void poke_u32(struct hm_buf *buf, size_t offset, uint32_t value)
{
    for (size_t i = 0; i < 4; i++) {
        buf->data[offset + i] = (uint8_t)(value >> (8 * i));
    }
}

static void encode_snapshot_file(const struct hm_journal *journal, const struct hm_message *message,
                                 struct hm_buf *out)
{
    hm_put_u32(out, 0);
    hm_put_u32(out, JOURNAL_FORMAT);
    hm_put_u64(out, JOURNAL_SNAPSHOT_MAGIC);
    hm_buf_append(out, journal->config.owner.bytes, sizeof journal->config.owner.bytes);
    pad(out, JOURNAL_HEADER_BYTES);
    hm_message_encode(out, message); /* large: it is not made twice */
    uint64_t body = out->size - JOURNAL_HEADER_BYTES;
    poke_u32(out, JOURNAL_LENGTH_AT, (uint32_t)body);
    poke_u32(out, JOURNAL_LENGTH_AT + 4, (uint32_t)(body >> 32));
    poke_u32(out, 0, hm_crc32c(0, (struct hm_bytes){out->data + 4, out->size - 4}));
}

static void encode_mark(struct hm_buf *out, uint32_t log, uint64_t last_index, uint64_t last_term)
{
    struct hm_message mark = {
        .kind = HM_MSG_log_snapshot,
        .log_snapshot = {.log = log, .last_index = last_index, .last_term = last_term}};
    hm_message_encode(out, &mark);
}

/* With the number of what was written last. */
static struct journal_pending *queue(struct hm_journal *journal, uint32_t log,
                                     enum hm_message_kind kind)
{
    journal->pending = hm_grow(journal->pending, journal->pending_count, &journal->pending_capacity,
                               sizeof *journal->pending);
    struct journal_pending *added = &journal->pending[journal->pending_count++];
    *added = (struct journal_pending){.number = journal->number, .log = log, .kind = kind};
    return added;
}

struct journal_pending *journal_queue_mark(struct hm_journal *journal, uint32_t log,
                                           uint64_t last_index, uint64_t last_term, bool cuts)
{
    struct journal_pending *mark = queue(journal, log, HM_MSG_log_snapshot);
    mark->last_index = last_index;
    mark->snapshot_term = last_term;
    encode_mark(&mark->message, log, last_index, last_term);
    if (cuts) {
        struct hm_message cut = {.kind = HM_MSG_log_append,
                                 .log_append = {.log = log, .first_index = last_index + 1}};
        hm_message_encode(&mark->message, &cut);
    }
    return mark;
}

/* Takes away what waits beside the journal for a log; what is out stays. */
static void drop_sides(struct hm_journal *journal, uint32_t log)
{
    for (size_t i = journal->side_count; i > (journal->upkeep == JOURNAL_SNAPSHOT ? 1 : 0); i--) {
        if (journal->sides[i - 1].log == log) {
            hm_buf_fini(&journal->sides[i - 1].content);
            journal->side_count--;
            memmove(journal->sides + i - 1, journal->sides + i,
                    (journal->side_count - (i - 1)) * sizeof *journal->sides);
        }
    }
}

static void add_side(struct hm_journal *journal, const struct hm_message *persist)
{
    const struct hm_log_snapshot *snapshot = &persist->log_snapshot;
    drop_sides(journal, snapshot->log);
    journal->sides = hm_grow(journal->sides, journal->side_count, &journal->side_capacity,
                             sizeof *journal->sides);
    struct journal_side *side = &journal->sides[journal->side_count++];
    *side = (struct journal_side){
        .log = snapshot->log, .last_index = snapshot->last_index, .last_term = snapshot->last_term};
    encode_snapshot_file(journal, persist, &side->content);
}

/* Only a place in the record: the content has its own file. */
static void write_snapshot(struct hm_journal *journal, const struct hm_message *persist, bool keeps)
{
    const struct hm_log_snapshot *snapshot = &persist->log_snapshot;
    drop_sides(journal, snapshot->log);
    struct journal_pending *mark = journal_queue_mark(journal, snapshot->log, snapshot->last_index,
                                                      snapshot->last_term, !keeps);
    encode_snapshot_file(journal, persist, &mark->snapshot);
}

static void write_append(struct hm_journal *journal, const struct hm_message *persist,
                         struct hm_bytes encoded)
{
    const struct hm_log_append *append = &persist->log_append;
    struct journal_log *log = journal_log_of(journal, append->log);
    HM_ASSERT(append->first_index > 0);
    cut_runs(log, append->first_index);
    for (uint32_t i = 0; i < append->entries_count; i++) {
        journal_run(log, append->first_index + i, append->entries[i].term);
    }
    struct journal_pending *added = queue(journal, append->log, HM_MSG_log_append);
    added->last_index = append->entries_count ? log->next_index - 1 : 0;
    hm_buf_append(&added->message, encoded.data, encoded.size);
}

static void write_hard_state(struct hm_journal *journal, const struct hm_message *persist,
                             struct hm_bytes encoded)
{
    struct journal_pending *added =
        queue(journal, persist->log_hard_state.log, HM_MSG_log_hard_state);
    added->hard_state = persist->log_hard_state;
    hm_buf_append(&added->message, encoded.data, encoded.size);
}

static void write_forget(struct hm_journal *journal, const struct hm_message *persist)
{
    uint32_t log = persist->log_forget.log;
    drop_sides(journal, log);
    hm_message_encode(&queue(journal, log, HM_MSG_log_forget)->message, persist);
}

void hm_journal_move(struct hm_journal *journal, const struct hm_bytes *moved, size_t count)
{
    HM_ASSERT(count > 0);
    for (size_t i = 0; i < count; i++) {
        struct hm_message message;
        enum hm_status status =
            hm_message_decode_only(moved[i], HM_MSG_log_moved, &journal->arena, &message);
        HM_ASSERT(status == HM_OK);
        const struct hm_log_moved *piece = &message.log_moved;
        struct journal_pending *added = queue(journal, piece->log, HM_MSG_log_moved);
        added->last_index = piece->first_index + piece->entries_count - 1;
        added->move = JOURNAL_MOVE | (i == 0 ? JOURNAL_MOVE_FIRST : 0) |
                      (i + 1 == count ? JOURNAL_MOVE_LAST : 0);
        hm_buf_append(&added->message, moved[i].data, moved[i].size);
        hm_arena_clear(&journal->arena);
    }
}

static void write(struct hm_journal *journal, const struct hm_message *persist,
                  struct hm_bytes encoded, uint64_t number)
{
    const struct hm_log_snapshot *snapshot =
        persist->kind == HM_MSG_log_snapshot ? &persist->log_snapshot : NULL;
    bool keeps = snapshot && keeps_entries(journal_log_of(journal, snapshot->log),
                                           snapshot->last_index, snapshot->last_term);
    journal->number = number;
    if (keeps && journal->config.sides) {
        add_side(journal, persist);
        return;
    }
    switch (persist->kind) {
    case HM_MSG_log_hard_state:
        write_hard_state(journal, persist, encoded);
        break;
    case HM_MSG_log_append:
        write_append(journal, persist, encoded);
        break;
    case HM_MSG_log_snapshot:
        write_snapshot(journal, persist, keeps);
        break;
    case HM_MSG_log_forget:
        write_forget(journal, persist);
        break;
    default:
        HM_ASSERT(persist->kind == HM_MSG_log_hard_state);
    }
}

void hm_journal_write(struct hm_journal *journal, const struct hm_message *persist, uint64_t number)
{
    struct hm_buf encoded = {0};
    hm_message_encode(&encoded, persist);
    write(journal, persist, hm_buf_view(&encoded), number);
    hm_buf_fini(&encoded);
}

void hm_journal_write_encoded(struct hm_journal *journal, struct hm_bytes persist, uint64_t number)
{
    struct hm_message message;
    struct hm_reader in = hm_reader_of(persist);
    enum hm_status status = hm_message_decode(&in, &journal->arena, &message);
    HM_ASSERT(status == HM_OK);
    write(journal, &message, persist, number);
    hm_arena_clear(&journal->arena);
}

/* ---- batches ---- */

static struct hm_disk_op op_on(enum hm_disk_op_kind kind, uint64_t segment, uint64_t bytes)
{
    struct hm_disk_op op = {.kind = kind, .size = bytes};
    journal_segment_name(op.file, segment);
    return op;
}

static struct hm_disk_op *add_op(struct hm_journal *journal, enum hm_disk_op_kind kind,
                                 uint64_t segment)
{
    HM_ASSERT(journal->op_count < JOURNAL_OPS_MAX);
    struct hm_disk_op *op = &journal->ops[journal->op_count++];
    *op = op_on(kind, segment, 0);
    return op;
}

static struct journal_segment *last_segment(struct hm_journal *journal)
{
    return journal->segment_count ? &journal->segments[journal->segment_count - 1] : NULL;
}

/* Makes the next segment the last one: its header, and the messages that every segment starts with,
 * go into `record` and `body`. */
static void roll(struct hm_journal *journal, struct hm_buf *body, size_t first_message_bytes)
{
    for (size_t i = 0; i < journal->log_count; i++) {
        const struct journal_log *log = &journal->logs[i];
        if (log->has_hard_state && !hm_plant("journal_drops_vote")) {
            hm_message_encode(body, &(struct hm_message){.kind = HM_MSG_log_hard_state,
                                                         .log_hard_state = log->hard_state});
        }
        if (log->snapshot_index && !hm_plant("journal_drops_snapshot")) {
            encode_mark(body, log->log, log->snapshot_index, log->snapshot_term);
        }
    }
    uint64_t bytes = JOURNAL_HEADER_BYTES + JOURNAL_RECORD_BYTES +
                     JOURNAL_ALIGN((uint64_t)body->size + first_message_bytes);
    if (bytes < journal->config.segment_bytes) {
        bytes = journal->config.segment_bytes;
    }
    const struct journal_segment *before = last_segment(journal);
    uint64_t number = before ? before->number + 1 : 1;
    if (journal->spare && journal->spare_bytes >= bytes) {
        bytes = journal->spare_bytes;
    } else {
        /* The file may be there from an attempt that failed or was cut short: it holds nothing. */
        add_op(journal, HM_DISK_REMOVE, number);
        add_op(journal, HM_DISK_ALLOCATE, number)->size = bytes;
    }
    journal->spare = journal->spare_refused = false;
    journal_add_segment(journal, number, bytes);
    journal->offset = 0;
    struct hm_buf *record = &journal->record;
    hm_put_u64(record, JOURNAL_SEGMENT_MAGIC);
    hm_put_u32(record, JOURNAL_FORMAT);
    hm_put_u32(record, 0);
    hm_buf_append(record, journal->config.owner.bytes, sizeof journal->config.owner.bytes);
    hm_put_u64(record, number);
    hm_put_u64(record, journal->sequence);
    hm_put_u64(record, bytes);
    pad(record, JOURNAL_HEADER_BYTES - 4);
    hm_put_u32(record, hm_crc32c(0, hm_buf_view(record)));
}

static void note_move(struct hm_journal *journal, struct journal_log *log,
                      const struct journal_pending *pending)
{
    journal_cover(last_segment(journal), pending->log, pending->last_index);
    if (pending->move & JOURNAL_MOVE_FIRST) {
        log->moving_to = last_segment(journal)->number;
    }
    log->moved |= (pending->move & JOURNAL_MOVE_LAST) != 0;
}

/* The state that the record leaves behind: what is repeated at the head of the next segment. */
static void note(struct hm_journal *journal, const struct journal_pending *pending)
{
    struct journal_log *log = journal_log_of(journal, pending->log);
    if (pending->kind == HM_MSG_log_hard_state) {
        log->has_hard_state = true;
        log->hard_state = pending->hard_state;
    } else if (pending->kind == HM_MSG_log_append && pending->last_index) {
        journal_cover(last_segment(journal), pending->log, pending->last_index);
    } else if (pending->kind == HM_MSG_log_moved) {
        note_move(journal, log, pending);
    } else if (pending->kind == HM_MSG_log_snapshot && pending->last_index > log->snapshot_index) {
        log->snapshot_index = pending->last_index;
        log->snapshot_term = pending->snapshot_term;
    } else if (pending->kind == HM_MSG_log_forget) {
        log->has_hard_state = false;
        log->snapshot_index = 0;
        log->forgotten = true;
    }
}

/* A snapshot starts a batch: what was queued before it is durable before its file is replaced. So
 * does what touches such a file otherwise. */
static bool starts_batch(const struct journal_pending *pending)
{
    return pending->snapshot.size || pending->kind == HM_MSG_log_forget;
}

static bool needs_segment(struct hm_journal *journal)
{
    const struct journal_segment *segment = last_segment(journal);
    uint64_t first = JOURNAL_ALIGN((uint64_t)journal->pending[0].message.size);
    return !segment || journal->offset + JOURNAL_RECORD_BYTES + first > segment->bytes;
}

/* Two never make, replace or remove one file at the same time. */
static bool waits_for_upkeep(struct hm_journal *journal)
{
    const struct journal_pending *first = &journal->pending[0];
    switch (journal->upkeep) {
    case JOURNAL_ALLOCATE:
        return needs_segment(journal);
    case JOURNAL_SNAPSHOT:
        return starts_batch(first) && journal->sides[0].log == first->log;
    default:
        return false;
    }
}

/* Takes the queued messages that fit one record in one segment. */
static void take_messages(struct hm_journal *journal, uint64_t segment_bytes)
{
    struct hm_buf *record = &journal->record;
    size_t taken = 0;
    for (; taken < journal->pending_count; taken++) {
        struct journal_pending *pending = &journal->pending[taken];
        /* The header of a segment is aligned, so is the record in it. */
        uint64_t end =
            journal->offset + JOURNAL_ALIGN((uint64_t)record->size + pending->message.size);
        if (end > segment_bytes || (taken && starts_batch(pending))) {
            break;
        }
        if (pending->kind == HM_MSG_log_snapshot && pending->snapshot.size) {
            hm_buf_fini(&journal->snapshot);
            journal->snapshot = pending->snapshot;
            pending->snapshot = (struct hm_buf){0};
            struct hm_disk_op *op = add_op(journal, HM_DISK_REPLACE, 0);
            journal_snapshot_name(op->file, pending->log);
            op->bytes = hm_buf_view(&journal->snapshot);
        }
        hm_buf_append(record, pending->message.data, pending->message.size);
        journal->flight_number = pending->number;
        note(journal, pending);
        pending_fini(pending);
    }
    HM_ASSERT(taken > 0);
    journal->pending_count -= taken;
    memmove(journal->pending, journal->pending + taken,
            journal->pending_count * sizeof *journal->pending);
}

static void form_record(struct hm_journal *journal)
{
    struct hm_buf repeated = {0};
    size_t first = journal->pending[0].message.size;
    bool forgets = journal->pending[0].kind == HM_MSG_log_forget;
    uint32_t forgotten = journal->pending[0].log;
    struct hm_buf *record = &journal->record;
    hm_buf_reuse(record, RECORD_KEEP_BYTES);
    journal->op_count = 0;
    if (needs_segment(journal)) {
        roll(journal, &repeated, first);
    }
    const struct journal_segment *segment = last_segment(journal);
    size_t at = record->size;
    pad(record, at + JOURNAL_RECORD_BYTES);
    hm_buf_append(record, repeated.data, repeated.size);
    hm_buf_fini(&repeated);
    take_messages(journal, segment->bytes);

    size_t body = record->size - at - JOURNAL_RECORD_BYTES;
    HM_ASSERT(body <= JOURNAL_RECORD_BODY_MAX);
    pad(record, at + JOURNAL_RECORD_BYTES + JOURNAL_ALIGN((uint64_t)body));
    poke_u32(record, at + 4, (uint32_t)body);
    poke_u32(record, at + 8, (uint32_t)journal->sequence);
    poke_u32(record, at + 12, (uint32_t)(journal->sequence++ >> 32));
    struct hm_bytes behind_crc = {record->data + at + 4, record->size - at - 4};
    poke_u32(record, at, journal_record_crc(segment->number, behind_crc));

    struct hm_disk_op *op = add_op(journal, HM_DISK_WRITE, segment->number);
    op->offset = journal->offset;
    op->bytes = hm_buf_view(record);
    if (!hm_plant("journal_without_sync")) {
        add_op(journal, HM_DISK_SYNC, segment->number);
    }
    if (forgets) {
        journal_snapshot_name(add_op(journal, HM_DISK_REMOVE, 0)->file, forgotten);
    }
    journal->offset += record->size;
}

/* Do entries of the log up to there have to be found in that segment? */
static bool holds(const struct journal_log *log, const struct journal_segment *segment,
                  uint64_t snapshot_index, uint64_t last_index)
{
    return !log->forgotten && snapshot_index < last_index && segment->number >= log->held_from;
}

static bool is_covered(struct hm_journal *journal, const struct journal_segment *segment)
{
    for (size_t i = 0; i < segment->cover_count; i++) {
        const struct journal_cover *cover = &segment->covers[i];
        if (hm_plant("journal_removes_too_much") && cover->last_index % 2) {
            continue;
        }
        const struct journal_log *log = journal_log_of(journal, cover->log);
        if (holds(log, segment, log->durable_snapshot_index, cover->last_index)) {
            return false;
        }
    }
    return true;
}

/* Oldest first, so that a record that cut entries never goes before the entries. */
static size_t count_covered(struct hm_journal *journal)
{
    size_t count = 0;
    while (count + 1 < journal->segment_count && is_covered(journal, &journal->segments[count])) {
        count++;
    }
    return count;
}

/* ---- upkeep ---- */

static bool wants_spare(struct hm_journal *journal)
{
    const struct journal_segment *segment = last_segment(journal);
    if (!segment || journal->spare || journal->spare_refused) {
        return false;
    }
    /* Beside, or when idle, from the half on; after three quarters it may delay a batch. */
    uint64_t quarters = journal->pending_count && !journal->config.sides ? 3 : 2;
    return journal->offset > segment->bytes / 4 * quarters;
}

static struct hm_disk_op *room_for_upkeep(struct hm_journal *journal, size_t count)
{
    journal->upkeep_ops = hm_resize(journal->upkeep_ops, count, sizeof *journal->upkeep_ops);
    journal->upkeep_count = count;
    return journal->upkeep_ops;
}

static void form_removal(struct hm_journal *journal, size_t count)
{
    struct hm_disk_op *ops = room_for_upkeep(journal, count);
    for (size_t i = 0; i < count; i++) {
        ops[i] = op_on(HM_DISK_REMOVE, journal->segments[i].number, 0);
    }
}

static void form_spare(struct hm_journal *journal)
{
    struct hm_disk_op *ops = room_for_upkeep(journal, 2);
    uint64_t number = last_segment(journal)->number + 1;
    journal->spare_bytes = journal->config.segment_bytes;
    ops[0] = op_on(HM_DISK_REMOVE, number, 0); /* as in roll */
    ops[1] = op_on(HM_DISK_ALLOCATE, number, journal->spare_bytes);
}

static void form_snapshot(struct hm_journal *journal)
{
    const struct journal_side *side = &journal->sides[0];
    struct hm_disk_op *op = room_for_upkeep(journal, 1);
    *op = (struct hm_disk_op){.kind = HM_DISK_REPLACE, .bytes = hm_buf_view(&side->content)};
    journal_snapshot_name(op->file, side->log);
}

/* Segments come and go by what is durable alone: while a record is on its way, it might be the
 * first one of its segment, without which nothing before it may go and nothing may follow it. */
static bool form_upkeep(struct hm_journal *journal)
{
    bool settled = journal->flight == JOURNAL_IDLE || hm_plant("journal_upkeep_unsettled");
    size_t covered = settled ? count_covered(journal) : 0;
    if (covered) {
        form_removal(journal, covered);
        journal->upkeep = JOURNAL_REMOVE;
    } else if (settled && wants_spare(journal)) {
        form_spare(journal);
        journal->upkeep = JOURNAL_ALLOCATE;
    } else if (journal->side_count) {
        form_snapshot(journal);
        journal->upkeep = JOURNAL_SNAPSHOT;
    }
    return journal->upkeep != JOURNAL_NOTHING;
}

static void forget_segments(struct hm_journal *journal, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        hm_free(journal->segments[i].covers);
    }
    journal->segment_count -= count;
    memmove(journal->segments, journal->segments + count,
            journal->segment_count * sizeof *journal->segments);
}

/* A newer snapshot of the same log waits already. */
static bool is_overtaken(const struct hm_journal *journal)
{
    for (size_t i = 1; i < journal->side_count; i++) {
        if (journal->sides[i].log == journal->sides[0].log) {
            return true;
        }
    }
    return false;
}

/* What was queued against the log meanwhile knows better. */
static bool is_void(const struct hm_journal *journal, uint32_t log)
{
    for (size_t i = 0; i < journal->pending_count; i++) {
        if (journal->pending[i].log == log && starts_batch(&journal->pending[i])) {
            return true;
        }
    }
    return false;
}

static void snapshot_done(struct hm_journal *journal, enum hm_status status)
{
    struct journal_side side = journal->sides[0];
    bool is_useless = is_void(journal, side.log);
    if (status != HM_OK && !is_useless && !is_overtaken(journal)) {
        return;
    }
    journal->side_count--;
    memmove(journal->sides, journal->sides + 1, journal->side_count * sizeof *journal->sides);
    hm_buf_fini(&side.content);
    if (is_useless) {
        /* What makes it useless waits; once that is durable, so is all that was written. */
        journal->pending[journal->pending_count - 1].number = journal->number;
    } else if (status == HM_OK) {
        journal_queue_mark(journal, side.log, side.last_index, side.last_term, false);
    }
}

/* Returns whether it failed at what has to be done some day. */
static bool upkeep_done(struct hm_journal *journal, enum hm_status status)
{
    enum journal_upkeep upkeep = journal->upkeep;
    journal->upkeep = JOURNAL_NOTHING;
    switch (upkeep) {
    case JOURNAL_ALLOCATE:
        journal->spare = status == HM_OK;
        journal->spare_refused = status != HM_OK;
        return false;
    case JOURNAL_REMOVE:
        if (status == HM_OK) {
            forget_segments(journal, journal->upkeep_count);
            journal->spare_refused = false; /* there is room again */
        }
        return status != HM_OK;
    case JOURNAL_SNAPSHOT:
        snapshot_done(journal, status);
        return status != HM_OK;
    case JOURNAL_NOTHING:
        break;
    }
    HM_ASSERT(upkeep != JOURNAL_NOTHING);
    return false;
}

bool hm_journal_side_output(struct hm_journal *journal, struct hm_journal_batch *out)
{
    if (!journal->config.sides || journal->upkeep != JOURNAL_NOTHING || !form_upkeep(journal)) {
        return false;
    }
    *out = (struct hm_journal_batch){journal->upkeep_ops, journal->upkeep_count};
    return true;
}

bool hm_journal_side_done(struct hm_journal *journal, enum hm_status status)
{
    HM_ASSERT(journal->config.sides);
    return upkeep_done(journal, status);
}

/* ---- turns ---- */

static bool form(struct hm_journal *journal)
{
    if (!journal->config.sides && form_upkeep(journal)) {
        journal->flight = JOURNAL_UPKEEP;
    } else if (journal->pending_count && !waits_for_upkeep(journal)) {
        form_record(journal);
        journal->flight = JOURNAL_RECORDS;
    } else {
        return false;
    }
    return true;
}

bool hm_journal_output(struct hm_journal *journal, struct hm_journal_batch *out)
{
    if (journal->out || journal->failed) {
        return false;
    }
    if (journal->flight == JOURNAL_IDLE && !form(journal)) {
        return false;
    }
    journal->out = true;
    *out = journal->flight == JOURNAL_UPKEEP
               ? (struct hm_journal_batch){journal->upkeep_ops, journal->upkeep_count}
               : (struct hm_journal_batch){journal->ops, journal->op_count};
    return true;
}

static void records_done(struct hm_journal *journal)
{
    journal->durable = journal->flight_number;
    for (size_t i = 0; i < journal->log_count; i++) {
        struct journal_log *log = &journal->logs[i];
        log->durable_snapshot_index = log->snapshot_index;
        log->held_from = log->moved ? log->moving_to : log->held_from;
        log->moved = false;
    }
    hm_buf_fini(&journal->snapshot);
}

uint64_t hm_journal_done(struct hm_journal *journal, enum hm_status status)
{
    HM_ASSERT(journal->out);
    journal->out = false;
    if (journal->flight == JOURNAL_UPKEEP) {
        journal->failed = upkeep_done(journal, status);
        journal->flight = JOURNAL_IDLE;
    } else if (status != HM_OK) {
        journal->failed = true;
    } else {
        records_done(journal);
        journal->flight = JOURNAL_IDLE;
    }
    return journal->durable;
}

bool hm_journal_failed(const struct hm_journal *journal)
{
    return journal->failed;
}

void hm_journal_retry(struct hm_journal *journal)
{
    journal->failed = journal->spare_refused = false;
}

/* Is a snapshot that covers this, or another place of it, on its way to the disk? */
static bool is_snapshot_coming(const struct hm_journal *journal, const struct journal_cover *cover)
{
    for (size_t i = 0; i < journal->side_count; i++) {
        if (journal->sides[i].log == cover->log &&
            journal->sides[i].last_index >= cover->last_index) {
            return true;
        }
    }
    for (size_t i = 0; i < journal->pending_count; i++) {
        const struct journal_pending *pending = &journal->pending[i];
        if (pending->log == cover->log &&
            (pending->kind == HM_MSG_log_forget || pending->move ||
             (pending->kind == HM_MSG_log_snapshot && pending->last_index >= cover->last_index))) {
            return true;
        }
    }
    return false;
}

bool hm_journal_is_held(const struct hm_journal *journal, uint32_t *log)
{
    for (size_t i = 0; journal->segment_count > 1 && i < journal->segments[0].cover_count; i++) {
        const struct journal_cover *cover = &journal->segments[0].covers[i];
        for (size_t at = 0; at < journal->log_count; at++) {
            const struct journal_log *held = &journal->logs[at];
            if (held->log == cover->log &&
                holds(held, &journal->segments[0], held->snapshot_index, cover->last_index) &&
                !is_snapshot_coming(journal, cover)) {
                *log = cover->log;
                return true;
            }
        }
    }
    return false;
}

bool hm_journal_is_forgotten(const struct hm_journal *journal, uint32_t log)
{
    bool forgotten = false;
    for (size_t i = 0; i < journal->log_count; i++) {
        forgotten |= journal->logs[i].log == log && journal->logs[i].forgotten;
    }
    for (size_t i = 0; i < journal->pending_count; i++) {
        forgotten |=
            journal->pending[i].log == log && journal->pending[i].kind == HM_MSG_log_forget;
    }
    return forgotten;
}

uint64_t hm_journal_bytes(const struct hm_journal *journal)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < journal->segment_count; i++) {
        bytes += journal->segments[i].bytes;
    }
    return bytes;
}
