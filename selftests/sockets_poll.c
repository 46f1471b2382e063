// SPDX-License-Identifier: GPL-2.0
/* Readiness: poll, select, epoll in its modes, and that no wakeup is lost. */
#define _GNU_SOURCE
#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <unistd.h>

#include "lib/harness.h"
#include "lib/net.h"

#define WAIT_MS 10000

static int epoll_with(int fd, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.fd = fd };
	int epfd = epoll_create1(EPOLL_CLOEXEC);

	ASSERT_GE(epfd, 0);
	ASSERT_EQ(0, epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &event));
	return epfd;
}

static void epoll_mod(int epfd, int fd, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.fd = fd };

	ASSERT_EQ(0, epoll_ctl(epfd, EPOLL_CTL_MOD, fd, &event));
}

/* The events of the only descriptor in @epfd, 0 when none come within @ms. */
static uint32_t epoll_one(int epfd, int ms)
{
	struct epoll_event event;
	int n = epoll_wait(epfd, &event, 1, ms);

	ASSERT_GE(n, 0);
	return n ? event.events : 0;
}

static void take(int fd, size_t len)
{
	char buf[64];

	net_recv_all(fd, buf, len);
}

TEST(poll__states)
{
	struct net_pair pair = net_pair();
	const int all = POLLIN | POLLOUT | POLLRDHUP | POLLPRI;

	EXPECT_EQ(POLLOUT, net_poll(pair.ut, all, 0));
	net_send_all(pair.peer, "x", 1);
	EXPECT_EQ(POLLIN, net_poll(pair.ut, POLLIN, WAIT_MS));
	EXPECT_EQ(POLLIN | POLLOUT, net_poll(pair.ut, all, 0));
	take(pair.ut, 1);
	EXPECT_EQ(POLLOUT, net_poll(pair.ut, all, 0));
	shutdown(pair.peer, SHUT_WR);
	EXPECT_EQ(POLLIN | POLLRDHUP, net_poll(pair.ut, POLLIN | POLLRDHUP, WAIT_MS));
	EXPECT_EQ(POLLIN | POLLOUT | POLLRDHUP, net_poll(pair.ut, all, 0));
	shutdown(pair.ut, SHUT_WR);
	EXPECT_TRUE(net_poll(pair.ut, 0, WAIT_MS) & POLLHUP);
}

TEST(poll__listener)
{
	int listener = net_listener(2);

	EXPECT_EQ(0, net_poll(listener, POLLIN | POLLOUT, 0));
	net_connect(listener);
	EXPECT_EQ(POLLIN, net_poll(listener, POLLIN | POLLOUT, WAIT_MS));
	net_accept(listener);
	EXPECT_EQ(0, net_poll(listener, POLLIN | POLLOUT, 0));
}

TEST(select__sets)
{
	struct net_pair pair = net_pair();
	struct timeval wait = { .tv_sec = 10 }, none = {};
	fd_set in, out;

	FD_ZERO(&in);
	FD_SET(pair.ut, &in);
	out = in;
	EXPECT_EQ(1, select(pair.ut + 1, &in, &out, NULL, &none));
	EXPECT_TRUE(FD_ISSET(pair.ut, &out));
	net_send_all(pair.peer, "x", 1);
	FD_SET(pair.ut, &in);
	EXPECT_EQ(1, select(pair.ut + 1, &in, NULL, NULL, &wait));
	EXPECT_TRUE(FD_ISSET(pair.ut, &in));
}

TEST(epoll__level)
{
	struct net_pair pair = net_pair();
	int epfd = epoll_with(pair.ut, EPOLLIN);

	EXPECT_EQ(0, epoll_one(epfd, 0));
	net_send_all(pair.peer, "ab", 2);
	EXPECT_EQ(EPOLLIN, epoll_one(epfd, WAIT_MS));
	EXPECT_EQ(EPOLLIN, epoll_one(epfd, 0));
	take(pair.ut, 1);
	EXPECT_EQ(EPOLLIN, epoll_one(epfd, WAIT_MS));
	net_set_nonblock(pair.ut, true);
	while (recv(pair.ut, (char[8]) {}, 8, 0) > 0)
		;
	EXPECT_EQ(0, epoll_one(epfd, 0));
}

TEST(epoll__edge)
{
	struct net_pair pair = net_pair();
	int epfd = epoll_with(pair.ut, EPOLLIN | EPOLLET);

	EXPECT_EQ(0, epoll_one(epfd, 0));
	net_send_all(pair.peer, "a", 1);
	EXPECT_EQ(EPOLLIN, epoll_one(epfd, WAIT_MS));
	EXPECT_EQ(0, epoll_one(epfd, 100));
	/* New data is a new edge, though the old was not read. */
	net_send_all(pair.peer, "b", 1);
	EXPECT_EQ(EPOLLIN, epoll_one(epfd, WAIT_MS));
	take(pair.ut, 2);
	net_send_all(pair.peer, "c", 1);
	EXPECT_EQ(EPOLLIN, epoll_one(epfd, WAIT_MS));
	shutdown(pair.peer, SHUT_WR);
	EXPECT_EQ(EPOLLIN, epoll_one(epfd, WAIT_MS));
}

TEST(epoll__edge_out)
{
	static char buf[65536];
	struct net_pair pair = net_pair();
	int epfd = epoll_with(pair.ut, EPOLLOUT | EPOLLET), told = 0;

	EXPECT_EQ(EPOLLOUT, epoll_one(epfd, WAIT_MS));
	EXPECT_EQ(0, epoll_one(epfd, 0));
	net_fill(&pair);
	/* What was told while filling doesn't count. */
	epoll_one(epfd, 0);
	net_set_nonblock(pair.peer, true);
	/* The peer reads until the writer has been told of the room. */
	for (int round = 0; !told && round < 1000; round++) {
		while (recv(pair.peer, buf, sizeof(buf), 0) > 0)
			;
		told = epoll_one(epfd, 10);
	}
	EXPECT_EQ(EPOLLOUT, told);
	EXPECT_GE(send(pair.ut, buf, 1, 0), 1);
}

TEST(epoll__edge_accept)
{
	int listener = net_listener(8), epfd, i;

	net_set_nonblock(listener, true);
	epfd = epoll_with(listener, EPOLLIN | EPOLLET);
	for (i = 0; i < 5; i++) {
		net_connect(listener);
		EXPECT_EQ(EPOLLIN, epoll_one(epfd, WAIT_MS));
		EXPECT_GE(accept(listener, NULL, NULL), 0);
		EXPECT_FAIL(EAGAIN, accept(listener, NULL, NULL));
	}
}

TEST(epoll__oneshot)
{
	struct net_pair pair = net_pair();
	int epfd = epoll_with(pair.ut, EPOLLIN | EPOLLONESHOT);

	net_send_all(pair.peer, "a", 1);
	EXPECT_EQ(EPOLLIN, epoll_one(epfd, WAIT_MS));
	net_send_all(pair.peer, "b", 1);
	EXPECT_EQ(0, epoll_one(epfd, 100));
	epoll_mod(epfd, pair.ut, EPOLLIN | EPOLLONESHOT);
	EXPECT_EQ(EPOLLIN, epoll_one(epfd, WAIT_MS));
}

TEST(epoll__modify_and_delete)
{
	struct net_pair pair = net_pair();
	int epfd = epoll_with(pair.ut, EPOLLIN);

	EXPECT_EQ(0, epoll_one(epfd, 0));
	epoll_mod(epfd, pair.ut, EPOLLIN | EPOLLOUT);
	EXPECT_EQ(EPOLLOUT, epoll_one(epfd, 0));
	epoll_mod(epfd, pair.ut, EPOLLIN);
	EXPECT_EQ(0, epoll_one(epfd, 0));
	/* Readable before the interest: reported at once. */
	epoll_mod(epfd, pair.ut, 0);
	net_send_all(pair.peer, "a", 1);
	EXPECT_EQ(POLLIN, net_poll(pair.ut, POLLIN, WAIT_MS));
	EXPECT_EQ(0, epoll_one(epfd, 0));
	epoll_mod(epfd, pair.ut, EPOLLIN | EPOLLET);
	EXPECT_EQ(EPOLLIN, epoll_one(epfd, 0));
	ASSERT_EQ(0, epoll_ctl(epfd, EPOLL_CTL_DEL, pair.ut, NULL));
	net_send_all(pair.peer, "b", 1);
	EXPECT_EQ(0, epoll_one(epfd, 100));
}

TEST(epoll__read_hang_up)
{
	struct net_pair pair = net_pair();
	int epfd = epoll_with(pair.ut, EPOLLRDHUP | EPOLLET);

	EXPECT_EQ(0, epoll_one(epfd, 0));
	shutdown(pair.peer, SHUT_WR);
	EXPECT_EQ(EPOLLRDHUP, epoll_one(epfd, WAIT_MS));
}

TEST(epoll__hang_up)
{
	struct net_pair pair = net_pair();
	int epfd = epoll_with(pair.ut, EPOLLET);

	shutdown(pair.peer, SHUT_WR);
	shutdown(pair.ut, SHUT_WR);
	EXPECT_EQ(EPOLLHUP, epoll_one(epfd, WAIT_MS));
}

TEST(epoll__error)
{
	struct linger linger = { .l_onoff = 1 };
	struct net_pair pair = net_pair();
	int epfd = epoll_with(pair.ut, EPOLLET);

	ASSERT_EQ(0, setsockopt(pair.peer, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)));
	close(pair.peer);
	EXPECT_EQ(EPOLLERR | EPOLLHUP, epoll_one(epfd, WAIT_MS));
}

TEST(epoll__nested)
{
	struct net_pair pair = net_pair();
	int inner = epoll_with(pair.ut, EPOLLIN);
	int outer = epoll_with(inner, EPOLLIN);

	EXPECT_EQ(0, epoll_one(outer, 0));
	net_send_all(pair.peer, "a", 1);
	EXPECT_EQ(EPOLLIN, epoll_one(outer, WAIT_MS));
	EXPECT_EQ(EPOLLIN, epoll_one(inner, 0));
	take(pair.ut, 1);
	EXPECT_EQ(0, epoll_one(outer, 0));
	EXPECT_EQ(POLLIN, (net_send_all(pair.peer, "b", 1), net_poll(outer, POLLIN, WAIT_MS)));
}

TEST(epoll__two_sets)
{
	struct net_pair pair = net_pair();
	int one = epoll_with(pair.ut, EPOLLIN | EPOLLET);
	int two = epoll_with(pair.ut, EPOLLIN | EPOLLET);

	net_send_all(pair.peer, "a", 1);
	EXPECT_EQ(EPOLLIN, epoll_one(one, WAIT_MS));
	EXPECT_EQ(EPOLLIN, epoll_one(two, WAIT_MS));
}

/* The interest is registered on a socket that is not yet connected. */
TEST(epoll__before_connect)
{
	int listener = net_listener(1), fd = net_socket(&net.client, SOCK_NONBLOCK);
	union net_addr to = net_way_to(listener);
	int epfd = epoll_with(fd, EPOLLIN | EPOLLOUT | EPOLLET), server;

	EXPECT_EQ(EPOLLOUT | EPOLLHUP, epoll_one(epfd, 0));
	EXPECT_FAIL(EINPROGRESS, connect(fd, &to.sa, net_addr_len(&to)));
	EXPECT_EQ(EPOLLOUT, epoll_one(epfd, WAIT_MS));
	server = net_accept(listener);
	net_send_all(server, "a", 1);
	EXPECT_EQ(EPOLLIN, epoll_one(epfd, WAIT_MS) & EPOLLIN);
	take(fd, 1);
	close(server);
	EXPECT_EQ(EPOLLIN, epoll_one(epfd, WAIT_MS) & EPOLLIN);
}

TEST(epoll__before_refused_connect)
{
	int probe = net_bound(&net.server, 0), fd = net_socket(&net.client, SOCK_NONBLOCK);
	union net_addr to = net_sockname(probe);
	int epfd = epoll_with(fd, EPOLLOUT | EPOLLET);

	close(probe);
	EXPECT_EQ(EPOLLOUT | EPOLLHUP, epoll_one(epfd, 0));
	EXPECT_FAIL(EINPROGRESS, connect(fd, &to.sa, net_addr_len(&to)));
	EXPECT_TRUE(epoll_one(epfd, WAIT_MS) & EPOLLERR);
	EXPECT_EQ(ECONNREFUSED, net_get_int(fd, SOL_SOCKET, SO_ERROR));
}

struct echo {
	int epfd;
	int stop;		/* read end of a pipe */
	size_t served;		/* bytes, by all threads */
};

/* One of several threads that serve the connections of one epoll set. */
static void *echo_thread(void *arg)
{
	struct echo *echo = arg;
	struct epoll_event event;
	char buf[256];

	for (;;) {
		ssize_t n;

		if (epoll_wait(echo->epfd, &event, 1, -1) != 1)
			continue;
		if (event.data.fd == echo->stop)
			return NULL;
		while ((n = recv(event.data.fd, buf, sizeof(buf), MSG_DONTWAIT)) > 0) {
			net_send_all(event.data.fd, buf, n);
			__atomic_add_fetch(&echo->served, n, __ATOMIC_RELAXED);
		}
		epoll_mod(echo->epfd, event.data.fd, EPOLLIN | EPOLLET | EPOLLONESHOT);
	}
}

TEST_TIMEOUT(epoll__threads, 120)
{
	enum { THREADS = 4, CONNECTIONS = 16, ROUNDS = 100 };
	struct epoll_event event = { .events = EPOLLIN };
	struct net_pair pairs[CONNECTIONS];
	pthread_t threads[THREADS];
	struct echo echo = {};
	int i, round, stop[2];

	ASSERT_EQ(0, pipe(stop));
	echo.stop = event.data.fd = stop[0];
	echo.epfd = epoll_create1(0);
	ASSERT_EQ(0, epoll_ctl(echo.epfd, EPOLL_CTL_ADD, stop[0], &event));
	for (i = 0; i < CONNECTIONS; i++) {
		pairs[i] = net_pair();
		event.events = EPOLLIN | EPOLLET | EPOLLONESHOT;
		event.data.fd = pairs[i].ut;
		ASSERT_EQ(0, epoll_ctl(echo.epfd, EPOLL_CTL_ADD, pairs[i].ut, &event));
	}
	for (i = 0; i < THREADS; i++)
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, echo_thread, &echo));
	for (round = 0; round < ROUNDS; round++) {
		char buf[8];

		for (i = 0; i < CONNECTIONS; i++)
			net_send_all(pairs[i].peer, "question", 8);
		for (i = 0; i < CONNECTIONS; i++)
			net_recv_all(pairs[i].peer, buf, 8);
	}
	ASSERT_EQ(1, write(stop[1], "x", 1));
	for (i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	EXPECT_EQ(CONNECTIONS * ROUNDS * 8, echo.served);
}

static void *wake_reader(void *arg)
{
	char byte;

	EXPECT_EQ(1, recv(*(int *)arg, &byte, 1, 0));
	return NULL;
}

/* Each of several blocked readers gets one of the bytes. */
TEST(recv__several_blocked_threads)
{
	struct net_pair pair = net_pair();
	pthread_t threads[4];
	int i;

	for (i = 0; i < 4; i++)
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, wake_reader, &pair.ut));
	poll(NULL, 0, 200);
	net_send_all(pair.peer, "abcd", 4);
	for (i = 0; i < 4; i++)
		EXPECT_EQ(0, pthread_join(threads[i], NULL));
}

TEST_MAIN(net_setup)
