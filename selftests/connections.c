// SPDX-License-Identifier: GPL-2.0
/*
 * Many connections: a client keeps -p of them open at once until -n have been
 * served, each carrying -b pseudo-random bytes to an echo server and back. The
 * ends close first in turn. The ends and their stacks come from the
 * environment, see lib/net.h.
 */
#define _GNU_SOURCE
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/harness.h"
#include "lib/net.h"
#include "lib/stream.h"

#define MAX_BYTES 4096
#define EVENTS 64

static struct {
	unsigned int count, parallel, bytes, timeout;
} opt = {
	.count = 1000,
	.parallel = 1,
	.bytes = 64,
	.timeout = 600,
};

/* Sent by the client before the bytes that are echoed. */
struct request {
	uint32_t id;
	uint32_t server_closes;
};

struct conn {
	int fd;
	uint32_t id;
	unsigned int seen;	/* bytes of the request and of what follows it */
	struct request request;
	uint8_t buf[MAX_BYTES];
};

static void watch(int epfd, int fd, void *what)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = what };

	ASSERT_EQ(0, epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &event));
}

static int new_epoll(void)
{
	int epfd = epoll_create1(0);

	ASSERT_GE(epfd, 0);
	return epfd;
}

static void drop(struct conn *conn)
{
	close(conn->fd);
	free(conn);
}

static struct conn *new_conn(int fd)
{
	struct conn *conn = calloc(1, sizeof(*conn));

	ASSERT_TRUE(conn);
	conn->fd = fd;
	return conn;
}

/* Echoes what has come; false when the connection has ended. */
static bool serve(struct conn *conn)
{
	uint8_t buf[MAX_BYTES + sizeof(conn->request)];
	ssize_t n = recv(conn->fd, buf, sizeof(buf), 0), i;

	ASSERT_GE(n, 0);
	if (!n) {
		EXPECT_EQ(opt.bytes + sizeof(conn->request), conn->seen);
		return false;
	}
	for (i = 0; i < n && conn->seen < sizeof(conn->request); i++)
		((uint8_t *)&conn->request)[conn->seen++] = buf[i];
	net_send_all(conn->fd, buf + i, n - i);
	conn->seen += n - i;
	return conn->seen < opt.bytes + sizeof(conn->request) ||
	       !conn->request.server_closes;
}

static void run_server(int listener)
{
	struct epoll_event events[EVENTS];
	unsigned int closed = 0;
	int epfd = new_epoll();

	watch(epfd, listener, NULL);
	while (closed < opt.count) {
		int i, n = epoll_wait(epfd, events, EVENTS, -1);

		ASSERT_GE(n, 1);
		for (i = 0; i < n; i++) {
			struct conn *conn = events[i].data.ptr;

			if (!conn) {
				conn = new_conn(net_accept(listener));
				watch(epfd, conn->fd, conn);
			} else if (!serve(conn)) {
				drop(conn);
				closed++;
			}
		}
	}
}

static void start_client(int epfd, uint32_t id, const union net_addr *to)
{
	struct { struct request request; uint8_t buf[MAX_BYTES]; } message;
	struct conn *conn = new_conn(net_socket(&net.client, 0));
	struct stream stream;

	ASSERT_GE(conn->fd, 0);
	ASSERT_EQ(0, connect(conn->fd, &to->sa, net_addr_len(to)));
	conn->id = id;
	message.request = (struct request) { .id = id, .server_closes = id & 1 };
	stream_init(&stream, id);
	stream_read(&stream, message.buf, opt.bytes);
	net_send_all(conn->fd, &message, sizeof(message.request) + opt.bytes);
	watch(epfd, conn->fd, conn);
}

/* Takes the echo; false when all has come and the connection has ended. */
static bool check_echo(struct conn *conn)
{
	uint8_t expected[MAX_BYTES];
	struct stream stream;
	ssize_t n;

	n = recv(conn->fd, conn->buf + conn->seen, sizeof(conn->buf) - conn->seen, 0);
	ASSERT_GE(n, 0);
	conn->seen += n;
	if (n && (conn->seen < opt.bytes || conn->id & 1))
		return true;
	stream_init(&stream, conn->id);
	stream_read(&stream, expected, opt.bytes);
	ASSERT_EQ(opt.bytes, conn->seen);
	ASSERT_EQ(0, memcmp(expected, conn->buf, opt.bytes));
	return false;
}

static void run_client(const union net_addr *to)
{
	unsigned int started = 0, done = 0;
	struct epoll_event events[EVENTS];
	int epfd = new_epoll();

	while (done < opt.count) {
		int i, n;

		while (started < opt.count && started - done < opt.parallel)
			start_client(epfd, started++, to);
		n = epoll_wait(epfd, events, EVENTS, -1);
		ASSERT_GE(n, 1);
		for (i = 0; i < n; i++) {
			struct conn *conn = events[i].data.ptr;

			if (check_echo(conn))
				continue;
			drop(conn);
			done++;
		}
	}
}

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec + now.tv_nsec * 1e-9;
}

static void parse_options(int argc, char **argv)
{
	int c;

	while ((c = getopt(argc, argv, "n:p:b:t:")) != -1) {
		unsigned int value = optarg ? strtoul(optarg, NULL, 0) : 0;

		switch (c) {
		case 'n':
			opt.count = value;
			break;
		case 'p':
			opt.parallel = value;
			break;
		case 'b':
			opt.bytes = value;
			break;
		case 't':
			opt.timeout = value;
			break;
		default:
			opt.parallel = 0;
		}
	}
	if (!opt.parallel || !opt.bytes || opt.bytes >= MAX_BYTES) {
		fprintf(stderr, "usage: connections [-n COUNT] [-p PARALLEL] [-b BYTES] [-t SECONDS]\n");
		exit(2);
	}
}

int main(int argc, char **argv)
{
	struct rlimit files;
	union net_addr to;
	int listener, status;
	double start;
	pid_t server;

	parse_options(argc, argv);
	net_setup();
	ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &files));
	files.rlim_cur = files.rlim_max;
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &files));
	listener = net_listener(4096);
	to = net_way_to(listener);
	start = seconds();
	server = fork();
	ASSERT_GE(server, 0);
	alarm(opt.timeout);
	if (!server) {
		run_server(listener);
		_exit(0);
	}
	close(listener);
	run_client(&to);
	ASSERT_EQ(server, waitpid(server, &status, 0));
	if (status)
		return 1;
	printf("# %u connections, %u at once, %u bytes each way, %.2f s\n",
	       opt.count, opt.parallel, opt.bytes, seconds() - start);
	return 0;
}
