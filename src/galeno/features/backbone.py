"""A network that somebody else trained, asked for what it makes of an image."""

from functools import cached_property

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from galeno.errors import PackageError
from galeno.features.layout import image_tensor
from galeno.storage.graphs import find_reference


class Backbone:
    """From an image to the output of a network that stays as it is (transfer learning).

    The image comes as red, green and blue from 0 to 1, or as grey where the network has one channel; a
    network that wants other numbers scales them itself.

    Args:
        onnx: the graph: one float input (images, 1 or 3, size, size), one output (images, numbers).
        size: side of the images that it takes.

    Raises:
        PackageError: at the first use, where the graph is damaged or refers to something outside of it.
    """

    def __init__(self, onnx: bytes, size: int) -> None:
        self.onnx, self.size = onnx, size

    @cached_property
    def width(self) -> int:
        """Numbers that it gives for an image."""
        return len(self.embed(np.zeros((self.size, self.size), np.uint8)))

    def embed(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """What it makes of one image, shape (width,); one at a time: it does not hang on the others."""
        tensor = image_tensor(pixels, self.size)
        if self._channels == 1:
            tensor = tensor.mean(axis=0, keepdims=True, dtype=np.float32)
        (out,) = self._session.run(None, {self._session.get_inputs()[0].name: tensor[np.newaxis]})
        return np.asarray(out, np.float32).reshape(-1)

    @cached_property
    def _session(self) -> ort.InferenceSession:
        try:
            outside = find_reference(self.onnx)
        except ValueError as error:
            raise PackageError(str(error), where="backbone.onnx") from None
        if outside is not None:
            raise PackageError(outside, where="backbone.onnx")
        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 4
        try:
            return ort.InferenceSession(self.onnx, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime has a dozen classes of errors, and no common one
            raise PackageError(
                f"the graph cannot be opened ({type(error).__name__})", where="backbone.onnx"
            ) from None

    @cached_property
    def _channels(self) -> int:
        channels = self._session.get_inputs()[0].shape[1]
        return channels if isinstance(channels, int) else 3
