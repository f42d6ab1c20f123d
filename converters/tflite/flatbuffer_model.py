"""A TFLite model taken apart into objects, changed, and put together again.

Uses the classes that TensorFlow generates from TFLite's ``schema.fbs``, and repairs what they leave out.
"""

from __future__ import annotations

from typing import Any

__all__ = ["read_model", "set_metadata", "write_model"]

# schema.fbs: a Buffer's data is force_align: 16, which Python's generated classes leave out. Kernels that load
# whole vectors rely on it.
_BUFFER_ALIGNMENT = 16


def read_model(flatbuffer: bytes) -> Any:
    """The model as a ``ModelT`` object.

    Some writers put the buffers behind the tables, at an offset into the file; they are brought into the tables, since
    what comes behind would be lost when the model is written.
    """
    from tensorflow.lite.python import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(bytearray(flatbuffer), 0)
    for buffer in model.buffers:
        if buffer.offset > 1:  # 0 and 1 say that there is none
            buffer.data = flatbuffer[buffer.offset : buffer.offset + buffer.size]
            buffer.offset = buffer.size = 0
    return model


def write_model(model: Any) -> bytes:
    """The flatbuffer of a ``ModelT``, every buffer aligned as the schema says. The argument's buffers are replaced."""
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
    """Put ``content`` into the model's metadata under ``name``, in place of what was there."""
    from tensorflow.lite.python import schema_py_generated as schema

    for entry in model.metadata or []:
        if _text(entry.name) == name:
            model.buffers[entry.buffer].data = content
            return
    buffer = schema.BufferT()
    buffer.data = content
    model.buffers.append(buffer)
    entry = schema.MetadataT()
    entry.name, entry.buffer = name, len(model.buffers) - 1
    model.metadata = [*(model.metadata or []), entry]


def _text(name: Any) -> str:
    return name.decode() if isinstance(name, bytes) else str(name)
