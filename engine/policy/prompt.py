"""An instruction to the token ids of its prompt (method.md §2.3)."""

from collections.abc import Sequence
from pathlib import Path

from tokenizers import Tokenizer as FastTokenizer
from tokenizers.models import Unigram

from engine.policy.tokens import NUM_BINS

PROMPT_START = "In: What action should the robot take to"
PROMPT_END = "?\nOut:"

SPECIALS = ("<unk>", "<s>", "</s>")
NUM_TEXT_IDS = 256
CHARACTERS = "\n !\"#%&'()*+,-./:;<=>?@_abcdefghijklmnopqrstuvwxyz0123456789"
WORDS = (
    "the a an and or of to in into on onto at by from with under over above below behind before "
    "after between next near inside outside through out up down left right front back side top "
    "bottom middle center edge corner away around until then not all both one two three push pull "
    "pick place put press open close insert move bring take lift lower raise drop hold release "
    "grasp grip turn rotate twist slide reach touch hit hammer pour stack unstack assemble "
    "disassemble hang remove fill empty sweep wipe stir fold plug unplug lock unlock carry throw "
    "kick shut set align tilt flip mug cup coffee machine button drawer door handle peg hole wall "
    "ring nail puck goal bin box cube block ball bowl plate lid cap bottle can shelf table stick "
    "square round nut stand tower basket faucet lever window soccer dial tray spoon knife pan pot "
    "stove microwave fridge sink towel cloth rope wire tool screw bolt gear part piece object "
    "thing red green blue yellow white black orange purple pink gray brown big small long short "
    "other same first second it its"
)


def prompt_of(instruction: str) -> str:
    """The sentence around an instruction; the instruction is lower-cased."""
    return f"{PROMPT_START} {instruction.strip().lower()}{PROMPT_END}"


class Tokenizer:
    """A `tokenizer.json` of the tokenizers library, ours or a released checkpoint's Llama-2.

    Ids of a prompt start with `bos_token_id`. With `final_prompt_token` a prompt that does not end
    in it gets it appended: 29871 for Llama-2 (method.md §2.3).
    """

    def __init__(
        self, fast: FastTokenizer, *, bos_token_id: int, final_prompt_token: int | None
    ) -> None:
        self._fast = fast
        self._bos_token_id = bos_token_id
        self._final_prompt_token = final_prompt_token

    @classmethod
    def from_file(
        cls, path: Path, *, bos_token_id: int, final_prompt_token: int | None
    ) -> "Tokenizer":
        """Read a `tokenizer.json`.

        Raises:
            ValueError: there is no such file.
        """
        if not path.is_file():
            raise ValueError(f"there is no tokenizer file {path}")
        fast = FastTokenizer.from_str(path.read_text())
        return cls(fast, bos_token_id=bos_token_id, final_prompt_token=final_prompt_token)

    def save(self, path: Path) -> None:
        """Write the `tokenizer.json` that `from_file` reads."""
        path.write_text(self._fast.to_str(pretty=True))

    def encode(self, instructions: Sequence[str]) -> list[list[int]]:
        """The prompt ids of each instruction, BOS first; lengths differ."""
        return [self._prompt_ids(prompt_of(instruction)) for instruction in instructions]

    def _prompt_ids(self, prompt: str) -> list[int]:
        ids = [self._bos_token_id, *self._fast.encode(prompt, add_special_tokens=False).ids]
        if self._final_prompt_token is not None and ids[-1] != self._final_prompt_token:
            ids.append(self._final_prompt_token)
        return ids


def demo_tokenizer() -> Tokenizer:
    """The shipped tokenizer: 256 text ids and 256 action ids.

    Text ids are 3 specials, the two halves of the prompt as one piece each, characters, and the
    words of manipulation tasks with their leading space. A prompt takes the fewest pieces;
    a word that is not listed is spelled, a character that is not listed is `<unk>`.
    """
    words = [f" {word}" for word in dict.fromkeys(WORDS.split())]
    likely = [PROMPT_START, PROMPT_END, *words]
    text = [*SPECIALS, *CHARACTERS, *likely]
    text += [f"<spare {index}>" for index in range(NUM_TEXT_IDS - len(text))]
    assert len(text) == NUM_TEXT_IDS, len(text)
    pieces = [(piece, _score(piece, likely)) for piece in text]
    pieces += [(f"<action {index}>", -1000.0) for index in range(NUM_BINS)]
    fast = FastTokenizer(Unigram(pieces, unk_id=0, byte_fallback=False))
    return Tokenizer(fast, bos_token_id=SPECIALS.index("<s>"), final_prompt_token=None)


def _score(piece: str, likely: Sequence[str]) -> float:
    if piece in likely:
        return -1.0
    return -10.0 if len(piece) == 1 else -1000.0
