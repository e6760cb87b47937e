"""Writes the seeds of corpus/idx, valid and lying ones: make_idx_corpus.py FOLDER."""
import pathlib
import struct
import sys

out = pathlib.Path(sys.argv[1])


def save(name, code, sizes, pointers, ends, version=1, counts=None):
    entries, documents = counts or (len(sizes), len(ends))
    (out / name).write_bytes(
        b"MMIDIDX\x00\x00" + struct.pack("<QBQQ", version, code, entries, documents) +
        struct.pack(f"<{len(sizes)}i", *sizes) +
        struct.pack(f"<{len(pointers)}q", *pointers) + struct.pack(f"<{len(ends)}q", *ends))


for code, width in {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 8: 2}.items():
    save(f"type{code}.idx", code, [3, 0, 4], [0, 3 * width, 3 * width], [0, 1, 2, 3])
save("float.idx", 6, [1], [0], [0, 1])
save("grouped.idx", 8, [1, 2, 3, 4], [0, 2, 6, 12], [0, 2, 2, 4])
save("no_documents.idx", 8, [1, 2], [0, 2], [0])
save("no_ends.idx", 8, [1, 2], [0, 2], [])
save("empty.idx", 8, [], [], [0])
save("version.idx", 8, [1], [0], [0, 1], version=2)
save("negative.idx", 8, [-1], [0], [0, 1])
save("gap.idx", 8, [1, 1], [0, 4], [0, 1, 2])
save("past.idx", 8, [1, 1], [0, 2], [0, 1, 3])
save("unsorted.idx", 8, [1, 1], [0, 2], [0, 2, 1, 2])
save("huge.idx", 5, [2**31 - 1] * 2, [0, 8 * (2**31 - 1)], [0, 1, 2])
save("counts.idx", 8, [1], [0], [0, 1], counts=(2**63, 2**61))
save("counts_wrap.idx", 8, [1], [0], [0, 1], counts=((2**64 + 28) // 12, 0))
