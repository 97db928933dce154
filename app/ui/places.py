"""The six places of the studio, and the pages in each: what the header shows, at what address."""

from dataclasses import dataclass

FIRST = "Start"  # at the address of the site itself


@dataclass(frozen=True)
class Place:
    """A name in the header and its pages: (name, what its tab says), the first one first."""

    name: str
    pages: tuple[tuple[str, str], ...]

    @property
    def names(self) -> list[str]:
        """Its pages by name."""
        return [name for name, _ in self.pages]


def _alone(name: str) -> Place:
    return Place(name, ((name, name),))


PLACES = (
    _alone(FIRST),
    _alone("Imagine"),
    _alone("Label"),
    _alone("Train"),
    Place(
        "Evaluate",
        (
            ("Fidelity", "Can I believe this world model?"),
            ("Evaluate", "Policies"),
            ("Trials", "Trials"),
        ),
    ),
    Place(
        "Library",
        (
            ("Episodes", "Episodes"),
            ("Models", "Models"),
            ("Reward", "Reward judge"),
            ("Data", "Data"),
        ),
    ),
)
# Addresses that people try; each page's own is its name.
ALSO = {"library": "episodes", "start": "", "home": ""}


def address(page: str) -> str:
    """Where a page is, relative to the site."""
    return "" if page == FIRST else page.lower()


def place_of(page: str) -> Place:
    """The place that a page is in."""
    return next(place for place in PLACES if page in place.names)
