#include "core/cli/backup_file.h"

#include "core/base/memory.h"
#include "core/cli/cli.h"
#include "core/io/log.h"
#include "core/node/control/restore.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define READ_BYTES (256u << 10)

/* ---- read ---- */

static enum hm_status read_open(int fd, struct hm_backup_reader *reader, struct hm_buf *error)
{
    uint8_t *piece = hm_alloc(READ_BYTES, 1);
    enum hm_status status = HM_OK;
    ssize_t got = 1;
    while (status == HM_OK && got != 0) {
        got = read(fd, piece, READ_BYTES);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            hm_buf_printf(error, "cannot be read: %s", strerror(errno));
            status = HM_IO;
        } else {
            status = hm_backup_feed(reader, (struct hm_bytes){piece, (size_t)got});
        }
    }
    hm_free(piece);
    return status == HM_OK ? hm_backup_finish(reader) : status;
}

enum hm_status hm_backup_file_read(const char *path, const struct hm_backup_visitor *visitor,
                                   struct hm_buf *error)
{
    bool standard = strcmp(path, "-") == 0;
    hm_buf_printf(error, "%s: ", standard ? "standard input" : path);
    int fd = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        hm_buf_printf(error, "cannot be read: %s", strerror(errno));
        return errno == ENOENT ? HM_NOT_FOUND : HM_IO;
    }
    struct hm_backup_reader *reader = hm_backup_reader_new(visitor, error);
    enum hm_status status = read_open(fd, reader, error);
    hm_backup_reader_free(reader);
    if (status != HM_OK && error->data[error->size - 1] == ' ') {
        hm_buf_append_text(error, status == HM_CONFLICT ? "it was changed meanwhile"
                                                        : hm_status_text(status));
    }
    if (!standard) {
        close(fd);
    }
    return status;
}

int hm_backup_file_check(const char *path, struct hm_backup_check *check)
{
    struct hm_buf error = {0};
    hm_backup_check_init(check, &error);
    struct hm_backup_visitor visitor = hm_backup_check_visitor(check);
    enum hm_status status = hm_backup_file_read(path, &visitor, &error);
    if (status != HM_OK) {
        hm_complain("%.*s", (int)error.size, (const char *)error.data);
    }
    hm_buf_fini(&error);
    check->error = NULL;
    return hm_status_exit_code(status);
}

/* ---- told ---- */

static void print_table(const struct hm_backup_check *check)
{
    static const char *const headings[] = {"LOG", "NUMBER", "INDEX", "TERM", "BYTES", NULL};
    const struct hm_backup_head *head = &check->head;
    const struct hm_view *view = hm_state_view(check->state);
    struct hm_sheet sheet = {.headings = headings};
    char when[HM_LOG_TIME_BYTES];
    printf("a whole backup of cluster %016llx\n", (unsigned long long)head->cluster);
    printf("  made      %s, on %s%s\n", hm_log_time(head->time_ms, when), head->node.text,
           head->local ? ", of what that node knew" : "");
    printf("  key       %08x\n", head->key);
    printf("  epoch     %llu, event %llu; a restore begins epoch %llu\n",
           (unsigned long long)head->epoch, (unsigned long long)view->index,
           (unsigned long long)hm_restore_epoch(head));
    printf("  holds     %zu members, %zu hosts, %zu records\n\n", view->members.count,
           hm_backup_check_records(check, HM_SCOPE_HOSTS), view->records.count);
    for (uint32_t i = 0; i < check->log_count; i++) {
        const struct hm_backup_log *log = &check->logs[i];
        hm_sheet_put(&sheet, "%s", log->name.text);
        hm_sheet_put(&sheet, "%u", log->log);
        hm_sheet_put(&sheet, "%llu", (unsigned long long)log->index);
        hm_sheet_put(&sheet, "%llu", (unsigned long long)log->term);
        hm_sheet_put(&sheet, "%llu", (unsigned long long)log->bytes);
    }
    hm_sheet_print(&sheet);
    hm_sheet_fini(&sheet);
}

static void print_json(const struct hm_backup_check *check)
{
    const struct hm_backup_head *head = &check->head;
    const struct hm_view *view = hm_state_view(check->state);
    char text[HM_LOG_TIME_BYTES];
    json_t *json = json_object();
    json_t *logs = json_array();
    snprintf(text, sizeof text, "%016llx", (unsigned long long)head->cluster);
    json_object_set_new(json, "cluster", json_string(text));
    snprintf(text, sizeof text, "%08x", head->key);
    json_object_set_new(json, "key", json_string(text));
    json_object_set_new(json, "node", hm_json_name(&head->node));
    json_object_set_new(json, "local", json_boolean(head->local));
    json_object_set_new(json, "time", json_string(hm_log_time(head->time_ms, text)));
    json_object_set_new(json, "epoch", json_integer((json_int_t)head->epoch));
    json_object_set_new(json, "next_epoch", json_integer((json_int_t)hm_restore_epoch(head)));
    json_object_set_new(json, "members", json_integer((json_int_t)view->members.count));
    json_object_set_new(json, "hosts",
                        json_integer((json_int_t)hm_backup_check_records(check, HM_SCOPE_HOSTS)));
    json_object_set_new(json, "records", json_integer((json_int_t)view->records.count));
    for (uint32_t i = 0; i < check->log_count; i++) {
        const struct hm_backup_log *log = &check->logs[i];
        json_t *one = json_object();
        json_object_set_new(one, "name", hm_json_name(&log->name));
        json_object_set_new(one, "number", json_integer(log->log));
        json_object_set_new(one, "index", json_integer((json_int_t)log->index));
        json_object_set_new(one, "term", json_integer((json_int_t)log->term));
        json_object_set_new(one, "bytes", json_integer((json_int_t)log->bytes));
        json_array_append_new(logs, one);
    }
    json_object_set_new(json, "logs", logs);
    hm_json_print(json);
}

void hm_backup_file_print(const struct hm_backup_check *check, bool json)
{
    (json ? print_json : print_table)(check);
}
