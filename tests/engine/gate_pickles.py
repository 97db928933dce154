"""Hostile torch files, each with the reason that the gate must name.

A file that runs what it carries leaves a file called `ran` behind.
"""

import argparse
import functools
import os
import pathlib
import struct
import zipfile
from pathlib import Path

import numpy as np
import torch

from engine.gate.verdict import Reason
from tests.engine.gate_corpus import Corpus
from tests.engine.gate_files import Calls, archive, members, torch_file


@functools.cache
def pickles(ran: Path) -> Corpus:
    """Torch files refused by their opcodes and by the archive around them, without torch."""
    command = f"touch {ran}"
    system = Calls(os.system, command)
    saved = torch_file({"w": torch.ones(4)})
    good = members(saved)
    data = good["archive/data.pkl"]
    bomb = archive(
        {"a/data.pkl": data, "a/data/0": bytes(10_000_000)}, compression=zipfile.ZIP_DEFLATED
    )
    whole = archive(good)
    raw = f"cos\nsystem\n(S'{command}'\ntR.".encode()
    return {
        "system.pth": (torch_file({"w": system}), Reason.UNSAFE_PICKLE),
        "system-legacy.pth": (torch_file({"w": system}, zipped=False), Reason.UNSAFE_PICKLE),
        "system-protocol-4.pth": (torch_file({"w": system}, protocol=4), Reason.UNSAFE_PICKLE),
        "system-raw.pth": (raw, Reason.UNSAFE_PICKLE),
        "system-instance.bin": (
            f"(S'{command}'\nios\nsystem\n.".encode(),
            Reason.UNSAFE_PICKLE,
        ),
        "system-stack-global.pt": (
            b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c"
            + bytes([len(command)])
            + command.encode()
            + b"\x85R.",
            Reason.UNSAFE_PICKLE,
        ),
        "eval.pth": (
            torch_file({"w": Calls(eval, f"open({str(ran)!r}, 'w')")}),
            Reason.UNSAFE_PICKLE,
        ),
        "exec.pth": (
            torch_file([Calls(exec, f"open({str(ran)!r}, 'w')")], zipped=False),
            Reason.UNSAFE_PICKLE,
        ),
        "getattr.pth": (
            torch_file({"w": Calls(getattr, "", "join")}, protocol=2),
            Reason.UNSAFE_PICKLE,
        ),
        "namespace.pth": (
            torch_file({"args": argparse.Namespace(lr=1e-4), "w": torch.ones(2)}),
            Reason.UNSAFE_PICKLE,
        ),
        "numpy-scalar.pth": (torch_file({"step": np.float64(3.0)}), Reason.UNSAFE_PICKLE),
        "numpy-array.pth": (torch_file({"w": np.zeros(3)}), Reason.UNSAFE_PICKLE),
        "path.pth": (torch_file({"from": pathlib.PurePosixPath("a")}), Reason.UNSAFE_PICKLE),
        "module.pth": (torch_file(torch.nn.Linear(2, 2)), Reason.UNSAFE_PICKLE),
        "generator.pth": (torch_file({"device": torch.device("cpu")}), Reason.UNSAFE_PICKLE),
        "complex.pth": (
            torch_file({"w": torch.ones(2, dtype=torch.complex64)}),
            Reason.UNSAFE_PICKLE,
        ),
        "sparse.pth": (
            torch_file({"w": torch.sparse_coo_tensor([[0]], [1.0], (2,), check_invariants=True)}),
            Reason.UNSAFE_PICKLE,
        ),
        "persistent.pth": (b"Pstorage\n.", Reason.UNSAFE_PICKLE),
        "laughs.pth": (
            b"(lp0\n" + b"".join(b"(g%dg%dlp%d\n" % (i, i, i + 1) for i in range(40)) + b".",
            Reason.UNSAFE_PICKLE,
        ),
        "raw-dictionary.pth": (b"\x80\x02}q\x00.", Reason.BAD_PICKLE),
        "garbage.pth": (bytes(range(255, 0, -1)) * 9, Reason.BAD_PICKLE),
        "truncated-legacy.pth": (
            torch_file({"w": torch.ones(4)}, zipped=False)[:60],
            Reason.BAD_PICKLE,
        ),
        "string-2-63.pth": (b"\x80\x04\x8d" + struct.pack("<Q", 2**63 - 1), Reason.BAD_PICKLE),
        "opcodes-2m.pth": (b"\x80\x02" + b"NNNN" * 500_000 + b".", Reason.TOO_MANY_TENSORS),
        "deflate-bomb.pth": (bomb, Reason.COMPRESSED_ENTRY),
        "size-lie.pth": (
            whole.replace(struct.pack("<LL", 16, 16), struct.pack("<LL", 10**9, 10**9)),
            Reason.EXPANDS,
        ),
        "torchscript.pt": (
            archive({**good, "archive/constants.pkl": b"\x80\x02).", "archive/code/m.py": b""}),
            Reason.TORCHSCRIPT,
        ),
        "way-out.pth": (archive({**good, "../../.bashrc": b"x"}), Reason.BAD_NAME),
        "absolute.pth": (archive({**good, "/etc/passwd": b"x"}), Reason.BAD_NAME),
        "backslash.pth": (archive({**good, "a\\..\\b": b"x"}), Reason.BAD_NAME),
        "link-member.pth": (
            archive({"a/data.pkl": b"/etc/passwd"}, attributes=0o120777),
            Reason.SYMLINK,
        ),
        "zip-twice.pth": (
            archive({"a/data.pkl": data, "a/data/0": b"0000", "a/data/1": b"0000"}).replace(
                b"a/data/1", b"a/data/0"
            ),
            Reason.DUPLICATE_KEY,
        ),
        "two-pickles.pth": (archive({"a/data.pkl": data, "b/data.pkl": data}), Reason.BAD_ZIP),
        "pickle-beside.pth": (archive({**good, "data.pkl": raw}), Reason.BAD_ZIP),
        "pickle-below.pth": (archive({**good, "archive/data/data.pkl": raw}), Reason.BAD_ZIP),
        "pickle-large.pth": (archive({"archive/DATA.PKL": raw, **good}), Reason.DUPLICATE_KEY),
        "pickle-alone-below.pth": (archive({"a/b/data.pkl": data}), Reason.BAD_ZIP),
        "no-pickle.pth": (archive({"a/readme.txt": b"hello"}), Reason.BAD_ZIP),
        "pickle-9-mb.pth": (archive({"a/data.pkl": bytes(9_000_000)}), Reason.TOO_LARGE),
        "truncated.pth": (whole[:-30], Reason.BAD_ZIP),
        "prefix.pth": (b"PK\x03\x04" + whole[:300], Reason.BAD_ZIP),
        "appended.pth": (whole + b"#!/bin/sh\n", Reason.BAD_ZIP),
        "checksum.pth": (whole.replace(data, data[:-9] + b"NNNNNNNN."), Reason.BAD_ZIP),
        "encrypted.pth": (
            whole.replace(b"PK\x01\x02\x14\x03\x14\0\0\0", b"PK\x01\x02\x14\x03\x14\0\1\0"),
            Reason.BAD_ZIP,
        ),
        "directory-1-tb.pth": (
            saved[:-58] + struct.pack("<Q", 2**40) + saved[-50:],
            Reason.TOO_MANY_TENSORS,
        ),
        "directory-4-gb.pth": (
            whole[:-22] + struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 4, 4, 2**32 - 2, 0, 0),
            Reason.TOO_MANY_TENSORS,
        ),
    }


@functools.cache
def trees() -> Corpus:
    """Torch files that can be read but hold no sane dictionary of tensors."""
    many = torch.ones(100_000)
    return {
        "stride-0-legacy.pth": (
            torch_file({"w": torch.zeros(1).expand(10**12)}, zipped=False),
            Reason.EXPANDS,
        ),
        "views.pth": (torch_file({str(i): many.view(-1) for i in range(50)}), Reason.EXPANDS),
        "list.pth": (torch_file([torch.ones(2)]), Reason.NO_TENSORS),
        "tensor.pth": (torch_file(torch.ones(2)), Reason.NO_TENSORS),
        "numbers.pth": (torch_file({"epoch": 3}), Reason.NO_TENSORS),
        "way-out-key.pth": (torch_file({"../w": torch.ones(2)}), Reason.BAD_NAME),
        "one-name.pth": (
            torch_file({"a": {"b": torch.ones(2)}, "a.b": torch.ones(2)}),
            Reason.DUPLICATE_KEY,
        ),
        "deep.pth": (torch_file({"a": [[[[[[[[[torch.ones(2)]]]]]]]]]}), Reason.TOO_DEEP),
    }


@functools.cache
def tensors() -> Corpus:
    """Torch files that torch itself fails to read, or reads into what weights never are."""
    good = members(torch_file({"w": torch.ones(4)}))
    # ((((), ()), ((), ())), …): 60 levels of pairs, as a key: its hash takes 2^60 steps.
    hashes = b"\x80\x02})" + b"q\x00h\x00\x86" * 60 + b"Ns."
    return {
        "stride-0.pth": (torch_file({"w": torch.zeros(1).expand(10**12)}), Reason.EXPANDS),
        "length-lie.pth": (archive({**good, "archive/data/0": b"1234"}), Reason.UNREADABLE),
        "storage-missing.pth": (
            archive({name: data for name, data in good.items() if name != "archive/data/0"}),
            Reason.UNREADABLE,
        ),
        "storage-terabyte.pth": (
            torch_file({"w": torch.ones(4)}, zipped=False).replace(
                b"cpuq\x06K\x04", b"cpuq\x06\x8a\x06" + (10**12).to_bytes(6, "little")
            ),
            Reason.UNREADABLE,
        ),
        "nan.pth": (torch_file({"w": torch.tensor([float("nan")])}), Reason.NOT_FINITE),
        "hashes.pth": (archive({**good, "archive/data.pkl": hashes}), Reason.TOO_SLOW),
    }
