/* A backup file: the states of logs in one row of blocks, each of which is checked. No I/O.
 *
 * It begins with 16 bytes: a magic, a format number (u32) and zeros. Blocks follow: size (u32), one
 * message of the table, and a checksum (BLAKE2b of 32 bytes, RFC 7693) of the checksum before, the
 * size and the message; before the first block stands that of the 16 bytes. So the last one vouches
 * for the whole file: what was changed, cut off, left out or put elsewhere is noticed, at the block
 * where it happened.
 *
 *   backup_header, then for each log that it lists backup_section and its backup_data, then
 *   backup_end, and nothing behind it.
 *
 * The checksums notice accidents. They are no proof against somebody who can write the file. */
#ifndef HM_LOG_BACKUP_H
#define HM_LOG_BACKUP_H

#include "core/wire/message.h"

#define HM_BACKUP_FORMAT      1u
#define HM_BACKUP_START_BYTES 16u
#define HM_BACKUP_SUM_BYTES   32u
/* Of the state of a log in one block. */
#define HM_BACKUP_DATA_BYTES_MAX (256u << 10)
/* What a block's message may have; the header with the names of all logs is far below. */
#define HM_BACKUP_BLOCK_BYTES_MAX (HM_BACKUP_DATA_BYTES_MAX + 64u)

/* ---- written ---- */

struct hm_backup_writer {
    uint8_t sum[HM_BACKUP_SUM_BYTES]; /* of the block before */
    uint64_t bytes;                   /* of the file so far */
    uint32_t logs;
};

/* Each appends to `out` what is to be written next. The caller keeps the order and the sizes that
 * were told. */
void hm_backup_begin(struct hm_backup_writer *writer, const struct hm_backup_head *head,
                     struct hm_buf *out);
void hm_backup_log(struct hm_backup_writer *writer, const struct hm_backup_log *log,
                   struct hm_buf *out);
/* 1 to HM_BACKUP_DATA_BYTES_MAX bytes of the log's state. */
void hm_backup_data(struct hm_backup_writer *writer, struct hm_bytes data, struct hm_buf *out);
void hm_backup_end(struct hm_backup_writer *writer, struct hm_buf *out);

/* ---- read ---- */

/* Who wants to know what is in a file. A hook that gives another status than HM_OK ends the
 * reading with it, after it has said why in the reader's `error`. What it is given lives for the
 * call. */
struct hm_backup_visitor {
    void *context;
    enum hm_status (*head)(void *context, const struct hm_backup_head *head);
    /* The whole state of a log, an encoded log_state by what the file says. */
    enum hm_status (*log)(void *context, const struct hm_backup_log *log, struct hm_bytes state);
};

struct hm_backup_reader;

/* `error` gets a sentence with the log and the byte offset for what is wrong. Holds the state of
 * one log at a time, as far as it has come. */
struct hm_backup_reader *hm_backup_reader_new(const struct hm_backup_visitor *visitor,
                                              struct hm_buf *error);
void hm_backup_reader_free(struct hm_backup_reader *reader);
/* The next bytes of the file, as they come. HM_DAMAGED: they are not those that were written;
 * HM_WRONG_FEATURE: a newer release wrote them; or what a hook says. After a failure all that
 * follows fails alike. */
HM_MUST_USE enum hm_status hm_backup_feed(struct hm_backup_reader *reader, struct hm_bytes bytes);
/* The file ends here. HM_OK: all of it was there. */
HM_MUST_USE enum hm_status hm_backup_finish(struct hm_backup_reader *reader);

#endif
