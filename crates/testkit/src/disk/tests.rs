use std::path::Path;

use entente_ledger::disk::Disk;

use super::{Fault, MemDisk};

fn write(disk: &MemDisk, path: &str, bytes: &[u8]) {
    let file = disk.create(Path::new(path)).unwrap();
    file.write_at(0, bytes).unwrap();
}

#[test]
fn only_what_was_synced_survives_a_crash() {
    let disk = MemDisk::new();
    disk.create_dir_all(Path::new("/a")).unwrap();
    write(&disk, "/a/kept", b"kept");
    disk.open(Path::new("/a/kept"))
        .unwrap()
        .sync_data()
        .unwrap();
    disk.sync_dir(Path::new("/a")).unwrap();
    write(&disk, "/a/lost", b"lost");
    disk.open(Path::new("/a/lost"))
        .unwrap()
        .sync_data()
        .unwrap();
    let file = disk.open(Path::new("/a/kept")).unwrap();
    file.write_at(4, b" and lost").unwrap();
    assert_eq!(disk.read(Path::new("/a/kept")).unwrap(), b"kept and lost");
    let left = disk.crash();
    assert_eq!(left.files(), [("/a/kept".into(), b"kept".to_vec())]);
}

#[test]
fn images_cover_each_prefix_and_names_without_content() {
    let disk = MemDisk::new();
    disk.create_dir_all(Path::new("/a")).unwrap();
    write(&disk, "/a/tmp", b"content");
    disk.rename(Path::new("/a/tmp"), Path::new("/a/file"))
        .unwrap();
    let images: Vec<_> = disk.crash_images(1).map(|image| image.files()).collect();
    let file = |name: &str, content: &[u8]| vec![(name.into(), content.to_vec())];
    assert_eq!(images[0], []);
    assert_eq!(images[1], file("/a/tmp", b""));
    assert_eq!(images[2], file("/a/tmp", b"content"));
    assert_eq!(images[3], file("/a/file", b"content"));
    assert!(
        images.contains(&file("/a/file", b"")),
        "moved before it was written"
    );
}

#[test]
fn a_full_disk_takes_what_fits_and_more_when_room_returns() {
    let disk = MemDisk::new();
    disk.set_capacity(Some(10));
    write(&disk, "/a", &[1; 10]);
    let file = disk.open(Path::new("/a")).unwrap();
    assert!(file.write_at(10, &[2]).unwrap_err().is_no_space());
    file.write_at(0, &[3; 10]).unwrap();
    disk.set_capacity(Some(11));
    file.write_at(10, &[2]).unwrap();
    assert_eq!(disk.used(), 11);
}

#[test]
fn faults_come_when_asked_for_and_a_dead_machine_stays_dead() {
    let disk = MemDisk::new();
    write(&disk, "/a", b"1234");
    let file = disk.open(Path::new("/a")).unwrap();
    disk.fail_at(disk.operations(), Fault::Torn);
    assert!(file.write_at(0, b"5678").is_err());
    assert_eq!(disk.read(Path::new("/a")).unwrap(), b"5634");
    disk.fail_at(disk.operations() + 1, Fault::Crash);
    file.sync_data().unwrap();
    assert!(file.sync_data().is_err());
    assert!(file.write_at(0, b"x").is_err());
    assert_eq!(disk.crash().files(), [], "its name was never synced");
}
