/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Test harness in the manner of the kernel's kselftest_harness.h: every TEST()
 * runs in a child of its own, with a time limit, and the results come out as KTAP.
 *
 *	TEST(connect__refused)
 *	{
 *		int fd = net_socket(&net.client, 0);
 *
 *		ASSERT_GE(fd, 0);
 *		EXPECT_EQ(-1, connect(fd, ...));
 *		EXPECT_ERRNO(ECONNREFUSED);
 *	}
 *
 *	TEST_MAIN("sockets_connect")
 *
 * EXPECT_ records a failure and goes on, ASSERT_ ends the test.
 */
#ifndef SELFTESTS_HARNESS_H
#define SELFTESTS_HARNESS_H

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/** struct test - one registered test, linked in the order of the source. */
struct test {
	const char *name;
	void (*run)(void);
	int timeout;		/* seconds */
	struct test *next;
};

void test_register(struct test *test);
int test_run_all(int argc, char **argv);
void test_setup(void (*setup)(void));

/** test_fail() - record a failure of the running test, with its reason. */
void test_fail(const char *file, int line, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/** test_abort() - end the running test as failed. */
_Noreturn void test_abort(void);
/** test_skip() - end the running test as skipped, with the reason. */
void test_skip(const char *fmt, ...)
	__attribute__((format(printf, 1, 2), noreturn));

#define TEST_TIMEOUT(fn, secs)						\
	static void fn(void);						\
	static void __attribute__((constructor)) register_##fn(void)	\
	{								\
		static struct test test = {				\
			.name = #fn, .run = fn, .timeout = (secs),	\
		};							\
									\
		test_register(&test);					\
	}								\
	static void fn(void)

/* Emulated machines are slow: the limit only has to catch what hangs. */
#define TEST(fn) TEST_TIMEOUT(fn, 60)

#define TEST_MAIN(setup)						\
	int main(int argc, char **argv)					\
	{								\
		test_setup(setup);					\
		return test_run_all(argc, argv);			\
	}

#define CHECK_OP(want, op, got, then)					\
	do {								\
		long long want_ = (long long)(want);			\
		long long got_ = (long long)(got);			\
		int err_ = errno;					\
									\
		if (!(got_ op want_)) {					\
			test_fail(__FILE__, __LINE__,			\
				  "%s: expected " #op " %s (%lld), got %lld, errno %s", \
				  #got, #want, want_, got_, strerror(err_)); \
			then;						\
		}							\
		errno = err_;						\
	} while (0)

#define EXPECT_EQ(want, got) CHECK_OP(want, ==, got, (void)0)
#define EXPECT_NE(want, got) CHECK_OP(want, !=, got, (void)0)
#define EXPECT_GE(got, want) CHECK_OP(want, >=, got, (void)0)
#define EXPECT_LE(got, want) CHECK_OP(want, <=, got, (void)0)
#define ASSERT_EQ(want, got) CHECK_OP(want, ==, got, test_abort())
#define ASSERT_NE(want, got) CHECK_OP(want, !=, got, test_abort())
#define ASSERT_GE(got, want) CHECK_OP(want, >=, got, test_abort())
#define ASSERT_LE(got, want) CHECK_OP(want, <=, got, test_abort())
#define EXPECT_TRUE(cond) CHECK_OP(true, ==, !!(cond), (void)0)
#define ASSERT_TRUE(cond) CHECK_OP(true, ==, !!(cond), test_abort())

/** EXPECT_FAIL() - @call must return -1 with errno @err. */
#define EXPECT_FAIL(err, call)						\
	do {								\
		long long ret_ = (long long)(call);			\
		int seen_ = errno;					\
									\
		if (ret_ != -1)						\
			test_fail(__FILE__, __LINE__,			\
				  "%s: expected %s, got success (%lld)", \
				  #call, #err, ret_);			\
		else if (seen_ != (err))				\
			test_fail(__FILE__, __LINE__,			\
				  "%s: expected %s, got %s",		\
				  #call, #err, strerror(seen_));	\
	} while (0)

#endif
