/* The node's data directory: small files, the identity, and the turns of the journal. */
#include "core/node/desk/disk.h"

#include "core/base/assert.h"
#include "core/base/hash.h"
#include "core/node/desk/acts.h"
#include "core/node/desk/inside.h"

#include <stdio.h>
#include <string.h>

#define JOURNAL_RETRY_MS 1000u

static struct hm_file_write *find_write(struct hm_disk_queue *disk, const char *file)
{
    /* What is out already cannot be changed any more. */
    size_t first = disk->busy && !disk->journal_is_out ? 1 : 0;
    for (size_t i = first; i < disk->count; i++) {
        if (strcmp(disk->files[i].op.file, file) == 0) {
            return &disk->files[i];
        }
    }
    return NULL;
}

void hm_node_keep_file(struct hm_node *node, const char *file, struct hm_bytes content)
{
    if (!node->config.durable) {
        return;
    }
    struct hm_disk_queue *disk = &node->disk;
    struct hm_file_write *write = find_write(disk, file);
    if (!write) {
        disk->files = hm_grow(disk->files, disk->count, &disk->capacity, sizeof *disk->files);
        write = &disk->files[disk->count++];
        *write = (struct hm_file_write){.op = {.kind = HM_DISK_REPLACE}};
        snprintf(write->op.file, sizeof write->op.file, "%s", file);
    }
    hm_buf_clear(&write->content);
    hm_buf_append(&write->content, content.data, content.size);
}

bool hm_node_files_are_kept(const struct hm_node *node)
{
    return node->disk.count == 0;
}

void hm_node_put_identity(struct hm_buf *out, const struct hm_node_identity *identity)
{
    hm_message_encode(
        out, &(struct hm_message){.kind = HM_MSG_node_identity, .node_identity = *identity});
    /* A checksum, so that damage is told from a foreign file. */
    hm_put_u32(out, hm_crc32c(0, hm_buf_view(out)));
}

bool hm_node_get_identity(struct hm_bytes content, struct hm_node_identity *out)
{
    if (content.size <= 4) {
        return false;
    }
    struct hm_arena arena = {0};
    struct hm_message message;
    struct hm_bytes body = {content.data, content.size - 4};
    struct hm_reader sum = hm_reader_of((struct hm_bytes){content.data + body.size, 4});
    bool good = hm_get_u32(&sum) == hm_crc32c(0, body) &&
                hm_message_decode_only(body, HM_MSG_node_identity, &arena, &message) == HM_OK;
    if (good) {
        *out = message.node_identity;
    }
    hm_arena_fini(&arena);
    return good;
}

void hm_node_keep_identity(struct hm_node *node)
{
    struct hm_buf bytes = {0};
    hm_node_put_identity(&bytes, &(struct hm_node_identity){.id = node->id,
                                                            .name = node->config.name,
                                                            .cluster = node->cluster,
                                                            .boot = node->boot,
                                                            .voted = node->journal_begun});
    hm_node_keep_file(node, "identity", hm_buf_view(&bytes));
    hm_buf_fini(&bytes);
}

static void pump_side(struct hm_node *node)
{
    struct hm_disk_queue *disk = &node->disk;
    struct hm_journal_batch batch;
    if (disk->side == 0 && disk->side_retry_at == HM_NEVER && node->control.logs &&
        hm_logs_side_output(node->control.logs, &batch)) {
        disk->side = ++disk->number_last;
        hm_node_act(node, &(struct hm_act){.kind = HM_ACT_DISK,
                                           .beside = true,
                                           .ops = batch.ops,
                                           .op_count = batch.count,
                                           .number = disk->side});
    }
}

static void send_batch(struct hm_node *node, const struct hm_disk_op *ops, size_t count,
                       bool journal)
{
    struct hm_disk_queue *disk = &node->disk;
    disk->busy = true;
    disk->journal_is_out = journal;
    disk->number = ++disk->number_last;
    hm_node_act(node,
                &(struct hm_act){
                    .kind = HM_ACT_DISK, .ops = ops, .op_count = count, .number = disk->number});
}

void hm_node_pump_disk(struct hm_node *node)
{
    struct hm_disk_queue *disk = &node->disk;
    struct hm_journal_batch batch;
    bool file_waits = disk->count && node->now < disk->retry_at && disk->retry_at != HM_NEVER;
    pump_side(node);
    if (disk->busy) {
        return;
    }
    if (disk->count && !file_waits) {
        struct hm_file_write *write = &disk->files[0];
        write->op.bytes = hm_buf_view(&write->content);
        send_batch(node, &write->op, 1, false);
    } else if (node->control.logs && hm_logs_disk_output(node->control.logs, &batch)) {
        send_batch(node, batch.ops, batch.count, true);
    }
}

static void file_done(struct hm_node *node, enum hm_status status)
{
    struct hm_disk_queue *disk = &node->disk;
    HM_ASSERT(disk->count > 0);
    if (status != HM_OK) {
        hm_node_log(node, HM_LOG_ERROR, "cannot write", "file=%s reason=\"%s\"",
                    disk->files[0].op.file, hm_status_text(status));
        disk->retry_at = node->now + JOURNAL_RETRY_MS;
        return;
    }
    hm_buf_fini(&disk->files[0].content);
    disk->count--;
    memmove(disk->files, disk->files + 1, disk->count * sizeof *disk->files);
}

static void journal_done(struct hm_node *node, enum hm_status status)
{
    struct hm_logs *logs = node->control.logs;
    bool failed_before = hm_logs_disk_failed(logs);
    hm_logs_disk_done(logs, node->now, status);
    if (hm_logs_disk_failed(logs)) {
        hm_node_log(node, HM_LOG_ERROR, "journal cannot write",
                    "reason=\"%s\" consequence=\"this node neither votes nor leads until it can\"",
                    hm_status_text(status));
        node->disk.retry_at = node->now + JOURNAL_RETRY_MS;
    } else if (failed_before) {
        hm_node_log(node, HM_LOG_INFO, "journal writes again", "name=%s", node->config.name.text);
        node->disk.retry_at = HM_NEVER;
    }
    if (status == HM_OK && !node->journal_begun) {
        node->journal_begun = true;
        hm_node_keep_identity(node);
    }
}

void hm_node_tick_disk(struct hm_node *node)
{
    struct hm_disk_queue *disk = &node->disk;
    disk->side_retry_at = node->now < disk->side_retry_at ? disk->side_retry_at : HM_NEVER;
    if (node->now < disk->retry_at || disk->busy) {
        return;
    }
    if (node->control.logs && hm_logs_disk_failed(node->control.logs)) {
        disk->retry_at = node->now + JOURNAL_RETRY_MS;
        hm_logs_disk_retry(node->control.logs);
    } else {
        disk->retry_at = HM_NEVER;
    }
}

static void note_failure(struct hm_node *node, enum hm_status status)
{
    struct hm_disk_queue *disk = &node->disk;
    bool waits = disk->count || disk->side_failed ||
                 (node->control.logs && hm_logs_disk_failed(node->control.logs));
    /* A segment that could not be made ahead of its need hurts nobody yet. */
    if (status != HM_OK || !waits) {
        disk->failure = waits ? status : HM_OK;
    }
}

static void side_done(struct hm_node *node, enum hm_status status)
{
    node->disk.side = 0;
    node->disk.side_failed = hm_logs_side_done(node->control.logs, status);
    if (node->disk.side_failed) {
        hm_node_log(node, HM_LOG_ERROR, "cannot shorten the journal",
                    "reason=\"%s\" consequence=\"the journal grows until it can\"",
                    hm_status_text(status));
        node->disk.side_retry_at = node->now + JOURNAL_RETRY_MS;
    }
}

void hm_node_on_disk_done(struct hm_node *node, uint64_t number, enum hm_status status)
{
    struct hm_disk_queue *disk = &node->disk;
    if (disk->side && number == disk->side) {
        side_done(node, status);
        note_failure(node, status);
        return;
    }
    if (!disk->busy || number != disk->number) {
        return;
    }
    bool journal = disk->journal_is_out;
    disk->busy = false;
    disk->journal_is_out = false;
    if (journal) {
        journal_done(node, status);
    } else {
        file_done(node, status);
    }
    note_failure(node, status);
}
