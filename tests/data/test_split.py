"""`cook-data split` cuts no session, gives every split its share of each class, and says what it did."""

import hashlib
import json
import random
import re

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from cookseg.data.cli import main
from cookseg.data.doctor.report import require_sound
from cookseg.data.sessions import DEFAULT_PATTERN, compile_pattern, natural_key, session_of, sessions_of
from cookseg.data.stratify import assign
from cookseg.runtime.model.contract import COOKING

COLORS = np.array(COOKING.colors, np.uint8)


def split(*arguments):
    result = CliRunner().invoke(main, ["split", *(str(argument) for argument in arguments)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def put(folder, name, food, shade=0):
    """A frame of 8x10 and a mask with so many pixels of food, eight of stirrer, and the rest background."""
    truth = np.ones(80, int)
    truth[:food], truth[72:] = 2, 0
    for kind, suffix, pixels in (("images", "jpg", np.full((8, 10, 3), shade)), ("masks", "png", COLORS[truth])):
        path = folder / kind / f"{name}.{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.uint8(pixels).reshape(8, 10, 3)).save(path)


@pytest.fixture
def mine(tmp_path):
    """Twenty sessions of three to six frames, each with its own share of food, split as it came."""
    rng = random.Random(0)
    for session in range(20):
        food = rng.randrange(2, 60)
        for frame in range(rng.randrange(3, 7)):
            folder = tmp_path / "mine" / rng.choice(["train", "val"])
            put(folder, f"dal_{session}_{frame}", food, shade=10 * session + frame)
    put(tmp_path / "mine/test", "unlabelled_1", 0)
    (tmp_path / "mine/test/masks/unlabelled_1.png").unlink()
    (tmp_path / "mine/test/masks").rmdir()
    return tmp_path / "mine"


def digest(root):
    return {path.relative_to(root): hashlib.sha256(path.read_bytes()).hexdigest() for path in root.rglob("*.*g")}


def names(root, name):
    return {path.stem for path in (root / name / "masks").iterdir()}


class TestCommand:
    def test_no_session_is_cut_and_every_frame_is_copied_byte_for_byte(self, mine, tmp_path):
        before = digest(mine)
        result = split(mine, tmp_path / "new", "--val", "0.25", "--json")
        assert (result.exit_code, result.stderr) == (0, "")
        value = json.loads(result.stdout)
        train, val = names(tmp_path / "new", "train"), names(tmp_path / "new", "val")
        assert not {name.rpartition("_")[0] for name in train} & {name.rpartition("_")[0] for name in val}
        after = digest(tmp_path / "new")
        assert sorted(after.values()) == sorted(before.values())
        assert digest(mine) == before
        assert [path.name for path in (tmp_path / "new/test/images").iterdir()] == ["unlabelled_1.jpg"]
        assert value["splits"]["train"]["frames"] == len(train)
        assert sum(value["splits"]["val"]["sessions"].values()) == len(val)
        assert json.loads((tmp_path / "new/split.json").read_text()) == value

    def test_each_split_gets_its_share_of_frames_and_of_every_class(self, mine):
        value = json.loads(split(mine, "--val", "0.25", "--test", "0.1", "--dry-run", "--json").stdout)
        totals = {name: sum(held["pixels"][name] for held in value["splits"].values()) for name in COOKING.names}
        for name, share in {"train": 0.65, "val": 0.25, "test": 0.1}.items():
            held = value["splits"][name]
            assert held["frames"] / sum(held["frames"] for held in value["splits"].values()) == pytest.approx(
                share, 0.2
            )
            for label, total in totals.items():
                assert held["pixels"][label] / total == pytest.approx(share, rel=0.25)
        assert value["warnings"] == ["1 unlabelled test images are left out: the new test split has masks"]

    def test_the_same_seed_gives_the_same_split(self, mine, tmp_path):
        for out, seed in (("a", 0), ("b", 0), ("c", 1)):
            assert split(mine, tmp_path / out, "--seed", seed).exit_code == 0
        assert digest(tmp_path / "a") == digest(tmp_path / "b")
        assert digest(tmp_path / "a") != digest(tmp_path / "c")

    def test_the_table_shows_what_each_split_got(self, mine, tmp_path):
        result = split(mine, tmp_path / "new")
        lines = [line.split() for line in result.stdout.splitlines()]
        assert lines[0] == ["split", "sessions", "frames", "of", "all", *COOKING.names]
        assert [line[0] for line in lines[2:5]] == ["train", "val", "all"]
        assert lines[4][1] == "20"
        assert str(tmp_path / "new" / "split.json") in result.stdout

    def test_a_dry_run_writes_nothing(self, mine, tmp_path):
        assert split(mine, tmp_path / "new", "--dry-run").exit_code == 0
        assert not (tmp_path / "new").exists()

    def test_names_without_sessions_give_contiguous_blocks_and_a_warning(self, tmp_path):
        for number in range(12):
            put(tmp_path / "pool", f"IMG_{number}", 20, number)
        result = split(tmp_path / "pool", tmp_path / "new", "--val", "0.25", "--test", "0.25")
        assert result.exit_code == 0
        assert "warning: the names tell no sessions" in result.stdout
        assert [sorted(names(tmp_path / "new", part), key=natural_key) for part in ("train", "val", "test")] == [
            [f"IMG_{number}" for number in numbers] for numbers in (range(6), range(6, 9), range(9, 12))
        ]

    def test_a_pattern_tells_the_sessions(self, tmp_path):
        for number in range(12):
            put(tmp_path / "pool", f"{number}-pan{number % 6}", 20, number)
        result = split(tmp_path / "pool", tmp_path / "new", "--session-pattern", r"\d+-(?P<session>\w+)", "--val", 0.3)
        assert "warning" not in result.stdout
        assert len({name[-1] for name in names(tmp_path / "new", "val")}) == 2

    def test_frames_without_a_session_stay_together(self, tmp_path):
        for number in range(6):
            put(tmp_path / "pool", f"IMG_{number}", 20, number)
            put(tmp_path / "pool", f"dal_{number}", 20, number)
        result = split(tmp_path / "pool", tmp_path / "new", "--val", "0.5")
        assert "warning: 6 frames whose names tell no session were kept together" in result.stdout
        assert len({name[0] for name in names(tmp_path / "new", "val")}) == 1

    def test_sub_folders_suffixes_and_indices_are_kept(self, tmp_path):
        for number in range(4):
            folder = tmp_path / "pool" / f"kitchen{number}"
            folder.mkdir(parents=True)
            Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(folder / "a.jpg")
            Image.fromarray(np.uint8([[0, 1, 2, 2]] * 4)).save(folder / "a_L.png")
        options = ["--images", ".", "--masks", ".", "--mask-suffix", "_L", "--mask-format", "index"]
        result = split(tmp_path / "pool", tmp_path / "new", "--val", "0.25", *options)
        assert result.exit_code == 0, result.stderr
        assert len(list((tmp_path / "new/val/masks").glob("kitchen*/a.png"))) == 1
        assert len(list((tmp_path / "new/train/images").glob("kitchen*/a.jpg"))) == 3

    def test_a_class_that_a_split_lacks_is_a_warning(self, tmp_path):
        for number, food in enumerate((20, 0, 0)):
            put(tmp_path / "pool", f"dal{number}_1", food)
        assert "warning: val has no pixel of food" in split(tmp_path / "pool", "--dry-run", "--val", "0.3").stdout

    @pytest.mark.parametrize(
        ("prepare", "options", "code", "said"),
        [
            (
                lambda root: put(root / "val", "dal_0_0", 5) or put(root / "train", "dal_0_0", 5),
                [],
                1,
                "dal_0_0.jpg and",
            ),
            (lambda root: (root / "train/masks/dal_1_0.png").write_bytes(b""), [], 1, "dal_1_0.png"),
            (lambda root: (root / "train/images/alone.jpg").write_bytes(b""), [], 1, "alone.jpg"),
            (lambda root: None, ["--val", "0.6", "--test", "0.4"], 2, "nothing to train on"),
            (lambda root: None, ["--val", "0"], 2, "--val"),
            (lambda root: None, ["--session-pattern", "x("], 2, "--session-pattern"),
        ],
    )
    def test_what_cannot_be_split_is_said_and_nothing_written(self, mine, tmp_path, prepare, options, code, said):
        put(mine / "train", "dal_1_0", 5)
        (mine / "val/masks/dal_1_0.png").unlink(missing_ok=True)
        (mine / "val/images/dal_1_0.jpg").unlink(missing_ok=True)
        prepare(mine)
        result = split(mine, tmp_path / "new", *options)
        assert result.exit_code == code
        assert said in result.stderr
        assert not (tmp_path / "new").exists()

    def test_the_new_set_is_never_inside_the_old(self, mine):
        before = digest(mine)
        result = split(mine, mine / "new")
        assert result.exit_code == 1
        assert "inside" in result.stderr
        assert digest(mine) == before

    def test_without_a_folder_it_says_what_to_name(self, mine):
        result = split(mine)
        assert result.exit_code == 2
        assert "--dry-run" in result.stderr


def digest_of(name):
    return hashlib.md5(name.encode(), usedforsecurity=False).hexdigest()[:8]


NAMES = {
    "Label Studio": lambda s, i: f"{digest_of(f'{s}{i}')}-upma{s}_{i}",
    "Label Studio and a clock": lambda s, i: f"{digest_of(f'{s}{i}')}-2024-05-0{s}_12-33-{i:02d}",
    "UUID": lambda s, i: f"{digest_of(f'{s}{i}')}-12ab-4abc-8abc-{digest_of(f'{i}{s}')}abcd_dal{s}_{i}",
    "digests that stay": lambda s, i: f"{digest_of(f'{s}')}-{i:04d}",
    "seconds": lambda s, i: f"2024-05-0{s}_12-33-{i:02d}",
    "minutes": lambda s, i: f"cam_2024-05-0{s}_12-{i:02d}",
    "milliseconds": lambda s, i: f"20240501_1{s}330{i // 3}_{i % 3 * 333:03d}",
    "clock and counter": lambda s, i: f"2024050{s}-0958{i:02d}-3",
    "event, clock, counter": lambda s, i: f"{s:02d}-20240501{s:02d}01{i:02d}-{i % 2:02d}",
    "Unix time": lambda s, i: f"cam_{1714561987 + 9000 * s + i}.{i:06d}",
    "VLC": lambda s, i: f"vlcsnap-2024-05-0{s}-12h33m{i:02d}s{i * 7}",
    "day first": lambda s, i: f"0{s}-05-2024 12.33.{i:02d}",
    "time alone": lambda s, i: f"1{s}-33-{i:02d}",
    "recordings": lambda s, i: f"upma_20240501_12{s}507_{i:04d}",
    "event of every frame": lambda s, i: f"upma{s}_evt{s}{i:03d}_{i % 2:04d}",
    "event": lambda s, i: f"evt{s}_{i:04d}",
    "phone": lambda s, i: f"IMG_2024050{s}_1233{i:02d}",
    "plain": lambda s, i: f"upma_{s}_{i}",
}


class TestSessions:
    @pytest.mark.parametrize("kind", NAMES)
    def test_three_sessions_are_told_by_any_known_names(self, kind):
        frames = [(s, NAMES[kind](s, i)) for s in (1, 2, 3) for i in range(8)]
        random.Random(0).shuffle(frames)
        told = sessions_of([name for _, name in frames])
        assert None not in told
        assert len({(s, session) for (s, _), session in zip(frames, told, strict=True)}) == len(set(told)) == 3

    @pytest.mark.parametrize("name", ["evt{0:04d}_0001", "evt{0:04d}_{0:04d}", "frame_{0:05d}_{0}"])
    def test_names_in_which_all_changes_tell_nothing(self, name):
        assert set(sessions_of([name.format(number) for number in range(20)])) == {None}
        assert set(sessions_of([f"pan2/{name.format(number)}" for number in range(20)])) == {"pan2"}

    def test_names_that_tell_a_session_alone_tell_the_same_together(self):
        names = [f"palakpaneer_{s}_{i}" for s in (1610, 1611) for i in range(5)] + ["0006R0_f00930", "IMG_4711", "pan"]
        assert sessions_of(names) == [session_of(name) for name in names]

    def test_a_pattern_is_taken_at_its_word(self):
        names = [f"2024-05-01_12-33-{i:02d}" for i in range(9)]
        assert sessions_of(names, compile_pattern("(?P<session>.*)")) == names

    def test_a_pause_ends_a_session_at_any_pace(self):
        def at(minute):
            return f"2024-05-01_{minute // 60:02d}-{minute % 60:02d}-00"

        for pace in (1, 5):
            names = [at(start + pace * frame) for start in (0, 600) for frame in range(8)]
            assert sessions_of(names) == [at(0)] * 8 + [at(600)] * 8
        assert len(set(sessions_of([at(100 * frame) for frame in range(9)]))) == 9


def doctor(root):
    result = CliRunner().invoke(main, ["doctor", str(root), "--json"])
    return {finding["name"]: finding["rows"] for finding in json.loads(result.stdout)["findings"]}


class TestDoubts:
    """Where sessions make the score doubtful, split and doctor say so, and the check before a training does."""

    def test_blocks_of_unknown_sessions_follow_the_names_behind_digests(self, tmp_path):
        for number in range(12):
            put(tmp_path / "pool", f"{digest_of(str(number))}-frame_{number}", 20, number)
        result = split(tmp_path / "pool", tmp_path / "new", "--val", "0.25")
        assert "warning: the names tell no sessions" in result.stdout
        assert {name.rpartition("_")[2] for name in names(tmp_path / "new", "val")} == {"9", "10", "11"}
        (row,) = doctor(tmp_path / "new")["numbering-in-splits"]
        assert (row["such frames"], row["of val"]) == (1, 3)
        assert (row["val"][-11:], row["train"][-11:]) == ("frame_9.jpg", "frame_8.jpg")

    def test_as_many_sessions_as_frames(self, tmp_path):
        for number in range(12):  # neither word changes with every frame, together they do
            put(tmp_path / "pool/train", f"pan{number % 3}_dal{number % 4}_1", 20, number)
        put(tmp_path / "pool/val", "soup_7_1", 20, 99)
        result = split(tmp_path / "pool", "--dry-run")
        assert "warning: 13 sessions for 13 frames: " in result.stdout
        assert "--session-pattern" in result.stdout
        (row,) = doctor(tmp_path / "pool")["session-per-frame"]
        assert (row["sessions"], row["frames"]) == (13, 13)

    def test_a_val_split_of_one_session(self, tmp_path):
        for number in range(9):
            put(tmp_path / "pool", f"dal_{number % 3}_{number}", 20, number)
        result = split(tmp_path / "pool", tmp_path / "new", "--val", "0.3")
        assert "warning: val is a single session" in result.stdout
        (row,) = doctor(tmp_path / "new")["one-session-in-val"]
        assert row["frames"] == 3

    def test_the_check_before_training_warns_of_them(self, tmp_path, caplog):
        for number in range(12):
            put(tmp_path / ("val" if number % 4 == 0 else "train"), f"IMG_{number}", 20, number)
        require_sound(tmp_path)
        (message,) = caplog.messages
        assert message.startswith("frames of val that are numbered next to one of train: val val/images/IMG_")

    def test_a_set_is_examined_by_the_pattern_that_it_was_split_by(self, tmp_path):
        for number in range(24):
            put(tmp_path / "pool", f"IMG_{number}-pan{number % 8}-left", 20, number)
        options = ["--session-pattern", r"IMG_\d+-(?P<session>\w+)-left", "--val", "0.3"]
        assert split(tmp_path / "pool", tmp_path / "new", *options).exit_code == 0
        assert not {"numbering-in-splits", "session-in-splits", "session-per-frame"} & set(doctor(tmp_path / "new"))
        (tmp_path / "new/split.json").unlink()
        assert "numbering-in-splits" in doctor(tmp_path / "new")


class TestAssign:
    @settings(deadline=None, max_examples=40)
    @given(data=st.data())
    def test_no_split_is_empty_and_the_answer_is_the_seeds(self, data):
        sessions = data.draw(st.integers(3, 20))
        seed = data.draw(st.integers(0, 9))
        amounts = np.random.default_rng(seed).integers(0, 50, (sessions, 4)).astype(float)
        amounts[:, 0] += 1
        chosen = assign(amounts, [0.6, 0.2, 0.2], seed)
        assert set(chosen) == {0, 1, 2}
        assert len(chosen) == sessions
        assert assign(amounts, [0.6, 0.2, 0.2], seed) == chosen
        assert set(assign(amounts, [0.8, 0.2, 0], seed)) == {0, 1}

    def test_it_is_far_better_than_chance(self):
        rng = np.random.default_rng(0)
        amounts = rng.dirichlet([1, 8, 3], 40) * rng.integers(3, 20, (40, 1))
        parts, shares = amounts / amounts.sum(axis=0), np.array([0.7, 0.2, 0.1])

        def deviation(chosen):
            return np.abs(np.stack([parts[np.equal(chosen, i)].sum(axis=0) for i in range(3)]) - shares[:, None]).mean()

        chance = np.mean([deviation(rng.choice(3, 40, p=shares)) for _ in range(200)])
        assert deviation(assign(amounts, shares, 0)) < chance / 10

    def test_a_class_of_two_sessions_is_in_both_splits(self):
        amounts = np.ones((12, 2))
        amounts[2:, 1] = 0
        chosen = np.array(assign(amounts, [0.8, 0.2], 0))
        assert set(chosen[:2]) == {0, 1}


@given(st.text(max_size=8), st.text(max_size=8))
def test_any_two_names_can_be_compared(one, other):
    assert (natural_key(one) < natural_key(other)) + (natural_key(other) < natural_key(one)) == (one != other) or (
        natural_key(one) == natural_key(other)
    )


def test_the_default_pattern_is_known_again_when_it_is_compiled_anew():
    again = compile_pattern(DEFAULT_PATTERN)
    re.purge()
    fresh = compile_pattern(DEFAULT_PATTERN)
    assert fresh is not again
    assert session_of("IMG_4711", fresh) is None
    assert session_of("dal_7", fresh) == "dal"


def test_numbers_sort_as_numbers():
    assert sorted(["a10b", "a2b", "a2", "b1"], key=natural_key) == ["a2", "a2b", "a10b", "b1"]
