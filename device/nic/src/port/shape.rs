// SPDX-License-Identifier: GPL-2.0

//! Properties of a link, as they are given on the command line and at the control socket.

use clap::{value_parser, Args, Parser};
use std::{num::ParseIntError, time::Duration};

/// Properties of a link, in the direction frames are sent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args)]
pub struct Shape {
    /// Rate of the link in Mbit/s, for what is sent, as all that follows; 0: unlimited.
    #[arg(long, value_name = "MBIT", default_value = "0", value_parser = mbits)]
    pub rate: u64,
    /// Delay of the link in microseconds.
    #[arg(long, value_name = "USECS", default_value = "0", value_parser = micros)]
    pub delay: Duration,
    /// Bytes that may wait to be sent; 0: unlimited.
    #[arg(long, value_name = "BYTES", default_value_t = 0)]
    pub queue: usize,
    /// Bytes waiting beyond which packets are marked (ECN); 0: never.
    #[arg(long, value_name = "BYTES", default_value_t = 0)]
    pub ecn: usize,
    /// Frames lost, of a million.
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = value_parser!(u32).range(..=MILLION))]
    pub loss: u32,
    /// Frames that overtake others, of a million; needs a delay.
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = value_parser!(u32).range(..=MILLION))]
    pub reorder: u32,
    /// Frames sent twice, of a million.
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = value_parser!(u32).range(..=MILLION))]
    pub duplicate: u32,
    /// Frames in which a bit is flipped behind the Ethernet header, of a million.
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = value_parser!(u32).range(..=MILLION))]
    pub corrupt: u32,
    /// Where the dice for all this begin.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
}

const MILLION: i64 = 1_000_000;

/// Bits per second.
fn mbits(text: &str) -> Result<u64, String> {
    let mbits: u64 = text
        .parse()
        .map_err(|error: ParseIntError| error.to_string())?;
    mbits
        .checked_mul(1_000_000)
        .ok_or_else(|| "no link is as fast as that".into())
}

fn micros(text: &str) -> Result<Duration, ParseIntError> {
    text.parse().map(Duration::from_micros)
}

#[derive(Parser)]
#[command(no_binary_name = true, disable_help_flag = true)]
struct Words {
    #[command(flatten)]
    shape: Shape,
}

impl Shape {
    /// Whether it does anything.
    pub fn is_plain(&self) -> bool {
        self.rate == 0
            && self.delay.is_zero()
            && self.queue == 0
            && self.ecn == 0
            && [self.loss, self.reorder, self.duplicate, self.corrupt] == [0; 4]
    }

    /// From words such as `loss=10000`, named as the options; those not given are as on the command line.
    pub fn parse<'a>(words: impl Iterator<Item = &'a str>) -> Result<Self, String> {
        match Words::try_parse_from(words.map(|word| format!("--{word}"))) {
            Ok(words) => Ok(words.shape),
            Err(error) => {
                let text = error.to_string();
                Err(text.lines().next().unwrap_or_default().to_owned())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Shape, String> {
        Shape::parse(text.split_whitespace())
    }

    #[test]
    fn parse__what_is_not_given_is_plain() {
        let shape = parse("loss=10000 delay=100 rate=10").unwrap();
        assert_eq!(
            shape,
            Shape {
                loss: 10_000,
                delay: Duration::from_micros(100),
                rate: 10_000_000,
                seed: 1,
                ..Shape::default()
            }
        );
        assert!(parse("").unwrap().is_plain());
        for word in ["reorder", "duplicate", "corrupt", "queue", "ecn"] {
            assert!(!parse(&format!("{word}=1")).unwrap().is_plain(), "{word}");
        }
    }

    #[test]
    fn parse__says_what_is_wrong_in_a_line() {
        for text in [
            "loss=1000001",
            "loss",
            "loss=-1",
            "loss=1 loss=2",
            "rate=18446744073710",
            "lost=1",
            "x",
            "-",
            "-- loss=1",
        ] {
            let error = parse(text).unwrap_err();
            assert!(
                error.starts_with("error: ") && !error.contains('\n'),
                "{text}: {error}"
            );
        }
    }
}
