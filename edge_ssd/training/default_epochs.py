"""Number of epochs of a training whose user states none: it follows the number of training images."""

from __future__ import annotations

__all__ = ["DEFAULT_EPOCHS_RULE", "default_epochs"]

# Epochs of a set that is neither small nor large.
_EPOCHS = 50
# Fewer steps leave a small set untrained, whatever the number of epochs.
_MIN_STEPS = 1500
# More steps take more than two hours on two cores.
_MAX_STEPS = 20_000
# An epoch of two steps spends more time on evaluation and saving than on training; fewer than ten are no schedule.
_MIN_EPOCHS, _MAX_EPOCHS = 10, 300

DEFAULT_EPOCHS_RULE = (
    f"{_EPOCHS}, or as many as give {_MIN_STEPS} to {_MAX_STEPS} steps, but {_MIN_EPOCHS} to {_MAX_EPOCHS}"
)
"""The rule of :func:`default_epochs` as text."""


def default_epochs(num_images: int, images_per_step: int) -> int:
    """Return the default number of epochs for ``num_images`` training images, of which a step sees ``images_per_step``.

    It is 50 between 480 and 6400 images with the default batches of 16; smaller sets are seen more often (300 times up
    to 95 images), larger ones less often (ten times from 32 000 images).
    """
    steps_per_epoch = max(1, num_images // images_per_step)
    steps = min(max(_EPOCHS * steps_per_epoch, _MIN_STEPS), _MAX_STEPS)
    return min(max(round(steps / steps_per_epoch), _MIN_EPOCHS), _MAX_EPOCHS)
