/* The control socket: commands and answers, and those who break its rules. */
#include "core/base/memory.h"
#include "core/io/control.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

/* A control socket that repeats a message a number of times, and counts. */
struct world {
    char directory[40];
    char path[80];
    uv_loop_t loop;
    struct hm_control *control;
    size_t repeat;
    bool holds; /* answers are left to the test to flush */
    size_t messages;
    size_t closed;
    struct hm_control_peer peer;
};

static void on_message(void *context, uint64_t connection, const struct hm_control_peer *peer,
                       struct hm_bytes message)
{
    struct world *world = context;
    world->messages++;
    world->peer = *peer;
    for (size_t i = 0; i < world->repeat; i++) {
        hm_control_reply(world->control, connection, message);
    }
    if (!world->holds) {
        hm_control_flush(world->control);
    }
}

static void on_closed(void *context, uint64_t connection)
{
    struct world *world = context;
    assert_true(connection > 0);
    world->closed++;
}

static void world_init(struct world *world)
{
    memset(world, 0, sizeof *world);
    const struct hm_control_events events = {world, on_message, on_closed};
    struct hm_buf error = {0};
    snprintf(world->directory, sizeof world->directory, "/tmp/hm_test_control.XXXXXX");
    assert_non_null(mkdtemp(world->directory));
    snprintf(world->path, sizeof world->path, "%s/run/node.sock", world->directory);
    assert_int_equal(uv_loop_init(&world->loop), 0);
    world->repeat = 1;
    world->control = hm_control_new(&world->loop, world->path, &events, &error);
    assert_non_null(world->control);
}

static void world_fini(struct world *world)
{
    char below[80];
    hm_control_free(world->control);
    uv_run(&world->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&world->loop), 0);
    assert_int_not_equal(access(world->path, F_OK), 0);
    snprintf(below, sizeof below, "%s/run", world->directory);
    assert_int_equal(rmdir(below), 0);
    assert_int_equal(rmdir(world->directory), 0);
}

/* The command, in a thread of its own: it blocks. */
struct caller {
    struct world *world;
    uv_async_t over;
    bool done;
    enum hm_status status;
    uint64_t call;
};

static void call(void *argument)
{
    struct caller *caller = argument;
    const struct hm_message request = {.kind = HM_MSG_leave, .leave = {.call = 99}};
    struct hm_message reply;
    struct hm_arena arena = {0};
    struct hm_buf error = {0};
    struct hm_control_client client;
    caller->status = hm_control_connect(caller->world->path, &client, &error);
    if (caller->status == HM_OK) {
        caller->status = hm_control_send(&client, &request);
        if (caller->status == HM_OK) {
            caller->status = hm_control_receive(&client, 20000, &arena, &reply);
        }
        hm_control_close(&client);
    }
    if (caller->status == HM_OK && reply.kind == HM_MSG_leave) {
        caller->call = reply.leave.call;
    }
    hm_arena_fini(&arena);
    hm_buf_fini(&error);
    uv_async_send(&caller->over);
}

static void on_over(uv_async_t *over)
{
    struct caller *caller = over->data;
    caller->done = true;
    uv_close((uv_handle_t *)over, NULL);
}

static void test_a_call(void **state)
{
    (void)state;
    struct world world;
    struct stat about;
    world_init(&world);
    assert_int_equal(stat(world.path, &about), 0);
    assert_int_equal(about.st_mode & 0777, 0660);
    struct caller caller = {.world = &world};
    uv_thread_t thread;
    uv_async_init(&world.loop, &caller.over, on_over);
    caller.over.data = &caller;
    uv_thread_create(&thread, call, &caller);
    while (!caller.done || world.closed == 0) {
        uv_run(&world.loop, UV_RUN_ONCE);
    }
    uv_thread_join(&thread);
    assert_int_equal(caller.status, HM_OK);
    assert_int_equal(caller.call, 99);
    assert_int_equal(world.peer.pid, getpid());
    assert_int_equal(world.peer.uid, getuid());
    world_fini(&world);
}

static int connect_raw(const struct world *world)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    memcpy(name.sun_path, world->path, strlen(world->path));
    assert_int_equal(connect(fd, (struct sockaddr *)&name, sizeof name), 0);
    return fd;
}

static void put(int fd, const void *data, size_t size)
{
    assert_int_equal(send(fd, data, size, MSG_NOSIGNAL), (ssize_t)size);
}

static void test_messages_in_pieces(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    int fd = connect_raw(&world);
    const uint8_t two[] = {3, 0, 0, 0, 'o', 'n', 'e', 3, 0, 0, 0, 't', 'w', 'o'};
    for (size_t i = 0; i < sizeof two; i++) {
        put(fd, two + i, 1);
        uv_run(&world.loop, UV_RUN_ONCE);
    }
    while (world.messages < 2) {
        uv_run(&world.loop, UV_RUN_ONCE);
    }
    uint8_t back[sizeof two];
    assert_int_equal(recv(fd, back, sizeof back, MSG_WAITALL), (ssize_t)sizeof back);
    assert_memory_equal(back, two, sizeof two);
    close(fd);
    while (world.closed < 1) {
        uv_run(&world.loop, UV_RUN_ONCE);
    }
    world_fini(&world);
}

static void test_answers_of_a_turn_are_one_write(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    world.holds = true;
    int fd = connect_raw(&world);
    const uint8_t two[] = {3, 0, 0, 0, 'o', 'n', 'e', 3, 0, 0, 0, 't', 'w', 'o'};
    uint8_t back[sizeof two];
    put(fd, two, sizeof two);
    while (world.messages < 2) {
        uv_run(&world.loop, UV_RUN_ONCE);
    }
    assert_int_equal(recv(fd, back, sizeof back, MSG_DONTWAIT), -1);
    hm_control_flush(world.control);
    assert_int_equal(recv(fd, back, sizeof back, MSG_DONTWAIT), (ssize_t)sizeof back);
    assert_memory_equal(back, two, sizeof two);
    close(fd);
    world_fini(&world);
}

/* More clients than most machines have, each with an answer of its own. */
static void test_many_connections(void **state)
{
    (void)state;
    enum { MANY = 300 };
    struct world world;
    struct rlimit limit;
    int fds[MANY];
    world_init(&world);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = limit.rlim_max < 4 * MANY ? limit.rlim_max : 4 * MANY;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    for (uint32_t i = 0; i < MANY; i++) {
        const uint8_t frame[] = {2, 0, 0, 0, (uint8_t)(i >> 8), (uint8_t)i};
        fds[i] = connect_raw(&world);
        put(fds[i], frame, sizeof frame);
        uv_run(&world.loop, UV_RUN_NOWAIT);
    }
    while (world.messages < MANY) {
        uv_run(&world.loop, UV_RUN_ONCE);
    }
    for (uint32_t i = 0; i < MANY; i++) {
        /* Some go in between: those behind them are still found. */
        uint32_t at = (i * 7) % MANY;
        uint8_t back[6];
        assert_int_equal(recv(fds[at], back, sizeof back, MSG_WAITALL), (ssize_t)sizeof back);
        assert_int_equal(back[4] << 8 | back[5], at);
        put(fds[at], back, sizeof back);
        close(fds[at]);
        uv_run(&world.loop, UV_RUN_NOWAIT);
    }
    while (world.closed < MANY) {
        uv_run(&world.loop, UV_RUN_ONCE);
    }
    world_fini(&world);
}

/* Each has the right to its request, all together have not. */
static void test_begun_requests_have_a_bound(void **state)
{
    (void)state;
    enum { BEGUN = HM_CONTROL_BYTES_MAX / HM_CONTROL_REQUEST_BYTES_MAX + 1 };
    struct world world;
    struct hm_buf frame = {0};
    int fds[BEGUN];
    world_init(&world);
    hm_put_u32(&frame, HM_CONTROL_REQUEST_BYTES_MAX);
    memset(hm_buf_extend(&frame, HM_CONTROL_REQUEST_BYTES_MAX - 1), 'x',
           HM_CONTROL_REQUEST_BYTES_MAX - 1);
    for (size_t i = 0; i < BEGUN; i++) {
        fds[i] = connect_raw(&world);
        for (size_t at = 0; at < frame.size && world.closed == 0;) {
            ssize_t done =
                send(fds[i], frame.data + at, frame.size - at, MSG_NOSIGNAL | MSG_DONTWAIT);
            at += done > 0 ? (size_t)done : 0;
            uv_run(&world.loop, UV_RUN_NOWAIT);
        }
    }
    while (world.closed == 0) {
        uv_run(&world.loop, UV_RUN_ONCE);
    }
    assert_int_equal(world.closed, 1);
    for (size_t i = 0; i < BEGUN; i++) {
        close(fds[i]);
    }
    hm_buf_fini(&frame);
    world_fini(&world);
}

static void test_broken_lengths_end_the_connection(void **state)
{
    (void)state;
    struct world world;
    world_init(&world);
    const uint8_t starts[][4] = {{0, 0, 0, 0}, {1, 0, 0x20, 0}, {0xff, 0xff, 0xff, 0xff}};
    for (size_t i = 0; i < 3; i++) {
        int fd = connect_raw(&world);
        put(fd, starts[i], 4);
        while (world.closed < i + 1) {
            uv_run(&world.loop, UV_RUN_ONCE);
        }
        uint8_t byte;
        assert_int_equal(recv(fd, &byte, 1, 0), 0);
        close(fd);
    }
    assert_int_equal(world.messages, 0);
    world_fini(&world);
}

static void test_who_does_not_read_is_closed(void **state)
{
    (void)state;
    struct world world;
    struct hm_buf frame = {0};
    world_init(&world);
    world.repeat = 50; /* of nearly 1 MiB each */
    hm_put_u32(&frame, HM_CONTROL_REQUEST_BYTES_MAX);
    memset(hm_buf_extend(&frame, HM_CONTROL_REQUEST_BYTES_MAX), 'x', HM_CONTROL_REQUEST_BYTES_MAX);
    int fd = connect_raw(&world);
    for (size_t at = 0; at < frame.size;) {
        size_t left = frame.size - at;
        put(fd, frame.data + at, left < 10000 ? left : 10000);
        at += left < 10000 ? left : 10000;
        uv_run(&world.loop, UV_RUN_ONCE);
    }
    while (world.closed < 1) {
        uv_run(&world.loop, UV_RUN_ONCE);
    }
    assert_int_equal(world.messages, 1);
    close(fd);
    hm_buf_fini(&frame);
    world_fini(&world);
}

static void test_out_of_descriptors(void **state)
{
    (void)state;
    struct world world;
    struct rlimit before;
    world_init(&world);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    int fd = connect_raw(&world);
    struct rlimit tight = {(rlim_t)fd + 1, before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
    put(fd, "\1\0\0\0x", 5);
    size_t turns = 0;
    uv_update_time(&world.loop);
    for (hm_ms from = uv_now(&world.loop); uv_now(&world.loop) < from + 250; turns++) {
        uv_run(&world.loop, UV_RUN_ONCE);
    }
    assert_true(turns < 50); /* it rests; spinning would make thousands */
    assert_int_equal(world.messages, 0);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    while (world.messages == 0) {
        uv_run(&world.loop, UV_RUN_ONCE);
    }
    close(fd);
    world_fini(&world);
}

static void test_one_node_a_path(void **state)
{
    (void)state;
    struct world world;
    struct hm_buf error = {0};
    const struct hm_control_events events = {&world, on_message, on_closed};
    world_init(&world);
    assert_null(hm_control_new(&world.loop, world.path, &events, &error));
    hm_put_u8(&error, 0);
    assert_non_null(strstr((char *)error.data, "another node answers"));
    /* A file that a killed node left behind is no obstacle. */
    char stale[100];
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    snprintf(stale, sizeof stale, "%s/run/stale.sock", world.directory);
    memcpy(name.sun_path, stale, strlen(stale));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&name, sizeof name), 0);
    close(fd);
    hm_buf_clear(&error);
    struct hm_control *second = hm_control_new(&world.loop, stale, &events, &error);
    assert_non_null(second);
    hm_control_free(second);
    struct hm_control_client client;
    assert_int_equal(hm_control_connect(stale, &client, &error), HM_UNREACHABLE);
    assert_true(error.size > 0);
    hm_buf_fini(&error);
    world_fini(&world);
}

static void test_paths(void **state)
{
    (void)state;
    struct world world;
    char runtime[200];
    world_init(&world);
    snprintf(runtime, sizeof runtime, "%s/hivemind", world.directory);
    assert_int_equal(symlink("run", runtime), 0);
    setenv("XDG_RUNTIME_DIR", world.directory, 1);
    struct hm_control_paths paths = hm_control_list();
    bool found = false;
    snprintf(runtime, sizeof runtime, "%s/hivemind/node.sock", world.directory);
    for (size_t i = 0; i < paths.count; i++) {
        found |= strcmp(paths.paths[i], runtime) == 0;
    }
    assert_true(found);
    hm_control_paths_fini(&paths);
    struct hm_buf path = {0};
    hm_control_path("x", &path);
    hm_put_u8(&path, 0);
    assert_non_null(strstr((char *)path.data, "hivemind/x.sock"));
    hm_buf_fini(&path);
    snprintf(runtime, sizeof runtime, "%s/hivemind", world.directory);
    unlink(runtime);
    world_fini(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_call),
        cmocka_unit_test(test_messages_in_pieces),
        cmocka_unit_test(test_answers_of_a_turn_are_one_write),
        cmocka_unit_test(test_many_connections),
        cmocka_unit_test(test_begun_requests_have_a_bound),
        cmocka_unit_test(test_broken_lengths_end_the_connection),
        cmocka_unit_test(test_who_does_not_read_is_closed),
        cmocka_unit_test(test_out_of_descriptors),
        cmocka_unit_test(test_one_node_a_path),
        cmocka_unit_test(test_paths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
