// SPDX-License-Identifier: GPL-2.0
//! What a NIC is ordered to do with a connection, now or as soon as there is room for the command.

use super::{convert, message, PciConnection, Phase, State};
use crate::net::{context::BhDisabled, device_abi as abi, errno::ENOTCONN};
use datapath::npu::meta::Command;
use kernel::prelude::*;

/// An order. Of several of a kind one is enough, as of the newest state: none says how things change.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Path,
    Mode,
    Cwnd,
    Watch,
    Post,
    Reset,
}

/// Orders that the NIC was not given yet.
#[derive(Default)]
pub(super) struct Orders {
    kinds: u8,
    /// Flags of `TOE_COMMAND_POST`.
    post: u8,
}

impl Orders {
    /// In the order in which they are given when several wait.
    const ALL: [Order; 6] = [
        Order::Path,
        Order::Mode,
        Order::Cwnd,
        Order::Watch,
        Order::Post,
        Order::Reset,
    ];

    /// What the next [`Order::Post`] is to bring about besides.
    #[inline]
    pub(super) fn add_to_post(&mut self, commands: Command) {
        self.post |= message::post_flags(commands);
    }

    fn contains(&self, order: Order) -> bool {
        self.kinds & (1 << order as u8) != 0
    }

    fn insert(&mut self, order: Order) {
        self.kinds |= 1 << order as u8;
    }

    #[inline]
    fn remove(&mut self, order: Order) {
        self.kinds &= !(1 << order as u8);
        if order == Order::Post {
            self.post = 0;
        }
    }
}

impl PciConnection {
    /// Does `change` to the state of the connection while it is carried, then has the NIC follow.
    #[inline]
    pub(super) fn change(&self, order: Order, change: impl FnOnce(&mut State) -> Result) -> Result {
        let bh = BhDisabled::new();
        let mut state = self.state.lock(&bh);
        if state.phase != Phase::Live || self.is_abandoned() {
            return Err(ENOTCONN.into());
        }
        change(&mut state)?;
        // Under the lock: positions must not go back.
        self.give(&mut state, order, &bh);
        Ok(())
    }

    /// Gives the NIC the orders that wait, as far as there is room; returns whether none is left.
    pub(in super::super) fn go_on(&self, bh: &BhDisabled) -> bool {
        let mut state = self.state.lock(bh);
        if state.phase == Phase::Gone || self.is_abandoned() {
            return true;
        }
        for order in Orders::ALL {
            if state.orders.contains(order) && !self.give(&mut state, order, bh) {
                return false;
            }
        }
        true
    }

    /// Gives the NIC an order as of `state`; returns whether there was room, else the order waits.
    #[inline]
    fn give(&self, state: &mut State, order: Order, bh: &BhDisabled) -> bool {
        let command = self.command(state, order);
        let given = self.context.submit(&command, self.cookie, bh);
        if given {
            state.orders.remove(order);
        } else {
            state.orders.insert(order);
        }
        given
    }

    #[inline]
    fn command(&self, state: &State, order: Order) -> abi::Command {
        let (handle, config) = (self.handle, &state.config);
        let value = |op, flags, value| abi::value_command(op, handle, flags, value);
        match order {
            Order::Post => {
                let (tx_tail, rx_head) = state.known.posted();
                abi::post_command(handle, state.orders.post, tx_tail, rx_head)
            }
            Order::Path => {
                // Can't fail: it was converted before it became this.
                let path = convert::path(&config.path).unwrap_or_default();
                abi::path_command(handle, path)
            }
            Order::Mode => {
                let flag = |on, flag| if on { flag } else { 0 };
                let nodelay = flag(config.nodelay, abi::CONN_NODELAY);
                let cork = flag(config.cork, abi::CONN_CORK);
                value(abi::COMMAND_SET_MODE, (nodelay | cork) as u8, 0)
            }
            Order::Cwnd => value(abi::COMMAND_SET_CWND, 0, config.cwnd.0.into()),
            Order::Watch => value(abi::COMMAND_WATCH, 0, 0),
            Order::Reset => value(abi::COMMAND_RESET, 0, 0),
        }
    }
}
