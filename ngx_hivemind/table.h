/* The routing table that the node writes and every nginx worker reads: a mapped file with two
 * halves.
 *
 * The writer fills the half that is not shown, then shows it by raising the generation; a reader
 * works in place on the half that is shown and afterwards asks whether it was overwritten
 * meanwhile. So a writer that dies anywhere leaves the last whole state on show, and the file
 * outlives reloads, binary upgrades and reboots. One process writes (an open file description lock
 * says who; the kernel frees it on death). Nobody may truncate the file while it is mapped. */
#ifndef HM_NGX_TABLE_H
#define HM_NGX_TABLE_H

#include "ngx_hivemind/snapshot.h"

#include <sys/types.h>

#define HM_TABLE_BYTES_MIN (64u << 10)
#define HM_TABLE_BYTES_MAX (1u << 30)

struct hm_table {
    int fd;
    uint8_t *map; /* NULL when closed */
    size_t map_bytes;
    size_t half_bytes; /* both halves and the header fit into map_bytes */
    bool writer;
};

/* What hm_table_prepare found in the place of the file. */
enum hm_table_found {
    HM_TABLE_KEPT,
    HM_TABLE_CREATED,
    HM_TABLE_RESIZED,  /* another size was configured; the content was carried over */
    HM_TABLE_RESTORED, /* the shown half was damaged, the one before it is back */
    HM_TABLE_RENEWED   /* nothing in it could be used: an empty one is in its place */
};

/* Makes sure that a sound table of `bytes` (both halves, rounded up to pages) lies at `path`,
 * belonging to owner and group (-1 leaves them). A new file is written beside it and renamed, so
 * those who map the old one keep it. HM_TOO_LARGE when the content of a table that is there does
 * not fit, HM_NO_SPACE, HM_DENIED, HM_IO; errno is set then and the old file is untouched. */
HM_MUST_USE enum hm_status hm_table_prepare(const char *path, size_t bytes, uid_t owner,
                                            gid_t group, enum hm_table_found *found);

/* Maps it for reading. HM_NOT_FOUND, HM_DAMAGED (not a table), HM_DENIED, HM_IO. */
HM_MUST_USE enum hm_status hm_table_open_reader(struct hm_table *table, const char *path);

/* Maps it for writing. HM_BUSY while another process is its writer, else as above. */
HM_MUST_USE enum hm_status hm_table_open_writer(struct hm_table *table, const char *path);

void hm_table_close(struct hm_table *table);

/* Shows the draft to every reader, all of it or nothing. HM_TOO_LARGE when a half cannot hold it
 * (hm_table_snapshot_bytes says what it takes): the readers keep what they have. */
HM_MUST_USE enum hm_status hm_table_publish(struct hm_table *table, const struct hm_draft *draft);

/* A reader's use of the shown half, from begin to end, without blocking anyone. */
struct hm_table_reading {
    struct hm_table_view view;
    uint64_t generation;
};

/* False when the shown half is no snapshot (a damaged file, or overwritten at this moment). */
HM_MUST_USE bool hm_table_begin(const struct hm_table *table, struct hm_table_reading *reading);

/* Whether all that was read since begin belongs to one generation. If not: forget it, begin again.
 */
HM_MUST_USE bool hm_table_end(const struct hm_table *table, const struct hm_table_reading *reading);

/* Readings to attempt before giving up: the writer would have to publish twice within each. */
#define HM_TABLE_ATTEMPTS 64

/* Counts publications; 0 in a fresh table. */
uint64_t hm_table_generation(const struct hm_table *table);

/* Bytes that one snapshot may take. */
size_t hm_table_capacity(const struct hm_table *table);

#endif
