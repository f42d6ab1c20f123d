"""Comparison of the trunks of two networks: the layers before the heads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import takewhile
from pathlib import Path

from edge_ssd.errors import ModelError
from edge_ssd.network import Network

__all__ = ["check_trunk", "num_common_blocks", "trunk_differences"]


def check_trunk(path: Path, source: Network, network: Network, named: Mapping[str, Network] | None = None) -> None:
    """Raise ModelError if the weights of the trunk of ``source`` do not fit ``network``.

    The message names all differences and the options that remove them. Blocks that one of the networks has beyond those
    of the other are no difference.

    Args:
        path: file of the model that ``source`` describes.
        named: value of ``--network`` → the network that it gives with the other options as they are; one that fits is
            advised. None if it is unknown.
    """
    differences = trunk_differences(source, network)
    if not differences:
        return
    facts = "; ".join(fact for fact, _ in differences)
    fitting = next((name for name, other in (named or {}).items() if not trunk_differences(source, other)), None)
    if fitting is not None:
        advice = f"choose its network with --network {fitting}"
    else:
        options = dict.fromkeys(option for _, option in differences)
        advice = f"add {' '.join(options)}"
    raise ModelError(f"{path}: its trunk does not fit: {facts}: {advice}, or leave out --from")


def trunk_differences(source: Network, network: Network) -> list[tuple[str, str]]:
    """Return each difference between the trunks of two networks, and the options that remove it."""
    found: list[tuple[str, str]] = []
    if (source.input.scale, source.input.offset) != (network.input.scale, network.input.offset):
        fact = f"it scales pixels by {source.input.scale:g}, this network by {network.input.scale:g}"
        found.append((fact, f"--input-scale {source.input.scale!r}"))
    if source.down_sampling != network.down_sampling:
        fact = f"it halves maps by {source.down_sampling!r}, this network by {network.down_sampling!r}"
        found.append((fact, f"--down-sampling {source.down_sampling}"))
    # --width changes the channels that are not stated, so both lists are.
    channels = (
        f"--base-channels {_listed(source.base_channels)} --block-channels {_listed(source.block_channels)} --width 1"
    )
    common = min(len(source.block_channels), len(network.block_channels))
    if source.base_channels != network.base_channels:
        found.append((_channels_fact("first blocks", source.base_channels, network.base_channels), channels))
    if source.block_channels[:common] != network.block_channels[:common]:
        found.append((_channels_fact("blocks", source.block_channels, network.block_channels), channels))
    return found


def num_common_blocks(source: Network, network: Network) -> int:
    """Return how many blocks, from the input on, have the same layers in two networks; 0 if they scale pixels or halve
    feature maps otherwise.
    """
    first, second = (
        (each.input.scale, each.input.offset, each.down_sampling, len(each.base_channels)) for each in (source, network)
    )
    if first != second:
        return 0
    pairs = zip(
        source.base_channels + source.block_channels, network.base_channels + network.block_channels, strict=False
    )
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def _channels_fact(where: str, theirs: Sequence[int], ours: Sequence[int]) -> str:
    return f"its {where} have {_listed(theirs)} channels, those of this network {_listed(ours)}"


def _listed(channels: Sequence[int]) -> str:
    return ",".join(map(str, channels))
