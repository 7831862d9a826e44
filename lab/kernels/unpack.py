"""bzImage -> bare vmlinux, which QEMU starts through its PVH entry: that saves the BIOS and
the kernel's own unpacking, which take most of a boot without KVM.

    unpack.py VMLINUZ OUT

The header is described in Documentation/arch/x86/boot.rst of the kernel.
"""

import struct
import subprocess
import sys

image = open(sys.argv[1], "rb").read()
if image[0x202:0x206] != b"HdrS":
    sys.exit(f"{sys.argv[1]} is no bzImage")
setup_sectors = image[0x1F1] or 4
offset, length = struct.unpack("<II", image[0x248:0x250])
start = (setup_sectors + 1) * 512 + offset
payload = image[start : start + length]

for magic, command in (
    (b"\xfd7zXZ", "xz"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"\x02\x21\x4c\x18", "lz4"),
    (b"\x1f\x8b", "gzip"),
):
    if payload.startswith(magic):
        # Four bytes of size follow the stream; the tools complain and have written all by then.
        done = subprocess.run([command, "-dc"], input=payload, capture_output=True, check=False)
        kernel = done.stdout
        break
else:
    sys.exit(f"unknown compression: {payload[:6].hex()}")
if not kernel.startswith(b"\x7fELF"):
    sys.exit("what was unpacked is no ELF file")
open(sys.argv[2], "wb").write(kernel)
