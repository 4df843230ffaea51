//! Memory and processor time of processes, as /proc tells them.

use std::fs;

/// Ticks of a second in /proc: the kernel fixes 100 for programs, whatever it counts with itself.
const TICKS: f64 = 100.0;

/// A process whose use is counted; with its children, where it is a server of many processes.
#[derive(Debug, Clone)]
pub(crate) struct Watched {
    pub(crate) name: &'static str,
    pub(crate) pid: i32,
}

/// Processor seconds that each of `watched` has used so far.
pub(crate) fn cpu_seconds(watched: &[Watched]) -> Vec<f64> {
    let all: Vec<Usage> = processes().into_iter().filter_map(|pid| usage(&stat(pid)?)).collect();
    let spent = |watched: &Watched| {
        let own = all.iter().filter(|usage| usage.pid == watched.pid).map(|usage| usage.own + usage.of_dead_children);
        // This process has started all the others, which are counted by themselves.
        let starts_all = watched.pid == this();
        let children = all.iter().filter(|usage| usage.parent == watched.pid && !starts_all).map(|usage| usage.own);
        own.sum::<f64>() + children.sum::<f64>()
    };
    watched.iter().map(spent).collect()
}

/// Processor seconds that the whole machine has spent at work since it started.
pub(crate) fn machine_seconds() -> f64 {
    let text = fs::read_to_string("/proc/stat").unwrap_or_default();
    let line = text.lines().next().unwrap_or_default();
    let ticks: Vec<f64> = line.split_whitespace().skip(1).filter_map(|word| word.parse().ok()).collect();
    // user nice system idle iowait irq softirq steal
    let busy = |place: usize| ticks.get(place).copied().unwrap_or_default();
    [0, 1, 2, 5, 6, 7].into_iter().map(busy).sum::<f64>() / TICKS
}

/// Processor seconds that this process, its children and theirs have used.
pub(crate) fn family_seconds() -> f64 {
    let all: Vec<Usage> = processes().into_iter().filter_map(|pid| usage(&stat(pid)?)).collect();
    let mut family = vec![this()];
    let mut at = 0;
    while let Some(&pid) = family.get(at) {
        family.extend(all.iter().filter(|usage| usage.parent == pid).map(|usage| usage.pid));
        at += 1;
    }
    let ours = all.iter().filter(|usage| family.contains(&usage.pid));
    ours.map(|usage| usage.own + usage.of_dead_children).sum()
}

/// Memory that a process holds now, and the most it ever held, in MiB.
pub(crate) fn resident(pid: i32) -> (f64, f64) {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let mebibytes = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse::<f64>().ok().map(|kilobytes| kilobytes / 1024.0)
    };
    (mebibytes("VmRSS:").unwrap_or_default(), mebibytes("VmHWM:").unwrap_or_default())
}

/// This process.
pub(crate) fn this() -> i32 {
    i32::try_from(std::process::id()).expect("a process id fits")
}

fn processes() -> Vec<i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

fn stat(pid: i32) -> Option<String> {
    fs::read_to_string(format!("/proc/{pid}/stat")).ok()
}

#[derive(Debug, PartialEq)]
struct Usage {
    pid: i32,
    parent: i32,
    own: f64,
    of_dead_children: f64,
}

/// The program's name stands in brackets and may hold anything, so what follows is counted from the last bracket.
fn usage(stat: &str) -> Option<Usage> {
    let (head, tail) = stat.rsplit_once(')')?;
    let pid = head.split_once(' ')?.0.parse().ok()?;
    let fields: Vec<&str> = tail.split_whitespace().collect();
    let seconds = |place: usize| fields.get(place)?.parse::<f64>().ok().map(|ticks| ticks / TICKS);
    let parent = fields.get(1)?.parse().ok()?;
    Some(Usage { pid, parent, own: seconds(11)? + seconds(12)?, of_dead_children: seconds(13)? + seconds(14)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_proc_is_read_whatever_the_program_is_called() {
        let line = "42 (a) b (c) S 7 42 42 0 -1 4194560 1 2 3 4 150 50 300 25 20 0 1 0 99 1 2";
        assert_eq!(usage(line), Some(Usage { pid: 42, parent: 7, own: 2.0, of_dead_children: 3.25 }));
        assert_eq!(usage("42 no brackets"), None);
    }

    #[test]
    fn this_process_uses_time_and_memory() {
        let pid = i32::try_from(std::process::id()).unwrap();
        let (now, most) = resident(pid);
        assert!(now > 0.0 && most >= now, "{now} {most}");
        assert!(family_seconds() <= machine_seconds());
        assert_eq!(cpu_seconds(&[Watched { name: "me", pid }]).len(), 1);
    }
}
