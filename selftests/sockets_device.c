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
#include <linux/sockios.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/ioctl.h>
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

/* A TCP waits for another way. */
TEST(netdev_deleted)
{
	struct net_pair pair = net_pair();

	expect_echo(&pair);
	run("ip -n toe_a link del toe0");
	EXPECT_EQ(0, net_poll(pair.ut, POLLIN, 300));
	net_send_all(pair.ut, "wait", 4);
	link_up_again();
	net_recv_all(pair.peer, (char[4]) {}, 4);
	expect_echo(&pair);
}

/* Sends what fits; returns how much. */
static size_t fill(int fd)
{
	static char data[1 << 20];
	size_t sent = 0;
	ssize_t n;

	while ((n = send(fd, data, sizeof(data), MSG_DONTWAIT)) > 0)
		sent += n;
	return sent;
}

/* Somebody waits in recv() and in accept(), and data waits to be read and to be sent. */
TEST(netdev_deleted__in_use)
{
	struct net_pair busy = net_pair(), pair = net_pair(), unaccepted = pair;
	size_t sent;
	char data[6];

	unaccepted.client = net_connect(pair.listener);
	net_enter(net_under_test());
	net_send_all(busy.peer, "unread", 6);
	EXPECT_EQ(POLLIN, net_poll(busy.ut, POLLIN, 5000));
	sent = fill(busy.ut);
	if (!fork()) {
		poll(NULL, 0, 200);
		run("ip -n toe_a link del toe0");
		link_up_again();
		net_send_all(pair.peer, "awake", 5);
		_exit(0);
	}
	net_recv_all(pair.ut, data, 5);
	EXPECT_EQ(0, memcmp("awake", data, 5));
	net_recv_all(busy.ut, data, 6);
	EXPECT_EQ(0, memcmp("unread", data, 6));
	ASSERT_EQ(0, shutdown(busy.ut, SHUT_WR));
	EXPECT_EQ(sent, net_drain(busy.peer));
	unaccepted.server = net_accept(pair.listener);
	net_send_all(unaccepted.client, "accept", 6);
	net_recv_all(unaccepted.server, data, 6);
	close(unaccepted.client);
	close(unaccepted.server);
	net_close(&busy);
	net_close(&pair);
}

/* The device is taken off; kernel TCP of the other stack has none, and goes on anyway. */
static void forced(void)
{
	if (net.offloaded)
		run("ip netns exec %s toetool dev del toe0 --force", ns(false));
}

static void expect_handed_back(int fd)
{
	if (net.offloaded)
		EXPECT_TRUE(net_listed(fd, ".path == \"fallback\" and .fallback_reason == \"device-lost\""));
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
	expect_echo(&pair);
	expect_handed_back(pair.ut);
	run("[ $(ip netns exec %s toetool dev show --json | jq length) -eq 0 ]", ns(false));

	next = net_pair();
	expect_echo(&next);
	run("ip netns exec %s toetool conn --json | jq -e 'any(.[]; .fallback_reason == \"no-device\")' >/dev/null",
	    ns(false));
	run("ip netns exec %s toetool dev add toe0", ns(false));
	expect_echo(&next);
	expect_echo(&pair);
}

static void expect_returned(const struct net_pair *pair)
{
	for (int i = 0; i < 50 && !net_listed(pair->ut, ".path == \"offloaded\""); i++) {
		poll(NULL, 0, 100);
		expect_echo(pair);
	}
	EXPECT_TRUE(net_listed(pair->ut, ".path == \"offloaded\""));
}

/* When a device is there again, connections return to it: idle, in use, and with somebody waiting in recv(). */
TEST(device_returns)
{
	struct net_pair pair = net_pair(), busy = net_pair(), waiting = net_pair();
	size_t sent;
	char data[6];

	if (!net.offloaded)
		test_skip("for devices");
	for (int i = 0; i < 3; i++) {
		expect_echo(&pair);
		net_send_all(busy.peer, "unread", 6);
		sent = fill(busy.ut);
		if (!fork()) {
			poll(NULL, 0, 200);
			forced();
			run("ip netns exec %s toetool dev add toe0", ns(false));
			poll(NULL, 0, 500);
			net_send_all(waiting.peer, "awake", 5);
			_exit(0);
		}
		net_recv_all(waiting.ut, data, 5);
		EXPECT_EQ(0, memcmp("awake", data, 5));
		expect_returned(&pair);
		expect_returned(&waiting);
		net_recv_all(busy.ut, data, 6);
		EXPECT_EQ(0, memcmp("unread", data, 6));
		for (char buf[65536]; sent; ) {
			ssize_t n = recv(busy.peer, buf, sizeof(buf) < sent ? sizeof(buf) : sent, 0);

			ASSERT_GE(n, 1);
			sent -= n;
		}
		expect_echo(&busy);
		expect_returned(&busy);
	}
}

/* Somebody waits in recv(), data waits to be read and more to be sent than fits. */
TEST(device_removed__in_use)
{
	struct net_pair busy = net_pair(), pair = net_pair();
	size_t sent;
	char data[6];

	net_send_all(busy.peer, "unread", 6);
	EXPECT_EQ(POLLIN, net_poll(busy.ut, POLLIN, 5000));
	sent = fill(busy.ut);
	if (!fork()) {
		poll(NULL, 0, 200);
		forced();
		net_send_all(pair.peer, "awake", 5);
		_exit(0);
	}
	net_recv_all(pair.ut, data, 5);
	EXPECT_EQ(0, memcmp("awake", data, 5));
	expect_echo(&pair);
	EXPECT_EQ(6, recv(busy.ut, data, 6, MSG_PEEK));
	net_recv_all(busy.ut, data, 6);
	EXPECT_EQ(0, memcmp("unread", data, 6));
	expect_handed_back(busy.ut);
	ASSERT_EQ(0, shutdown(busy.ut, SHUT_WR));
	EXPECT_EQ(sent, net_drain(busy.peer));
	net_close(&busy);
	net_close(&pair);
}

static void expect_end(int fd)
{
	EXPECT_EQ(0, recv(fd, (char[1]) {}, 1, 0));
}

static void expect_byte(int from, int to)
{
	char byte;

	net_send_all(from, "x", 1);
	net_recv_all(to, &byte, 1);
	EXPECT_EQ('x', byte);
}

/* In every state that a connection can be closed in. */
TEST(device_removed__while_closing)
{
	enum { FIN_WAIT_2, CLOSE_WAIT, TIME_WAIT, ORPHAN, UNREAD, FULL, FULL_ORPHAN, STATES };
	struct net_pair pairs[STATES];
	size_t sent[STATES];
	char data[6];

	for (int i = 0; i < STATES; i++)
		pairs[i] = net_pair();
	ASSERT_EQ(0, shutdown(pairs[FIN_WAIT_2].ut, SHUT_WR));
	ASSERT_EQ(0, shutdown(pairs[CLOSE_WAIT].peer, SHUT_WR));
	ASSERT_EQ(0, shutdown(pairs[TIME_WAIT].ut, SHUT_WR));
	expect_end(pairs[TIME_WAIT].peer);
	ASSERT_EQ(0, shutdown(pairs[TIME_WAIT].peer, SHUT_WR));
	ASSERT_EQ(0, close(pairs[ORPHAN].ut));
	expect_end(pairs[ORPHAN].peer);
	expect_end(pairs[CLOSE_WAIT].ut);
	net_send_all(pairs[UNREAD].peer, "unread", 6);
	ASSERT_EQ(0, shutdown(pairs[UNREAD].peer, SHUT_WR));
	EXPECT_NE(0, net_poll(pairs[UNREAD].ut, POLLRDHUP, 5000));
	sent[FULL] = fill(pairs[FULL].ut);
	ASSERT_EQ(0, shutdown(pairs[FULL].ut, SHUT_WR));
	sent[FULL_ORPHAN] = fill(pairs[FULL_ORPHAN].ut);
	ASSERT_EQ(0, close(pairs[FULL_ORPHAN].ut));
	forced();

	expect_byte(pairs[FIN_WAIT_2].peer, pairs[FIN_WAIT_2].ut);
	expect_handed_back(pairs[FIN_WAIT_2].ut);
	ASSERT_EQ(0, close(pairs[FIN_WAIT_2].peer));
	expect_end(pairs[FIN_WAIT_2].ut);
	expect_byte(pairs[CLOSE_WAIT].ut, pairs[CLOSE_WAIT].peer);
	expect_handed_back(pairs[CLOSE_WAIT].ut);
	ASSERT_EQ(0, close(pairs[CLOSE_WAIT].ut));
	expect_end(pairs[CLOSE_WAIT].peer);
	expect_end(pairs[TIME_WAIT].ut);
	ASSERT_EQ(0, close(pairs[ORPHAN].peer));
	net_recv_all(pairs[UNREAD].ut, data, 6);
	EXPECT_EQ(0, memcmp("unread", data, 6));
	expect_end(pairs[UNREAD].ut);
	expect_byte(pairs[UNREAD].ut, pairs[UNREAD].peer);
	EXPECT_EQ(sent[FULL], net_drain(pairs[FULL].peer));
	net_send_all(pairs[FULL].peer, "answer", 6);
	net_recv_all(pairs[FULL].ut, data, 6);
	EXPECT_EQ(0, memcmp("answer", data, 6));
	EXPECT_EQ(sent[FULL_ORPHAN], net_drain(pairs[FULL_ORPHAN].peer));
}

/*
 * Whether a small segment waits for more. TCP sends it after 200 ms all the
 * same, which a busy machine may take to get here: one of several will do.
 */
static bool is_corked(const struct net_pair *pair)
{
	int unsent = 0;

	for (int i = 0; i < 10 && unsent != 4; i++) {
		net_send_all(pair->ut, "cork", 4);
		ASSERT_EQ(0, ioctl(pair->ut, SIOCOUTQNSD, &unsent));
		if (unsent != 4)
			net_recv_all(pair->peer, (char[4]) {}, 4);
	}
	return unsent == 4;
}

/* What was set before the device goes is in effect after it. */
TEST(device_removed__options)
{
	struct timeval soon = { .tv_usec = 200000 };
	struct net_pair pair = net_pair();
	char byte;

	expect_echo(&pair);
	net_set_int(pair.ut, IPPROTO_TCP, TCP_KEEPIDLE, 30);
	net_set_int(pair.ut, SOL_SOCKET, SO_KEEPALIVE, 1);
	net_set_int(pair.ut, IPPROTO_TCP, TCP_NODELAY, 1);
	net_set_int(pair.ut, IPPROTO_TCP, TCP_CORK, 1);
	ASSERT_EQ(0, setsockopt(pair.ut, SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof(soon)));
	forced();
	EXPECT_FAIL(EAGAIN, recv(pair.ut, &byte, 1, 0));
	expect_handed_back(pair.ut);
	EXPECT_EQ(1, net_get_int(pair.ut, IPPROTO_TCP, TCP_NODELAY));
	EXPECT_EQ(1, net_get_int(pair.ut, IPPROTO_TCP, TCP_CORK));
	run("ip netns exec %s ss -Htno state established sport = :%d | grep -q 'timer:(keepalive,'", ns(false),
	    net_port((union net_addr[]) { net_sockname(pair.ut) }));
	EXPECT_TRUE(is_corked(&pair));
	net_set_int(pair.ut, IPPROTO_TCP, TCP_CORK, 0);
	net_recv_all(pair.peer, (char[4]) {}, 4);
	ASSERT_EQ(0, shutdown(pair.ut, SHUT_RD));
	expect_end(pair.ut);
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
