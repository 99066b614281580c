/* A server with uWebSockets, by its C interface, in the library that PyPI's socketify ships: it echoes what it gets, of
 * the same kind, without compression. It prints its port. `install-peers` builds it.
 *
 * socketify's wheel has no header; these declarations are what `socketify/native.py` declares, as far as they are used. */
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

typedef struct app app;
typedef struct websocket websocket;

struct tls_options {
    const char *key, *certificate, *passphrase, *dh_params, *ca, *ciphers;
    int prefer_low_memory;
};

typedef void on_event(websocket *, void *);
typedef void on_message(websocket *, const char *, size_t, int opcode, void *);

struct behaviour {
    int compression;
    unsigned int max_payload_length;
    unsigned short idle_timeout;
    unsigned int max_backpressure;
    bool close_on_backpressure_limit, reset_idle_timeout_on_send, send_pings_automatically;
    unsigned short max_lifetime;
    void (*upgrade)(void);
    on_event *open;
    on_message *message;
    on_event *drain;
    void (*ping)(void), (*pong)(void), (*close)(void), (*subscription)(void);
};

struct listening {
    int port;
    const char *host;
    int options;
};

app *uws_create_app(int tls, struct tls_options);
void uws_ws(int tls, app *, const char *pattern, struct behaviour, void *);
void uws_app_listen_with_config(int tls, app *, struct listening, void (*)(void *, struct listening, void *), void *);
void uws_app_run(int tls, app *);
int uws_ws_send(int tls, websocket *, const char *, size_t, int opcode);
int us_socket_local_port(int tls, void *);

enum { NO_TLS, MIB = 1024 * 1024 };

static void echo(websocket *ws, const char *message, size_t length, int opcode, void *data) {
    (void)data;
    uws_ws_send(NO_TLS, ws, message, length, opcode);
}

static void announce(void *listener, struct listening listening, void *data) {
    (void)listening, (void)data;
    if (listener) {
        printf("%d\n", us_socket_local_port(NO_TLS, listener));
        fflush(stdout);
    }
}

int main(void) {
    app *server = uws_create_app(NO_TLS, (struct tls_options){0});
    struct behaviour behaviour = {
        .max_payload_length = 16 * MIB,
        .max_backpressure = 64 * MIB,
        .message = echo,
    };
    uws_ws(NO_TLS, server, "/*", behaviour, NULL);
    uws_app_listen_with_config(NO_TLS, server, (struct listening){.host = "127.0.0.1"}, announce, NULL);
    uws_app_run(NO_TLS, server);
    return 1;
}
