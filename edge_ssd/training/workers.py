"""Data-parallel training: one process on each machine or GPU, with gradients summed over all of them.

Each worker computes the gradient of its share of every batch, and all apply the same sum. TF_CONFIG names the workers;
TensorFlow's MultiWorkerMirroredStrategy transports the sums. The weights are ordinary variables of each process, not
mirrored ones, because Keras 3 clips and averages in its optimizer before a mirrored variable would see the sum. They
stay equal because they start equal and receive equal updates.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from edge_ssd.console.counts import count_of
from edge_ssd.errors import EdgeSSDError

__all__ = ["SINGLE_WORKER", "Workers", "WorkersError", "connect_workers", "lost_worker_error"]

_log = logging.getLogger(__name__)


class WorkersError(EdgeSSDError):
    """Workers that cannot connect, lost a connection, or were started differently."""


class Workers:
    """This process as worker ``index`` of ``count``; alone without ``strategy``. Worker 0, the chief, writes files."""

    def __init__(self, strategy: tf.distribute.Strategy | None = None, index: int = 0) -> None:
        self._strategy = strategy
        self.index = index
        self.count: int = 1 if strategy is None else strategy.num_replicas_in_sync
        self._sum_vector = tf.function(lambda vector: self.run(self.replica_sum, vector), reduce_retracing=True)

    @property
    def is_chief(self) -> bool:
        """Whether this is worker 0."""
        return self.index == 0

    def run(self, step: Callable[..., Any], *args: Any) -> Any:
        """Return ``step(*args)``, in which :meth:`replica_sum` works; all workers must call this at the same time."""
        return step(*args) if self._strategy is None else self._strategy.run(step, args)

    def replica_sum(self, values: Any) -> Any:
        """Return a tensor, or each tensor of a structure, summed over all workers; call it inside :meth:`run`."""
        if self._strategy is None:
            return values
        # All-reduce needs tensors that have a device; the arguments of a function have none.
        values = tf.nest.map_structure(tf.identity, values)
        return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, values)

    def all_reduce_sum(self, values: Sequence[Any]) -> list[Any]:
        """Return arrays (or variables), each summed over all workers; a single worker gets ``values`` back."""
        if self._strategy is None:
            return list(values)
        tensors = [tf.convert_to_tensor(value) for value in values]
        sums = list(tensors)
        # One all-reduce for each dtype, over the concatenated tensors.
        for dtype in dict.fromkeys(tensor.dtype for tensor in tensors):
            indices = [i for i, tensor in enumerate(tensors) if tensor.dtype == dtype]
            vector = self._sum_vector(tf.concat([tf.reshape(tensors[i], [-1]) for i in indices], axis=0))
            for i, part in zip(indices, tf.split(vector, [tf.size(tensors[i]) for i in indices]), strict=True):
                sums[i] = tf.reshape(part, tensors[i].shape)
        return sums

    def broadcast(self, values: Sequence[Any]) -> list[Any]:
        """Return worker 0's ``values`` on every worker; of the other workers' only shape and dtype matter."""
        if self._strategy is None or self.is_chief:
            return self.all_reduce_sum(values)
        return self.all_reduce_sum([tf.zeros_like(value) for value in values])

    def broadcast_bool(self, value: bool) -> bool:
        """Return worker 0's ``value`` on every worker; blocks until all workers call it."""
        return bool(self.broadcast([np.int32(value)])[0])

    def check_equal(self, fingerprint: int, what: str) -> None:
        """Raise WorkersError, which names ``what``, on all workers if a ``fingerprint`` (32 bits) is not worker 0's."""
        (chief_fingerprint,) = self.broadcast([np.int64(fingerprint)])
        (num_different,) = self.all_reduce_sum([np.int32(int(chief_fingerprint) != fingerprint)])
        if int(num_different):
            number = count_of(int(num_different), self.count, "worker", "has", "have")
            raise WorkersError(
                f"{number} other {what} than the chief; start all workers with the same command and data"
            )


SINGLE_WORKER = Workers()


def connect_workers() -> Workers:
    """Wait for all workers that TF_CONFIG names; call it before TensorFlow's first operation.

    Raises:
        WorkersError: TF_CONFIG is missing or invalid, or the workers cannot connect.
    """
    index, addresses = _read_config(os.environ.get("TF_CONFIG", ""))
    _log.info("worker %d of %d: waiting for the others at %s", index, len(addresses), ", ".join(addresses))
    try:
        strategy = tf.distribute.MultiWorkerMirroredStrategy()
    except (RuntimeError, ValueError, tf.errors.OpError) as error:
        raise WorkersError(f"the workers of TF_CONFIG cannot connect: {_first_line(error)}") from None
    if strategy.num_replicas_in_sync != len(addresses):
        raise WorkersError(
            "a worker trains on one device: start one worker for each GPU, with CUDA_VISIBLE_DEVICES set to it"
        )
    return Workers(strategy, index)


def lost_worker_error(error: tf.errors.OpError, progress: str) -> WorkersError:
    """Return the error for a failed all-reduce; ``progress`` describes what was saved."""
    return WorkersError(f"lost the connection to a worker ({_first_line(error)}); start all workers again; {progress}")


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
