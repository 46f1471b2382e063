// SPDX-License-Identifier: GPL-2.0

//! Serves the device over vfio-user, and keeps it running.

use crate::{
    device::{Config, Nic},
    host::Wakeup,
    layout::{reg, PAGE_SIZE},
    pci::{ConfigSpace, CONFIG_SIZE, MSIX_SIZE},
};
use anyhow::{Context, Result};
use rustix::event::{poll, PollFd, PollFlags, Timespec};
use std::{
    fs::File,
    io,
    os::fd::{AsFd, OwnedFd},
    path::Path,
    sync::{
        atomic::{AtomicU64, AtomicUsize, Ordering},
        Arc, Mutex, MutexGuard, PoisonError,
    },
    thread,
    time::{Duration, Instant},
};
use vfio_bindings::bindings::vfio::{
    vfio_region_info, vfio_region_sparse_mmap_area, VFIO_IRQ_INFO_EVENTFD, VFIO_IRQ_INFO_NORESIZE,
    VFIO_IRQ_SET_DATA_EVENTFD, VFIO_PCI_BAR0_REGION_INDEX, VFIO_PCI_BAR2_REGION_INDEX,
    VFIO_PCI_BAR4_REGION_INDEX, VFIO_PCI_CONFIG_REGION_INDEX, VFIO_PCI_MSIX_IRQ_INDEX,
    VFIO_PCI_NUM_IRQS, VFIO_PCI_NUM_REGIONS, VFIO_REGION_INFO_FLAG_MMAP,
    VFIO_REGION_INFO_FLAG_READ, VFIO_REGION_INFO_FLAG_WRITE,
};
use vfio_user::{
    DmaMapFlags, DmaUnmapFlags, IrqInfo, Server, ServerBackend, ServerRegion, SparseArea,
};

/// The device, shared by the thread that runs it and the one that serves its registers.
pub struct Shared {
    nic: Mutex<Nic>,
    /// Threads that want the device from the one that runs it.
    waiting: AtomicUsize,
    wakeup: Arc<Wakeup>,
    /// How long to look for work before sleeping.
    spin: Duration,
}

/// Longest sleep: by then the state of the port is looked at.
const LONGEST_SLEEP: Duration = Duration::from_millis(100);

impl Shared {
    /// Shares a device that is to look for work for `spin` before it sleeps.
    pub fn new(nic: Nic, spin: Duration) -> Arc<Self> {
        Arc::new(Self {
            wakeup: Arc::clone(&nic.host.wakeup),
            nic: Mutex::new(nic),
            waiting: AtomicUsize::new(0),
            spin,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Nic> {
        self.nic.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something with the device while it doesn't run.
    pub fn with<R>(&self, f: impl FnOnce(&mut Nic) -> R) -> R {
        self.waiting.fetch_add(1, Ordering::AcqRel);
        let mut nic = self.lock();
        self.waiting.fetch_sub(1, Ordering::AcqRel);
        f(&mut nic)
    }

    /// Wakes the thread that runs the device.
    pub fn wake(&self) {
        self.wakeup.wake();
    }

    /// Runs the device for ever.
    pub fn run(&self) -> ! {
        let mut busy = Instant::now();
        loop {
            while self.waiting.load(Ordering::Acquire) > 0 {
                thread::yield_now();
            }
            let mut nic = self.lock();
            let now = Instant::now();
            let progress = nic.run(now);
            if progress.worked {
                busy = now;
                continue;
            }
            if now.saturating_duration_since(busy) < self.spin {
                drop(nic);
                std::hint::spin_loop();
                continue;
            }
            if nic.prepare_sleep() {
                let readable = nic.readable().and_then(|fd| fd.try_clone_to_owned().ok());
                drop(nic);
                let longest = progress
                    .deadline
                    .map_or(LONGEST_SLEEP, |at| at.saturating_duration_since(now));
                self.sleep(readable, longest.min(LONGEST_SLEEP));
                self.lock().wake();
            }
            busy = Instant::now();
        }
    }

    fn sleep(&self, readable: Option<OwnedFd>, longest: Duration) {
        let mut fds = vec![PollFd::from_borrowed_fd(self.wakeup.fd(), PollFlags::IN)];
        if let Some(fd) = &readable {
            fds.push(PollFd::from_borrowed_fd(fd.as_fd(), PollFlags::IN));
        }
        let timeout = Timespec::try_from(longest).ok();
        // Whatever ends it, there is no harm in looking.
        let _ = poll(&mut fds, timeout.as_ref());
        self.wakeup.clear();
    }
}

/// What vfio-user asks for.
struct Backend {
    shared: Arc<Shared>,
    config: Config,
    space: ConfigSpace,
    kicks: Arc<AtomicU64>,
}

impl Backend {
    fn reset(&mut self) {
        self.space = ConfigSpace::new(&self.config);
        self.shared.with(|nic| {
            nic.reset();
            nic.host.memory.set_bus_master(false);
        });
    }

    fn read_register(&self, offset: u64, data: &mut [u8]) {
        let value = match data.len() {
            4 if offset < PAGE_SIZE && offset % 4 == 0 => {
                self.shared.with(|nic| nic.read_register(offset))
            }
            _ => u32::MAX,
        };
        for (place, byte) in data.iter_mut().zip(value.to_le_bytes().iter().cycle()) {
            *place = *byte;
        }
    }

    fn write_register(&self, offset: u64, data: &[u8]) {
        if let (Some(value), true) = (data.first_chunk(), data.len() == 4) {
            if offset >= PAGE_SIZE {
                // All queues are looked at, whoever is kicked.
                if offset % PAGE_SIZE == reg::KICK {
                    self.kicks.fetch_add(1, Ordering::Relaxed);
                    self.shared.wake();
                }
            } else if offset % 4 == 0 {
                let value = u32::from_le_bytes(*value);
                self.shared.with(|nic| nic.write_register(offset, value));
                self.shared.wake();
            }
        }
    }
}

// An error of the backend would end the session, and with it the guest: whatever is asked for wrongly is ignored.
impl ServerBackend for Backend {
    fn region_read(&mut self, region: u32, offset: u64, data: &mut [u8]) -> io::Result<()> {
        match region {
            VFIO_PCI_CONFIG_REGION_INDEX => self.space.read(offset, data),
            VFIO_PCI_BAR0_REGION_INDEX => self.read_register(offset, data),
            VFIO_PCI_BAR2_REGION_INDEX => self
                .shared
                .with(|nic| nic.host.doorbells.read_bytes(offset, data)),
            _ => data.fill(0),
        }
        Ok(())
    }

    fn region_write(&mut self, region: u32, offset: u64, data: &[u8]) -> io::Result<()> {
        match region {
            VFIO_PCI_CONFIG_REGION_INDEX => {
                let written = self.space.write(offset, data);
                let blind = self.shared.with(|nic| {
                    let memory = &mut nic.host.memory;
                    let blind = written.bus_master && !memory.bus_master() && memory.is_empty();
                    memory.set_bus_master(written.bus_master);
                    if written.reset {
                        nic.reset();
                    }
                    blind
                });
                if blind {
                    eprintln!(
                        "toe-nic: the guest's memory is not shared and can't be reached; give QEMU -object \
                         memory-backend-memfd,id=m0,size=...,share=on -machine memory-backend=m0"
                    );
                }
            }
            VFIO_PCI_BAR0_REGION_INDEX => self.write_register(offset, data),
            VFIO_PCI_BAR2_REGION_INDEX => {
                self.shared
                    .with(|nic| nic.host.doorbells.write_bytes(offset, data));
                self.shared.wake();
            }
            _ => {}
        }
        Ok(())
    }

    fn dma_map(
        &mut self,
        _flags: DmaMapFlags,
        offset: u64,
        address: u64,
        size: u64,
        fd: Option<File>,
    ) -> io::Result<()> {
        // ROMs and other devices' memory come without a file, and so does main memory that isn't shared.
        let Some(file) = fd else {
            return Ok(());
        };
        let mapped = self
            .shared
            .with(|nic| nic.host.memory.map(file, offset, address, size));
        if let Err(error) = mapped {
            eprintln!("toe-nic: guest memory at {address:#x}, {size:#x} bytes: {error}");
        }
        Ok(())
    }

    fn dma_unmap(&mut self, _flags: DmaUnmapFlags, address: u64, size: u64) -> io::Result<()> {
        self.shared.with(|nic| nic.host.memory.unmap(address, size));
        Ok(())
    }

    fn reset(&mut self) -> io::Result<()> {
        Backend::reset(self);
        Ok(())
    }

    fn set_irqs(
        &mut self,
        index: u32,
        flags: u32,
        start: u32,
        _count: u32,
        fds: Vec<File>,
    ) -> io::Result<()> {
        if index != VFIO_PCI_MSIX_IRQ_INDEX {
            return Ok(());
        }
        self.shared.with(|nic| {
            let vectors = &mut nic.host.vectors;
            if flags & VFIO_IRQ_SET_DATA_EVENTFD == 0 || fds.is_empty() {
                vectors.clear();
            }
            for (vector, fd) in (start as usize..).zip(fds) {
                vectors.set(vector, Some(fd));
            }
        });
        Ok(())
    }
}

fn region(index: u32, config: &Config, doorbells: i32) -> ServerRegion {
    let doorbells_here = index == VFIO_PCI_BAR2_REGION_INDEX;
    let size = match index {
        VFIO_PCI_CONFIG_REGION_INDEX => CONFIG_SIZE as u64,
        VFIO_PCI_BAR0_REGION_INDEX => config.registers_size(),
        VFIO_PCI_BAR2_REGION_INDEX => config.doorbells_size(),
        VFIO_PCI_BAR4_REGION_INDEX => MSIX_SIZE,
        _ => 0,
    };
    let mut flags = 0;
    if size > 0 {
        flags |= VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;
    }
    let mut sparse_areas = Vec::new();
    if doorbells_here {
        flags |= VFIO_REGION_INFO_FLAG_MMAP;
        // Without an area the file isn't passed on.
        let area = vfio_region_sparse_mmap_area { offset: 0, size };
        sparse_areas.push(SparseArea { area });
    }
    ServerRegion {
        region_info: vfio_region_info {
            argsz: size_of::<vfio_region_info>() as u32,
            index,
            size,
            flags,
            ..Default::default()
        },
        sparse_areas,
        mmap_fd: doorbells_here.then_some(doorbells),
    }
}

fn irq(index: u32, vectors: u16) -> IrqInfo {
    let msix = index == VFIO_PCI_MSIX_IRQ_INDEX;
    IrqInfo {
        index,
        count: if msix { vectors.into() } else { 0 },
        flags: if msix {
            VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_NORESIZE
        } else {
            0
        },
    }
}

/// Serves the device at the UNIX socket `path`, to one host after the other.
pub fn serve(shared: Arc<Shared>, path: &Path) -> Result<()> {
    let (config, doorbells, kicks) = shared.with(|nic| {
        let host = &nic.host;
        (
            nic.config().clone(),
            host.doorbells.raw_fd(),
            Arc::clone(&host.kicks),
        )
    });
    let regions = (0..VFIO_PCI_NUM_REGIONS)
        .map(|index| region(index, &config, doorbells))
        .collect();
    let irqs = (0..VFIO_PCI_NUM_IRQS)
        .map(|index| irq(index, config.vectors))
        .collect();
    // What is left of a server that didn't end well.
    let _ = std::fs::remove_file(path);
    let named = || format!("vfio-user socket {}", path.display());
    let server = Server::new(path, true, irqs, regions).with_context(named)?;
    let mut backend = Backend {
        space: ConfigSpace::new(&config),
        shared,
        config,
        kicks,
    };
    let engine = Arc::clone(&backend.shared);
    thread::Builder::new()
        .name("toe-nic".into())
        .spawn(move || engine.run())?;
    loop {
        let served = server.run(&mut backend);
        Backend::reset(&mut backend);
        backend.shared.with(|nic| {
            nic.host.memory.clear();
            nic.host.vectors.clear();
        });
        served.with_context(named)?;
    }
}
