"""One row for each figure, printed as a table when all are known."""

from dataclasses import dataclass

__all__ = ["Row", "render"]


@dataclass(frozen=True)
class Row:
    """A figure, its floor (the least that the same work could take here), and the aim."""

    what: str
    measured: float
    floor: float
    floor_is: str
    aim: str
    unit: str = "s"
    met: bool | None = None

    @property
    def ratio(self) -> float:
        """Return measured over floor."""
        return self.measured / self.floor if self.floor else float("nan")


def render(rows: list[Row]) -> str:
    """Return a Markdown table of ``rows``."""
    lines = [
        "| what | measured | floor | ratio | aim | met | the floor is |",
        "|---|---:|---:|---:|---|---|---|",
    ]
    for row in rows:
        met = {True: "yes", False: "NO", None: "-"}[row.met]
        lines.append(
            f"| {row.what} | {row.measured:.2f} {row.unit} | {row.floor:.2f} {row.unit} "
            f"| {row.ratio:.2f} | {row.aim} | {met} | {row.floor_is} |"
        )
    return "\n".join(lines)
