"""Label tables of other tools: edge_ssd.data.label_files.table_columns, text_table and csv_table."""

from __future__ import annotations

from pathlib import Path

import pytest
from label_writers import TF_HEADER, write_d2l_split, write_image

from edge_ssd.data.label_files.label_columns import Columns, UnclearColumns
from edge_ssd.data.label_files.table_columns import find_columns
from edge_ssd.data.load import load_dataset, open_dataset
from edge_ssd.data.source import DataSource
from edge_ssd.errors import DataError

A = [[1.0, 2.0, 30.0, 20.0], [5.0, 6.0, 7.0, 8.0]]


def write_table(root: Path, text: str, name: str = "labels.csv", encoding: str = "utf-8") -> None:
    """Write a table, and images a.jpg and b.jpg of 60×40 pixels."""
    for image in ("a.jpg", "b.jpg"):
        write_image(root / "images" / image)
    (root / name).write_bytes(text.encode(encoding))


COMMA = f"{TF_HEADER}\na.jpg,60,40,cat,1,2,30,20\na.jpg,60,40,dog,5,6,7,8\n"


@pytest.mark.parametrize(
    ("text", "name", "encoding"),
    [
        (COMMA, "labels.csv", "utf-8"),
        (COMMA.replace(",", ";"), "labels.csv", "utf-8-sig"),
        (COMMA.replace(",", ";").replace("30", "30,0").replace("2;", "2,00;"), "labels.csv", "utf-8"),
        (COMMA.replace(",", "\t"), "labels.tsv", "utf-8"),
        (COMMA.replace(",", "\t"), "labels.txt", "utf-16"),
        (COMMA.replace(",", "\t"), "labels.csv", "utf-16-le"),
        ("sep=;\r\n" + COMMA.replace(",", ";").replace("\n", "\r\n"), "labels.csv", "utf-8"),
        (COMMA.replace("a.jpg", '"a.jpg"').replace("30", '"30"'), "Labels.CSV", "utf-8"),
        ("# two images\n" + COMMA, "labels.csv", "utf-8"),
        ("Labels of Ann,,,,,,,\n,,,,,,,\n" + COMMA, "labels.csv", "utf-8"),
        (COMMA.replace(",", "|"), "labels.csv", "utf-8"),
        (COMMA.replace(",", "  "), "labels.txt", "utf-8"),
        (COMMA.replace(",", " , "), "labels.csv", "utf-8"),
        ("\n\n" + COMMA.replace("\n", "\n\n"), "labels.csv", "utf-8"),
    ],
    ids=[
        *("commas", "semicolons", "decimal commas", "tabs", "Excel's Unicode text", "UTF-16", "sep", "quotes"),
        *("comment", "title", "bars", "spaces", "spaces around commas", "empty lines"),
    ],
)
def test_table_is_read_in_every_separator_and_encoding(tmp_path: Path, text: str, name: str, encoding: str) -> None:
    write_table(tmp_path, text, name, encoding)
    dataset = load_dataset(tmp_path, strict=True)
    assert dataset.labels == ("cat", "dog")
    assert dataset.samples[0].boxes_xyxy.tolist() == A
    assert dataset.notices == ()


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("image,x1,y1,x2,y2,label", "a.jpg,1,2,30,20,cat"),
        ("Class_Name;File Name;X_Min;X_Max;Y_Min;Y_Max", "cat;a.jpg;1;30;2;20"),
        ("frame,xmin,xmax,ymin,ymax,class_id", "a.jpg,1,30,2,20,cat"),
        ("path,left,top,right,bottom,category", "/home/me/a.jpg,1,2,30,20,cat"),
        ("Filename;Width;Height;Roi.X1;Roi.Y1;Roi.X2;Roi.Y2;ClassId", "a.jpg;60;40;1;2;30;20;cat"),
        ("img_name,x0,y0,x1,y1,object", "a.jpg,1,2,30,20,cat"),
        ("name,class,xmin,ymin,xmax,ymax", "a.jpg,cat,1,2,30,20"),
        ("filename,name,xtl,ytl,xbr,ybr", "a.jpg,cat,1,2,30,20"),
        ("image_id,class,x,y,w,h", "a,cat,1,2,29,18"),
        ("image,class,x,y,width,height", "a.jpg,cat,1,2,29,18"),
        ("label_name,bbox_x,bbox_y,bbox_width,bbox_height,image_name,image_width,image_height",
         "cat,1,2,29,18,a.jpg,60,40"),
        ("image,width,height,bbox_x,bbox_y,bbox_w,bbox_h,class", "a.jpg,60,40,1,2,29,18,cat"),
        ("image,class,x_center,y_center,width,height", "a.jpg,cat,15.5,11,29,18"),
        ("Filename;Annotation tag;Upper left corner X;Upper left corner Y;Lower right corner X;Lower right corner Y",
         "sub/a.jpg;cat;1;2;30;20"),
        ("class,class_name,filename,xmin,ymin,xmax,ymax", "3,cat,a.jpg,1,2,30,20"),
        ("class,class_id,filename,xmin,ymin,xmax,ymax", "cat,3,a.jpg,1,2,30,20"),
    ],
)  # fmt: skip
def test_header_names_columns_in_any_order(tmp_path: Path, header: str, row: str) -> None:
    write_table(tmp_path, f"{header}\n{row}\n")
    dataset = load_dataset(tmp_path)
    assert (dataset.labels, dataset.problems) == (("cat",), ())
    assert [sample.path.name for sample in dataset.samples] == ["a.jpg"]
    assert dataset.samples[0].boxes_xyxy.tolist() == [[1, 2, 30, 20]]
    corner_and_size = any(name in header for name in ("x,y,w", "bbox_x"))
    assert ["read as the top left corner" in notice.message for notice in dataset.notices] == [True] * corner_and_size


@pytest.mark.parametrize("cell", ['"[1, 2, 29, 18]"', '"1.0,2.0,29.0,18.0"', "[1 2 29 18]", '"(1, 2, 29, 18)"'])
def test_box_in_one_cell_is_read_in_the_order_of_coco_with_a_notice(tmp_path: Path, cell: str) -> None:
    write_table(tmp_path, f"image_id,width,height,bbox,source\na,60,40,{cell},cat\n".replace("source", "class"))
    dataset = load_dataset(DataSource(tmp_path, boxes="xywh"), strict=True)
    assert dataset.samples[0].boxes_xyxy.tolist() == [[1, 2, 30, 20]]
    assert "read as x, y, width, height as in COCO (column 'bbox'" in dataset.notices[0].message
    with pytest.raises(DataError, match=r"labels\.csv: its boxes are read as x, y, width, height .* --boxes"):
        load_dataset(tmp_path, strict=True)


@pytest.mark.parametrize(
    ("rows", "boxes"),
    [
        (["x/a.jpg,1,2,30,20,cat", "x/b.jpg,,,,,"], [[1, 2, 30, 20]]),
        (["a.jpg,cat,1,2,30,20", "b.jpg,,,,,"], [[1, 2, 30, 20]]),
        (["a.jpg,60,40,cat,1,2,30,20", "b.jpg,60,40,,,,,"], [[1, 2, 30, 20]]),
        (["cat,1,2,29,18,a.jpg,60,40", ",,,,,b.jpg,60,40"], [[1, 2, 30, 20]]),
        (["TRAIN,gs://x/a.jpg,cat,0.25,0.5,,,0.75,1,,", "TRAIN,gs://x/b.jpg,,,,,,,,,"], [[15, 20, 45, 40]]),
        (["gs://x/a.jpg,cat,0.25,0.5,0.75,0.5,0.75,1,0.25,1", "gs://x/b.jpg"], [[15, 20, 45, 40]]),
        # Class ids: only one of the orders has all second corners below and right of the first.
        (["a.jpg,1,2,30,20,7", "a.jpg,8,9,10,12,0", "b.jpg,,,,,"], [[1, 2, 30, 20], [8, 9, 10, 12]]),
        (["a.jpg,7,1,2,30,20", "a.jpg,0,9,1,10,12", "b.jpg,,,,,"], [[1, 2, 30, 20], [9, 1, 10, 12]]),
    ],
    ids=[
        *("keras-retinanet", "class first", "TensorFlow", "makesense.ai", "AutoML", "AutoML's corners"),
        *("class ids last", "class ids first"),
    ],
)
def test_table_without_header_is_read_where_columns_leave_no_doubt(
    tmp_path: Path, rows: list[str], boxes: list[list[float]]
) -> None:
    write_table(tmp_path, "\n".join(rows))
    dataset = load_dataset(tmp_path, strict=True)
    assert {sample.path.name: sample.boxes_xyxy.tolist() for sample in dataset.samples} == {"a.jpg": boxes, "b.jpg": []}
    assert "it has no header" in dataset.notices[0].message


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("a.jpg,1,30,2,20,cat", "has no header, and its columns are not clear"),  # xmin, xmax, ymin, ymax
        ("a.jpg,1,2,30,20", "no column states the class: add a column called class"),
        ("a.jpg,0,2,30,40,50", "has no header, and its columns are not clear"),
        ("filename,xmin,ymin,xmax,ymax\na.jpg,1,2,30,20", "no column states the class"),
        ("image_id,width,height,bbox,source\na,60,40,\"[1, 2, 3, 4]\",usask", "no column states the class"),
        ("class,xmin,ymin,xmax,ymax\ncat,1,2,30,20", "missing: image"),
    ],
)  # fmt: skip
def test_table_whose_columns_are_unclear_raises(tmp_path: Path, text: str, match: str) -> None:
    write_table(tmp_path, text)
    with pytest.raises(DataError, match=match):
        load_dataset(tmp_path)


def test_width_and_height_before_a_corner_are_those_of_the_image() -> None:
    header = ["filename", "width", "height", "class", "xmin", "ymin"]
    assert isinstance(find_columns([header]), UnclearColumns)
    columns = find_columns([["filename", "xmin", "ymin", "width", "height", "class"]])
    assert isinstance(columns, Columns)
    assert (columns.box, columns.kind, columns.size) == ((1, 2, 3, 4), "corner and size", None)


@pytest.mark.parametrize("column", ["split", "Set", "usage", "ml_use"])
def test_rows_state_the_split(tmp_path: Path, column: str) -> None:
    text = f"image,class,xmin,ymin,xmax,ymax,{column}\na.jpg,cat,1,2,30,20,TRAIN\nb.jpg,,,,,,Validation\n"
    write_table(tmp_path, text)
    assert open_dataset(tmp_path).splits == ("train", "val")
    assert load_dataset(tmp_path, "val", strict=True).samples[0].path.name == "b.jpg"


@pytest.mark.parametrize(
    ("column", "train", "val"),
    [
        ("split", "Training", "Validation set"),
        ("dataset", "train", "val"),
        ("type", "train", "valid"),
        ("is_valid", "False", "True"),
        ("is_val", "0", "1"),
        ("is_train", "1", "0"),
        ("part of the data", "train", "val"),
    ],
)
def test_other_columns_state_the_split(tmp_path: Path, column: str, train: str, val: str) -> None:
    rows = [f"a.jpg,cat,1,2,30,20,{train}", f"a.jpg,cat,5,6,7,8,{train}", f"b.jpg,cat,1,2,30,20,{val}"]
    write_table(tmp_path, "\n".join([f"image,class,xmin,ymin,xmax,ymax,{column}", *rows]))
    opened = open_dataset(tmp_path)
    assert opened.splits == ("train", "val")
    assert opened.load("val", strict=True).samples[0].path.name == "b.jpg"


def test_unknown_split_of_a_row_drops_its_image(tmp_path: Path) -> None:
    rows = ["a.jpg,cat,1,2,30,20,train", "b.jpg,cat,1,2,30,20,holdout"]
    write_table(tmp_path, "\n".join(["image,class,xmin,ymin,xmax,ymax,split", *rows]))
    dataset = load_dataset(tmp_path)
    assert [sample.path.name for sample in dataset.samples] == ["a.jpg"]
    assert "line 3: split 'holdout' is none of train, val and test" in dataset.problems[0].message


@pytest.mark.parametrize(
    ("column", "cells", "word"),
    [
        ("fold", "01", "'fold' is not read"),
        ("set", ("A", "B"), "'set' states no split"),
        ("is_valid", ("True", "True"), "'isvalid', which is true in most rows"),
        ("type", ("box", "box"), ""),
    ],
)
def test_column_that_states_no_split_is_named(tmp_path: Path, column: str, cells: tuple[str, str], word: str) -> None:
    rows = [f"{name}.jpg,cat,1,2,30,20,{cell}" for name, cell in zip("ab", cells, strict=True)]
    write_table(tmp_path, "\n".join([f"image,class,xmin,ymin,xmax,ymax,{column}", *rows]))
    opened = open_dataset(tmp_path)
    assert opened.splits == ()
    notices = [notice.message for notice in opened.load().notices]
    assert len(notices) == bool(word)
    assert word in "".join(notices)


def test_image_whose_rows_state_two_splits_is_dropped(tmp_path: Path) -> None:
    rows = ["a.jpg,cat,1,2,30,20,train", "a.jpg,cat,5,6,7,8,test", "b.jpg,cat,1,2,30,20,train"]
    write_table(tmp_path, "\n".join(["image,class,xmin,ymin,xmax,ymax,split", *rows]))
    dataset = load_dataset(tmp_path)
    assert [sample.path.name for sample in dataset.samples] == ["b.jpg"]
    assert "line 3: another split than in an earlier row" in dataset.problems[0].message


@pytest.mark.parametrize(
    "row", ["b.jpg,60,40,,,,,", "b.jpg,,,,,,,", "b.jpg,60,40,No finding,,,,", "b.jpg,60,40,,nan,nan,nan,nan"]
)
def test_image_without_a_box_is_background(tmp_path: Path, row: str) -> None:
    write_table(tmp_path, f"{TF_HEADER}\na.jpg,60,40,cat,1,2,30,20\n{row}\n")
    dataset = load_dataset(tmp_path, strict=True)
    assert dataset.labels == ("cat",)
    assert {sample.path.name: len(sample.class_ids) for sample in dataset.samples} == {"a.jpg": 1, "b.jpg": 0}


@pytest.mark.parametrize(
    "row",
    [
        "b.jpg,60,40,cat,,,,",
        "b.jpg,60,40,cat,1,2,3",
        "b.jpg,60,40,cat,1,2,3,x",
        "b.jpg,60,40,,1,2,3,4",
        "b.jpg",
        "b.jpg,60",
        "b.jpg,60,40,,,,",
    ],
)
def test_row_that_cannot_be_read_drops_its_image(tmp_path: Path, row: str) -> None:
    write_table(tmp_path, f"{TF_HEADER}\na.jpg,60,40,cat,1,2,30,20\n{row}\nb.jpg,60,40,cat,1,2,30,20\n")
    dataset = load_dataset(tmp_path)
    assert [sample.path.name for sample in dataset.samples] == ["a.jpg"]
    assert "labels.csv: line 3: expected an image, a label and a box" in str(dataset.problems[0])


def test_class_ids_stored_as_decimals_are_named_by_classes_txt(tmp_path: Path) -> None:
    write_table(tmp_path, f"{TF_HEADER}\na.jpg,60,40,1.0,1,2,30,20\n")
    (tmp_path / "classes.txt").write_text("cat\ndog\n", encoding="utf-8")
    dataset = load_dataset(tmp_path, strict=True)
    assert (dataset.labels, dataset.samples[0].class_ids.tolist()) == (("cat", "dog"), [1])


def test_class_that_classes_txt_lacks_drops_its_images_unless_most_are_lacking(tmp_path: Path) -> None:
    rows = "a.jpg,60,40,1,1,2,30,20\na.jpg,60,40,0,1,2,30,20\nb.jpg,60,40,2,1,2,30,20\n"
    write_table(tmp_path, f"{TF_HEADER}\n{rows}")
    (tmp_path / "classes.txt").write_text("cat\ndog\n", encoding="utf-8")
    dataset = load_dataset(tmp_path)
    assert [sample.path.name for sample in dataset.samples] == ["a.jpg"]
    assert "line 4: unknown class '2'; expected one of: cat, dog" in dataset.problems[0].message
    assert "b.jpg is dropped" in dataset.problems[0].message
    (tmp_path / "classes.txt").write_text("cat\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"labels\.csv: line 2: unknown class '1'; expected one of: cat"):
        load_dataset(tmp_path)


@pytest.mark.parametrize("typo", ["Cat", "O", "x1"])
def test_mistyped_class_among_class_ids_drops_its_image(tmp_path: Path, typo: str) -> None:
    labels = ["0", "1", "dog", typo, "1"]
    rows = [f"{number}.png,{label},1,2,30,20" for number, label in enumerate(labels)]
    write_d2l_split(tmp_path, rows, [f"{number}.png" for number in range(len(labels))])
    (tmp_path / "classes.txt").write_text("cat\ndog\n", encoding="utf-8")
    dataset = load_dataset(tmp_path)
    assert [(s.path.stem, s.class_ids.tolist()) for s in dataset.samples] == [
        ("0", [0]),
        ("1", [1]),
        ("2", [1]),
        ("4", [1]),
    ]
    (problem,) = dataset.problems
    assert f"line 5: unknown class {typo!r}; expected one of: cat, dog: correct the row; " in problem.message
    assert "3.png is dropped" in problem.message


def test_class_names_that_are_digits_and_letters_are_names(tmp_path: Path) -> None:
    write_d2l_split(tmp_path, [f"0.png,{label},1,2,30,20" for label in "3751A"], ["0.png"])
    assert load_dataset(tmp_path, strict=True).labels == ("1", "3", "5", "7", "A")
    (tmp_path / "classes.txt").write_text("A\n7\n5\n3\n1\n", encoding="utf-8")
    assert load_dataset(tmp_path, strict=True).samples[0].class_ids.tolist() == [3, 1, 2, 4, 0]


@pytest.mark.parametrize(
    "text",
    ["dog,0\ncat,1\n", "class,id\ndog,0\ncat,1\n", "id;name\n1;cat\n0;dog\n"],
    ids=["bare", "header", "id first"],
)
@pytest.mark.parametrize("label", ["1", "cat"])
def test_table_of_classes_states_their_names_and_order(tmp_path: Path, text: str, label: str) -> None:
    write_table(tmp_path, f"{TF_HEADER}\na.jpg,60,40,{label},1,2,30,20\n")
    (tmp_path / "_classes.csv").write_text(text, encoding="utf-8")
    dataset = load_dataset(tmp_path, strict=True)
    assert (dataset.labels, dataset.samples[0].class_ids.tolist()) == (("dog", "cat"), [1])


def test_spreadsheet_is_named(tmp_path: Path) -> None:
    write_image(tmp_path / "a.jpg")
    (tmp_path / "labels.xlsx").write_bytes(b"PK")
    with pytest.raises(DataError, match=r"labels\.xlsx: labels in a spreadsheet cannot be read: save it as CSV"):
        load_dataset(tmp_path)


def test_table_that_lacks_a_column_is_no_other_format(tmp_path: Path) -> None:
    write_table(tmp_path, COMMA)
    (tmp_path / "label.csv").write_text("img_name,label,xmin,ymin,xmax,ymax\na.jpg,0,1,2,30,20\n")
    (tmp_path / "labels.csv").write_text("filename,xmin,ymin,xmax,ymax,score\na.jpg,1,2,30,20,0.9\n")
    opened = open_dataset(tmp_path)
    assert (opened.format, opened.other_formats) == ("d2l_csv", ())


def test_unrelated_tables_are_ignored(tmp_path: Path) -> None:
    write_table(tmp_path, COMMA)
    for name, text in {
        "classes.csv": "class,id\ncat,0\n",
        "results.csv": "epoch,loss,map\n1,0.5,0.1\n",
        "notes.txt": "Labels by Ann,\nchecked by Bob\n",
        "empty.csv": "",
        "sizes.csv": "name,width,height\na.jpg,60,40\n",
    }.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    (tmp_path / "binary.csv").write_bytes(bytes(range(256)))
    dataset = load_dataset(tmp_path, strict=True)
    assert (len(dataset), dataset.notices) == (1, ())


@pytest.mark.parametrize(
    ("header", "column"),
    [
        ("filename,class,xmin,ymin,xmax,ymax,class2,xmin2,ymin2,xmax2,ymax2", "xmin2"),
        ("filename,class,xmin,ymin,xmax,ymax,class,xmin,ymin,xmax,ymax", "xmin"),
        ("filename,class,x1,y1,x2,y2,x3,y3,x4,y4,count", "x3"),
    ],
)
def test_several_boxes_in_a_row_raise(tmp_path: Path, header: str, column: str) -> None:
    write_table(tmp_path, f"{header}\na.jpg,cat,1,2,30,20,5,6,7,8,9\n")
    with pytest.raises(DataError, match=f"more than one box in a row .column '{column}'.: write a row for each object"):
        load_dataset(tmp_path)


def test_class_is_not_taken_from_a_column_that_only_says_object(tmp_path: Path) -> None:
    rows = [f"{image}.jpg,object,{name},1,2,30,20" for image in "ab" for name in ("cat", "dog")]
    write_table(tmp_path, "\n".join(["filename,label,class,xmin,ymin,xmax,ymax", *rows]))
    dataset = load_dataset(tmp_path)
    assert dataset.labels == ("cat", "dog")
    assert "its classes are those of column 'class'" in dataset.notices[0].message


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (COMMA.replace("dog", '"dog'), 3),  # to the end of the file
        (COMMA.replace("a.jpg,60,40,cat", 'a.jpg,60,40,"cat') + 'b.jpg,60,40,"dog",5,6,7,8\n', 2),
        (COMMA.replace("a.jpg,60,40,cat", 'a.jpg,60,40,"cat') + 'b.jpg,60,40,dog,5,6,7,8"\n', 2),
        (COMMA.replace("cat", '"cat').replace("dog", '"dog'), 2),
    ],
)
def test_table_with_a_quote_that_is_not_closed_is_refused(tmp_path: Path, text: str, line: int) -> None:
    write_table(tmp_path, text)
    with pytest.raises(DataError, match=f"line {line}: a quote is not closed"):
        load_dataset(tmp_path)


def test_table_may_have_line_breaks_in_a_cell(tmp_path: Path) -> None:
    header, *rows = COMMA.splitlines()
    write_table(tmp_path, f'{header},note,{{}}\n{rows[0]},"one,\ntwo, three",\n{rows[1]},"{{""a"": [1,\n2, 3]}}",x\n')
    assert load_dataset(tmp_path, strict=True).samples[0].boxes_xyxy.tolist() == A


def test_row_with_more_cells_than_the_header_drops_its_image(tmp_path: Path) -> None:
    write_table(tmp_path, COMMA + "b.jpg,60,40,dog,big,5,6,7,8\n")
    dataset = load_dataset(tmp_path)
    assert [sample.path.name for sample in dataset.samples] == ["a.jpg"]
    assert "line 4: 9 cells, but the header has 8" in str(dataset.problems[0])


@pytest.mark.parametrize("image", ["", '""""', "-||-", "〃"])
def test_box_without_an_image_drops_the_image_above(tmp_path: Path, image: str) -> None:
    write_table(tmp_path, f"{COMMA}b.jpg,60,40,dog,5,6,7,8\n{image},,,dog,5,6,9,9\n")
    dataset = load_dataset(tmp_path)
    assert [sample.path.name for sample in dataset.samples] == ["a.jpg"]
    assert "line 5: a row without an image: fill down merged cells; b.jpg is dropped" in str(dataset.problems[0])


@pytest.mark.parametrize(("separator", "mark"), [(";", "."), (";", ","), (",", ","), (";", "\u202f"), (",", " ")])
def test_numbers_with_separators_of_thousands_are_refused(tmp_path: Path, separator: str, mark: str) -> None:
    rows = [["img", "label", "xmin", "ymin", "xmax", "ymax"]]
    rows += [["a.jpg", "cat", "1", "2", f'"1{mark}030"', f'"2{mark}000"']] * 2
    write_table(tmp_path, "\n".join(map(separator.join, rows)))
    with pytest.raises(DataError, match=r"separators of thousands, such as .* write them as 1030"):
        load_dataset(tmp_path)


def test_numbers_with_three_decimals_are_no_thousands(tmp_path: Path) -> None:
    write_table(tmp_path, COMMA.replace("1,2,30,20", "1.000,2.000,30.000,20.000"))
    assert load_dataset(tmp_path).samples[0].boxes_xyxy.tolist() == A
