"""Formats that `cook-data import` does not read are told by name, and never taken for masks."""

import pytest
from labelled import MAP, picture, run, write


class TestForeign:
    @pytest.mark.parametrize(
        ("name", "content", "tool"),
        [
            ("ds/ann/pan_1.png.json", {"size": {}, "objects": []}, "Supervisely"),
            ("meta.json", {"classes": [], "tags": []}, "Supervisely"),
            ("via.json", {"pan_1.png1": {"filename": "pan_1.png", "size": 1, "regions": []}}, "VIA"),
            ("via.json", {"_via_settings": {}, "_via_img_metadata": {}}, "VIA"),
            ("via3.json", {"project": {}, "attribute": {}, "metadata": {}}, "VIA"),
            ("export.json", [{"data_row": {}, "projects": {}}], "Labelbox"),
            ("export.ndjson", '{"data_row": {}, "projects": {}}\n{}\n', "Labelbox"),
            ("export.json", [{"Labeled Data": "https://", "Label": {}}], "Labelbox"),
            ("export.json", [{"image": "a.png", "annotation_id": 1, "annotator": 1}], "Label Studio as JSON-MIN"),
            ("unknown.json", [1, 2], "of no format that is read: export COCO"),
            ("unknown.json", [], "of no format that is read: export COCO"),
            ("unknown.json", {}, "of no format that is read: export COCO"),
        ],
    )
    def test_other_formats_are_refused_by_name_and_never_taken_for_masks(self, tmp_path, name, content, tool):
        picture(tmp_path / "in/images/pan_1.png")
        path = write(tmp_path / "in" / name, content)
        for source in (tmp_path / "in", path):
            result = run(source, tmp_path / "new", "--map", MAP)
            assert result.exit_code == 1
            assert f"{path}: " in result.stderr
            assert tool in result.stderr
            assert "masks belong" not in result.stderr

    @pytest.mark.parametrize(
        ("name", "said"),
        [
            ("Annotations/pan_1.xml", "XML of no format that is read, such as boxes of Pascal VOC"),
            ("masks.7z", "an archive that is not read: unpack it first"),
            ("masks.zip", "an archive: name it instead of its folder"),
        ],
    )
    def test_files_that_are_no_masks_are_named_where_images_are_too(self, tmp_path, name, said):
        picture(tmp_path / "in/images/pan_1.png")
        path = write(tmp_path / "in" / name, "<annotation><object/></annotation>")
        result = run(tmp_path / "in", tmp_path / "new", "--map", MAP)
        assert result.exit_code == 1
        assert f"{path}: {said}" in result.stderr

    def test_masks_beside_the_classes_of_a_dataset_are_masks(self, tmp_path):
        picture(tmp_path / "in/pan_1.png")
        write(tmp_path / "in/classes.json", "{}")
        assert "these masks belong to" in run(tmp_path / "in", tmp_path / "new").stderr
