// SPDX-License-Identifier: GPL-2.0
/* Connections that a device can't take: they work on kernel TCP, and the reason is listed. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include "lib/harness.h"
#include "lib/net.h"

#ifndef IPV6_MINHOPCOUNT
#define IPV6_MINHOPCOUNT 73
#endif

/* A connection; @level and @name are set to @value at the end under test before there is one. */
static struct net_pair pair_with(int level, int name, const void *value, socklen_t len)
{
	struct net_pair pair = { .listener = net_listener(1) };
	union net_addr to = net_way_to(pair.listener);

	/* Bound, so that an AF_TOE socket knows its address family. */
	pair.client = net_bound(&net.client, 0);
	pair.ut = net.client_under_test ? pair.client : pair.listener;
	if (setsockopt(pair.ut, level, name, value, len))
		test_fail(__FILE__, __LINE__, "option %d of level %d: %s", name, level,
			  strerror(errno));
	if (connect(pair.client, &to.sa, net_addr_len(&to)))
		test_fail(__FILE__, __LINE__, "connect: %s", strerror(errno));
	pair.server = net_accept(pair.listener);
	pair.ut = net.client_under_test ? pair.client : pair.server;
	pair.peer = net.client_under_test ? pair.server : pair.client;
	return pair;
}

/* Kernel TCP, for @reason, serves @pair. */
static void check(const struct net_pair *pair, const char *reason)
{
	char filter[100], buf[3];

	net_send_all(pair->peer, "abc", 3);
	net_recv_all(pair->ut, buf, 3);
	net_send_all(pair->ut, "abc", 3);
	net_recv_all(pair->peer, buf, 3);
	if (!net.offloaded)
		return;
	snprintf(filter, sizeof(filter), ".fallback_reason == \"%s\"", reason);
	EXPECT_EQ(true, net_listed(pair->ut, filter));
}

TEST(fallback__filter)
{
	struct sock_filter all = BPF_STMT(BPF_RET | BPF_K, 0xffffffff);
	struct sock_fprog program = { .len = 1, .filter = &all };
	struct net_pair pair = pair_with(SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program));

	check(&pair, "filter");
}

TEST(fallback__ip_options)
{
	bool v4 = net_under_test()->addr.sa.sa_family == AF_INET;
	int hops = 1;
	struct net_pair pair = pair_with(v4 ? IPPROTO_IP : IPPROTO_IPV6,
					 v4 ? IP_MINTTL : IPV6_MINHOPCOUNT, &hops, sizeof(hops));

	check(&pair, "ip-options");
}

static void sign(int fd, const union net_addr *peer)
{
	struct tcp_md5sig md5 = { .tcpm_keylen = 6, .tcpm_key = "secret" };

	memcpy(&md5.tcpm_addr, &peer->storage, sizeof(md5.tcpm_addr));
	if (setsockopt(fd, IPPROTO_TCP, TCP_MD5SIG, &md5, sizeof(md5))) {
		ASSERT_EQ(ENOPROTOOPT, errno);
		test_skip("needs CONFIG_TCP_MD5SIG");
	}
}

TEST(fallback__signature)
{
	struct net_pair pair = { .listener = net_listener(1) };
	union net_addr to = net_way_to(pair.listener);

	pair.client = net_bound(&net.client, 0);
	sign(pair.listener, &net.client.addr);
	sign(pair.client, &to);
	ASSERT_EQ(0, connect(pair.client, &to.sa, net_addr_len(&to)));
	pair.server = net_accept(pair.listener);
	pair.ut = net.client_under_test ? pair.client : pair.server;
	pair.peer = net.client_under_test ? pair.server : pair.client;
	check(&pair, "signature");
}

/* Urgent data that was there before the program accepted. */
TEST(fallback__urgent_data)
{
	struct net_pair pair = { .listener = net_listener(1) };

	if (net.client_under_test || net.client.stack != STACK_TCP)
		test_skip("needs a kernel TCP client");
	pair.client = pair.peer = net_connect(pair.listener);
	ASSERT_EQ(1, send(pair.client, "u", 1, MSG_OOB));
	ASSERT_EQ(POLLIN, net_poll(pair.listener, POLLIN, 10000));
	usleep(100000);
	pair.server = pair.ut = net_accept(pair.listener);
	check(&pair, "urgent-data");
}

static void set_ecn(const struct net_end *end, const char *mode)
{
	int fd;

	net_enter(end);
	fd = open("/proc/sys/net/ipv4/tcp_ecn", O_WRONLY | O_CLOEXEC);
	ASSERT_GE(fd, 0);
	ASSERT_EQ(1, write(fd, mode, 1));
	close(fd);
}

TEST(fallback__accurate_ecn)
{
	struct net_pair pair;

	set_ecn(&net.server, "3");
	set_ecn(&net.client, "3");
	pair = net_pair();
	set_ecn(&net.server, "2");
	set_ecn(&net.client, "2");
	check(&pair, "accurate-ecn");
}

TEST_MAIN(net_setup)
