//! The memory bound of all instances and scripts together, and detection of the available memory.

use std::fs;
use std::path::{Component, Path, PathBuf};

use crisol_core::Budget;

/// Bound on the memory of all instances and scripts of an engine together. A call that would exceed it ends
/// as saturated.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum MaxMemory {
    /// Three quarters of the machine's memory, or of the limit of the process's control groups if that is lower.
    /// No bound if neither can be read.
    #[default]
    Share,
    /// A bound in bytes.
    Bytes(u64),
    /// No bound.
    Unbounded,
}

impl MaxMemory {
    pub(crate) fn budget(self) -> Budget {
        let limit = match self {
            Self::Share => available(Path::new("/")).map(|bytes| bytes / 4 * 3),
            Self::Bytes(bytes) => Some(bytes),
            Self::Unbounded => None,
        };
        limit.map_or_else(Budget::unlimited, Budget::new)
    }
}

/// Bytes that this process may use: the lower of the machine's memory and its control groups' limits.
fn available(root: &Path) -> Option<u64> {
    let groups = fs::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
    let limits = groups.lines().filter_map(|line| group_limit(root, line));
    machine(root).into_iter().chain(limits).min()
}

/// `MemTotal` of the machine.
fn machine(root: &Path) -> Option<u64> {
    let text = fs::read_to_string(root.join("proc/meminfo")).ok()?;
    let total = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = total.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

/// The limit of a control group, a line of `/proc/self/cgroup`: `ID:CONTROLLERS:PATH`.
fn group_limit(root: &Path, line: &str) -> Option<u64> {
    let mut parts = line.splitn(3, ':');
    let (_, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
    let (mounts, file): (&[&str], _) = match controllers {
        "" => (&["sys/fs/cgroup", "sys/fs/cgroup/unified"], "memory.max"),
        v1 if v1.split(',').any(|one| one == "memory") => {
            (&["sys/fs/cgroup/memory"], "memory.limit_in_bytes")
        }
        _ => return None,
    };
    mounts.iter().filter_map(|mount| least_above(&root.join(mount), Path::new(path), file)).min()
}

/// The lowest limit of a group and its ancestors. In a container the path may be that of the host, while the
/// mount shows the container's own group as its root, so a limit that cannot be read is ignored.
fn least_above(mount: &Path, group: &Path, file: &str) -> Option<u64> {
    let names = group.components().filter(|part| matches!(part, Component::Normal(_)));
    let group: PathBuf = names.collect();
    let groups = group.ancestors().map(|group| mount.join(group).join(file));
    groups.filter_map(|file| fs::read_to_string(file).ok()?.trim().parse().ok()).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    /// Available memory on a system with these files.
    fn of(files: &[(&str, String)]) -> Option<u64> {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        available(root.path())
    }

    fn meminfo(mib: u64) -> (&'static str, String) {
        let text = format!("MemTotal:       {} kB\nMemFree:  1 kB\n", mib * 1024);
        ("proc/meminfo", text)
    }

    fn group(line: &str) -> (&'static str, String) {
        ("proc/self/cgroup", format!("5:pids:/a\n{line}\n"))
    }

    fn limit(path: &'static str, mib: u64) -> (&'static str, String) {
        (path, format!("{}\n", mib * MIB))
    }

    #[test]
    fn the_least_of_machine_and_control_groups_is_available() {
        let none = |path| (path, "max\n".to_owned());
        let v2 = |group| match group {
            "" => "sys/fs/cgroup/memory.max",
            "a" => "sys/fs/cgroup/a/memory.max",
            _ => "sys/fs/cgroup/a/b/memory.max",
        };
        let v1 = "sys/fs/cgroup/memory/memory.limit_in_bytes";
        let v1_below = "sys/fs/cgroup/memory/a/memory.limit_in_bytes";
        let endless = (v1, "9223372036854771712\n".to_owned());
        for (what, files, mib) in [
            ("nothing to be read", vec![], None),
            ("a machine", vec![meminfo(900)], Some(900)),
            ("a group alone", vec![group("0::/a"), limit(v2("a"), 300)], Some(300)),
            ("a group", vec![meminfo(900), group("0::/a"), limit(v2("a"), 300)], Some(300)),
            ("a group without", vec![meminfo(900), group("0::/a"), none(v2("a"))], Some(900)),
            ("a larger group", vec![meminfo(900), group("0::/a"), limit(v2("a"), 1000)], Some(900)),
            (
                "a group above",
                vec![meminfo(900), group("0::/a/b"), none(v2("b")), limit(v2("a"), 200)],
                Some(200),
            ),
            (
                "the least of several",
                vec![group("0::/a/b"), limit(v2("b"), 400), limit(v2("a"), 500), none(v2(""))],
                Some(400),
            ),
            ("the root", vec![meminfo(900), group("0::/"), limit(v2(""), 100)], Some(100)),
            (
                "a path of the host",
                vec![meminfo(900), group("0::/docker/x"), limit(v2(""), 100)],
                Some(100),
            ),
            ("a path above", vec![meminfo(9), group("0::/../a"), limit(v2("a"), 7)], Some(7)),
            (
                "version 1",
                vec![meminfo(900), group("4:cpu,memory:/a"), endless.clone(), limit(v1_below, 50)],
                Some(50),
            ),
            ("version 1 without", vec![meminfo(900), group("4:memory:/a"), endless], Some(900)),
            (
                "version 1 in a container",
                vec![meminfo(900), group("4:memory:/docker/x"), limit(v1, 60)],
                Some(60),
            ),
            (
                "another controller",
                vec![meminfo(900), group("4:memory_x:/"), limit(v1, 60)],
                Some(900),
            ),
            (
                "text that is none",
                vec![("proc/meminfo", "MemTotal: many\n".to_owned()), group(":"), none(v1)],
                None,
            ),
        ] {
            assert_eq!(of(&files), mib.map(|mib| mib * MIB), "{what}");
        }
    }

    #[test]
    fn three_quarters_of_this_machine_are_the_default() {
        let share = MaxMemory::default().budget().limit();
        let all = available(Path::new("/"));
        assert_eq!(share, all.map_or(u64::MAX, |all| all / 4 * 3));
        #[cfg(target_os = "linux")]
        assert!(all.is_some_and(|all| all > 64 * MIB), "{all:?}");
        assert_eq!(MaxMemory::Bytes(5).budget().limit(), 5);
        assert_eq!(MaxMemory::Unbounded.budget().limit(), u64::MAX);
    }
}
