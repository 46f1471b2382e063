// SPDX-License-Identifier: GPL-2.0

//! Which executor runs the stages, as one says it on a command line.

use std::fmt;
use std::num::NonZeroUsize;
use std::str::FromStr;

/// Most threads of a kind.
const MOST: usize = 64;

/// Which executor runs the stages.
///
/// As text: `inline`, or `pipelined` followed by any of `,pre=N`, `,post=N`, `,dma=N`, `,groups=N`, each 1 if not
/// given; `dma=0` leaves DMA to the post-processing stage's threads.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Stages {
    /// All stages to completion, on the caller's thread.
    #[default]
    Inline,
    /// A thread for each stage, or several.
    Pipelined(Replicas),
}

/// How many threads run each stage.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Replicas {
    /// Of the pre-processing stage.
    pub pre: NonZeroUsize,
    /// Of the post-processing stage.
    pub post: NonZeroUsize,
    /// Of the DMA stage; with none, the post-processing stage's threads do it.
    pub dma: usize,
    /// Flow-groups: each has a thread for its protocol stage, and one for the wire and the context queues.
    pub groups: NonZeroUsize,
}

impl Default for Replicas {
    fn default() -> Self {
        Self {
            pre: NonZeroUsize::MIN,
            post: NonZeroUsize::MIN,
            dma: 1,
            groups: NonZeroUsize::MIN,
        }
    }
}

impl Stages {
    /// How many flow-groups there are.
    pub fn groups(&self) -> usize {
        match self {
            Self::Inline => 1,
            Self::Pipelined(replicas) => replicas.groups.get(),
        }
    }
}

/// A text that names no executor.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StagesError(String);

impl fmt::Display for StagesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "'{}' is no choice of stages: say 'inline', or 'pipelined' with any of ',pre=N,post=N,dma=N,groups=N' \
             (1 to {MOST}; dma may be 0)",
            self.0
        )
    }
}

impl std::error::Error for StagesError {}

impl FromStr for Stages {
    type Err = StagesError;

    fn from_str(text: &str) -> Result<Self, StagesError> {
        parse(text).ok_or_else(|| StagesError(text.to_owned()))
    }
}

fn parse(text: &str) -> Option<Stages> {
    if text == "inline" {
        return Some(Stages::Inline);
    }
    let mut parts = text.split(',');
    if parts.next() != Some("pipelined") {
        return None;
    }
    let mut replicas = Replicas::default();
    for part in parts {
        let (name, number) = part.split_once('=')?;
        let number: usize = number.parse().ok().filter(|&number| number <= MOST)?;
        match name {
            "pre" => replicas.pre = NonZeroUsize::new(number)?,
            "post" => replicas.post = NonZeroUsize::new(number)?,
            "dma" => replicas.dma = number,
            "groups" => replicas.groups = NonZeroUsize::new(number)?,
            _ => return None,
        }
    }
    Some(Stages::Pipelined(replicas))
}

impl fmt::Display for Stages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inline => write!(f, "inline"),
            Self::Pipelined(Replicas {
                pre,
                post,
                dma,
                groups,
            }) => write!(
                f,
                "pipelined,pre={pre},post={post},dma={dma},groups={groups}"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages__text_and_back() {
        for text in ["inline", "pipelined,pre=2,post=3,dma=0,groups=4"] {
            assert_eq!(text.parse::<Stages>().unwrap().to_string(), text);
        }
        let short: Stages = "pipelined,groups=2".parse().unwrap();
        assert_eq!(short.to_string(), "pipelined,pre=1,post=1,dma=1,groups=2");
        assert_eq!(short.groups(), 2);
    }

    #[test]
    fn stages__refuses_nonsense() {
        for text in [
            "",
            "inlined",
            "inline,pre=1",
            "pipelined,",
            "pipelined,pre=0",
            "pipelined,groups=65",
            "pipelined,dma=-1",
            "pipelined,wire=1",
        ] {
            let error = text.parse::<Stages>().unwrap_err().to_string();
            assert!(error.contains("pipelined"), "{error}");
        }
    }
}
