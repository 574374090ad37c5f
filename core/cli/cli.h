/* What the subcommands share: the table, common options, talking to a node, printing. */
#ifndef HM_CLI_CLI_H
#define HM_CLI_CLI_H

#include "core/base/arena.h"
#include "core/io/control.h"
#include "core/wire/message.h"

#include <argp.h>
#include <jansson.h>

/* Exit codes of their own, beside those of hm_status_exit_code. */
enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_NOT_FOUND = 3, EXIT_UNREACHABLE = 4 };

struct hm_command {
    const char *name;
    const char *help;                  /* one line */
    int (*run)(int argc, char **argv); /* argv[0] is "hivemind NAME"; returns the exit code */
};

/* ---- options.c: what every command that talks to a node takes ---- */

struct hm_options {
    const char *socket; /* NULL: $HIVEMIND_SOCKET, else the only one there is */
    bool json;
    uint32_t timeout_ms; /* 5 s by default */
};

/* A child of the command's own argp; its input is a struct hm_options. */
extern const struct argp hm_options_argp;

/* Numbers of option values: asserts nothing, ends the program with a usage error. */
uint64_t hm_option_number(struct argp_state *state, const char *text, const char *what,
                          uint64_t low, uint64_t high);
struct hm_name hm_option_name(struct argp_state *state, const char *text, const char *what);
/* Seconds with a fraction, or with a unit (500ms, 2s, 5m, 1h), into milliseconds. */
uint32_t hm_option_duration(struct argp_state *state, const char *text, const char *what);

/* ---- client.c: one conversation with a node ---- */

struct hm_client {
    struct hm_control_client control;
    uint32_t timeout_ms;
    struct hm_arena arena; /* of the last reply */
};

/* Says on stderr why not; EXIT_OK, or the exit code. */
int hm_client_open(struct hm_client *client, const struct hm_options *options);
void hm_client_close(struct hm_client *client);
/* Sends a request and waits for a message of kind `want`, `wait_ms` beyond the timeout. EXIT_OK, or
 * the exit code after it has said why. `reply` lives until the next question. */
int hm_client_ask(struct hm_client *client, const struct hm_message *request, uint32_t wait_ms,
                  enum hm_message_kind want, struct hm_message *reply);
/* Both: with EXIT_OK the client is open, for its owner to close after use of the reply. */
int hm_client_ask_once(const struct hm_options *options, const struct hm_message *request,
                       uint32_t wait_ms, enum hm_message_kind want, struct hm_client *client,
                       struct hm_message *reply);

/* ---- print.c ---- */

/* Cells of text under headings, printed with even columns. All zero but the headings: empty. */
struct hm_sheet {
    const char *const *headings; /* NULL-terminated */
    char **cells;
    size_t count;
    size_t capacity;
};

/* The next cell, row by row. */
void hm_sheet_put(struct hm_sheet *sheet, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void hm_sheet_print(const struct hm_sheet *sheet);
void hm_sheet_fini(struct hm_sheet *sheet);

json_t *hm_json_text(struct hm_bytes text);
json_t *hm_json_name(const struct hm_name *name);
json_t *hm_json_id(const struct hm_id *id);
json_t *hm_json_addr(const struct hm_addr *addr);
/* Prints and releases it. */
void hm_json_print(json_t *json);

/* ---- event_text.c ---- */

/* What an event says, without its kind, on one line for people. */
void hm_event_describe(const struct hm_message *body, struct hm_buf *out);

/* ---- control_*.c: what `hivemind control` does ---- */

int hm_control_recover(int argc, char **argv);
int hm_control_rejoin(int argc, char **argv);
int hm_control_status(int argc, char **argv);

/* "hivemind: ..." on stderr. */
void hm_complain(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* A failed answer: its sentence, or the status' text; returns the exit code. */
int hm_complain_status(uint16_t status, struct hm_bytes reason);

/* ---- the commands, a file each ---- */

int hm_command_announce(int argc, char **argv);
int hm_command_check_config(int argc, char **argv);
int hm_command_control(int argc, char **argv);
int hm_command_dev(int argc, char **argv);
int hm_command_drain(int argc, char **argv);
int hm_command_emit(int argc, char **argv);
int hm_command_events(int argc, char **argv);
int hm_command_keygen(int argc, char **argv);
int hm_command_leave(int argc, char **argv);
int hm_command_log(int argc, char **argv);
int hm_command_members(int argc, char **argv);
int hm_command_names(int argc, char **argv);
int hm_command_protocol(int argc, char **argv);
int hm_command_run(int argc, char **argv);
int hm_command_schema(int argc, char **argv);
int hm_command_services(int argc, char **argv);
int hm_command_status(int argc, char **argv);
int hm_command_undrain(int argc, char **argv);
int hm_command_withdraw(int argc, char **argv);

#endif
