/* What the commands of `hivemind log` share. */
#ifndef HM_CLI_LOG_H
#define HM_CLI_LOG_H

#include "core/cli/cli.h"

/* What a node takes to say that there is no quorum comes on top of --timeout. */
#define HM_LOG_NODE_MS 2000u

/* The check of those whose first word is a log: its name, or role.NAME for the log of a role. */
void hm_log_check(struct hm_given *given, struct argp_state *state);
/* Prints the answer to a change or an append: what the node says, else that the log `what`. */
void hm_log_print_answer(const struct hm_given *given, const struct hm_answer *answer,
                         const char *what);

/* ---- log_append.c ---- */

extern const struct hm_command hm_command_log_append;
extern const struct hm_command hm_command_log_session;

/* ---- log_read.c ---- */

extern const struct hm_command hm_command_log_read;
extern const struct hm_command hm_command_log_follow;

/* ---- log_show.c ---- */

extern const struct hm_command hm_command_log_list;
extern const struct hm_command hm_command_log_members;

#endif
