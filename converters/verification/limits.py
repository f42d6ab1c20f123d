"""What a converted model must reach: a floor of its AP, and a budget for the loss of AP."""

from __future__ import annotations

from dataclasses import dataclass

from converters.measure import MIN_USEFUL_AP
from converters.verification.result import Verification, describe_change
from edge_ssd.errors import SettingError

__all__ = ["Limits"]


@dataclass(frozen=True)
class Limits:
    """Limits of a verification, in AP (0–1).

    Attributes:
        budget: maximum loss; None for no limit. The loss alone does not decide: a model that finds nothing loses
            nothing.
        min_ap: minimum AP of the converted model.

    Raises:
        SettingError: a limit is not from 0 to 1.
    """

    budget: float | None = None
    min_ap: float = MIN_USEFUL_AP

    def __post_init__(self) -> None:
        if self.budget is not None and not 0 <= self.budget <= 1:
            raise SettingError(f"--budget must be a loss of AP from 0 to 1, got {self.budget}")
        if not 0 <= self.min_ap <= 1:
            raise SettingError(f"--min-ap must be an AP from 0 to 1, got {self.min_ap}")

    def reached_floor(self, result: Verification) -> bool:
        """Return whether the converted model has at least ``min_ap``."""
        return round(result.quantized_result.precision.ap, 6) >= self.min_ap

    def within_budget(self, result: Verification) -> bool:
        """Return whether the conversion lost at most ``budget``."""
        # Rounded as it is shown: a loss of 0.005 is within a budget of 0.005.
        return self.budget is None or round(-result.difference, 6) <= self.budget

    def passed(self, result: Verification) -> bool:
        """Return whether the result is within all limits."""
        return self.reached_floor(result) and self.within_budget(result)

    def verdicts(self, result: Verification) -> list[str]:
        """Return a line for the budget, if there is one, and for the floor, if it is not reached."""
        lines = []
        if self.budget is not None:
            verdict = "within" if self.within_budget(result) else "EXCEEDS"
            lines.append(f"{verdict} the budget: {describe_change(result.difference)}, {self.budget:g} allowed")
        if not self.reached_floor(result):
            before, after = result.float_result.precision.ap, result.quantized_result.precision.ap
            lines.append(
                f"BELOW the minimum: AP {after:.3f} converted, {self.min_ap:g} required (--min-ap): "
                f"{_cause(before, self.min_ap)}"
            )
        return lines


def _cause(float_ap: float, min_ap: float) -> str:
    if float_ap < min_ap:
        return (
            f"the float model does not reach it either ({float_ap:.3f}): train it longer, or measure on images like "
            "those it was trained on"
        )
    return f"the conversion lost it (float {float_ap:.3f}): see --explain"
