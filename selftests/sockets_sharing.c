// SPDX-License-Identifier: GPL-2.0
/* One socket in several descriptors, threads and processes; several on one port. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/harness.h"
#include "lib/net.h"

static void expect_echo(int a, int b)
{
	char buf[4];

	net_send_all(a, "ping", 4);
	net_recv_all(b, buf, 4);
	EXPECT_EQ(0, memcmp("ping", buf, 4));
	net_send_all(b, "pong", 4);
	net_recv_all(a, buf, 4);
	EXPECT_EQ(0, memcmp("pong", buf, 4));
}

static void expect_child_ok(pid_t child)
{
	int status = -1;

	ASSERT_EQ(child, waitpid(child, &status, 0));
	EXPECT_EQ(0, status);
}

TEST(dup__close_one)
{
	struct net_pair pair = net_pair();
	int copy = dup(pair.ut);
	char byte;

	ASSERT_GE(copy, 0);
	ASSERT_EQ(0, close(pair.ut));
	expect_echo(copy, pair.peer);
	ASSERT_EQ(0, close(copy));
	EXPECT_EQ(0, recv(pair.peer, &byte, 1, 0));
}

TEST(dup__shares_flags)
{
	struct net_pair pair = net_pair();
	int copy = fcntl(pair.ut, F_DUPFD_CLOEXEC, 0);
	char byte;

	net_set_nonblock(copy, true);
	EXPECT_FAIL(EAGAIN, recv(pair.ut, &byte, 1, 0));
}

TEST(fork__child_serves)
{
	struct net_pair pair = net_pair();
	char byte;
	pid_t child = fork();

	if (!child) {
		close(pair.peer);
		net_recv_all(pair.ut, &byte, 1);
		net_send_all(pair.ut, &byte, 1);
		_exit(0);
	}
	/* The parent's close does not end the connection: the child has it. */
	close(pair.ut);
	net_send_all(pair.peer, "x", 1);
	net_recv_all(pair.peer, &byte, 1);
	EXPECT_EQ('x', byte);
	expect_child_ok(child);
	EXPECT_EQ(0, recv(pair.peer, &byte, 1, 0));
}

TEST(fork__killed_child_closes)
{
	struct net_pair pair = net_pair();
	char byte;
	pid_t child = fork();

	if (!child) {
		close(pair.peer);
		for (;;)
			pause();
	}
	close(pair.ut);
	kill(child, SIGKILL);
	EXPECT_EQ(0, recv(pair.peer, &byte, 1, 0));
}

TEST(fork__several_accept)
{
	enum { WORKERS = 3, CONNECTIONS = 12 };
	int listener = net_listener(CONNECTIONS), i, fd;
	pid_t workers[WORKERS];
	char byte;

	for (i = 0; i < WORKERS; i++) {
		workers[i] = fork();
		if (workers[i])
			continue;
		for (;;) {
			fd = net_accept(listener);
			net_recv_all(fd, &byte, 1);
			net_send_all(fd, &byte, 1);
			if (byte == 'q')
				_exit(0);
			close(fd);
		}
	}
	for (i = 0; i < CONNECTIONS + WORKERS; i++) {
		fd = net_connect(listener);
		net_send_all(fd, i < CONNECTIONS ? "x" : "q", 1);
		net_recv_all(fd, &byte, 1);
		EXPECT_EQ(0, recv(fd, &byte, 1, 0));
		close(fd);
	}
	for (i = 0; i < WORKERS; i++)
		expect_child_ok(workers[i]);
}

static void send_fd(int via, int fd)
{
	char byte = 'x', control[CMSG_SPACE(sizeof(int))] = "";
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);

	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cmsg), &fd, sizeof(int));
	ASSERT_EQ(1, sendmsg(via, &msg, 0));
}

static int receive_fd(int via)
{
	char byte, control[CMSG_SPACE(sizeof(int))] = "";
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	int fd;

	ASSERT_EQ(1, recvmsg(via, &msg, 0));
	ASSERT_TRUE(CMSG_FIRSTHDR(&msg));
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(int));
	return fd;
}

TEST(pass_to_other_process)
{
	struct net_pair pair = net_pair();
	char byte;
	int via[2];
	pid_t child;

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, via));
	child = fork();
	if (!child) {
		net_close(&pair);
		pair.ut = receive_fd(via[1]);
		net_recv_all(pair.ut, &byte, 1);
		net_send_all(pair.ut, "y", 1);
		_exit(0);
	}
	send_fd(via[0], pair.ut);
	close(pair.ut);
	net_send_all(pair.peer, "x", 1);
	net_recv_all(pair.peer, &byte, 1);
	EXPECT_EQ('y', byte);
	expect_child_ok(child);
	EXPECT_EQ(0, recv(pair.peer, &byte, 1, 0));
}

static void *accept_one(void *arg)
{
	int *listener = arg;

	*listener = net_accept(*listener);
	return NULL;
}

TEST(threads__accept_elsewhere)
{
	int listener = net_listener(1), fd = listener, client;
	pthread_t thread;

	ASSERT_EQ(0, pthread_create(&thread, NULL, accept_one, &fd));
	poll(NULL, 0, 100);
	client = net_connect(listener);
	pthread_join(thread, NULL);
	expect_echo(client, fd);
}

struct half {
	int from;
	size_t seen;
};

static void *drain_thread(void *arg)
{
	struct half *half = arg;

	half->seen = net_drain(half->from);
	return NULL;
}

/* One thread reads while another writes the same socket. */
TEST(threads__both_directions)
{
	static char buf[1 << 20];
	struct net_pair pair = net_pair();
	struct half halves[2] = { { pair.ut, 0 }, { pair.peer, 0 } };
	pthread_t threads[2];
	int i;

	for (i = 0; i < 2; i++)
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, drain_thread, &halves[i]));
	net_send_all(pair.ut, buf, sizeof(buf));
	net_send_all(pair.peer, buf, sizeof(buf));
	shutdown(pair.ut, SHUT_WR);
	shutdown(pair.peer, SHUT_WR);
	for (i = 0; i < 2; i++) {
		pthread_join(threads[i], NULL);
		EXPECT_EQ(sizeof(buf), halves[i].seen);
	}
}

static void *write_letters(void *arg)
{
	struct half *half = arg;
	char buf[1000];
	int i;

	memset(buf, 'a' + half->seen, sizeof(buf));
	for (i = 0; i < 20; i++)
		net_send_all(half->from, buf, sizeof(buf));
	return NULL;
}

/* Several writers of one socket: nothing is lost, whatever the order. */
TEST(threads__several_writers)
{
	enum { WRITERS = 4, EACH = 20 * 1000 };
	struct net_pair pair = net_pair();
	struct half halves[WRITERS];
	pthread_t threads[WRITERS];
	size_t counts[WRITERS] = {}, total = 0;
	int i;

	for (i = 0; i < WRITERS; i++) {
		halves[i] = (struct half) { pair.ut, i };
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, write_letters, &halves[i]));
	}
	while (total < WRITERS * EACH) {
		char buf[4096];
		ssize_t n = recv(pair.peer, buf, sizeof(buf), 0);

		ASSERT_GE(n, 1);
		total += n;
		while (n--)
			counts[(buf[n] - 'a') % WRITERS]++;
	}
	for (i = 0; i < WRITERS; i++) {
		pthread_join(threads[i], NULL);
		EXPECT_EQ(EACH, counts[i]);
	}
}

static void *close_later(void *arg)
{
	poll(NULL, 0, 100);
	shutdown(*(int *)arg, SHUT_RDWR);
	return NULL;
}

TEST(threads__shutdown_wakes_poll)
{
	struct net_pair pair = net_pair();
	pthread_t thread;

	ASSERT_EQ(0, pthread_create(&thread, NULL, close_later, &pair.ut));
	EXPECT_TRUE(net_poll(pair.ut, POLLIN, 10000) & POLLIN);
	pthread_join(thread, NULL);
}

static int reuseport_listener(in_port_t port)
{
	union net_addr name = net.server.addr;
	int fd = net_socket(&net.server, 0);

	ASSERT_GE(fd, 0);
	net_set_int(fd, SOL_SOCKET, SO_REUSEPORT, 1);
	net_set_port(&name, port);
	ASSERT_EQ(0, bind(fd, &name.sa, net_addr_len(&name)));
	ASSERT_EQ(0, listen(fd, 64));
	return fd;
}

TEST(reuseport__workers_share)
{
	enum { WORKERS = 4, CONNECTIONS = 64 };
	struct pollfd fds[WORKERS];
	int accepted[WORKERS] = {}, i, sum = 0, used = 0;
	union net_addr name;

	fds[0].fd = reuseport_listener(0);
	name = net_sockname(fds[0].fd);
	for (i = 1; i < WORKERS; i++)
		fds[i].fd = reuseport_listener(net_port(&name));
	for (i = 0; i < CONNECTIONS; i++)
		net_connect(fds[0].fd);
	while (sum < CONNECTIONS) {
		for (i = 0; i < WORKERS; i++)
			fds[i].events = POLLIN;
		ASSERT_GE(poll(fds, WORKERS, 10000), 1);
		for (i = 0; i < WORKERS; i++) {
			if (!fds[i].revents)
				continue;
			net_accept(fds[i].fd);
			accepted[i]++;
			sum++;
		}
	}
	for (i = 0; i < WORKERS; i++)
		used += accepted[i] > 0;
	EXPECT_GE(used, 2);
}

TEST(reuseport__closed_worker_gets_none)
{
	int one = reuseport_listener(0), two, i;
	union net_addr name = net_sockname(one);

	two = reuseport_listener(net_port(&name));
	close(two);
	for (i = 0; i < 16; i++) {
		net_connect(one);
		net_accept(one);
	}
}

/* A user without any privilege. */
TEST(user__connects_and_serves)
{
	int listener, client, server;

	listener = net_socket(&net.server, 0);
	client = net_socket(&net.client, 0);
	ASSERT_GE(listener, 0);
	ASSERT_GE(client, 0);
	ASSERT_EQ(0, setgid(65534) | setuid(65534));
	ASSERT_EQ(0, bind(listener, &net.server.addr.sa, net_addr_len(&net.server.addr)));
	ASSERT_EQ(0, listen(listener, 1));
	{
		union net_addr to = net_way_to(listener);

		ASSERT_EQ(0, connect(client, &to.sa, net_addr_len(&to)));
	}
	server = net_accept(listener);
	expect_echo(client, server);
}

TEST(user__low_port_refused)
{
	union net_addr name = net_under_test()->addr;
	int fd = net_socket(net_under_test(), 0);

	ASSERT_EQ(0, setgid(65534) | setuid(65534));
	net_set_port(&name, 80);
	EXPECT_FAIL(EACCES, bind(fd, &name.sa, net_addr_len(&name)));
}

TEST_MAIN(net_setup)
