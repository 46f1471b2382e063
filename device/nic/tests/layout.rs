// SPDX-License-Identifier: GPL-2.0

//! The layouts here are those of uapi/toe_device.h, as a C compiler sees it.

#![allow(non_snake_case)]

use std::{fmt::Write, fs, process::Command};
use toe_nic::layout::{self as l, stat, Error, Status};

/// Field names that C and Rust can't have in common.
const RENAMED: &[(&str, &str)] = &[
    ("input", "in"),
    ("input_len", "in_len"),
    ("output", "out"),
    ("output_len", "out_len"),
    ("values", "rx_segments"),
];

/// Values of the C expressions.
fn evaluate(name: &str, expressions: &[String]) -> Vec<u64> {
    let folder = std::env::temp_dir().join(format!("toe-{name}-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let mut source = String::from(
        "#include <stddef.h>\n#include <stdio.h>\n#include \"toe_device.h\"\nint main(void)\n{\n",
    );
    for expression in expressions {
        writeln!(
            source,
            "printf(\"%llu\\n\", (unsigned long long)({expression}));"
        )
        .unwrap();
    }
    source.push_str("}\n");
    fs::write(folder.join("layout.c"), source).unwrap();
    let uapi = concat!(env!("CARGO_MANIFEST_DIR"), "/../../uapi");
    let compiled = Command::new("cc")
        .current_dir(&folder)
        .args(["-Wall", "-Werror", "-I", uapi, "-o", "layout", "layout.c"])
        .status()
        .expect("a C compiler");
    assert!(compiled.success());
    let output = Command::new(folder.join("layout")).output().unwrap();
    fs::remove_dir_all(&folder).unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| line.parse().unwrap()).collect()
}

macro_rules! structures {
    ($($rust:ident = $c:literal,)+) => {
        [$(($c, size_of::<l::$rust>(), l::$rust::FIELDS),)+]
    };
}

#[test]
fn structures__as_in_the_header() {
    let structures = structures! {
        QueueStatus = "toe_queue_status",
        AdminCommand = "toe_admin_command",
        AdminCompletion = "toe_admin_completion",
        ContextSetup = "toe_context_setup",
        PairSetup = "toe_pair_setup",
        Rss = "toe_rss",
        Neighbour = "toe_neighbour",
        Command = "toe_command",
        Notification = "toe_notification",
        TxDescriptor = "toe_tx_descriptor",
        RxBuffer = "toe_rx_buffer",
        RxCompletion = "toe_rx_completion",
        Tuple = "toe_tuple",
        Path = "toe_path",
        Connection = "toe_connection",
        Install = "toe_install",
        RecordCopy = "toe_record_copy",
        Counters = "toe_connection_counters",
        ConnectionRead = "toe_connection_read",
    };
    let mut expressions = Vec::new();
    let mut expected = Vec::new();
    for (name, size, fields) in structures {
        expressions.push(format!("sizeof(struct {name})"));
        expected.push(size as u64);
        for (field, offset) in fields {
            let renamed = RENAMED.iter().find(|(rust, _)| rust == field);
            let field = renamed.map_or(*field, |(_, c)| c);
            expressions.push(format!("offsetof(struct {name}, {field})"));
            expected.push(*offset as u64);
        }
    }
    compare("structures", &expressions, &expected);
}

fn compare(name: &str, expressions: &[String], expected: &[u64]) {
    let values = evaluate(name, expressions);
    assert_eq!(values.len(), expected.len());
    for ((expression, value), expected) in expressions.iter().zip(values).zip(expected) {
        assert_eq!(value, *expected, "{expression}");
    }
}

macro_rules! constants {
    ($($module:ident: $prefix:literal { $($name:ident)+ })+) => {
        [$($((concat!($prefix, stringify!($name)), u64::from(l::$module::$name)),)+)+]
    };
}

#[test]
fn constants__as_in_the_header() {
    let named = constants! {
        reg: "TOE_REG_" {
            MAGIC VERSION VERSION_OLDEST VERSION_USED FEATURES_LO FEATURES_HI FEATURES_USED_LO
            FEATURES_USED_HI CONTROL STATUS ERROR ERROR_INFO MAX_CONTEXTS MAX_QUEUE_PAIRS
            MAX_CONNECTIONS MAX_ENTRIES VECTORS MAX_MTU MAX_TSO LINK_SPEED MAC_LO MAC_HI TIME_LO
            TIME_HI ADMIN_SQ_LO ADMIN_SQ_HI ADMIN_CQ_LO ADMIN_CQ_HI ADMIN_STATUS_LO ADMIN_STATUS_HI
            ADMIN_SQ_ENTRIES ADMIN_CQ_ENTRIES ADMIN_VECTOR KICK
        }
        control: "TOE_CONTROL_" { ENABLE RESET }
        status: "TOE_STATUS_" { READY FAILED RESETTING LINK }
        feature: "TOE_F_" {
            NPU RMT IPV6 SACK ECN VLAN RATE USER_CONTEXTS XDP CAPTURE RX_CSUM TX_CSUM TSO LRO RSS
            VLAN_OFFLOAD RX_FILTER
        }
        admin: "TOE_ADMIN_" {
            NOP SET_TIME CREATE_CONTEXT DESTROY_CONTEXT CREATE_PAIR DESTROY_PAIR SET_MODERATION
            SET_RSS SET_RX_MODE SET_MTU GET_STATS SELF_TEST CLAIM INSTALL RELEASE READ QUIESCE
            RESUME REMOVE EXECUTE SET_NEIGHBOUR CAPTURE LOAD_PROGRAM
        }
        kind: "TOE_ADMIN_KIND_" { DONE LINK QUEUE_STOPPED }
        rx_mode: "TOE_RX_" { UNICAST BROADCAST ALL_MULTICAST PROMISCUOUS }
        command: "TOE_COMMAND_" { NOP POST SET_MODE FENCE SET_CWND SET_RATE SET_PATH RESET WATCH }
        post: "TOE_POST_" { FIN RETRANSMIT ACK_NOW PROBE KEEPALIVE KICK }
        notify: "TOE_NOTIFY_" { DATA PUNT STOPPED FENCE }
        event: "TOE_EVENT_" {
            PEER_FIN FIN_ACKED FAST_RETRANSMIT WINDOW_OPENED REPORT CWND_LIMITED
        }
        tx: "TOE_TX_" { END CSUM TSO VLAN MAX_DESCRIPTORS }
        rx: "TOE_RX_" { END CSUM_OK CSUM_BAD VLAN }
        hash: "TOE_HASH_" { NONE L3 L4 }
        conn: "TOE_CONN_" {
            TIMESTAMPS ECN ACCURATE_ECN SACK NODELAY CORK FIN_QUEUED FIN_ACKED PEER_FIN
        }
        state: "TOE_CONNECTION_" { LIVE QUIESCED }
        wait: "TOE_WAIT_" { ACK_DELAYED IN_FLIGHT PERSIST }
    };
    let others = [
        ("TOE_PCI_VENDOR", u64::from(l::PCI_VENDOR)),
        ("TOE_PCI_DEVICE", l::PCI_DEVICE.into()),
        ("TOE_MSIX_PBA_OFFSET", l::MSIX_PBA_OFFSET.into()),
        ("TOE_MAGIC", l::MAGIC.into()),
        ("TOE_VERSION_CURRENT", l::VERSION.into()),
        ("TOE_MIN_ENTRIES", l::MIN_ENTRIES.into()),
        ("TOE_MIN_MAX_ENTRIES", l::MIN_MAX_ENTRIES.into()),
        ("TOE_KICK_PAGE(0)", l::PAGE_SIZE),
        ("TOE_TX_MAX_FRAME", l::tx::MAX_FRAME as u64),
        ("TOE_ERROR_PERMISSION", Error::Permission as u64),
        ("TOE_ERROR_CONTEXT", Error::Context as u64),
        ("TOE_MAX_ACK_DELAY", l::MAX_ACK_DELAY.into()),
        ("TOE_STATUS_TEST_FAILED", Status::TestFailed as u64),
        ("TOE_STATUS_CONFIG_FIELD", Status::ConfigField as u64),
        ("TOE_STAT_TX_DROPPED", stat::TX_DROPPED as u64),
        ("TOE_STAT_QUEUES_STOPPED", stat::QUEUES_STOPPED as u64),
        ("TOE_STAT_KICKS", stat::KICKS as u64),
        ("TOE_STAT_INTERRUPTS", stat::INTERRUPTS as u64),
        ("TOE_STAT_COUNTERS", stat::COUNTERS as u64),
        ("TOE_STAT_DROP_IP_CHECKSUM", stat::DROPS as u64),
        ("TOE_STAT_DROP_NO_TIMESTAMP", stat::DROPS as u64 + 8),
        ("TOE_STAT_PUNT_NOT_TCP", stat::PUNTS as u64),
        ("TOE_STAT_PUNT_NO_ACK", stat::PUNTS as u64 + 7),
        ("TOE_STAT_END", stat::END as u64),
        (
            "offsetof(struct toe_doorbell, rq_tail)",
            l::doorbell::RQ_TAIL,
        ),
        ("offsetof(struct toe_doorbell, cq_arm)", l::doorbell::CQ_ARM),
        ("offsetof(struct toe_record, counters)", l::RECORD_COUNTERS),
    ];
    let (expressions, expected): (Vec<_>, Vec<_>) = named
        .into_iter()
        .chain(others)
        .map(|(name, value)| (name.to_owned(), value))
        .unzip();
    compare("constants", &expressions, &expected);
}
