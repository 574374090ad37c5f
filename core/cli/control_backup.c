/* hivemind control backup: what the control plane knows, into a file. */
#include "core/cli/backup_file.h"
#include "core/cli/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* A node gives up waiting for a leader after 5 s, and says so. */
#define LEADER_MS 6000u

enum { KEY_CHECK = 0x400, KEY_LOCAL = 'l' };

static const struct argp_option options[] = {
    {"check", KEY_CHECK, NULL, 0, "Make none: read FILE, and tell what it holds", 0},
    {"local", KEY_LOCAL, NULL, 0,
     "What this node has, without asking others whether there is more: without a quorum", 0},
    {0},
};

/* ---- the file ---- */

struct output {
    const char *file;
    bool standard;
    int fd;
    struct hm_buf temporary; /* NUL-terminated path */
    uint64_t bytes;
};

static const char *way_out(int why)
{
    return why == ENOENT                                   ? "; make its directory first"
           : why == EACCES || why == EPERM || why == EROFS ? "; name a file that this user may make"
           : why == ENOSPC || why == EDQUOT || why == EFBIG ? "; name a file where there is room"
                                                            : "";
}

static int file_failed(const struct output *output, const char *what)
{
    int why = errno;
    hm_complain("cannot %s %s: %s%s", what,
                output->standard ? "standard output" : (const char *)output->temporary.data,
                strerror(why), output->standard ? "" : way_out(why));
    return EXIT_FAILED;
}

static int open_output(struct output *output)
{
    output->standard = strcmp(output->file, "-") == 0;
    output->fd = STDOUT_FILENO;
    if (output->standard) {
        return EXIT_OK;
    }
    hm_buf_printf(&output->temporary, "%s.tmp", output->file);
    hm_put_u8(&output->temporary, 0);
    /* What an earlier one left may have been made with another mode. */
    unlink((const char *)output->temporary.data);
    output->fd = open((const char *)output->temporary.data,
                      O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    return output->fd < 0 ? file_failed(output, "make") : EXIT_OK;
}

static int write_out(struct output *output, struct hm_buf *bytes)
{
    for (size_t at = 0; at < bytes->size;) {
        ssize_t done = write(output->fd, bytes->data + at, bytes->size - at);
        if (done < 0 && errno != EINTR) {
            return file_failed(output, "write");
        }
        at += done > 0 ? (size_t)done : 0;
    }
    output->bytes += bytes->size;
    hm_buf_clear(bytes);
    return EXIT_OK;
}

/* A name is durable when its directory is. */
static bool sync_directory(const char *file)
{
    struct hm_buf path = {0};
    const char *slash = strrchr(file, '/');
    if (slash) {
        hm_buf_append(&path, file, (size_t)(slash - file) + 1);
    } else {
        hm_buf_append_text(&path, ".");
    }
    hm_put_u8(&path, 0);
    int fd = open((const char *)path.data, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool good = fd >= 0 && fsync(fd) == 0;
    if (fd >= 0) {
        close(fd);
    }
    hm_buf_fini(&path);
    return good;
}

/* With a good `code` the file gets its name, else it goes. */
static int close_output(struct output *output, int code)
{
    const char *temporary = (const char *)output->temporary.data;
    if (output->standard || output->fd < 0) {
        return code;
    }
    if (code == EXIT_OK && fsync(output->fd) != 0) {
        code = file_failed(output, "sync");
    }
    if (close(output->fd) != 0 && code == EXIT_OK) {
        code = file_failed(output, "write");
    }
    if (code == EXIT_OK && rename(temporary, output->file) != 0) {
        code = file_failed(output, "rename");
    }
    if (code != EXIT_OK) {
        unlink(temporary);
    } else if (!sync_directory(output->file)) {
        code = file_failed(output, "sync the directory of");
    }
    return code;
}

/* ---- from the node ---- */

struct making {
    struct hm_given *given;
    struct output output;
    struct hm_backup_writer writer;
    struct hm_buf bytes;
    struct hm_backup_head head; /* without its list */
    struct hm_log_name logs[HM_LOGS_MAX];
    uint32_t log_count;
    uint64_t index; /* of the last event */
};

/* `at`: what is being read, and how far; `applied` 0: it begins. */
static int ask(struct making *making, const struct hm_backup_log *at, uint64_t offset,
               struct hm_message *reply)
{
    struct hm_message query = {
        .kind = HM_MSG_backup_query,
        .backup_query = {.log = at->log,
                         .local = hm_given_option(making->given, KEY_LOCAL) != NULL,
                         .applied = at->applied,
                         .offset = offset}};
    int code = hm_client_ask(&making->given->client, &query, LEADER_MS, HM_MSG_backup_piece, reply);
    const struct hm_backup_piece *piece = &reply->backup_piece;
    if (code == EXIT_OK &&
        (piece->about.log != at->log || (at->applied && piece->about.applied != at->applied) ||
         piece->about.applied == 0 || piece->offset != offset || piece->data.size == 0 ||
         piece->data.size > HM_BACKUP_DATA_BYTES_MAX || piece->about.bytes < offset ||
         piece->data.size > piece->about.bytes - offset)) {
        hm_complain("the node answered with something else; is it of this release?");
        code = EXIT_FAILED;
    }
    return code;
}

static int begin_file(struct making *making, const struct hm_backup_piece *first)
{
    making->head = first->head;
    making->log_count = first->head.logs_count;
    making->index = first->about.index;
    memcpy(making->logs, first->head.logs, making->log_count * sizeof *making->logs);
    making->head.logs = making->logs;
    int code = open_output(&making->output);
    if (code == EXIT_OK) {
        hm_backup_begin(&making->writer, &making->head, &making->bytes);
        code = write_out(&making->output, &making->bytes);
    }
    return code;
}

static int copy_log(struct making *making, uint32_t log)
{
    struct hm_message reply;
    struct hm_backup_log about = {.log = log};
    const struct hm_backup_piece *piece = &reply.backup_piece;
    uint64_t offset = 0;
    do {
        int code = ask(making, &about, offset, &reply);
        if (code == EXIT_OK && log == 0 && offset == 0) {
            code = begin_file(making, piece);
        }
        if (code != EXIT_OK) {
            return code;
        }
        if (offset == 0) {
            about = piece->about;
            hm_backup_log(&making->writer, &about, &making->bytes);
        }
        hm_backup_data(&making->writer, piece->data, &making->bytes);
        offset += piece->data.size;
        code = write_out(&making->output, &making->bytes);
        if (code != EXIT_OK) {
            return code;
        }
    } while (offset < about.bytes);
    return EXIT_OK;
}

static void print_done(const struct making *making)
{
    const struct hm_backup_head *head = &making->head;
    char cluster[17];
    snprintf(cluster, sizeof cluster, "%016llx", (unsigned long long)head->cluster);
    if (!making->given->options.json) {
        printf("backup of cluster %s at epoch %llu, event %llu: %u logs, %llu bytes in %s\n",
               cluster, (unsigned long long)head->epoch, (unsigned long long)making->index,
               making->log_count, (unsigned long long)making->output.bytes, making->output.file);
        return;
    }
    json_t *json = json_object();
    json_object_set_new(json, "cluster", json_string(cluster));
    json_object_set_new(json, "epoch", json_integer((json_int_t)head->epoch));
    json_object_set_new(json, "index", json_integer((json_int_t)making->index));
    json_object_set_new(json, "logs", json_integer(making->log_count));
    json_object_set_new(json, "bytes", json_integer((json_int_t)making->output.bytes));
    json_object_set_new(json, "file", json_string(making->output.file));
    hm_json_print(json);
}

static int make(struct making *making)
{
    int code = copy_log(making, 0);
    for (uint32_t i = 1; code == EXIT_OK && i < making->log_count; i++) {
        code = copy_log(making, making->logs[i].log);
    }
    if (code == EXIT_OK) {
        hm_backup_end(&making->writer, &making->bytes);
        code = write_out(&making->output, &making->bytes);
    }
    code = close_output(&making->output, code);
    if (code == EXIT_OK && !making->output.standard) {
        print_done(making);
    }
    return code;
}

static int check(const struct hm_given *given)
{
    struct hm_backup_check found;
    int code = hm_backup_file_check(given->words[0], &found);
    if (code == EXIT_OK) {
        hm_backup_file_print(&found, given->options.json);
    }
    hm_backup_check_fini(&found);
    return code;
}

static int run(struct hm_given *given)
{
    const char *file = given->words[0];
    if (hm_given_option(given, KEY_CHECK)) {
        return check(given);
    }
    if (strcmp(file, "-") == 0 && isatty(STDOUT_FILENO)) {
        hm_complain("a backup is nothing for a terminal; name a FILE, or pass it on");
        return EXIT_USAGE;
    }
    struct making making = {.given = given, .output = {.file = file, .fd = -1}};
    int code = make(&making);
    hm_buf_fini(&making.bytes);
    hm_buf_fini(&making.output.temporary);
    return code;
}

const struct hm_command hm_command_control_backup = {
    .name = "backup",
    .words = "FILE",
    .help = "what the control plane has committed, into a file",
    .doc =
        "Write what the control plane has committed into FILE (- is standard output): members, "
        "records, every named log with the entries that it keeps, the logs of roles.\vRun it on "
        "a control node; each log is taken as it stands after everything that was committed "
        "before. FILE is written beside (FILE.tmp, mode 0600), synced, and renamed. It holds all "
        "that the cluster knows but its key. `hivemind control restore` makes a control plane of "
        "it again.",
    .alone_with = KEY_CHECK,
    .example = "/var/backups/hivemind/control.backup",
    .options = options,
    .run = run,
};
