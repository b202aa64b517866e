//! The threads that compute while Python's other threads run.

use std::{
    panic::{self, AssertUnwindSafe},
    sync::{Arc, Mutex, PoisonError},
};

use pyo3::{
    exceptions::{PyOSError, PyRuntimeError},
    prelude::*,
};
use rayon::{ThreadPool, ThreadPoolBuilder};

/// The pool that calls share, with the process that started it.
static SHARED: Mutex<Option<(u32, Arc<ThreadPool>)>> = Mutex::new(None);

/// Returns the pool of this process, with a thread for each core, or as many as `RAYON_NUM_THREADS` says.
///
/// A process that was forked has none of the threads of its parent, and starts a pool of its own. The lock is only held by
/// threads that are attached to the interpreter, so that no thread holds it while Python forks.
pub fn shared(_: Python) -> PyResult<Arc<ThreadPool>> {
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    let process = std::process::id();
    if let Some((_, pool)) = shared.as_ref().filter(|(owner, _)| *owner == process) {
        return Ok(Arc::clone(pool));
    }
    let pool = start(0)?;
    // To drop the pool of the parent would be to wait for threads that don't exist.
    std::mem::forget(shared.replace((process, Arc::clone(&pool))));
    Ok(pool)
}

/// Starts a pool of `threads` threads, or as many as the shared pool has if `threads` is 0.
pub fn start(threads: usize) -> PyResult<Arc<ThreadPool>> {
    // A job that panics only drops the sender of its result.
    let builder = ThreadPoolBuilder::new().num_threads(threads).panic_handler(drop);
    let pool = builder.thread_name(|index| format!("lenet-{index}")).build();
    pool.map(Arc::new).map_err(|error| PyOSError::new_err(format!("threads could not be started: {error}")))
}

/// Runs `compute` in the shared pool, detached from the interpreter. A panic raises `RuntimeError`.
pub fn run<T: Send>(py: Python, compute: impl FnOnce() -> T + Send) -> PyResult<T> {
    let pool = shared(py)?;
    // What a panic leaves half done is dropped with it.
    let compute = AssertUnwindSafe(|| pool.install(compute));
    let result = py.detach(|| panic::catch_unwind(compute));
    result.map_err(|_| PyRuntimeError::new_err(PANIC_MESSAGE))
}

/// The message of the exception for a panic, whose own message is on standard error.
pub const PANIC_MESSAGE: &str = "a thread panicked, which is a bug of lenet";
