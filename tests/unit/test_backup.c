/* Backup files: what was changed, cut or put elsewhere is noticed; what is restored starts as a
 * control plane of one, in a new epoch, with all that the file held. */
#include "core/base/memory.h"
#include "core/include/hivemind/module.h"
#include "core/node/control/restore.h"
#include "core/node/desk/inside.h"
#include "core/node/logs/named.h"
#include "tests/unit/backup_feed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define CLUSTER 0x1234u
#define KEY     0xabcdu

/* ---- a small cluster's state ---- */

static struct hm_id id_of(uint8_t number)
{
    return (struct hm_id){{number}};
}

static struct hm_label control_role = {{7, "control"}};
static struct hm_label host_role = {{4, "host"}};

static struct hm_member member_of(uint8_t number, const char *name, struct hm_label *role)
{
    return (struct hm_member){.id = id_of(number),
                              .name = hm_name_of(name),
                              .addr = {.family = 4, .ip = {10, 0, 0, number}, .port = 9610},
                              .roles = role,
                              .roles_count = 1,
                              .boot = 1,
                              .feature = HM_FEATURE_LEVEL};
}

static void apply(struct hm_replica *replica, const struct hm_message *request)
{
    struct hm_buf body = {0};
    struct hm_outcome outcome;
    hm_message_encode(&body, request);
    hm_replica_apply(replica, &(struct hm_log_request){.request = hm_buf_view(&body)}, 0, &outcome);
    assert_int_equal(outcome.status, HM_OK);
    hm_buf_fini(&body);
}

static void join(struct hm_replica *replica, struct hm_member member)
{
    apply(replica, &(struct hm_message){.kind = HM_MSG_request_join,
                                        .request_join = {.member = member, .cluster = CLUSTER}});
}

/* Two control nodes, a host, and the record of log `audit` with number 1. */
static void fill_events(struct hm_replica *replica)
{
    struct hm_buf record = {0};
    struct hm_voter voters[] = {{.id = id_of(1), .voting = true}, {.id = id_of(2), .voting = true}};
    apply(replica,
          &(struct hm_message){.kind = HM_MSG_request_found,
                               .request_found = {.cluster = CLUSTER,
                                                 .history = id_of(99),
                                                 .founder = member_of(1, "c1", &control_role)}});
    join(replica, member_of(2, "c2", &control_role));
    join(replica, member_of(3, "h1", &host_role));
    hm_message_encode(&record, &(struct hm_message){.kind = HM_MSG_log_record,
                                                    .log_record = {.id = 1,
                                                                   .keep_entries = 100,
                                                                   .keep_bytes = 10000,
                                                                   .voters = voters,
                                                                   .voters_count = 2}});
    struct hm_change change = {.scope = hm_name_of(HM_SCOPE_LOGS),
                               .key = hm_bytes_of_text("audit"),
                               .present = true,
                               .value = hm_buf_view(&record)};
    apply(replica, &(struct hm_message){.kind = HM_MSG_request_write,
                                        .request_write = {.changes = &change, .changes_count = 1}});
    hm_buf_fini(&record);
}

struct source {
    struct hm_state *state;
    struct hm_buf events; /* log_state of each */
    struct hm_buf audit;
    uint64_t index;
    struct hm_log_name names[3]; /* the third is one that nobody knows of */
};

static void make_source(struct source *source)
{
    struct hm_replica events;
    struct hm_replica audit;
    *source = (struct source){.state = hm_state_new()};
    hm_replica_init(&events, &hm_state_machine, source->state);
    fill_events(&events);
    hm_replica_snapshot(&events, true, &source->events);
    source->index = hm_state_view(source->state)->index;
    hm_replica_init(&audit, &hm_list_machine, NULL);
    hm_kept_limit(&audit.kept, (struct hm_keep){100, 10000});
    for (int i = 0; i < 3; i++) {
        struct hm_outcome outcome;
        hm_replica_apply(&audit, &(struct hm_log_request){.request = hm_bytes_of_text("paid")}, 0,
                         &outcome);
    }
    hm_replica_snapshot(&audit, true, &source->audit);
    hm_replica_fini(&events);
    hm_replica_fini(&audit);
    source->names[0] = (struct hm_log_name){0, hm_name_of("events")};
    source->names[1] = (struct hm_log_name){1, hm_name_of("audit")};
    source->names[2] = (struct hm_log_name){2, hm_name_of("more")};
}

static void end_source(struct source *source)
{
    hm_state_free(source->state);
    hm_buf_fini(&source->events);
    hm_buf_fini(&source->audit);
}

static void end_all(struct source *source, struct hm_buf *file, struct hm_buf *error)
{
    end_source(source);
    hm_buf_fini(file);
    hm_buf_fini(error);
}

static struct hm_backup_head head_of(struct source *source)
{
    return (struct hm_backup_head){.cluster = CLUSTER,
                                   .key = KEY,
                                   .epoch = 1,
                                   .time_ms = 1700000000000,
                                   .node = hm_name_of("c1"),
                                   .logs = source->names,
                                   .logs_count = 2};
}

static void put_log(struct hm_backup_writer *writer, struct hm_backup_log log,
                    const struct hm_buf *state, size_t piece, struct hm_buf *out)
{
    log.bytes = state->size;
    hm_backup_log(writer, &log, out);
    for (size_t at = 0; at < state->size; at += piece) {
        size_t left = state->size - at;
        hm_backup_data(writer, (struct hm_bytes){state->data + at, left < piece ? left : piece},
                       out);
    }
}

static struct hm_backup_log events_of(const struct source *source)
{
    return (struct hm_backup_log){
        .name = source->names[0].name, .index = source->index, .applied = 40, .term = 3};
}

static struct hm_backup_log audit_of(const struct source *source)
{
    return (struct hm_backup_log){
        .log = 1, .name = source->names[1].name, .index = 3, .applied = 7, .term = 2};
}

static void make_file(struct source *source, struct hm_buf *out)
{
    struct hm_backup_writer writer;
    struct hm_backup_head head = head_of(source);
    hm_backup_begin(&writer, &head, out);
    put_log(&writer, events_of(source), &source->events, 100, out);
    put_log(&writer, audit_of(source), &source->audit, 100, out);
    hm_backup_end(&writer, out);
}

/* ---- read ---- */

struct seen {
    uint64_t cluster;
    size_t logs;
    size_t bytes;
};

static enum hm_status see_head(void *context, const struct hm_backup_head *head)
{
    ((struct seen *)context)->cluster = head->cluster;
    return HM_OK;
}

static enum hm_status see_log(void *context, const struct hm_backup_log *log, struct hm_bytes state)
{
    struct seen *seen = context;
    seen->logs++;
    seen->bytes += state.size;
    assert_int_equal(log->bytes, state.size);
    return HM_OK;
}

static enum hm_status read_with(const struct hm_backup_visitor *visitor, struct hm_bytes file,
                                size_t step, struct hm_buf *error)
{
    struct hm_backup_reader *reader = hm_backup_reader_new(visitor, error);
    enum hm_status status = feed_all(reader, file, step);
    if (status != HM_OK) {
        assert_int_equal(hm_backup_finish(reader), status);
    }
    hm_backup_reader_free(reader);
    return status;
}

static enum hm_status read_file(struct hm_bytes file, size_t step, struct seen *seen,
                                struct hm_buf *error)
{
    *seen = (struct seen){0};
    hm_buf_clear(error);
    enum hm_status status =
        read_with(&(struct hm_backup_visitor){.context = seen, .head = see_head, .log = see_log},
                  file, step, error);
    assert_int_equal(status == HM_OK, error->size == 0);
    return status;
}

static bool says(const struct hm_buf *error, const char *text)
{
    return error->size && memmem(error->data, error->size, text, strlen(text)) != NULL;
}

static void test_what_was_written_is_read(void **unused)
{
    struct source source;
    struct hm_buf file = {0};
    struct hm_buf error = {0};
    struct seen seen;
    (void)unused;
    make_source(&source);
    make_file(&source, &file);
    static const size_t steps[] = {1, 3, 100, 1u << 20};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        assert_int_equal(read_file(hm_buf_view(&file), steps[i], &seen, &error), HM_OK);
        assert_int_equal(seen.cluster, CLUSTER);
        assert_int_equal(seen.logs, 2);
        assert_int_equal(seen.bytes, source.events.size + source.audit.size);
    }
    end_all(&source, &file, &error);
}

static void test_every_cut_is_noticed(void **unused)
{
    struct source source;
    struct hm_buf file = {0};
    struct hm_buf error = {0};
    struct seen seen;
    (void)unused;
    make_source(&source);
    make_file(&source, &file);
    for (size_t size = 0; size < file.size; size++) {
        assert_int_equal(read_file((struct hm_bytes){file.data, size}, 4096, &seen, &error),
                         HM_DAMAGED);
        assert_true(says(&error, "cut off"));
    }
    assert_true(says(&error, "behind its last section"));
    read_file((struct hm_bytes){file.data, file.size / 2}, 4096, &seen, &error);
    assert_true(says(&error, "section 1 of 2 (the event log, events)"));
    hm_put_u8(&file, 0);
    assert_int_equal(read_file(hm_buf_view(&file), 4096, &seen, &error), HM_DAMAGED);
    assert_true(says(&error, "there is more"));
    end_all(&source, &file, &error);
}

static void test_every_flipped_byte_is_noticed(void **unused)
{
    static const uint8_t flips[] = {0x01, 0x80, 0xff};
    struct source source;
    struct hm_buf file = {0};
    struct hm_buf error = {0};
    struct seen seen;
    (void)unused;
    make_source(&source);
    make_file(&source, &file);
    for (size_t i = 0; i < file.size * sizeof flips; i++) {
        size_t at = i / sizeof flips;
        file.data[at] ^= flips[i % sizeof flips];
        enum hm_status status = read_file(hm_buf_view(&file), 4096, &seen, &error);
        assert_int_equal(status, at >= 8 && at < 12 ? HM_WRONG_FEATURE : HM_DAMAGED);
        file.data[at] ^= flips[i % sizeof flips];
    }
    assert_int_equal(read_file(hm_buf_view(&file), 4096, &seen, &error), HM_OK);
    end_all(&source, &file, &error);
}

/* What has the right checksums may still be none: somebody wrote it so. */
static void test_blocks_out_of_place_are_refused(void **unused)
{
    struct source source;
    struct hm_buf error = {0};
    struct seen seen;
    (void)unused;
    make_source(&source);
    for (int what = 0; what < 10; what++) {
        struct hm_buf file = {0};
        struct hm_backup_writer writer;
        struct hm_backup_head head = head_of(&source);
        struct hm_backup_log log = events_of(&source);
        struct hm_bytes one = {source.events.data, 1};
        head.logs_count = what == 0 ? 0 : head.logs_count;
        head.cluster = what == 1 ? 0 : head.cluster;
        source.names[1].log = what == 2 ? 0 : 1;
        log.applied = what == 3 ? 0 : log.applied;
        log.name = what == 4 ? hm_name_of("other") : log.name;
        hm_backup_begin(&writer, &head, &file);
        if (what == 5) {
            hm_backup_data(&writer, one, &file);
        }
        log.bytes = what == 6 ? 0 : what == 7 ? 1 : what == 8 ? UINT64_MAX : 2;
        hm_backup_log(&writer, &log, &file);
        hm_backup_data(&writer, one, &file);
        hm_backup_data(&writer, one, &file);
        hm_backup_end(&writer, &file);
        assert_int_equal(read_file(hm_buf_view(&file), 4096, &seen, &error), HM_DAMAGED);
        assert_false(says(&error, "checksum"));
        hm_buf_fini(&file);
    }
    hm_buf_fini(&error);
    end_source(&source);
}

/* ---- checked as a whole ---- */

static enum hm_status check_file(struct hm_backup_check *check, struct hm_bytes file,
                                 struct hm_buf *error)
{
    hm_buf_clear(error);
    hm_backup_check_init(check, error);
    struct hm_backup_visitor visitor = hm_backup_check_visitor(check);
    return read_with(&visitor, file, 4096, error);
}

static void test_a_check_looks_inside(void **unused)
{
    struct source source;
    struct hm_buf file = {0};
    struct hm_buf error = {0};
    struct hm_backup_check check;
    (void)unused;
    make_source(&source);
    make_file(&source, &file);
    assert_int_equal(check_file(&check, hm_buf_view(&file), &error), HM_OK);
    assert_int_equal(check.log_count, 2);
    assert_int_equal(hm_state_view(check.state)->members.count, 3);
    assert_int_equal(hm_backup_check_records(&check, HM_SCOPE_LOGS), 1);
    hm_backup_check_fini(&check);

    for (int what = 0; what < 6; what++) {
        struct hm_backup_writer writer;
        struct hm_backup_head head = head_of(&source);
        struct hm_backup_log events = events_of(&source);
        struct hm_backup_log audit = audit_of(&source);
        hm_buf_clear(&file);
        head.epoch += what == 0;
        head.cluster += what == 1;
        head.logs_count -= what == 2; /* the event log knows of one more */
        head.logs_count += what == 5; /* and of that one it does not */
        events.index += what == 3;
        audit.index += what == 4;
        hm_backup_begin(&writer, &head, &file);
        put_log(&writer, events, &source.events, 1000, &file);
        if (what != 2) {
            put_log(&writer, audit, &source.audit, 1000, &file);
        }
        hm_backup_end(&writer, &file);
        assert_int_equal(check_file(&check, hm_buf_view(&file), &error), HM_DAMAGED);
        assert_true(says(&error, what == 4 ? "log audit" : "log events"));
        hm_backup_check_fini(&check);
    }
    end_all(&source, &file, &error);
}

/* ---- restored ---- */

#define FILES_MAX 16

struct disk {
    struct hm_disk_file files[FILES_MAX];
    struct hm_buf contents[FILES_MAX];
    size_t count;
    size_t batches;
    size_t fails_at; /* of the batches; 0: none */
};

static struct hm_buf *file_of(struct disk *disk, const char *name)
{
    for (size_t i = 0; i < disk->count; i++) {
        if (strcmp(disk->files[i].name, name) == 0) {
            return &disk->contents[i];
        }
    }
    assert_true(disk->count < FILES_MAX);
    snprintf(disk->files[disk->count].name, HM_DISK_FILE_BYTES_MAX, "%s", name);
    return &disk->contents[disk->count++];
}

static void remove_file(struct disk *disk, const char *name)
{
    struct hm_buf *content = file_of(disk, name);
    size_t at = (size_t)(content - disk->contents);
    hm_buf_fini(content);
    disk->count--;
    disk->files[at] = disk->files[disk->count];
    disk->contents[at] = disk->contents[disk->count];
    disk->contents[disk->count] = (struct hm_buf){0};
}

static enum hm_status do_ops(void *context, const struct hm_disk_op *ops, size_t count)
{
    struct disk *disk = context;
    if (++disk->batches == disk->fails_at) {
        return HM_NO_SPACE;
    }
    for (size_t i = 0; i < count; i++) {
        if (ops[i].kind == HM_DISK_REMOVE) {
            remove_file(disk, ops[i].file);
            continue;
        }
        struct hm_buf *content = file_of(disk, ops[i].file);
        if (ops[i].kind == HM_DISK_ALLOCATE) {
            memset(hm_buf_extend(content, (size_t)ops[i].size), 0, (size_t)ops[i].size);
        } else if (ops[i].kind == HM_DISK_WRITE) {
            assert_true(ops[i].offset + ops[i].bytes.size <= content->size);
            memcpy(content->data + ops[i].offset, ops[i].bytes.data, ops[i].bytes.size);
        } else if (ops[i].kind == HM_DISK_REPLACE) {
            hm_buf_clear(content);
            hm_buf_append(content, ops[i].bytes.data, ops[i].bytes.size);
        }
    }
    return HM_OK;
}

static const struct hm_disk_file *files_of(struct disk *disk)
{
    for (size_t i = 0; i < disk->count; i++) {
        disk->files[i].content = hm_buf_view(&disk->contents[i]);
    }
    return disk->files;
}

static void end_disk(struct disk *disk)
{
    for (size_t i = 0; i < disk->count; i++) {
        hm_buf_fini(&disk->contents[i]);
    }
}

static const char *const control_roles[] = {"control", NULL};
static const struct hm_module control_module = {
    .abi = HM_MODULE_ABI, .kind = HM_MODULE_ROLE, .name = "control", .performs = control_roles};

static struct hm_restore_config config_of(const struct hm_backup_head *head)
{
    struct hm_member self = member_of(1, "c1", &control_role);
    self.id = id_of(77);
    return (struct hm_restore_config){
        .self = self, .key_id = KEY, .history = id_of(98), .head = *head};
}

static enum hm_status restore(struct disk *disk, struct source *source, struct hm_bytes file)
{
    struct hm_buf error = {0};
    struct hm_backup_head head = head_of(source);
    struct hm_restore_config config = config_of(&head);
    struct hm_restore *restoring = hm_restore_new(&config, do_ops, disk);
    struct hm_backup_visitor visitor = hm_restore_visitor(restoring);
    enum hm_status status = read_with(&visitor, file, 4096, &error);
    if (status == HM_OK) {
        status = hm_restore_finish(restoring);
    }
    hm_restore_free(restoring);
    hm_buf_fini(&error);
    return status;
}

/* A node on its disk, and what it said last to a control connection. */
struct running {
    struct hm_node *node;
    struct disk *disk;
    hm_ms now;
    struct hm_buf reply;
    uint64_t connection; /* to which; 0: nothing was said */
};

static void drain(struct running *running)
{
    struct hm_act act;
    while (hm_node_output(running->node, &act)) {
        if (act.kind == HM_ACT_DISK) {
            assert_int_equal(do_ops(running->disk, act.ops, act.op_count), HM_OK);
            hm_node_disk_done(running->node, running->now, act.number, HM_OK);
        } else if (act.kind == HM_ACT_REPLY) {
            running->connection = act.number;
            hm_buf_clear(&running->reply);
            hm_buf_append(&running->reply, act.bytes.data, act.bytes.size);
        }
    }
}

static void run_for(struct running *running, hm_ms duration)
{
    hm_ms until = running->now + duration;
    while (running->now < until) {
        drain(running);
        hm_ms next = hm_node_deadline(running->node);
        running->now = next > running->now && next < running->now + 100 ? next : running->now + 1;
        hm_node_tick(running->node, running->now);
    }
    drain(running);
}

static void start_restored(struct running *running, struct disk *disk)
{
    static const struct hm_module *const modules[] = {&control_module};
    struct hm_buf error = {0};
    *running = (struct running){.disk = disk, .now = 1000};
    struct hm_node_config config = {.name = hm_name_of("c1"),
                                    .addr = {.family = 4, .ip = {10, 0, 0, 1}, .port = 9610},
                                    .roles = {hm_name_of("control")},
                                    .role_count = 1,
                                    .bootstrap = true,
                                    .durable = true,
                                    .key_id = KEY,
                                    .seed = 5,
                                    .modules = modules,
                                    .module_count = 1};
    running->node = hm_node_new(&config, &error);
    const struct hm_disk_file *files = files_of(disk);
    assert_int_equal(
        hm_node_start(running->node, running->now, 1700000001000, files, disk->count, &error),
        HM_OK);
    run_for(running, 1500);
    hm_buf_fini(&error);
}

static void end_restored(struct running *running)
{
    hm_node_free(running->node);
    hm_buf_fini(&running->reply);
}

/* Starts a node from the disk, lets it run, and looks at it. */
static void run_restored(struct disk *disk, uint64_t epoch, uint64_t index)
{
    struct running running;
    start_restored(&running, disk);
    const struct hm_node *node = running.node;
    const struct hm_view *view = hm_node_view(node);
    assert_int_equal(view->cluster, CLUSTER);
    assert_int_equal(view->epoch, epoch);
    assert_int_equal(hm_node_generation(node) >> 32, epoch);
    assert_true(view->index > index);
    assert_true(hm_node_is_leader(node));
    /* The host is there, the control nodes of old are not, and the survivor is. */
    struct hm_id self = id_of(77);
    struct hm_id host = id_of(3);
    assert_int_equal(view->members.count, 2);
    assert_non_null(hm_members_find(&view->members, &self));
    assert_non_null(hm_members_find(&view->members, &host));
    struct hm_name audit = hm_name_of("audit");
    const struct hm_named *named = hm_node_find_named(node, &audit);
    assert_non_null(named);
    assert_int_equal(hm_raft_role(named->upkeep.raft), HM_RAFT_LEADER);
    const struct hm_replica *replica = hm_participant_replica(named->participant);
    assert_int_equal(replica->index, 3);
    struct hm_log_item item;
    assert_true(hm_kept_find(&replica->kept, 1, &item));
    assert_true(hm_bytes_equal(item.data, hm_bytes_of_text("paid")));
    end_restored(&running);
}

static void test_a_restored_node_goes_on(void **unused)
{
    struct source source;
    struct hm_buf file = {0};
    struct disk disk = {0};
    (void)unused;
    make_source(&source);
    make_file(&source, &file);
    assert_int_equal(restore(&disk, &source, hm_buf_view(&file)), HM_OK);
    run_restored(&disk, 1 + HM_EPOCH_RECOVERY, source.index);
    /* Started again it goes on as it was. */
    run_restored(&disk, 1 + HM_EPOCH_RECOVERY, source.index);
    end_disk(&disk);
    hm_buf_fini(&file);
    end_source(&source);
}

/* Wherever it stops, no node starts from what is there, and nothing is restored over it. */
static void test_a_restore_that_stops_is_no_node(void **unused)
{
    struct source source;
    struct hm_buf file = {0};
    (void)unused;
    make_source(&source);
    make_file(&source, &file);
    struct disk whole = {0};
    assert_int_equal(restore(&whole, &source, hm_buf_view(&file)), HM_OK);
    for (size_t at = 1; at <= whole.batches; at++) {
        const struct hm_module *modules[] = {&control_module};
        struct hm_buf error = {0};
        struct hm_backup_head head = head_of(&source);
        struct disk disk = {.fails_at = at};
        assert_int_equal(restore(&disk, &source, hm_buf_view(&file)), HM_NO_SPACE);
        const struct hm_disk_file *files = files_of(&disk);
        if (disk.count) {
            struct hm_node_config config = {.name = hm_name_of("c1"),
                                            .addr = {.family = 4, .ip = {10, 0, 0, 1}, .port = 1},
                                            .roles = {hm_name_of("control")},
                                            .role_count = 1,
                                            .durable = true,
                                            .seed = 6,
                                            .modules = modules,
                                            .module_count = 1};
            struct hm_node *node = hm_node_new(&config, &error);
            assert_int_equal(hm_node_start(node, 1, 1, files, disk.count, &error), HM_DENIED);
            hm_node_free(node);
            hm_buf_clear(&error);
            assert_int_equal(hm_restore_is_free(&head, files, disk.count, &error), HM_EXISTS);
        }
        end_disk(&disk);
        hm_buf_fini(&error);
    }
    end_disk(&whole);
    hm_buf_fini(&file);
    end_source(&source);
}

/* ---- handed out ---- */

static void ask(struct running *running, uint64_t connection, struct hm_backup_query query)
{
    struct hm_buf bytes = {0};
    running->connection = 0;
    query.call = 9;
    hm_message_encode(&bytes,
                      &(struct hm_message){.kind = HM_MSG_backup_query, .backup_query = query});
    hm_node_control(running->node, running->now, connection, hm_buf_view(&bytes));
    drain(running);
    hm_buf_fini(&bytes);
}

static struct hm_message replied(struct running *running, struct hm_arena *arena)
{
    struct hm_message message = {0};
    struct hm_reader in = hm_reader_of(hm_buf_view(&running->reply));
    assert_true(running->connection != 0);
    assert_int_equal(hm_message_decode(&in, arena, &message), HM_OK);
    assert_int_equal(message.answer.call, 9);
    return message;
}

static void assert_refused(struct running *running, enum hm_status status)
{
    struct hm_arena arena = {0};
    struct hm_message message = replied(running, &arena);
    assert_int_equal(message.kind, HM_MSG_answer);
    assert_int_equal(message.answer.status, status);
    hm_arena_fini(&arena);
}

/* As the command does it; appends the file. */
static void take_backup(struct running *running, struct hm_buf *out)
{
    struct hm_backup_writer writer;
    uint32_t logs[HM_LOGS_MAX] = {0};
    uint32_t count = 1;
    for (uint32_t i = 0; i < count; i++) {
        struct hm_backup_query query = {.log = logs[i]};
        uint64_t bytes;
        do {
            struct hm_arena arena = {0};
            ask(running, 1, query);
            struct hm_message message = replied(running, &arena);
            struct hm_backup_piece *piece = &message.backup_piece;
            assert_int_equal(message.kind, HM_MSG_backup_piece);
            if (i == 0 && query.offset == 0) {
                assert_int_equal(piece->head.key, KEY);
                count = piece->head.logs_count;
                for (uint32_t j = 0; j < count; j++) {
                    logs[j] = piece->head.logs[j].log;
                }
                hm_backup_begin(&writer, &piece->head, out);
            }
            if (query.offset == 0) {
                hm_backup_log(&writer, &piece->about, out);
            }
            hm_backup_data(&writer, piece->data, out);
            query.applied = piece->about.applied;
            query.offset += piece->data.size;
            bytes = piece->about.bytes;
            hm_arena_fini(&arena);
        } while (query.offset < bytes);
    }
    hm_backup_end(&writer, out);
}

static void test_a_node_hands_out_its_logs(void **unused)
{
    struct source source;
    struct hm_buf file = {0};
    struct hm_buf error = {0};
    struct disk disk = {0};
    struct running running;
    struct hm_backup_check check;
    (void)unused;
    make_source(&source);
    /* A log of several pieces. */
    hm_buf_clear(&source.audit);
    struct hm_replica audit;
    hm_replica_init(&audit, &hm_list_machine, NULL);
    hm_kept_limit(&audit.kept, (struct hm_keep){100, 10000000});
    for (int i = 0; i < 3; i++) {
        struct hm_outcome outcome;
        struct hm_bytes large = {hm_alloc(300000, 1), 300000};
        hm_replica_apply(&audit, &(struct hm_log_request){.request = large}, 0, &outcome);
        hm_bytes_free(large);
    }
    hm_replica_snapshot(&audit, true, &source.audit);
    hm_replica_fini(&audit);
    make_file(&source, &file);
    assert_int_equal(restore(&disk, &source, hm_buf_view(&file)), HM_OK);
    start_restored(&running, &disk);

    hm_buf_clear(&file);
    take_backup(&running, &file);
    assert_int_equal(check_file(&check, hm_buf_view(&file), &error), HM_OK);
    assert_int_equal(check.head.epoch, 1 + HM_EPOCH_RECOVERY);
    assert_int_equal(check.head.generation >> 32, 1 + HM_EPOCH_RECOVERY);
    assert_int_equal(check.log_count, 2);
    assert_int_equal(check.logs[1].index, 3);
    hm_backup_check_fini(&check);

    /* One at a time, until it is gone or silent; what is no longer held is said. */
    ask(&running, 2, (struct hm_backup_query){0});
    assert_refused(&running, HM_BUSY);
    hm_node_control_closed(running.node, running.now, 1);
    ask(&running, 2, (struct hm_backup_query){0});
    ask(&running, 2, (struct hm_backup_query){.applied = 1, .offset = UINT64_MAX});
    assert_refused(&running, HM_NOT_FOUND);
    ask(&running, 2, (struct hm_backup_query){.log = 7});
    assert_refused(&running, HM_NOT_FOUND);
    ask(&running, 3, (struct hm_backup_query){.local = true});
    assert_refused(&running, HM_BUSY);
    run_for(&running, 31000);
    ask(&running, 3, (struct hm_backup_query){.log = 1, .local = true});
    assert_int_equal(running.connection, 3);
    ask(&running, 3, (struct hm_backup_query){.log = 0, .applied = 1});
    assert_refused(&running, HM_NOT_FOUND);

    end_restored(&running);
    end_disk(&disk);
    end_all(&source, &file, &error);
}

static void test_what_does_not_fit_is_refused(void **unused)
{
    struct source source;
    struct hm_buf file = {0};
    struct hm_buf error = {0};
    struct hm_backup_check check;
    (void)unused;
    make_source(&source);
    make_file(&source, &file);
    assert_int_equal(check_file(&check, hm_buf_view(&file), &error), HM_OK);
    struct hm_restore_config good = config_of(&check.head);
    assert_int_equal(hm_restore_may(&check, &good, &error), HM_OK);

    struct hm_restore_config bad = good;
    bad.key_id++;
    assert_int_equal(hm_restore_may(&check, &bad, &error), HM_DENIED);
    assert_true(says(&error, "key 0000abcd"));
    bad.other_key = true;
    assert_int_equal(hm_restore_may(&check, &bad, &error), HM_OK);
    bad = good;
    bad.self.name = hm_name_of("H1");
    assert_int_equal(hm_restore_may(&check, &bad, &error), HM_DENIED);
    bad = good;
    bad.self.addr.ip[3] = 3;
    assert_int_equal(hm_restore_may(&check, &bad, &error), HM_DENIED);
    bad = good;
    bad.self.roles = &host_role;
    assert_int_equal(hm_restore_may(&check, &bad, &error), HM_DENIED);
    bad = good;
    bad.self.feature = 0;
    assert_int_equal(hm_restore_may(&check, &bad, &error), HM_WRONG_FEATURE);
    check.head.epoch = UINT32_MAX - 1;
    assert_int_equal(hm_restore_may(&check, &good, &error), HM_TOO_LARGE);
    /* Another backup under the same name, after the check. */
    bad = good;
    bad.head.time_ms++;
    struct disk disk = {0};
    struct hm_restore *restoring = hm_restore_new(&bad, do_ops, &disk);
    struct hm_backup_visitor visitor = hm_restore_visitor(restoring);
    assert_int_equal(read_with(&visitor, hm_buf_view(&file), 4096, &error), HM_CONFLICT);
    assert_int_equal(disk.count, 0);
    hm_restore_free(restoring);
    hm_backup_check_fini(&check);
    end_all(&source, &file, &error);
}

static void test_only_a_free_directory_is_taken(void **unused)
{
    static const char *const taken[] = {"identity", "fenced", "journal-0000000000000001",
                                        "snapshot-00000000"};
    struct hm_backup_head head = {.cluster = CLUSTER};
    struct hm_buf error = {0};
    struct hm_buf was = {0};
    struct hm_disk_file file = {.name = "announcements"};
    (void)unused;
    assert_int_equal(hm_restore_is_free(&head, &file, 1, &error), HM_OK);
    for (size_t i = 0; i < sizeof taken / sizeof *taken; i++) {
        snprintf(file.name, sizeof file.name, "%s", taken[i]);
        assert_int_equal(hm_restore_is_free(&head, &file, 1, &error), HM_EXISTS);
    }
    snprintf(file.name, sizeof file.name, HM_NODE_REJOIN_FILE);
    assert_int_equal(hm_restore_is_free(&head, &file, 1, &error), HM_DAMAGED);
    hm_node_put_identity(&was, &(struct hm_node_identity){.cluster = CLUSTER});
    file.content = hm_buf_view(&was);
    assert_int_equal(hm_restore_is_free(&head, &file, 1, &error), HM_OK);
    head.cluster++;
    assert_int_equal(hm_restore_is_free(&head, &file, 1, &error), HM_WRONG_CLUSTER);
    hm_buf_fini(&was);
    hm_buf_fini(&error);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_was_written_is_read),
        cmocka_unit_test(test_every_cut_is_noticed),
        cmocka_unit_test(test_every_flipped_byte_is_noticed),
        cmocka_unit_test(test_blocks_out_of_place_are_refused),
        cmocka_unit_test(test_a_check_looks_inside),
        cmocka_unit_test(test_a_restored_node_goes_on),
        cmocka_unit_test(test_a_restore_that_stops_is_no_node),
        cmocka_unit_test(test_a_node_hands_out_its_logs),
        cmocka_unit_test(test_what_does_not_fit_is_refused),
        cmocka_unit_test(test_only_a_free_directory_is_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
