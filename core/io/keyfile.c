#include "core/io/keyfile.h"

#include "core/base/assert.h"
#include "core/base/memory.h"
#include "core/io/group.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_BYTES_MAX 128

static bool is_our_group(gid_t gid)
{
    gid_t ours;
    return hm_group_find(&ours) && ours == gid;
}

static enum hm_status check_mode(const char *path, const struct stat *about, struct hm_buf *error)
{
    unsigned mode = about->st_mode & 07777;
    unsigned allowed = is_our_group(about->st_gid) ? 0640 : 0600;
    if (!S_ISREG(about->st_mode)) {
        hm_buf_printf(
            error, "the key file %s is no plain file: name one that `hivemind keygen` made", path);
        return HM_DENIED;
    }
    if (mode & 0777 & ~allowed) {
        hm_buf_printf(error, "others can read the key file %s (mode %04o): chmod 0600 %s", path,
                      mode, path);
        return HM_DENIED;
    }
    return HM_OK;
}

/* Why it cannot be opened or made, and what to do. */
static enum hm_status explain(struct hm_buf *error, const char *what, const char *path, int why)
{
    hm_buf_printf(error, "cannot %s the key file %s: %s", what, path, strerror(why));
    if (why == EACCES || why == EPERM) {
        hm_buf_printf(error, "; it must be possible for this user (uid %u)%s", (unsigned)geteuid(),
                      strcmp(what, "read") == 0 ? ", or for the group " HM_GROUP " with mode 0640"
                                                : "");
    } else if (why == EEXIST) {
        hm_buf_append_text(error,
                           "; it is never overwritten: name another file, or remove it first");
    } else if (why == ENOENT && strcmp(what, "read") == 0) {
        hm_buf_printf(error,
                      "; `hivemind keygen -o %s` makes one for a new cluster, a member of an "
                      "old one has its key",
                      path);
    } else if (why == ENOENT) {
        hm_buf_append_text(error, "; make its directory first");
    }
    return why == ENOENT   ? HM_NOT_FOUND
           : why == EEXIST ? HM_EXISTS
           : why == EACCES ? HM_DENIED
                           : HM_IO;
}

static enum hm_status read_open(int fd, const char *path, struct hm_key *out, struct hm_buf *error)
{
    struct stat about;
    uint8_t text[FILE_BYTES_MAX];
    if (fstat(fd, &about) != 0) {
        return explain(error, "read", path, errno);
    }
    enum hm_status status = check_mode(path, &about, error);
    if (status != HM_OK) {
        return status;
    }
    ssize_t size = read(fd, text, sizeof text);
    if (size < 0) {
        return explain(error, "read", path, errno);
    }
    status = hm_key_parse((struct hm_bytes){text, (size_t)size}, out);
    hm_wipe(text, sizeof text);
    if (status != HM_OK) {
        hm_buf_printf(error,
                      "%s holds no key: 64 hex digits are wanted, as `hivemind keygen` "
                      "writes them",
                      path);
    }
    return status;
}

enum hm_status hm_keyfile_read(const char *path, struct hm_key *out, struct hm_buf *error)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        return explain(error, "read", path, errno);
    }
    enum hm_status status = read_open(fd, path, out, error);
    close(fd);
    return status;
}

void hm_key_draw(struct hm_key *out)
{
    uint8_t random[HM_KEY_BYTES];
    HM_ASSERT(sodium_init() >= 0);
    randombytes_buf(random, sizeof random);
    hm_key_generate(random, out);
    hm_wipe(random, sizeof random);
}

enum hm_status hm_keyfile_generate(const char *path, struct hm_key *out, struct hm_buf *error)
{
    struct hm_key key;
    char text[HM_KEY_TEXT_BYTES];
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) {
        return explain(error, "make", path, errno);
    }
    hm_key_draw(&key);
    hm_key_format(&key, text);
    ssize_t size = (ssize_t)strlen(text);
    bool good = write(fd, text, (size_t)size) == size && fsync(fd) == 0;
    int why = errno;
    close(fd);
    hm_wipe(text, sizeof text);
    if (good) {
        *out = key;
    } else {
        unlink(path);
        (void)explain(error, "write", path, why);
    }
    hm_key_wipe(&key);
    return good ? HM_OK : HM_IO;
}
