#define _GNU_SOURCE
#include "wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>
#ifdef WITH_TLS
#include <openssl/err.h>
#include <openssl/ssl.h>
static SSL_CTX *context;
#endif

double monotonic(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

double cpu_seconds(void) {
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
           (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

_Noreturn void fatal(const char *what) {
    fprintf(stderr, "%s: %s\n", what, errno ? strerror(errno) : "failed");
    exit(2);
}

static struct sockaddr_in address_of(const char *host, int port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    if (inet_pton(AF_INET, host, &address.sin_addr) != 1) {
        errno = EINVAL;
        fatal(host);
    }
    return address;
}

int wire_listen(const char *host, int port, int *bound_port) {
    struct sockaddr_in address = address_of(host, port);
    socklen_t length = sizeof address;
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) fatal("socket");
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) || listen(fd, 1024)) fatal("listen");
    getsockname(fd, (struct sockaddr *)&address, &length);
    *bound_port = ntohs(address.sin_port);
    return fd;
}

void wire_adopt(struct wire *wire, int fd) {
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    *wire = (struct wire){.fd = fd};
}

bool wire_connect(struct wire *wire, const char *host, int port) {
    struct sockaddr_in address = address_of(host, port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) fatal("socket");
    wire_adopt(wire, fd);
    return connect(fd, (struct sockaddr *)&address, sizeof address) == 0 || errno == EINPROGRESS;
}

bool wire_connected(const struct wire *wire) {
    int error = 0;
    socklen_t length = sizeof error;
    getsockopt(wire->fd, SOL_SOCKET, SO_ERROR, &error, &length);
    return error == 0;
}

void wire_close(struct wire *wire) {
#ifdef WITH_TLS
    if (wire->ssl) SSL_free(wire->ssl);
#endif
    if (wire->fd >= 0) close(wire->fd);
    *wire = (struct wire){.fd = -1};
}

#ifdef WITH_TLS
static void tls_modes(void) {
    /* The driver offers what is left, from wherever it then stands. */
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
}

void tls_server(const char *certificate, const char *key) {
    context = SSL_CTX_new(TLS_server_method());
    if (SSL_CTX_use_certificate_chain_file(context, certificate) != 1) fatal(certificate);
    if (SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1) fatal(key);
    tls_modes();
}

void tls_client(void) {
    context = SSL_CTX_new(TLS_client_method());
    tls_modes();
}

void wire_tls_begin(struct wire *wire, bool as_server) {
    wire->ssl = SSL_new(context);
    SSL_set_fd(wire->ssl, wire->fd);
    if (as_server) SSL_set_accept_state(wire->ssl);
    else SSL_set_connect_state(wire->ssl);
}

static int tls_trouble(struct wire *wire, int result) {
    int error = SSL_get_error(wire->ssl, result);
    ERR_clear_error();
    return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? WIRE_AGAIN : WIRE_CLOSED;
}

int wire_tls_handshake(struct wire *wire) {
    int result = SSL_do_handshake(wire->ssl);
    return result == 1 ? 1 : tls_trouble(wire, result);
}
#else
static _Noreturn void no_tls(void) {
    fprintf(stderr, "built without OpenSSL (Debian: libssl-dev), so there is no STARTTLS\n");
    exit(2);
}
void tls_server(const char *certificate, const char *key) { (void)certificate, (void)key, no_tls(); }
void tls_client(void) { no_tls(); }
void wire_tls_begin(struct wire *wire, bool as_server) { (void)wire, (void)as_server, no_tls(); }
int wire_tls_handshake(struct wire *wire) { (void)wire, no_tls(); }
#endif

static ssize_t outcome(ssize_t result) {
    if (result > 0) return result;
    return result < 0 && (errno == EAGAIN || errno == EINTR) ? WIRE_AGAIN : WIRE_CLOSED;
}

ssize_t wire_read(struct wire *wire, void *to, size_t room) {
#ifdef WITH_TLS
    if (wire->ssl) {
        int result = SSL_read(wire->ssl, to, (int)room);
        return result > 0 ? result : tls_trouble(wire, result);
    }
#endif
    return outcome(read(wire->fd, to, room));
}

ssize_t wire_write(struct wire *wire, const void *from, size_t length) {
#ifdef WITH_TLS
    if (wire->ssl) {
        int result = SSL_write(wire->ssl, from, (int)length);
        return result > 0 ? result : tls_trouble(wire, result);
    }
#endif
    return outcome(send(wire->fd, from, length, MSG_NOSIGNAL));
}

ssize_t wire_write2(struct wire *wire, const void *a, size_t a_length, const void *b, size_t b_length) {
    if (wire->ssl || !b_length) return a_length ? wire_write(wire, a, a_length) : wire_write(wire, b, b_length);
    struct iovec parts[2] = {{(void *)a, a_length}, {(void *)b, b_length}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
    return outcome(sendmsg(wire->fd, &message, MSG_NOSIGNAL));
}

unsigned long long body_sum(const char *body, size_t length) {
    uint64_t sum = 0x9e3779b97f4a7c15u ^ length, word;
    for (; length >= 8; body += 8, length -= 8) {
        memcpy(&word, body, 8);
        sum = (sum ^ word) * 0xff51afd7ed558ccdu;
        sum ^= sum >> 32;
    }
    word = 0;
    memcpy(&word, body, length);
    sum = (sum ^ word) * 0xff51afd7ed558ccdu;
    return sum ^ sum >> 32;
}
