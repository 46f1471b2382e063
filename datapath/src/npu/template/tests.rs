// SPDX-License-Identifier: GPL-2.0

use super::*;
use crate::npu::testing::config;
use crate::units::{SeqNum, TsVal};
use crate::wire::options::{SackBlock, Timestamps};

fn meta() -> TcpMeta {
    TcpMeta {
        seq: SeqNum::new(0x0102_0304),
        ack: SeqNum::new(0x0506_0708),
        window: 0x1122,
        flags: tcp::Flags::ACK | tcp::Flags::PSH,
        ect: true,
        timestamps: None,
    }
}

#[test]
fn emit__v4_byte_for_byte() {
    let config = config();
    let template = Template::new(&config.tuple, &config.path);
    let header = template.emit(&meta(), &SackBlocks::default(), Bytes(4), Sum::of(b"data"));
    #[rustfmt::skip]
    let expected = [
        2, 2, 2, 2, 2, 2, 4, 4, 4, 4, 4, 4, 8, 0,
        0x45, 2, 0, 44, 0, 0, 0x40, 0, 64, 6, 0x26, 0xc8, 10, 0, 0, 1, 10, 0, 0, 2,
        0, 80, 0x0f, 0xa0, 1, 2, 3, 4, 5, 6, 7, 8, 0x50, 0x18, 0x11, 0x22, 0x91, 0xdd, 0, 0,
    ];
    assert_eq!(header.bytes(), expected);
    assert_eq!(
        (header.network_offset(), header.transport_offset()),
        (14, 34)
    );
}

#[test]
fn emit__options_and_lengths() {
    let mut config = config();
    let mut meta = meta();
    meta.timestamps = Some(Timestamps {
        val: TsVal(1),
        ecr: TsVal(2),
    });
    let mut sack = SackBlocks::default();
    for n in 1..=3 {
        sack.push(SackBlock {
            start: SeqNum::new(n),
            end: SeqNum::new(n + 1),
        });
    }
    let template = Template::new(&config.tuple, &config.path);
    assert_eq!(
        template
            .emit(&meta, &sack, Bytes::ZERO, Sum::ZERO)
            .bytes()
            .len(),
        14 + 20 + 60
    );
    config.tuple.addresses = Addresses::V6 {
        local: [1; 16],
        remote: [2; 16],
    };
    config.path.link = ethernet::Link::None;
    let template = Template::new(&config.tuple, &config.path);
    let header = template.emit(&meta, &sack, Bytes::ZERO, Sum::ZERO);
    assert_eq!((header.bytes().len(), header.network_offset()), (100, 0));
    assert_eq!(header.bytes()[..8], [0x60, 0x20, 0, 0, 0, 60, 6, 64]);
    let options = options::Options::parse(&header.bytes()[60..]);
    assert_eq!(
        (options.timestamps, options.sack.is_some()),
        (meta.timestamps, true)
    );
}

#[test]
fn emit__traffic_class_and_ecn() {
    let mut config = config();
    config.path.tos = 0xb8 | 3;
    let v4 = Template::new(&config.tuple, &config.path);
    config.tuple.addresses = Addresses::V6 {
        local: [1; 16],
        remote: [2; 16],
    };
    let v6 = Template::new(&config.tuple, &config.path);
    for (ect, ecn) in [(false, 0), (true, 2)] {
        let meta = TcpMeta { ect, ..meta() };
        let emit = |t: &Template| t.emit(&meta, &SackBlocks::default(), Bytes::ZERO, Sum::ZERO);
        assert_eq!(emit(&v4).bytes()[15], 0xb8 | ecn);
        assert_eq!(emit(&v6).bytes()[14..16], [0x6b, 0x80 | (ecn << 4)]);
    }
}
