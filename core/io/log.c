#include "core/io/log.h"

#include "core/base/memory.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char *const level_names[] = {"error", "warn", "info", "debug"};

/* Who reads the log may be slow, or stopped: a node that waited for it would fall silent with it. A
 * pipe that has room at all has it for a line. */
static bool write_stderr(void *context, struct hm_bytes line)
{
    struct pollfd room = {.fd = STDERR_FILENO, .events = POLLOUT};
    (void)context;
    if (poll(&room, 1, 0) == 0) {
        return false;
    }
    while (line.size > 0) {
        ssize_t done = write(STDERR_FILENO, line.data, line.size);
        if (done <= 0 && errno != EINTR) {
            return errno != EAGAIN; /* else nobody is left to tell */
        }
        line.data += done > 0 ? done : 0;
        line.size -= done > 0 ? (size_t)done : 0;
    }
    return true;
}

static uint64_t system_wall_ms(void *context)
{
    struct timespec now;
    (void)context;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void hm_log_init(struct hm_log *log, enum hm_log_level level)
{
    *log = (struct hm_log){.level = level, .write = write_stderr, .wall_ms = system_wall_ms};
}

void hm_log_redirect(struct hm_log *log, bool (*write)(void *context, struct hm_bytes line),
                     uint64_t (*wall_ms)(void *context), void *context)
{
    log->write = write;
    log->wall_ms = wall_ms;
    log->context = context;
}

const char *hm_log_time(uint64_t wall_ms, char text[HM_LOG_TIME_BYTES])
{
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm parts;
    gmtime_r(&seconds, &parts);
    size_t size = strftime(text, HM_LOG_TIME_BYTES, "%Y-%m-%dT%H:%M:%S", &parts);
    snprintf(text + size, HM_LOG_TIME_BYTES - size, ".%03uZ", (unsigned)(wall_ms % 1000));
    return text;
}

/* Before a line, how many were not taken in its place. */
static bool tell_lost(struct hm_log *log, const char *time)
{
    struct hm_buf line = {0};
    hm_buf_printf(&line, "ts=%s level=warn msg=\"log lines lost\" lines=%" PRIu64, time, log->lost);
    hm_buf_append_text(&line, " reason=\"they were not read as fast\"\n");
    bool told = log->write(log->context, hm_buf_view(&line));
    hm_buf_fini(&line);
    return told;
}

/* Writes the line in `last`, with how often it was repeated when it was. */
static void put_last(struct hm_log *log, uint64_t now, uint64_t repeated)
{
    struct hm_buf line = {0};
    char time[HM_LOG_TIME_BYTES];
    hm_buf_printf(&line, "ts=%s ", hm_log_time(now, time));
    hm_buf_append(&line, log->last.data, log->last.size);
    if (repeated > 0) {
        hm_buf_printf(&line, " repeated=%" PRIu64, repeated);
    }
    hm_put_u8(&line, '\n');
    if (log->lost > 0 && tell_lost(log, time)) {
        log->lost = 0;
    }
    if (log->lost > 0 || !log->write(log->context, hm_buf_view(&line))) {
        log->lost++;
    }
    hm_buf_fini(&line);
    log->last_ms = now;
    log->repeated = 0;
}

static void append_clean(struct hm_buf *out, struct hm_bytes text)
{
    for (size_t i = 0; i < text.size; i++) {
        uint8_t c = text.data[i];
        if (c < 0x20 || c == 0x7f) {
            hm_buf_printf(out, "\\x%02x", c);
        } else {
            hm_put_u8(out, c);
        }
    }
}

void hm_log_line(struct hm_log *log, enum hm_log_level level, struct hm_bytes rest)
{
    if (level > log->level) {
        return;
    }
    struct hm_buf line = {0};
    uint64_t now = log->wall_ms(log->context);
    hm_buf_printf(&line, "level=%s ", level_names[level]);
    append_clean(&line, rest);
    if (hm_bytes_equal(hm_buf_view(&line), hm_buf_view(&log->last))) {
        hm_buf_fini(&line);
        log->repeated++;
        if (now - log->last_ms >= HM_LOG_REPEAT_MS) {
            put_last(log, now, log->repeated);
        }
        return;
    }
    hm_log_flush(log);
    hm_buf_fini(&log->last);
    log->last = line;
    put_last(log, now, 0);
}

void hm_log_event(struct hm_log *log, enum hm_log_level level, const char *msg, const char *format,
                  ...)
{
    char pairs[2048];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(pairs, sizeof pairs, format, arguments);
    va_end(arguments);
    struct hm_buf rest = {0};
    hm_buf_append_text(&rest, "msg=");
    hm_log_value(&rest, hm_bytes_of_text(msg));
    if (pairs[0] != 0) {
        hm_buf_printf(&rest, " %s", pairs);
    }
    hm_log_line(log, level, hm_buf_view(&rest));
    hm_buf_fini(&rest);
}

void hm_log_flush(struct hm_log *log)
{
    if (log->repeated > 0) {
        put_last(log, log->wall_ms(log->context), log->repeated);
    }
}

void hm_log_fini(struct hm_log *log)
{
    hm_log_flush(log);
    hm_buf_fini(&log->last);
}

void hm_log_value(struct hm_buf *out, struct hm_bytes value)
{
    bool plain = value.size > 0;
    for (size_t i = 0; i < value.size; i++) {
        uint8_t c = value.data[i];
        plain &= c > ' ' && c != '"' && c != '=' && c != '\\' && c != 0x7f;
    }
    if (plain) {
        hm_buf_append(out, value.data, value.size);
        return;
    }
    hm_put_u8(out, '"');
    for (size_t i = 0; i < value.size; i++) {
        uint8_t c = value.data[i];
        if (c == '"' || c == '\\') {
            hm_put_u8(out, '\\');
        }
        append_clean(out, (struct hm_bytes){&c, 1});
    }
    hm_put_u8(out, '"');
}
