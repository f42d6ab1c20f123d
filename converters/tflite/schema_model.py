"""Read and write a whole TFLite model as objects of TensorFlow's schema classes; needs TensorFlow.

The classes are generated from TFLite's ``schema.fbs``. This module adds what they lack: external buffers and alignment.
"""

from __future__ import annotations

from typing import Any

__all__ = ["read_model", "set_metadata", "write_model"]

# schema.fbs: a Buffer's data is force_align: 16, which Python's generated classes leave out. Kernels that load
# whole vectors rely on it.
_BUFFER_ALIGNMENT = 16


def read_model(flatbuffer: bytes) -> Any:
    """Return the TFLite model as a ``ModelT`` object of TensorFlow's schema classes.

    Buffers that are stored behind the tables, at an offset into the file, are copied into the tables, because data
    behind the tables is lost when the model is written.
    """
    from tensorflow.lite.python import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(bytearray(flatbuffer), 0)
    for buffer in model.buffers:
        if buffer.offset > 1:  # 0 and 1: not external
            buffer.data = flatbuffer[buffer.offset : buffer.offset + buffer.size]
            buffer.offset = buffer.size = 0
    return model


def write_model(model: Any) -> bytes:
    """Return the flatbuffer of a ``ModelT``, with every buffer aligned. Replaces the buffer objects of ``model``."""
    import flatbuffers
    from tensorflow.lite.python import schema_py_generated as schema

    class AlignedBuffer(schema.BufferT):
        def Pack(self, builder: Any) -> Any:
            data = None
            if self.data is not None:
                content = bytes(self.data)
                builder.Prep(_BUFFER_ALIGNMENT, len(content))
                data = builder.CreateByteVector(content)
            schema.BufferStart(builder)
            if data is not None:
                schema.BufferAddData(builder, data)
            return schema.BufferEnd(builder)

    def aligned(buffer: Any) -> AlignedBuffer:
        result = AlignedBuffer()
        result.data = buffer.data
        return result

    model.buffers = [aligned(buffer) for buffer in model.buffers]
    builder = flatbuffers.Builder(2**20)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def set_metadata(model: Any, name: str, content: bytes) -> None:
    """Add the metadata entry ``name`` to a ``ModelT``, or replace its content."""
    from tensorflow.lite.python import schema_py_generated as schema

    for entry in model.metadata or []:
        entry_name = entry.name.decode() if isinstance(entry.name, bytes) else entry.name
        if entry_name == name:
            model.buffers[entry.buffer].data = content
            return
    buffer = schema.BufferT()
    buffer.data = content
    model.buffers.append(buffer)
    entry = schema.MetadataT()
    entry.name, entry.buffer = name, len(model.buffers) - 1
    model.metadata = [*(model.metadata or []), entry]
