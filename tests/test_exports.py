from __future__ import annotations

import importlib
import inspect
import pkgutil
import re

import pytest

import edge_ssd
import edge_ssd.data
import edge_ssd.runtime

INFOS = [
    *pkgutil.iter_modules(edge_ssd.__path__, "edge_ssd."),
    *pkgutil.walk_packages(edge_ssd.data.__path__, "edge_ssd.data."),
    *pkgutil.walk_packages(edge_ssd.runtime.__path__, "edge_ssd.runtime."),
]
MODULES = [info.name for info in INFOS if not info.ispkg and not info.name.endswith("__main__")]


@pytest.mark.parametrize("name", ["edge_ssd", *MODULES])
def test_all_lists_existing_names(name: str) -> None:
    module = importlib.import_module(name)
    assert len(set(module.__all__)) == len(module.__all__)
    for export in module.__all__:
        assert getattr(module, export) is not None
        assert export in dir(module)


def test_package_exports_public_names() -> None:
    """The public interface: removing a name breaks users' programs."""
    assert set(edge_ssd.__all__) == {
        *("Bundle", "Detection", "Detections", "Detector", "default_model", "read_bundle"),
        *("draw_detections", "find_model", "shipped_models", "numpy_resize", "opencv_resize"),
        # Types of the arguments and results of the above.
        *("Backend", "BundleSource", "Color", "EncodedImage", "ImageArray", "ImageLike", "ModelLike", "Readable"),
        *("ClassesLike", "CountLike", "FlagLike", "FractionLike", "Resize", "ThresholdLike", "Tile", "Tiles"),
        *("Defaults", "HeadSpec", "Metadata", "SelfTest", "SelfTestResult"),
        *("DownSampling", "FloatArray", "MultiboxTarget", "Resampling", "ResizeMode"),
        *("BoxCoding", "InputSpec", "Level", "Network", "tiny_ssd"),
        *("box_area", "box_iou", "clip_boxes", "cxcywh_to_xyxy", "xyxy_to_cxcywh"),
        *("multibox_detection", "multibox_prior", "multibox_target", "nms", "offset_boxes", "offset_inverse"),
        *("BackendError", "BundleError", "DataError", "EdgeSSDError", "ImageError"),
        *("ModelError", "NetworkError", "SettingError", "SourceError", "__version__"),
    }


def test_unknown_attribute_of_package_raises() -> None:
    with pytest.raises(AttributeError, match="Detektor"):
        _ = edge_ssd.Detektor  # type: ignore[attr-defined]


def test_types_of_public_signatures_are_exported() -> None:
    """A program can name the type of everything that it passes and gets."""
    words: set[str] = set()
    for name in edge_ssd.__all__:
        value = getattr(edge_ssd, name)
        if not inspect.isclass(value) and not inspect.isfunction(value):
            continue
        members = [getattr(value, member, None) for member in dir(value) if not member.startswith("_")]
        functions = [value, *members] if inspect.isclass(value) else [value]
        for function in functions:
            function = function.fget if isinstance(function, property) else function
            for annotation in getattr(function, "__annotations__", {}).values():
                words |= set(re.findall(r"[A-Za-z]\w*", str(annotation)))
    own = {
        name
        for module_name in MODULES
        for name, value in vars(importlib.import_module(module_name)).items()
        if name in importlib.import_module(module_name).__all__ and name[0].isupper()
    }
    assert words & own - set(edge_ssd.__all__) == set()
