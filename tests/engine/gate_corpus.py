"""Hostile and malformed files, each with the reason that the gate must name."""

import functools
import json
import os
import socket
import struct
from collections.abc import Callable
from pathlib import Path

from engine.gate.verdict import Reason
from tests.engine.gate_files import (
    archive,
    entry,
    floats,
    one_tensor,
    safetensors,
    sparse,
)

# name of the file: its bytes, or what makes it, and the reason for refusing it
Corpus = dict[str, tuple[bytes | Callable[[Path], None], Reason]]

FOUR = floats(1.0, 2.0, 3.0, 4.0)
POINTER = (
    b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 4831838208\n"
)
PAGE = b"<!DOCTYPE html><html><head><title>404</title></head><body>Not found</body></html>"


@functools.cache
def headers() -> Corpus:
    """Safetensors whose header is wrong: refused without a look at the data."""
    w = entry(0, 16)
    deep = "[" * 5_000 + "]" * 5_000
    many = {f"t{i}": entry(0, 0, shape=[0]) for i in range(20_001)}
    pair = {"a": entry(0, 8), "b": entry(8, 16)}
    return {
        "length-2-64.safetensors": (
            safetensors({"w": w}, FOUR, length=2**64 - 1),
            Reason.HEADER_TOO_LARGE,
        ),
        "length-1-tb.safetensors": (
            safetensors({"w": w}, FOUR, length=10**12),
            Reason.HEADER_TOO_LARGE,
        ),
        "blank-90-mb.safetensors": (
            lambda path: sparse(path, 90_000_100, struct.pack("<Q", 90_000_000) + b'{"w":{'),
            Reason.HEADER_TOO_LARGE,
        ),
        "tensors-600k.safetensors": (
            lambda path: sparse(path, 40_000_100, struct.pack("<Q", 40_000_000) + b'{"t0":{'),
            Reason.HEADER_TOO_LARGE,
        ),
        "tensors-20001.safetensors": (safetensors(many), Reason.TOO_MANY_TENSORS),
        "overlap.safetensors": (
            safetensors({**pair, "b": entry(4, 16)}, FOUR),
            Reason.BAD_OFFSETS,
        ),
        "hole.safetensors": (
            safetensors({"a": entry(0, 4), "b": entry(8, 16)}, FOUR),
            Reason.BAD_OFFSETS,
        ),
        "late.safetensors": (safetensors({"w": entry(4, 16)}, FOUR), Reason.BAD_OFFSETS),
        "twice.safetensors": (
            safetensors({"a": entry(0, 16), "b": entry(0, 16)}, FOUR),
            Reason.BAD_OFFSETS,
        ),
        "overflow.safetensors": (
            safetensors({"w": entry(0, 16, shape=[2**40, 2**40])}, FOUR),
            Reason.BAD_OFFSETS,
        ),
        "overflow-to-zero.safetensors": (
            safetensors({"w": entry(0, 0, shape=[2**32, 2**32])}),
            Reason.BAD_OFFSETS,
        ),
        "negative.safetensors": (
            safetensors({"w": entry(-16, 0, shape=[4])}, FOUR),
            Reason.BAD_OFFSETS,
        ),
        "backwards.safetensors": (
            safetensors({"w": entry(16, 0, shape=[4])}, FOUR),
            Reason.BAD_OFFSETS,
        ),
        "three-offsets.safetensors": (
            safetensors({"w": {**w, "data_offsets": [0, 8, 16]}}, FOUR),
            Reason.BAD_OFFSETS,
        ),
        "negative-shape.safetensors": (
            safetensors({"w": entry(0, 16, shape=[-2, -2])}, FOUR),
            Reason.BAD_HEADER,
        ),
        "fraction-shape.safetensors": (
            safetensors({"w": {**w, "shape": [4.0]}}, FOUR),
            Reason.BAD_HEADER,
        ),
        "true-shape.safetensors": (
            safetensors({"w": {**w, "shape": [True, 4]}}, FOUR),
            Reason.BAD_HEADER,
        ),
        "dimensions-99.safetensors": (
            safetensors({"w": entry(0, 16, shape=[1] * 98 + [4])}, FOUR),
            Reason.BAD_HEADER,
        ),
        "extra-field.safetensors": (
            safetensors({"w": {**w, "note": ""}}, FOUR),
            Reason.BAD_HEADER,
        ),
        "no-dtype.safetensors": (
            safetensors({"w": {"shape": [4], "data_offsets": [0, 16]}}, FOUR),
            Reason.BAD_HEADER,
        ),
        "entry-list.safetensors": (safetensors({"w": [0, 16]}, FOUR), Reason.BAD_HEADER),
        "header-list.safetensors": (safetensors("[1, 2]"), Reason.BAD_HEADER),
        "metadata-number.safetensors": (
            safetensors({"__metadata__": {"n": 1}, "w": w}, FOUR),
            Reason.BAD_HEADER,
        ),
        "metadata-list.safetensors": (
            safetensors({"__metadata__": ["n"], "w": w}, FOUR),
            Reason.BAD_HEADER,
        ),
        "trailing.safetensors": (safetensors({"w": w}, FOUR + b"more"), Reason.BAD_OFFSETS),
        "truncated.safetensors": (safetensors({"w": w}, FOUR[:-1]), Reason.TRUNCATED),
        "truncated-header.safetensors": (
            safetensors({"w": w}, FOUR)[:20],
            Reason.TRUNCATED,
        ),
        "four-bytes.safetensors": (b"\1\0\0\0", Reason.TRUNCATED),
        "no-header.safetensors": (safetensors(""), Reason.BAD_JSON),
        "bad-utf8.safetensors": (safetensors(b'{"\xff\xfe": 1}'), Reason.BAD_JSON),
        "blank-first.safetensors": (
            safetensors("  " + json.dumps({"w": w}), FOUR),
            Reason.BAD_HEADER,
        ),
        "not-json.safetensors": (safetensors("{'w': 1}"), Reason.BAD_JSON),
        "digits-5000.safetensors": (
            safetensors('{"w": {"dtype": "F32", "shape": [' + "9" * 5_000 + "]}}"),
            Reason.BAD_JSON,
        ),
        "nan-offset.safetensors": (
            safetensors('{"w": {"dtype": "F32", "shape": [4], "data_offsets": [NaN, 16]}}', FOUR),
            Reason.NOT_FINITE,
        ),
        "deep.safetensors": (safetensors('{"w": ' + deep + "}"), Reason.TOO_DEEP),
        "deep-ten.safetensors": (safetensors({"w": [[[[[[[[[[0]]]]]]]]]]}), Reason.TOO_DEEP),
        "duplicate.safetensors": (
            safetensors(f'{{"w": {json.dumps(w)}, "w": {json.dumps(w)}}}', FOUR),
            Reason.DUPLICATE_KEY,
        ),
        "duplicate-field.safetensors": (
            safetensors(
                '{"w": {"dtype": "F32", "shape": [4], "shape": [1], "data_offsets": [0, 16]}}', FOUR
            ),
            Reason.DUPLICATE_KEY,
        ),
        "dtype-unknown.safetensors": (
            safetensors({"w": entry(0, 16, dtype="F128", shape=[1])}, FOUR),
            Reason.BAD_DTYPE,
        ),
        "dtype-half-byte.safetensors": (
            safetensors({"w": entry(0, 16, dtype="F4", shape=[32])}, FOUR),
            Reason.BAD_DTYPE,
        ),
        "dtype-number.safetensors": (safetensors({"w": {**w, "dtype": 4}}, FOUR), Reason.BAD_DTYPE),
        "name-way-out.safetensors": (one_tensor(FOUR, name="../../etc/passwd"), Reason.BAD_NAME),
        "name-absolute.safetensors": (one_tensor(FOUR, name="/etc/passwd"), Reason.BAD_NAME),
        "name-html.safetensors": (
            one_tensor(FOUR, name="<img src=x onerror=alert(1)>"),
            Reason.BAD_NAME,
        ),
        "name-newline.safetensors": (one_tensor(FOUR, name="w\n"), Reason.BAD_NAME),
        "name-empty.safetensors": (one_tensor(FOUR, name=""), Reason.BAD_NAME),
        "name-long.safetensors": (one_tensor(FOUR, name="w" * 257), Reason.BAD_NAME),
        "name-bidi.safetensors": (one_tensor(FOUR, name="w\u202e"), Reason.BAD_NAME),
        "empty-header.safetensors": (safetensors("{}"), Reason.NO_TENSORS),
        "only-metadata.safetensors": (safetensors({"__metadata__": {}}), Reason.NO_TENSORS),
    }


@functools.cache
def numbers() -> Corpus:
    """Safetensors whose values are wrong: found in the sandbox."""
    return {
        "nan.safetensors": (one_tensor(floats(1.0, float("nan"))), Reason.NOT_FINITE),
        "infinity.safetensors": (one_tensor(floats(1.0, -float("inf"))), Reason.NOT_FINITE),
        "nan-bf16.safetensors": (one_tensor(b"\xc0\x7f", "BF16", size=2), Reason.NOT_FINITE),
        "infinity-f16.safetensors": (one_tensor(b"\x00\xfc", "F16", size=2), Reason.NOT_FINITE),
        "nan-f8.safetensors": (one_tensor(b"\x01\xff", "F8_E4M3", size=1), Reason.NOT_FINITE),
        "infinity-f8.safetensors": (one_tensor(b"\x7c", "F8_E5M2", size=1), Reason.NOT_FINITE),
        "huge.safetensors": (one_tensor(floats(-1e4)), Reason.OUT_OF_RANGE),
        "huge-f64.safetensors": (
            one_tensor(struct.pack("<d", 1e300), "F64", size=8),
            Reason.OUT_OF_RANGE,
        ),
        "huge-bf16.safetensors": (one_tensor(b"\x1d\x46", "BF16", size=2), Reason.OUT_OF_RANGE),
        "truth.safetensors": (one_tensor(b"\0\1\2", "BOOL", size=1), Reason.OUT_OF_RANGE),
    }


@functools.cache
def texts(ran: Path) -> Corpus:
    """JSON and Python configs that are more, or less, than data."""
    call = f"open({str(ran)!r}, 'w')"
    not_data = {
        "import": "import os\n",
        "call": f"x = {call}\n",
        "dunder": f"x = __import__('os').system('touch {ran}')\n",
        "bare-call": f"{call}\n",
        "comprehension": "x = [i for i in (1, 2)]\n",
        "lambda": "x = lambda: 1\n",
        "attribute": "x = (1).real\n",
        "f-string": f"x = f'{{{call}}}'\n",
        "name": "x = 1\ny = x\n",
        "positional": "x = dict([(1, 2)])\n",
        "unpacking": "x = dict(**{'a': 1})\n",
        "power": "x = 9 ** 9 ** 9 ** 9\n",
        "repeat": "x = 'a' * 10 ** 10\n",
        "class": "class A:\n    x = 1\n",
        "function": f"def f():\n    {call}\n",
        "if": "if True:\n    x = 1\n",
        "walrus": "x = (y := 1)\n",
        "annotation": f"x: {call} = 1\n",
        "two-targets": "x = y = 1\n",
        "tuple-target": "(x, y) = (1, 2)\n",
        "deletion": "x = 1\ndel x\n",
        "shadow": "dict = 1\nx = dict(a=1)(b=2)\n",
        "unclosed": "x = (1,\n",
        "null-byte": "x = 1\0\n",
        "indent": "x = 1\n    y = 2\n",
    }
    deep = "[" * 100_000 + "]" * 100_000
    json_object = json.dumps({"weight_map": {"w": "../../etc/passwd"}})
    corpus: Corpus = {
        f"{name}_cfg.py": (text.encode(), Reason.NOT_DATA) for name, text in not_data.items()
    }
    return corpus | {
        "deep_cfg.py": (f"x = {deep}\n".encode(), Reason.TOO_DEEP),
        "minus_cfg.py": (b"x = " + b"-" * 100_000 + b"1\n", Reason.NOT_DATA),
        "latin_cfg.py": ("x = 'é'\n".encode("latin-1"), Reason.NOT_DATA),
        "large_cfg.py": (lambda path: sparse(path, 300_000, b"x = 1\n"), Reason.TOO_LARGE),
        "beyond_cfg.py": (b"lr = 1e999\n", Reason.NOT_FINITE),
        "keyword_cfg.py": (b"model = dict(depth=2, depth=3)\n", Reason.DUPLICATE_KEY),
        "key_cfg.py": (b"model = {'depth': 2, 'depth': 3}\n", Reason.DUPLICATE_KEY),
        "deep.json": (deep.encode(), Reason.TOO_DEEP),
        "deep-30.json": (('{"a": ' + "[" * 30 + "]" * 30 + "}").encode(), Reason.TOO_DEEP),
        "nan.json": (b'{"q01": [NaN]}', Reason.NOT_FINITE),
        "infinity.json": (b'{"q99": [-Infinity]}', Reason.NOT_FINITE),
        "beyond.json": (b'{"q99": [1e999]}', Reason.NOT_FINITE),
        "digits.json": (b'{"n": ' + b"7" * 5_000 + b"}", Reason.BAD_JSON),
        "duplicate.json": (b'{"a": 1, "a": 2}', Reason.DUPLICATE_KEY),
        "list.json": (b"[1, 2]", Reason.BAD_JSON),
        "text.json": (b"hello", Reason.BAD_JSON),
        "two.json": (b"{} {}", Reason.BAD_JSON),
        "bad-utf8.json": (b'{"a": "\xff"}', Reason.BAD_JSON),
        "large.json": (lambda path: sparse(path, 17_000_000, b"{"), Reason.TOO_LARGE),
        "way-out.index.json": (json_object.encode(), Reason.BAD_NAME),
        "self.index.json": (b'{"weight_map": {"w": "self.index.json"}}', Reason.BAD_NAME),
        "empty.index.json": (b'{"metadata": {}}', Reason.BAD_JSON),
    }


@functools.cache
def strangers() -> Corpus:
    """Things that are not the file their name says, or no file at all."""
    good = one_tensor(FOUR)
    return {
        "pointer.safetensors": (POINTER, Reason.LFS_POINTER),
        "pointer.pth": (POINTER, Reason.LFS_POINTER),
        "pointer.json": (POINTER, Reason.LFS_POINTER),
        "page.safetensors": (PAGE, Reason.HTML_PAGE),
        "page.pth": (b"\n  <html lang='en'>", Reason.HTML_PAGE),
        "feed.json": (b"<?xml version='1.0'?><Error/>", Reason.HTML_PAGE),
        "gzip.pth": (b"\x1f\x8b\x08" + bytes(99), Reason.WRONG_KIND),
        "picture.pth": (b"\x89PNG\r\n\x1a\n" + bytes(99), Reason.WRONG_KIND),
        "program.bin": (b"\x7fELF" + bytes(99), Reason.WRONG_KIND),
        "script_cfg.py": (b"#!/bin/sh\nid\n", Reason.WRONG_KIND),
        "hdf5.safetensors": (b"\x89HDF\r\n\x1a\n" + bytes(99), Reason.WRONG_KIND),
        "numpy.bin": (b"\x93NUMPY" + bytes(99), Reason.WRONG_KIND),
        "tar.pt": (bytes(257) + b"ustar" + bytes(300), Reason.WRONG_KIND),
        "zip.safetensors": (archive({"a": b"b"}), Reason.WRONG_KIND),
        "safetensors.pt": (good, Reason.WRONG_KIND),
        "not-sentences.model": (b"hello", Reason.WRONG_KIND),
        "large.model": (lambda path: sparse(path, 17_000_000, b"\n\x0e"), Reason.TOO_LARGE),
        "weights.ckpt": (good, Reason.UNKNOWN_KIND),
        "weights": (good, Reason.UNKNOWN_KIND),
        "empty.safetensors": (b"", Reason.EMPTY),
        "terabyte.safetensors": (lambda path: sparse(path, 10**12), Reason.TOO_LARGE),
        "missing.safetensors": (lambda path: None, Reason.MISSING),
        "folder.safetensors": (Path.mkdir, Reason.NOT_A_FILE),
        "pipe.safetensors": (os.mkfifo, Reason.NOT_A_FILE),
        "socket.safetensors": (bind, Reason.NOT_A_FILE),
        "link.safetensors": (lambda path: link(path, good), Reason.SYMLINK),
        "dangling.safetensors": (lambda path: path.symlink_to("nowhere"), Reason.SYMLINK),
    }


def bind(path: Path) -> None:
    """A Unix socket as a file; by a short name, because such names may not be long."""
    here = os.getcwd()
    os.chdir(path.parent)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path.name)
    os.chdir(here)


def link(path: Path, data: bytes) -> None:
    """A symbolic link to a good file."""
    target = path.with_name("target.safetensors")
    target.write_bytes(data)
    path.symlink_to(target)
