// A closed loop of produce requests that costs the machine little: what a broker can do, not what a client can.
//
// CONNECTIONS connections keep DEPTH Produce v7 requests in flight each; every request carries one record of SIZE bytes to a random
// partition of TOPIC. One JSON object goes to stdout: requests per second and percentiles of the time from write to reply.
//
//     cc -O2 -o load load.c && ./load PORT TOPIC CONNECTIONS PARTITIONS SIZE SECONDS ACKS DEPTH

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { DEPTH_MAX = 256, REPLY_MAX = 65536, SAMPLES_MAX = 20000000, FRAME_MAX = 1 << 20 };

typedef struct {
    int fd;
    int oldest, in_flight;         // a ring of send times: replies come in order
    double sent[DEPTH_MAX];
    int have;
    uint8_t reply[REPLY_MAX];
} Connection;

static uint8_t frame[FRAME_MAX];
static uint8_t *partition_at;
static int frame_size;

static uint8_t *put(uint8_t *p, uint64_t value, int size) {
    for (int i = size - 1; i >= 0; i--) *p++ = (uint8_t)(value >> (8 * i));
    return p;
}

static uint8_t *put_varint(uint8_t *p, int64_t value) {
    uint64_t zigzag = ((uint64_t)value << 1) ^ (uint64_t)(value >> 63);
    for (; zigzag > 127; zigzag >>= 7) *p++ = (uint8_t)(zigzag | 128);
    *p++ = (uint8_t)zigzag;
    return p;
}

static uint8_t *put_string(uint8_t *p, const char *text) {
    size_t size = strlen(text);
    p = put(p, size, 2);
    memcpy(p, text, size);
    return p + size;
}

static uint32_t crc32c(const uint8_t *p, size_t size) {
    uint32_t crc = ~0u;
    while (size--) {
        crc ^= *p++;
        for (int bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >> 1) ^ 0x82F63B78u : crc >> 1;
    }
    return ~crc;
}

static uint32_t get32(const uint8_t *p) { return (uint32_t)p[0] << 24 | p[1] << 16 | p[2] << 8 | p[3]; }

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int ascending(const void *a, const void *b) {
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

// The request is built once; only its partition number changes.
static void build(const char *topic, int size, int acks) {
    static uint8_t record[FRAME_MAX / 2], body[FRAME_MAX / 2];
    uint8_t *p = record;
    *p++ = 0;                                  // attributes
    p = put_varint(p, 0);                      // timestamp delta
    p = put_varint(p, 0);                      // offset delta
    p = put_varint(p, -1);                     // no key
    p = put_varint(p, size);
    memset(p, 'x', (size_t)size);
    p += size;
    p = put_varint(p, 0);                      // no headers
    int record_size = (int)(p - record);

    uint64_t timestamp_ms = (uint64_t)time(NULL) * 1000;
    p = put(body, 0, 2);                       // attributes
    p = put(p, 0, 4);                          // last offset delta
    p = put(p, timestamp_ms, 8);
    p = put(p, timestamp_ms, 8);
    p = put(p, (uint64_t)-1, 8);               // no producer id
    p = put(p, (uint64_t)-1, 2);
    p = put(p, (uint64_t)-1, 4);
    p = put(p, 1, 4);                          // one record
    p = put_varint(p, record_size);
    memcpy(p, record, (size_t)record_size);
    p += record_size;
    int body_size = (int)(p - body);

    p = put(frame + 4, 0, 2);                  // Produce
    p = put(p, 7, 2);
    p = put(p, 1, 4);                          // correlation id
    p = put_string(p, "load");
    p = put(p, (uint64_t)-1, 2);               // no transactional id
    p = put(p, (uint64_t)acks, 2);
    p = put(p, 30000, 4);                      // timeout_ms
    p = put(p, 1, 4);
    p = put_string(p, topic);
    p = put(p, 1, 4);
    partition_at = p;
    p = put(p, 0, 4);
    p = put(p, (uint64_t)(12 + 9 + body_size), 4);
    p = put(p, 0, 8);                          // base offset
    p = put(p, (uint64_t)(9 + body_size), 4);
    p = put(p, (uint64_t)-1, 4);               // leader epoch
    *p++ = 2;
    p = put(p, crc32c(body, (size_t)body_size), 4);
    memcpy(p, body, (size_t)body_size);
    p += body_size;
    frame_size = (int)(p - frame);
    put(frame, (uint64_t)(frame_size - 4), 4);
}

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static void request(Connection *c, int partitions, int depth) {
    put(partition_at, (uint64_t)(rand() % partitions), 4);
    c->sent[(c->oldest + c->in_flight++) % depth] = now();
    for (int done = 0; done < frame_size;) {
        ssize_t wrote = write(c->fd, frame + done, (size_t)(frame_size - done));
        if (wrote < 0) fail("write");
        done += (int)wrote;
    }
}

int main(int count, char **words) {
    if (count != 9) {
        fprintf(stderr, "usage: load PORT TOPIC CONNECTIONS PARTITIONS SIZE SECONDS ACKS DEPTH\n");
        return 2;
    }
    int port = atoi(words[1]), connections = atoi(words[3]), partitions = atoi(words[4]), size = atoi(words[5]);
    double seconds = atof(words[6]);
    int acks = atoi(words[7]), depth = atoi(words[8]);
    int error_at = 4 + 4 + 4 + 2 + (int)strlen(words[2]) + 4 + 4;
    if (depth < 1 || depth > DEPTH_MAX || size > FRAME_MAX / 4) return 2;
    build(words[2], size, acks);

    int poll = epoll_create1(0), one = 1;
    Connection *all = calloc((size_t)connections, sizeof(Connection));
    float *took_ms = malloc(sizeof(float) * SAMPLES_MAX);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    for (int i = 0; i < connections; i++) {
        all[i].fd = socket(AF_INET, SOCK_STREAM, 0);
        if (connect(all[i].fd, (void *)&address, sizeof address)) fail("connect");
        setsockopt(all[i].fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        struct epoll_event event = {.events = EPOLLIN, .data.u32 = (uint32_t)i};
        epoll_ctl(poll, EPOLL_CTL_ADD, all[i].fd, &event);
    }
    srand(7);
    long done = 0, errors = 0;
    int first_error = 0;
    double began = now(), end = began + seconds;
    for (int i = 0; i < connections; i++)
        for (int n = 0; n < depth; n++) request(&all[i], partitions, depth);
    while (now() < end) {
        struct epoll_event events[64];
        int ready = epoll_wait(poll, events, 64, 1000);
        for (int n = 0; n < ready; n++) {
            Connection *c = &all[events[n].data.u32];
            ssize_t got = read(c->fd, c->reply + c->have, sizeof c->reply - (size_t)c->have);
            if (got <= 0) {
                fprintf(stderr, "the broker closed a connection\n");
                return 1;
            }
            c->have += (int)got;
            int at = 0;
            while (c->have - at >= 4 && c->have - at >= 4 + (int)get32(c->reply + at)) {
                int error = (int16_t)(c->reply[at + error_at] << 8 | c->reply[at + error_at + 1]);
                if (error && !errors++) first_error = error;
                if (done < SAMPLES_MAX) took_ms[done++] = (float)((now() - c->sent[c->oldest]) * 1e3);
                c->oldest = (c->oldest + 1) % depth;
                c->in_flight--;
                at += 4 + (int)get32(c->reply + at);
                request(c, partitions, depth);
            }
            memmove(c->reply, c->reply + at, (size_t)(c->have - at));
            c->have -= at;
        }
    }
    double took = now() - began;
    qsort(took_ms, (size_t)done, sizeof(float), ascending);
#define PERCENTILE(part) (done ? took_ms[(long)((double)done * (part))] : 0.0)
    printf("{\"requests_s\": %.0f, \"p50_ms\": %.3f, \"p99_ms\": %.3f, \"p999_ms\": %.3f, \"errors\": %ld, \"first_error\": %d}\n", (double)done / took,
           PERCENTILE(0.5), PERCENTILE(0.99), PERCENTILE(0.999), errors, first_error);
    return 0;
}
