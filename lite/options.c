#include "lite/options.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PORT            9610
#define INTERVAL_MS     5000u
#define INTERVAL_MS_MAX 3600000.0
#define SERVICE_MAX     15
#define DOMAIN_MAX      253
#define WEIGHT          100
#define KEY_FILE        "/etc/hivemind/cluster.key"

void lite_say(const char *format, ...)
{
    char line[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    for (char *letter = line; *letter; letter++) { /* reasons come from others: one line */
        *letter = iscntrl((unsigned char)*letter) ? ' ' : *letter;
    }
    fprintf(stderr, "hivemind-lite: %s\n", line);
}

static const char help[] =
    "Usage: hivemind-lite --join A[,B..] --service NAME:PORT [OPTION...]\n"
    "Announces a device or container to a Hivemind cluster without being a member of it.\n"
    "\n"
    "  -j, --join=HOST[:PORT],.. members to ask, by address or name; one that answers is enough\n"
    "                           (port 9610)\n"
    "  -n, --name=NAME          name of this host, a DNS label (the machine's)\n"
    "  -s, --service=NAME:PORT  what it serves; may be given again\n"
    "  -H, --vhost=DOMAIN       virtual host of the service before it; may be given again\n"
    "  -a, --address=IP         where it is reached (where its datagrams come from); may be given "
    "again\n"
    "  -i, --interval=S         seconds between keepalives (5); without three of them it is gone\n"
    "  -k, --key=FILE           the cluster key (" KEY_FILE ")\n"
    "  -d, --device=TEXT        what tells this device from others of its name (/etc/machine-id,\n"
    "                           else the machine's name)\n"
    "      --once               end with a reason when refused (1), or when nobody answers (4)\n"
    "      --retry              try again, later each time, as is done without either\n"
    "      --help, --version\n"
    "\n"
    "SIGTERM and SIGINT withdraw it. Exit codes: 0 withdrawn, 1 failure, 2 usage, 4 unreachable.\n";

static bool complain(int *code)
{
    *code = 2;
    fputs("Try `hivemind-lite --help`.\n", stderr);
    return false;
}

static bool read_joins(struct lite_options *options, char *text)
{
    for (char *one = text, *next; one; one = next) {
        next = strchr(one, ',');
        if (next) {
            *next++ = '\0';
        }
        if (options->join_count == LITE_JOIN_MAX) {
            lite_say("--join takes at most %d members", LITE_JOIN_MAX);
            return false;
        }
        if (!lite_place_read(&options->joins[options->join_count], one, PORT)) {
            lite_say("--join: '%s' is no address or name: IP, NAME, IP:PORT or NAME:PORT is wanted",
                     one);
            return false;
        }
        options->join_count++;
    }
    return true;
}

static bool read_service(struct lite_options *options, char *text)
{
    struct hm_service *service = &options->services[options->config.services_count];
    char *colon = strrchr(text, ':');
    char *end = NULL;
    unsigned long port = colon ? strtoul(colon + 1, &end, 10) : 0;
    size_t size = colon ? (size_t)(colon - text) : 0;
    if (options->config.services_count == LITE_SERVICES_MAX) {
        lite_say("--service %s: at most %d are announced; run `hivemind` with role host for more",
                 text, LITE_SERVICES_MAX);
        return false;
    }
    if (!colon || !isdigit((unsigned char)colon[1]) || *end || port < 1 || port > 65535 ||
        size > SERVICE_MAX || !hm_name_set(&service->name, text, size) ||
        !hm_name_is_label(&service->name)) {
        lite_say("--service: '%s' is not NAME:PORT, a label of at most %d characters and 1 to "
                 "65535",
                 text, SERVICE_MAX);
        return false;
    }
    service->port = (uint16_t)port;
    service->weight = WEIGHT;
    service->vhosts = options->vhosts[options->config.services_count++];
    return true;
}

static bool read_vhost(struct lite_options *options, char *text)
{
    size_t size = strlen(text);
    if (options->config.services_count == 0) {
        lite_say("--vhost: it follows the --service that it belongs to");
        return false;
    }
    struct hm_service *service = &options->services[options->config.services_count - 1];
    size -= size > 0 && text[size - 1] == '.';
    bool good = size > 0 && size <= DOMAIN_MAX && service->vhosts_count < LITE_VHOSTS_MAX;
    for (size_t i = 0; i < size && good; i++) {
        text[i] = (char)tolower((unsigned char)text[i]);
        good = isalnum((unsigned char)text[i]) || strchr("-._*", text[i]);
    }
    if (!good) {
        lite_say("--vhost: '%s' is no domain name, or more than %d are given", text,
                 LITE_VHOSTS_MAX);
        return false;
    }
    service->vhosts[service->vhosts_count++].name = (struct hm_bytes){(const uint8_t *)text, size};
    return true;
}

static bool read_address(struct lite_options *options, const char *text)
{
    struct hm_address *address = &options->addresses[options->config.addresses_count];
    if (options->config.addresses_count == LITE_ADDRESSES_MAX ||
        !hm_addr_parse(text, 0, &address->addr) || address->addr.port) {
        lite_say("--address: '%s' is no IP address, or more than %d are given", text,
                 LITE_ADDRESSES_MAX);
        return false;
    }
    options->config.addresses_count++;
    return true;
}

static bool read_name(struct lite_options *options, const char *text)
{
    if (!hm_name_set(&options->name, text, strlen(text)) || !hm_name_is_label(&options->name)) {
        lite_say("'%s' is no name of a host: letters, digits and inner hyphens, at most 63; give "
                 "one with --name",
                 text);
        return false;
    }
    return true;
}

static bool read_interval(struct lite_options *options, const char *text)
{
    char *end;
    double ms = strtod(text, &end) * 1000.0;
    if (*text == '\0' || *end || !(ms >= 1000.0 && ms <= INTERVAL_MS_MAX)) {
        lite_say("--interval: '%s' is not from 1 to 3600 seconds", text);
        return false;
    }
    options->interval_ms = (uint32_t)ms;
    return true;
}

static bool is_complete(struct lite_options *options)
{
    struct hm_buf bytes = {0};
    char host[256] = "";
    if (options->join_count == 0 || options->config.services_count == 0) {
        lite_say("%s is needed", options->join_count == 0 ? "--join HOST[:PORT] of a member"
                                                          : "--service NAME:PORT");
        return false;
    }
    if (options->name.size == 0) {
        gethostname(host, sizeof host - 1);
        host[strcspn(host, ".")] = '\0';
        if (!read_name(options, host)) {
            return false;
        }
    }
    hm_message_encode(
        &bytes, &(struct hm_message){.kind = HM_MSG_host_config, .host_config = options->config});
    size_t size = bytes.size;
    hm_buf_fini(&bytes);
    if (size > LITE_CONFIG_BYTES_MAX) {
        lite_say("services and virtual hosts take %zu bytes, and a datagram carries %u of them: "
                 "run `hivemind` with role host instead",
                 size, LITE_CONFIG_BYTES_MAX);
        return false;
    }
    return true;
}

enum { OPTION_ONCE = 256, OPTION_RETRY, OPTION_HELP, OPTION_VERSION };

static const struct option table[] = {
    {"join", required_argument, NULL, 'j'},
    {"name", required_argument, NULL, 'n'},
    {"service", required_argument, NULL, 's'},
    {"vhost", required_argument, NULL, 'H'},
    {"address", required_argument, NULL, 'a'},
    {"interval", required_argument, NULL, 'i'},
    {"key", required_argument, NULL, 'k'},
    {"device", required_argument, NULL, 'd'},
    {"once", no_argument, NULL, OPTION_ONCE},
    {"retry", no_argument, NULL, OPTION_RETRY},
    {"help", no_argument, NULL, OPTION_HELP},
    {"version", no_argument, NULL, OPTION_VERSION},
    {0},
};

/* False: that is no option, or its value is wrong. */
static bool read_option(struct lite_options *options, int option)
{
    switch (option) {
    case 'j':
        return read_joins(options, optarg);
    case 'n':
        return read_name(options, optarg);
    case 's':
        return read_service(options, optarg);
    case 'H':
        return read_vhost(options, optarg);
    case 'a':
        return read_address(options, optarg);
    case 'i':
        return read_interval(options, optarg);
    case 'k':
        options->key = optarg;
        return true;
    case 'd':
        options->device = optarg;
        return true;
    case OPTION_ONCE:
    case OPTION_RETRY:
        options->once = option == OPTION_ONCE;
        return true;
    default:
        return false;
    }
}

bool lite_options_read(struct lite_options *options, int argc, char **argv, int *code)
{
    *options = (struct lite_options){.key = KEY_FILE, .interval_ms = INTERVAL_MS};
    options->config.services = options->services;
    options->config.addresses = options->addresses;
    for (int option; (option = getopt_long(argc, argv, "j:n:s:H:a:i:k:d:", table, NULL)) != -1;) {
        if (option == OPTION_HELP || option == OPTION_VERSION) {
            fputs(option == OPTION_HELP ? help : "hivemind-lite " HM_VERSION "\n", stdout);
            *code = 0;
            return false;
        }
        if (!read_option(options, option)) {
            return complain(code);
        }
    }
    if (optind < argc) {
        lite_say("what is '%s'? it takes options only", argv[optind]);
        return complain(code);
    }
    return is_complete(options) ? true : complain(code);
}
