/* hivemind control restore: a control node's data directory from a backup, when all others are
 * lost. */
#include "core/cli/backup_file.h"
#include "core/cli/cli.h"
#include "core/cli/place.h"
#include "core/io/disk.h"
#include "core/io/keyfile.h"
#include "core/node/control/restore.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { KEY_CHECK = 0x500, KEY_OTHER_KEY };

static const struct argp_option options[] = {
    {"config", 'c', "CONFIG", 0, "The configuration of the control node that begins anew", 0},
    {"yes", 'y', NULL, 0, "Do not ask: for scripts", 0},
    {"check", KEY_CHECK, NULL, 0, "Tell whether it could be done, and change nothing", 0},
    {"other-key", KEY_OTHER_KEY, NULL, 0,
     "The node's key may be another than the backup's: for a copy that the old cluster does not "
     "hear",
     0},
    {0},
};

static void check_usage(struct hm_given *given, struct argp_state *state)
{
    if (!hm_given_option(given, 'c')) {
        argp_error(state, "-c CONFIG is missing: for which node?");
    }
    if (strcmp(given->words[0], "-") == 0) {
        argp_error(state, "FILE is read twice, so it cannot be standard input");
    }
}

/* ---- whose directory ---- */

struct target {
    struct hm_loader loader;
    struct hm_settings settings;
    struct hm_place_of_node place;
    struct hm_label roles[HM_NODE_ROLES_MAX];
    struct hm_restore_config config;
};

static int complain_of(const struct hm_buf *error, enum hm_status status)
{
    hm_complain("%.*s", (int)error->size, (const char *)error->data);
    return status == HM_BAD_CONFIG ? EXIT_USAGE : EXIT_FAILED;
}

static enum hm_status read_key(const struct target *target, uint32_t *id, struct hm_buf *error)
{
    struct hm_key key;
    enum hm_status status =
        hm_keyfile_read(hm_conf_text(target->settings.root, "key"), &key, error);
    if (status == HM_OK) {
        *id = hm_key_id(&key);
    }
    hm_key_wipe(&key);
    return status;
}

static int open_target(struct target *target, const struct hm_given *given)
{
    struct hm_buf error = {0};
    struct hm_restore_config *config = &target->config;
    int code = EXIT_OK;
    if (hm_settings_read(hm_given_option(given, 'c'), &target->loader, &target->settings, &error) !=
        HM_OK) {
        fwrite(error.data, 1, error.size, stderr);
        hm_buf_fini(&error);
        return EXIT_USAGE;
    }
    enum hm_status status = hm_place_find(&target->settings, &target->place, &error);
    if (status == HM_OK) {
        status = read_key(target, &config->key_id, &error);
    }
    if (status == HM_OK) {
        for (size_t i = 0; i < target->settings.role_count; i++) {
            target->roles[i].name = target->settings.roles[i];
        }
        config->other_key = hm_given_option(given, KEY_OTHER_KEY) != NULL;
        config->self = (struct hm_member){.name = target->place.name,
                                          .addr = target->place.addr,
                                          .roles = target->roles,
                                          .roles_count = (uint32_t)target->settings.role_count,
                                          .boot = 1,
                                          .feature = HM_FEATURE_LEVEL};
        randombytes_buf(config->self.id.bytes, sizeof config->self.id.bytes);
        randombytes_buf(config->history.bytes, sizeof config->history.bytes);
    } else {
        code = complain_of(&error, status);
    }
    hm_buf_fini(&error);
    return code;
}

static void close_target(struct target *target)
{
    hm_place_fini(&target->place);
    hm_settings_fini(&target->settings);
    hm_loader_fini(&target->loader);
}

/* ---- its directory ---- */

static const char *directory_of(const struct target *target)
{
    return (const char *)target->place.data.data;
}

/* The lock is taken before one looks: no node runs there from then on. */
static enum hm_status look_inside(const struct target *target, const struct hm_backup_head *head,
                                  int *lock, struct hm_buf *error)
{
    struct hm_disk_file *files = NULL;
    size_t count = 0;
    enum hm_status status = hm_disk_lock(directory_of(target), lock, error);
    if (status == HM_OK) {
        status = hm_disk_load(directory_of(target), &files, &count, error);
    }
    if (status == HM_OK) {
        hm_buf_printf(error, "%s: ", directory_of(target));
        status = hm_restore_is_free(head, files, count, error);
        hm_disk_files_free(files, count);
    }
    return status;
}

/* Made by root, the files are for whoever the directory is. */
static enum hm_status hand_over(const char *directory, struct hm_buf *error)
{
    struct stat about;
    DIR *listing = geteuid() == 0 ? opendir(directory) : NULL;
    enum hm_status status = HM_OK;
    if (!listing) {
        return HM_OK;
    }
    if (fstat(dirfd(listing), &about) == 0 && about.st_uid != 0) {
        for (struct dirent *file; status == HM_OK && (file = readdir(listing));) {
            struct stat one;
            if (fstatat(dirfd(listing), file->d_name, &one, AT_SYMLINK_NOFOLLOW) == 0 &&
                S_ISREG(one.st_mode) && one.st_uid == 0 &&
                fchownat(dirfd(listing), file->d_name, about.st_uid, about.st_gid,
                         AT_SYMLINK_NOFOLLOW) != 0) {
                hm_buf_printf(error, "cannot give %s to the owner of %s: %s", file->d_name,
                              directory, strerror(errno));
                status = HM_IO;
            }
        }
    }
    closedir(listing);
    return status;
}

struct writing {
    uv_loop_t loop;
    struct hm_disk *disk;
    uint64_t number; /* of the batch that is out */
    uint64_t done;
    enum hm_status status;
};

static void on_done(void *context, uint64_t number, enum hm_status status)
{
    struct writing *writing = context;
    writing->done = number;
    writing->status = status;
}

static enum hm_status write_ops(void *context, const struct hm_disk_op *ops, size_t count)
{
    struct writing *writing = context;
    hm_disk_submit(writing->disk, ops, count, ++writing->number);
    while (writing->done != writing->number) {
        uv_run(&writing->loop, UV_RUN_ONCE);
    }
    return writing->status;
}

static enum hm_status write_all(const struct target *target, const char *file, struct hm_buf *error)
{
    struct writing writing = {0};
    uv_loop_init(&writing.loop);
    writing.disk = hm_disk_new(&writing.loop, directory_of(target), NULL, on_done, &writing);
    struct hm_restore *restore = hm_restore_new(&target->config, write_ops, &writing);
    struct hm_backup_visitor visitor = hm_restore_visitor(restore);
    enum hm_status status = hm_backup_file_read(file, &visitor, error);
    if (status == HM_OK) {
        status = hm_restore_finish(restore);
    }
    if (writing.status != HM_OK) {
        hm_buf_clear(error);
        hm_buf_printf(error, "cannot write in %s: %s", directory_of(target),
                      hm_status_text(writing.status));
    }
    hm_restore_free(restore);
    hm_disk_free(writing.disk);
    while (uv_run(&writing.loop, UV_RUN_NOWAIT) != 0) {
    }
    uv_loop_close(&writing.loop);
    return status;
}

/* ---- in order ---- */

static void tell_plan(const struct target *target, const struct hm_backup_check *check)
{
    hm_backup_file_print(check, false);
    printf("\nNode %s begins anew with it in %s, as a control plane of one voter:\n"
           "  epoch %llu follows epoch %llu; what was committed after event %llu is lost\n"
           "  the other control nodes of the backup are no members any more; they join as new\n"
           "  everybody else follows by itself, or is found gone\n",
           target->place.name.text, directory_of(target),
           (unsigned long long)hm_restore_epoch(&check->head),
           (unsigned long long)check->head.epoch,
           (unsigned long long)hm_state_view(check->state)->index);
}

static int restore_into(struct target *target, const struct hm_given *given,
                        const struct hm_backup_check *check, int *lock)
{
    struct hm_buf error = {0};
    int code = EXIT_OK;
    enum hm_status status = hm_restore_may(check, &target->config, &error);
    bool there = access(directory_of(target), F_OK) == 0;
    bool only_check = hm_given_option(given, KEY_CHECK) != NULL;
    if (status == HM_OK && there) {
        status = look_inside(target, &check->head, lock, &error);
    }
    if (status == HM_OK && (only_check || !hm_given_option(given, 'y'))) {
        tell_plan(target, check);
    }
    if (status == HM_OK && (only_check || !hm_is_confirmed(given))) {
        hm_buf_fini(&error);
        return only_check ? EXIT_OK : EXIT_FAILED;
    }
    if (status == HM_OK && !there) {
        status = look_inside(target, &check->head, lock, &error);
    }
    if (status == HM_OK) {
        hm_buf_clear(&error);
        target->config.head = check->head;
        status = write_all(target, given->words[0], &error);
    }
    if (status == HM_OK) {
        hm_buf_clear(&error);
        status = hand_over(directory_of(target), &error);
    }
    if (status == HM_OK) {
        printf("restored into %s: epoch %llu begins when node %s is started\n",
               directory_of(target), (unsigned long long)hm_restore_epoch(&check->head),
               target->place.name.text);
    } else {
        code = complain_of(&error, status);
    }
    hm_buf_fini(&error);
    return code;
}

static int run(struct hm_given *given)
{
    struct target target = {0};
    struct hm_backup_check check;
    int lock = -1;
    int code = hm_backup_file_check(given->words[0], &check);
    if (code == EXIT_OK) {
        code = open_target(&target, given);
    }
    if (code == EXIT_OK) {
        code = restore_into(&target, given, &check, &lock);
    }
    if (lock >= 0) {
        close(lock);
    }
    close_target(&target);
    hm_backup_check_fini(&check);
    return code;
}

const struct hm_command hm_command_control_restore = {
    .name = "restore",
    .words = "FILE -c CONFIG",
    .help = "all control data is lost: begin anew with a backup",
    .doc = "Make the data directory of a control node from a backup, when all control nodes have "
           "lost theirs. The node must not run, and its directory must be empty. Started, it goes "
           "on alone in a new epoch; the others follow, or join as new.\vWhat was committed after "
           "the backup is lost. While one control node still has its data, start that one instead, "
           "and see `hivemind control recover`.",
    .alone = true,
    .example = "/var/backups/hivemind/control.backup -c /etc/hivemind/control.yaml",
    .options = options,
    .check = check_usage,
    .run = run,
};
