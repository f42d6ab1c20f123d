"""The processes that train one network together: one on each machine (or GPU), alike but for a number.

Each worker computes the gradient of its share of every batch; the gradients are summed over all of them, so that
all take the same step. Workers find each other by TF_CONFIG, and TensorFlow's MultiWorkerMirroredStrategy carries
the sums. The weights are ordinary variables of each process and not mirrored ones: Keras 3 clips and averages in its
optimizer before a mirrored variable would see the sum. They are equal because they begin equal and change alike.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from edge_ssd.errors import EdgeSSDError

__all__ = ["SINGLE_WORKER", "Workers", "WorkersError", "connect_workers", "lost_worker"]


class WorkersError(EdgeSSDError):
    """Workers that do not find each other, lost each other, or do not do the same."""


class Workers:
    """This process, worker ``index`` of ``count``. Worker 0 is the chief, who alone writes files."""

    def __init__(self, strategy: tf.distribute.Strategy | None = None, index: int = 0) -> None:
        self._strategy = strategy
        self.index = index
        self.count: int = 1 if strategy is None else strategy.num_replicas_in_sync
        self._sum_all = tf.function(lambda vector: self.run(self.sum, vector), reduce_retracing=True)

    @property
    def is_chief(self) -> bool:
        return self.index == 0

    def run(self, step: Callable[..., Any], *args: Any) -> Any:
        """Call ``step`` so that :meth:`sum` works in it; all workers must, at the same time."""
        return step(*args) if self._strategy is None else self._strategy.run(step, args)

    def sum(self, values: Any) -> Any:
        """Inside of :meth:`run`: a tensor, or each of several, summed over all workers."""
        if self._strategy is None:
            return values
        # The sum wants tensors that have a device; the arguments of a function have none.
        values = tf.nest.map_structure(tf.identity, values)
        return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, values)

    def total(self, values: Sequence[Any]) -> list[Any]:
        """Arrays (or variables), each summed over all workers; one that is alone gets back what it gave."""
        if self._strategy is None:
            return list(values)
        tensors = [tf.convert_to_tensor(value) for value in values]
        sums = list(tensors)
        # All of one type in one go, end to end.
        for kind in dict.fromkeys(tensor.dtype for tensor in tensors):
            chosen = [i for i, tensor in enumerate(tensors) if tensor.dtype == kind]
            joined = self._sum_all(tf.concat([tf.reshape(tensors[i], [-1]) for i in chosen], axis=0))
            for i, part in zip(chosen, tf.split(joined, [tf.size(tensors[i]) for i in chosen]), strict=True):
                sums[i] = tf.reshape(part, tensors[i].shape)
        return sums

    def from_chief(self, values: Sequence[Any]) -> list[Any]:
        """The chief's arrays, on every worker; what the others give tells only shape and dtype."""
        if self._strategy is None or self.is_chief:
            return self.total(values)
        return self.total([tf.zeros_like(value) for value in values])

    def agree(self, decision: bool) -> bool:
        """The chief's ``decision``. Nobody goes on before all have asked."""
        return bool(self.from_chief([np.int32(decision)])[0])

    def check_alike(self, fingerprint: int, what: str) -> None:
        """Raise :class:`WorkersError` on all workers if one has another ``fingerprint`` (32 bits) than the chief."""
        (chiefs,) = self.from_chief([np.int64(fingerprint)])
        (others,) = self.total([np.int32(int(chiefs) != fingerprint)])
        if int(others):
            raise WorkersError(
                f"{int(others)} of {self.count} workers have other {what} than the chief; start all alike"
            )


SINGLE_WORKER = Workers()


def connect_workers(say: Callable[[str], None] = lambda line: None) -> Workers:
    """Wait for all workers that TF_CONFIG names; call it before TensorFlow computes anything.

    Raises :class:`WorkersError` for a TF_CONFIG that is missing or wrong.
    """
    index, addresses = _read_config(os.environ.get("TF_CONFIG", ""))
    say(f"worker {index} of {len(addresses)}: waiting for the others at {', '.join(addresses)}")
    try:
        strategy = tf.distribute.MultiWorkerMirroredStrategy()
    except (RuntimeError, ValueError, tf.errors.OpError) as error:
        raise WorkersError(f"the workers of TF_CONFIG do not come together: {_first_line(error)}") from None
    if strategy.num_replicas_in_sync != len(addresses):
        raise WorkersError(
            "a worker trains on one device: start one worker for each GPU, with CUDA_VISIBLE_DEVICES set to it"
        )
    return Workers(strategy, index)


def lost_worker(error: tf.errors.OpError, so_far: str) -> WorkersError:
    """What to tell the user when a sum over all workers failed."""
    return WorkersError(f"a worker is gone ({_first_line(error)}); start all workers again; {so_far}")


def _read_config(text: str) -> tuple[int, list[str]]:
    example = '{"cluster": {"worker": ["host0:2222", "host1:2222"]}, "task": {"type": "worker", "index": 0}}'
    try:
        config = json.loads(text)
        addresses, task = config["cluster"]["worker"], config["task"]
        index = int(task["index"])
        if set(config["cluster"]) == {"worker"} and task["type"] == "worker" and 0 <= index < len(addresses):
            return index, [str(address) for address in addresses]
    except (ValueError, KeyError, TypeError):
        pass
    raise WorkersError(f"--strategy multiworker needs TF_CONFIG in the environment, such as {example}; got {text!r}")


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    aborted = [line for line in lines if "Collective ops is aborted" in line]
    return (aborted or lines or [type(error).__name__])[0][:200]
