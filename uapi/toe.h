/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * AF_TOE, the offloaded TCP socket family.
 *
 * Addresses are struct sockaddr_in and struct sockaddr_in6; options are those
 * of SOL_SOCKET, IPPROTO_IP, IPPROTO_IPV6 and IPPROTO_TCP. Management is by
 * generic netlink, family "toe": see toe_netlink.h.
 */
#ifndef _UAPI_LINUX_TOE_H
#define _UAPI_LINUX_TOE_H

/*
 * socket(AF_TOE, SOCK_STREAM, 0 or IPPROTO_TCP).
 *
 * Families from AF_MAX up cannot be registered, so the number is one that no
 * kernel ever implemented (AF_ASH). toe.ko's parameter "family" changes it.
 */
#define AF_TOE		18
#define PF_TOE		AF_TOE

/*
 * socket(AF_INET or AF_INET6, SOCK_STREAM, IPPROTO_TOE): the same socket, for
 * programs that ask for an Internet socket and have the protocol replaced.
 */
#define IPPROTO_TOE	257

#endif /* _UAPI_LINUX_TOE_H */
