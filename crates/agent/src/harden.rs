//! Makes this process leave no copy of its memory behind: passwords pass through it.

/// No core dump, and no other process of the same user may look into this one. Best effort: a system that refuses is
/// no reason not to run.
pub fn this_process() {
    let none = rustix::process::Rlimit { current: Some(0), maximum: Some(0) };
    let _ = rustix::process::setrlimit(rustix::process::Resource::Core, none);
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    #[test]
    fn a_hardened_process_dumps_no_core_and_is_not_dumpable() {
        super::this_process();
        let limit = rustix::process::getrlimit(rustix::process::Resource::Core);
        assert_eq!((limit.current, limit.maximum), (Some(0), Some(0)));
        let dumpable = rustix::process::dumpable_behavior().expect("Linux tells");
        assert_eq!(dumpable, rustix::process::DumpableBehavior::NotDumpable);
    }
}
