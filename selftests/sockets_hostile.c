// SPDX-License-Identifier: GPL-2.0
/* Wrong arguments get an errno and leave the connection alone. */
#define _GNU_SOURCE
#include <limits.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "lib/harness.h"
#include "lib/net.h"

/* Addresses no access works at, none of which the compiler may assume things of. */
static void *volatile nowhere = (void *)8;
static void *volatile kernel_address = (void *)0xffffffff81000000ul;

static void expect_alive(const struct net_pair *pair)
{
	char buf[5];

	net_send_all(pair->ut, "alive", 5);
	net_recv_all(pair->peer, buf, 5);
	EXPECT_EQ(0, memcmp("alive", buf, 5));
	net_send_all(pair->peer, "alive", 5);
	net_recv_all(pair->ut, buf, 5);
	EXPECT_EQ(0, memcmp("alive", buf, 5));
}

/* Two pages of which only the first can be used. */
static char *page_before_hole(void)
{
	long size = sysconf(_SC_PAGESIZE);
	char *pages = mmap(NULL, 2 * size, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ASSERT_NE(MAP_FAILED, pages);
	ASSERT_EQ(0, munmap(pages + size, size));
	return pages + size;
}

TEST(send__bad_pointer)
{
	struct net_pair pair = net_pair();

	EXPECT_FAIL(EFAULT, send(pair.ut, nowhere, 100, 0));
	EXPECT_FAIL(EFAULT, send(pair.ut, kernel_address, 100, 0));
	expect_alive(&pair);
}

TEST(recv__bad_pointer)
{
	struct net_pair pair = net_pair();
	char buf[5];

	net_send_all(pair.peer, "kept!", 5);
	ASSERT_EQ(POLLIN, net_poll(pair.ut, POLLIN, 10000));
	EXPECT_FAIL(EFAULT, recv(pair.ut, nowhere, 5, 0));
	EXPECT_FAIL(EFAULT, recv(pair.ut, kernel_address, 5, 0));
	net_recv_all(pair.ut, buf, 5);
	EXPECT_EQ(0, memcmp("kept!", buf, 5));
	expect_alive(&pair);
}

TEST(send__pointer_ends_in_hole)
{
	struct net_pair pair = net_pair();
	char *end = page_before_hole(), buf[20];
	ssize_t sent;

	memcpy(end - 10, "0123456789", 10);
	sent = send(pair.ut, end - 10, 20, 0);
	if (sent < 0) {
		EXPECT_EQ(EFAULT, errno);
	} else {
		EXPECT_LE(sent, 10);
		net_recv_all(pair.peer, buf, sent);
		EXPECT_EQ(0, memcmp("0123456789", buf, sent));
	}
	expect_alive(&pair);
}

/* What the failed call did not deliver is still there, in order. */
TEST(recv__pointer_ends_in_hole)
{
	struct net_pair pair = net_pair();
	char *end = page_before_hole(), buf[20] = "";
	ssize_t got;

	net_send_all(pair.peer, "0123456789abcdefghij", 20);
	ASSERT_EQ(POLLIN, net_poll(pair.ut, POLLIN, 10000));
	got = recv(pair.ut, end - 10, 20, 0);
	if (got < 0) {
		EXPECT_EQ(EFAULT, errno);
		got = 0;
	}
	EXPECT_LE(got, 10);
	memcpy(buf, end - 10, got);
	net_recv_all(pair.ut, buf + got, 20 - got);
	EXPECT_EQ(0, memcmp("0123456789abcdefghij", buf, 20));
	expect_alive(&pair);
}

TEST(vectors__bad)
{
	struct net_pair pair = net_pair();
	struct iovec many[2] = { { "x", 1 }, { nowhere, 1 } };
	struct iovec huge[2] = { { "x", 1 }, { "x", -1 } };
	struct msghdr msg = { .msg_iov = many, .msg_iovlen = UIO_MAXIOV + 1 };
	ssize_t n;

	EXPECT_FAIL(EMSGSIZE, sendmsg(pair.ut, &msg, 0));
	EXPECT_FAIL(EFAULT, writev(pair.ut, nowhere, 1));
	EXPECT_FAIL(EINVAL, writev(pair.ut, huge, 2));
	EXPECT_FAIL(EFAULT, sendmsg(pair.ut, nowhere, 0));
	EXPECT_FAIL(EFAULT, recvmsg(pair.ut, nowhere, MSG_DONTWAIT));
	n = writev(pair.ut, many, 2);
	if (n > 0) {
		char byte;

		EXPECT_EQ(1, n);
		net_recv_all(pair.peer, &byte, 1);
	} else {
		EXPECT_FAIL(EFAULT, n);
	}
	expect_alive(&pair);
}

TEST(bind__bad_address)
{
	const struct net_end *end = net_under_test();
	union net_addr name = end->addr;
	int fd = net_socket(end, 0);

	ASSERT_GE(fd, 0);
	EXPECT_FAIL(EFAULT, bind(fd, nowhere, sizeof(name.in)));
	EXPECT_FAIL(EINVAL, bind(fd, &name.sa, 0));
	EXPECT_FAIL(EINVAL, bind(fd, &name.sa, 4));
	EXPECT_FAIL(EINVAL, bind(fd, &name.sa, net_addr_len(&name) - 8));
	EXPECT_FAIL(EINVAL, bind(fd, &name.sa, -1));
	EXPECT_FAIL(EINVAL, bind(fd, &name.sa, 4096));
	name.sa.sa_family = AF_UNIX;
	EXPECT_FAIL(EAFNOSUPPORT, bind(fd, &name.sa, sizeof(name)));
	name = end->addr;
	EXPECT_EQ(0, bind(fd, &name.sa, net_addr_len(&name)));
}

TEST(connect__bad_address)
{
	int listener = net_listener(1), fd = net_socket(&net.client, 0);
	union net_addr to = net_way_to(listener), bad = to;

	ASSERT_GE(fd, 0);
	EXPECT_FAIL(EFAULT, connect(fd, nowhere, sizeof(bad.in)));
	EXPECT_FAIL(EINVAL, connect(fd, &bad.sa, 0));
	EXPECT_FAIL(EINVAL, connect(fd, &bad.sa, 1));
	EXPECT_FAIL(EINVAL, connect(fd, &bad.sa, 7));
	bad.sa.sa_family = AF_UNIX;
	EXPECT_FAIL(EAFNOSUPPORT, connect(fd, &bad.sa, sizeof(bad)));
	EXPECT_EQ(0, connect(fd, &to.sa, net_addr_len(&to)));
}

TEST(connect__unreachable)
{
	union net_addr to = net.client.addr;
	int fd = net_socket(&net.client, 0);

	if (to.sa.sa_family == AF_INET)
		to.in.sin_addr.s_addr = htonl(0xffffffff);
	else
		to.in6.sin6_addr.s6_addr[0] = 0xff;
	net_set_port(&to, 1);
	EXPECT_FAIL(ENETUNREACH, connect(fd, &to.sa, net_addr_len(&to)));
}

TEST(names__bad_pointer)
{
	struct net_pair pair = net_pair();
	union net_addr name;
	socklen_t len = -1;

	EXPECT_FAIL(EINVAL, getsockname(pair.ut, &name.sa, &len));
	len = sizeof(name);
	EXPECT_FAIL(EFAULT, getsockname(pair.ut, nowhere, &len));
	EXPECT_FAIL(EFAULT, getpeername(pair.ut, &name.sa, nowhere));
	len = 0;
	EXPECT_EQ(0, getpeername(pair.ut, &name.sa, &len));
	EXPECT_NE(0, len);
	expect_alive(&pair);
}

TEST(accept__bad_pointer)
{
	int listener = net_listener(2);
	socklen_t len = sizeof(union net_addr);

	net_connect(listener);
	EXPECT_FAIL(EFAULT, accept(listener, nowhere, &len));
	net_connect(listener);
	EXPECT_GE(accept(listener, NULL, NULL), 0);
}

TEST(options__bad_pointer)
{
	struct net_pair pair = net_pair();
	socklen_t len = sizeof(int), negative = -1;
	int value;

	EXPECT_FAIL(EFAULT, setsockopt(pair.ut, SOL_SOCKET, SO_KEEPALIVE, nowhere, 4));
	EXPECT_FAIL(EFAULT, setsockopt(pair.ut, IPPROTO_TCP, TCP_NODELAY, nowhere, 4));
	EXPECT_FAIL(EINVAL, setsockopt(pair.ut, IPPROTO_TCP, TCP_NODELAY, &value, -1));
	EXPECT_FAIL(EFAULT, getsockopt(pair.ut, SOL_SOCKET, SO_KEEPALIVE, nowhere, &len));
	EXPECT_FAIL(EFAULT, getsockopt(pair.ut, IPPROTO_TCP, TCP_NODELAY, nowhere, &len));
	EXPECT_FAIL(EFAULT, getsockopt(pair.ut, IPPROTO_TCP, TCP_NODELAY, &value, nowhere));
	EXPECT_FAIL(EINVAL, getsockopt(pair.ut, IPPROTO_TCP, TCP_NODELAY, &value, &negative));
	EXPECT_FAIL(EFAULT, ioctl(pair.ut, FIONREAD, nowhere));
	expect_alive(&pair);
}

TEST(recv__flags_that_mean_nothing)
{
	struct net_pair pair = net_pair();
	char buf[5];

	net_send_all(pair.peer, "12345", 5);
	ASSERT_EQ(POLLIN, net_poll(pair.ut, POLLIN, 10000));
	EXPECT_EQ(5, recv(pair.ut, buf, 5, MSG_CTRUNC | MSG_EOR | MSG_CONFIRM));
	expect_alive(&pair);
}

TEST(send__control_messages)
{
	char control[CMSG_SPACE(sizeof(int))] = "";
	struct iovec iov = { "x", 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = 4,
	};
	struct net_pair pair = net_pair();
	ssize_t n = sendmsg(pair.ut, &msg, 0);
	char byte;

	/* A header that is too short is ignored or refused, never followed. */
	if (n < 0)
		EXPECT_EQ(EINVAL, errno);
	else
		net_recv_all(pair.peer, &byte, 1);
	expect_alive(&pair);
}

TEST(listen__any_backlog)
{
	int fd = net_bound(net_under_test(), 0);

	EXPECT_EQ(0, listen(fd, -1));
	EXPECT_EQ(0, listen(fd, INT_MAX));
	EXPECT_EQ(0, listen(fd, 0));
}

TEST_MAIN(net_setup)
