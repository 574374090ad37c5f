/* One conversation with a node: which one is meant, and asking it. */
#include "core/cli/cli.h"

#include <stdlib.h>

#define HOW_TO_START "start a node with `hivemind run -c FILE`, or try one with `hivemind dev`"

/* ---- which node ---- */

static int no_node(const struct hm_buf *error)
{
    hm_complain("%.*s; " HOW_TO_START, (int)error->size, (const char *)error->data);
    return EXIT_UNREACHABLE;
}

static int open_named(struct hm_client *client, const char *path)
{
    struct hm_buf error = {0};
    int code = EXIT_OK;
    enum hm_status status = hm_control_connect(path, &client->control, &error);
    if (status == HM_UNREACHABLE) {
        code = no_node(&error);
    } else if (status != HM_OK) {
        hm_complain("%.*s", (int)error.size, (const char *)error.data);
        code = EXIT_UNREACHABLE;
    }
    hm_buf_fini(&error);
    return code;
}

/* The only node there is. What a dead process left does not count beside a living one. */
static int open_only(struct hm_client *client)
{
    struct hm_control_paths found = hm_control_list();
    struct hm_buf error = {0};
    struct hm_buf list = {0};
    size_t alive = 0;
    for (size_t i = 0; i < found.count; i++) {
        struct hm_control_client one;
        hm_buf_clear(&error);
        if (hm_control_connect(found.paths[i], &one, &error) != HM_OK) {
            continue;
        }
        hm_buf_printf(&list, "\n  %s", found.paths[i]);
        if (alive++ == 0) {
            client->control = one;
        } else {
            hm_control_close(&one);
        }
    }
    int code = EXIT_OK;
    if (alive > 1) {
        hm_control_close(&client->control);
        hm_complain("several nodes run here; name one with --socket or $HIVEMIND_SOCKET:%.*s",
                    (int)list.size, (const char *)list.data);
        code = EXIT_USAGE;
    } else if (alive == 0 && found.count == 0) {
        hm_complain("no node's socket is in " HM_CONTROL_DIRECTORY " or $XDG_RUNTIME_DIR/hivemind; "
                    "name another with --socket or $HIVEMIND_SOCKET, " HOW_TO_START);
        code = EXIT_UNREACHABLE;
    } else if (alive == 0) {
        code = no_node(&error);
    }
    hm_buf_fini(&error);
    hm_buf_fini(&list);
    hm_control_paths_fini(&found);
    return code;
}

int hm_client_open(struct hm_client *client, const struct hm_options *options)
{
    const char *path = options->socket ? options->socket : getenv("HIVEMIND_SOCKET");
    *client = (struct hm_client){.timeout_ms = options->timeout_ms};
    return path && *path ? open_named(client, path) : open_only(client);
}

void hm_client_close(struct hm_client *client)
{
    hm_control_close(&client->control);
    hm_arena_fini(&client->arena);
}

/* ---- asking ---- */

static int broken_off(enum hm_status status, uint32_t waited_ms)
{
    switch (status) {
    case HM_TIMEOUT:
        hm_complain("the node did not answer within %u ms; --timeout waits longer", waited_ms);
        return EXIT_FAILED;
    case HM_BAD_BYTES:
        hm_complain("what the node said was no answer; is it of another release than " HM_VERSION
                    ", this one's?");
        return EXIT_FAILED;
    default:
        hm_complain("the node went away before it answered; its log says why");
        return EXIT_UNREACHABLE;
    }
}

int hm_client_ask(struct hm_client *client, const struct hm_message *request, uint32_t wait_ms,
                  enum hm_message_kind want, struct hm_message *reply)
{
    hm_arena_clear(&client->arena);
    enum hm_status status = hm_control_send(&client->control, request);
    if (status == HM_OK) {
        status = hm_control_receive(&client->control, (hm_ms)client->timeout_ms + wait_ms,
                                    &client->arena, reply);
    }
    if (status != HM_OK) {
        return broken_off(status, client->timeout_ms + wait_ms);
    }
    if (reply->kind == want) {
        return EXIT_OK;
    }
    if (reply->kind == HM_MSG_answer && reply->answer.status != HM_OK) {
        return hm_complain_status(reply->answer.status, reply->answer.reason);
    }
    return broken_off(HM_BAD_BYTES, 0);
}

int hm_client_answer(struct hm_client *client, const struct hm_message *request, uint32_t wait_ms,
                     struct hm_message *reply)
{
    int code = hm_client_ask(client, request, wait_ms, HM_MSG_answer, reply);
    if (code == EXIT_OK && reply->answer.status != HM_OK) {
        code = hm_complain_status(reply->answer.status, reply->answer.reason);
    }
    return code;
}
