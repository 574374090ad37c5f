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
#define HM_OPTION_DOMAIN_MAX 253
/* A domain name in lower case without the final dot: it is made so in place. */
struct hm_bytes hm_option_domain(struct argp_state *state, char *text, const char *what);
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
/* The same for an answer that is to be HM_OK; what else it says is complained of. */
int hm_client_answer(struct hm_client *client, const struct hm_message *request, uint32_t wait_ms,
                     struct hm_message *reply);

/* ---- command.c: one command, or a group of them ---- */

#define HM_COMMAND_WORDS_MAX   2
#define HM_COMMAND_OPTIONS_MAX 8 /* of its own */

/* What a command was given. */
struct hm_given {
    const struct hm_command *command;
    struct hm_options options;                 /* not for one that is alone */
    const char *words[HM_COMMAND_WORDS_MAX];   /* NULL: not given */
    const char *texts[HM_COMMAND_OPTIONS_MAX]; /* of its own options, in the order of its table */
    struct hm_client client;                   /* open, unless it asks no node */
    void *own;                                 /* zeroed at first: what it makes of all that */
};

struct hm_command {
    const char *name;
    /* As help shows them, "NAME [DATA|-]": so many are needed and taken. What begins with a hyphen
     * is an option that is needed. NULL: none. */
    const char *words;
    const char *help; /* one line, for the list of its group */
    const char *doc;  /* of its own help; what follows \v is its end. NULL: `help` */
    /* A group of commands, NULL-terminated, has nothing of what follows. */
    const struct hm_command *const *verbs;
    bool alone;          /* asks no node, and takes none of the options for that */
    int alone_with;      /* key of its option with which it asks no node either; 0: there is none */
    const char *example; /* of words that are right, told with wrong ones; may be NULL */
    const struct argp_option *options; /* its own */
    size_t own_bytes;                  /* of hm_given.own */
    /* Each option that comes: for those that may come again; may be NULL. */
    void (*option)(struct hm_given *given, int key, char *text, struct argp_state *state);
    /* When all is given: looks into it, and ends with argp_error if something is wrong; may be
     * NULL.
     */
    void (*check)(struct hm_given *given, struct argp_state *state);
    int (*run)(struct hm_given *given); /* returns the exit code */
};

/* What one of its own options was given the last time, "" for one that takes nothing; NULL: it was
 * not given. */
const char *hm_given_option(const struct hm_given *given, int key);

/* Runs a command, or that of a group which argv[1] names. argv[0] is how it was called, as in
 * "hivemind log"; argv is changed. Returns the exit code, or ends the program after wrong usage. */
int hm_command_main(const struct hm_command *command, int argc, char **argv);

/* ---- control_recover.c ---- */

/* On the terminal, unless its option 'y' was given; anything but yes, and no terminal, is no. */
bool hm_is_confirmed(const struct hm_given *given);

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
/* On one line, for streams of them. */
void hm_json_print_line(json_t *json);
/* {"index": N} */
void hm_json_print_index(uint64_t index);

/* ---- event_text.c ---- */

/* What an event says, without its kind, on one line for people. */
void hm_event_describe(const struct hm_message *body, struct hm_buf *out);

/* "hivemind: ..." on stderr. */
void hm_complain(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* A failed answer: its sentence, or the status' text; returns the exit code. */
int hm_complain_status(uint16_t status, struct hm_bytes reason);

/* ---- the commands, about a file each ---- */

extern const struct hm_command hm_command_announce;
extern const struct hm_command hm_command_check_config;
extern const struct hm_command hm_command_control;
extern const struct hm_command hm_command_control_backup;
extern const struct hm_command hm_command_control_recover;
extern const struct hm_command hm_command_control_rejoin;
extern const struct hm_command hm_command_control_restore;
extern const struct hm_command hm_command_control_status;
extern const struct hm_command hm_command_dev;
extern const struct hm_command hm_command_dns;
extern const struct hm_command hm_command_drain;
extern const struct hm_command hm_command_emit;
extern const struct hm_command hm_command_events;
extern const struct hm_command hm_command_keygen;
extern const struct hm_command hm_command_leave;
extern const struct hm_command hm_command_log;
extern const struct hm_command hm_command_members;
extern const struct hm_command hm_command_names;
extern const struct hm_command hm_command_protocol;
extern const struct hm_command hm_command_run;
extern const struct hm_command hm_command_schema;
extern const struct hm_command hm_command_services;
extern const struct hm_command hm_command_status;
extern const struct hm_command hm_command_undrain;
extern const struct hm_command hm_command_withdraw;

#endif
