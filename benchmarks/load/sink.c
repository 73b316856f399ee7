/* sink: an SMTP server that takes every mail, checks it and throws it away. One thread, epoll.
 *
 * It counts mails by the number in X-Load-Id (unique, duplicates), compares the body with X-Load-Sum (altered),
 * and speaks PIPELINING (also commands behind the final dot in the same read), 8BITMIME, SMTPUTF8, DSN, SIZE,
 * CHUNKING and STARTTLS. --delay MS answers each mail that much later. --record FILE keeps "number time" of each
 * mail (CLOCK_MONOTONIC, at the reply) for crash tests.
 *
 * Writes "port N" and then one JSON object for each "report" on standard input, when the number of unique mails
 * given by "expect N" (which sets all counts to zero) is there, and at the end: end of input, SIGTERM or SIGINT.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "wire.h"

enum { FIRST_ROOM = 32768, MAX_MAIL = 300 << 20, MAX_ID = 1 << 28, MAX_LINE = 4096 };

enum mode { COMMANDS, DATA, CHUNK, HANDSHAKE };

struct peer {
    struct wire wire;
    enum mode mode;
    bool is_closing, wants_write, is_delayed;
    char *in;              /* what has been read and not consumed is in[start..end) */
    size_t room, start, end;
    size_t scanned;        /* DATA: no end before this */
    char *chunks;          /* BDAT: content so far */
    size_t chunks_length, chunks_room, chunk_left;
    bool is_last_chunk;
    char out[8192];
    size_t out_length, out_sent;
    double answer_at;      /* --delay */
    struct peer *next_delayed;
};

static struct {
    const char *host, *record, *certificate, *key;
    int port;
    double delay;
    bool no_chunking, no_pipelining;
} want = {.host = "127.0.0.1"};

static int epoll, listener;
static unsigned char *seen;
static long seen_room, mails, unique, duplicates, altered, unnumbered, connections, now_open, most_open, expected, early_commands;
static double first_mail, last_mail;
static bool has_reported;
static FILE *record;
static struct peer *delayed_first, *delayed_last;
static volatile sig_atomic_t is_over;
static const char input; /* only its address counts */

static void consume(struct peer *p);

static void report(void) {
    printf("{\"mails\": %ld, \"unique\": %ld, \"duplicates\": %ld, \"altered\": %ld, \"unnumbered\": %ld, \"connections\": %ld, "
           "\"most_open\": %ld, \"pipelined_behind_dot\": %ld, \"first_mail\": %.6f, \"last_mail\": %.6f, \"cpu_seconds\": %.3f}\n",
           mails, unique, duplicates, altered, unnumbered, connections, most_open, early_commands, first_mail, last_mail,
           cpu_seconds());
    fflush(stdout);
    if (record) fflush(record);
}

static void start_over(long count) {
    if (seen) memset(seen, 0, (size_t)seen_room);
    mails = unique = duplicates = altered = unnumbered = connections = early_commands = 0;
    most_open = now_open;
    first_mail = last_mail = 0;
    expected = count;
    has_reported = false;
}

static void hang_up(struct peer *p) {
    wire_close(&p->wire);
    p->is_closing = true;
    now_open--;
    if (p->is_delayed) return; /* freed when its time comes */
    free(p->in);
    free(p->chunks);
    free(p);
}

static bool flush(struct peer *p) { /* false: the peer is gone */
    while (p->out_sent < p->out_length) {
        ssize_t sent = wire_write(&p->wire, p->out + p->out_sent, p->out_length - p->out_sent);
        if (sent == WIRE_CLOSED) return hang_up(p), false;
        if (sent == WIRE_AGAIN) break;
        p->out_sent += (size_t)sent;
    }
    bool has_rest = p->out_sent < p->out_length;
    if (!has_rest) p->out_sent = p->out_length = 0;
    if (has_rest != p->wants_write) {
        struct epoll_event event = {.events = EPOLLIN | (has_rest ? EPOLLOUT : 0), .data.ptr = p};
        epoll_ctl(epoll, EPOLL_CTL_MOD, p->wire.fd, &event);
        p->wants_write = has_rest;
    }
    if (!has_rest && p->is_closing) return hang_up(p), false;
    return true;
}

static void answer(struct peer *p, const char *text) {
    size_t length = strlen(text);
    if (p->out_length + length > sizeof p->out) { /* a client that never reads its replies */
        p->is_closing = true;
        return;
    }
    memcpy(p->out + p->out_length, text, length);
    p->out_length += length;
}

static void greet_extensions(struct peer *p) {
    answer(p, "250-sink.load.example\r\n250-SIZE 0\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-ENHANCEDSTATUSCODES\r\n250-DSN\r\n");
    if (!want.no_pipelining) answer(p, "250-PIPELINING\r\n");
    if (!want.no_chunking) answer(p, "250-CHUNKING\r\n");
    if (want.certificate && !p->wire.ssl) answer(p, "250-STARTTLS\r\n");
    answer(p, "250 HELP\r\n");
}

static void count_id(long id) {
    if (id >= seen_room) {
        long room = seen_room ? seen_room : 1 << 17;
        while (room <= id) room *= 2;
        seen = realloc(seen, (size_t)room);
        if (!seen) fatal("realloc");
        memset(seen + seen_room, 0, (size_t)(room - seen_room));
        seen_room = room;
    }
    if (seen[id]) duplicates++;
    else seen[id] = 1, unique++;
}

static const char *field(const char *head, size_t length, const char *name) { /* name: "\nX-Name: " */
    const char *at = memmem(head, length, name, strlen(name));
    return at ? at + strlen(name) : NULL;
}

static size_t unstuff(char *content, size_t length) {
    char *from = content, *to = content, *end = content + length, *dot;
    if (length && *from == '.') from++;
    while ((dot = memmem(from, (size_t)(end - from), "\r\n.", 3))) {
        memmove(to, from, (size_t)(dot + 2 - from));
        to += dot + 2 - from;
        from = dot + 3;
    }
    memmove(to, from, (size_t)(end - from));
    return (size_t)(to + (end - from) - content);
}

static void take_mail(struct peer *p, char *content, size_t length, bool is_stuffed) {
    if (is_stuffed && (memmem(content, length, "\r\n.", 3) || (length && *content == '.'))) length = unstuff(content, length);
    char *blank = memmem(content, length, "\r\n\r\n", 4);
    size_t head = blank ? (size_t)(blank - content) + 2 : length;
    const char *id = field(content, head, "\nX-Load-Id: "), *sum = field(content, head, "\nX-Load-Sum: ");
    double now = monotonic();
    if (!mails++) first_mail = now;
    last_mail = now;
    long number = id ? atol(id) : -1;
    if (number < 0 || number >= MAX_ID) unnumbered++;
    else count_id(number);
    if (sum && blank && strtoull(sum, NULL, 16) != body_sum(blank + 4, length - head - 2)) altered++;
    if (record) fprintf(record, "%ld %.6f\n", number, now);
    if (!want.delay) return answer(p, "250 2.0.0 taken\r\n");
    p->is_delayed = true;
    p->answer_at = now + want.delay;
    p->next_delayed = NULL;
    if (delayed_last) delayed_last->next_delayed = p;
    else delayed_first = p;
    delayed_last = p;
}

static void begin_chunk(struct peer *p, const char *argument) {
    char *rest;
    unsigned long size = strtoul(argument, &rest, 10);
    if (p->chunks_length + size > MAX_MAIL) {
        answer(p, "552 5.3.4 too much\r\n");
        p->is_closing = true;
        return;
    }
    p->chunk_left = size;
    p->is_last_chunk = strncasecmp(rest, " LAST", 5) == 0;
    p->mode = CHUNK;
    if (p->chunks_length + size > p->chunks_room) {
        p->chunks_room = p->chunks_length + size;
        p->chunks = realloc(p->chunks, p->chunks_room);
        if (!p->chunks) fatal("realloc");
    }
}

static void on_command(struct peer *p, char *line) {
    static const struct { const char *verb, *reply; } replies[] = {
        {"MAIL FROM:", "250 2.1.0 sender taken\r\n"}, {"RCPT TO:", "250 2.1.5 recipient taken\r\n"}, {"RSET", "250 2.0.0 forgotten\r\n"},
        {"NOOP", "250 2.0.0 nothing done\r\n"}, {"VRFY", "252 2.0.0 send and see\r\n"}, {"HELP", "214 2.0.0 a sink\r\n"}};
    if (!strncasecmp(line, "EHLO", 4) || !strncasecmp(line, "LHLO", 4)) return greet_extensions(p);
    if (!strncasecmp(line, "HELO", 4)) return answer(p, "250 sink.load.example\r\n");
    if (!strncasecmp(line, "DATA", 4)) {
        p->mode = DATA, p->scanned = p->start;
        return answer(p, "354 go on, end with a dot\r\n");
    }
    if (!strncasecmp(line, "BDAT ", 5)) return begin_chunk(p, line + 5);
    if (!strncasecmp(line, "QUIT", 4)) return p->is_closing = true, answer(p, "221 2.0.0 good-bye\r\n");
    if (!strncasecmp(line, "STARTTLS", 8) && want.certificate && !p->wire.ssl) {
        answer(p, "220 2.0.0 begin\r\n");
        p->start = p->end = 0; /* RFC 3207 section 4: nothing said before counts */
        p->mode = HANDSHAKE;
        return;
    }
    for (size_t i = 0; i < sizeof replies / sizeof *replies; i++)
        if (!strncasecmp(line, replies[i].verb, strlen(replies[i].verb))) {
            if (*line == 'R' && !strncasecmp(line, "RSET", 4)) p->chunks_length = 0;
            return answer(p, replies[i].reply);
        }
    answer(p, "500 5.5.1 what?\r\n");
}

static bool take_line(struct peer *p) {
    char *line = p->in + p->start, *end = memchr(line, '\n', p->end - p->start);
    if (!end) {
        if (p->end - p->start > MAX_LINE) p->is_closing = true, answer(p, "500 5.5.6 line too long\r\n");
        return false;
    }
    *end = 0;
    p->start = (size_t)(end - p->in) + 1;
    on_command(p, line);
    return true;
}

static bool take_data(struct peer *p) {
    char *content = p->in + p->start, *end;
    size_t length = p->end - p->start, taken;
    if (length >= 3 && !memcmp(content, ".\r\n", 3)) {
        taken = 0, p->start += 3;
    } else {
        size_t from = p->scanned > p->start + 4 ? p->scanned - 4 : p->start;
        end = memmem(p->in + from, p->end - from, "\r\n.\r\n", 5);
        p->scanned = p->end;
        if (!end) return false;
        taken = (size_t)(end - content) + 2;
        p->start += taken + 3;
    }
    p->mode = COMMANDS;
    if (p->start < p->end) early_commands++;
    take_mail(p, content, taken, true);
    return true;
}

static bool take_chunk(struct peer *p) {
    size_t here = p->end - p->start < p->chunk_left ? p->end - p->start : p->chunk_left;
    memcpy(p->chunks + p->chunks_length, p->in + p->start, here);
    p->chunks_length += here, p->start += here, p->chunk_left -= here;
    if (p->chunk_left) return false;
    p->mode = COMMANDS;
    if (!p->is_last_chunk) return answer(p, "250 2.0.0 chunk taken\r\n"), true;
    size_t length = p->chunks_length;
    p->chunks_length = 0;
    take_mail(p, p->chunks, length, false);
    return true;
}

static void consume(struct peer *p) {
    bool goes_on = true;
    while (goes_on && !p->is_delayed && !p->is_closing && p->mode != HANDSHAKE && (p->start < p->end || p->mode == CHUNK)) {
        switch (p->mode) {
        case COMMANDS: goes_on = take_line(p); break;
        case DATA: goes_on = take_data(p); break;
        default: goes_on = take_chunk(p); break;
        }
    }
    if (p->start == p->end) p->start = p->end = p->scanned = 0;
}

static void make_room(struct peer *p) {
    if (p->end + FIRST_ROOM / 2 <= p->room) return;
    if (p->start) {
        memmove(p->in, p->in + p->start, p->end - p->start);
        p->scanned -= p->scanned < p->start ? p->scanned : p->start;
        p->end -= p->start, p->start = 0;
    }
    if (p->end + FIRST_ROOM / 2 <= p->room) return;
    if (p->room > MAX_MAIL) fatal("a mail beyond every bound");
    p->room *= 2;
    p->in = realloc(p->in, p->room);
    if (!p->in) fatal("realloc");
}

static bool shake_hands(struct peer *p) { /* true: done, and there may be input */
    if (!p->wire.ssl) wire_tls_begin(&p->wire, true);
    int state = wire_tls_handshake(&p->wire);
    if (state == WIRE_CLOSED) hang_up(p);
    else if (state == 1) p->mode = COMMANDS;
    return state == 1;
}

static void on_readable(struct peer *p) {
    for (;;) {
        if (p->mode == HANDSHAKE && !shake_hands(p)) return;
        make_room(p);
        size_t room = p->room - p->end;
        ssize_t got = wire_read(&p->wire, p->in + p->end, room);
        if (got == WIRE_AGAIN) return;
        if (got == WIRE_CLOSED) return hang_up(p);
        p->end += (size_t)got;
        consume(p);
        if (!flush(p)) return;
        if (!p->wire.ssl && (size_t)got < room) return;
    }
}

static void welcome(void) {
    for (int fd; (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0;) {
        struct peer *p = calloc(1, sizeof *p);
        if (!p || !(p->in = malloc(FIRST_ROOM))) fatal("malloc");
        p->room = FIRST_ROOM;
        wire_adopt(&p->wire, fd);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = p};
        epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
        connections++;
        if (++now_open > most_open) most_open = now_open;
        answer(p, "220 sink.load.example ESMTP\r\n");
        flush(p);
    }
}

static int answer_delayed(void) { /* milliseconds until the next one, -1: none */
    double now = monotonic();
    while (delayed_first && delayed_first->answer_at <= now) {
        struct peer *p = delayed_first;
        delayed_first = p->next_delayed;
        if (!delayed_first) delayed_last = NULL;
        p->is_delayed = false;
        if (p->wire.fd < 0) {
            free(p->in), free(p->chunks), free(p);
            continue;
        }
        answer(p, "250 2.0.0 taken\r\n");
        consume(p);
        flush(p);
    }
    return delayed_first ? (int)((delayed_first->answer_at - now) * 1e3) + 1 : -1;
}

static void obey(void) {
    static char buffer[256];
    static size_t filled;
    ssize_t got = read(0, buffer + filled, sizeof buffer - 1 - filled);
    if (got <= 0) {
        is_over = got == 0 || errno != EAGAIN;
        return;
    }
    filled += (size_t)got;
    char *line = buffer, *end;
    while ((end = memchr(line, '\n', filled - (size_t)(line - buffer)))) {
        *end = 0;
        if (!strncmp(line, "expect ", 7)) start_over(atol(line + 7));
        else if (!strcmp(line, "report")) report();
        line = end + 1;
    }
    filled -= (size_t)(line - buffer);
    memmove(buffer, line, filled);
    if (filled == sizeof buffer - 1) filled = 0;
}

static void on_signal(int number) { is_over = number; }

static void read_options(int count, char **arguments) {
    static const struct option options[] = {{"host", 1, 0, 'h'}, {"port", 1, 0, 'p'}, {"delay", 1, 0, 'd'}, {"record", 1, 0, 'R'},
                                            {"certificate", 1, 0, 'C'}, {"key", 1, 0, 'K'}, {"expect", 1, 0, 'n'},
                                            {"no-chunking", 0, 0, 'B'}, {"no-pipelining", 0, 0, 'P'}, {0}};
    for (int c; (c = getopt_long(count, arguments, "", options, NULL)) != -1;) switch (c) {
        case 'h': want.host = optarg; break;
        case 'p': want.port = atoi(optarg); break;
        case 'd': want.delay = atof(optarg) / 1e3; break;
        case 'R': want.record = optarg; break;
        case 'C': want.certificate = optarg; break;
        case 'K': want.key = optarg; break;
        case 'n': expected = atol(optarg); break;
        case 'B': want.no_chunking = true; break;
        case 'P': want.no_pipelining = true; break;
        default:
            fputs("usage: sink [--host 127.0.0.1] [--port 0] [--delay MS] [--record FILE] [--certificate PEM --key PEM] [--expect N] "
                  "[--no-chunking] [--no-pipelining]\n", stderr);
            exit(2);
        }
}

int main(int count, char **arguments) {
    read_options(count, arguments);
    signal(SIGPIPE, SIG_IGN);
    struct sigaction end = {.sa_handler = on_signal};
    sigaction(SIGTERM, &end, NULL);
    sigaction(SIGINT, &end, NULL);
    if (want.certificate) tls_server(want.certificate, want.key ? want.key : want.certificate);
    if (want.record && !(record = fopen(want.record, "w"))) fatal(want.record);
    int port;
    listener = wire_listen(want.host, want.port, &port);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = &listener}, events[256];
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
    event.data.ptr = (void *)&input;
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, 0, &event) && errno != EPERM) fatal("epoll_ctl"); /* EPERM: a file such as /dev/null */
    printf("port %d\n", port);
    fflush(stdout);
    while (!is_over) {
        int ready = epoll_wait(epoll, events, 256, answer_delayed());
        for (int i = 0; i < ready; i++) {
            void *what = events[i].data.ptr;
            if (what == &listener) welcome();
            else if (what == &input) obey();
            else {
                struct peer *p = what;
                if (events[i].events & EPOLLOUT && !flush(p)) continue;
                if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) on_readable(p);
            }
        }
        if (expected && unique >= expected && !has_reported) has_reported = true, report();
    }
    report();
    return 0;
}
