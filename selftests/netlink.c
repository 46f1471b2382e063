// SPDX-License-Identifier: GPL-2.0
/* Requests to the generic netlink family "toe" that are wrong get an errno and change nothing. */
#define _GNU_SOURCE
#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/harness.h"
#include "toe_netlink.h"

#define LO_IFINDEX 1

struct request {
	struct nlmsghdr nlh;
	struct genlmsghdr genl;
	char attrs[256];
};

static int nl;
static int family;

static struct request request(int type, int cmd, int flags)
{
	return (struct request){
		.nlh = {
			.nlmsg_len = NLMSG_LENGTH(GENL_HDRLEN),
			.nlmsg_type = type,
			.nlmsg_flags = NLM_F_REQUEST | flags,
		},
		.genl = { .cmd = cmd, .version = TOE_FAMILY_VERSION },
	};
}

static void add(struct request *r, int type, const void *payload, int len)
{
	struct nlattr *attr = (void *)((char *)r + NLMSG_ALIGN(r->nlh.nlmsg_len));

	attr->nla_type = type;
	attr->nla_len = NLA_HDRLEN + len;
	memcpy(attr + 1, payload, len);
	r->nlh.nlmsg_len = NLMSG_ALIGN(r->nlh.nlmsg_len) + NLA_ALIGN(attr->nla_len);
}

static void add_u32(struct request *r, int type, unsigned int value)
{
	add(r, type, &value, sizeof(value));
}

/* Sends @r and reads up to the end of the answer: 0 or an errno. Counts the other messages in @answers. */
static int transact(const struct request *r, int *answers)
{
	char buf[32768];

	ASSERT_EQ(r->nlh.nlmsg_len, send(nl, r, r->nlh.nlmsg_len, 0));
	for (;;) {
		int len = recv(nl, buf, sizeof(buf), 0);
		struct nlmsghdr *nlh;

		ASSERT_GE(len, 0);
		for (nlh = (void *)buf; NLMSG_OK(nlh, len); nlh = NLMSG_NEXT(nlh, len)) {
			if (nlh->nlmsg_type == NLMSG_ERROR || nlh->nlmsg_type == NLMSG_DONE)
				return -*(int *)NLMSG_DATA(nlh);
			if (answers)
				++*answers;
			if (nlh->nlmsg_type == GENL_ID_CTRL) {
				struct nlattr *attr = (void *)((char *)NLMSG_DATA(nlh) + GENL_HDRLEN);

				while (attr->nla_type != CTRL_ATTR_FAMILY_ID)
					attr = (void *)((char *)attr + NLA_ALIGN(attr->nla_len));
				family = *(unsigned short *)(attr + 1);
			}
		}
	}
}

/* A namespace of our own, and the family's number. */
static void open_family(void)
{
	struct request r = request(GENL_ID_CTRL, CTRL_CMD_GETFAMILY, NLM_F_ACK);

	ASSERT_EQ(0, unshare(CLONE_NEWNET));
	nl = socket(AF_NETLINK, SOCK_RAW, NETLINK_GENERIC);
	ASSERT_GE(nl, 0);
	add(&r, CTRL_ATTR_FAMILY_NAME, TOE_FAMILY_NAME, sizeof(TOE_FAMILY_NAME));
	ASSERT_EQ(0, transact(&r, NULL));
	ASSERT_NE(0, family);
}

static struct request toe(int cmd)
{
	return request(family, cmd, NLM_F_ACK);
}

static int devices(void)
{
	struct request r = request(family, TOE_CMD_DEV_GET, NLM_F_DUMP);
	int count = 0;

	ASSERT_EQ(0, transact(&r, &count));
	return count;
}

TEST(request__right)
{
	struct request r;
	int answers = 0;

	r = toe(TOE_CMD_DEV_ADD);
	add_u32(&r, TOE_A_DEV_IFINDEX, LO_IFINDEX);
	EXPECT_EQ(0, transact(&r, NULL));
	EXPECT_EQ(EEXIST, transact(&r, NULL));
	EXPECT_EQ(1, devices());

	r = toe(TOE_CMD_DEV_GET);
	add_u32(&r, TOE_A_DEV_IFINDEX, LO_IFINDEX);
	EXPECT_EQ(0, transact(&r, &answers));
	EXPECT_EQ(1, answers);

	r = toe(TOE_CMD_DEV_DEL);
	add_u32(&r, TOE_A_DEV_IFINDEX, LO_IFINDEX);
	EXPECT_EQ(0, transact(&r, NULL));
	EXPECT_EQ(ENODEV, transact(&r, NULL));
	EXPECT_EQ(0, devices());
}

TEST(request__without_attributes)
{
	static const int cmds[] = { TOE_CMD_DEV_ADD, TOE_CMD_DEV_DEL, TOE_CMD_DEV_GET };

	for (int i = 0; i < 3; i++) {
		struct request r = toe(cmds[i]);

		EXPECT_EQ(EINVAL, transact(&r, NULL));
	}
	EXPECT_EQ(0, devices());
}

/* One wrong attribute beside the right one. */
static void expect_refused(int type, const void *payload, int len)
{
	struct request r = toe(TOE_CMD_DEV_ADD);
	int error;

	add_u32(&r, TOE_A_DEV_IFINDEX, LO_IFINDEX);
	add(&r, type, payload, len);
	error = transact(&r, NULL);
	if (error != EINVAL && error != ERANGE)
		test_fail(__FILE__, __LINE__, "attribute %d of %d bytes: %s", type, len, strerror(error));
	EXPECT_EQ(0, devices());
}

TEST(request__wrong_attributes)
{
	static const char bytes[64];
	unsigned int wrong[] = { 0, 1, 0xffffffff, 0x80000000, 0x10000 };

	expect_refused(TOE_A_DEV_IFINDEX, &wrong[0], sizeof(wrong[0]));
	expect_refused(TOE_A_DEV_IFINDEX, bytes, 0);
	expect_refused(TOE_A_DEV_IFINDEX, bytes, 2);
	expect_refused(TOE_A_DEV_IFINDEX, bytes, 8);
	for (int i = 1; i < 5; i++)
		expect_refused(TOE_A_DEV_DATAPATH, &wrong[i], sizeof(wrong[i]));
	for (int i = 2; i < 5; i++)
		expect_refused(TOE_A_DEV_KIND, &wrong[i], sizeof(wrong[i]));
	expect_refused(TOE_A_DEV_IFNAME, "lo", 3);
	expect_refused(TOE_A_DEV_CONNECTIONS, &wrong[1], sizeof(wrong[1]));
	expect_refused(0, bytes, 4);
	expect_refused(TOE_A_DEV_MAX + 1, bytes, 4);
	expect_refused(NLA_TYPE_MASK, bytes, 64);
	expect_refused(TOE_A_DEV_KIND | NLA_F_NESTED, bytes, 4);
}

TEST(request__no_such_netdev)
{
	static const unsigned int indices[] = { 2, 0x7fffffff, 0x80000000, 0xffffffff };

	for (int i = 0; i < 4; i++) {
		struct request r = toe(TOE_CMD_DEV_ADD);

		add_u32(&r, TOE_A_DEV_IFINDEX, indices[i]);
		EXPECT_EQ(ENODEV, transact(&r, NULL));
	}
}

TEST(request__cut_short)
{
	for (unsigned int cut = 1; cut < NLA_HDRLEN + sizeof(int); cut++) {
		struct request r = toe(TOE_CMD_DEV_ADD);
		int error;

		add_u32(&r, TOE_A_DEV_IFINDEX, LO_IFINDEX);
		r.nlh.nlmsg_len -= cut;
		error = transact(&r, NULL);
		EXPECT_NE(0, error);
	}
	EXPECT_EQ(0, devices());
}

TEST(request__no_such_command)
{
	struct request r;

	r = toe(0);
	EXPECT_EQ(EOPNOTSUPP, transact(&r, NULL));
	r = toe(TOE_CMD_MAX + 1);
	EXPECT_EQ(EOPNOTSUPP, transact(&r, NULL));
	r = toe(TOE_CMD_CONN_GET);
	EXPECT_EQ(EOPNOTSUPP, transact(&r, NULL));
	r = request(family, TOE_CMD_DEV_ADD, NLM_F_DUMP);
	EXPECT_EQ(EOPNOTSUPP, transact(&r, NULL));
}

TEST(dump__with_attributes)
{
	static const int cmds[] = { TOE_CMD_DEV_GET, TOE_CMD_CONN_GET, TOE_CMD_STATS_GET };

	for (int i = 0; i < 3; i++) {
		struct request r = request(family, cmds[i], NLM_F_DUMP);

		add_u32(&r, 1, 1);
		EXPECT_EQ(EINVAL, transact(&r, NULL));
	}
}

/* The reader goes away with most of the answer unread. */
TEST(dump__abandoned)
{
	struct request r;

	for (int i = 0; i < 100; i++) {
		r = request(family, i & 1 ? TOE_CMD_STATS_GET : TOE_CMD_CONN_GET, NLM_F_DUMP);
		ASSERT_EQ(r.nlh.nlmsg_len, send(nl, &r, r.nlh.nlmsg_len, 0));
		close(nl);
		nl = socket(AF_NETLINK, SOCK_RAW, NETLINK_GENERIC);
		ASSERT_GE(nl, 0);
	}
	EXPECT_EQ(0, devices());
}

TEST_MAIN(open_family)
