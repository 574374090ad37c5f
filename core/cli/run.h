/* Running a node, for the commands that do. */
#ifndef HM_CLI_RUN_H
#define HM_CLI_RUN_H

#include <stdbool.h>

struct hm_run_options {
    const char *file;
    bool memory;                  /* keeps nothing: no data directory */
    void (*ready)(void *context); /* may be NULL */
    void *context;
};

/* Until it is told to stop; returns the exit code. */
int hm_run(const struct hm_run_options *options);

#endif
