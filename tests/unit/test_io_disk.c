/* The disk adapter over a real directory: what is durable is there again, what fails is told. */
#include "core/base/memory.h"
#include "core/io/disk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

/* A directory, a loop, and what was reported. */
struct world {
    char directory[64];
    uv_loop_t loop;
    struct hm_disk *disk;
    size_t told;
    uint64_t numbers[16];
    enum hm_status statuses[16];
};

static void on_done(void *context, uint64_t number, enum hm_status status)
{
    struct world *world = context;
    assert_true(world->told < 16);
    world->numbers[world->told] = number;
    world->statuses[world->told++] = status;
}

static void world_init(struct world *world, bool memory)
{
    memset(world, 0, sizeof *world);
    snprintf(world->directory, sizeof world->directory, "/tmp/hm_test_disk.XXXXXX");
    assert_non_null(mkdtemp(world->directory));
    assert_int_equal(uv_loop_init(&world->loop), 0);
    world->disk = hm_disk_new(&world->loop, memory ? NULL : world->directory, NULL, on_done, world);
}

/* Stands in for the C library's, and counts. */
static _Atomic size_t sync_count; /* the disk has a thread */

int fsync(int fd)
{
    sync_count++;
    return (int)syscall(SYS_fsync, fd);
}

static void clean(const char *directory)
{
    struct hm_disk_file *files;
    size_t count;
    struct hm_buf error = {0};
    char path[160];
    assert_int_equal(hm_disk_load(directory, &files, &count, &error), HM_OK);
    for (size_t i = 0; i < count; i++) {
        snprintf(path, sizeof path, "%s/%s", directory, files[i].name);
        unlink(path);
    }
    snprintf(path, sizeof path, "%s/%s", directory, HM_DISK_LOCK_FILE);
    unlink(path);
    hm_disk_files_free(files, count);
    assert_int_equal(rmdir(directory), 0);
}

static void world_fini(struct world *world)
{
    hm_disk_free(world->disk);
    uv_run(&world->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&world->loop), 0);
    clean(world->directory);
}

static void wait_for(struct world *world, size_t told)
{
    while (world->told < told) {
        uv_run(&world->loop, UV_RUN_ONCE);
    }
}

static struct hm_disk_op op(enum hm_disk_op_kind kind, const char *file, const char *text,
                            uint64_t at, uint64_t size)
{
    struct hm_disk_op made = {.kind = kind, .offset = at, .size = size};
    snprintf(made.file, sizeof made.file, "%s", file);
    made.bytes = hm_bytes_of_text(text);
    return made;
}

static bool holds(const struct world *world, const char *name, const char *text, size_t size)
{
    struct hm_disk_file *files;
    size_t count;
    struct hm_buf error = {0};
    bool found = false;
    assert_int_equal(hm_disk_load(world->directory, &files, &count, &error), HM_OK);
    for (size_t i = 0; i < count; i++) {
        found |= strcmp(files[i].name, name) == 0 && files[i].content.size == size &&
                 memcmp(files[i].content.data, text, size) == 0;
    }
    hm_disk_files_free(files, count);
    return found;
}

static void test_operations_in_order(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, false);
    char text[] = "replaced"; /* operations are copied: the caller's bytes may go */
    struct hm_disk_op first[] = {
        op(HM_DISK_ALLOCATE, "segment", "", 0, 20),
        op(HM_DISK_WRITE, "segment", "abc", 3, 0),
        op(HM_DISK_WRITE, "segment", "Z", 4, 0),
        op(HM_DISK_SYNC, "segment", "", 0, 0),
    };
    struct hm_disk_op second[] = {
        op(HM_DISK_REPLACE, "state", "old", 0, 0),
        op(HM_DISK_REPLACE, "state", text, 0, 0),
        op(HM_DISK_REMOVE, "never there", "", 0, 0),
    };
    hm_disk_submit(world.disk, first, 4, 1);
    hm_disk_submit(world.disk, second, 3, 2);
    memset(text, 'x', sizeof text - 1);
    wait_for(&world, 2);
    assert_int_equal(world.numbers[0], 1);
    assert_int_equal(world.numbers[1], 2);
    assert_int_equal(world.statuses[0], HM_OK);
    assert_int_equal(world.statuses[1], HM_OK);
    assert_true(holds(&world, "segment", "\0\0\0aZc\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20));
    assert_true(holds(&world, "state", "replaced", 8));
    struct hm_disk_op third[] = {op(HM_DISK_REMOVE, "segment", "", 0, 0)};
    hm_disk_submit(world.disk, third, 1, 3);
    wait_for(&world, 3);
    assert_false(holds(&world, "segment", "\0\0\0aZc\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20));
    world_fini(&world);
}

static void test_what_follows_a_failure_fails_untried(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, false);
    struct hm_disk_op make[] = {op(HM_DISK_ALLOCATE, "a", "", 0, 4)};
    struct hm_disk_op write[] = {op(HM_DISK_REPLACE, "b", "b", 0, 0)};
    hm_disk_submit(world.disk, make, 1, 1);
    hm_disk_submit(world.disk, make, 1, 2); /* is there already */
    hm_disk_submit(world.disk, write, 1, 3);
    wait_for(&world, 3);
    assert_int_equal(world.statuses[0], HM_OK);
    assert_int_equal(world.statuses[1], HM_EXISTS);
    assert_int_equal(world.statuses[2], HM_EXISTS);
    assert_false(holds(&world, "b", "b", 1));
    hm_disk_submit(world.disk, write, 1, 4); /* given with the failure known */
    struct hm_disk_op absent[] = {op(HM_DISK_WRITE, "absent", "b", 0, 0)};
    hm_disk_submit(world.disk, absent, 1, 5);
    wait_for(&world, 5);
    assert_int_equal(world.statuses[3], HM_OK);
    assert_int_equal(world.statuses[4], HM_IO);
    assert_true(holds(&world, "b", "b", 1));
    world_fini(&world);
}

static void test_no_space(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, false);
    /* More than any file system holds in a file. */
    struct hm_disk_op huge[] = {op(HM_DISK_ALLOCATE, "huge", "", 0, UINT64_C(1) << 62)};
    hm_disk_submit(world.disk, huge, 1, 1);
    wait_for(&world, 1);
    assert_int_equal(world.statuses[0], HM_NO_SPACE);
    assert_false(holds(&world, "huge", "", 0));
    world_fini(&world);
}

static void test_memory_mode(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, true);
    struct hm_disk_op write[] = {op(HM_DISK_WRITE, "nothing", "b", 0, 0)};
    hm_disk_submit(world.disk, write, 1, 7);
    hm_disk_submit(world.disk, write, 1, 8);
    assert_int_equal(world.told, 0); /* never from within submit */
    wait_for(&world, 2);
    assert_int_equal(world.numbers[0], 7);
    assert_int_equal(world.statuses[1], HM_OK);
    world_fini(&world);
}

static void test_freeing_does_what_was_queued(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, false);
    struct hm_disk_op write[] = {op(HM_DISK_REPLACE, "last", "words", 0, 0)};
    hm_disk_submit(world.disk, write, 1, 1);
    hm_disk_free(world.disk);
    world.disk = NULL;
    assert_int_equal(world.told, 0);
    assert_true(holds(&world, "last", "words", 5));
    world_fini(&world);
}

static void test_lock_and_leftovers(void **state)
{
    (void)state;
    struct world world;
    char below[100];
    char path[160];
    char wanted[300];
    struct hm_buf error = {0};
    struct hm_disk_file *files;
    size_t count;
    int lock;
    int second;
    world_init(&world, true);
    snprintf(below, sizeof below, "%s/made/here", world.directory);
    assert_int_equal(hm_disk_lock(below, &lock, &error), HM_OK);
    assert_int_equal(hm_disk_lock(below, &second, &error), HM_BUSY);
    hm_put_u8(&error, 0);
    snprintf(
        wanted, sizeof wanted,
        "another hivemind (pid %d) uses %s; stop it, or name another data directory (`data`, in "
        "nginx `state`)",
        (int)getpid(), below);
    assert_string_equal((char *)error.data, wanted);
    close(lock);
    assert_int_equal(hm_disk_lock(below, &second, &error), HM_OK);
    close(second);
    snprintf(path, sizeof path, "%s/state.new", below);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fclose(file);
    assert_int_equal(hm_disk_load(below, &files, &count, &error), HM_OK);
    assert_int_equal(count, 0);
    hm_disk_files_free(files, count);
    assert_int_not_equal(access(path, F_OK), 0);
    snprintf(path, sizeof path, "%s/none", below);
    hm_buf_clear(&error);
    assert_int_equal(hm_disk_load(path, &files, &count, &error), HM_IO);
    assert_true(error.size > 0);
    hm_buf_fini(&error);
    clean(below);
    snprintf(path, sizeof path, "%s/made", world.directory);
    assert_int_equal(rmdir(path), 0);
    world_fini(&world);
}

/* Somebody may build on what is read: a vote, an acknowledgement. */
static void test_what_is_read_is_durable(void **unused)
{
    (void)unused;
    struct world world;
    struct hm_disk_file *files;
    size_t count;
    struct hm_buf error = {0};
    char path[160];
    world_init(&world, false);
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/journal-%d", world.directory, i);
        FILE *file = fopen(path, "w");
        assert_non_null(file);
        fprintf(file, "written by one that was killed then");
        fclose(file);
    }
    sync_count = 0;
    assert_int_equal(hm_disk_load(world.directory, &files, &count, &error), HM_OK);
    assert_int_equal(count, 2);
    assert_int_equal(sync_count, 2);
    hm_disk_files_free(files, count);
    world_fini(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_operations_in_order),
        cmocka_unit_test(test_what_follows_a_failure_fails_untried),
        cmocka_unit_test(test_no_space),
        cmocka_unit_test(test_memory_mode),
        cmocka_unit_test(test_freeing_does_what_was_queued),
        cmocka_unit_test(test_lock_and_leftovers),
        cmocka_unit_test(test_what_is_read_is_durable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
