/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
#ifndef _UAPI_TOE_H
#define _UAPI_TOE_H

#define AF_TOE		18
#define IPPROTO_TOE	257

#endif
