"""Interleaved measurement of several cases."""

from __future__ import annotations

from edge_ssd.runtime.interleave import call_interleaved


def test_call_interleaved_alternates_blocks_and_discards_their_start():
    calls = []

    def measure(case: str) -> int:
        calls.append(case)
        return len(calls)

    progress = []
    samples = call_interleaved(
        measure, "ab", 3, block_size=2, discard=1, progress=lambda done, total: progress.append((done, total))
    )
    assert "".join(calls) == "aaa" + "bbb" + "aa" + "bb"
    assert samples == [[2, 3, 8], [5, 6, 10]]
    assert progress == [(0, 2), (1, 2), (2, 2)]


def test_call_interleaved_takes_turns_by_default():
    calls = []
    assert call_interleaved(calls.append, [1, 2], 2) == [[None] * 2] * 2
    assert calls == [1, 2, 1, 2]
