/* Backups of a replicated log, taken of whichever node while everything else goes on: what is in
 * the file is what the log agreed on, with all that is kept, and a file that was changed on its way
 * is not taken for one. */
#include "core/log/backup.h"

#include "core/base/assert.h"
#include "core/base/memory.h"
#include "tests/sim/group.h"
#include "tests/unit/backup_feed.h"

#define EVERY_MAX_MS 3000u
#define CLUSTER      1u

/* What a reading finds; a replica of nobody takes it over. */
struct reading {
    struct group_node *node; /* in whose place the checks look at it */
    uint64_t logs;
};

static enum hm_status take_head(void *context, const struct hm_backup_head *head)
{
    (void)context;
    return head->cluster == CLUSTER ? HM_OK : HM_DAMAGED;
}

static enum hm_status take_log(void *context, const struct hm_backup_log *log,
                               struct hm_bytes state)
{
    struct reading *reading = context;
    const struct hm_replica *original = hm_participant_replica(reading->node->log);
    struct group_node copy = {.group = reading->node->group, .slot = reading->node->slot};
    struct hm_replica replica;
    hm_replica_init(&replica, &group_machine, &copy);
    enum hm_status status = hm_replica_install(&replica, state);
    reading->logs++;
    if (status == HM_OK) {
        copy.machine.applied = log->applied;
        check_installed(&copy, log->applied);
        check_entries(&copy, &replica);
        if (hm_replica_oldest(&replica) != hm_replica_oldest(original)) {
            sim_fail(&copy.group->world, "node %zu: its backup has entries from %llu, not %llu, on",
                     copy.slot, (unsigned long long)hm_replica_oldest(&replica),
                     (unsigned long long)hm_replica_oldest(original));
        }
    }
    hm_replica_fini(&replica);
    return status;
}

/* The file with the whole state of one log. */
static void write_file(const struct hm_log_snapshot *snapshot, uint64_t index, struct hm_buf *out)
{
    struct hm_log_name name = {0, hm_name_of("events")};
    struct hm_backup_head head = {.cluster = CLUSTER, .logs = &name, .logs_count = 1};
    struct hm_backup_writer writer;
    struct hm_bytes state = snapshot->state;
    hm_backup_begin(&writer, &head, out);
    hm_backup_log(&writer,
                  &(struct hm_backup_log){.name = name.name,
                                          .index = index,
                                          .applied = snapshot->last_index,
                                          .term = snapshot->last_term,
                                          .bytes = state.size},
                  out);
    while (state.size) {
        size_t size = state.size < HM_BACKUP_DATA_BYTES_MAX ? state.size : HM_BACKUP_DATA_BYTES_MAX;
        hm_backup_data(&writer, (struct hm_bytes){state.data, size}, out);
        state = (struct hm_bytes){state.data + size, state.size - size};
    }
    hm_backup_end(&writer, out);
}

/* False: the file is as it was written. */
static bool damage(struct sim_world *world, struct hm_buf *file)
{
    size_t at = (size_t)sim_between(world, 0, file->size - 1);
    switch (sim_between(world, 0, 3)) {
    case 0:
        file->data[at] ^= (uint8_t)(1u << sim_between(world, 0, 7));
        return true;
    case 1:
        file->size = at;
        return true;
    default:
        return false;
    }
}

static void read_file(struct group_node *node, struct hm_bytes file, bool damaged)
{
    struct sim_world *world = &node->group->world;
    struct hm_buf error = {0};
    struct reading reading = {.node = node};
    struct hm_backup_visitor visitor = {.context = &reading, .head = take_head, .log = take_log};
    struct hm_backup_reader *reader = hm_backup_reader_new(&visitor, &error);
    enum hm_status status = feed_all(reader, file, (size_t)sim_between(world, 1000, 100000));
    if (damaged && status == HM_OK) {
        sim_fail(world, "node %zu: a backup that was changed is taken for a whole one", node->slot);
    } else if (!damaged && (status != HM_OK || reading.logs != 1)) {
        sim_fail(world, "node %zu: its backup is not read: %.*s", node->slot, (int)error.size,
                 error.size ? (char *)error.data : "");
    }
    hm_backup_reader_free(reader);
    hm_buf_fini(&error);
}

static void back_up(struct group_node *node)
{
    struct hm_buf bytes = {0};
    struct hm_buf file = {0};
    struct hm_arena arena = {0};
    struct hm_message message;
    if (hm_participant_snapshot(node->log, &bytes) != HM_OK) {
        return; /* nothing is applied yet */
    }
    enum hm_status status =
        hm_message_decode_only(hm_buf_view(&bytes), HM_MSG_log_snapshot, &arena, &message);
    HM_ASSERT(status == HM_OK);
    write_file(&message.log_snapshot, hm_participant_replica(node->log)->index, &file);
    bool damaged = damage(&node->group->world, &file);
    sim_trace(&node->group->world, "node %zu: backup at %llu%s", node->slot,
              (unsigned long long)message.log_snapshot.last_index, damaged ? ", changed" : "");
    read_file(node, hm_buf_view(&file), damaged);
    hm_arena_fini(&arena);
    hm_buf_fini(&bytes);
    hm_buf_fini(&file);
}

static void again(void *context, uint64_t number, struct hm_bytes bytes)
{
    (void)number;
    (void)bytes;
    struct group *group = context;
    struct sim_world *world = &group->world;
    struct group_node *node = &group->nodes[sim_between(world, 0, group->options.nodes - 1)];
    if (node->runs && node->paused_until <= world->now) {
        back_up(node);
    }
    sim_after(world, sim_between(world, 1, EVERY_MAX_MS), again, group, 0);
}

void archive_start(struct group *group)
{
    sim_after(&group->world, sim_between(&group->world, 1, EVERY_MAX_MS), again, group, 0);
}
