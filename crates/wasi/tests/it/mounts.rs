//! Access of a guest to its mounts, by the host functions that it calls.

use std::os::unix::fs::symlink;
use std::time::SystemTime;

use crisol_wasi::Environment;
use wasmtime::component::Resource;
use wasmtime_wasi::filesystem::{Descriptor, WasiFilesystemView};
use wasmtime_wasi::p2::FsError;
use wasmtime_wasi::p2::bindings::filesystem::preopens::Host as Preopens;
use wasmtime_wasi::p2::bindings::filesystem::types::{
    DescriptorFlags, ErrorCode, HostDescriptor, NewTimestamp, OpenFlags, PathFlags,
};

use crate::support::{App, Guest, app_with, pipe};

/// Guest with its folders.
struct Fs {
    guest: Guest,
    mounts: Vec<(u32, String)>,
}

type Answer<T> = Result<T, ErrorCode>;

fn code<T>(result: Result<T, FsError>) -> Answer<T> {
    result.map_err(|error| error.downcast().expect("an error that the guest sees"))
}

fn again(fd: &Resource<Descriptor>) -> Resource<Descriptor> {
    Resource::new_borrow(fd.rep())
}

const FOLLOW: PathFlags = PathFlags::SYMLINK_FOLLOW;

impl Fs {
    fn new(app: &App) -> Self {
        let mut guest = Guest::new(&app.plan());
        let mounts = guest.filesystem().get_directories().unwrap();
        let mounts = mounts.into_iter().map(|(fd, path)| (fd.rep(), path)).collect();
        Self { guest, mounts }
    }

    fn paths(&self) -> Vec<&str> {
        self.mounts.iter().map(|(_, path)| path.as_str()).collect()
    }

    fn mount(&self, path: &str) -> Resource<Descriptor> {
        let found = self.mounts.iter().find(|(_, mount)| mount == path);
        Resource::new_borrow(found.unwrap().0)
    }

    async fn open(
        &mut self,
        mount: &str,
        path: &str,
        how: OpenFlags,
        flags: DescriptorFlags,
    ) -> Answer<Resource<Descriptor>> {
        let mount = self.mount(mount);
        code(self.guest.filesystem().open_at(mount, FOLLOW, path.to_owned(), how, flags).await)
    }

    async fn read(&mut self, mount: &str, path: &str) -> Answer<String> {
        let file = self.open(mount, path, OpenFlags::empty(), DescriptorFlags::READ).await?;
        let (bytes, _) = code(self.guest.filesystem().read(file, 1024, 0).await)?;
        Ok(String::from_utf8(bytes).unwrap())
    }

    async fn write(&mut self, mount: &str, path: &str, text: &str) -> Answer<u64> {
        let flags = DescriptorFlags::WRITE;
        let file = self.open(mount, path, OpenFlags::CREATE, flags).await?;
        code(self.guest.filesystem().write(file, text.as_bytes().to_vec(), 0).await)
    }

    async fn rename(&mut self, from: (&str, &str), to: (&str, &str)) -> Answer<()> {
        let (old, new) = (self.mount(from.0), self.mount(to.0));
        let (from, to) = (from.1.to_owned(), to.1.to_owned());
        code(self.guest.filesystem().rename_at(old, from, new, to).await)
    }

    async fn link(&mut self, from: (&str, &str), to: (&str, &str)) -> Answer<()> {
        let (old, new) = (self.mount(from.0), self.mount(to.0));
        let (from, to) = (from.1.to_owned(), to.1.to_owned());
        let none = PathFlags::empty();
        code(self.guest.filesystem().link_at(old, none, from, new, to).await)
    }

    async fn symlink(&mut self, mount: &str, to: &str, at: &str) -> Answer<()> {
        let mount = self.mount(mount);
        code(self.guest.filesystem().symlink_at(mount, to.to_owned(), at.to_owned()).await)
    }
}

const DATA: &str = "\n- {name: data, kind: fs.directory, directory: ./data}";

/// Guest with one folder, at `/data`, that contains `x` and `sub/y`.
fn mounted(read_only: bool) -> (App, Fs) {
    let mounts = format!("mounts: [{{fs: data, guest: /data, read_only: {read_only}}}]");
    let app = app_with(&mounts, DATA);
    app.write("data/x", "inside");
    app.write("data/sub/y", "below");
    let fs = Fs::new(&app);
    (app, fs)
}

#[tokio::test]
async fn a_guest_reads_and_writes_in_its_mount() {
    let (app, mut fs) = mounted(false);
    assert_eq!(fs.paths(), ["/data"]);
    assert_eq!(fs.read("/data", "x").await, Ok("inside".to_owned()));
    assert_eq!(fs.read("/data", "sub/../sub/y").await, Ok("below".to_owned()));
    assert_eq!(fs.write("/data", "new", "text").await, Ok(4));
    assert_eq!(app.read("data/new"), "text");
    assert_eq!(fs.rename(("/data", "new"), ("/data", "sub/new")).await, Ok(()));
    assert_eq!(app.read("data/sub/new"), "text");
}

#[tokio::test]
async fn a_path_that_leaves_the_mount_is_refused() {
    let (app, mut fs) = mounted(false);
    let secret = app.outside("secret");
    let secret = secret.to_str().unwrap();
    for path in ["..", "../..", "../../secret", "sub/../../../secret", "/", "/etc/passwd", secret] {
        assert_eq!(fs.read("/data", path).await, Err(ErrorCode::NotPermitted), "{path}");
        assert_eq!(fs.write("/data", path, "!").await, Err(ErrorCode::NotPermitted), "{path}");
        let renamed = fs.rename(("/data", "x"), ("/data", path)).await;
        assert_eq!(renamed, Err(ErrorCode::NotPermitted), "{path}");
        let linked = fs.link(("/data", path), ("/data", "stolen")).await;
        assert_eq!(linked, Err(ErrorCode::NotPermitted), "{path}");
    }
    assert_eq!(std::fs::read_to_string(secret).unwrap(), "the host's own");
    assert_eq!(app.read("data/x"), "inside");
}

#[tokio::test]
async fn a_symbolic_link_that_leads_out_is_refused() {
    let (app, mut fs) = mounted(false);
    symlink(app.outside("secret"), app.path("data/absolute")).unwrap();
    symlink("../../secret", app.path("data/relative")).unwrap();
    symlink("../..", app.path("data/folder")).unwrap();
    symlink("/proc/self/environ", app.path("data/environ")).unwrap();
    symlink("/proc/self/root", app.path("data/root")).unwrap();
    symlink("sub/y", app.path("data/inside")).unwrap();
    for path in ["absolute", "relative", "folder/secret", "environ", "root/etc/passwd"] {
        assert_eq!(fs.read("/data", path).await, Err(ErrorCode::NotPermitted), "{path}");
        assert_eq!(fs.write("/data", path, "!").await, Err(ErrorCode::NotPermitted), "{path}");
    }
    assert_eq!(fs.read("/data", "inside").await, Ok("below".to_owned()));
    assert_eq!(std::fs::read_to_string(app.outside("secret")).unwrap(), "the host's own");
}

#[tokio::test]
async fn a_guest_cannot_make_a_link_that_leads_out() {
    let (_app, mut fs) = mounted(false);
    assert_eq!(fs.symlink("/data", "/etc", "out").await, Err(ErrorCode::NotPermitted));
    // A relative link may be created, and leads nowhere.
    let made = fs.symlink("/data", "../../secret", "up").await;
    assert!(matches!(made, Ok(()) | Err(ErrorCode::NotPermitted)), "{made:?}");
    assert!(fs.read("/data", "up").await.is_err());
}

#[tokio::test]
async fn everything_that_changes_a_read_only_mount_is_refused() {
    let (app, mut fs) = mounted(true);
    std::fs::create_dir(app.path("data/empty")).unwrap();
    let before = tree(&app);
    let refused = Err(ErrorCode::NotPermitted);
    let (read, write) = (DescriptorFlags::READ, DescriptorFlags::WRITE);
    for how in [
        OpenFlags::CREATE,
        OpenFlags::TRUNCATE,
        OpenFlags::CREATE | OpenFlags::EXCLUSIVE,
        OpenFlags::CREATE | OpenFlags::TRUNCATE,
    ] {
        for flags in [read, write, read | write] {
            for path in ["x", "new", "sub/new"] {
                let opened = fs.open("/data", path, how, flags).await.map(drop);
                assert_eq!(opened, refused, "{path} {how:?} {flags:?}");
            }
        }
    }
    assert_eq!(fs.open("/data", "x", OpenFlags::empty(), write).await.map(drop), refused);
    assert_eq!(fs.rename(("/data", "x"), ("/data", "z")).await, refused);
    assert_eq!(fs.link(("/data", "x"), ("/data", "z")).await, refused);
    assert_eq!(fs.symlink("/data", "x", "z").await, refused);
    let file = fs.open("/data", "x", OpenFlags::empty(), read).await.unwrap();
    let now = NewTimestamp::Now;
    let data = fs.mount("/data");
    let mut host = fs.guest.filesystem();
    let path = |path: &str| path.to_owned();
    assert_eq!(code(host.write(again(&file), b"!".to_vec(), 0).await).map(drop), refused);
    assert_eq!(code(host.set_size(again(&file), 0).await), refused);
    assert_eq!(code(host.set_times(again(&file), now, now).await), refused);
    assert_eq!(code(host.set_times(again(&data), now, now).await), refused);
    assert_eq!(code(host.set_times_at(again(&data), FOLLOW, path("x"), now, now).await), refused);
    assert_eq!(code(host.create_directory_at(again(&data), path("new")).await), refused);
    assert_eq!(code(host.remove_directory_at(again(&data), path("empty")).await), refused);
    assert_eq!(code(host.unlink_file_at(again(&data), path("x")).await), refused);
    assert!(host.write_via_stream(again(&file), 0).is_err());
    assert!(host.append_via_stream(again(&file)).is_err());
    // A folder opened in it has the same rights.
    let sub =
        fs.open("/data", "sub", OpenFlags::DIRECTORY, read | DescriptorFlags::MUTATE_DIRECTORY);
    if let Ok(sub) = sub.await {
        let mut host = fs.guest.filesystem();
        assert_eq!(code(host.unlink_file_at(again(&sub), path("y")).await), refused);
        let made = host.open_at(again(&sub), FOLLOW, path("n"), OpenFlags::CREATE, write).await;
        assert_eq!(code(made).map(drop), refused);
    }
    assert_eq!(tree(&app), before);
}

/// Every path of the app with its length and date.
fn tree(app: &App) -> Vec<(String, u64, SystemTime)> {
    let mut found = Vec::new();
    let mut next = vec![app.root()];
    while let Some(path) = next.pop() {
        let metadata = path.symlink_metadata().unwrap();
        if metadata.is_dir() {
            next.extend(path.read_dir().unwrap().map(|entry| entry.unwrap().path()));
        }
        found.push((path.display().to_string(), metadata.len(), metadata.modified().unwrap()));
    }
    found.sort();
    found
}

#[tokio::test]
async fn rights_are_of_the_mount_not_of_the_folder() {
    let app = app_with(
        "mounts:
  - {fs: data, guest: /ro, read_only: true}
  - {fs: data, guest: /rw}",
        DATA,
    );
    app.write("data/x", "inside");
    let mut fs = Fs::new(&app);
    assert_eq!(fs.write("/ro", "new", "!").await, Err(ErrorCode::NotPermitted));
    assert_eq!(fs.write("/rw", "new", "text").await, Ok(4));
    assert_eq!(fs.read("/ro", "new").await, Ok("text".to_owned()));
    for (from, to) in [("/ro", "/rw"), ("/rw", "/ro"), ("/ro", "/ro")] {
        let renamed = fs.rename((from, "x"), (to, "z")).await;
        assert_eq!(renamed, Err(ErrorCode::NotPermitted), "{from} to {to}");
        let linked = fs.link((from, "x"), (to, "z")).await;
        assert_eq!(linked, Err(ErrorCode::NotPermitted), "{from} to {to}");
    }
    assert!(!app.path("data/z").exists());
}

#[tokio::test]
async fn a_mount_inside_another_is_its_own_folder_with_its_own_rights() {
    let app = app_with(
        "mounts:
  - {fs: outer, guest: /data, read_only: true}
  - {fs: inner, guest: /data/sub}",
        "
- {name: outer, kind: fs.directory, directory: ./outer}
- {name: inner, kind: fs.directory, directory: ./inner}",
    );
    app.write("outer/sub/x", "hidden by the inner mount");
    app.write("inner/x", "inner");
    let mut fs = Fs::new(&app);
    assert_eq!(fs.paths(), ["/data", "/data/sub"], "guests take the longest that fits");
    assert_eq!(fs.read("/data/sub", "x").await, Ok("inner".to_owned()));
    assert_eq!(fs.write("/data/sub", "y", "new").await, Ok(3));
    assert_eq!(fs.write("/data", "sub/y", "new").await, Err(ErrorCode::NotPermitted));
    assert_eq!(fs.read("/data/sub", "../x").await, Err(ErrorCode::NotPermitted));
    assert!(!app.path("outer/sub/y").exists());
}

#[tokio::test]
async fn relative_paths_start_in_the_working_directory() {
    let app = app_with(
        "cwd: /data/a/b
mounts:
  - {fs: outer, guest: /data}
  - {fs: inner, guest: /data/a/in, read_only: true}
  - {fs: other, guest: /other/place}
  - {fs: other, guest: /data/a/b/below}",
        "
- {name: outer, kind: fs.directory, directory: ./outer}
- {name: inner, kind: fs.directory, directory: ./inner}
- {name: other, kind: fs.directory, directory: ./other}",
    );
    app.write("outer/a/b/x", "here");
    app.write("outer/a/x", "above");
    app.write("outer/x", "top");
    app.write("inner/x", "inner");
    app.write("other/x", "other");
    let mut fs = Fs::new(&app);
    let relative = [
        (".", "here"),
        ("..", "above"),
        ("../..", "top"),
        ("../in", "inner"),
        ("../../../other/place", "other"),
        ("below", "other"),
    ];
    let mounts = ["/data", "/data/a/in", "/other/place", "/data/a/b/below"];
    let names: Vec<_> = relative.iter().map(|(name, _)| *name).chain(mounts).collect();
    assert_eq!(fs.paths(), names);
    for (name, text) in relative {
        assert_eq!(fs.read(name, "x").await, Ok(text.to_owned()), "{name}");
        assert_eq!(fs.read(name, "../x").await, Err(ErrorCode::NotPermitted), "{name}");
    }
    // Rights are those of the mount.
    assert_eq!(fs.write("../in", "y", "new").await, Err(ErrorCode::NotPermitted));
    assert_eq!(fs.write("../..", "y", "new").await, Ok(3));
}

#[test]
fn the_way_up_takes_few_descriptors() {
    let deep = "a/".repeat(20);
    let app = app_with(&format!("cwd: /data/{deep}\nmounts: [{{fs: data, guest: /data}}]"), DATA);
    app.write(&format!("data/{deep}x"), "");
    assert_eq!(Fs::new(&app).paths().len(), 1 + 8 + 1);
}

#[tokio::test]
async fn a_rename_between_mounts_stays_in_them() {
    let app = app_with(
        "mounts: [{fs: a, guest: /a}, {fs: b, guest: /b}]",
        "
- {name: a, kind: fs.directory, directory: ./one}
- {name: b, kind: fs.directory, directory: ./two}",
    );
    app.write("one/x", "moved");
    app.write("two/y", "");
    let mut fs = Fs::new(&app);
    let out = fs.rename(("/a", "x"), ("/b", "../x")).await;
    assert_eq!(out, Err(ErrorCode::NotPermitted));
    assert_eq!(fs.rename(("/a", "x"), ("/b", "x")).await, Ok(()));
    assert_eq!(app.read("two/x"), "moved");
}

#[tokio::test]
async fn folder_swapped_for_a_link_is_not_followed() {
    let (app, mut fs) = mounted(false);
    let plan = app.plan();
    std::fs::create_dir(app.outside("evil")).unwrap();
    std::fs::write(app.outside("evil/x"), "evil").unwrap();
    std::fs::rename(app.path("data"), app.path("moved")).unwrap();
    symlink(app.outside("evil"), app.path("data")).unwrap();
    assert_eq!(fs.read("/data", "x").await, Ok("inside".to_owned()));
    let mut guest = Guest::with(&plan, &Environment::default(), crisol_wasi::Stdio::Log);
    let mounts = guest.filesystem().get_directories().unwrap();
    let mounts = mounts.into_iter().map(|(fd, path)| (fd.rep(), path)).collect();
    let mut later = Fs { guest, mounts };
    assert_eq!(later.read("/data", "x").await, Ok("inside".to_owned()));
    assert_eq!(later.write("/data", "y", "new").await, Ok(3));
    assert!(!app.outside("evil/y").exists());
}

#[test]
fn folder_swapped_before_mounting_is_not_mounted() {
    let app = app_with("mounts: [{fs: data, guest: /data}]", DATA);
    app.write("data/x", "inside");
    let (folders, _) = crisol_wasi::Folders::open(&app.registry, Some(&app.root()));
    std::fs::create_dir(app.outside("evil")).unwrap();
    std::fs::write(app.outside("evil/x"), "evil").unwrap();
    std::fs::rename(app.path("data"), app.path("moved")).unwrap();
    symlink(app.outside("evil"), app.path("data")).unwrap();
    let env = std::sync::Arc::new(app.variables());
    let plan = crisol_wasi::resolve(app.wasi(), &crate::support::id("a:f"), env, &folders).unwrap();
    let mut guest = Guest::new(&plan);
    let mounts = guest.filesystem().get_directories().unwrap();
    let mounts = mounts.into_iter().map(|(fd, path)| (fd.rep(), path)).collect();
    let mut fs = Fs { guest, mounts };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    assert_eq!(runtime.block_on(fs.read("/data", "x")), Ok("inside".to_owned()));
}

#[test]
fn a_link_swapped_in_again_and_again_never_leads_out() {
    let (app, mut fs) = mounted(false);
    std::fs::create_dir(app.outside("evil")).unwrap();
    std::fs::write(app.outside("evil/y"), "evil").unwrap();
    let (sub, aside, link) = (app.path("data/sub"), app.path("data/aside"), app.path("link"));
    let evil = app.outside("evil");
    let stop = std::sync::atomic::AtomicBool::new(false);
    let mut seen = Vec::new();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                std::fs::rename(&sub, &aside).unwrap();
                symlink(&evil, &link).unwrap();
                std::fs::rename(&link, &sub).unwrap();
                std::fs::remove_file(&sub).unwrap();
                std::fs::rename(&aside, &sub).unwrap();
            }
        });
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        for _ in 0..500 {
            seen.push(runtime.block_on(fs.read("/data", "sub/y")));
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    assert!(seen.iter().all(|found| found.as_deref() != Ok("evil")));
}

#[tokio::test]
async fn a_pipe_in_a_mount_holds_up_its_own_call_alone() {
    use rustix::fs::{Mode, OFlags, open};
    let (app, mut fs) = mounted(false);
    let mut other = Fs::new(&app);
    pipe(&app.path("data/pipe"));
    let opening = fs.open("/data", "pipe", OpenFlags::empty(), DescriptorFlags::READ);
    let meanwhile = async {
        assert_eq!(other.read("/data", "x").await, Ok("inside".to_owned()));
        // Succeeds only once the other end waits.
        let end = loop {
            match open(app.path("data/pipe"), OFlags::WRONLY | OFlags::NONBLOCK, Mode::empty()) {
                Ok(end) => break end,
                Err(_) => tokio::task::yield_now().await,
            }
        };
        assert_eq!(other.read("/data", "x").await, Ok("inside".to_owned()));
        end
    };
    let (opened, _end) = tokio::join!(opening, meanwhile);
    assert!(opened.is_ok());
}

#[tokio::test]
async fn a_huge_file_is_read_in_pieces_of_the_hosts_choosing() {
    let (app, mut fs) = mounted(true);
    std::fs::File::create(app.path("data/huge")).unwrap().set_len(1 << 40).unwrap();
    let file = fs.open("/data", "huge", OpenFlags::empty(), DescriptorFlags::READ).await.unwrap();
    let (bytes, end) = code(fs.guest.filesystem().read(file, u64::MAX, 0).await).unwrap();
    assert_eq!((bytes.len(), end), (64 * 1024, false));
}
