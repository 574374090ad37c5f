/* Where control sockets are, and making one. */
#include "core/base/memory.h"
#include "core/io/control.h"
#include "core/io/group.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* ---- where sockets are ---- */

void hm_control_path(const char *name, struct hm_buf *out)
{
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    bool system = access(HM_CONTROL_DIRECTORY, W_OK) == 0 || geteuid() == 0;
    if (system || runtime == NULL || runtime[0] == 0) {
        hm_buf_printf(out, HM_CONTROL_DIRECTORY "/%s.sock", name);
    } else {
        hm_buf_printf(out, "%s/hivemind/%s.sock", runtime, name);
    }
}

static void list_in(const char *directory, struct hm_control_paths *paths, size_t *capacity)
{
    DIR *listing = opendir(directory);
    if (listing == NULL) {
        return;
    }
    for (struct dirent *entry; (entry = readdir(listing)) != NULL;) {
        size_t size = strlen(entry->d_name);
        if (size > 5 && strcmp(entry->d_name + size - 5, ".sock") == 0) {
            struct hm_buf path = {0};
            hm_buf_printf(&path, "%s/%s", directory, entry->d_name);
            hm_put_u8(&path, 0);
            paths->paths = hm_grow(paths->paths, paths->count, capacity, sizeof *paths->paths);
            paths->paths[paths->count++] = (char *)path.data;
        }
    }
    closedir(listing);
}

static int compare_paths(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

struct hm_control_paths hm_control_list(void)
{
    struct hm_control_paths paths = {0};
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    size_t capacity = 0;
    list_in(HM_CONTROL_DIRECTORY, &paths, &capacity);
    if (runtime != NULL && runtime[0] != 0) {
        struct hm_buf directory = {0};
        hm_buf_printf(&directory, "%s/hivemind", runtime);
        hm_put_u8(&directory, 0);
        list_in((char *)directory.data, &paths, &capacity);
        hm_buf_fini(&directory);
    }
    if (paths.count > 1) {
        qsort(paths.paths, paths.count, sizeof *paths.paths, compare_paths);
    }
    return paths;
}

void hm_control_paths_fini(struct hm_control_paths *paths)
{
    for (size_t i = 0; i < paths->count; i++) {
        hm_free(paths->paths[i]);
    }
    hm_free(paths->paths);
    *paths = (struct hm_control_paths){0};
}

/* ---- listening ---- */

static bool is_answered(const struct sockaddr_un *name)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool answered = fd >= 0 && (connect(fd, (const struct sockaddr *)name, sizeof *name) == 0 ||
                                errno == EAGAIN);
    if (fd >= 0) {
        close(fd);
    }
    return answered;
}

/* Not through a link: we may be root in a directory that the user hivemind may write. */
static void give_to_group(const char *path)
{
    gid_t group;
    if (hm_group_find(&group) && lchown(path, (uid_t)-1, group) != 0) {
        return; /* not a member of it: then the socket is for its own user and group */
    }
}

static void make_parent(const char *path)
{
    char parent[sizeof((struct sockaddr_un *)0)->sun_path];
    const char *slash = strrchr(path, '/');
    if (slash != NULL && slash != path) {
        memcpy(parent, path, (size_t)(slash - path));
        parent[slash - path] = 0;
        if (mkdir(parent, 0755) == 0) {
            give_to_group(parent);
        }
    }
}

int hm_control_listen(const char *path, struct hm_buf *error)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof name.sun_path) {
        hm_buf_printf(
            error,
            "the path of the control socket is longer than %zu bytes: %s; `socket` names a "
            "shorter one",
            sizeof name.sun_path - 1, path);
        return -1;
    }
    memcpy(name.sun_path, path, strlen(path));
    if (is_answered(&name)) {
        hm_buf_printf(error,
                      "another node answers on the control socket %s; stop it, or give this one "
                      "another `name` or `socket`",
                      path);
        return -1;
    }
    make_parent(path);
    struct stat about;
    if (lstat(path, &about) == 0 && S_ISSOCK(about.st_mode)) {
        unlink(path);
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    mode_t before = umask(0117);
    bool bound = fd >= 0 && bind(fd, (struct sockaddr *)&name, sizeof name) == 0;
    int why = errno;
    umask(before);
    if (bound) {
        give_to_group(path);
        if (listen(fd, SOMAXCONN) == 0) {
            return fd;
        }
        why = errno;
    }
    if (fd >= 0) {
        close(fd);
    }
    hm_buf_printf(error, "cannot make the control socket %s: %s; `socket` names another place",
                  path, strerror(why));
    return -1;
}
