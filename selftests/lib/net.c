// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "harness.h"
#include "net.h"

struct net net;

static void die(const char *what, const char *value)
{
	fprintf(stderr, "%s=%s: %s\n", what, value, strerror(errno));
	exit(2);
}

static enum net_stack parse_stack(const char *name)
{
	const char *value = getenv(name);

	if (!value || !strcmp(value, "tcp"))
		return STACK_TCP;
	if (!strcmp(value, "toe"))
		return STACK_TOE;
	if (!strcmp(value, "toe-proto"))
		return STACK_TOE_PROTO;
	errno = EINVAL;
	die(name, value);
	return STACK_TCP;
}

static int parse_ns(const char *name)
{
	const char *value = getenv(name);
	char path[128];
	int fd;

	if (!value || !*value)
		return -1;
	snprintf(path, sizeof(path), "/run/netns/%s", value);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		die(name, value);
	return fd;
}

static union net_addr parse_addr(const char *name)
{
	const char *value = getenv(name);
	union net_addr addr = {};

	if (!value || !*value)
		value = "127.0.0.1";
	if (inet_pton(AF_INET, value, &addr.in.sin_addr) == 1) {
		addr.in.sin_family = AF_INET;
	} else if (inet_pton(AF_INET6, value, &addr.in6.sin6_addr) == 1) {
		addr.in6.sin6_family = AF_INET6;
	} else {
		errno = EINVAL;
		die(name, value);
	}
	return addr;
}

void net_setup(void)
{
	net.server.stack = parse_stack("TOE_TEST_SERVER");
	net.server.ns = parse_ns("TOE_TEST_SERVER_NS");
	net.server.addr = parse_addr("TOE_TEST_SERVER_ADDR");
	net.client.stack = parse_stack("TOE_TEST_CLIENT");
	net.client.ns = parse_ns("TOE_TEST_CLIENT_NS");
	net.client.addr = parse_addr("TOE_TEST_CLIENT_ADDR");
	net.client_under_test = net.client.stack != STACK_TCP &&
				net.server.stack == STACK_TCP;
	net.offloaded = getenv("TOE_TEST_OFFLOAD");
}

const struct net_end *net_under_test(void)
{
	return net.client_under_test ? &net.client : &net.server;
}

socklen_t net_addr_len(const union net_addr *addr)
{
	return addr->sa.sa_family == AF_INET6 ? sizeof(addr->in6) : sizeof(addr->in);
}

in_port_t net_port(const union net_addr *addr)
{
	return ntohs(addr->sa.sa_family == AF_INET6 ? addr->in6.sin6_port :
						      addr->in.sin_port);
}

void net_set_port(union net_addr *addr, in_port_t port)
{
	if (addr->sa.sa_family == AF_INET6)
		addr->in6.sin6_port = htons(port);
	else
		addr->in.sin_port = htons(port);
}

bool net_same_addr(const union net_addr *a, const union net_addr *b)
{
	if (a->sa.sa_family != b->sa.sa_family || net_port(a) != net_port(b))
		return false;
	if (a->sa.sa_family == AF_INET6)
		return !memcmp(&a->in6.sin6_addr, &b->in6.sin6_addr,
			       sizeof(a->in6.sin6_addr));
	return a->in.sin_addr.s_addr == b->in.sin_addr.s_addr;
}

union net_addr net_sockname(int fd)
{
	union net_addr addr = {};
	socklen_t len = sizeof(addr);

	ASSERT_EQ(0, getsockname(fd, &addr.sa, &len));
	return addr;
}

union net_addr net_peername(int fd)
{
	union net_addr addr = {};
	socklen_t len = sizeof(addr);

	ASSERT_EQ(0, getpeername(fd, &addr.sa, &len));
	return addr;
}

void net_enter(const struct net_end *end)
{
	if (end->ns >= 0)
		ASSERT_EQ(0, setns(end->ns, CLONE_NEWNET));
}

int net_socket(const struct net_end *end, int flags)
{
	int family = end->addr.sa.sa_family, protocol = 0;

	net_enter(end);
	if (end->stack == STACK_TOE)
		family = AF_TOE;
	else if (end->stack == STACK_TOE_PROTO)
		protocol = IPPROTO_TOE;
	return socket(family, SOCK_STREAM | flags, protocol);
}

int net_bound(const struct net_end *end, int flags)
{
	int fd = net_socket(end, flags);

	ASSERT_GE(fd, 0);
	net_set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	ASSERT_EQ(0, bind(fd, &end->addr.sa, net_addr_len(&end->addr)));
	return fd;
}

int net_listener_at(in_port_t port, int backlog)
{
	struct net_end end = net.server;
	int fd;

	net_set_port(&end.addr, port);
	fd = net_bound(&end, 0);
	ASSERT_EQ(0, listen(fd, backlog));
	return fd;
}

int net_listener(int backlog)
{
	return net_listener_at(0, backlog);
}

union net_addr net_way_to(int listener)
{
	union net_addr addr = net_sockname(listener), to = net.server.addr;

	net_set_port(&to, net_port(&addr));
	return to;
}

int net_connect(int listener)
{
	union net_addr to = net_way_to(listener);
	int fd = net_socket(&net.client, 0);

	ASSERT_GE(fd, 0);
	ASSERT_EQ(0, connect(fd, &to.sa, net_addr_len(&to)));
	return fd;
}

int net_accept(int listener)
{
	int fd = accept(listener, NULL, NULL);

	ASSERT_GE(fd, 0);
	return fd;
}

struct net_pair net_pair(void)
{
	struct net_pair pair;

	pair.listener = net_listener(8);
	pair.client = net_connect(pair.listener);
	pair.server = net_accept(pair.listener);
	pair.ut = net.client_under_test ? pair.client : pair.server;
	pair.peer = net.client_under_test ? pair.server : pair.client;
	net_enter(net_under_test());
	return pair;
}

void net_close(struct net_pair *pair)
{
	close(pair->client);
	close(pair->server);
	close(pair->listener);
}

void net_set_int(int fd, int level, int name, int value)
{
	ASSERT_EQ(0, setsockopt(fd, level, name, &value, sizeof(value)));
}

int net_get_int(int fd, int level, int name)
{
	int value = 0;
	socklen_t len = sizeof(value);

	ASSERT_EQ(0, getsockopt(fd, level, name, &value, &len));
	return value;
}

void net_set_nonblock(int fd, bool on)
{
	int flags = fcntl(fd, F_GETFL);

	ASSERT_GE(flags, 0);
	flags = on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;
	ASSERT_EQ(0, fcntl(fd, F_SETFL, flags));
}

void net_send_all(int fd, const void *buf, size_t len)
{
	while (len) {
		ssize_t n = send(fd, buf, len, MSG_NOSIGNAL);

		ASSERT_GE(n, 1);
		buf += n;
		len -= n;
	}
}

void net_recv_all(int fd, void *buf, size_t len)
{
	while (len) {
		ssize_t n = recv(fd, buf, len, 0);

		ASSERT_GE(n, 1);
		buf += n;
		len -= n;
	}
}

static int queued(int fd, unsigned long request)
{
	int bytes;

	ASSERT_EQ(0, ioctl(fd, request, &bytes));
	return bytes;
}

size_t net_fill(const struct net_pair *pair)
{
	static char buf[65536];
	size_t total = 0;
	int before = 0, unacknowledged, quiet = 0;

	net_set_int(pair->ut, SOL_SOCKET, SO_SNDBUF, 65536);
	net_set_int(pair->peer, SOL_SOCKET, SO_RCVBUF, 65536);
	/*
	 * What is in flight frees room when it is acknowledged: fill up again.
	 * A peer without memory may drop segments that its window invited:
	 * they stay in flight until it reads, so don't wait for them for ever.
	 */
	do {
		ssize_t n;

		while ((n = send(pair->ut, buf, sizeof(buf), MSG_DONTWAIT)) > 0) {
			total += n;
			quiet = 0;
		}
		EXPECT_FAIL(EAGAIN, n);
		poll(NULL, 0, 100);
		unacknowledged = queued(pair->ut, SIOCOUTQ);
		quiet = unacknowledged == before ? quiet + 1 : 0;
		before = unacknowledged;
	} while (quiet < (unacknowledged == queued(pair->ut, SIOCOUTQNSD) ? 5 : 50));
	return total;
}

size_t net_drain(int fd)
{
	static char buf[65536];
	size_t total = 0;
	ssize_t n;

	while ((n = recv(fd, buf, sizeof(buf), 0)) > 0)
		total += n;
	ASSERT_EQ(0, n);
	return total;
}

int net_poll(int fd, int events, int ms)
{
	struct pollfd pfd = { .fd = fd, .events = events };

	ASSERT_GE(poll(&pfd, 1, ms), 0);
	return pfd.revents;
}

int net_poll_all(int fd, int events)
{
	int revents, tries;

	for (tries = 0; tries < 1000; tries++) {
		revents = net_poll(fd, events, 10000);
		if (!revents || (revents & events) == events)
			break;
		usleep(10000);
	}
	return revents;
}

bool net_listed(int fd, const char *filter)
{
	in_port_t local, remote;
	union net_addr name;
	char command[300];

	name = net_sockname(fd);
	local = net_port(&name);
	name = net_peername(fd);
	remote = net_port(&name);
	net_enter(net_under_test());
	snprintf(command, sizeof(command),
		 "toetool conn --json --local-port %u --remote-port %u | jq -e '.[0] | %s' >/dev/null",
		 local, remote, filter);
	return system(command) == 0;
}
