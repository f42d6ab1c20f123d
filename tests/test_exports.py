from __future__ import annotations

import importlib
import pkgutil

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
        *("find_model", "shipped_models"),
        *("BoxCoding", "InputSpec", "Level", "Network", "tiny_ssd"),
        *("box_area", "box_iou", "clip_boxes", "cxcywh_to_xyxy", "xyxy_to_cxcywh"),
        *("multibox_detection", "multibox_prior", "multibox_target", "nms", "offset_boxes", "offset_inverse"),
        *("BackendError", "BundleError", "DataError", "EdgeSSDError", "ImageError"),
        *("ModelError", "NetworkError", "SettingError", "SourceError", "__version__"),
    }


def test_unknown_attribute_of_package_raises() -> None:
    with pytest.raises(AttributeError, match="Detektor"):
        _ = edge_ssd.Detektor  # type: ignore[attr-defined]
