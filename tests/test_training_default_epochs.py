"""edge_ssd.training.default_epochs, and that a new run takes them unless --epochs is given."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("tensorflow")

from edge_ssd.cli import command_parser
from edge_ssd.commands.train import _setup
from edge_ssd.training.default_epochs import default_epochs
from edge_ssd.training.workers import SINGLE_WORKER


@pytest.mark.parametrize(
    ("images", "epochs"),
    [
        (1, 300),  # one smaller batch
        (40, 300),
        (95, 300),
        (96, 250),
        (200, 125),
        (480, 50),
        (1000, 50),
        (6400, 50),
        (20_000, 16),
        (32_000, 10),
        (500_000, 10),
    ],
)
def test_default_epochs_follow_the_number_of_images(images: int, epochs: int) -> None:
    assert default_epochs(images, 16) == epochs


def test_default_epochs_never_rise_with_the_number_of_images() -> None:
    epochs = [default_epochs(images, 16) for images in range(1, 40_000, 7)]
    assert epochs == sorted(epochs, reverse=True)


@pytest.mark.parametrize(
    ("options", "epochs"),
    [([], 300), (["--batch-size=2"], 188), (["--epochs=7"], 7), (["--recipe=book"], 20)],
)
def test_new_run_has_epochs_by_size_unless_they_are_stated(
    options: list[str], epochs: int, bananas: Path, tmp_path: Path
) -> None:
    arguments = [f"--data={bananas}", f"--out={tmp_path / 'run'}", "--anchors=book", "--batch-size=8", *options]
    setup = _setup(command_parser("train").parse_args(arguments), None, SINGLE_WORKER)
    assert len(setup.training) == 16
    assert setup.config.recipe.epochs == epochs
