// SPDX-License-Identifier: GPL-2.0
/* From socket(2) to an established connection, and the names of its ends. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include "lib/harness.h"
#include "lib/net.h"

static int end_connect(int fd, const union net_addr *to)
{
	return connect(fd, &to->sa, net_addr_len(to));
}

/* An address on the server where nobody listens. */
static union net_addr closed_port(void)
{
	int fd = net_bound(&net.server, 0);
	union net_addr to = net_sockname(fd);

	close(fd);
	return to;
}

TEST(socket__flags)
{
	int fd = net_socket(net_under_test(), 0);

	ASSERT_GE(fd, 0);
	EXPECT_EQ(0, fcntl(fd, F_GETFL) & O_NONBLOCK);
	EXPECT_EQ(0, fcntl(fd, F_GETFD) & FD_CLOEXEC);
	close(fd);
	fd = net_socket(net_under_test(), SOCK_NONBLOCK | SOCK_CLOEXEC);
	ASSERT_GE(fd, 0);
	EXPECT_EQ(O_NONBLOCK, fcntl(fd, F_GETFL) & O_NONBLOCK);
	EXPECT_EQ(FD_CLOEXEC, fcntl(fd, F_GETFD) & FD_CLOEXEC);
}

TEST(socket__protocol_tcp)
{
	const struct net_end *end = net_under_test();
	int family = end->stack == STACK_TOE ? AF_TOE : end->addr.sa.sa_family;

	EXPECT_GE(socket(family, SOCK_STREAM, IPPROTO_TCP), 0);
}

TEST(socket__other_types_refused)
{
	if (net_under_test()->stack == STACK_TCP)
		test_skip("kernel TCP's families have other types");
	if (net_under_test()->stack == STACK_TOE) {
		EXPECT_FAIL(ESOCKTNOSUPPORT, socket(AF_TOE, SOCK_DGRAM, 0));
		EXPECT_FAIL(EPROTONOSUPPORT, socket(AF_TOE, SOCK_STREAM, IPPROTO_UDP));
	} else {
		EXPECT_EQ(-1, socket(AF_INET, SOCK_DGRAM, IPPROTO_TOE));
	}
}

TEST(bind__picks_port)
{
	int fd = net_bound(net_under_test(), 0);
	union net_addr name = net_sockname(fd);

	EXPECT_NE(0, net_port(&name));
	net_set_port(&name, 0);
	EXPECT_TRUE(net_same_addr(&net_under_test()->addr, &name));
}

TEST(bind__twice)
{
	int fd = net_bound(net_under_test(), 0);
	union net_addr name = net_under_test()->addr;

	EXPECT_FAIL(EINVAL, bind(fd, &name.sa, net_addr_len(&name)));
}

TEST(bind__in_use)
{
	int first = net_bound(net_under_test(), 0), second;
	union net_addr name = net_sockname(first);

	ASSERT_EQ(0, listen(first, 1));
	second = net_socket(net_under_test(), 0);
	ASSERT_GE(second, 0);
	EXPECT_FAIL(EADDRINUSE, bind(second, &name.sa, net_addr_len(&name)));
}

TEST(bind__foreign_address)
{
	const struct net_end *end = net_under_test();
	union net_addr name = end->addr;
	int fd = net_socket(end, 0);

	if (name.sa.sa_family == AF_INET)
		name.in.sin_addr.s_addr = htonl(0xcb007101);	/* 203.0.113.1 */
	else
		name.in6.sin6_addr.s6_addr[15] ^= 0x55;
	EXPECT_FAIL(EADDRNOTAVAIL, bind(fd, &name.sa, net_addr_len(&name)));
}

TEST(bind__reuse_after_close)
{
	struct net_pair pair = net_pair();
	union net_addr name = net_sockname(pair.listener);
	int fd;

	/* The server closes first: its side is left in TIME_WAIT. */
	close(pair.server);
	EXPECT_EQ(0, net_drain(pair.client));
	close(pair.client);
	close(pair.listener);
	fd = net_socket(&net.server, 0);
	ASSERT_GE(fd, 0);
	net_set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	EXPECT_EQ(0, bind(fd, &name.sa, net_addr_len(&name)));
	EXPECT_EQ(0, listen(fd, 1));
}

TEST(connect__names)
{
	struct net_pair pair = net_pair();
	union net_addr client = net_sockname(pair.client);
	union net_addr server = net_sockname(pair.server);
	union net_addr seen = net_peername(pair.client);

	EXPECT_TRUE(net_same_addr(&server, &seen));
	seen = net_peername(pair.server);
	EXPECT_TRUE(net_same_addr(&client, &seen));
	seen = net_sockname(pair.listener);
	EXPECT_EQ(net_port(&seen), net_port(&server));
}

TEST(connect__bound_client)
{
	int listener = net_listener(1), client = net_bound(&net.client, 0), server;
	union net_addr to = net_way_to(listener), name = net_sockname(client), seen;

	ASSERT_EQ(0, end_connect(client, &to));
	server = net_accept(listener);
	seen = net_peername(server);
	EXPECT_TRUE(net_same_addr(&name, &seen));
}

TEST(connect__refused)
{
	union net_addr to = closed_port();
	int fd = net_socket(&net.client, 0);

	EXPECT_FAIL(ECONNREFUSED, end_connect(fd, &to));
	EXPECT_EQ(0, net_get_int(fd, SOL_SOCKET, SO_ERROR));
}

TEST(connect__again_after_refusal)
{
	union net_addr to = closed_port();
	int fd = net_socket(&net.client, 0), listener, server;
	char byte = 0;

	EXPECT_FAIL(ECONNREFUSED, end_connect(fd, &to));
	listener = net_listener(1);
	to = net_way_to(listener);
	net_enter(&net.client);
	ASSERT_EQ(0, end_connect(fd, &to));
	server = net_accept(listener);
	net_send_all(fd, "x", 1);
	net_recv_all(server, &byte, 1);
	EXPECT_EQ('x', byte);
}

TEST(connect__nonblocking)
{
	int listener = net_listener(1), fd = net_socket(&net.client, SOCK_NONBLOCK);
	union net_addr to = net_way_to(listener);

	ASSERT_GE(fd, 0);
	EXPECT_FAIL(EINPROGRESS, end_connect(fd, &to));
	EXPECT_EQ(POLLOUT, net_poll(fd, POLLIN | POLLOUT, 10000));
	EXPECT_EQ(0, net_get_int(fd, SOL_SOCKET, SO_ERROR));
	/* The first call after the handshake reports it, the next one is an error. */
	EXPECT_EQ(0, end_connect(fd, &to));
	EXPECT_FAIL(EISCONN, end_connect(fd, &to));
	EXPECT_FAIL(EAGAIN, read(fd, &to, 1));
	EXPECT_GE(net_accept(listener), 0);
}

TEST(connect__nonblocking_refused)
{
	union net_addr to = closed_port();
	int fd = net_socket(&net.client, SOCK_NONBLOCK);

	EXPECT_FAIL(EINPROGRESS, end_connect(fd, &to));
	EXPECT_TRUE(net_poll(fd, POLLOUT, 10000) & POLLERR);
	EXPECT_EQ(POLLERR | POLLHUP, net_poll_all(fd, POLLERR | POLLHUP));
	EXPECT_EQ(ECONNREFUSED, net_get_int(fd, SOL_SOCKET, SO_ERROR));
	EXPECT_EQ(0, net_get_int(fd, SOL_SOCKET, SO_ERROR));
}

TEST(connect__already_connected)
{
	struct net_pair pair = net_pair();
	union net_addr to = net_way_to(pair.listener);

	EXPECT_FAIL(EISCONN, end_connect(pair.client, &to));
}

TEST(connect__on_listener)
{
	const struct net_end *end = net_under_test();
	union net_addr to = closed_port();
	int fd = net_bound(end, 0);

	ASSERT_EQ(0, listen(fd, 1));
	EXPECT_FAIL(EISCONN, end_connect(fd, &to));
}

TEST(not_connected)
{
	int fd = net_socket(net_under_test(), 0);
	union net_addr name;
	socklen_t len = sizeof(name);
	char byte = 0;

	ASSERT_GE(fd, 0);
	EXPECT_EQ(POLLOUT | POLLHUP, net_poll(fd, POLLIN | POLLOUT, 0));
	EXPECT_FAIL(ENOTCONN, getpeername(fd, &name.sa, &len));
	EXPECT_FAIL(ENOTCONN, recv(fd, &byte, 1, 0));
	EXPECT_FAIL(EPIPE, send(fd, &byte, 1, MSG_NOSIGNAL));
	EXPECT_FAIL(ENOTCONN, shutdown(fd, SHUT_RDWR));
	EXPECT_FAIL(EINVAL, accept(fd, NULL, NULL));
}

TEST(accept__address)
{
	int listener = net_listener(1), client = net_connect(listener), server;
	union net_addr want = net_sockname(client), seen = {};
	socklen_t len = sizeof(seen);

	server = accept(listener, &seen.sa, &len);
	ASSERT_GE(server, 0);
	EXPECT_EQ(net_addr_len(&want), len);
	EXPECT_TRUE(net_same_addr(&want, &seen));
}

TEST(accept__short_address_buffer)
{
	int listener = net_listener(1), client = net_connect(listener);
	union net_addr want = net_sockname(client), seen = {};
	socklen_t len = 4;

	ASSERT_GE(accept(listener, &seen.sa, &len), 0);
	EXPECT_EQ(net_addr_len(&want), len);
	EXPECT_EQ(want.sa.sa_family, seen.sa.sa_family);
	EXPECT_EQ(net_port(&want), net_port(&seen));
	EXPECT_EQ(0, seen.in.sin_addr.s_addr);
}

TEST(accept__flags)
{
	int listener = net_listener(2), server;

	net_connect(listener);
	server = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	ASSERT_GE(server, 0);
	EXPECT_EQ(O_NONBLOCK, fcntl(server, F_GETFL) & O_NONBLOCK);
	EXPECT_EQ(FD_CLOEXEC, fcntl(server, F_GETFD) & FD_CLOEXEC);
	net_connect(listener);
	server = accept4(listener, NULL, NULL, 0);
	ASSERT_GE(server, 0);
	EXPECT_EQ(0, fcntl(server, F_GETFL) & O_NONBLOCK);
	EXPECT_FAIL(EINVAL, accept4(listener, NULL, NULL, 1));
}

TEST(accept__nonblocking)
{
	int listener = net_listener(1);

	net_set_nonblock(listener, true);
	EXPECT_FAIL(EAGAIN, accept(listener, NULL, NULL));
	EXPECT_EQ(0, net_poll(listener, POLLIN, 0));
	net_connect(listener);
	EXPECT_EQ(POLLIN, net_poll(listener, POLLIN, 10000));
	EXPECT_GE(accept(listener, NULL, NULL), 0);
	EXPECT_FAIL(EAGAIN, accept(listener, NULL, NULL));
}

TEST(accept__data_sent_before)
{
	int listener = net_listener(1), client = net_connect(listener), server;
	char buf[6] = "";

	net_send_all(client, "hello", 5);
	shutdown(client, SHUT_WR);
	server = net_accept(listener);
	net_recv_all(server, buf, 5);
	EXPECT_EQ(0, strcmp("hello", buf));
	EXPECT_EQ(0, recv(server, buf, 1, 0));
}

TEST(accept__client_gone)
{
	int listener = net_listener(2), client, server;
	struct linger linger = { .l_onoff = 1 };
	char byte;

	client = net_connect(listener);
	ASSERT_EQ(0, setsockopt(client, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)));
	close(client);
	server = net_accept(listener);
	EXPECT_FAIL(ECONNRESET, recv(server, &byte, 1, 0));
}

TEST(accept__inherits_options)
{
	int listener = net_listener(1), server;

	net_set_int(listener, SOL_SOCKET, SO_KEEPALIVE, 1);
	net_connect(listener);
	server = net_accept(listener);
	EXPECT_EQ(1, net_get_int(server, SOL_SOCKET, SO_KEEPALIVE));
	EXPECT_EQ(0, net_get_int(server, SOL_SOCKET, SO_ACCEPTCONN));
	EXPECT_EQ(1, net_get_int(listener, SOL_SOCKET, SO_ACCEPTCONN));
}

TEST(listen__unbound)
{
	const struct net_end *end = net_under_test();
	int fd = net_socket(end, 0);
	union net_addr name = {};
	socklen_t len = sizeof(name);

	ASSERT_GE(fd, 0);
	ASSERT_EQ(0, listen(fd, 1));
	ASSERT_EQ(0, getsockname(fd, &name.sa, &len));
	EXPECT_NE(0, net_port(&name));
}

TEST(listen__again_with_other_backlog)
{
	int listener = net_listener(1);

	EXPECT_EQ(0, listen(listener, 16));
	net_connect(listener);
	EXPECT_GE(net_accept(listener), 0);
}

TEST(listen__connected)
{
	struct net_pair pair = net_pair();

	EXPECT_FAIL(EINVAL, listen(pair.ut, 1));
}

TEST(listen__close_resets_unaccepted)
{
	int listener = net_listener(4), client = net_connect(listener);
	char byte;

	/* In the queue: no reset is sent for a handshake that ends while the listener is being closed. */
	EXPECT_EQ(POLLIN, net_poll(listener, POLLIN, 10000));
	close(listener);
	/* The error is there before the end of the stream: POLLERR may come without POLLIN. */
	EXPECT_TRUE(net_poll(client, POLLIN, 10000) & POLLERR);
	EXPECT_FAIL(ECONNRESET, recv(client, &byte, 1, 0));
}

TEST_MAIN(net_setup)
