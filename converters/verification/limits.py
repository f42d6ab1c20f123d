"""What a converted model must reach: a floor of its AP, and a budget for the loss of AP."""

from __future__ import annotations

from dataclasses import dataclass

from converters.measure import MIN_USEFUL_AP
from converters.verification.replacement import Replacement
from converters.verification.result import Verification, describe_change
from edge_ssd.console.counts import count
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
        """Return whether the converted model has at least ``min_ap`` and, unless that is 0, detects anything."""
        return self._floor_verdict(result) is None

    def within_budget(self, result: Verification | Replacement) -> bool:
        """Return whether at most ``budget`` is lost."""
        # Rounded as it is shown: a loss of 0.005 is within a budget of 0.005.
        return self.budget is None or round(-result.difference, 6) <= self.budget

    def passed(self, result: Verification) -> bool:
        """Return whether the result is within all limits."""
        return self.reached_floor(result) and self.within_budget(result)

    def verdicts(self, result: Verification) -> list[str]:
        """Return one line for the limit that decides: a floor that is not reached, else the budget, if there is one."""
        floor = self._floor_verdict(result)
        if floor is not None:  # whether such a model lost anything does not matter
            return [floor]
        return self._budget_verdict(result)

    def replacement_verdicts(self, result: Replacement) -> list[str]:
        """Return one line for the limit that decides whether a bundle may replace another; none without a limit."""
        ap = result.precisions[1].ap
        if round(ap, 6) < self.min_ap:
            return [f"BELOW the minimum (--min-ap): AP {ap:.3f}, {self.min_ap:g} required"]
        return self._budget_verdict(result)

    def allows(self, result: Replacement) -> bool:
        """Return whether a bundle may replace another."""
        return round(result.precisions[1].ap, 6) >= self.min_ap and self.within_budget(result)

    def _budget_verdict(self, result: Verification | Replacement) -> list[str]:
        if self.budget is None:
            return []
        verdict = "within" if self.within_budget(result) else "EXCEEDS"
        return [f"{verdict} the budget: {describe_change(result.difference)}, {self.budget:g} allowed"]

    def _floor_verdict(self, result: Verification) -> str | None:
        before, after = result.float_result.precision, result.quantized_result.precision
        agreement = result.agreement
        # In few images, boxes of the lowest scores may meet objects by chance.
        if self.min_ap and not agreement.matched + agreement.only_converted:
            images = f"{count(after.num_images, 'image')}"
            verdict = f"no detection with a score of {agreement.score_threshold:g} in {images}"
            float_fails = not agreement.only_float
        elif round(after.ap, 6) < self.min_ap:
            verdict = f"AP {after.ap:.3f}, {self.min_ap:g} required"
            float_fails = before.ap < self.min_ap
        else:
            return None
        cause = "the float model is no better: train it longer, or measure on images like those it was trained on"
        if not float_fails:
            cause = "the conversion lost what the float model finds: see --explain"
        return f"BELOW the minimum (--min-ap): {verdict}; {cause}"
