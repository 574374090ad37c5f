/* The file with the cluster key: read only when others cannot, made only anew. */
#ifndef HM_IO_KEYFILE_H
#define HM_IO_KEYFILE_H

#include "core/base/status.h"
#include "core/wire/seal.h"

/* Mode 0600 (or less), or 0640 when its group is hivemind. On failure a sentence is in `error`:
 * HM_NOT_FOUND, HM_DENIED (others can read it, or we cannot), HM_BAD_BYTES (no key in it), HM_IO.
 */
HM_MUST_USE enum hm_status hm_keyfile_read(const char *path, struct hm_key *out,
                                           struct hm_buf *error);
/* Draws a key and writes it to a new file, mode 0600. HM_EXISTS when there is one: it is never
 * overwritten. */
HM_MUST_USE enum hm_status hm_keyfile_generate(const char *path, struct hm_key *out,
                                               struct hm_buf *error);
/* A key from the system's randomness. */
void hm_key_draw(struct hm_key *out);

#endif
