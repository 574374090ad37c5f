/* A backup as a file: read, and told of. */
#ifndef HM_CLI_BACKUP_FILE_H
#define HM_CLI_BACKUP_FILE_H

#include "core/node/logs/backup_check.h"

/* Reads a file ("-": standard input) through a visitor. The sentence in `error`, of the reader or a
 * hook, gets the file's name in front. */
HM_MUST_USE enum hm_status hm_backup_file_read(const char *path,
                                               const struct hm_backup_visitor *visitor,
                                               struct hm_buf *error);
/* The same into a check, which stays for the caller to end; complains, and gives the exit code. */
int hm_backup_file_check(const char *path, struct hm_backup_check *check);
/* What it holds, for people or as JSON. */
void hm_backup_file_print(const struct hm_backup_check *check, bool json);

#endif
