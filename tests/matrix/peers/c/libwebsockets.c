/* libwebsockets: an echo in both roles, after its minimal-ws-server-echo and minimal-ws-client-echo, with the
 * options that they set.
 *
 *     libwebsockets server PORT
 *     libwebsockets client PORT
 */
#include <libwebsockets.h>
#include <stdlib.h>
#include <string.h>

struct part {
    struct part *next;
    size_t length;
    int binary, first, final;
    unsigned char bytes[];
};

struct session {
    struct part *head, **tail;
};

static int stop;

static int echo(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t length) {
    struct session *session = user;
    struct part *part;
    int flags, written, whole;

    switch (reason) {
    case LWS_CALLBACK_ESTABLISHED:
    case LWS_CALLBACK_CLIENT_ESTABLISHED:
        session->head = NULL;
        session->tail = &session->head;
        break;
    case LWS_CALLBACK_RECEIVE:
    case LWS_CALLBACK_CLIENT_RECEIVE:
        part = malloc(sizeof *part + LWS_PRE + length);
        part->next = NULL;
        part->length = length;
        part->binary = lws_frame_is_binary(wsi);
        part->first = lws_is_first_fragment(wsi);
        part->final = lws_is_final_fragment(wsi);
        memcpy(part->bytes + LWS_PRE, in, length);
        *session->tail = part;
        session->tail = &part->next;
        lws_callback_on_writable(wsi);
        break;
    case LWS_CALLBACK_SERVER_WRITEABLE:
    case LWS_CALLBACK_CLIENT_WRITEABLE:
        if (!(part = session->head)) break;
        flags = lws_write_ws_flags(part->binary ? LWS_WRITE_BINARY : LWS_WRITE_TEXT, part->first, part->final);
        written = lws_write(wsi, part->bytes + LWS_PRE, part->length, (enum lws_write_protocol)flags);
        whole = written >= (int)part->length;
        if (!(session->head = part->next)) session->tail = &session->head;
        free(part);
        if (!whole) return -1;
        if (session->head) lws_callback_on_writable(wsi);
        break;
    case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
    case LWS_CALLBACK_CLIENT_CLOSED:
        stop = 1;
        break;
    default:
        /* Plain HTTP comes to the first protocol, too. */
        return lws_callback_http_dummy(wsi, reason, user, in, length);
    }
    return 0;
}

int main(int count, char **words) {
    int server = count > 2 && !strcmp(words[1], "server"), port = count > 2 ? atoi(words[2]) : 0;
    struct lws_protocols protocols[] = {{"echo", echo, sizeof(struct session), 1024, 0, NULL, 0}, {NULL, NULL, 0, 0, 0, NULL, 0}};
    struct lws_context_creation_info info;
    struct lws_context *context;

    static const struct lws_extension extensions[] = {
        {"permessage-deflate", lws_extension_callback_pm_deflate, "permessage-deflate; client_no_context_takeover; client_max_window_bits"},
        {NULL, NULL, NULL},
    };

    lws_set_log_level(0, NULL);
    memset(&info, 0, sizeof info);
    info.port = server ? port : CONTEXT_PORT_NO_LISTEN;
    info.iface = server ? "127.0.0.1" : NULL;
    info.protocols = protocols;
    info.extensions = extensions;
    info.pt_serv_buf_size = 32 * 1024;
    info.options = LWS_SERVER_OPTION_VALIDATE_UTF8;
    if (server) info.options |= LWS_SERVER_OPTION_HTTP_HEADERS_SECURITY_BEST_PRACTICES_ENFORCE;
    info.gid = info.uid = -1;
    if (!(context = lws_create_context(&info))) return 1;
    if (!server) {
        struct lws_client_connect_info to;
        char host[32];
        snprintf(host, sizeof host, "127.0.0.1:%d", port);
        memset(&to, 0, sizeof to);
        to.context = context;
        to.address = "127.0.0.1";
        to.port = port;
        to.path = "/";
        to.host = to.origin = host;
        to.local_protocol_name = "echo";
        if (!lws_client_connect_via_info(&to)) return 1;
    }
    while (!stop && lws_service(context, 0) >= 0) {}
    lws_context_destroy(context);
    return 0;
}
