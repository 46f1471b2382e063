// SPDX-License-Identifier: GPL-2.0
/*
 * A crowd of connections to a server that echoes, all of them open at once. What
 * becomes of them is said on standard input, a line each, and answered by "ok":
 *
 *	open COUNT	so many more are opened
 *	echo BYTES	so many pseudo-random bytes go there and back on each
 *	close COUNT	the oldest are closed, the client's end first
 *
 * The ends and their stacks come from the environment, see lib/net.h. Buffers
 * are small, for there are many.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/harness.h"
#include "lib/net.h"
#include "lib/stream.h"

#define MAX_CONNS 65536
#define MAX_BYTES 4096
#define EVENTS 64
/* Set; the kernel doubles them. */
#define SNDBUF 4096
#define RCVBUF 8192
#define TIMEOUT 900		/* of a line, in seconds */

/* The open ones lie at @first to @end, by age. */
static struct {
	int fd[MAX_CONNS];
	unsigned int first, end;
} crowd;

static void set_buffers(int fd)
{
	net_set_int(fd, SOL_SOCKET, SO_SNDBUF, SNDBUF);
	net_set_int(fd, SOL_SOCKET, SO_RCVBUF, RCVBUF);
}

static void watch(int epfd, int fd)
{
	struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };

	ASSERT_EQ(0, epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &event));
}

static void serve(int fd)
{
	uint8_t buf[MAX_BYTES];
	ssize_t n = recv(fd, buf, sizeof(buf), 0);

	ASSERT_GE(n, 0);
	if (n)
		net_send_all(fd, buf, n);
	else
		close(fd);
}

static _Noreturn void run_server(int listener)
{
	struct epoll_event events[EVENTS];
	int epfd = epoll_create1(0);

	ASSERT_GE(epfd, 0);
	watch(epfd, listener);
	for (;;) {
		int i, n = epoll_wait(epfd, events, EVENTS, -1);

		ASSERT_GE(n, 1);
		for (i = 0; i < n; i++) {
			int fd = events[i].data.fd;

			if (fd == listener)
				watch(epfd, net_accept(listener));
			else
				serve(fd);
		}
	}
}

static void open_more(unsigned int count, const union net_addr *to)
{
	ASSERT_LE(crowd.end + count, MAX_CONNS);
	while (count--) {
		int fd = net_socket(&net.client, 0);

		ASSERT_GE(fd, 0);
		set_buffers(fd);
		ASSERT_EQ(0, connect(fd, &to->sa, net_addr_len(to)));
		crowd.fd[crowd.end++] = fd;
	}
}

/* What connection @at sends: no two send the same. */
static const uint8_t *bytes_of(unsigned int at, unsigned int len)
{
	static uint8_t buf[MAX_BYTES];
	struct stream stream;

	stream_init(&stream, (uint64_t)at << 32 | len);
	stream_read(&stream, buf, len);
	return buf;
}

static void echo(unsigned int len)
{
	uint8_t got[MAX_BYTES];
	unsigned int at;

	ASSERT_LE(len, MAX_BYTES);
	for (at = crowd.first; at < crowd.end; at++)
		net_send_all(crowd.fd[at], bytes_of(at, len), len);
	for (at = crowd.first; at < crowd.end; at++) {
		net_recv_all(crowd.fd[at], got, len);
		ASSERT_EQ(0, memcmp(got, bytes_of(at, len), len));
	}
}

static void close_oldest(unsigned int count)
{
	unsigned int at, end = crowd.first + count;
	char byte;

	ASSERT_LE(end, crowd.end);
	for (at = crowd.first; at < end; at++)
		ASSERT_EQ(0, shutdown(crowd.fd[at], SHUT_WR));
	for (at = crowd.first; at < end; at++) {
		ASSERT_EQ(0, recv(crowd.fd[at], &byte, 1, 0));
		close(crowd.fd[at]);
	}
	crowd.first = end;
}

static void run_client(const union net_addr *to)
{
	char command[16];
	unsigned int number;

	while (alarm(0), scanf("%15s %u", command, &number) == 2) {
		alarm(TIMEOUT);
		if (!strcmp(command, "open"))
			open_more(number, to);
		else if (!strcmp(command, "echo"))
			echo(number);
		else if (!strcmp(command, "close"))
			close_oldest(number);
		else
			ASSERT_TRUE(!"a command that there is");
		puts("ok");
		fflush(stdout);
	}
}

int main(void)
{
	struct rlimit files;
	union net_addr to;
	int listener;
	pid_t server;

	net_setup();
	ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &files));
	files.rlim_cur = files.rlim_max;
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &files));
	listener = net_bound(&net.server, 0);
	set_buffers(listener);
	ASSERT_EQ(0, listen(listener, 4096));
	to = net_way_to(listener);
	server = fork();
	ASSERT_GE(server, 0);
	if (!server) {
		ASSERT_EQ(0, prctl(PR_SET_PDEATHSIG, SIGKILL));
		run_server(listener);
	}
	close(listener);
	run_client(&to);
	kill(server, SIGKILL);
	ASSERT_EQ(server, waitpid(server, NULL, 0));
	return 0;
}
