#include "core/base/assert.h"
#include "core/base/memory.h"
#include "core/engine/raft_internal.h"

#include <string.h>

uint64_t raft_log_last(const struct raft_log *log)
{
    return log->base_index + log->count;
}

bool raft_log_term(const struct raft_log *log, uint64_t index, uint64_t *term)
{
    if (index < log->base_index || index > raft_log_last(log)) {
        return false;
    }
    *term =
        index == log->base_index ? log->base_term : log->entries[index - log->base_index - 1].term;
    return true;
}

uint64_t raft_log_term_at(const struct raft_log *log, uint64_t index)
{
    uint64_t term = 0;
    bool known = raft_log_term(log, index, &term);
    HM_ASSERT(known);
    return term;
}

const struct hm_entry *raft_log_at(const struct raft_log *log, uint64_t index)
{
    HM_ASSERT(index > log->base_index && index <= raft_log_last(log));
    return &log->entries[index - log->base_index - 1];
}

void raft_log_append(struct raft_log *log, const struct hm_entry *entry)
{
    log->entries = hm_grow(log->entries, log->count, &log->capacity, sizeof *log->entries);
    struct hm_entry *held = &log->entries[log->count++];
    *held = *entry;
    held->body = entry->body.size ? hm_bytes_copy(entry->body) : (struct hm_bytes){0};
    log->bytes += entry->body.size;
}

static void release(struct raft_log *log, size_t first, size_t end)
{
    for (size_t i = first; i < end; i++) {
        log->bytes -= log->entries[i].body.size;
        if (log->entries[i].body.size) {
            hm_bytes_free(log->entries[i].body);
        }
    }
}

void raft_log_cut(struct raft_log *log, uint64_t from)
{
    HM_ASSERT(from > log->base_index);
    if (from <= raft_log_last(log)) {
        size_t kept = (size_t)(from - log->base_index - 1);
        release(log, kept, log->count);
        log->count = kept;
    }
}

void raft_log_drop(struct raft_log *log, uint64_t index, uint64_t term)
{
    HM_ASSERT(index >= log->base_index);
    size_t dropped = log->count;
    if (index < raft_log_last(log)) {
        dropped = (size_t)(index - log->base_index);
    }
    release(log, 0, dropped);
    log->count -= dropped;
    if (log->count) {
        memmove(log->entries, log->entries + dropped, log->count * sizeof *log->entries);
    }
    log->entries = hm_shrink(log->entries, log->count, &log->capacity, sizeof *log->entries);
    log->base_index = index;
    log->base_term = term;
}

uint64_t raft_log_hint(const struct raft_log *log, uint64_t index, uint64_t term)
{
    uint64_t last = raft_log_last(log);
    index = index > last ? last : index;
    while (index > log->base_index && raft_log_term_at(log, index) > term) {
        index--;
    }
    return index < log->base_index ? log->base_index : index;
}

uint32_t raft_log_batch(const struct raft_log *log, uint64_t from, uint32_t entries_max,
                        uint32_t bytes_max)
{
    uint32_t count = 0;
    size_t bytes = 0;
    while (count < entries_max && from + count <= raft_log_last(log)) {
        bytes += raft_log_at(log, from + count)->body.size;
        if (count > 0 && bytes > bytes_max) {
            break;
        }
        count++;
    }
    return count;
}

void raft_log_fini(struct raft_log *log)
{
    release(log, 0, log->count);
    hm_free(log->entries);
    *log = (struct raft_log){0};
}
