//! The one place for locks: the standard library's, without poisoning.
//!
//! parking_lot's global table can hang a forked child, so it is not used in production. A poisoned lock is taken all
//! the same: every critical section here leaves its data whole at each step that can panic.

#[cfg(larder_tsan)]
pub use self::visible::{Condvar, Mutex, MutexGuard, OnceLock};
#[cfg(not(larder_tsan))]
pub use self::whole::{Condvar, Mutex, MutexGuard, OnceLock};

#[cfg(not(larder_tsan))]
mod whole {
    use std::sync::PoisonError;

    pub use std::sync::OnceLock;

    /// A mutual exclusion lock that ignores poisoning.
    #[derive(Debug, Default)]
    pub struct Mutex<T>(std::sync::Mutex<T>);

    /// The guard of a [`Mutex`].
    pub type MutexGuard<'a, T> = std::sync::MutexGuard<'a, T>;

    impl<T> Mutex<T> {
        /// A new, unlocked mutex.
        pub const fn new(inner: T) -> Self {
            Self(std::sync::Mutex::new(inner))
        }

        /// Waits for the lock and takes it.
        pub fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner)
        }
    }

    /// A condition variable for [`Mutex`].
    #[derive(Debug, Default)]
    pub struct Condvar(std::sync::Condvar);

    impl Condvar {
        /// A new condition variable.
        pub const fn new() -> Self {
            Self(std::sync::Condvar::new())
        }

        /// Wakes one waiter.
        pub fn notify_one(&self) {
            self.0.notify_one();
        }

        /// Wakes every waiter.
        pub fn notify_all(&self) {
            self.0.notify_all();
        }

        /// Waits for a notification; can wake spuriously.
        pub fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
            self.0.wait(guard).unwrap_or_else(PoisonError::into_inner)
        }

        /// Waits for a notification at most `limit`; can wake spuriously.
        pub fn wait_for<'a, T>(&self, guard: MutexGuard<'a, T>, limit: std::time::Duration) -> MutexGuard<'a, T> {
            self.0.wait_timeout(guard, limit).unwrap_or_else(PoisonError::into_inner).0
        }
    }
}

/// For ThreadSanitizer, which does not see inside the standard library's locks and cells.
#[cfg(larder_tsan)]
mod visible {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;

    /// A mutual exclusion lock.
    #[derive(Debug, Default)]
    pub struct Mutex<T>(parking_lot::Mutex<T>);

    /// The guard of a [`Mutex`].
    pub type MutexGuard<'a, T> = parking_lot::MutexGuard<'a, T>;

    impl<T> Mutex<T> {
        /// A new, unlocked mutex.
        pub const fn new(inner: T) -> Self {
            Self(parking_lot::const_mutex(inner))
        }

        /// Waits for the lock and takes it.
        pub fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock()
        }
    }

    /// A condition variable for [`Mutex`].
    #[derive(Debug, Default)]
    pub struct Condvar(parking_lot::Condvar);

    impl Condvar {
        /// A new condition variable.
        pub const fn new() -> Self {
            Self(parking_lot::Condvar::new())
        }

        /// Wakes one waiter.
        pub fn notify_one(&self) {
            self.0.notify_one();
        }

        /// Wakes every waiter.
        pub fn notify_all(&self) {
            self.0.notify_all();
        }

        /// Waits for a notification; can wake spuriously.
        pub fn wait<'a, T>(&self, mut guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
            self.0.wait(&mut guard);
            guard
        }

        /// Waits for a notification at most `limit`; can wake spuriously.
        pub fn wait_for<'a, T>(&self, mut guard: MutexGuard<'a, T>, limit: Duration) -> MutexGuard<'a, T> {
            self.0.wait_for(&mut guard, limit);
            guard
        }
    }

    /// A cell that is written once.
    #[derive(Debug)]
    pub struct OnceLock<T> {
        cell: std::sync::OnceLock<T>,
        /// What was written before this is seen by who has seen it.
        written: AtomicBool,
    }

    impl<T> OnceLock<T> {
        /// An empty one.
        pub const fn new() -> Self {
            Self { cell: std::sync::OnceLock::new(), written: AtomicBool::new(false) }
        }

        /// What is there.
        pub fn get(&self) -> Option<&T> {
            self.cell.get().inspect(|_| self.wait())
        }

        /// What is there, or else is made now, by one thread.
        pub fn get_or_init(&self, make: impl FnOnce() -> T) -> &T {
            let mut is_ours = false;
            let value = self.cell.get_or_init(|| {
                is_ours = true;
                make()
            });
            if is_ours {
                self.written.store(true, Ordering::Release);
            }
            self.wait();
            value
        }

        fn wait(&self) {
            while !self.written.load(Ordering::Acquire) {
                std::thread::yield_now();
            }
        }
    }

    impl<T> Default for OnceLock<T> {
        fn default() -> Self {
            Self::new()
        }
    }

    impl<T> From<T> for OnceLock<T> {
        fn from(value: T) -> Self {
            Self { cell: value.into(), written: AtomicBool::new(true) }
        }
    }
}
