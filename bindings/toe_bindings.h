/* SPDX-License-Identifier: GPL-2.0 */
/* Headers whose declarations toe.ko's Rust abstractions use. */
#include <linux/hrtimer_types.h>
#include <linux/bpf.h>
#include <linux/cred.h>
#include <linux/etherdevice.h>
#include <linux/ethtool.h>
#include <linux/fcntl.h>
#include <linux/filter.h>
#include <linux/if_arp.h>
#include <linux/if_vlan.h>
#include <linux/inetdevice.h>
#include <linux/interrupt.h>
#include <linux/jiffies.h>
#include <linux/net.h>
#include <linux/netdevice.h>
#include <linux/netfilter.h>
#include <linux/netfilter_netdev.h>
#include <linux/pci.h>
#include <linux/poll.h>
#include <linux/rcupdate.h>
#include <linux/rhashtable.h>
#include <linux/rtnetlink.h>
#include <linux/skbuff.h>
#include <linux/sockptr.h>
#include <linux/sysctl.h>
#include <linux/tcp.h>
#include <linux/timer.h>
#include <linux/uio.h>
#include <linux/workqueue.h>
#include <net/dst.h>
#include <net/genetlink.h>
#include <net/inet_common.h>
#include <net/inet_sock.h>
#include <net/ip.h>
#include <net/neighbour.h>
#include <net/netevent.h>
#include <net/net_namespace.h>
#include <net/protocol.h>
#include <net/sock.h>
#include <net/tcp.h>
#include <net/transp_v6.h>
#include <uapi/linux/eventpoll.h>
#include <asm/ioctls.h>
#include <linux/sockios.h>
#include "../rust/helpers/genetlink.h"
#include "../rust/helpers/helpers.h"
#include "../uapi/toe.h"
#include "../uapi/toe_device.h"
#include "../uapi/toe_netlink.h"

const gfp_t RUST_CONST_HELPER_GFP_KERNEL = GFP_KERNEL;
const gfp_t RUST_CONST_HELPER_GFP_ATOMIC = GFP_ATOMIC;
const unsigned int RUST_CONST_HELPER_O_NONBLOCK = O_NONBLOCK;
const unsigned int RUST_CONST_HELPER_TASK_INTERRUPTIBLE = TASK_INTERRUPTIBLE;
const __poll_t RUST_CONST_HELPER_EPOLLIN = EPOLLIN;
const __poll_t RUST_CONST_HELPER_EPOLLOUT = EPOLLOUT;
const __poll_t RUST_CONST_HELPER_EPOLLRDNORM = EPOLLRDNORM;
const __poll_t RUST_CONST_HELPER_EPOLLWRNORM = EPOLLWRNORM;
const __poll_t RUST_CONST_HELPER_EPOLLWRBAND = EPOLLWRBAND;
const __poll_t RUST_CONST_HELPER_EPOLLRDHUP = EPOLLRDHUP;
const __poll_t RUST_CONST_HELPER_EPOLLHUP = EPOLLHUP;
const __poll_t RUST_CONST_HELPER_EPOLLERR = EPOLLERR;
const __poll_t RUST_CONST_HELPER_EPOLLPRI = EPOLLPRI;
const unsigned int RUST_CONST_HELPER_WQ_UNBOUND = WQ_UNBOUND;
const u32 RUST_CONST_HELPER_TOE_VERSION_CURRENT_ = TOE_VERSION_CURRENT;
const u32 RUST_CONST_HELPER_ETHTOOL_COALESCE_RX_USECS = ETHTOOL_COALESCE_RX_USECS;
