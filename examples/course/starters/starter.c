/* Listens and prints what each peer sends. Your WebSocket server begins here.
 *
 * run: cc -Wall -o starter starter.c && ./starter [ADDRESS]
 * From stage 2 on, for SHA-1: -lcrypto
 */
#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char **argv) {
    char host[16] = "127.0.0.1";
    unsigned short port = 9001;
    if (argc > 1 && sscanf(argv[1], "%15[0-9.]:%hu", host, &port) != 2) return 2;
    signal(SIGPIPE, SIG_IGN); /* A write to a peer that has left must fail, and not end the server. */

    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    socklen_t size = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0), yes = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (inet_pton(AF_INET, host, &address.sin_addr) != 1 ||
        bind(listener, (struct sockaddr *)&address, size) || listen(listener, 128) ||
        getsockname(listener, (struct sockaddr *)&address, &size)) {
        perror(host);
        return 1;
    }
    printf("listening on ws://%s:%d\n", host, ntohs(address.sin_port));
    fflush(stdout);
    for (int peer; (peer = accept(listener, NULL, NULL)) >= 0; close(peer)) {
        char buffer[4096];
        ssize_t count;
        /* A read returns what has arrived so far, which may be less than a request, or more. */
        while ((count = read(peer, buffer, sizeof buffer)) > 0) {
            fwrite(buffer, 1, count, stdout);
            fflush(stdout);
            /* Next: stop at the empty line, then answer with write(peer, "HTTP/1.1 ...", ..). */
        }
    }
}
