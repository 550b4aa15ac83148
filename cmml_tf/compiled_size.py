"""Sizes of requests for which an export is compiled with XLA."""

import re
from dataclasses import asdict, dataclass

_WRITTEN = re.compile(r"(\d+)x(\d+)x(\d+)", re.ASCII)


@dataclass(frozen=True)
class CompiledSize:
    """A size that smaller requests are padded to.

    Attributes:
      tasks: B.
      support_pairs: S.
      query_pairs: Q.

    Raises:
      ValueError: A size is not a positive integer.

    Example:

    >>> CompiledSize.parse("1x192x100")
    CompiledSize(tasks=1, support_pairs=192, query_pairs=100)
    """

    tasks: int
    support_pairs: int
    query_pairs: int

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(
                    f"`{name}` must be a positive integer. Received: {name}={value!r}."
                )

    @classmethod
    def parse(cls, text: str) -> "CompiledSize":
        """From tasks, support pairs and query pairs with an x between them.

        Raises:
          ValueError: It is none.
        """
        found = _WRITTEN.fullmatch(text)
        if found is None:
            raise ValueError(
                "A compiled size must be tasks, support pairs and query pairs, such as 1x192x100. "
                f"Received: {text!r}."
            )
        return cls(*map(int, found.groups()))

    def __str__(self) -> str:
        return f"{self.tasks}x{self.support_pairs}x{self.query_pairs}"
