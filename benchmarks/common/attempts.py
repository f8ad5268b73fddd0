"""Pieces of work that do not depend on each other: one that fails does not stop the others."""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager


class Attempts:
    """Runs pieces, and says at the end which failed: a program that lost one ends with an error."""

    def __init__(self) -> None:
        self.failed: list[str] = []

    @contextmanager
    def piece(self, name: str) -> Iterator[None]:
        try:
            yield
        except Exception:
            traceback.print_exc()
            self.failed.append(name)

    def finish(self) -> None:
        if self.failed:
            raise SystemExit(f"Failed, see above: {', '.join(self.failed)}")
