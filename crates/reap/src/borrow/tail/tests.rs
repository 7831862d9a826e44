use super::*;

fn vdso_in(maps: &[u8]) -> Option<Vdso> {
    let mut lines = maps.split(|byte| *byte == b'\n').filter_map(Vdso::parse);
    let first = lines.next()?;
    Some(lines.fold(first, Vdso::and))
}

/// A vdso of one page: an ELF header, one segment, one section table at its end.
fn image(end_of_segment: u64, sections_at: u64) -> Vec<u8> {
    let mut image = vec![0; 4096];
    image[..5].copy_from_slice(b"\x7fELF\x02");
    image[32..40].copy_from_slice(&64u64.to_le_bytes());
    image[40..48].copy_from_slice(&sections_at.to_le_bytes());
    image[54..56].copy_from_slice(&56u16.to_le_bytes());
    image[56..58].copy_from_slice(&1u16.to_le_bytes());
    image[58..60].copy_from_slice(&64u16.to_le_bytes());
    image[60..62].copy_from_slice(&1u16.to_le_bytes());
    image[64 + 32..64 + 40].copy_from_slice(&end_of_segment.to_le_bytes());
    image
}

#[test]
fn the_image_ends_after_its_last_part() {
    assert_eq!(image_length(&image(2000, 1000)), Ok(2000));
    assert_eq!(image_length(&image(2001, 1000)), Ok(2016));
    assert_eq!(image_length(&image(1000, 2000)), Ok(2064));
    let mut with_section = image(1000, 512);
    with_section[512 + 24..512 + 32].copy_from_slice(&3000u64.to_le_bytes());
    with_section[512 + 32..512 + 40].copy_from_slice(&100u64.to_le_bytes());
    assert_eq!(image_length(&with_section), Ok(3104));
    // `.bss` and the like take no room in the image.
    with_section[512 + 4] = 8;
    assert_eq!(image_length(&with_section), Ok(1008));
}

#[test]
fn headers_that_lie_are_refused() {
    assert_eq!(
        image_length(&image(5000, 1000)),
        Err(Refusal::NoRoom { bytes: 0 })
    );
    assert_eq!(
        image_length(&image(u64::MAX, 0)),
        Err(Refusal::NoRoom { bytes: 0 })
    );
    assert_eq!(
        image_length(&image(0, u64::MAX)),
        Err(Refusal::NoRoom { bytes: 0 })
    );
    assert_eq!(
        image_length(b"\x7fELF\x02"),
        Err(Refusal::NoRoom { bytes: 0 })
    );
    assert_eq!(image_length(&[0; 4096]), Err(Refusal::NoVdso));
    let mut narrow = image(100, 100);
    narrow[4] = 1;
    assert_eq!(image_length(&narrow), Err(Refusal::Not64Bit));
}

#[test]
fn the_mapping_is_the_line_that_ends_in_its_name() {
    let maps = b"7fff1000-7fff2000 r--p 00000000 00:00 0   [vvar]\n\
        7fff2000-7fff4000 r-xp 00000000 00:00 0                          [vdso]\n\
        7fff8000-7fff9000 r-xp 00000000 00:00 0   /tmp/x[vdso]\n";
    let vdso = vdso_in(maps).unwrap();
    assert_eq!((vdso.start, vdso.end), (0x7fff_2000, 0x7fff_4000));
    assert_eq!(vdso.may_be_run(), Ok(()));
    assert_eq!(vdso_in(b""), None);
}

#[test]
fn a_file_with_that_name_is_not_the_kernels() {
    for line in [
        "1000-2000 r-xp 00000000 08:01 77                         /tmp/x [vdso]",
        "1000-2000 r-xp 00000000 00:00 0                          /tmp/x [vdso]",
        "1000-2000 r-xp 00000000 08:01 77                         [vdso]",
        "1000-2000 r-xp 00000000 00:00 7 [vdso]",
        "2000-1000 r-xp 00000000 00:00 0 [vdso]",
        "1000-1000 r-xp 00000000 00:00 0 [vdso]",
        "10000000000000000-20000000000000000 r-xp 00000000 00:00 0 [vdso]",
        "-1000 r-xp 00000000 00:00 0 [vdso]",
        "1000-2000 r-x 00000000 00:00 0 [vdso]",
        " [vdso]",
    ] {
        assert_eq!(Vdso::parse(line.as_bytes()), None, "{line}");
    }
}

#[test]
fn each_part_must_be_readable_and_executable() {
    let rights_of = |first: &str, second: &str| {
        let maps = format!(
            "1000-2000 {first} 00000000 00:00 0 [vdso]\n2000-3000 {second} 00000000 00:00 0 [vdso]\n"
        );
        vdso_in(maps.as_bytes()).unwrap().may_be_run()
    };
    let refused = |rights: &str| {
        Err(Refusal::VdsoRights {
            rights: rights.to_owned(),
        })
    };
    assert_eq!(rights_of("r-xp", "rwxp"), Ok(()));
    assert_eq!(rights_of("r-xp", "---p"), refused("---p"));
    assert_eq!(rights_of("r--p", "r-xp"), refused("r--p"));
    assert_eq!(rights_of("--xp", "---p"), refused("--xp"));
}

/// Our own vdso has a tail, unless the kernel's fills its page.
#[test]
fn a_real_one_is_found() {
    let maps = std::fs::read("/proc/self/maps").unwrap();
    let memory = File::open("/proc/self/mem").unwrap();
    match Tail::find(vdso_in(&maps).unwrap(), &memory) {
        Ok((tail, guest)) => {
            assert_eq!(tail.base % 16, 0);
            assert!(tail.room < 4096 && tail.capacity() > 0);
            assert!(tail.contains(tail.base) && !tail.contains(tail.base - 1));
            assert!(!tail.contains(tail.base + tail.room as u64));
            assert_eq!(guest, None);
        }
        Err(Unusable::Refused(Refusal::NoRoom { bytes })) => {
            println!("SKIP: this kernel's vdso leaves only {bytes} bytes");
        }
        Err(other) => panic!("{other:?}"),
    }
}

/// A file stands for the memory: a mark is known, anything else is left alone.
#[test]
fn a_tail_that_bears_our_mark_names_its_guest() {
    let maps = b"0-1000 r-xp 00000000 00:00 0 [vdso]\n";
    let find = |image: &[u8]| {
        let mut file = tempfile::tempfile().unwrap();
        std::io::Write::write_all(&mut file, image).unwrap();
        Tail::find(vdso_in(maps).unwrap(), &file)
    };
    let mut memory = image(2000, 1000);
    assert!(matches!(
        find(&memory),
        Ok((
            Tail {
                base: 2000,
                room: 2096,
                image: 0
            },
            None
        ))
    ));
    memory[4095] = 1;
    assert!(matches!(
        find(&memory),
        Err(Unusable::Refused(Refusal::TailTaken))
    ));
    memory[4095] = 0;
    let header = Header {
        thread: 5,
        visit: 9,
        sp: 77,
    };
    memory[2000..2040].copy_from_slice(&header.to_bytes(88, 99));
    let Ok((_, guest)) = find(&memory) else {
        panic!("a marked tail is free for taking");
    };
    assert_eq!(
        guest,
        Some(Guest {
            thread: 5,
            pc: 99,
            sp: 77
        })
    );
    assert!(matches!(
        find(&image(3900, 1000)),
        Err(Unusable::Refused(Refusal::NoRoom { bytes: 192 }))
    ));
}
