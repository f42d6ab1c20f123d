"""Instructions of a detection on ARM: compared with a table, which they must not exceed."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from arm import measure
from arm.feature_stages import FEATURES
from arm.fetch import CPUS, Unavailable, fetch, install_project
from arm.instructions import LANE, STAGES, TABLE, Count, count_instructions, excess
from arm.project_wheel import build_wheel
from conftest import REPOSITORY, skip_or_fail

from edge_ssd.runtime.shipped_models import find_model

pytestmark = pytest.mark.timeout(900)


def table() -> dict:
    return json.loads(TABLE.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def lane(tmp_path_factory: pytest.TempPathFactory) -> None:
    try:
        fetch(LANE)
    except Unavailable as error:
        skip_or_fail(f"{LANE.name}: {error}")
    install_project(LANE, build_wheel(tmp_path_factory.mktemp("wheel") / "build"))


@pytest.mark.usefixtures("lane")
@pytest.mark.parametrize("cpu", CPUS)
def test_stages_do_not_exceed_table(cpu: str) -> None:
    try:
        count = count_instructions(cpu)
    except Unavailable as error:
        skip_or_fail(str(error))
    problems = excess(count, table())
    assert not problems, "; ".join(problems)


def test_excess_reports_stages_above_margin() -> None:
    ran = {"model": "a", "numpy": "2"}
    expected = {"ran": ran, "instructions": {"cortex-a53": {"invoke": 1000, "postprocess": 100}}}
    count = Count("cortex-a53", {"invoke": 1020, "postprocess": 90}, {}, ran)
    assert excess(count, expected) == []
    count = Count("cortex-a53", {"invoke": 1021, "postprocess": 103}, {}, ran)
    assert excess(count, expected) == [
        "invoke on cortex-a53: 1021 instructions, 2.1 % more than the table's 1000",
        "postprocess on cortex-a53: 103 instructions, 3.0 % more than the table's 100",
    ]
    count = Count("cortex-a53", {"invoke": 1, "postprocess": 1}, {}, {"model": "b", "numpy": "2"})
    (problem,) = excess(count, expected)
    assert problem.startswith("model is b, the table's is a: measure again")


def test_table_was_measured_with_shipped_model() -> None:
    shipped = hashlib.sha256(find_model("banana").read_bytes()).hexdigest()
    assert table()["ran"]["model"] == shipped, "another model is shipped; run: python tests/arm/measure.py --write"


def test_docs_page_shows_table() -> None:
    instructions = table()["instructions"]
    assert list(instructions) == list(CPUS)
    assert all(tuple(stages) == STAGES for stages in instructions.values())
    page = measure.PAGE.read_text(encoding="utf-8")
    assert measure.rewrite(page, measure.markdown(instructions)) == page


def test_page_of_costs_shows_counts() -> None:
    instructions = json.loads(measure.FEATURE_TABLE.read_text(encoding="utf-8"))["instructions"]
    page = (REPOSITORY / "docs" / "costs.md").read_text(encoding="utf-8")
    assert set(FEATURES) == instructions.keys() - {"invoke", "detect"}
    for name, feature in FEATURES.items():
        number = instructions[name] + (5 * instructions["invoke"] if name == "tiles" else 0)
        assert f"| {feature.text} | {feature.per} | {number / 1e6:.1f} |" in page


def test_markdown_table_by_hand(tmp_path: Path) -> None:
    stages = {"preprocess": 2_000_000, "invoke": 100_000_000, "postprocess": 1_004_999, "all but invoke": 4_000_000}
    assert measure.markdown({"cortex-a76": stages}).splitlines()[2] == (
        "| Cortex-A76 (Pi 5) | 2.00 | 100.00 | 1.00 | 4.00 | 4.0% |"
    )
    old = measure.markdown({"cortex-a53": stages})
    assert measure.rewrite(f"before\n\n{old}\n\nafter\n", "new") == "before\n\nnew\n\nafter\n"
    with pytest.raises(ValueError, match="contains it 0 times"):
        measure.rewrite("no table", "new")


def test_work_beside_invoke_is_at_most_a_tenth_on_pi_4() -> None:
    stages = table()["instructions"]["cortex-a72"]
    assert stages["all but invoke"] <= 0.10 * stages["invoke"]
