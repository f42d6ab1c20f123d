"""YAML files, without aliases, with which a small file can become very large."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edge_ssd.data.label_files.file_limits import read_label_file
from edge_ssd.data.label_files.text_lines import decode_text

__all__ = ["YamlError", "load_yaml"]

_MAX_BYTES = 1 << 20
_MAX_DEPTH = 20


class YamlError(ValueError):
    """Invalid YAML, or YAML that is not read."""


def load_yaml(path: Path) -> Any:
    """Return the content of a YAML file of at most 1 MB. All values are text: a class called "no" is not False.

    Raises:
        ImportError: PyYAML, which is in the extra ``train``, is missing.
        OSError, UnsuitableFileError, UnicodeDecodeError: the file cannot be read.
        YamlError: the YAML is invalid, has aliases or is nested too deeply.
    """
    import yaml

    text = decode_text(read_label_file(path, _MAX_BYTES))
    loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)  # that in C is ten times faster
    depth = 0
    try:
        for event in yaml.parse(text, Loader=loader):
            if isinstance(event, yaml.AliasEvent):
                line = event.start_mark.line + 1
                raise YamlError(f"line {line} has the alias *{event.anchor:.40}: write what it stands for in its place")
            if isinstance(event, yaml.CollectionStartEvent):
                depth += 1
                if depth > _MAX_DEPTH:
                    raise YamlError(f"nested more than {_MAX_DEPTH} deep")
            elif isinstance(event, yaml.CollectionEndEvent):
                depth -= 1
        return yaml.load(text, Loader=loader)
    except (yaml.YAMLError, RecursionError) as error:
        raise YamlError(" ".join(str(error).split())) from None
