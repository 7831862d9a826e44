use super::*;

#[test]
fn a_sleeping_call_is_read_and_others_are_not() {
    let sleep = Sleep::parse(
        b"232 0x4 0x7ffe0 0x1 0xffffffffffffffff 0x0 0x8 0x7ffc8d6b8d00 0x7f1f8b0e9a46\n",
    )
    .unwrap();
    assert_eq!(sleep.call, 232);
    assert_eq!(sleep.arguments, [4, 0x7ffe0, 1, u64::MAX, 0, 8]);
    assert_eq!((sleep.sp, sleep.pc), (0x7ffc_8d6b_8d00, 0x7f1f_8b0e_9a46));
    for other in [
        &b"running\n"[..],
        b"-1 0x7ffc 0x7f1f\n",
        b"",
        b"7 0x1 0x2\n",
        b"\xff",
    ] {
        assert_eq!(Sleep::parse(other), None, "{other:?}");
    }
}

#[test]
fn timeouts_that_begin_anew_are_known() {
    let memory = tempfile::tempfile().unwrap();
    let mut bytes = [0u8; 64];
    bytes[16..24].copy_from_slice(&2u64.to_ne_bytes());
    bytes[24..32].copy_from_slice(&500_000_000u64.to_ne_bytes());
    // struct io_uring_getevents_arg, whose last field points to it.
    bytes[32 + 16..32 + 24].copy_from_slice(&16u64.to_ne_bytes());
    memory.write_all_at(&bytes, 0).unwrap();
    let of = |place, arguments| rewound_timeout(place, &arguments, &memory);
    let millis = Timeout::Milliseconds(3);
    assert_eq!(
        of(millis, [0, 0, 0, 250, 0, 0]),
        Some(Some(Duration::from_millis(250)))
    );
    // An int of -1 in a register whose upper half may hold anything.
    assert_eq!(of(millis, [0, 0, 0, 0xffff_ffff, 0, 0]), Some(None));
    assert_eq!(of(millis, [0, 0, 0, u64::MAX, 0, 0]), Some(None));
    let spec = Timeout::Timespec(2);
    assert_eq!(
        of(spec, [0, 0, 16, 0, 0, 0]),
        Some(Some(Duration::from_millis(2500)))
    );
    assert_eq!(of(spec, [0; 6]), Some(None));
    assert_eq!(of(spec, [0, 0, 1 << 40, 0, 0, 0]), None);
    assert_eq!(
        of(Timeout::Ring, [0, 0, 0, 8, 32, 0]),
        Some(Some(Duration::from_millis(2500)))
    );
    assert_eq!(of(Timeout::Ring, [0; 6]), Some(None));
    assert_eq!(of(Timeout::Never, [0; 6]), Some(None));
}

/// The kernel took another timespec when the call began; this is what somebody wrote there since.
#[test]
fn a_timespec_that_the_kernel_would_not_take_tells_nothing() {
    let memory = tempfile::tempfile().unwrap();
    let of = |seconds: i64, nanos: i64| {
        let mut bytes = [0u8; 16];
        bytes[..8].copy_from_slice(&seconds.to_ne_bytes());
        bytes[8..].copy_from_slice(&nanos.to_ne_bytes());
        // At 8, since 0 is no address.
        memory.write_all_at(&bytes, 8).unwrap();
        rewound_timeout(Timeout::Timespec(2), &[0, 0, 8, 0, 0, 0], &memory)
    };
    for (seconds, nanos) in [
        (-1, 4_000_000_000),
        (-1, 999_999_999),
        (i64::MIN, 0),
        (0, -1),
        (0, 1_000_000_000),
        (i64::MAX, 4_000_000_000),
        (i64::MAX, i64::MAX),
    ] {
        assert_eq!(of(seconds, nanos), None, "{seconds}, {nanos}");
    }
    assert_eq!(
        of(0, 999_999_999),
        Some(Some(Duration::from_nanos(999_999_999)))
    );
    let longest = of(i64::MAX, 999_999_999).unwrap().unwrap();
    assert!(stretch(longest) < longest);
}

#[test]
fn addresses_at_the_end_of_memory_are_read_without_overflow() {
    let memory = tempfile::tempfile().unwrap();
    for address in [
        u64::MAX,
        u64::MAX - 7,
        u64::MAX - 15,
        1 << 63,
        i64::MAX as u64,
    ] {
        let arguments = [8, 8, address, 8, address, 0];
        for place in [Timeout::Timespec(2), Timeout::Timespec(4), Timeout::Ring] {
            assert_eq!(rewound_timeout(place, &arguments, &memory), None);
        }
    }
}

#[test]
fn a_timeout_is_stretched_by_a_fiftieth() {
    assert_eq!(stretch(Duration::from_secs(5)), Duration::from_millis(100));
    assert_eq!(stretch(Duration::from_millis(5)), Duration::from_millis(1));
}
