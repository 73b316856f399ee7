/* source: a closed-loop SMTP load, one thread, epoll.
 *
 * Each session sends one mail after the other and waits for each reply, as smtp-source does; with --pipeline
 * MAIL, RCPT and DATA leave in one write. Every mail carries its number (X-Load-Id) and a sum of its body
 * (X-Load-Sum), so that the sink can say "once, and unaltered". A mail refused with 4xx or cut off is sent
 * again with the same number; one that was cut off after its final dot is counted as uncertain, because it may
 * have been taken. --record FILE keeps "A number time" for each mail acknowledged and "U number time" for each
 * uncertain one (CLOCK_MONOTONIC, at the reply), which is what a crash test needs.
 *
 * Writes one JSON object to standard output; exit status 0 only if every mail was acknowledged.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "wire.h"

enum state { CLOSED, CONNECTING, GREETING, HELLO, STARTTLS, HANDSHAKE, HELLO_AGAIN, MAIL, RCPT, DATA, BATCH, DOT, QUIT };

struct session {
    struct wire wire;
    enum state state;
    bool wants_write;
    int replies_due;      /* of MAIL, RCPT, DATA sent together */
    long mails_here;      /* on this connection */
    long id;              /* -1: none */
    double mail_began, dot_sent, connect_began, retry_at;
    size_t filled;
    char in[4096];
    char head[1024];
    const char *pending[2];
    size_t pending_length[2];
};

static struct {
    const char *host, *from, *to, *record;
    int port, sessions;
    long mails, first, per_connection;
    size_t size;
    bool reuse, pipeline, starttls, dots;
    double timeout;
} want = {.host = "127.0.0.1", .from = "sender@load.example", .to = "rcpt@load.example", .port = 2525, .sessions = 20,
          .mails = 1000, .size = 10240, .timeout = 300};

static int epoll;
static char *body;
static size_t body_length; /* with the final dot */
static unsigned long long sum;
static long next_id, acknowledged, refused, cut_off, uncertain, connections;
static long *again, again_count;
static float *mail_ms, *dot_ms;
static double first_reply, last_reply;
static FILE *record;

static void begin_mail(struct session *s);

static bool is_more(void) { return again_count > 0 || next_id < want.mails; }

static long take_id(void) {
    if (again_count) return again[--again_count];
    return next_id < want.mails ? next_id++ : -1;
}

static void watch(struct session *s, bool writing) {
    if (s->wants_write == writing) return;
    struct epoll_event event = {.events = EPOLLIN | (writing ? EPOLLOUT : 0), .data.ptr = s};
    epoll_ctl(epoll, EPOLL_CTL_MOD, s->wire.fd, &event);
    s->wants_write = writing;
}

static void keep_record(char kind, long id, double at) {
    if (record) fprintf(record, "%c %ld %.6f\n", kind, id + want.first, at);
}

static void give_up(struct session *s, const char *why) {
    if (cut_off + refused < 5) fprintf(stderr, "source: %s in state %d: %.*s\n", why, s->state, (int)s->filled, s->in);
    if (s->state == DOT) {
        uncertain++;
        keep_record('U', s->id, monotonic());
    }
    if (s->id >= 0) again[again_count++] = s->id;
    s->id = -1;
    wire_close(&s->wire);
    s->state = CLOSED;
    s->retry_at = monotonic() + 0.05;
    cut_off++;
}

static void finish(struct session *s) {
    wire_close(&s->wire);
    s->state = CLOSED;
}

static void flush(struct session *s) {
    while (s->pending_length[0] + s->pending_length[1]) {
        ssize_t sent = wire_write2(&s->wire, s->pending[0], s->pending_length[0], s->pending[1], s->pending_length[1]);
        if (sent == WIRE_AGAIN) return watch(s, true);
        if (sent == WIRE_CLOSED) return give_up(s, "write failed");
        for (int i = 0; i < 2; i++) {
            size_t step = s->pending_length[i] < (size_t)sent ? s->pending_length[i] : (size_t)sent;
            s->pending[i] += step, s->pending_length[i] -= step, sent -= (ssize_t)step;
        }
    }
    watch(s, false);
    if (s->state == DOT) s->dot_sent = monotonic();
}

static void say(struct session *s, enum state state, const char *format, const char *argument) {
    s->state = state;
    s->pending[0] = s->head, s->pending_length[1] = 0;
    s->pending_length[0] = (size_t)snprintf(s->head, sizeof s->head, format, argument);
    flush(s);
}

static void hello(struct session *s, enum state state) { say(s, state, "EHLO %s\r\n", "load.example"); }

static void begin_mail(struct session *s) {
    s->id = take_id();
    if (s->id < 0) return say(s, QUIT, "QUIT%s\r\n", "");
    s->mail_began = monotonic();
    if (!want.pipeline) return say(s, MAIL, "MAIL FROM:<%s>\r\n", want.from);
    char batch[900];
    snprintf(batch, sizeof batch, "MAIL FROM:<%s>\r\nRCPT TO:<%s>\r\nDATA\r\n", want.from, want.to);
    s->replies_due = 3;
    say(s, BATCH, "%s", batch);
}

static void send_content(struct session *s) {
    s->state = DOT;
    s->pending[0] = s->head;
    s->pending_length[0] = (size_t)snprintf(
        s->head, sizeof s->head,
        "From: <%s>\r\nTo: <%s>\r\nDate: Tue, 24 Nov 2026 00:00:00 +0000\r\nMessage-ID: <%ld.%d@load.example>\r\n"
        "Subject: mail %ld\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=us-ascii\r\nX-Load-Id: %ld\r\n"
        "X-Load-Sum: %016llx\r\n\r\n",
        want.from, want.to, s->id + want.first, (int)getpid(), s->id + want.first, s->id + want.first, sum);
    s->pending[1] = body, s->pending_length[1] = body_length;
    flush(s);
}

static void end_mail(struct session *s) {
    double now = monotonic();
    mail_ms[acknowledged] = (float)((now - s->mail_began) * 1e3);
    dot_ms[acknowledged] = (float)((now - s->dot_sent) * 1e3);
    if (!acknowledged++) first_reply = now;
    last_reply = now;
    keep_record('A', s->id, now);
    s->id = -1;
    s->mails_here++;
    bool is_spent = !want.reuse || (want.per_connection && s->mails_here >= want.per_connection);
    if (is_spent || !is_more()) say(s, QUIT, "QUIT%s\r\n", "");
    else begin_mail(s);
}

static void refuse(struct session *s) {
    refused++;
    give_up(s, "refused");
    cut_off--;
}

static void on_reply(struct session *s, int code) {
    static const int expected[] = {[GREETING] = 220, [HELLO] = 250, [STARTTLS] = 220, [HELLO_AGAIN] = 250, [MAIL] = 250,
                                   [RCPT] = 250, [DATA] = 354, [BATCH] = 250, [DOT] = 250, [QUIT] = 221};
    bool is_last_of_batch = s->state == BATCH && s->replies_due == 1;
    if (code != (is_last_of_batch ? 354 : expected[s->state])) {
        if (s->state == DOT) s->state = DATA; /* refused, hence certain */
        return refuse(s);
    }
    switch (s->state) {
    case GREETING: return hello(s, HELLO);
    case HELLO: return want.starttls ? say(s, STARTTLS, "STARTTLS%s\r\n", "") : begin_mail(s);
    case STARTTLS: wire_tls_begin(&s->wire, false); s->state = HANDSHAKE; return;
    case HELLO_AGAIN: return begin_mail(s);
    case MAIL: return say(s, RCPT, "RCPT TO:<%s>\r\n", want.to);
    case RCPT: return say(s, DATA, "DATA%s\r\n", "");
    case DATA: return send_content(s);
    case BATCH: if (--s->replies_due == 0) send_content(s); return;
    case DOT: return end_mail(s);
    case QUIT: return finish(s);
    default: return give_up(s, "unexpected reply");
    }
}

static void handshake(struct session *s) {
    switch (wire_tls_handshake(&s->wire)) {
    case 1: return hello(s, HELLO_AGAIN);
    case WIRE_AGAIN: return;
    default: return give_up(s, "TLS handshake failed");
    }
}

static void take_lines(struct session *s) {
    size_t start = 0;
    char *end;
    while (s->state != CLOSED && (end = memchr(s->in + start, '\n', s->filled - start))) {
        char *line = s->in + start;
        start = (size_t)(end - s->in) + 1;
        if (end - line < 4 || line[3] == '-') continue;
        on_reply(s, atoi(line));
        if (s->state == HANDSHAKE) return (void)(s->filled = 0, handshake(s), 0);
    }
    if (s->state == CLOSED) start = s->filled;
    memmove(s->in, s->in + start, s->filled -= start);
}

static void on_readable(struct session *s) {
    if (s->state == HANDSHAKE) return handshake(s);
    while (s->state != CLOSED) {
        size_t room = sizeof s->in - s->filled;
        ssize_t got = wire_read(&s->wire, s->in + s->filled, room);
        if (got == WIRE_AGAIN) return;
        if (got == WIRE_CLOSED) return s->state == QUIT ? finish(s) : give_up(s, "connection lost");
        s->filled += (size_t)got;
        take_lines(s);
        if (s->filled == sizeof s->in) return give_up(s, "reply line too long");
        if (!s->wire.ssl && (size_t)got < room) return; /* a short read: nothing is left */
    }
}

static void begin_session(struct session *s) {
    s->filled = 0, s->mails_here = 0, s->id = -1, s->pending_length[0] = s->pending_length[1] = 0;
    s->connect_began = monotonic();
    s->state = CONNECTING;
    connections++;
    if (!wire_connect(&s->wire, want.host, want.port)) return give_up(s, "connect failed");
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT, .data.ptr = s};
    epoll_ctl(epoll, EPOLL_CTL_ADD, s->wire.fd, &event);
    s->wants_write = true;
}

static void on_event(struct session *s, unsigned events) {
    if (s->state == CONNECTING && events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) {
        if (!wire_connected(&s->wire)) return give_up(s, "connect failed");
        s->state = GREETING;
        watch(s, false);
    }
    if (events & EPOLLOUT && s->pending_length[0] + s->pending_length[1]) flush(s);
    if (s->state > CONNECTING && events & (EPOLLIN | EPOLLERR | EPOLLHUP)) on_readable(s);
}

static bool open_sessions(struct session *all, double now) {
    bool is_alive = false;
    for (struct session *s = all; s < all + want.sessions; s++) {
        if (s->state == CLOSED && is_more() && now >= s->retry_at) begin_session(s);
        is_alive |= s->state != CLOSED || is_more();
    }
    return is_alive;
}

static void make_body(void) {
    /* Lines of 76 characters and CRLF, from a fixed generator: every run sends the same bytes. With --dots every
     * tenth line begins with a dot, doubled on the wire as RFC 5321 section 4.5.2 asks. */
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char *plain = malloc(want.size + 80);
    body = malloc(want.size + want.size / 70 + 80);
    if (!plain || !body) fatal("malloc");
    uint64_t x = 88172645463325252u;
    size_t length = 0, wire = 0;
    for (long line = 0; length < want.size; line++) {
        size_t width = want.size - length < 80 ? want.size - length : 78;
        if (width < 3) width = 3;
        for (size_t i = 0; i < width - 2; i++) {
            x ^= x << 13, x ^= x >> 7, x ^= x << 17;
            plain[length + i] = i == 0 && want.dots && line % 10 == 0 ? '.' : letters[x & 63];
        }
        memcpy(plain + length + width - 2, "\r\n", 2);
        if (plain[length] == '.') body[wire++] = '.';
        memcpy(body + wire, plain + length, width);
        length += width, wire += width;
    }
    memcpy(body + wire, ".\r\n", 3);
    body_length = wire + 3;
    sum = body_sum(plain, length);
    free(plain);
}

static int ascending(const void *a, const void *b) {
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static void print_percentiles(const char *name, float *values) {
    if (!acknowledged) return;
    qsort(values, (size_t)acknowledged, sizeof *values, ascending);
    static const double shares[] = {0.5, 0.95, 0.99};
    static const char *names[] = {"p50", "p95", "p99"};
    for (int i = 0; i < 3; i++)
        printf(", \"%s_%s_ms\": %.3f", name, names[i], (double)values[(long)((double)(acknowledged - 1) * shares[i])]);
    printf(", \"%s_max_ms\": %.3f", name, (double)values[acknowledged - 1]);
}

static void report(double began) {
    double seconds = last_reply - began;
    printf("{\"mails\": %ld, \"acknowledged\": %ld, \"refused\": %ld, \"cut_off\": %ld, \"uncertain\": %ld, \"connections\": %ld, "
           "\"began\": %.6f, \"first_reply\": %.6f, \"last_reply\": %.6f, \"seconds\": %.4f, \"rate\": %.1f, \"cpu_seconds\": %.3f",
           want.mails, acknowledged, refused, cut_off, uncertain, connections, began, first_reply, last_reply,
           acknowledged ? seconds : 0, acknowledged ? (double)acknowledged / seconds : 0, cpu_seconds());
    print_percentiles("accept", mail_ms);
    print_percentiles("dot", dot_ms);
    puts("}");
}

static void read_options(int count, char **arguments) {
    static const struct option options[] = {
        {"host", 1, 0, 'h'}, {"port", 1, 0, 'p'}, {"sessions", 1, 0, 's'}, {"mails", 1, 0, 'n'}, {"size", 1, 0, 'l'},
        {"reuse", 0, 0, 'r'}, {"per-connection", 1, 0, 'c'}, {"pipeline", 0, 0, 'P'}, {"starttls", 0, 0, 'S'},
        {"dots", 0, 0, 'D'}, {"from", 1, 0, 'f'}, {"to", 1, 0, 't'}, {"timeout", 1, 0, 'T'}, {"first", 1, 0, 'i'},
        {"record", 1, 0, 'R'}, {0}};
    for (int c; (c = getopt_long(count, arguments, "", options, NULL)) != -1;) switch (c) {
        case 'h': want.host = optarg; break;
        case 'p': want.port = atoi(optarg); break;
        case 's': want.sessions = atoi(optarg); break;
        case 'n': want.mails = atol(optarg); break;
        case 'l': want.size = (size_t)atol(optarg); break;
        case 'r': want.reuse = true; break;
        case 'c': want.reuse = true; want.per_connection = atol(optarg); break;
        case 'P': want.pipeline = true; break;
        case 'S': want.starttls = true; break;
        case 'D': want.dots = true; break;
        case 'f': want.from = optarg; break;
        case 't': want.to = optarg; break;
        case 'T': want.timeout = atof(optarg); break;
        case 'i': want.first = atol(optarg); break;
        case 'R': want.record = optarg; break;
        default:
            fputs("usage: source [--host 127.0.0.1] [--port 2525] [--sessions 20] [--mails 1000] [--size 10240] [--reuse | "
                  "--per-connection N] [--pipeline] [--starttls] [--dots] [--from A] [--to A] [--first 0] [--timeout 300] "
                  "[--record FILE]\n", stderr);
            exit(2);
        }
    if (want.mails < 1 || want.sessions < 1 || want.size < 3 || strlen(want.from) + strlen(want.to) > 600) {
        fputs("source: at least one mail, one session and 3 bytes; addresses of at most 600 bytes together\n", stderr);
        exit(2);
    }
    if (want.sessions > want.mails) want.sessions = (int)want.mails;
}

int main(int count, char **arguments) {
    read_options(count, arguments);
    signal(SIGPIPE, SIG_IGN);
    if (want.starttls) tls_client();
    if (want.record && !(record = fopen(want.record, "w"))) fatal(want.record);
    make_body();
    mail_ms = malloc((size_t)want.mails * sizeof *mail_ms);
    dot_ms = malloc((size_t)want.mails * sizeof *dot_ms);
    again = malloc((size_t)want.sessions * sizeof *again); /* a session has at most one mail to give back */
    struct session *all = calloc((size_t)want.sessions, sizeof *all);
    if (!mail_ms || !dot_ms || !again || !all) fatal("malloc");
    for (int i = 0; i < want.sessions; i++) all[i].wire.fd = -1, all[i].id = -1;
    epoll = epoll_create1(EPOLL_CLOEXEC);
    double began = monotonic();
    struct epoll_event events[256];
    for (double now = began; now - began < want.timeout && open_sessions(all, now); now = monotonic()) {
        if (acknowledged == want.mails && now - last_reply > 1) break; /* a 221 that does not come is no reason to wait */
        int ready = epoll_wait(epoll, events, 256, 50);
        for (int i = 0; i < ready; i++) {
            struct session *s = events[i].data.ptr;
            if (s->state != CLOSED) on_event(s, events[i].events);
        }
    }
    if (record && fclose(record)) fatal(want.record);
    report(began);
    return acknowledged == want.mails ? 0 : 1;
}
