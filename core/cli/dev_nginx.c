#include "core/cli/dev_nginx.h"

#include "core/base/bytes.h"
#include "core/cli/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- what there is ---- */

static bool find_program(char *out, size_t size)
{
    const char *path = getenv("PATH");
    struct hm_buf places = {0};
    bool found = false;
    hm_buf_printf(&places, "%s:/usr/sbin:/usr/local/sbin", path ? path : "/usr/bin");
    hm_put_u8(&places, 0);
    for (const char *at = (const char *)places.data; *at && !found;) {
        size_t length = strcspn(at, ":");
        snprintf(out, size, "%.*s/nginx", (int)length, at);
        found = length > 0 && access(out, X_OK) == 0;
        at += length + (at[length] == ':');
    }
    hm_buf_fini(&places);
    return found;
}

/* Beside this program: as installed, or in a build directory, where it is core/cli/hivemind. */
static bool find_module(char *out, size_t size)
{
    static const char *const places[] = {"../lib/nginx/modules", "../../nginx"};
    char program[PATH_MAX - 64];
    ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);
    if (length <= 0) {
        return false;
    }
    program[length] = '\0';
    *strrchr(program, '/') = '\0';
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        snprintf(out, size, "%s/%s/ngx_hivemind.so", program, places[i]);
        if (access(out, R_OK) == 0) {
            return true;
        }
    }
    return false;
}

bool hm_dev_nginx_find(struct hm_dev_nginx *nginx)
{
    if (find_program(nginx->program, sizeof nginx->program) &&
        find_module(nginx->module, sizeof nginx->module)) {
        return true;
    }
    nginx->program[0] = '\0';
    return false;
}

/* ---- its configuration ---- */

static void print_config(const struct hm_dev_nginx *nginx, struct hm_buf *out)
{
    static const char *const temporary[] = {"client_body", "proxy", "fastcgi", "uwsgi", "scgi"};
    const char *dir = nginx->directory;
    hm_buf_printf(out,
                  "load_module %s;\n%sworker_processes 1;\ndaemon off;\npid %s/nginx.pid;\n"
                  "error_log %s/nginx.log notice;\nevents { worker_connections 64; }\n"
                  "hivemind {\n    name %s-nginx;\n    key_file %s/key;\n    join 127.0.0.1:%u;\n"
                  "    listen 127.0.0.1:%u;\n    state %s/nginx;\n    socket %s/nginx.sock;\n}\n"
                  "http {\n    access_log off;\n",
                  nginx->module, geteuid() == 0 ? "user root;\n" : "", dir, dir, nginx->name->text,
                  dir, nginx->join_port, nginx->port, dir, dir);
    for (size_t i = 0; i < sizeof temporary / sizeof *temporary; i++) {
        hm_buf_printf(out, "    %s_temp_path %s/nginx-%s;\n", temporary[i], dir, temporary[i]);
    }
    hm_buf_printf(out,
                  "    upstream sites { hivemind vhost=$host; keepalive 16; }\n"
                  "    server {\n        listen 127.0.0.1:%u default_server;\n"
                  "        proxy_http_version 1.1;\n        proxy_set_header Host $host;\n"
                  "        proxy_set_header Connection \"\";\n"
                  "        location = /hivemind { hivemind_status; }\n"
                  "        location / {\n            if ($hivemind_vhost = \"\") { return 404; }\n"
                  "            proxy_pass http://sites;\n        }\n    }\n}\n",
                  nginx->http_port);
}

static bool write_config(const struct hm_dev_nginx *nginx, const char *path)
{
    struct hm_buf text = {0};
    print_config(nginx, &text);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    bool written = fd >= 0 && write(fd, text.data, text.size) == (ssize_t)text.size;
    if (fd >= 0) {
        close(fd);
    }
    hm_buf_fini(&text);
    return written;
}

/* ---- its life ---- */

bool hm_dev_nginx_start(struct hm_dev_nginx *nginx)
{
    char config[PATH_MAX];
    char log[PATH_MAX];
    snprintf(config, sizeof config, "%s/nginx.conf", nginx->directory);
    snprintf(log, sizeof log, "%s/nginx.log", nginx->directory);
    if (!nginx->program[0] || !write_config(nginx, config)) {
        return false;
    }
    pid_t parent = getpid();
    nginx->pid = fork();
    if (nginx->pid == 0) {
        sigset_t none;
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        /* It does not outlive us, however we end. */
        prctl(PR_SET_PDEATHSIG, SIGTERM);
        if (getppid() == parent) {
            execl(nginx->program, nginx->program, "-c", config, "-e", log, (char *)NULL);
        }
        _exit(127);
    }
    if (nginx->pid < 0) {
        hm_complain("nginx cannot be started: %s", strerror(errno));
        nginx->pid = 0;
    }
    return nginx->pid > 0;
}

void hm_dev_nginx_stop(struct hm_dev_nginx *nginx)
{
    if (nginx->pid > 0) {
        kill(nginx->pid, SIGTERM);
        while (waitpid(nginx->pid, NULL, 0) < 0 && errno == EINTR) {
        }
        nginx->pid = 0;
    }
}
