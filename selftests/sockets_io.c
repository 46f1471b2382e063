// SPDX-License-Identifier: GPL-2.0
/* Moving bytes: the calls, their flags, limits and timeouts. */
#define _GNU_SOURCE
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "lib/harness.h"
#include "lib/net.h"

static void set_timeout(int fd, int option, int ms)
{
	struct timeval tv = { .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };

	ASSERT_EQ(0, setsockopt(fd, SOL_SOCKET, option, &tv, sizeof(tv)));
}

/* A pair whose buffers are full in the direction from the end under test. */
static struct net_pair full_pair(size_t *sent)
{
	struct net_pair pair = net_pair();

	*sent = net_fill(&pair);
	return pair;
}

TEST(read_write)
{
	struct net_pair pair = net_pair();
	char buf[16] = "";

	EXPECT_EQ(5, write(pair.ut, "hello", 5));
	ASSERT_EQ(POLLIN, net_poll(pair.peer, POLLIN, 10000));
	EXPECT_EQ(5, read(pair.peer, buf, sizeof(buf)));
	EXPECT_EQ(0, strcmp("hello", buf));
	EXPECT_EQ(5, write(pair.peer, "HELLO", 5));
	ASSERT_EQ(POLLIN, net_poll(pair.ut, POLLIN, 10000));
	EXPECT_EQ(5, read(pair.ut, buf, sizeof(buf)));
	EXPECT_EQ(0, strcmp("HELLO", buf));
}

TEST(zero_length)
{
	struct net_pair pair = net_pair();
	char byte = 0;

	EXPECT_EQ(0, send(pair.ut, &byte, 0, 0));
	net_send_all(pair.peer, "x", 1);
	ASSERT_EQ(POLLIN, net_poll(pair.ut, POLLIN, 10000));
	EXPECT_EQ(0, recv(pair.ut, &byte, 0, 0));
	EXPECT_EQ(1, recv(pair.ut, &byte, 1, 0));
	EXPECT_EQ('x', byte);
}

TEST(vectors)
{
	struct net_pair pair = net_pair();
	char a[3] = "", b[64] = "";
	struct iovec out[] = { { "one", 3 }, { NULL, 0 }, { "two", 3 }, { "three", 5 } };
	struct iovec in[] = { { a, sizeof(a) }, { b, sizeof(b) } };

	EXPECT_EQ(11, writev(pair.ut, out, 4));
	EXPECT_EQ(11, writev(pair.peer, out, 4));
	for (int fd = pair.ut, round = 0; round < 2; round++, fd = pair.peer) {
		ASSERT_EQ(POLLIN, net_poll(fd, POLLIN, 10000));
		EXPECT_EQ(11, readv(fd, in, 2));
		EXPECT_EQ(0, memcmp("one", a, 3));
		EXPECT_EQ(0, memcmp("twothree", b, 8));
	}
}

TEST(messages)
{
	struct net_pair pair = net_pair();
	struct iovec out[] = { { "ab", 2 }, { "cd", 2 } };
	char buf[8] = "", control[64];
	union net_addr name;
	struct iovec in = { buf, sizeof(buf) };
	struct msghdr msg = { .msg_iov = out, .msg_iovlen = 2 };

	EXPECT_EQ(4, sendmsg(pair.peer, &msg, 0));
	ASSERT_EQ(POLLIN, net_poll(pair.ut, POLLIN, 10000));
	msg = (struct msghdr) {
		.msg_iov = &in, .msg_iovlen = 1,
		.msg_name = &name, .msg_namelen = sizeof(name),
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	EXPECT_EQ(4, recvmsg(pair.ut, &msg, 0));
	EXPECT_EQ(0, memcmp("abcd", buf, 4));
	EXPECT_EQ(0, msg.msg_namelen);
	EXPECT_EQ(0, msg.msg_controllen);
	EXPECT_EQ(0, msg.msg_flags);
}

TEST(several_messages)
{
	struct net_pair pair = net_pair();
	struct iovec iov[] = { { "ab", 2 }, { "cde", 3 } };
	struct mmsghdr messages[2] = {
		{ .msg_hdr = { .msg_iov = &iov[0], .msg_iovlen = 1 } },
		{ .msg_hdr = { .msg_iov = &iov[1], .msg_iovlen = 1 } },
	};
	char buf[5];

	EXPECT_EQ(2, sendmmsg(pair.ut, messages, 2, 0));
	EXPECT_EQ(2, messages[0].msg_len);
	EXPECT_EQ(3, messages[1].msg_len);
	net_recv_all(pair.peer, buf, 5);
	EXPECT_EQ(0, memcmp("abcde", buf, 5));
}

TEST(sendto__address_ignored)
{
	struct net_pair pair = net_pair();
	union net_addr to = net_way_to(pair.listener);
	char buf[2];

	EXPECT_EQ(2, sendto(pair.client, "ab", 2, 0, &to.sa, net_addr_len(&to)));
	net_recv_all(pair.server, buf, 2);
}

TEST(peek)
{
	struct net_pair pair = net_pair();
	char buf[8] = "";

	net_send_all(pair.peer, "abcdef", 6);
	ASSERT_EQ(POLLIN, net_poll(pair.ut, POLLIN, 10000));
	EXPECT_EQ(3, recv(pair.ut, buf, 3, MSG_PEEK));
	EXPECT_EQ(0, memcmp("abc", buf, 3));
	EXPECT_EQ(6, recv(pair.ut, buf, 8, MSG_PEEK));
	EXPECT_EQ(0, memcmp("abcdef", buf, 6));
	EXPECT_EQ(2, recv(pair.ut, buf, 2, 0));
	EXPECT_EQ(4, recv(pair.ut, buf, 8, MSG_PEEK));
	EXPECT_EQ(0, memcmp("cdef", buf, 4));
	EXPECT_EQ(4, recv(pair.ut, buf, 8, 0));
	EXPECT_FAIL(EAGAIN, recv(pair.ut, buf, 8, MSG_PEEK | MSG_DONTWAIT));
}

TEST(peek__at_end)
{
	struct net_pair pair = net_pair();
	char byte;

	shutdown(pair.peer, SHUT_WR);
	EXPECT_EQ(0, recv(pair.ut, &byte, 1, MSG_PEEK));
	EXPECT_EQ(0, recv(pair.ut, &byte, 1, MSG_PEEK));
	EXPECT_EQ(0, recv(pair.ut, &byte, 1, 0));
}

TEST(dontwait)
{
	struct net_pair pair = net_pair();
	char byte;

	EXPECT_FAIL(EAGAIN, recv(pair.ut, &byte, 1, MSG_DONTWAIT));
}

TEST(dontwait__full)
{
	size_t sent;
	struct net_pair pair = full_pair(&sent);
	char byte = 0;

	EXPECT_GE(sent, 1);
	EXPECT_FAIL(EAGAIN, send(pair.ut, &byte, 1, MSG_DONTWAIT));
	EXPECT_EQ(0, net_poll(pair.ut, POLLOUT, 0));
	net_set_nonblock(pair.peer, true);
	while (recv(pair.peer, (char[4096]) {}, 4096, 0) > 0)
		;
	EXPECT_EQ(POLLOUT, net_poll(pair.ut, POLLOUT, 10000));
	EXPECT_EQ(1, send(pair.ut, &byte, 1, MSG_DONTWAIT));
}

static void *send_in_two(void *arg)
{
	int fd = *(int *)arg;

	net_send_all(fd, "first", 5);
	poll(NULL, 0, 200);
	net_send_all(fd, "second", 6);
	return NULL;
}

TEST(waitall)
{
	struct net_pair pair = net_pair();
	pthread_t thread;
	char buf[11];

	ASSERT_EQ(0, pthread_create(&thread, NULL, send_in_two, &pair.peer));
	EXPECT_EQ(11, recv(pair.ut, buf, 11, MSG_WAITALL));
	EXPECT_EQ(0, memcmp("firstsecond", buf, 11));
	pthread_join(thread, NULL);
}

TEST(waitall__end_of_stream)
{
	struct net_pair pair = net_pair();
	char buf[11];

	net_send_all(pair.peer, "abc", 3);
	shutdown(pair.peer, SHUT_WR);
	EXPECT_EQ(3, recv(pair.ut, buf, 11, MSG_WAITALL));
	EXPECT_EQ(0, recv(pair.ut, buf, 11, MSG_WAITALL));
}

TEST(waitall__timeout_keeps_bytes)
{
	struct net_pair pair = net_pair();
	char buf[11];

	net_send_all(pair.peer, "abc", 3);
	set_timeout(pair.ut, SO_RCVTIMEO, 300);
	EXPECT_EQ(3, recv(pair.ut, buf, 11, MSG_WAITALL));
	EXPECT_FAIL(EAGAIN, recv(pair.ut, buf, 11, MSG_WAITALL));
}

TEST(trunc__discards)
{
	struct net_pair pair = net_pair();
	char buf[8] = "";

	net_send_all(pair.peer, "abcdef", 6);
	ASSERT_EQ(POLLIN, net_poll(pair.ut, POLLIN, 10000));
	EXPECT_EQ(4, recv(pair.ut, NULL, 4, MSG_TRUNC));
	EXPECT_EQ(2, recv(pair.ut, buf, 8, 0));
	EXPECT_EQ(0, memcmp("ef", buf, 2));
}

TEST(more)
{
	struct net_pair pair = net_pair();
	char buf[10];

	EXPECT_EQ(5, send(pair.ut, "first", 5, MSG_MORE));
	EXPECT_EQ(5, send(pair.ut, "later", 5, 0));
	ASSERT_EQ(POLLIN, net_poll(pair.peer, POLLIN, 10000));
	net_recv_all(pair.peer, buf, 10);
	EXPECT_EQ(0, memcmp("firstlater", buf, 10));
}

TEST(more__sent_after_a_while)
{
	struct net_pair pair = net_pair();

	EXPECT_EQ(5, send(pair.ut, "first", 5, MSG_MORE));
	EXPECT_EQ(POLLIN, net_poll(pair.peer, POLLIN, 10000));
}

TEST(cork)
{
	struct net_pair pair = net_pair();
	char buf[10];

	net_set_int(pair.ut, IPPROTO_TCP, TCP_CORK, 1);
	net_send_all(pair.ut, "first", 5);
	net_send_all(pair.ut, "later", 5);
	net_set_int(pair.ut, IPPROTO_TCP, TCP_CORK, 0);
	ASSERT_EQ(POLLIN, net_poll(pair.peer, POLLIN, 10000));
	EXPECT_EQ(10, recv(pair.peer, buf, sizeof(buf), 0));
}

TEST(receive_timeout)
{
	struct net_pair pair = net_pair();
	char byte;

	set_timeout(pair.ut, SO_RCVTIMEO, 200);
	EXPECT_FAIL(EAGAIN, recv(pair.ut, &byte, 1, 0));
	net_send_all(pair.peer, "x", 1);
	EXPECT_EQ(1, recv(pair.ut, &byte, 1, 0));
}

TEST(send_timeout)
{
	static char buf[1 << 20];
	size_t sent;
	struct net_pair pair = full_pair(&sent);

	set_timeout(pair.ut, SO_SNDTIMEO, 200);
	EXPECT_FAIL(EAGAIN, send(pair.ut, buf, sizeof(buf), 0));
}

TEST(accept_timeout)
{
	int listener = net_listener(1);

	set_timeout(listener, SO_RCVTIMEO, 200);
	EXPECT_FAIL(EAGAIN, accept(listener, NULL, NULL));
}

TEST(low_water_mark)
{
	struct net_pair pair = net_pair();
	pthread_t thread;
	char buf[11];

	net_set_int(pair.ut, SOL_SOCKET, SO_RCVLOWAT, 11);
	EXPECT_EQ(11, net_get_int(pair.ut, SOL_SOCKET, SO_RCVLOWAT));
	ASSERT_EQ(0, pthread_create(&thread, NULL, send_in_two, &pair.peer));
	EXPECT_EQ(POLLIN, net_poll(pair.ut, POLLIN, 10000));
	EXPECT_EQ(11, recv(pair.ut, buf, sizeof(buf), MSG_DONTWAIT));
	pthread_join(thread, NULL);
}

static void *write_all(void *arg)
{
	static char buf[4 << 20];

	net_send_all(*(int *)arg, buf, sizeof(buf));
	return NULL;
}

TEST(blocking_send_longer_than_buffers)
{
	struct net_pair pair = net_pair();
	pthread_t thread;
	static char buf[4 << 20];

	ASSERT_EQ(0, pthread_create(&thread, NULL, write_all, &pair.ut));
	EXPECT_EQ(sizeof(buf), recv(pair.peer, buf, sizeof(buf), MSG_WAITALL));
	pthread_join(thread, NULL);
}

TEST(partial_send_when_nonblocking)
{
	static char buf[64 << 20];
	struct net_pair pair = net_pair();
	ssize_t n;

	net_set_nonblock(pair.ut, true);
	n = send(pair.ut, buf, sizeof(buf), 0);
	EXPECT_GE(n, 1);
	EXPECT_LE(n, sizeof(buf) - 1);
}

TEST(queue_lengths)
{
	struct net_pair pair = net_pair();
	int queued = -1;
	char buf[7];

	net_send_all(pair.peer, "1234567", 7);
	ASSERT_EQ(POLLIN, net_poll(pair.ut, POLLIN, 10000));
	ASSERT_EQ(0, ioctl(pair.ut, FIONREAD, &queued));
	EXPECT_EQ(7, queued);
	ASSERT_EQ(0, ioctl(pair.ut, SIOCINQ, &queued));
	EXPECT_EQ(7, queued);
	net_recv_all(pair.ut, buf, 7);
	ASSERT_EQ(0, ioctl(pair.ut, FIONREAD, &queued));
	EXPECT_EQ(0, queued);
	ASSERT_EQ(0, ioctl(pair.ut, SIOCOUTQ, &queued));
	EXPECT_EQ(0, queued);
}

TEST(queue_lengths__full)
{
	size_t sent;
	struct net_pair pair = full_pair(&sent);
	int queued = -1;

	ASSERT_EQ(0, ioctl(pair.ut, SIOCOUTQ, &queued));
	EXPECT_GE(queued, 1);
	EXPECT_LE(queued, sent);
	ASSERT_EQ(0, ioctl(pair.ut, SIOCOUTQNSD, &queued));
	EXPECT_GE(queued, 1);
}

TEST(out_of_band__refused_when_offloaded)
{
	struct net_pair pair = net_pair();
	char byte;

	if (!net.offloaded)
		test_skip("kernel TCP has it");
	EXPECT_FAIL(EOPNOTSUPP, send(pair.ut, "u", 1, MSG_OOB));
	EXPECT_FAIL(EINVAL, recv(pair.ut, &byte, 1, MSG_OOB));
}

TEST(fast_open__refused)
{
	int listener = net_listener(1), fd = net_socket(&net.client, 0);
	union net_addr to = net_way_to(listener);

	if (net.client.stack == STACK_TCP)
		test_skip("kernel TCP has it");
	EXPECT_FAIL(EOPNOTSUPP, sendto(fd, "x", 1, MSG_FASTOPEN, &to.sa, net_addr_len(&to)));
	ASSERT_EQ(0, connect(fd, &to.sa, net_addr_len(&to)));
}

TEST(error_queue_is_empty)
{
	struct net_pair pair = net_pair();
	char byte;

	EXPECT_FAIL(EAGAIN, recv(pair.ut, &byte, 1, MSG_ERRQUEUE));
}

TEST_MAIN(net_setup)
