"""Files of labels that are damaged somewhere: the frame is named and left out, and nothing becomes background."""

import json
import math

import pytest
import test_import_exports as exports
from labelled import HEIGHT, INSIDE, SQUARE, WIDTH, coco, cvat, flat, labelme, picture, ring, run, write

from cookseg.data.importers.importer import Request
from cookseg.data.importers.registry import read
from cookseg.data.importers.shapes import box, ellipse
from cookseg.runtime.errors import InputError

MAP = ["--map", "egg=food,ladle=stirrer"]


def of_coco(folder):
    return coco(folder / "a.json", [{"bbox": [10, 10, 30, 20]}])


def of_labelme(folder):
    return labelme(folder / "pan_1.json", ("polygon", SQUARE), ("rectangle", [[0, 0], [4, 4]]))


def of_labelstudio(folder):
    task = {"id": 7, "data": {"image": "pan_1.png"}}
    return write(folder / "a.json", [{**task, "annotations": [exports.annotation(exports.square())]}])


def of_datumaro(folder):
    polygon = {"id": 1, "type": "polygon", "points": flat(SQUARE), "label_id": 0, "group": 0, "z_order": 0}
    box = {**polygon, "type": "bbox", "bbox": [0, 0, 4, 4]}
    item = {"id": "pan_1", "annotations": [polygon, box], "image": {"path": "pan_1.png", "size": [HEIGHT, WIDTH]}}
    return write(folder / "a.json", {"categories": {"label": {"labels": [{"name": "egg"}]}}, "items": [item]})


def places(value, above=()):
    """Return the ways to all values in a JSON value."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [way for key, held in pairs for way in ((*above, key), *places(held, (*above, key)))]


def damaged(value, way, junk):
    value = json.loads(json.dumps(value))
    held = value
    for key in way[:-1]:
        held = held[key]
    held[way[-1]] = junk
    return value


class TestDamage:
    @pytest.mark.parametrize("make", [of_coco, of_labelme, of_labelstudio, of_datumaro])
    def test_any_value_may_be_junk(self, tmp_path, make):
        """Reading fails as it should, or says of everything that was labelled what it is, or that it is not known."""
        picture(tmp_path / "pan_1.png")
        path = make(tmp_path)
        kind, value = make.__name__.removeprefix("of_"), json.loads(path.read_text())
        labelled = len(read(Request(path, None, "train", None, tmp_path), kind)[1].images[0].shapes)
        for way in places(value):
            for junk in (None, "x" * 300, [], {}, [[]], math.nan, math.inf, 10**400):
                write(path, damaged(value, way, junk))
                try:
                    found = read(Request(path, None, "train", None, tmp_path), kind)[1]
                except InputError:
                    continue
                for image in found.images:
                    if image.annotated:
                        assert len(image.shapes) >= labelled or (way[-1], junk) == ("result", []), (way, junk)

    @pytest.mark.parametrize("size", [-1, 0, 10**7, math.inf, 1e300])
    @pytest.mark.parametrize("make", [of_coco, of_labelme, of_labelstudio, of_datumaro])
    def test_a_size_that_no_image_has_is_told_and_nothing_as_large_is_made(self, tmp_path, make, size):
        picture(tmp_path / "pan_1.png")
        path = make(tmp_path)
        text = path.read_text()
        write(path, text.replace(str(WIDTH), json.dumps(size)).replace(str(HEIGHT), json.dumps(size)))
        result = run(path, tmp_path / "new", *MAP)
        assert result.exit_code == 1 or size == 0, (
            result.stdout
        )  # LabelMe's relatives write 0 for what they do not know

    @pytest.mark.parametrize("size", ["-1", "0", "10000000"])
    def test_a_mask_of_such_a_size_is_told(self, tmp_path, size):
        picture(tmp_path / "pan_1.png")
        runs = int(size) ** 2
        mask = f'<mask label="egg" rle="0,{runs}" left="0" top="0" width="{size}" height="{size}"/>'
        result = run(cvat(tmp_path / "a.xml", pan_1=mask), tmp_path / "new", *MAP)
        assert result.exit_code in (1, 5)
        assert f"{size}x{size}" in result.stderr

    @pytest.mark.parametrize("outline", [ellipse, box])
    def test_numbers_without_end_are_refused_and_cause_no_warnings(self, outline):
        arguments = ((math.inf, 3), (math.inf, 2)) if outline is ellipse else (0, 0, math.inf, 3)
        with pytest.raises(InputError, match="a polygon has a coordinate of"):
            outline(*arguments, 30)

    def test_a_name_that_no_file_can_have_is_not_found(self, tmp_path):
        picture(tmp_path / "pan_1.png")
        source = coco(tmp_path / "a.json", [{}], images=("pan_1.png", "x" * 300 + ".png"))
        result = run(source, tmp_path / "new", *MAP, "--keep-unannotated")
        assert result.exit_code == 5
        assert "no such image" in result.stderr

    @pytest.mark.parametrize("long", ["path: {}\ntrain: images", "train: {}", "train: list.txt"])
    def test_nor_is_a_folder_or_an_image_of_a_list(self, tmp_path, long):
        picture(tmp_path / "images/pan_1.png")
        write(tmp_path / "labels/pan_1.txt", "0 0.1 0.1 0.9 0.1 0.9 0.9\n")
        write(tmp_path / "list.txt", f"images/pan_1.png\n{'x' * 300}.png\n")
        source = write(tmp_path / "data.yaml", f"{long.format('x' * 300)}\nnames: [egg]\n")
        result = run(source, tmp_path / "new", *MAP)
        assert result.exit_code == (0 if "path" in long else 1 if "{}" in long else 5)  # paths of other machines


class TestLabelStudio:
    def task(self, folder, *annotations, data=None):
        picture(folder / "pan_1.png")
        return {"id": 7, "data": data or {"image": "pan_1.png"}, "annotations": [*annotations]}

    @pytest.mark.parametrize("damage", [{"value": None}, {"value": []}, {"value": {}}])
    @pytest.mark.parametrize("kind", ["brushlabels", "brush"])
    def test_a_region_whose_area_is_lost_never_becomes_background(self, tmp_path, damage, kind):
        value = {"format": "rle", "rle": exports.brush(ring()), "brushlabels": ["ladle"]}
        lost = {**exports.region(kind, value, "b"), **damage}
        source = write(tmp_path / "a.json", [self.task(tmp_path, exports.annotation(exports.square(), lost))])
        result = run(source, tmp_path / "new", *MAP)
        assert result.exit_code == 1
        assert "nobody knows where in it this lies" in result.stderr

    def test_nor_does_one_of_a_type_that_is_not_known(self, tmp_path):
        odd = exports.region("blob", {"x": 0, "y": 0, "width": 10, "height": 10}, "b")
        source = write(tmp_path / "a.json", [self.task(tmp_path, exports.annotation(exports.square(), odd))])
        assert "no_label (1)" in run(source, tmp_path / "new", *MAP).stderr

    def test_an_annotation_without_a_result_does_not_say_that_there_is_nothing(self, tmp_path):
        source = write(tmp_path / "a.json", [self.task(tmp_path, {"id": 1, "result": None})])
        result = run(source, tmp_path / "new", *MAP)
        assert result.exit_code == 1
        assert "task 7: the annotation has no result" in result.stderr

    @pytest.mark.parametrize(
        "image",
        [
            "/storage-data/uploaded/?filepath=upload%2F1%2F0a1b2c3d-pan_1.png",
            "/tasks/7/resolve/?fileuri=czM6Ly9iL3Bhbl8xLnBuZw==",  # s3://b/pan_1.png
            "https://host/pan_1.png?signature=a%2Fb",
        ],
    )
    def test_references_of_its_proxies_are_read(self, tmp_path, image):
        data = {"note": "http://[1", "image": image}
        task = self.task(tmp_path, exports.annotation(exports.square()), data=data)
        assert run(write(tmp_path / "a.json", [task]), tmp_path / "new", *MAP).exit_code == 0

    def test_what_names_no_image_is_shown(self, tmp_path):
        task = self.task(tmp_path, exports.annotation(exports.square()), data={"image": "https://host/42"})
        result = run(write(tmp_path / "a.json", [task]), tmp_path / "new", *MAP)
        assert "no reference to an image that has a file name: image: https://host/42" in result.stderr

    def test_a_task_without_annotations_may_come_first(self, tmp_path):
        tasks = [{"id": 6, "data": {"image": "pan_1.png"}}, self.task(tmp_path, exports.annotation(exports.square()))]
        result = run(write(tmp_path / "a.json", tasks), tmp_path / "new", *MAP, "--json")
        assert json.loads(result.stdout)["format"] == "labelstudio"
        assert (exports.truth(tmp_path / "new")[INSIDE] == exports.FOOD).all()
