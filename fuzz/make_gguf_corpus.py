"""Writes the seeds of corpus/gguf: make_gguf_corpus.py FOLDER."""
import pathlib
import struct
import sys

out = pathlib.Path(sys.argv[1])
BLOCK_BYTES = {0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24),
               8: (32, 34), 12: (256, 144), 13: (256, 176), 14: (256, 210), 26: (1, 4), 30: (1, 2)}
GGMF_BYTES = {0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 7: (32, 22), 8: (32, 24), 9: (32, 34)}


def text(value):
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


def size_of(dims, number, table):
    values, size = table[number]
    count = 1
    for n in dims:
        count *= n
    return count // values * size


def gguf(name, tensors, keys=(), version=3, alignment=32):
    file = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(keys)) + b"".join(keys)
    at = 0
    for tensor, dims, number in tensors:
        file += text(tensor) + struct.pack("<I", len(dims))
        file += struct.pack(f"<{len(dims)}QIQ", *dims, number, at)
        at += -(-size_of(dims, number, BLOCK_BYTES) // alignment) * alignment
    file += bytes(-len(file) % alignment) + bytes(i * 5 % 251 for i in range(at))
    (out / name).write_bytes(file)


keys = [text("general.architecture") + struct.pack("<I", 8) + text("rwkv7"),
        text("rwkv7.block_count") + struct.pack("<II", 4, 1),
        text("eps") + struct.pack("<If", 6, 1e-5),
        text("flag") + struct.pack("<IB", 7, 1),
        text("tokenizer.ggml.model") + struct.pack("<I", 8) + text("rwkv"),
        text("tokenizer.ggml.tokens") + struct.pack("<IIQ", 9, 8, 2) + text("<s>") + text("\\x00"),
        text("tokenizer.ggml.token_type") + struct.pack("<IIQ2i", 9, 5, 2, 3, 1)]
for number in BLOCK_BYTES:
    gguf(f"type{number}.gguf", [("a", (256, 2), number), ("b", (3,), 0)])
gguf("keys.gguf", [("blk.0.time_mix_lerp_fused.weight", (8, 1, 1, 6), 0)], keys)
gguf("version2.gguf", [("a", (4,), 0)], keys[:2], version=2)
gguf("version1.gguf", [("a", (4,), 0)], version=1)
gguf("aligned.gguf", [("a", (4,), 0), ("b", (5,), 1)],
     [text("general.alignment") + struct.pack("<II", 4, 8)], alignment=8)
for version in (100, 101):
    for number in GGMF_BYTES:
        file = b"fmgg" + struct.pack("<5i", version, 256, 32, 1, number)
        for name, dims, kind in (("a.weight", (32, 2), number), ("t", (1, 2, 3), 0)):
            file += struct.pack(f"<3i{len(dims)}i", len(dims), len(name), kind, *dims)
            file += name.encode() + bytes(size_of(dims, kind, GGMF_BYTES))
        (out / f"v{version}-type{number}.bin").write_bytes(file)
