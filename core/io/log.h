/* The log: logfmt, one line an event, written at once; a line that repeats is summarised. */
#ifndef HM_IO_LOG_H
#define HM_IO_LOG_H

#include "core/base/bytes.h"
#include "core/base/ids.h"
#include "core/node/node.h"

/* A line that repeats is counted for so long, then told with `repeated=N`. */
#define HM_LOG_REPEAT_MS 10000u

struct hm_log {
    enum hm_log_level level; /* the least severe that is written */
    /* With its newline; false: there is no room, and waiting for it is not for a node. */
    bool (*write)(void *context, struct hm_bytes line);
    void *context;
    uint64_t (*wall_ms)(void *context);
    struct hm_buf last; /* the line written last, without its time */
    uint64_t last_ms;   /* when */
    uint64_t repeated;  /* times since */
    uint64_t lost;      /* lines for which there was no room, and that was not told yet */
};

/* To stderr, by the system's clock. */
void hm_log_init(struct hm_log *log, enum hm_log_level level);
/* Writes elsewhere, by another clock: for tests and embedding programs. */
void hm_log_redirect(struct hm_log *log, bool (*write)(void *context, struct hm_bytes line),
                     uint64_t (*wall_ms)(void *context), void *context);
/* "ts=... level=info " and `rest`, which is `msg="..." key=value`. What would break the line is
 * written as \xNN. */
void hm_log_line(struct hm_log *log, enum hm_log_level level, struct hm_bytes rest);
/* The same from a format; `msg` is quoted, `format` gives the pairs and may be "". */
void hm_log_event(struct hm_log *log, enum hm_log_level level, const char *msg, const char *format,
                  ...) __attribute__((format(printf, 4, 5)));
/* Tells what was repeated and not told yet. To be called now and then, and at the end. */
void hm_log_flush(struct hm_log *log);
void hm_log_fini(struct hm_log *log);

#define HM_LOG_TIME_BYTES 64

/* A time since 1970 as it is written in logs and shown to people: 2026-01-31T23:59:59.250Z. */
const char *hm_log_time(uint64_t wall_ms, char text[HM_LOG_TIME_BYTES]);

/* Appends a value, in quotes and escaped where logfmt needs it. */
void hm_log_value(struct hm_buf *out, struct hm_bytes value);

#endif
