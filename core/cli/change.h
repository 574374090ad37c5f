/* What announce, withdraw and drain share: waiting for a change to be served, and telling of it. */
#ifndef HM_CLI_CHANGE_H
#define HM_CLI_CHANGE_H

#include "core/cli/cli.h"

/* Sends the request and prints who serves the change; `subject` names it. Returns the exit code. */
int hm_change_ask(struct hm_given *given, const struct hm_message *request, const char *subject);

#endif
