/* The recovering half of the journal: from the files of a directory to what the logs hold. */
#include "core/base/assert.h"
#include "core/base/hash.h"
#include "core/base/memory.h"
#include "core/base/plant.h"
#include "core/engine/journal.h"
#include "core/engine/journal_format.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* What one log holds while records are replayed: entries base+1 .. base+count. */
struct replay {
    uint32_t log;
    bool has_hard_state;
    struct hm_log_hard_state hard_state;
    bool has_snapshot; /* a file */
    struct hm_log_snapshot snapshot;
    bool forgotten;
    struct hm_buf damage; /* a sentence; it does not count where the log is forgotten later on */
    uint64_t mark;        /* newest snapshot that the records have named */
    uint64_t mark_term;
    uint64_t base;
    struct hm_entry *entries;
    size_t count;
    size_t capacity;
};

struct found {
    uint64_t number;
    const struct hm_disk_file *file;
    bool blank; /* zeros only */
};

struct recovery {
    struct hm_journal *journal;
    struct hm_arena arena;
    struct found *segments; /* by number */
    size_t segment_count;
    size_t segment_capacity;
    struct replay *replays;
    size_t replay_count;
    size_t replay_capacity;
    uint64_t offset; /* behind the last good record of the last segment */
    struct hm_buf *error;
    struct hm_buf *report;
};

#define DAMAGED(recovery, ...) (hm_buf_printf((recovery)->error, __VA_ARGS__), HM_DAMAGED)
/* Said of the first only. */
#define LACKS(replay, ...) \
    ((replay)->damage.size ? (void)0 : hm_buf_printf(&(replay)->damage, __VA_ARGS__), HM_OK)

static struct replay *replay_of(struct recovery *recovery, uint32_t log)
{
    for (size_t i = 0; i < recovery->replay_count; i++) {
        if (recovery->replays[i].log == log) {
            return &recovery->replays[i];
        }
    }
    recovery->replays = hm_grow(recovery->replays, recovery->replay_count,
                                &recovery->replay_capacity, sizeof *recovery->replays);
    struct replay *added = &recovery->replays[recovery->replay_count++];
    *added = (struct replay){.log = log};
    return added;
}

/* ---- files ---- */

/* `name` is `prefix` and then exactly `digits` lower-case hex digits. */
static bool parse_name(const char *name, const char *prefix, size_t digits, uint64_t *out)
{
    size_t start = strlen(prefix);
    if (strncmp(name, prefix, start) != 0 || strlen(name) != start + digits) {
        return false;
    }
    if (strspn(name + start, "0123456789abcdef") != digits) {
        return false;
    }
    *out = strtoull(name + start, NULL, 16);
    return true;
}

static bool is_blank(struct hm_bytes bytes)
{
    return bytes.size == 0 ||
           (bytes.data[0] == 0 && memcmp(bytes.data, bytes.data + 1, bytes.size - 1) == 0);
}

static int by_number(const void *a, const void *b)
{
    uint64_t left = ((const struct found *)a)->number;
    uint64_t right = ((const struct found *)b)->number;
    return left < right ? -1 : left > right;
}

static enum hm_status check_owner(struct recovery *recovery, const char *file, struct hm_bytes id)
{
    struct hm_id owner;
    char theirs[HM_ID_TEXT_BYTES];
    char ours[HM_ID_TEXT_BYTES];
    memcpy(owner.bytes, id.data, sizeof owner.bytes);
    if (hm_id_equal(&owner, &recovery->journal->config.owner)) {
        return HM_OK;
    }
    hm_buf_printf(recovery->error, "%s belongs to node %s, this is node %s: another node's data",
                  file, hm_id_format(&owner, theirs),
                  hm_id_format(&recovery->journal->config.owner, ours));
    return HM_DENIED;
}

static enum hm_status read_snapshot(struct recovery *recovery, const struct hm_disk_file *file,
                                    uint32_t log)
{
    struct hm_bytes all = file->content;
    struct hm_reader in = hm_reader_of(all);
    uint32_t crc = hm_get_u32(&in);
    uint32_t format = hm_get_u32(&in);
    uint64_t magic = hm_get_u64(&in);
    struct hm_bytes owner = hm_get_bytes(&in, 16);
    uint64_t length = hm_get_u64(&in);
    hm_get_bytes(&in, JOURNAL_HEADER_BYTES - 40);
    if (in.bad || magic != JOURNAL_SNAPSHOT_MAGIC || length != hm_reader_left(&in) ||
        crc != hm_crc32c(0, (struct hm_bytes){all.data + 4, all.size - 4})) {
        return DAMAGED(recovery,
                       "%s is damaged: its %zu bytes from byte 0 do not match its "
                       "checksum",
                       file->name, all.size);
    }
    if (format != JOURNAL_FORMAT) {
        return DAMAGED(recovery, "%s is of format %" PRIu32 " at byte 4; this release reads %u",
                       file->name, format, JOURNAL_FORMAT);
    }
    enum hm_status status = check_owner(recovery, file->name, owner);
    if (status != HM_OK) {
        return status;
    }
    struct hm_message message;
    struct hm_bytes body = hm_get_bytes(&in, (size_t)length);
    if (hm_message_decode_only(body, HM_MSG_log_snapshot, &recovery->arena, &message) != HM_OK ||
        message.log_snapshot.log != log) {
        return DAMAGED(recovery, "%s at byte %u: not a snapshot of log %" PRIu32, file->name,
                       JOURNAL_HEADER_BYTES, log);
    }
    struct replay *replay = replay_of(recovery, log);
    replay->has_snapshot = true;
    replay->snapshot = message.log_snapshot;
    return HM_OK;
}

/* Sorts out what is ours; afterwards the segments are in order, without a gap, and only the last
 * may be blank. */
static enum hm_status find_files(struct recovery *recovery, const struct hm_disk_file *files,
                                 size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t number;
        if (parse_name(files[i].name, "journal-", 16, &number)) {
            recovery->segments = hm_grow(recovery->segments, recovery->segment_count,
                                         &recovery->segment_capacity, sizeof *recovery->segments);
            recovery->segments[recovery->segment_count++] =
                (struct found){number, &files[i], is_blank(files[i].content)};
        } else if (parse_name(files[i].name, "snapshot-", 8, &number)) {
            enum hm_status status = read_snapshot(recovery, &files[i], (uint32_t)number);
            if (status != HM_OK) {
                return status;
            }
        }
    }
    if (recovery->segment_count == 0) {
        return recovery->replay_count == 0 ? HM_OK
                                           : DAMAGED(recovery,
                                                     "there is a snapshot of log %" PRIu32
                                                     " but no journal segment beside it",
                                                     recovery->replays[0].log);
    }
    qsort(recovery->segments, recovery->segment_count, sizeof *recovery->segments, by_number);
    for (size_t i = 0; i < recovery->segment_count; i++) {
        const struct found *segment = &recovery->segments[i];
        if (i && segment->number != segment[-1].number + 1) {
            char missing[HM_DISK_FILE_BYTES_MAX];
            journal_segment_name(missing, segment[-1].number + 1);
            return DAMAGED(recovery, "%s is missing: %s and %s are there", missing,
                           segment[-1].file->name, segment->file->name);
        }
        if (segment->blank && i + 1 < recovery->segment_count) {
            return DAMAGED(recovery, "%s is damaged at byte 0: zeros where its header was",
                           segment->file->name);
        }
    }
    return HM_OK;
}

/* ---- records ---- */

struct record {
    uint64_t sequence;
    struct hm_bytes body;
    uint64_t end;
};

static bool read_record(const struct found *segment, uint64_t offset, struct record *out)
{
    struct hm_bytes all = segment->file->content;
    if (offset > all.size || all.size - offset < JOURNAL_RECORD_BYTES) {
        return false;
    }
    struct hm_reader in = hm_reader_of((struct hm_bytes){all.data + offset, all.size - offset});
    uint32_t crc = hm_get_u32(&in);
    uint32_t length = hm_get_u32(&in);
    uint64_t sequence = hm_get_u64(&in);
    uint64_t padded = JOURNAL_ALIGN((uint64_t)length);
    if (length == 0 || sequence == 0 || padded > hm_reader_left(&in)) {
        return false;
    }
    struct hm_bytes behind_crc = {all.data + offset + 4,
                                  (size_t)(JOURNAL_RECORD_BYTES - 4 + padded)};
    if (crc != journal_record_crc(segment->number, behind_crc) &&
        !hm_plant("journal_trusts_torn_tail")) {
        return false;
    }
    *out = (struct record){sequence, {in.at, length}, offset + JOURNAL_RECORD_BYTES + padded};
    return true;
}

/* Is there a good record behind `offset` that was written after the one with `sequence`? */
static bool has_later_record(const struct found *segment, uint64_t offset, uint64_t sequence,
                             uint64_t *where)
{
    struct record record;
    struct hm_bytes all = segment->file->content;
    for (uint64_t at = offset; at + JOURNAL_RECORD_BYTES < all.size; at += 8) {
        struct hm_reader in = hm_reader_of((struct hm_bytes){all.data + at + 8, 8});
        if (hm_get_u64(&in) > sequence && read_record(segment, at, &record)) {
            *where = at;
            return true;
        }
    }
    return false;
}

static bool holds(const struct replay *replay, uint64_t index, uint64_t term)
{
    return index > replay->base && index - replay->base <= replay->count &&
           replay->entries[index - replay->base - 1].term == term;
}

static void replay_entry(struct replay *replay, const struct hm_entry *entry)
{
    replay->entries =
        hm_grow(replay->entries, replay->count, &replay->capacity, sizeof *replay->entries);
    replay->entries[replay->count++] = *entry;
}

static enum hm_status replay_append(struct recovery *recovery, const struct found *segment,
                                    uint64_t offset, const struct hm_log_append *append)
{
    struct replay *replay = replay_of(recovery, append->log);
    uint64_t covered = replay->has_snapshot ? replay->snapshot.last_index : 0;
    uint64_t next = replay->base + replay->count + 1;
    if (append->first_index == 0 || append->first_index > UINT64_MAX / 2) {
        return DAMAGED(recovery, "%s at byte %" PRIu64 ": entries without a possible index",
                       segment->file->name, offset);
    }
    if (append->entries_count == 0 && append->first_index >= next) {
        return HM_OK; /* nothing is there to cut */
    }
    /* Entries may be missing when they went with a segment that the snapshot covers. */
    if (append->first_index > next && append->first_index > covered + 1) {
        return LACKS(replay,
                     "%s at byte %" PRIu64 ": entries %" PRIu64 " to %" PRIu64 " of log %" PRIu32
                     " are missing before it",
                     segment->file->name, offset, next, append->first_index - 1, append->log);
    }
    if (append->first_index > next || append->first_index <= replay->base) {
        replay->base = append->first_index - 1;
        replay->count = 0;
    }
    replay->count = (size_t)(append->first_index - 1 - replay->base);
    for (uint32_t i = 0; i < append->entries_count; i++) {
        replay_entry(replay, &append->entries[i]);
    }
    return HM_OK;
}

/* The entries that the log has already stay, and what follows them: a crash may have come before
 * the rest of the move. What its first piece follows is the snapshot, so nothing is missing before
 * it, whatever went with the segments that it was moved out of. */
static enum hm_status replay_moved(struct recovery *recovery, const struct found *segment,
                                   uint64_t offset, const struct hm_log_moved *moved)
{
    struct replay *replay = replay_of(recovery, moved->log);
    uint64_t covered = replay->has_snapshot ? replay->snapshot.last_index : 0;
    if (moved->first_index == 0 || moved->first_index > UINT64_MAX / 2) {
        return DAMAGED(recovery, "%s at byte %" PRIu64 ": moved entries without a possible index",
                       segment->file->name, offset);
    }
    if (moved->first_index <= covered + 1) {
        hm_buf_clear(&replay->damage);
    } else if (moved->first_index > replay->base + replay->count + 1) {
        return LACKS(replay,
                     "%s at byte %" PRIu64 ": moved entries of log %" PRIu32 " before %" PRIu64
                     " are missing",
                     segment->file->name, offset, moved->log, moved->first_index);
    }
    if (moved->first_index > replay->base + replay->count + 1) {
        replay->base = moved->first_index - 1;
        replay->count = 0;
    }
    for (uint32_t i = 0; i < moved->entries_count; i++) {
        uint64_t index = moved->first_index + i;
        if (index <= replay->base || holds(replay, index, moved->entries[i].term)) {
            continue;
        }
        replay->count = (size_t)(index - 1 - replay->base);
        replay_entry(replay, &moved->entries[i]);
    }
    return HM_OK;
}

static enum hm_status replay_mark(struct recovery *recovery, const struct found *segment,
                                  uint64_t offset, const struct hm_log_snapshot *mark)
{
    struct replay *replay = replay_of(recovery, mark->log);
    if (mark->last_index <= replay->mark) {
        return HM_OK;
    }
    if (!replay->has_snapshot || replay->snapshot.last_index < mark->last_index) {
        char name[HM_DISK_FILE_BYTES_MAX];
        journal_snapshot_name(name, mark->log);
        return LACKS(replay,
                     "%s at byte %" PRIu64 " names a snapshot up to %" PRIu64 ", but %s is %s",
                     segment->file->name, offset, mark->last_index, name,
                     replay->has_snapshot ? "older" : "missing");
    }
    replay->mark = mark->last_index;
    replay->mark_term = mark->last_term;
    return HM_OK;
}

static enum hm_status replay_record(struct recovery *recovery, const struct found *segment,
                                    uint64_t offset, struct hm_bytes body)
{
    struct hm_reader in = hm_reader_of(body);
    while (hm_reader_left(&in)) {
        struct hm_message message;
        enum hm_status status = hm_message_decode(&in, &recovery->arena, &message);
        if (status == HM_OK && message.kind == HM_MSG_log_hard_state) {
            struct replay *replay = replay_of(recovery, message.log_hard_state.log);
            replay->has_hard_state = true;
            replay->hard_state = message.log_hard_state;
        } else if (status == HM_OK && message.kind == HM_MSG_log_append) {
            status = replay_append(recovery, segment, offset, &message.log_append);
        } else if (status == HM_OK && message.kind == HM_MSG_log_moved) {
            status = replay_moved(recovery, segment, offset, &message.log_moved);
        } else if (status == HM_OK && message.kind == HM_MSG_log_snapshot) {
            status = replay_mark(recovery, segment, offset, &message.log_snapshot);
        } else if (status == HM_OK && message.kind == HM_MSG_log_forget) {
            struct replay *replay = replay_of(recovery, message.log_forget.log);
            replay->forgotten = true;
        } else {
            return DAMAGED(recovery,
                           "%s at byte %" PRIu64 ": a record that this release cannot "
                           "read",
                           segment->file->name, offset);
        }
        if (status != HM_OK) {
            return status;
        }
        struct journal_segment *covers =
            &recovery->journal->segments[recovery->journal->segment_count - 1];
        if (message.kind == HM_MSG_log_append && message.log_append.entries_count) {
            journal_cover(covers, message.log_append.log,
                          message.log_append.first_index + message.log_append.entries_count - 1);
        } else if (message.kind == HM_MSG_log_moved && message.log_moved.entries_count) {
            journal_cover(covers, message.log_moved.log,
                          message.log_moved.first_index + message.log_moved.entries_count - 1);
        }
    }
    return HM_OK;
}

/* ---- segments ---- */

struct header {
    uint64_t first_sequence;
    uint64_t bytes; /* of the file when it was allocated */
};

/* HM_NOT_FOUND: no good header. */
static enum hm_status read_header(struct recovery *recovery, const struct found *segment,
                                  struct header *header)
{
    struct hm_bytes all = segment->file->content;
    struct hm_reader in = hm_reader_of(all);
    uint64_t magic = hm_get_u64(&in);
    uint32_t format = hm_get_u32(&in);
    hm_get_u32(&in);
    struct hm_bytes owner = hm_get_bytes(&in, 16);
    uint64_t number = hm_get_u64(&in);
    header->first_sequence = hm_get_u64(&in);
    header->bytes = hm_get_u64(&in);
    hm_get_bytes(&in, JOURNAL_HEADER_BYTES - 60);
    uint32_t crc = hm_get_u32(&in);
    if (in.bad || magic != JOURNAL_SEGMENT_MAGIC ||
        crc != hm_crc32c(0, (struct hm_bytes){all.data, JOURNAL_HEADER_BYTES - 4})) {
        return HM_NOT_FOUND;
    }
    if (format != JOURNAL_FORMAT) {
        return DAMAGED(recovery, "%s is of format %" PRIu32 " at byte 8; this release reads %u",
                       segment->file->name, format, JOURNAL_FORMAT);
    }
    if (number != segment->number) {
        return DAMAGED(recovery, "%s was journal-%016" PRIx64 " when it was written (byte 32)",
                       segment->file->name, number);
    }
    return check_owner(recovery, segment->file->name, owner);
}

/* The last that was written to; a blank one may follow. */
static bool is_last(const struct recovery *recovery, size_t at)
{
    size_t behind = recovery->segment_count - at - 1;
    return behind == 0 || (behind == 1 && recovery->segments[at + 1].blank);
}

static enum hm_status cut_tail(struct recovery *recovery, const struct found *segment,
                               uint64_t offset, uint64_t sequence)
{
    struct hm_bytes all = segment->file->content;
    uint64_t later;
    if (has_later_record(segment, offset, sequence, &later)) {
        return DAMAGED(recovery,
                       "%s is damaged at byte %" PRIu64
                       ": there is a good record behind it, at byte %" PRIu64,
                       segment->file->name, offset, later);
    }
    struct hm_bytes tail = {all.data + offset, (size_t)(all.size - offset)};
    if (!is_blank(tail)) {
        hm_buf_printf(recovery->report, "%s: a torn tail from byte %" PRIu64 " on was cut",
                      segment->file->name, offset);
    }
    return HM_OK;
}

static enum hm_status read_records(struct recovery *recovery, size_t at)
{
    struct hm_journal *journal = recovery->journal;
    const struct found *segment = &recovery->segments[at];
    uint64_t offset = JOURNAL_HEADER_BYTES;
    struct record record;
    while (read_record(segment, offset, &record) && record.sequence == journal->sequence) {
        enum hm_status status = replay_record(recovery, segment, offset, record.body);
        if (status != HM_OK) {
            return status;
        }
        journal->sequence++;
        offset = record.end;
    }
    recovery->offset = offset;
    return HM_OK;
}

/* The last segment without a good header: the first batch in it was torn, or it is damaged. */
static enum hm_status headless(struct recovery *recovery, size_t at)
{
    struct hm_journal *journal = recovery->journal;
    const struct found *segment = &recovery->segments[at];
    bool may_be_torn = is_last(recovery, at) && (at > 0 || segment->number == 1);
    uint64_t later;
    if (!may_be_torn ||
        has_later_record(segment, JOURNAL_HEADER_BYTES, journal->sequence, &later)) {
        return DAMAGED(recovery, "%s is damaged at byte 0: its header does not match its checksum",
                       segment->file->name);
    }
    hm_buf_printf(recovery->report, "%s: a torn tail from byte 0 on was cut", segment->file->name);
    return HM_OK;
}

/* A segment whose first batch was torn does not count: it lacks what every segment starts with. */
static enum hm_status forget_segment(struct recovery *recovery, size_t at, uint64_t offset)
{
    struct hm_journal *journal = recovery->journal;
    const struct found *segment = &recovery->segments[at];
    if (at == 0 && segment->number != 1) {
        return DAMAGED(recovery, "%s is damaged at byte %u: its first record is bad",
                       segment->file->name, JOURNAL_HEADER_BYTES);
    }
    hm_free(journal->segments[--journal->segment_count].covers);
    recovery->offset = offset;
    return HM_OK;
}

static enum hm_status read_segment(struct recovery *recovery, size_t at)
{
    struct hm_journal *journal = recovery->journal;
    const struct found *segment = &recovery->segments[at];
    uint64_t size = segment->file->content.size;
    struct header header;
    if (segment->blank && (at > 0 || segment->number == 1)) {
        return HM_OK;
    }
    enum hm_status status = read_header(recovery, segment, &header);
    if (status == HM_NOT_FOUND) {
        return headless(recovery, at);
    }
    if (status != HM_OK) {
        return status;
    }
    if (at > 0 && header.first_sequence != journal->sequence) {
        return DAMAGED(recovery,
                       "%s is damaged at byte %" PRIu64 ": records %" PRIu64 " to %" PRIu64
                       " are missing there",
                       segment[-1].file->name, recovery->offset, journal->sequence,
                       header.first_sequence - 1);
    }
    uint64_t offset_before = recovery->offset;
    journal->sequence = header.first_sequence;
    journal_add_segment(journal, segment->number, size);
    status = read_records(recovery, at);
    if (status != HM_OK || !is_last(recovery, at)) {
        return status; /* the next segment's first sequence tells whether this one is whole */
    }
    if (size < header.bytes) {
        hm_buf_printf(recovery->report, "%s: cut off at byte %" PRIu64 " of %" PRIu64 "; ",
                      segment->file->name, size, header.bytes);
    }
    status = cut_tail(recovery, segment, recovery->offset, journal->sequence);
    return status == HM_OK && journal->sequence == header.first_sequence
               ? forget_segment(recovery, at, offset_before)
               : status;
}

/* ---- the outcome ---- */

/* A snapshot that no record names yet: the crash came between the two. Entries stay where the log
 * has the snapshot's last one (Raft, section 7, step 6). A record names it before anything else is
 * written: at the next recovery, entries that follow it must not be judged by what it replaced. */
static void follow_snapshot(struct hm_journal *journal, struct replay *replay)
{
    replay->mark = replay->snapshot.last_index;
    replay->mark_term = replay->snapshot.last_term;
    bool keeps = holds(replay, replay->mark, replay->mark_term);
    if (!keeps) {
        replay->base = replay->mark;
        replay->count = 0;
    }
    journal_queue_mark(journal, replay->log, replay->mark, replay->mark_term, !keeps);
}

/* The file of its snapshot may have outlived the record: it goes with another one. */
static void forget(struct hm_journal *journal, struct journal_log *log, bool has_file)
{
    log->forgotten = true;
    if (has_file) {
        hm_journal_write(
            journal,
            &(struct hm_message){.kind = HM_MSG_log_forget, .log_forget = {.log = log->log}}, 0);
    }
}

static void adopt(struct recovery *recovery)
{
    struct hm_journal *journal = recovery->journal;
    for (size_t i = 0; i < recovery->replay_count; i++) {
        const struct replay *replay = &recovery->replays[i];
        struct journal_log *log = journal_log_of(journal, replay->log);
        if (replay->forgotten) {
            forget(journal, log, replay->has_snapshot);
            continue;
        }
        log->has_hard_state = replay->has_hard_state;
        log->hard_state = replay->hard_state;
        log->snapshot_index = log->durable_snapshot_index = replay->mark;
        log->snapshot_term = replay->mark_term;
        if (replay->mark) {
            journal_run(log, replay->mark, replay->mark_term);
        }
        for (size_t at = 0; at < replay->count; at++) {
            if (replay->base + at >= replay->mark) {
                journal_run(log, replay->base + at + 1, replay->entries[at].term);
            }
        }
    }
    journal->offset = recovery->offset;
    /* A segment without a record, torn or blank, is allocated anew unless it is big enough. */
    if (journal->segment_count < recovery->segment_count) {
        const struct found *next = &recovery->segments[journal->segment_count];
        journal->spare = next->blank;
        journal->spare_bytes = next->file->content.size;
    }
}

#define RESTORED_ENTRIES_MAX 1024u

static void restore_entries(const struct replay *replay, hm_journal_restore *restore, void *context)
{
    uint64_t from = replay->has_snapshot ? replay->snapshot.last_index : 0;
    HM_ASSERT(replay->base <= from);
    size_t skip = (size_t)(from - replay->base);
    while (skip < replay->count) {
        size_t left = replay->count - skip;
        uint32_t count = left < RESTORED_ENTRIES_MAX ? (uint32_t)left : RESTORED_ENTRIES_MAX;
        struct hm_message append = {.kind = HM_MSG_log_append,
                                    .log_append = {.log = replay->log,
                                                   .first_index = replay->base + skip + 1,
                                                   .entries = replay->entries + skip,
                                                   .entries_count = count}};
        restore(context, &append);
        skip += count;
    }
}

static void restore_all(const struct recovery *recovery, hm_journal_restore *restore, void *context)
{
    for (size_t i = 0; i < recovery->replay_count; i++) {
        const struct replay *replay = &recovery->replays[i];
        if (replay->forgotten) {
            continue;
        }
        if (replay->has_hard_state) {
            restore(context, &(struct hm_message){.kind = HM_MSG_log_hard_state,
                                                  .log_hard_state = replay->hard_state});
        }
        if (replay->has_snapshot) {
            restore(context, &(struct hm_message){.kind = HM_MSG_log_snapshot,
                                                  .log_snapshot = replay->snapshot});
        }
        restore_entries(replay, restore, context);
    }
}

enum hm_status hm_journal_recover(struct hm_journal *journal, const struct hm_disk_file *files,
                                  size_t count, hm_journal_restore *restore, void *context,
                                  struct hm_buf *error, struct hm_buf *report)
{
    HM_ASSERT(journal->segment_count == 0 && journal->pending_count == 0);
    struct recovery recovery = {.journal = journal, .error = error, .report = report};
    enum hm_status status = find_files(&recovery, files, count);
    for (size_t i = 0; i < recovery.segment_count && status == HM_OK; i++) {
        status = read_segment(&recovery, i);
    }
    for (size_t i = 0; i < recovery.replay_count && status == HM_OK; i++) {
        struct replay *replay = &recovery.replays[i];
        if (!replay->forgotten && replay->damage.size) {
            status = DAMAGED(&recovery, "%.*s", (int)replay->damage.size, replay->damage.data);
        } else if (!replay->forgotten && replay->has_snapshot &&
                   replay->snapshot.last_index > replay->mark) {
            follow_snapshot(journal, replay);
        }
    }
    if (status == HM_OK) {
        adopt(&recovery);
        restore_all(&recovery, restore, context);
    }
    for (size_t i = 0; i < recovery.replay_count; i++) {
        hm_free(recovery.replays[i].entries);
        hm_buf_fini(&recovery.replays[i].damage);
    }
    hm_free(recovery.replays);
    hm_free(recovery.segments);
    hm_arena_fini(&recovery.arena);
    return status;
}
