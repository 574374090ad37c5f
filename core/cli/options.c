/* Options that every command which talks to a node takes, and reading their values. */
#include "core/cli/cli.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define TIMEOUT_MS 5000

enum { KEY_SOCKET = 0x100, KEY_FORMAT, KEY_TIMEOUT };

static const struct argp_option options[] = {
    {"socket", KEY_SOCKET, "PATH", 0,
     "The node's control socket (else $HIVEMIND_SOCKET, else the only one there is)", 90},
    {"format", KEY_FORMAT, "table|json", 0, "How to print (table)", 90},
    {"timeout", KEY_TIMEOUT, "TIME", 0, "How long to wait for an answer (5s)", 90},
    {0},
};

uint64_t hm_option_number(struct argp_state *state, const char *text, const char *what,
                          uint64_t low, uint64_t high)
{
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || *text == '-' || value < low || value > high) {
        argp_error(state, "%s is a number from %llu to %llu, not '%s'", what,
                   (unsigned long long)low, (unsigned long long)high, text);
    }
    return value;
}

struct hm_name hm_option_name(struct argp_state *state, const char *text, const char *what)
{
    struct hm_name name = {0};
    if (!hm_name_set(&name, text, strlen(text)) || !hm_name_is_label(&name)) {
        argp_error(state, "%s consists of letters, digits and inner hyphens, at most %d: not '%s'",
                   what, HM_NAME_MAX, text);
    }
    return name;
}

struct hm_bytes hm_option_domain(struct argp_state *state, char *text, const char *what)
{
    size_t size = strlen(text);
    size -= size > 0 && text[size - 1] == '.';
    if (size == 0 || size > HM_OPTION_DOMAIN_MAX) {
        argp_error(state, "%s is a domain name such as www.corp.internal, not '%s'", what, text);
    }
    for (size_t i = 0; i < size; i++) {
        text[i] = (char)tolower((unsigned char)text[i]);
    }
    return (struct hm_bytes){(const uint8_t *)text, size};
}

uint32_t hm_option_duration(struct argp_state *state, const char *text, const char *what)
{
    static const struct {
        const char *unit;
        double ms;
    } units[] = {{"", 1e3}, {"ms", 1}, {"s", 1e3}, {"m", 6e4}, {"h", 36e5}};
    char *end;
    double value = strtod(text, &end);
    for (size_t i = 0; end != text && i < sizeof units / sizeof *units; i++) {
        double ms = value * units[i].ms;
        if (strcmp(end, units[i].unit) == 0 && ms >= 0 && ms <= 1e9) {
            return (uint32_t)ms;
        }
    }
    argp_error(state, "%s is a time such as 500ms, 2s, 5m or 1h, not '%s'", what, text);
    return 0;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct hm_options *out = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        out->timeout_ms = TIMEOUT_MS;
        return 0;
    case KEY_SOCKET:
        out->socket = arg;
        return 0;
    case KEY_FORMAT:
        if (strcmp(arg, "json") != 0 && strcmp(arg, "table") != 0) {
            argp_error(state, "--format is table or json, not '%s'", arg);
        }
        out->json = strcmp(arg, "json") == 0;
        return 0;
    case KEY_TIMEOUT:
        out->timeout_ms = hm_option_duration(state, arg, "--timeout");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

const struct argp hm_options_argp = {.options = options, .parser = parse};
