// SPDX-License-Identifier: GPL-2.0
/* How connections end: shutdown, close, abort, and what each end then sees. */
#define _GNU_SOURCE
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/harness.h"
#include "lib/net.h"

static void set_linger(int fd, int seconds)
{
	struct linger linger = { .l_onoff = 1, .l_linger = seconds };

	ASSERT_EQ(0, setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)));
}

static void abort_connection(int fd)
{
	set_linger(fd, 0);
	ASSERT_EQ(0, close(fd));
}

TEST(shutdown__write)
{
	struct net_pair pair = net_pair();
	char buf[4];

	net_send_all(pair.ut, "abc", 3);
	ASSERT_EQ(0, shutdown(pair.ut, SHUT_WR));
	EXPECT_FAIL(EPIPE, send(pair.ut, "x", 1, MSG_NOSIGNAL));
	net_recv_all(pair.peer, buf, 3);
	EXPECT_EQ(0, recv(pair.peer, buf, 1, 0));
	EXPECT_EQ(0, recv(pair.peer, buf, 1, 0));
	/* The other direction goes on. */
	net_send_all(pair.peer, "def", 3);
	net_recv_all(pair.ut, buf, 3);
	ASSERT_EQ(0, shutdown(pair.peer, SHUT_WR));
	EXPECT_EQ(0, recv(pair.ut, buf, 1, 0));
}

TEST(shutdown__by_peer)
{
	struct net_pair pair = net_pair();
	char buf[4];

	ASSERT_EQ(0, shutdown(pair.peer, SHUT_WR));
	EXPECT_EQ(0, recv(pair.ut, buf, 1, 0));
	net_send_all(pair.ut, "abc", 3);
	net_recv_all(pair.peer, buf, 3);
	ASSERT_EQ(0, close(pair.ut));
	EXPECT_EQ(0, recv(pair.peer, buf, 1, 0));
}

TEST(shutdown__read)
{
	struct net_pair pair = net_pair();
	char buf[4];

	ASSERT_EQ(0, shutdown(pair.ut, SHUT_RD));
	EXPECT_EQ(0, recv(pair.ut, buf, 1, 0));
	EXPECT_TRUE(net_poll(pair.ut, POLLIN | POLLRDHUP, 0) & POLLRDHUP);
	net_send_all(pair.ut, "abc", 3);
	net_recv_all(pair.peer, buf, 3);
}

TEST(shutdown__both)
{
	struct net_pair pair = net_pair();
	char byte;

	ASSERT_EQ(0, shutdown(pair.ut, SHUT_RDWR));
	EXPECT_EQ(0, recv(pair.ut, &byte, 1, 0));
	EXPECT_FAIL(EPIPE, send(pair.ut, "x", 1, MSG_NOSIGNAL));
	EXPECT_EQ(0, recv(pair.peer, &byte, 1, 0));
}

TEST(shutdown__bad_mode)
{
	struct net_pair pair = net_pair();

	EXPECT_FAIL(EINVAL, shutdown(pair.ut, 3));
}

TEST(shutdown__listener_wakes_accept)
{
	int listener = net_listener(1);
	pid_t child = fork();

	if (!child) {
		EXPECT_FAIL(EINVAL, accept(listener, NULL, NULL));
		_exit(0);
	}
	poll(NULL, 0, 200);
	EXPECT_EQ(0, shutdown(listener, SHUT_RD));
	EXPECT_EQ(child, waitpid(child, NULL, 0));
}

static void *blocked_recv(void *arg)
{
	char byte;

	EXPECT_EQ(0, recv(*(int *)arg, &byte, 1, 0));
	return NULL;
}

TEST(shutdown__wakes_recv)
{
	struct net_pair pair = net_pair();
	pthread_t thread;

	ASSERT_EQ(0, pthread_create(&thread, NULL, blocked_recv, &pair.ut));
	poll(NULL, 0, 200);
	EXPECT_EQ(0, shutdown(pair.ut, SHUT_RD));
	EXPECT_EQ(0, pthread_join(thread, NULL));
}

static volatile sig_atomic_t pipe_signals;

static void on_sigpipe(int sig)
{
	(void)sig;
	pipe_signals++;
}

TEST(sigpipe)
{
	struct net_pair pair = net_pair();

	signal(SIGPIPE, on_sigpipe);
	ASSERT_EQ(0, shutdown(pair.ut, SHUT_WR));
	EXPECT_FAIL(EPIPE, send(pair.ut, "x", 1, MSG_NOSIGNAL));
	EXPECT_EQ(0, pipe_signals);
	EXPECT_FAIL(EPIPE, send(pair.ut, "x", 1, 0));
	EXPECT_EQ(1, pipe_signals);
	EXPECT_FAIL(EPIPE, write(pair.ut, "x", 1));
	EXPECT_EQ(2, pipe_signals);
}

TEST(close__delivers_unsent_data)
{
	struct net_pair pair = net_pair();
	static char buf[65536];
	size_t total = 0;
	ssize_t n;

	while ((n = send(pair.ut, buf, sizeof(buf), MSG_DONTWAIT)) > 0)
		total += n;
	ASSERT_EQ(0, close(pair.ut));
	EXPECT_EQ(total, net_drain(pair.peer));
}

TEST(close__unread_data_resets)
{
	struct net_pair pair = net_pair();
	char byte;

	net_send_all(pair.peer, "abc", 3);
	ASSERT_EQ(POLLIN, net_poll(pair.ut, POLLIN, 10000));
	ASSERT_EQ(0, close(pair.ut));
	EXPECT_FAIL(ECONNRESET, recv(pair.peer, &byte, 1, 0));
}

TEST(close__data_afterwards_resets)
{
	struct net_pair pair = net_pair();
	char byte;

	ASSERT_EQ(0, close(pair.ut));
	EXPECT_EQ(0, recv(pair.peer, &byte, 1, 0));
	net_send_all(pair.peer, "abc", 3);
	EXPECT_TRUE(net_poll(pair.peer, 0, 10000) & POLLERR);
	EXPECT_FAIL(EPIPE, send(pair.peer, "x", 1, MSG_NOSIGNAL));
}

TEST(close__both_at_once)
{
	int round;

	for (round = 0; round < 50; round++) {
		struct net_pair pair = net_pair();

		net_close(&pair);
	}
}

TEST(abort__seen_by_peer)
{
	struct net_pair pair = net_pair();
	char byte;

	abort_connection(pair.ut);
	EXPECT_FAIL(ECONNRESET, recv(pair.peer, &byte, 1, 0));
	EXPECT_EQ(0, recv(pair.peer, &byte, 1, 0));
	EXPECT_FAIL(EPIPE, send(pair.peer, "x", 1, MSG_NOSIGNAL));
}

TEST(abort__drops_unsent_data)
{
	struct net_pair pair = net_pair();
	static char buf[65536];
	ssize_t n;

	while (send(pair.ut, buf, sizeof(buf), MSG_DONTWAIT) > 0)
		;
	abort_connection(pair.ut);
	while ((n = recv(pair.peer, buf, sizeof(buf), 0)) > 0)
		;
	EXPECT_FAIL(ECONNRESET, n);
}

TEST(abort__by_peer)
{
	const int reset = POLLIN | POLLHUP | POLLERR | POLLRDHUP;
	struct net_pair pair = net_pair();
	char byte;

	abort_connection(pair.peer);
	EXPECT_EQ(reset, net_poll_all(pair.ut, reset));
	EXPECT_FAIL(ECONNRESET, recv(pair.ut, &byte, 1, 0));
	EXPECT_EQ(0, recv(pair.ut, &byte, 1, 0));
	EXPECT_FAIL(EPIPE, send(pair.ut, "x", 1, MSG_NOSIGNAL));
}

TEST(abort__by_peer_while_sending)
{
	struct net_pair pair = net_pair();
	static char buf[65536];
	ssize_t n;

	while (send(pair.ut, buf, sizeof(buf), MSG_DONTWAIT) > 0)
		;
	abort_connection(pair.peer);
	EXPECT_TRUE(net_poll(pair.ut, 0, 10000) & POLLERR);
	n = send(pair.ut, buf, 1, MSG_NOSIGNAL);
	EXPECT_FAIL(ECONNRESET, n);
	EXPECT_FAIL(EPIPE, send(pair.ut, buf, 1, MSG_NOSIGNAL));
}

TEST(abort__error_is_reported_once)
{
	struct net_pair pair = net_pair();

	abort_connection(pair.peer);
	EXPECT_TRUE(net_poll(pair.ut, 0, 10000) & POLLERR);
	EXPECT_EQ(ECONNRESET, net_get_int(pair.ut, SOL_SOCKET, SO_ERROR));
	EXPECT_EQ(0, net_get_int(pair.ut, SOL_SOCKET, SO_ERROR));
}

static void *blocked_recv_reset(void *arg)
{
	char byte;

	EXPECT_FAIL(ECONNRESET, recv(*(int *)arg, &byte, 1, 0));
	return NULL;
}

TEST(abort__by_peer_wakes_recv)
{
	struct net_pair pair = net_pair();
	pthread_t thread;

	ASSERT_EQ(0, pthread_create(&thread, NULL, blocked_recv_reset, &pair.ut));
	poll(NULL, 0, 200);
	abort_connection(pair.peer);
	EXPECT_EQ(0, pthread_join(thread, NULL));
}

/* connect(2) to AF_UNSPEC takes a connection down. */
TEST(disconnect)
{
	struct net_pair pair = net_pair();
	struct sockaddr unspec = { .sa_family = AF_UNSPEC };
	char byte;

	ASSERT_EQ(0, connect(pair.ut, &unspec, sizeof(unspec)));
	EXPECT_FAIL(ECONNRESET, recv(pair.peer, &byte, 1, 0));
	EXPECT_EQ(ECONNRESET, net_get_int(pair.ut, SOL_SOCKET, SO_ERROR));
	EXPECT_FAIL(ENOTCONN, recv(pair.ut, &byte, 1, 0));
}

/* The socket of a connection that was offloaded can't be used for another. */
TEST(disconnect__connect_again)
{
	struct sockaddr unspec = { .sa_family = AF_UNSPEC };
	struct net_pair pair = net_pair();
	union net_addr to = net_way_to(pair.listener);

	if (pair.ut != pair.client)
		test_skip("for clients");
	ASSERT_EQ(0, connect(pair.ut, &unspec, sizeof(unspec)));
	net_get_int(pair.ut, SOL_SOCKET, SO_ERROR);
	if (net.offloaded)
		EXPECT_FAIL(EOPNOTSUPP, connect(pair.ut, &to.sa, net_addr_len(&to)));
	else
		EXPECT_EQ(0, connect(pair.ut, &to.sa, net_addr_len(&to)));
}

struct late_reader {
	int fd;
	bool started;
	size_t got;
};

static void *read_late(void *arg)
{
	struct late_reader *reader = arg;

	usleep(200000);
	__atomic_store_n(&reader->started, true, __ATOMIC_RELEASE);
	reader->got = net_drain(reader->fd);
	return NULL;
}

TEST(linger__waits_for_data)
{
	struct net_pair pair = net_pair();
	struct late_reader reader = { .fd = pair.peer };
	pthread_t thread;
	size_t total = net_fill(&pair);

	set_linger(pair.ut, 30);
	ASSERT_EQ(0, pthread_create(&thread, NULL, read_late, &reader));
	ASSERT_EQ(0, close(pair.ut));
	EXPECT_TRUE(__atomic_load_n(&reader.started, __ATOMIC_ACQUIRE));
	ASSERT_EQ(0, pthread_join(thread, NULL));
	EXPECT_EQ(total, reader.got);
}

TEST(close__many_with_data_in_flight)
{
	int round;

	for (round = 0; round < 30; round++) {
		struct net_pair pair = net_pair();
		char buf[1000] = "";

		net_send_all(pair.ut, buf, sizeof(buf));
		net_send_all(pair.peer, buf, sizeof(buf));
		ASSERT_EQ(0, shutdown(pair.ut, SHUT_WR));
		ASSERT_EQ(0, shutdown(pair.peer, SHUT_WR));
		EXPECT_EQ(sizeof(buf), net_drain(pair.ut));
		EXPECT_EQ(sizeof(buf), net_drain(pair.peer));
		net_close(&pair);
	}
}

TEST_MAIN(net_setup)
