// SPDX-License-Identifier: GPL-2.0
/*
 * What becomes of a connection when its device, netdev or namespace goes, and
 * which options reach the wire after the hand-over. Changes and removes the
 * namespaces of lib/topology.sh: each test needs them anew.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/harness.h"
#include "lib/net.h"

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

/* The connection is over, and the program told so once. */
static void expect_aborted(int fd, int error)
{
	char byte;

	EXPECT_TRUE(net_poll(fd, POLLIN, 30000) & POLLERR);
	EXPECT_FAIL(error, recv(fd, &byte, 1, 0));
	EXPECT_EQ(0, recv(fd, &byte, 1, 0));
	EXPECT_FAIL(EPIPE, send(fd, "x", 1, MSG_NOSIGNAL));
}

/* The namespace of the end under test, and the other. */
static const char *ns(bool peer)
{
	return net.client_under_test != peer ? "toe_b" : "toe_a";
}

static void link_up_again(void)
{
	run("ip link add toe0 netns toe_a type veth peer name toe0 netns toe_b");
	for (int i = 0; i < 2; i++)
		run("ip -n toe_%c addr add 10.77.0.%d/24 dev toe0 && ip -n toe_%c link set toe0 up",
		    'a' + i, i + 1, 'a' + i);
}

/* Kernel TCP waits for another way; without its device an offloaded connection has none. */
TEST(netdev_deleted)
{
	struct net_pair pair = net_pair();

	expect_echo(&pair);
	run("ip -n toe_a link del toe0");
	if (net.offloaded) {
		expect_aborted(pair.ut, ENETDOWN);
		return;
	}
	EXPECT_EQ(0, net_poll(pair.ut, POLLIN, 300));
	net_send_all(pair.ut, "wait", 4);
	link_up_again();
	net_recv_all(pair.peer, (char[4]) {}, 4);
	expect_echo(&pair);
}

/* Somebody waits in recv() and in accept(), and data waits to be read and to be sent. */
TEST(netdev_deleted__in_use)
{
	struct net_pair busy = net_pair(), pair = net_pair(), unaccepted = pair;
	static char data[1 << 20];

	if (!net.offloaded)
		test_skip("for devices");
	unaccepted.client = net_connect(pair.listener);
	net_enter(net_under_test());
	net_send_all(busy.peer, "unread", 6);
	EXPECT_EQ(POLLIN, net_poll(busy.ut, POLLIN, 5000));
	while (send(busy.ut, data, sizeof(data), MSG_DONTWAIT) > 0)
		;
	if (!fork()) {
		poll(NULL, 0, 200);
		run("ip -n toe_a link del toe0");
		_exit(0);
	}
	EXPECT_FAIL(ENETDOWN, recv(pair.ut, data, 1, 0));
	net_recv_all(busy.ut, data, 6);
	EXPECT_EQ(0, memcmp("unread", data, 6));
	expect_aborted(busy.ut, ENETDOWN);
	net_close(&busy);
	net_close(&pair);
	close(unaccepted.client);
}

static void forced(void)
{
	run("ip netns exec %s toetool dev del toe0 --force", ns(false));
}

TEST(device_removed)
{
	struct net_pair pair = net_pair(), next;

	if (!net.offloaded)
		test_skip("for devices");
	expect_echo(&pair);
	EXPECT_NE(0, system("ip netns exec toe_a toetool dev del toe0 2>/dev/null"));
	expect_echo(&pair);
	forced();
	expect_aborted(pair.ut, ECONNABORTED);
	expect_aborted(pair.peer, ECONNRESET);
	run("[ $(ip netns exec %s toetool dev show --json | jq length) -eq 0 ]", ns(false));

	next = net_pair();
	expect_echo(&next);
	run("ip netns exec %s toetool conn --json | jq -e 'any(.[]; .fallback_reason == \"no-device\")' >/dev/null",
	    ns(false));
	run("ip netns exec %s toetool dev add toe0", ns(false));
	expect_echo(&next);
}

/* In every state that a connection can be closed in. */
TEST(device_removed__while_closing)
{
	struct net_pair pairs[4];

	if (!net.offloaded)
		test_skip("for devices");
	for (int i = 0; i < 4; i++)
		pairs[i] = net_pair();
	ASSERT_EQ(0, shutdown(pairs[0].ut, SHUT_WR));
	ASSERT_EQ(0, shutdown(pairs[1].peer, SHUT_WR));
	ASSERT_EQ(0, shutdown(pairs[2].ut, SHUT_WR));
	ASSERT_EQ(0, shutdown(pairs[2].peer, SHUT_WR));
	ASSERT_EQ(0, close(pairs[3].ut));
	EXPECT_EQ(0, recv(pairs[3].peer, (char[1]) {}, 1, 0));
	EXPECT_EQ(0, recv(pairs[1].ut, (char[1]) {}, 1, 0));
	forced();
	EXPECT_FAIL(ECONNABORTED, recv(pairs[0].ut, (char[1]) {}, 1, 0));
	EXPECT_FAIL(ECONNABORTED, send(pairs[1].ut, "x", 1, MSG_NOSIGNAL));
	EXPECT_EQ(0, recv(pairs[2].ut, (char[1]) {}, 1, 0));
	EXPECT_TRUE(net_poll(pairs[0].peer, POLLERR, 30000) & POLLERR);
}

/* A namespace lives as long as sockets in it do, and with it their connections. */
TEST(namespace_deleted)
{
	struct net_pair pair = net_pair();
	int bare = net_socket(net_under_test(), 0);

	expect_echo(&pair);
	run("ip netns del %s", ns(false));
	poll(NULL, 0, 300);
	expect_echo(&pair);
	close(bare);
	close(pair.ut);
	EXPECT_EQ(0, recv(pair.peer, (char[1]) {}, 1, 0));
	net_close(&pair);
	/* Nor does it live longer: the other end of its veth goes with it. */
	net_enter(net.client_under_test ? &net.server : &net.client);
	close(net_under_test()->ns);
	run("for try in $(seq 100); do ip -n %s link show toe0 >/dev/null 2>&1 || exit 0; sleep 0.1; done; exit 1",
	    ns(true));
}

/* A socket that sees the frames of the end under test, of those that @filter takes. */
static int frames(struct sock_filter *filter, unsigned short len)
{
	struct sock_fprog program = { .len = len, .filter = filter };
	struct sockaddr_ll addr = { .sll_family = AF_PACKET };
	int fd;

	net_enter(net_under_test());
	addr.sll_ifindex = if_nametoindex("toe0");
	fd = socket(AF_PACKET, SOCK_DGRAM, 0);
	ASSERT_GE(fd, 0);
	ASSERT_EQ(0, setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)));
	/* Only what goes out is seen by all protocols' sockets. */
	addr.sll_protocol = htons(ETH_P_ALL);
	ASSERT_EQ(0, bind(fd, (void *)&addr, sizeof(addr)));
	return fd;
}

/* Until now no frame was sent as @frames wants them; one is after the option is set. */
static void expect_after(const struct net_pair *pair, int frames, int level, int option, int value)
{
	expect_echo(pair);
	EXPECT_EQ(0, net_poll(frames, POLLIN, 0));
	net_set_int(pair->ut, level, option, value);
	expect_echo(pair);
	EXPECT_EQ(POLLIN, net_poll(frames, POLLIN, 5000));
}

/* Outgoing frames of which byte @offset of the network header is @value. */
static int frames_with_byte(int offset, int value)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, SKF_AD_OFF + SKF_AD_PKTTYPE),
		BPF_JUMP(BPF_JMP | BPF_JEQ, PACKET_OUTGOING, 0, 3),
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, SKF_NET_OFF + offset),
		BPF_JUMP(BPF_JMP | BPF_JEQ, value, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 0xffff),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};

	return frames(filter, 6);
}

static bool is_ipv6(void)
{
	return net.server.addr.sa.sa_family == AF_INET6;
}

TEST(options_on_the_wire__tos)
{
	struct net_pair pair = net_pair();

	if (is_ipv6())
		expect_after(&pair, frames_with_byte(0, 0x64), IPPROTO_IPV6, IPV6_TCLASS, 0x48);
	else
		expect_after(&pair, frames_with_byte(1, 0x48), IPPROTO_IP, IP_TOS, 0x48);
}

TEST(options_on_the_wire__ttl)
{
	struct net_pair pair = net_pair();

	if (is_ipv6())
		expect_after(&pair, frames_with_byte(7, 33), IPPROTO_IPV6, IPV6_UNICAST_HOPS, 33);
	else
		expect_after(&pair, frames_with_byte(8, 33), IPPROTO_IP, IP_TTL, 33);
}

TEST(options_on_the_wire__mark)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, SKF_AD_OFF + SKF_AD_MARK),
		BPF_JUMP(BPF_JMP | BPF_JEQ, 77, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 0xffff),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	struct net_pair pair = net_pair();

	expect_after(&pair, frames(filter, 4), SOL_SOCKET, SO_MARK, 77);
}

/* Seen by the band of a queueing discipline that the segments go through. */
TEST(options_on_the_wire__priority)
{
	const char *in = ns(false);
	struct net_pair pair = net_pair();

	run("tc -n %s qdisc add dev toe0 root handle 1: prio bands 3 priomap 1 1 1 1 1 1 0 1 1 1 1 1 1 1 1 1", in);
	run("tc -n %s qdisc add dev toe0 parent 1:1 handle 10: pfifo limit 100", in);
	expect_echo(&pair);
	run("tc -n %s -s qdisc show dev toe0 parent 1:1 | grep -q 'Sent 0 bytes'", in);
	net_set_int(pair.ut, SOL_SOCKET, SO_PRIORITY, 6);
	expect_echo(&pair);
	run("! tc -n %s -s qdisc show dev toe0 parent 1:1 | grep -q 'Sent 0 bytes'", in);
}

TEST_MAIN(net_setup)
