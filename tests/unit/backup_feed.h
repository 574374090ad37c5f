/* A whole backup file through its reader, as the tests and the fuzzer of it do. */
#ifndef TESTS_UNIT_BACKUP_FEED_H
#define TESTS_UNIT_BACKUP_FEED_H

#include "core/log/backup.h"

/* So many bytes at a time, then the end; what the first of these said that is not HM_OK. */
static inline enum hm_status feed_all(struct hm_backup_reader *reader, struct hm_bytes file,
                                      size_t step)
{
    enum hm_status status = HM_OK;
    for (size_t at = 0; at < file.size && status == HM_OK; at += step) {
        size_t left = file.size - at;
        status =
            hm_backup_feed(reader, (struct hm_bytes){file.data + at, left < step ? left : step});
    }
    return status == HM_OK ? hm_backup_finish(reader) : status;
}

#endif
