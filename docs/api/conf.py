"""Sphinx configuration of the API reference, which ``make docs`` builds."""

from __future__ import annotations

import re
from typing import Any

import edge_ssd

project = "Edge SSD"
author = copyright = "the authors of Edge SSD"
release = edge_ssd.__version__

extensions = ["sphinx.ext.autodoc", "sphinx.ext.napoleon"]
autodoc_member_order = "bysource"
autoclass_content = "both"  # with the arguments, which the docstring of __init__ describes
# Aliases are shown by name: what they stand for fills half a page. The page of the types has it.
_ALIASES = [
    name for name in edge_ssd.__all__ if name.endswith(("Array", "Like")) or name in ("Backend", "Color", "Resize")
]
autodoc_type_aliases = {
    **{name: f"edge_ssd.{name}" for name in _ALIASES},
    "npt.ArrayLike": "numpy.typing.ArrayLike",
}
python_use_unqualified_type_names = True

nitpicky = True  # A reference in a docstring must have a target,
nitpick_ignore_regex = [
    # except to the standard library and NumPy, whose lists of targets a build without a network does not have,
    (
        r"py:.*",
        r"(collections|importlib|np|npt|numpy|os|pathlib|supervision|types|typing)\..*|Path|PILImage|TypeAliasForwardRef",
    ),
    # and to modules, of which the reference shows what `edge_ssd` exports.
    (r"py:mod", r"(edge_ssd|converters)\..*"),
]

html_theme = "alabaster"
html_theme_options = {"description": "API reference", "fixed_sidebar": True, "show_powered_by": False}
html_show_copyright = False
html_show_sourcelink = False


def _link_to_export(app: Any, env: Any, node: Any, contnode: Any) -> Any:
    """Link ``edge_ssd.nms.nms``, or ``nms`` inside its module, to ``edge_ssd.nms``, under which it is documented."""
    name = node.get("reftarget", "").rpartition(".")[2]
    if node.get("refdomain") != "py" or node["reftype"] == "mod" or name not in edge_ssd.__all__:
        return None
    domain = env.get_domain("py")
    target = f"edge_ssd.{name}"
    if node["reftarget"] == target:
        return None
    return domain.resolve_xref(env, node["refdoc"], app.builder, "obj", target, node, contnode)


def _name_aliases(_app: Any, _what: Any, _name: Any, _object: Any, _options: Any, signature: Any, returns: Any) -> Any:
    """Write an alias in a union by its name: Sphinx shows TypeAliasForwardRef('edge_ssd.Resize')."""
    texts = [
        None if text is None else re.sub(r"TypeAliasForwardRef\('([^']*)'\)", r"\1", text)
        for text in (signature, returns)
    ]
    return tuple(texts)


def setup(app: Any) -> None:
    """Register the handlers of references and signatures."""
    app.connect("missing-reference", _link_to_export)
    app.connect("autodoc-process-signature", _name_aliases)
