/* Commands that roles run: spawned with their input already in a pipe, and watched by a descriptor
 * of the process (pidfd_open(2)), which is ready when it has ended. */
#include "core/base/assert.h"
#include "core/base/memory.h"
#include "core/include/hivemind/module.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

/* Texts, each with its 0 byte: the path, then the environment. */
struct job {
    struct hm_buf texts;
    struct hm_buf input;
    size_t variable_count; /* PATH included */
};

struct place {
    struct hm_module_runner *runner;
    pid_t pid; /* 0: free */
    int fd;
    struct hm_module_watch *watch;
};

struct hm_module_runner {
    struct hm_module_ctx *ctx;
    struct place *places;
    size_t at_once;
    size_t running;
    struct job *jobs; /* jobs[(first + i) % waiting_max] wait, for i < waiting */
    size_t waiting_max;
    size_t first;
    size_t waiting;
    uint64_t done;
    uint64_t failed;
    uint64_t dropped;
};

/* Up to its first 0 byte, and one behind it. */
static void put_text(struct hm_buf *texts, struct hm_bytes text)
{
    const uint8_t *end = text.size ? memchr(text.data, 0, text.size) : NULL;
    hm_buf_append(texts, text.data, end ? (size_t)(end - text.data) : text.size);
    hm_put_u8(texts, 0);
}

static struct job copy_command(const struct hm_module_command *command)
{
    static const char path[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    struct job job = {.variable_count = command->variable_count + 1};
    put_text(&job.texts, hm_bytes_of_text(command->path));
    put_text(&job.texts, hm_bytes_of_text(path));
    for (size_t i = 0; i < command->variable_count; i++) {
        const struct hm_module_variable *variable = &command->variables[i];
        hm_buf_printf(&job.texts, "%s=", variable->name);
        put_text(&job.texts, variable->value);
    }
    hm_buf_append(&job.input, command->input.data, command->input.size);
    return job;
}

static void free_job(struct job *job)
{
    hm_buf_fini(&job->texts);
    hm_buf_fini(&job->input);
}

/* A pipe that holds all of the input; its end to read from, or -1. */
static int open_input(const struct job *job)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) {
        return -1;
    }
    bool whole = write(ends[1], job->input.data, job->input.size) == (ssize_t)job->input.size;
    close(ends[1]);
    if (!whole) {
        close(ends[0]);
        return -1;
    }
    return ends[0];
}

static bool spawn(const struct job *job, int input, pid_t *pid)
{
    char *at = (char *)job->texts.data;
    char *arguments[] = {at, NULL};
    char **environment = hm_alloc(job->variable_count + 1, sizeof *environment);
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    sigset_t signals;
    for (size_t i = 0; i < job->variable_count; i++) {
        at += strlen(at) + 1;
        environment[i] = at;
    }
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_adddup2(&files, input, STDIN_FILENO);
    sigemptyset(&signals);
    sigaddset(&signals, SIGPIPE); /* which a node ignores, and a command does not expect to be */
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setsigdefault(&attributes, &signals);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
    bool begun = posix_spawn(pid, arguments[0], &files, &attributes, arguments, environment) == 0;
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&attributes);
    hm_free(environment);
    return begun;
}

static void begin_waiting(struct hm_module_runner *runner);

static void on_ended(void *user, int events)
{
    struct place *place = user;
    struct hm_module_runner *runner = place->runner;
    int status = 0;
    (void)events;
    if (waitpid(place->pid, &status, WNOHANG) == 0) {
        return;
    }
    hm_module_io(runner->ctx)->unwatch(place->watch);
    close(place->fd);
    place->pid = 0;
    runner->running--;
    runner->done++;
    runner->failed += status != 0;
    begin_waiting(runner);
}

/* One whose end would not be seen is ended at once. */
static bool attend(struct place *place, const struct hm_module_io *io)
{
    place->fd = pidfd_open(place->pid, 0);
    place->watch =
        place->fd < 0 ? NULL : io->watch(io->context, place->fd, HM_WATCH_READ, on_ended, place);
    if (place->watch) {
        return true;
    }
    if (place->fd >= 0) {
        close(place->fd);
    }
    kill(place->pid, SIGKILL);
    waitpid(place->pid, NULL, 0);
    place->pid = 0;
    return false;
}

static bool begin(struct hm_module_runner *runner, const struct job *job)
{
    const struct hm_module_io *io = hm_module_io(runner->ctx);
    struct place *place = runner->places;
    while (place->pid != 0) {
        place++;
    }
    int input = io ? open_input(job) : -1;
    if (input < 0) {
        return false;
    }
    bool begun = spawn(job, input, &place->pid);
    close(input);
    if (!begun) {
        place->pid = 0; /* posix_spawn may have written to it */
        return false;
    }
    return attend(place, io);
}

static void begin_waiting(struct hm_module_runner *runner)
{
    while (runner->waiting > 0 && runner->running < runner->at_once) {
        struct job *job = &runner->jobs[runner->first];
        if (begin(runner, job)) {
            runner->running++;
        } else {
            runner->failed++;
            hm_module_log(runner->ctx, HM_LOG_WARN, "not run", "command=%s",
                          (const char *)job->texts.data);
        }
        free_job(job);
        runner->first = (runner->first + 1) % runner->waiting_max;
        runner->waiting--;
    }
}

struct hm_module_runner *hm_module_runner_new(struct hm_module_ctx *ctx, size_t at_once,
                                              size_t waiting_max)
{
    HM_ASSERT(at_once > 0 && waiting_max > 0);
    struct hm_module_runner *runner = hm_alloc(1, sizeof *runner);
    *runner = (struct hm_module_runner){
        .ctx = ctx,
        .places = hm_alloc(at_once, sizeof *runner->places),
        .at_once = at_once,
        .jobs = hm_alloc(waiting_max, sizeof *runner->jobs),
        .waiting_max = waiting_max,
    };
    for (size_t i = 0; i < at_once; i++) {
        runner->places[i] = (struct place){.runner = runner};
    }
    return runner;
}

enum hm_status hm_module_runner_run(struct hm_module_runner *runner,
                                    const struct hm_module_command *command)
{
    enum hm_status status = command->input.size > HM_MODULE_INPUT_BYTES_MAX ? HM_TOO_LARGE
                            : runner->waiting == runner->waiting_max        ? HM_FULL
                                                                            : HM_OK;
    if (status != HM_OK) {
        runner->dropped++;
        hm_module_log(runner->ctx, HM_LOG_WARN, "command dropped", "command=%s why=%s dropped=%llu",
                      command->path, hm_status_name(status), (unsigned long long)runner->dropped);
        return status;
    }
    runner->jobs[(runner->first + runner->waiting++) % runner->waiting_max] = copy_command(command);
    begin_waiting(runner);
    return HM_OK;
}

void hm_module_runner_fact(const struct hm_module_runner *runner, const char *key)
{
    hm_module_fact(runner->ctx, key, "running=%zu waiting=%zu done=%llu failed=%llu dropped=%llu",
                   runner->running, runner->waiting, (unsigned long long)runner->done,
                   (unsigned long long)runner->failed, (unsigned long long)runner->dropped);
}

void hm_module_runner_free(struct hm_module_runner *runner)
{
    if (!runner) {
        return;
    }
    for (size_t i = 0; i < runner->at_once; i++) {
        struct place *place = &runner->places[i];
        if (place->pid != 0) {
            hm_module_io(runner->ctx)->unwatch(place->watch);
            close(place->fd);
        }
    }
    for (; runner->waiting > 0; runner->waiting--) {
        free_job(&runner->jobs[runner->first]);
        runner->first = (runner->first + 1) % runner->waiting_max;
    }
    hm_free(runner->places);
    hm_free(runner->jobs);
    hm_free(runner);
}
