// SPDX-License-Identifier: GPL-2.0

//! Segments per second.

mod workload;

use criterion::{criterion_group, criterion_main, Criterion, Throughput};
use workload::{BATCH, WORKLOADS};

fn segments(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("segments");
    group.throughput(Throughput::Elements(u64::from(BATCH)));
    for (name, make) in WORKLOADS {
        let mut workload = make();
        group.bench_function(*name, |bencher| {
            bencher.iter(|| {
                workload.refill();
                for _ in 0..BATCH {
                    workload.step();
                }
            });
        });
        workload.check();
    }
    group.finish();
}

criterion_group!(benches, segments);
criterion_main!(benches);
