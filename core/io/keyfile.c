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
        hm_buf_printf(error, "the key %s is no plain file", path);
        return HM_DENIED;
    }
    if (mode & 0777 & ~allowed) {
        hm_buf_printf(error, "others can read the key file %s (mode %04o): chmod 0600 %s", path,
                      mode, path);
        return HM_DENIED;
    }
    return HM_OK;
}

static enum hm_status read_open(int fd, const char *path, struct hm_key *out, struct hm_buf *error)
{
    struct stat about;
    uint8_t text[FILE_BYTES_MAX];
    if (fstat(fd, &about) != 0) {
        hm_buf_printf(error, "cannot read the key file %s: %s", path, strerror(errno));
        return HM_IO;
    }
    enum hm_status status = check_mode(path, &about, error);
    if (status != HM_OK) {
        return status;
    }
    ssize_t size = read(fd, text, sizeof text);
    if (size < 0) {
        hm_buf_printf(error, "cannot read the key file %s: %s", path, strerror(errno));
        return HM_IO;
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
        int why = errno;
        hm_buf_printf(error, "cannot read the key file %s: %s", path, strerror(why));
        if (why == ENOENT) {
            hm_buf_append_text(error, "; `hivemind keygen` makes one");
        }
        return why == ENOENT ? HM_NOT_FOUND : why == EACCES ? HM_DENIED : HM_IO;
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
        int why = errno;
        hm_buf_printf(error, "cannot make the key file %s: %s", path, strerror(why));
        return why == EEXIST ? HM_EXISTS : why == EACCES ? HM_DENIED : HM_IO;
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
        hm_buf_printf(error, "cannot write the key file %s: %s", path, strerror(why));
    }
    hm_key_wipe(&key);
    return good ? HM_OK : HM_IO;
}
