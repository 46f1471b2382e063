// SPDX-License-Identifier: GPL-2.0
#include <net/tcp.h>
#include "helpers.h"

struct toe_tcp_sysctls toe_helper_tcp_sysctls(struct sock *sk)
{
	const struct netns_ipv4 *ipv4 = &sock_net(sk)->ipv4;

	return (struct toe_tcp_sysctls) {
		.fin_timeout = READ_ONCE(ipv4->sysctl_tcp_fin_timeout) / HZ,
		.retries2 = READ_ONCE(ipv4->sysctl_tcp_retries2),
		.orphan_retries = READ_ONCE(ipv4->sysctl_tcp_orphan_retries),
	};
}
