/* What source and sink share: a non-blocking connection, with TLS if asked for, and the clock.
 *
 * Reads and writes return the number of bytes, WIRE_AGAIN when the socket would block, or
 * WIRE_CLOSED when the peer is gone. A load tool tells no kinds of failure apart.
 */
#ifndef WIRE_H
#define WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum { WIRE_AGAIN = -1, WIRE_CLOSED = -2 };

struct wire {
    int fd;        /* -1: not open */
    void *ssl;     /* NULL: plain */
};

double monotonic(void);
double cpu_seconds(void);
_Noreturn void fatal(const char *what);

int wire_listen(const char *host, int port, int *bound_port);
bool wire_connect(struct wire *wire, const char *host, int port); /* false: refused at once */
bool wire_connected(const struct wire *wire);                     /* ask when the socket turned writable */
void wire_adopt(struct wire *wire, int fd);
void wire_close(struct wire *wire);

void tls_server(const char *certificate, const char *key); /* once, before any wire_tls_begin */
void tls_client(void);                                     /* likewise; takes any certificate: both ends are ours */
void wire_tls_begin(struct wire *wire, bool as_server);
int wire_tls_handshake(struct wire *wire); /* 1: done, WIRE_AGAIN, WIRE_CLOSED */

ssize_t wire_read(struct wire *wire, void *to, size_t room);
ssize_t wire_write(struct wire *wire, const void *from, size_t length);
ssize_t wire_write2(struct wire *wire, const void *a, size_t a_length, const void *b, size_t b_length);

/* A sum over a mail's body: fast enough (8 bytes a step) not to be felt, good enough to see any alteration. */
unsigned long long body_sum(const char *body, size_t length);

#endif
