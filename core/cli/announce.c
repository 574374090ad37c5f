/* hivemind announce: this host serves this, and who has heard of it. */
#include "core/cli/change.h"

#include <ctype.h>
#include <string.h>

#define TAGS_MAX   32
#define VHOSTS_MAX 64
#define TTL_S_MAX  (7 * 24 * 3600)

enum { KEY_WEIGHT = 0x200, KEY_TTL };

struct arguments {
    struct hm_options options;
    struct hm_announce announce;
    struct hm_label tags[TAGS_MAX];
    struct hm_domain vhosts[VHOSTS_MAX];
};

static const struct argp_option own_options[] = {
    {"vhost", 'H', "NAME", 0, "A virtual host that it answers for; may be given again", 0},
    {"tag", 't', "WORD", 0, "A free word; may be given again", 0},
    {"weight", KEY_WEIGHT, "N", 0, "Its share of the traffic, 1 to 65535", 0},
    {"ttl", KEY_TTL, "TIME", 0,
     "Ends by itself unless announced again within this time, and with the node (else it survives "
     "restarts)",
     0},
    {0},
};
static const struct argp_child children[] = {{&hm_options_argp, 0, NULL, 0}, {0}};

/* Virtual hosts are kept in lower case without the final dot. */
static struct hm_bytes domain(struct argp_state *state, char *text)
{
    size_t size = strlen(text);
    size -= size > 0 && text[size - 1] == '.';
    if (size == 0 || size > 253) {
        argp_error(state, "'%s' is no domain name", text);
    }
    for (size_t i = 0; i < size; i++) {
        text[i] = (char)tolower((unsigned char)text[i]);
    }
    return (struct hm_bytes){(const uint8_t *)text, size};
}

static void parse_positional(struct arguments *out, char *arg, struct argp_state *state)
{
    if (state->arg_num == 0) {
        out->announce.service = hm_option_name(state, arg, "a service");
    } else if (state->arg_num == 1) {
        out->announce.port = (uint16_t)hm_option_number(state, arg, "PORT", 1, 65535);
    } else {
        argp_error(state, "what is '%s'? NAME and PORT were given", arg);
    }
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct arguments *out = state->input;
    struct hm_announce *announce = &out->announce;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &out->options;
        return 0;
    case 'H':
        if (announce->vhosts_count == VHOSTS_MAX) {
            argp_error(state, "more than %d virtual hosts", VHOSTS_MAX);
        }
        out->vhosts[announce->vhosts_count++].name = domain(state, arg);
        return 0;
    case 't':
        if (announce->tags_count == TAGS_MAX) {
            argp_error(state, "more than %d tags", TAGS_MAX);
        }
        out->tags[announce->tags_count++].name = hm_option_name(state, arg, "a tag");
        return 0;
    case KEY_WEIGHT:
        announce->weight = (uint16_t)hm_option_number(state, arg, "--weight", 1, 65535);
        return 0;
    case KEY_TTL:
        announce->ttl_s = hm_option_duration(state, arg, "--ttl") / 1000;
        if (announce->ttl_s < 1 || announce->ttl_s > TTL_S_MAX) {
            argp_error(state, "--ttl is from 1s to 7 days");
        }
        return 0;
    case ARGP_KEY_ARG:
        parse_positional(out, arg, state);
        return 0;
    case ARGP_KEY_END:
        if (state->arg_num < 2) {
            argp_error(state, "NAME and PORT are needed: `hivemind announce web 8080`");
        }
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {
    .options = own_options,
    .parser = parse,
    .args_doc = "NAME PORT",
    .children = children,
    .doc = "Announce that this host serves NAME at PORT, and wait until all who answer for it know."
           "\vExits with 0 when it is committed and all serve it, 1 when some do not yet (they are "
           "named) or a virtual host is refused, 5 when it was pushed but the control plane has no "
           "quorum to commit it.",
};

int hm_command_announce(int argc, char **argv)
{
    struct arguments arguments = {0};
    argp_parse(&argp, argc, argv, 0, NULL, &arguments);
    arguments.announce.tags = arguments.tags;
    arguments.announce.vhosts = arguments.vhosts;
    arguments.announce.timeout_ms = arguments.options.timeout_ms;
    struct hm_message request = {.kind = HM_MSG_announce, .announce = arguments.announce};
    return hm_change_ask(&arguments.options, &request, arguments.announce.service.text);
}
