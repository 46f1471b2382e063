// SPDX-License-Identifier: GPL-2.0
/* Socket options: what is set is got back, has its effect, or is refused clearly. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/time.h>
#include <unistd.h>

#include "lib/harness.h"
#include "lib/net.h"

struct option {
	const char *name;
	int level, option, value;
};

#define OPTION(level, option, value) { #option, level, option, value }

static void set_and_get(int fd, const struct option *option)
{
	int value = option->value, seen = -1;
	socklen_t len = sizeof(seen);

	if (setsockopt(fd, option->level, option->option, &value, sizeof(value)))
		test_fail(__FILE__, __LINE__, "set %s to %d: %s", option->name, value,
			  strerror(errno));
	else if (getsockopt(fd, option->level, option->option, &seen, &len))
		test_fail(__FILE__, __LINE__, "get %s: %s", option->name, strerror(errno));
	else if (seen != value || len != sizeof(seen))
		test_fail(__FILE__, __LINE__, "%s: set %d, got %d (%u bytes)", option->name,
			  value, seen, len);
}

static const struct option socket_options[] = {
	OPTION(SOL_SOCKET, SO_REUSEADDR, 1),
	OPTION(SOL_SOCKET, SO_REUSEPORT, 1),
	OPTION(SOL_SOCKET, SO_KEEPALIVE, 1),
	OPTION(SOL_SOCKET, SO_KEEPALIVE, 0),
	OPTION(SOL_SOCKET, SO_RCVLOWAT, 5),
	OPTION(SOL_SOCKET, SO_PRIORITY, 3),
	OPTION(SOL_SOCKET, SO_MARK, 7),
	OPTION(SOL_SOCKET, SO_OOBINLINE, 1),
	OPTION(SOL_SOCKET, SO_BUSY_POLL, 0),
};

static const struct option tcp_options[] = {
	OPTION(IPPROTO_TCP, TCP_NODELAY, 1),
	OPTION(IPPROTO_TCP, TCP_NODELAY, 0),
	OPTION(IPPROTO_TCP, TCP_CORK, 1),
	OPTION(IPPROTO_TCP, TCP_CORK, 0),
	OPTION(IPPROTO_TCP, TCP_KEEPIDLE, 100),
	OPTION(IPPROTO_TCP, TCP_KEEPINTVL, 10),
	OPTION(IPPROTO_TCP, TCP_KEEPCNT, 4),
	OPTION(IPPROTO_TCP, TCP_USER_TIMEOUT, 12345),
	OPTION(IPPROTO_TCP, TCP_QUICKACK, 1),
	OPTION(IPPROTO_TCP, TCP_SYNCNT, 3),
	OPTION(IPPROTO_TCP, TCP_LINGER2, 7),
	OPTION(IPPROTO_TCP, TCP_NOTSENT_LOWAT, 65536),
};

static void all_options(int fd, const struct option *options, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++)
		set_and_get(fd, &options[i]);
}

#define ALL_OPTIONS(fd, options) \
	all_options(fd, options, sizeof(options) / sizeof((options)[0]))

TEST(options__fresh_socket)
{
	int fd = net_socket(net_under_test(), 0);

	ASSERT_GE(fd, 0);
	ALL_OPTIONS(fd, socket_options);
	ALL_OPTIONS(fd, tcp_options);
}

TEST(options__listener)
{
	int fd = net_bound(net_under_test(), 0);

	ASSERT_EQ(0, listen(fd, 1));
	ALL_OPTIONS(fd, socket_options);
	ALL_OPTIONS(fd, tcp_options);
}

TEST(options__connected)
{
	struct net_pair pair = net_pair();
	char byte;

	ALL_OPTIONS(pair.ut, socket_options);
	ALL_OPTIONS(pair.ut, tcp_options);
	net_set_int(pair.ut, SOL_SOCKET, SO_RCVLOWAT, 1);
	net_send_all(pair.ut, "x", 1);
	net_recv_all(pair.peer, &byte, 1);
	net_send_all(pair.peer, "x", 1);
	net_recv_all(pair.ut, &byte, 1);
}

TEST(options__set_before_connect_hold_after)
{
	int listener = net_listener(1), fd = net_socket(&net.client, 0);
	union net_addr to = net_way_to(listener);

	net_set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	net_set_int(fd, IPPROTO_TCP, TCP_KEEPIDLE, 77);
	net_set_int(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
	net_set_int(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, 9999);
	ASSERT_EQ(0, connect(fd, &to.sa, net_addr_len(&to)));
	EXPECT_EQ(1, net_get_int(fd, IPPROTO_TCP, TCP_NODELAY));
	EXPECT_EQ(77, net_get_int(fd, IPPROTO_TCP, TCP_KEEPIDLE));
	EXPECT_EQ(1, net_get_int(fd, SOL_SOCKET, SO_KEEPALIVE));
	EXPECT_EQ(9999, net_get_int(fd, IPPROTO_TCP, TCP_USER_TIMEOUT));
}

TEST(options__identity)
{
	const struct net_end *end = net_under_test();
	int fd = net_socket(end, 0);
	int domain = end->stack == STACK_TOE ? AF_TOE : end->addr.sa.sa_family;
	int protocol = end->stack == STACK_TCP ? IPPROTO_TCP : IPPROTO_TOE;

	EXPECT_EQ(SOCK_STREAM, net_get_int(fd, SOL_SOCKET, SO_TYPE));
	EXPECT_EQ(domain, net_get_int(fd, SOL_SOCKET, SO_DOMAIN));
	EXPECT_EQ(protocol, net_get_int(fd, SOL_SOCKET, SO_PROTOCOL));
	EXPECT_EQ(0, net_get_int(fd, SOL_SOCKET, SO_ERROR));
	EXPECT_EQ(0, net_get_int(fd, SOL_SOCKET, SO_ACCEPTCONN));
}

TEST(options__linger)
{
	struct linger set = { .l_onoff = 1, .l_linger = 5 }, seen = {};
	int fd = net_socket(net_under_test(), 0);
	socklen_t len = sizeof(seen);

	ASSERT_EQ(0, setsockopt(fd, SOL_SOCKET, SO_LINGER, &set, sizeof(set)));
	ASSERT_EQ(0, getsockopt(fd, SOL_SOCKET, SO_LINGER, &seen, &len));
	EXPECT_EQ(1, seen.l_onoff);
	EXPECT_EQ(5, seen.l_linger);
}

TEST(options__timeouts)
{
	struct timeval set = { .tv_sec = 3, .tv_usec = 500000 }, seen = {};
	int fd = net_socket(net_under_test(), 0);
	socklen_t len = sizeof(seen);

	ASSERT_EQ(0, setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &set, sizeof(set)));
	ASSERT_EQ(0, getsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &seen, &len));
	EXPECT_EQ(3, seen.tv_sec);
	EXPECT_EQ(500000, seen.tv_usec);
	set.tv_sec = 4;
	ASSERT_EQ(0, setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &set, sizeof(set)));
	ASSERT_EQ(0, getsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &seen, &len));
	EXPECT_EQ(4, seen.tv_sec);
}

/* socket(7): the kernel doubles what is asked for. */
TEST(options__buffer_sizes)
{
	int fd = net_socket(net_under_test(), 0);

	net_set_int(fd, SOL_SOCKET, SO_SNDBUF, 50000);
	EXPECT_EQ(100000, net_get_int(fd, SOL_SOCKET, SO_SNDBUF));
	net_set_int(fd, SOL_SOCKET, SO_RCVBUF, 60000);
	EXPECT_EQ(120000, net_get_int(fd, SOL_SOCKET, SO_RCVBUF));
}

TEST(options__buffer_limits)
{
	struct net_pair pair = net_pair();

	net_set_int(pair.ut, SOL_SOCKET, SO_SNDBUF, 1);
	EXPECT_GE(net_get_int(pair.ut, SOL_SOCKET, SO_SNDBUF), 1);
	net_set_int(pair.ut, SOL_SOCKET, SO_RCVBUF, 1);
	EXPECT_GE(net_get_int(pair.ut, SOL_SOCKET, SO_RCVBUF), 1);
	net_set_int(pair.ut, SOL_SOCKET, SO_SNDBUF, INT_MAX);
	EXPECT_GE(net_get_int(pair.ut, SOL_SOCKET, SO_SNDBUF), 1);
}

TEST(options__segment_size)
{
	struct net_pair pair = net_pair();
	int mss = net_get_int(pair.ut, IPPROTO_TCP, TCP_MAXSEG);

	EXPECT_GE(mss, 88);
	EXPECT_LE(mss, 65535);
}

TEST(options__congestion_control)
{
	struct net_pair pair = net_pair();
	char name[16] = "";
	socklen_t len = sizeof(name);

	ASSERT_EQ(0, getsockopt(pair.ut, IPPROTO_TCP, TCP_CONGESTION, name, &len));
	EXPECT_NE(0, name[0]);
	EXPECT_EQ(0, setsockopt(pair.ut, IPPROTO_TCP, TCP_CONGESTION, "reno", 4));
	len = sizeof(name);
	ASSERT_EQ(0, getsockopt(pair.ut, IPPROTO_TCP, TCP_CONGESTION, name, &len));
	EXPECT_EQ(0, strcmp("reno", name));
	EXPECT_FAIL(ENOENT, setsockopt(pair.ut, IPPROTO_TCP, TCP_CONGESTION, "none", 4));
}

TEST(options__tcp_info)
{
	struct net_pair pair = net_pair();
	struct tcp_info info = {};
	socklen_t len = sizeof(info);
	char buf[1000] = "";

	net_send_all(pair.peer, buf, sizeof(buf));
	net_recv_all(pair.ut, buf, sizeof(buf));
	net_send_all(pair.ut, buf, 500);
	net_recv_all(pair.peer, buf, 500);
	ASSERT_EQ(0, getsockopt(pair.ut, IPPROTO_TCP, TCP_INFO, &info, &len));
	EXPECT_GE(len, offsetof(struct tcp_info, tcpi_total_retrans));
	EXPECT_EQ(1, info.tcpi_state);	/* TCP_ESTABLISHED */
	EXPECT_GE(info.tcpi_snd_mss, 88);
	EXPECT_GE(info.tcpi_rto, 1);
	EXPECT_GE(info.tcpi_snd_cwnd, 1);
	EXPECT_EQ(1000, info.tcpi_bytes_received);
	/* A shorter buffer gets the beginning. */
	len = 1;
	ASSERT_EQ(0, getsockopt(pair.ut, IPPROTO_TCP, TCP_INFO, &info, &len));
	EXPECT_EQ(1, len);
}

TEST(options__tcp_info_states)
{
	struct tcp_info info = {};
	socklen_t len = sizeof(info);
	int fd = net_bound(net_under_test(), 0);

	ASSERT_EQ(0, getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len));
	EXPECT_EQ(7, info.tcpi_state);	/* TCP_CLOSE */
	ASSERT_EQ(0, listen(fd, 1));
	len = sizeof(info);
	ASSERT_EQ(0, getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len));
	EXPECT_EQ(10, info.tcpi_state);	/* TCP_LISTEN */
}

TEST(options__ip_level)
{
	static const struct option v4[] = {
		OPTION(IPPROTO_IP, IP_TOS, 0x10),
		OPTION(IPPROTO_IP, IP_TTL, 33),
		OPTION(IPPROTO_IP, IP_FREEBIND, 1),
		OPTION(IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1),
	};
	static const struct option v6[] = {
		OPTION(IPPROTO_IPV6, IPV6_UNICAST_HOPS, 33),
		OPTION(IPPROTO_IPV6, IPV6_TCLASS, 0x10),
	};
	const struct net_end *end = net_under_test();
	int fd = net_bound(end, 0);

	if (end->addr.sa.sa_family == AF_INET)
		ALL_OPTIONS(fd, v4);
	else
		ALL_OPTIONS(fd, v6);
}

/* Until its first address an AF_TOE socket is an IPv4 one. */
TEST(options__ipv6_before_address)
{
	const struct net_end *end = net_under_test();
	int fd = net_socket(end, 0), on = 1;

	if (end->addr.sa.sa_family == AF_INET6 && end->stack != STACK_TOE)
		EXPECT_EQ(0, setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)));
	else
		EXPECT_FAIL(ENOPROTOOPT,
			    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)));
}

TEST(options__unknown)
{
	int fd = net_socket(net_under_test(), 0), value = 1;
	socklen_t len = sizeof(value);

	EXPECT_FAIL(ENOPROTOOPT, setsockopt(fd, SOL_SOCKET, 9999, &value, sizeof(value)));
	EXPECT_FAIL(ENOPROTOOPT, getsockopt(fd, SOL_SOCKET, 9999, &value, &len));
	EXPECT_FAIL(ENOPROTOOPT, setsockopt(fd, IPPROTO_TCP, 9999, &value, sizeof(value)));
	EXPECT_FAIL(ENOPROTOOPT, getsockopt(fd, IPPROTO_TCP, 9999, &value, &len));
	EXPECT_FAIL(ENOPROTOOPT, setsockopt(fd, 9999, 1, &value, sizeof(value)));
}

static const struct option not_offered[] = {
	OPTION(SOL_SOCKET, SO_ZEROCOPY, 1),
	OPTION(SOL_SOCKET, SO_PEEK_OFF, 0),
	OPTION(IPPROTO_TCP, TCP_FASTOPEN, 5),
	OPTION(IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 1),
	OPTION(IPPROTO_TCP, TCP_FASTOPEN_NO_COOKIE, 1),
	OPTION(IPPROTO_TCP, TCP_REPAIR, 1),
};

/* AF_TOE has no such thing, by whatever a connection goes. */
TEST(options__not_offered)
{
	const struct option *option;
	struct net_pair pair;
	size_t i;

	if (net_under_test()->stack == STACK_TCP)
		test_skip("kernel TCP has them");
	pair = net_pair();
	for (i = 0; i < sizeof(not_offered) / sizeof(not_offered[0]); i++) {
		option = &not_offered[i];
		EXPECT_FAIL(EOPNOTSUPP, setsockopt(net_socket(net_under_test(), 0), option->level,
						   option->option, &option->value, sizeof(int)));
		EXPECT_FAIL(EOPNOTSUPP, setsockopt(pair.ut, option->level, option->option,
						   &option->value, sizeof(int)));
	}
	EXPECT_FAIL(EOPNOTSUPP, setsockopt(pair.ut, IPPROTO_TCP, TCP_ULP, "tls", 3));
}

/* What a connection has from its hand-over: setting it later is remembered, no more. */
TEST(options__fixed_by_hand_over)
{
	struct net_pair pair = net_pair();
	char name[16] = "";
	socklen_t len = sizeof(name);

	net_set_int(pair.ut, SOL_SOCKET, SO_RCVBUF, 100000);
	net_set_int(pair.ut, SOL_SOCKET, SO_SNDBUF, 100000);
	EXPECT_EQ(200000, net_get_int(pair.ut, SOL_SOCKET, SO_RCVBUF));
	EXPECT_EQ(200000, net_get_int(pair.ut, SOL_SOCKET, SO_SNDBUF));
	ASSERT_EQ(0, setsockopt(pair.ut, IPPROTO_TCP, TCP_CONGESTION, "cubic", 5));
	ASSERT_EQ(0, getsockopt(pair.ut, IPPROTO_TCP, TCP_CONGESTION, name, &len));
	EXPECT_EQ(0, strcmp("cubic", name));
	if (!net.offloaded)
		return;
	EXPECT_EQ(true, net_listed(pair.ut, ".congestion == \"reno\""));
	EXPECT_EQ(true, net_listed(pair.ut, ".rx_buf_size == 262144"));
	EXPECT_EQ(true, net_listed(pair.ut, ".tx_buf_size == 262144"));
}

/* Only kernel TCP tells by control messages. */
TEST(options__control_messages)
{
	struct net_pair pair = net_pair();
	char byte, control[100];
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};

	net_set_int(pair.ut, IPPROTO_TCP, TCP_INQ, 1);
	net_send_all(pair.peer, "ab", 2);
	ASSERT_EQ(1, recvmsg(pair.ut, &msg, 0));
	EXPECT_EQ(net.offloaded, msg.msg_controllen == 0);
}

TEST(options__bad_values)
{
	int fd = net_socket(net_under_test(), 0), value = -1;

	EXPECT_FAIL(EINVAL, setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &value, 1));
	EXPECT_FAIL(EINVAL, setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &value, 1));
	EXPECT_FAIL(EINVAL, setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &value, sizeof(value)));
	value = 100000;
	EXPECT_FAIL(EINVAL, setsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, &value, sizeof(value)));
	EXPECT_FAIL(EINVAL, setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &value, sizeof(value)));
}

TEST(options__user_may_not)
{
	int fd = net_socket(net_under_test(), 0), value = 1;

	ASSERT_EQ(0, setgid(65534) | setuid(65534));
	EXPECT_FAIL(EPERM, setsockopt(fd, SOL_SOCKET, SO_MARK, &value, sizeof(value)));
	EXPECT_FAIL(EPERM, setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &value, sizeof(value)));
	EXPECT_EQ(-1, setsockopt(fd, IPPROTO_TCP, TCP_REPAIR, &value, sizeof(value)));
}

TEST(options__ioctls)
{
	struct net_pair pair = net_pair();
	int on = 1;

	EXPECT_EQ(0, ioctl(pair.ut, FIONBIO, &on));
	EXPECT_FAIL(EAGAIN, recv(pair.ut, &on, 1, 0));
	EXPECT_FAIL(EINVAL, ioctl(pair.listener, SIOCINQ, &on));
	EXPECT_FAIL(ENOTTY, ioctl(pair.ut, 0x1234, &on));
}

TEST_MAIN(net_setup)
