// SPDX-License-Identifier: GPL-2.0

//! TCP options (RFC 9293, section 3.2; RFC 7323; RFC 2018).

use super::{be32, put32};
use crate::units::{SeqNum, TsVal};

const END: u8 = 0;
const NOP: u8 = 1;
const MSS: u8 = 2;
const WINDOW_SCALE: u8 = 3;
const SACK: u8 = 5;
const TIMESTAMPS: u8 = 8;

/// Length of the timestamps option padded to four bytes.
pub const TIMESTAMPS_LEN: usize = 12;
/// The padded timestamps option's first four bytes: two NOPs, kind, length.
pub const TIMESTAMPS_PREFIX: [u8; 4] = [NOP, NOP, TIMESTAMPS, 10];

/// The timestamps option.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Timestamps {
    /// The sender's clock.
    pub val: TsVal,
    /// The clock value it echoes.
    pub ecr: TsVal,
}

/// A range of sequence numbers the sender of a SACK option has received.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SackBlock {
    /// First sequence number received.
    pub start: SeqNum,
    /// First sequence number after it not received.
    pub end: SeqNum,
}

/// The options of a segment that anyone here wants to know.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Options {
    /// Maximum segment size.
    pub mss: Option<u16>,
    /// Window scale shift count, not checked.
    pub window_scale: Option<u8>,
    /// Timestamps.
    pub timestamps: Option<Timestamps>,
    /// First block of a SACK option.
    pub sack: Option<SackBlock>,
}

impl Options {
    /// Reads the options area of a header; what is malformed ends it, what is unknown is skipped.
    //= https://www.rfc-editor.org/rfc/rfc9293#section-3.1
    //# A TCP implementation MUST (MUST-6) ignore without error any TCP
    //# Option it does not implement, assuming that the option has a length
    //# field.
    pub fn parse(mut area: &[u8]) -> Self {
        let mut out = Self::default();
        while let [kind, rest @ ..] = area {
            match *kind {
                END => break,
                NOP => area = rest,
                kind => {
                    //= https://www.rfc-editor.org/rfc/rfc9293#section-3.1
                    //# TCP implementations MUST be prepared to
                    //# handle an illegal option length (e.g., zero);
                    let Some((option, next)) = rest
                        .first()
                        .and_then(|&len| area.split_at_checked(usize::from(len)))
                    else {
                        break;
                    };
                    let Some(value) = option.get(2..) else { break };
                    out.set(kind, value);
                    area = next;
                }
            }
        }
        out
    }

    fn set(&mut self, kind: u8, value: &[u8]) {
        match (kind, value) {
            (MSS, &[a, b]) => self.mss = Some(u16::from_be_bytes([a, b])),
            (WINDOW_SCALE, &[shift]) => self.window_scale = Some(shift),
            (TIMESTAMPS, value) => {
                if let Ok(value) = <&[u8; 8]>::try_from(value) {
                    self.timestamps = Some(timestamps(value));
                }
            }
            (SACK, value) => {
                if let Some(block) = value.first_chunk::<8>() {
                    self.sack = Some(SackBlock {
                        start: SeqNum::new(be32(block, 0)),
                        end: SeqNum::new(be32(block, 4)),
                    });
                }
            }
            _ => {}
        }
    }
}

#[inline]
fn timestamps(value: &[u8; 8]) -> Timestamps {
    Timestamps {
        val: TsVal(be32(value, 0)),
        ecr: TsVal(be32(value, 4)),
    }
}

/// Reads an options area that holds the padded timestamps option and nothing else, as nearly all do.
#[inline]
pub fn timestamps_only(area: &[u8]) -> Option<Timestamps> {
    let area = <&[u8; TIMESTAMPS_LEN]>::try_from(area).ok()?;
    let [p0, p1, p2, p3, v0, v1, v2, v3, e0, e1, e2, e3] = *area;
    if [p0, p1, p2, p3] != TIMESTAMPS_PREFIX {
        return None;
    }
    Some(timestamps(&[v0, v1, v2, v3, e0, e1, e2, e3]))
}

/// Writes, at `at`, the padded timestamps option.
#[inline]
pub(crate) fn emit_timestamps<const LEN: usize>(bytes: &mut [u8; LEN], at: usize, ts: Timestamps) {
    put32(bytes, at, u32::from_be_bytes(TIMESTAMPS_PREFIX));
    put32(bytes, at + 4, ts.val.0);
    put32(bytes, at + 8, ts.ecr.0);
}

/// Most SACK blocks that fit beside the timestamps option.
pub const MAX_SACK_BLOCKS: usize = 3;

/// The blocks of a SACK option to send.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SackBlocks {
    blocks: [SackBlock; MAX_SACK_BLOCKS],
    len: u8,
}

impl SackBlocks {
    /// Adds a block; without effect when there is no room left.
    pub fn push(&mut self, block: SackBlock) {
        if let Some(slot) = self.blocks.get_mut(usize::from(self.len)) {
            *slot = block;
            self.len += 1;
        }
    }

    /// The blocks.
    pub fn iter(&self) -> impl Iterator<Item = &SackBlock> {
        self.blocks.iter().take(usize::from(self.len))
    }

    /// Whether there is none.
    #[inline]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Length of the option, padded to four bytes; none without blocks.
    #[inline]
    pub const fn option_len(&self) -> usize {
        if self.len == 0 {
            0
        } else {
            4 + 8 * self.len as usize
        }
    }

    /// Writes the padded option into the first [`SackBlocks::option_len`] bytes of `area`.
    pub(crate) fn emit(&self, area: &mut [u8]) {
        let Some((prefix, mut area)) = area.split_at_mut_checked(4) else {
            return;
        };
        prefix.copy_from_slice(&[NOP, NOP, SACK, 2 + 8 * self.len]);
        for block in self.iter() {
            let Some((slot, rest)) = area.split_at_mut_checked(8) else {
                return;
            };
            slot[..4].copy_from_slice(&block.start.get().to_be_bytes());
            slot[4..].copy_from_slice(&block.end.get().to_be_bytes());
            area = rest;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn parse__syn_options() {
        let out = Options::parse(&[
            2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2, 1, 3, 3, 7,
        ]);
        assert_eq!(out.mss, Some(1460));
        assert_eq!(out.window_scale, Some(7));
        assert_eq!(
            out.timestamps,
            Some(Timestamps {
                val: TsVal(1),
                ecr: TsVal(2)
            })
        );
        assert_eq!(out.sack, None);
    }

    #[test]
    fn parse__unknown_is_skipped() {
        let out = Options::parse(&[254, 6, 8, 10, 0, 0, 3, 3, 9, 0]);
        assert_eq!(
            out,
            Options {
                window_scale: Some(9),
                ..Options::default()
            }
        );
    }

    #[test]
    fn parse__illegal_length_ends_it() {
        for area in [
            &[8, 0, 3, 3, 1][..],
            &[8, 1, 3, 3, 1],
            &[8, 200, 3, 3, 1],
            &[8],
        ] {
            assert_eq!(Options::parse(area), Options::default());
        }
        let wrong_length = Options::parse(&[8, 4, 0, 0, 3, 3, 1]);
        assert_eq!(
            wrong_length,
            Options {
                window_scale: Some(1),
                ..Options::default()
            }
        );
    }

    #[test]
    fn emit__round_trip() {
        let ts = Timestamps {
            val: TsVal(0x0102_0304),
            ecr: TsVal(u32::MAX),
        };
        let mut area = [0; TIMESTAMPS_LEN];
        emit_timestamps(&mut area, 0, ts);
        assert_eq!(timestamps_only(&area), Some(ts));
        assert_eq!(Options::parse(&area).timestamps, Some(ts));
    }

    #[test]
    fn sack__round_trip() {
        let block = SackBlock {
            start: SeqNum::new(u32::MAX),
            end: SeqNum::new(7),
        };
        let mut blocks = SackBlocks::default();
        assert_eq!(blocks.option_len(), 0);
        for _ in 0..4 {
            blocks.push(block);
        }
        assert_eq!((blocks.iter().count(), blocks.option_len()), (3, 28));
        let mut area = [0; 28];
        blocks.emit(&mut area);
        assert_eq!(Options::parse(&area).sack, Some(block));
    }

    proptest::proptest! {
        #[test]
        fn parse__never_panics(area: Vec<u8>) {
            let out = Options::parse(&area);
            if let Some(ts) = timestamps_only(&area) {
                proptest::prop_assert_eq!(out.timestamps, Some(ts));
            }
        }
    }
}
