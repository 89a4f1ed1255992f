/*
 * The load tool of the benchmark: servers and clients for unix stream sockets, or for TCP where a name (or a prefix
 * with its number) is IPv4:PORT; one thread each.
 *
 *   load server   DIR PREFIX COUNT           listens on DIR/PREFIX0 .. , says "ready", until stdin ends
 *   load bulk     DIR NAME STREAMS MS        64 KiB writes one way, until the last byte was read
 *   load pingpong DIR NAME CONNECTIONS MS    64-byte messages there and back, one under way a connection
 *   load connrate DIR NAME CLIENTS MS        connect, one byte there and back, close
 *   load hold     DIR NAME CONNECTIONS       opens them, says "ready", holds them until stdin ends
 *   load usable   DIR PREFIX COUNT           says "ready", then waits until each of them answers one byte
 *   load contain                             own mounts and an empty /run; says "ready", until stdin ends
 *   load exec [-l PATH] COMMAND...           runs it with our own lifetime; -l: socket-activated, see sd_listen_fds(3)
 *   load http     DIR NAME, or - PORT        answers HTTP there, or on 127.0.0.1; says "ready", until stdin ends
 *   load requests DIR NAME, or - PORT; CONNECTIONS MS   one HTTP request after the other over each
 *   load dbus-service DIR NAME               org.example.Bench on the bus there; says "ready", until the bus ends
 *   load dbus-calls DIR NAME CALLS MS        calls of it, so many under way at a time
 *
 * Every path is short and relative to DIR, so that its length costs all subjects alike. Results are one line
 * of JSON on stdout; a failure is one line on stderr and exit code 1.
 */
#ifndef PVX_BENCH_LOAD_H
#define PVX_BENCH_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

uint64_t now_ns(void); /* CLOCK_MONOTONIC, the clock of process.hrtime() */
_Noreturn void fail(const char *what);
void enter(const char *dir);
/* What to listen at or connect to: DIR NAME, which goes into the folder, or - PORT, of 127.0.0.1. */
const char *go_to(const char *dir, const char *name);
unsigned number(const char *text);
void name_of(char *name, size_t size, const char *prefix, unsigned index);
int try_connect(const char *name); /* a blocking socket, or -1 with errno */
int must_connect(const char *name);
int must_listen(const char *name);
int make_epoll(void);
void watch(int epoll, int fd, uint32_t events, uint64_t data);
/* Watches every descriptor for `events`, told apart by its index. */
int watch_all(const int *fds, unsigned count, uint32_t events);
void watch_own(int epoll, int fd); /* for reading, told by the descriptor itself */
/* Takes whoever waits there now. */
void accept_all(int epoll, int listener, void (*take)(int epoll, int fd));
/* Says "ready"; everything is to be watched by `watch_own`. */
void serve_until_stdin_ends(int epoll, void (*serve)(int epoll, int fd, uint32_t events));
void round_trip(int fd); /* one byte */
/* One line: how many of what in how many ns, and what half and 99 of 100 of them took at most. Sorts `took`. */
void print_latencies(const char *what, uint32_t *took, unsigned samples, uint64_t ns);
void ready(void);
void until_stdin_ends(void);

#define SINK_BYTE 'S' /* a connection that begins with it is dropped, not echoed */

int run_server(char **argv);
int run_bulk(char **argv);
int run_pingpong(char **argv);
int run_connrate(char **argv);
int run_hold(char **argv);
int run_usable(char **argv);
int run_contain(char **argv);
int run_exec(char **argv);
int run_http(char **argv);
int run_requests(char **argv);
int run_dbus_service(char **argv);
int run_dbus_calls(char **argv);

#endif
