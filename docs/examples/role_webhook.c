/* Role `webhook`: runs a command for each event of the cluster, as Serf runs its event handlers, so
 * that those which exist work. In the environment: SERF_EVENT (member-join, member-update,
 * member-leave, member-failed, user), SERF_SELF_NAME, SERF_SELF_ROLE, SERF_USER_EVENT and
 * SERF_USER_LTIME (the event's index). On standard input: the data of a user event, or of a member
 * NAME, IP (not of one that is gone), ROLES and an empty fourth column, with tabs between them.
 *
 *     cc -shared -fPIC $(pkg-config --cflags hivemind-module) role_webhook.c -o webhook.so
 *
 *     modules: [/usr/local/lib/my-modules]     # where webhook.so is
 *     roles: [host, webhook]
 *     webhook: {command: /usr/local/bin/on-event} */
#define _GNU_SOURCE /* pipe2 */
#include <hivemind/module.h>

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define AT_ONCE   4  /* commands that may run; they start in the order of the events */
#define QUEUE_MAX 64 /* events that may wait; more are dropped, counted and logged */
#define LOOK_MS   50 /* between looks at what runs */

enum { EVENT, SELF, ROLE, USER, TIME, VARIABLES };

struct job {
    char variables[VARIABLES][300];
    char input[1400]; /* a member's 16 roles fit, and the data of a user event */
    size_t input_size;
};

struct webhook {
    const char *command;
    size_t running, first, waiting; /* jobs[(first + i) % QUEUE_MAX] wait */
    unsigned long long done, failed, dropped;
    pid_t pids[AT_ONCE];
    struct job jobs[QUEUE_MAX];
};

static const struct hm_conf_key keys[] = {
    {.name = "command", .type = HM_CONF_PATH, .required = true, .help = "the program to run"}};
static const struct hm_conf_schema schema = {keys, 1, "Runs a command for each event."};

static enum hm_status init(struct hm_module_ctx *ctx, const struct hm_conf_node *section,
                           const struct hm_conf_node *root, struct hm_buf *error)
{
    struct webhook *hook = hm_module_state(ctx);
    (void)root;
    hook->command = section ? hm_conf_text(section, "command") : NULL;
    if (!hook->command) {
        hm_buf_printf(error, "role webhook needs a command: webhook: {command: /path}");
    }
    return hook->command ? HM_OK : HM_BAD_CONFIG;
}

/* The pipe holds all of the input, so the node never waits for the command to read it. */
static bool start(const struct webhook *hook, struct job *job, pid_t *pid)
{
    char path[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    char *environment[VARIABLES + 2] = {path};
    char *arguments[] = {(char *)hook->command, NULL};
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    sigset_t signals;
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) {
        return false;
    }
    for (size_t i = 0; i < VARIABLES; i++) {
        environment[i + 1] = job->variables[i];
    }
    bool written = write(ends[1], job->input, job->input_size) == (ssize_t)job->input_size;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_adddup2(&files, ends[0], 0);
    sigemptyset(&signals);
    sigaddset(&signals, SIGPIPE); /* which a node ignores, and a command does not expect to be */
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setsigdefault(&attributes, &signals);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
    int failed = posix_spawn(pid, hook->command, &files, &attributes, arguments, environment);
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&attributes);
    close(ends[0]);
    close(ends[1]);
    return written && failed == 0;
}

/* Reaps what has ended, starts what waits. */
static void tick(struct hm_module_ctx *ctx, hm_ms now)
{
    struct webhook *hook = hm_module_state(ctx);
    for (size_t i = hook->running; i-- > 0;) {
        int status = 0;
        if (waitpid(hook->pids[i], &status, WNOHANG) != 0) {
            hook->pids[i] = hook->pids[--hook->running];
            hook->done++;
            hook->failed += status != 0;
        }
    }
    for (; hook->waiting > 0 && hook->running < AT_ONCE; hook->waiting--) {
        if (start(hook, &hook->jobs[hook->first], &hook->pids[hook->running])) {
            hook->running++;
        } else {
            hook->failed++;
            hm_module_log(ctx, HM_LOG_WARN, "not run", "command=%s", hook->command);
        }
        hook->first = (hook->first + 1) % QUEUE_MAX;
    }
    hm_module_wake(ctx, hook->running > 0 ? now + LOOK_MS : HM_NEVER);
}

static void put_member(struct job *job, const struct hm_name *name, const struct hm_member *member)
{
    char ip[HM_ADDR_TEXT_BYTES] = "", roles[16 * 64] = "";
    for (uint32_t i = 0; member && i < member->roles_count; i++) {
        snprintf(roles + strlen(roles), sizeof roles - strlen(roles), "%s%s", i > 0 ? "," : "",
                 member->roles[i].name.text);
    }
    job->input_size = (size_t)snprintf(job->input, sizeof job->input, "%s\t%s\t%s\t\n", name->text,
                                       member ? hm_addr_format_ip(&member->addr, ip) : "", roles);
}

static const char *describe(struct job *job, const struct hm_event *event,
                            const struct hm_message *body)
{
    switch (body->kind) {
    case HM_MSG_member_joined:
        put_member(job, &body->member_joined.member.name, &body->member_joined.member);
        return "member-join";
    case HM_MSG_member_changed:
        put_member(job, &body->member_changed.member.name, &body->member_changed.member);
        return "member-update";
    case HM_MSG_member_left:
        put_member(job, &body->member_left.name, NULL);
        return "member-leave";
    case HM_MSG_member_failed:
        put_member(job, &body->member_failed.name, NULL);
        return "member-failed";
    case HM_MSG_user_event:
        snprintf(job->variables[USER], sizeof job->variables[USER], "SERF_USER_EVENT=%.*s",
                 (int)body->user_event.name.size, (const char *)body->user_event.name.data);
        snprintf(job->variables[TIME], sizeof job->variables[TIME], "SERF_USER_LTIME=%llu",
                 (unsigned long long)event->index);
        job->input_size = body->user_event.data.size;
        memcpy(job->input, body->user_event.data.data, job->input_size);
        return "user";
    default:
        return NULL; /* no event that Serf knows */
    }
}

static void on_event(struct hm_module_ctx *ctx, const struct hm_event *event,
                     const struct hm_message *body)
{
    struct webhook *hook = hm_module_state(ctx);
    const struct hm_node_config *node = hm_module_node_config(ctx);
    struct job job = {.variables = {[USER] = "SERF_USER_EVENT=", [TIME] = "SERF_USER_LTIME="}};
    const char *what = describe(&job, event, body);
    if (what && hook->waiting == QUEUE_MAX) {
        hook->dropped++;
        hm_module_log(ctx, HM_LOG_WARN, "event dropped", "index=%llu dropped=%llu",
                      (unsigned long long)event->index, hook->dropped);
    } else if (what) {
        snprintf(job.variables[EVENT], sizeof job.variables[EVENT], "SERF_EVENT=%s", what);
        snprintf(job.variables[SELF], sizeof job.variables[SELF], "SERF_SELF_NAME=%s",
                 node->name.text);
        snprintf(job.variables[ROLE], sizeof job.variables[ROLE], "SERF_SELF_ROLE=%s",
                 node->roles[0].text);
        hook->jobs[(hook->first + hook->waiting++) % QUEUE_MAX] = job;
        tick(ctx, hm_module_now(ctx));
    }
}

static void status(struct hm_module_ctx *ctx)
{
    const struct webhook *hook = hm_module_state(ctx);
    hm_module_fact(ctx, "webhook", "running=%zu waiting=%zu done=%llu failed=%llu dropped=%llu",
                   hook->running, hook->waiting, hook->done, hook->failed, hook->dropped);
}

static const char *const performs[] = {"webhook", NULL};

const struct hm_module hm_module = {.abi = HM_MODULE_ABI,
                                    .kind = HM_MODULE_ROLE,
                                    .name = "webhook",
                                    .performs = performs,
                                    .schema = &schema,
                                    .state_size = sizeof(struct webhook),
                                    .init = init,
                                    .event = on_event,
                                    .tick = tick,
                                    .status = status};
