// SPDX-License-Identifier: GPL-2.0
#include <net/sock.h>
#include "helpers.h"

void toe_helper_sock_hold(struct sock *sk)
{
	sock_hold(sk);
}

void toe_helper_sock_put(struct sock *sk)
{
	sock_put(sk);
}

void toe_helper_sock_orphan(struct sock *sk)
{
	sock_orphan(sk);
}

void toe_helper_lock_sock(struct sock *sk)
{
	lock_sock(sk);
}
