"""What a pickle asks for, read from its opcodes alone: nothing is built, nothing is called."""

import io
import pickletools
from typing import IO

from engine.gate.verdict import Limits, Reason, RefusedError, quoted

# An opcode costs about a microsecond to look at; 20,000 tensors need fewer than a million.
_MOST_OPCODES = 1_000_000
# A file in torch's format before 1.6 begins with a pickle of this number, then come the version,
# the machine, the state dict and the names of the storages.
_LEGACY_START = b"\x80\x02\x8a\x0a" + 0x1950A86A20F9469CFC6C.to_bytes(10, "little") + b"."
_LEGACY_PICKLES = 5

_STORAGES = (
    "Float", "Double", "Half", "BFloat16", "Long", "Int", "Short", "Char", "Byte", "Bool",
)  # fmt: skip
_DTYPES = (
    "float8_e4m3fn", "float8_e5m2", "float16", "bfloat16", "float32", "float64",
    "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "bool",
)  # fmt: skip
# Everything that weights are made of. torch's own list is longer: this one comes first.
_GLOBALS = {
    "collections OrderedDict",
    "torch Size",
    "torch._utils _rebuild_parameter",
    "torch._utils _rebuild_tensor",
    "torch._utils _rebuild_tensor_v2",
    "torch._utils _rebuild_tensor_v3",
    "torch.storage UntypedStorage",
    *(f"torch {name}Storage" for name in _STORAGES),
    *(f"torch {name}" for name in _DTYPES),
}
# What torch's restricted reader understands; a pickle with others is no state dict of torch's.
_OPCODES = {
    "PROTO", "STOP", "GLOBAL", "REDUCE", "BUILD", "APPEND", "APPENDS", "SETITEM", "SETITEMS",
    "MARK", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "NONE", "NEWFALSE", "NEWTRUE", "EMPTY_TUPLE",
    "EMPTY_LIST", "EMPTY_DICT", "BININT", "BININT1", "BININT2", "BINFLOAT", "BINUNICODE",
    "SHORT_BINSTRING", "BINPERSID", "BINGET", "LONG_BINGET", "BINPUT", "LONG_BINPUT", "LONG1",
}  # fmt: skip


def check_pickle(stream: io.BytesIO) -> None:
    """Read one pickle's opcodes, up to its end.

    Raises:
        RefusedError: it asks Python for anything that weights are not made of, or is damaged.
    """
    try:
        for number, (opcode, argument, _) in enumerate(pickletools.genops(stream)):
            if opcode.name == "GLOBAL" and argument not in _GLOBALS:
                raise RefusedError(
                    Reason.UNSAFE_PICKLE,
                    f"asks Python for {quoted(str(argument).replace(' ', '.'))}, which weights"
                    " never need; save the state dict alone, or as safetensors",
                )
            if opcode.name not in _OPCODES:
                raise RefusedError(
                    Reason.UNSAFE_PICKLE,
                    f"uses the pickle instruction {opcode.name}, which weights never need",
                )
            if number > _MOST_OPCODES:
                raise RefusedError(Reason.TOO_MANY_TENSORS, "describes more than weights can need")
    except RefusedError:
        raise
    except (ValueError, LookupError, OverflowError) as error:
        raise RefusedError(Reason.BAD_PICKLE, "holds a damaged pickle, or none at all") from error


def check_legacy(stream: IO[bytes], limits: Limits) -> None:
    """The pickles at the start of a file in torch's format before 1.6; its storages follow them.

    Raises:
        RefusedError: another format, or as `check_pickle`.
    """
    head = io.BytesIO(stream.read(limits.pickle_bytes))
    check_pickle(head)
    if not head.getvalue().startswith(_LEGACY_START):
        raise RefusedError(Reason.BAD_PICKLE, "is a pickle, but not one that torch.save writes")
    for _ in range(_LEGACY_PICKLES - 1):
        check_pickle(head)
