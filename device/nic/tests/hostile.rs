// SPDX-License-Identifier: GPL-2.0

//! A driver that does what it likes: whatever it writes, the device goes on, and leaves others alone.

#![allow(non_snake_case)]

mod guest;

use guest::{
    connection::{End, RING},
    Guest, Queue, BASE, ENTRIES, MEMORY,
};
use toe_nic::{
    device::FEATURES,
    layout::{
        admin, command, control, doorbell, post, reg, status, tx, AdminCommand, Command,
        QueueStatus, RxBuffer, TxDescriptor, CONTEXT_PRIVILEGED, QUEUE_STOPPED,
    },
};
use zerocopy::{FromBytes, IntoBytes};

over_executors! {
    registers_and_admin__anything
    contexts__others_are_unharmed
    pairs__any_descriptor_and_buffer
    network__any_frame
}

/// Numbers that repeat from run to run (Vigna's splitmix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.roll() % n
    }

    /// Often small, often near what counts, sometimes anything.
    fn number(&mut self) -> u32 {
        match self.below(6) {
            0 => self.below(4) as u32,
            1 => self.below(300) as u32,
            2 | 3 if self.below(3) != 0 => self.below(2000) as u32,
            2 => RING.wrapping_add(self.below(5) as u32).wrapping_sub(2),
            3 => (1u32 << self.below(32)).wrapping_sub(self.below(2) as u32),
            4 => u32::MAX - self.below(3) as u32,
            _ => self.roll() as u32,
        }
    }

    fn address(&mut self) -> u64 {
        match self.below(5) {
            0 => BASE + MEMORY - self.below(600),
            1 => self.roll(),
            _ => BASE + self.below(MEMORY) / 64 * 64,
        }
    }

    fn fill<T: FromBytes + IntoBytes>(&mut self) -> T {
        let mut value = T::new_zeroed();
        for byte in value.as_mut_bytes() {
            *byte = if self.below(3) == 0 {
                self.roll() as u8
            } else {
                0
            };
        }
        value
    }

    fn admin_command(&mut self) -> AdminCommand {
        let mut command: AdminCommand = self.fill();
        command.op = self.below(0x24) as u8;
        command.target = match self.below(3) {
            0 => self.number().into(),
            // Handles are of this form.
            _ => (((self.below(4) as u32) << 20) | self.below(4) as u32).into(),
        };
        command.input = self.address().into();
        command.output = self.address().into();
        command.input_len = self.number().into();
        command.output_len = self.number().into();
        command
    }

    fn command(&mut self, handles: &[u32]) -> Command {
        let mut command: Command = self.fill();
        let usual = [
            command::POST,
            command::POST,
            command::POST,
            command::SET_MODE,
            command::FENCE,
            command::NOP,
        ];
        let refused = [
            command::SET_CWND,
            command::SET_RATE,
            command::SET_PATH,
            command::RESET,
            command::POST,
            99,
        ];
        let at = self.below(6) as usize;
        if self.below(30) == 0 {
            command.op = refused[at];
            command.flags &= post::ALL;
        } else {
            command.op = usual[at];
            command.flags &= match command.op {
                command::POST => post::FIN | post::KICK,
                command::SET_MODE => 0x30,
                _ => 0,
            };
        }
        command.connection = match self.below(8) {
            0 => self.number(),
            _ => handles[self.below(handles.len() as u64) as usize],
        }
        .into();
        let words = [self.number(), self.number()];
        command.data[..8].copy_from_slice(words.as_bytes());
        command
    }

    fn descriptor(&mut self) -> TxDescriptor {
        let mut descriptor: TxDescriptor = self.fill();
        descriptor.addr = self.address().into();
        descriptor.len = (self.number() % (tx::MAX_FRAME as u32 * 2)).into();
        descriptor.flags = ((self.roll() as u16) & tx::ALL).into();
        descriptor
    }
}

/// Runs the device for a while, whether it comes to rest or not.
fn run(guest: &mut Guest) {
    for _ in 0..4 {
        guest.now += std::time::Duration::from_micros(10);
        guest.nic.run(guest.now);
    }
}

fn is_stopped(guest: &Guest, queue: &Queue) -> bool {
    guest.read::<QueueStatus>(queue.status).flags.get() & QUEUE_STOPPED != 0
}

/// A million in the long run, which `TOE_HOSTILE_ROUNDS` asks for.
fn rounds() -> u64 {
    std::env::var("TOE_HOSTILE_ROUNDS")
        .ok()
        .and_then(|rounds| rounds.parse().ok())
        .unwrap_or(20_000)
}

fn registers_and_admin__anything() {
    let mut dice = Dice(1);
    let mut guest = Guest::enabled();
    for _ in 0..rounds() {
        if guest.status() & status::READY == 0 || dice.below(500) == 0 {
            guest = Guest::new(Default::default());
            guest.enable(FEATURES);
            guest.create_context(0, CONTEXT_PRIVILEGED);
            guest.create_pair(0);
        }
        match dice.below(20) {
            0 => {
                let offset = dice.below(reg::ADMIN_VECTOR + 8);
                // Not a reset each time.
                let value = dice.number() & !control::RESET;
                guest.nic.write_register(offset, value);
            }
            1 => {
                guest.nic.read_register(dice.below(0x1100));
            }
            2 => {
                let queue = dice.below(50) as u32;
                guest.ring_doorbell(queue, dice.below(48) * 4, dice.number());
            }
            _ => {
                let command = dice.admin_command();
                guest.submit_blindly(&command);
            }
        }
        run(&mut guest);
    }
}

fn contexts__others_are_unharmed() {
    let mut dice = Dice(2);
    for _ in 0..rounds() / 200 {
        let mut guest = Guest::enabled();
        let mut good = guest.create_context(0, CONTEXT_PRIVILEGED);
        let mut bad = guest.create_context(1, 0);
        let claim = guest.claim(&End::A.tuple(0));
        let mut safe = guest.install(claim, End::A.state(0, 0));
        let mut handles = vec![safe.handle];
        for number in 1..4 {
            let claim = guest.claim(&End::A.tuple(number));
            handles.push(guest.install(claim, End::A.state(number, 1)).handle);
        }
        let mut sent = 0;
        for _ in 0..200 {
            if is_stopped(&guest, &bad) {
                break;
            }
            let from = usize::from(dice.below(50) != 0);
            let command = dice.command(&handles[from..]);
            guest.push(&mut bad, &command);
            if dice.below(100) == 0 {
                guest.ring_doorbell(bad.number, doorbell::SQ_TAIL, dice.number());
            }
            if dice.below(100) == 0 {
                guest.ring_doorbell(bad.number, doorbell::CQ_HEAD, dice.number());
            }
            run(&mut guest);
            if dice.below(10) == 0 && sent < 500 {
                guest.send(&mut good, &mut safe, b"x");
                sent += 1;
            }
        }
        guest.run();
        guest.listen(&mut good, &mut safe);
        assert!(!is_stopped(&guest, &good));
        assert_eq!(safe.stopped, None);
        let state = guest
            .state(admin::READ, safe.handle, 0)
            .expect("it is there")
            .connection;
        assert_eq!(state.tx_tail.get(), sent);
    }
}

fn pairs__any_descriptor_and_buffer() {
    let mut dice = Dice(3);
    for _ in 0..rounds() / 200 {
        let mut guest = Guest::enabled();
        let mut bad = guest.create_pair(0);
        let other = guest.create_pair(1);
        for _ in 0..200 {
            if is_stopped(&guest, &bad) {
                break;
            }
            let descriptor = dice.descriptor();
            guest.push(&mut bad, &descriptor);
            let mut buffer: RxBuffer = dice.fill();
            buffer.addr = dice.address().into();
            buffer.len = dice.number().into();
            guest.write(bad.rq + u64::from(bad.rq_tail % ENTRIES) * 16, &buffer);
            bad.rq_tail += 1;
            guest.ring_doorbell(bad.number, doorbell::RQ_TAIL, bad.rq_tail);
            let len = 14 + dice.below(2000) as usize;
            let frame = [vec![0xff; 6], vec![dice.roll() as u8; len]].concat();
            guest.port.frames().arriving.push_back(frame);
            run(&mut guest);
        }
        assert!(!is_stopped(&guest, &other));
        assert_eq!(guest.submit(AdminCommand::zeroed()).status.get(), 0);
    }
}

fn network__any_frame() {
    let mut dice = Dice(4);
    let mut guest = Guest::enabled();
    let mut queue = guest.create_context(0, CONTEXT_PRIVILEGED);
    let claim = guest.claim(&End::A.tuple(0));
    let mut connection = guest.install(claim, End::A.state(0, 0));
    let mut peer = Guest::enabled_as(End::B.address());
    let mut peers_queue = peer.create_context(0, CONTEXT_PRIVILEGED);
    let claim = peer.claim(&End::B.tuple(0));
    let mut peers = peer.install(claim, End::B.state(0, 0));
    peer.send(&mut peers_queue, &mut peers, &[7; 1000]);
    peer.run();
    let seed = peer.port.frames().sent.remove(0);
    for _ in 0..rounds() {
        let mut frame = seed.clone();
        for _ in 0..dice.below(4) {
            let at = dice.below(frame.len() as u64) as usize;
            frame[at] = dice.roll() as u8;
        }
        if dice.below(4) == 0 {
            frame.truncate(dice.below(frame.len() as u64) as usize);
        }
        guest.port.frames().arriving.push_back(frame);
        run(&mut guest);
        guest.port.frames().sent.clear();
        guest.listen(&mut queue, &mut connection);
    }
    assert_eq!(connection.stopped, None);
    assert!(!is_stopped(&guest, &queue));
    assert!(connection.rx_tail.wrapping_sub(connection.rx_head) <= RING);
}
