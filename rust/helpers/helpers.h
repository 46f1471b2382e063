/* SPDX-License-Identifier: GPL-2.0 */
/*
 * C wrappers of inline kernel functions and macros, for Rust.
 *
 * Each does just what the function it is named after does.
 */
#ifndef TOE_HELPERS_H
#define TOE_HELPERS_H

#include <linux/types.h>

struct sock;
struct socket;

void toe_helper_sock_hold(struct sock *sk);
void toe_helper_sock_put(struct sock *sk);
void toe_helper_sock_orphan(struct sock *sk);
void toe_helper_lock_sock(struct sock *sk);

#endif
