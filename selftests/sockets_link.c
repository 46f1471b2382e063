// SPDX-License-Identifier: GPL-2.0
/*
 * What becomes of connections when the link between the namespaces fails,
 * comes back, or leads to another place. Needs the namespaces of
 * lib/topology.sh and changes their link.
 */
#define _GNU_SOURCE
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/harness.h"
#include "lib/net.h"

static const char *const namespaces[] = { "toe_a", "toe_b" };

static void run(const char *fmt, ...)
{
	char command[256];
	va_list args;

	va_start(args, fmt);
	vsnprintf(command, sizeof(command), fmt, args);
	va_end(args);
	if (system(command)) {
		test_fail(__FILE__, __LINE__, "%s", command);
		test_abort();
	}
}

/* Every packet is lost, both ways. */
static void cut(void)
{
	run("bash -c '. lib/topology.sh; topo_netem loss 100%%'");
}

static void mend(void)
{
	run("bash -c '. lib/topology.sh; topo_netem_clear'");
}

static void restore(void)
{
	net_setup();
	mend();
}

static void expect_echo(const struct net_pair *pair)
{
	char buf[4];

	net_send_all(pair->ut, "ping", 4);
	net_recv_all(pair->peer, buf, 4);
	EXPECT_EQ(0, memcmp("ping", buf, 4));
	net_send_all(pair->peer, "pong", 4);
	net_recv_all(pair->ut, buf, 4);
	EXPECT_EQ(0, memcmp("pong", buf, 4));
}

static void expect_timed_out(int fd)
{
	char byte;

	EXPECT_TRUE(net_poll(fd, POLLIN, 60000) & POLLERR);
	EXPECT_FAIL(ETIMEDOUT, recv(fd, &byte, 1, 0));
	EXPECT_EQ(0, recv(fd, &byte, 1, 0));
	EXPECT_FAIL(EPIPE, send(fd, "x", 1, MSG_NOSIGNAL));
}

TEST_TIMEOUT(peer_vanishes__data_unacknowledged, 90)
{
	struct net_pair pair = net_pair();

	net_set_int(pair.ut, IPPROTO_TCP, TCP_USER_TIMEOUT, 2000);
	expect_echo(&pair);
	cut();
	net_send_all(pair.ut, "lost", 4);
	expect_timed_out(pair.ut);
}

TEST_TIMEOUT(peer_vanishes__keepalive, 90)
{
	struct net_pair pair = net_pair();

	net_set_int(pair.ut, SOL_SOCKET, SO_KEEPALIVE, 1);
	net_set_int(pair.ut, IPPROTO_TCP, TCP_KEEPIDLE, 1);
	net_set_int(pair.ut, IPPROTO_TCP, TCP_KEEPINTVL, 1);
	net_set_int(pair.ut, IPPROTO_TCP, TCP_KEEPCNT, 2);
	expect_echo(&pair);
	cut();
	expect_timed_out(pair.ut);
}

TEST_TIMEOUT(keepalive__holds_an_idle_connection, 90)
{
	struct net_pair pair = net_pair();

	net_set_int(pair.ut, SOL_SOCKET, SO_KEEPALIVE, 1);
	net_set_int(pair.ut, IPPROTO_TCP, TCP_KEEPIDLE, 1);
	net_set_int(pair.ut, IPPROTO_TCP, TCP_KEEPINTVL, 1);
	net_set_int(pair.ut, IPPROTO_TCP, TCP_KEEPCNT, 2);
	EXPECT_EQ(0, net_poll(pair.ut, POLLIN, 6000));
	expect_echo(&pair);
}

TEST_TIMEOUT(peer_vanishes__window_closed, 90)
{
	struct net_pair pair = net_pair();

	net_set_int(pair.ut, IPPROTO_TCP, TCP_USER_TIMEOUT, 3000);
	net_fill(&pair);
	cut();
	expect_timed_out(pair.ut);
}

/* The window opens while nothing gets through: the sender has to find out. */
TEST_TIMEOUT(window_update_lost, 90)
{
	struct net_pair pair = net_pair();
	static char buf[65536];

	net_fill(&pair);
	cut();
	net_set_nonblock(pair.peer, true);
	while (recv(pair.peer, buf, sizeof(buf), 0) > 0)
		;
	poll(NULL, 0, 200);
	mend();
	EXPECT_EQ(POLLIN, net_poll(pair.peer, POLLIN, 60000));
}

TEST_TIMEOUT(outage__data_arrives_after, 120)
{
	struct net_pair pair = net_pair();
	char buf[4];

	expect_echo(&pair);
	cut();
	net_send_all(pair.ut, "held", 4);
	net_send_all(pair.peer, "also", 4);
	poll(NULL, 0, 1500);
	mend();
	net_recv_all(pair.peer, buf, 4);
	EXPECT_EQ(0, memcmp("held", buf, 4));
	net_recv_all(pair.ut, buf, 4);
	EXPECT_EQ(0, memcmp("also", buf, 4));
}

/* What is lost next need not wait for as long as the outage has made the timeout. */
TEST_TIMEOUT(outage__timeout_is_short_after, 120)
{
	struct net_pair pair = net_pair();
	struct tcp_info info = {};
	socklen_t len = sizeof(info);
	char buf[4];

	expect_echo(&pair);
	cut();
	net_send_all(pair.ut, "held", 4);
	poll(NULL, 0, 4000);
	ASSERT_EQ(0, getsockopt(pair.ut, IPPROTO_TCP, TCP_INFO, &info, &len));
	EXPECT_GE(info.tcpi_rto, 1000000);
	mend();
	net_recv_all(pair.peer, buf, 4);
	expect_echo(&pair);
	len = sizeof(info);
	ASSERT_EQ(0, getsockopt(pair.ut, IPPROTO_TCP, TCP_INFO, &info, &len));
	EXPECT_LE(info.tcpi_rto, 999999);
}

TEST_TIMEOUT(outage__close_arrives_after, 120)
{
	struct net_pair pair = net_pair();
	char byte;

	cut();
	ASSERT_EQ(0, close(pair.ut));
	poll(NULL, 0, 500);
	mend();
	EXPECT_EQ(0, recv(pair.peer, &byte, 1, 0));
}

TEST_TIMEOUT(connect__nobody_answers, 90)
{
	int listener = net_listener(1), fd = net_socket(&net.client, 0);
	union net_addr to = net_way_to(listener);

	net_set_int(fd, IPPROTO_TCP, TCP_SYNCNT, 1);
	cut();
	EXPECT_FAIL(ETIMEDOUT, connect(fd, &to.sa, net_addr_len(&to)));
}

/* The peer's address moves to another MAC address. */
TEST_TIMEOUT(neighbour_changes, 120)
{
	struct net_pair pair = net_pair();

	for (int i = 0; i < 2; i++) {
		expect_echo(&pair);
		run("ip -n %s link set toe0 address 02:00:00:00:0%d:07", namespaces[i], i);
		/* What an announcement of the new address would do. */
		run("ip -n %s neigh flush dev toe0", namespaces[!i]);
		expect_echo(&pair);
	}
}

TEST_TIMEOUT(link_goes_down_and_up, 120)
{
	struct net_pair pair = net_pair();
	int v6 = net.server.addr.sa.sa_family == AF_INET6;

	if (v6)
		test_skip("IPv6 addresses go with the link");
	expect_echo(&pair);
	run("ip -n toe_b link set toe0 down");
	net_send_all(pair.ut, "ping", 4);
	poll(NULL, 0, 300);
	run("ip -n toe_b link set toe0 up");
	net_recv_all(pair.peer, (char[4]) {}, 4);
	expect_echo(&pair);
}

TEST_MAIN(restore)
