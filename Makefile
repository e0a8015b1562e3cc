# The README's two commands: `make demo` runs the whole road on synthetic frames, `make test` checks everything.
# `make starter` trains the model that ships inside the package further, for maintainers: it takes an hour or more.
# All make .venv on first use, with the versions in constraints.txt; CONSTRAINTS=/dev/null takes the newest ones.
# On a machine without an NVIDIA GPU a CPU build of torch saves gigabytes; see README.md.

TORCH ?= torch==2.13.0
CONSTRAINTS ?= constraints.txt
PYTHON ?= python3
BIN := .venv/bin
SET := data/sets/demo
RUN := runs/demo

.PHONY: demo test starter clean

demo: .venv/installed
	rm -rf $(SET) $(RUN)
	$(BIN)/cook-data synth $(SET) --train 240 --val 48 --test 24 --kitchens 2 --size 256
	$(BIN)/cook-data doctor $(SET)
	$(BIN)/cook-train $(SET) -o $(RUN) --init starter --epochs 40 --lr 0.003
	$(BIN)/cook-export $(RUN) -o $(RUN)/model.onnx
	$(BIN)/cook-infer eval $(SET) -m $(RUN)/model.onnx
	$(BIN)/cook-infer masks $(SET)/test/images -m $(RUN)/model.onnx -o test_inf_masks --overlay
	$(BIN)/cook-bench latency $(RUN)/model.onnx
	@echo
	@echo "Open these: test_inf_masks/*.png (masks), test_inf_masks/overlay/*.png (masks over frames),"
	@echo "            $(RUN)/curves.png (training), $(RUN)/model.onnx (the model to ship)"

test: .venv/installed .types/cookseg
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	PYTHONPATH=.types $(BIN)/lint-imports
	$(BIN)/python -m pytest
	$(BIN)/python -m pytest -q --doctest-modules --pyargs cookseg.runtime cookseg.data cookseg.evaluation cookseg.training cookseg.export

# Goes on from the starter that is there, on scenes that it has not seen: choose another SCENES. Commit both files
# together: one is the export of the other. Weights of 7 bits (avx2) are right on every processor.
STARTER_NOTE := This is the starter, the model inside cookseg. It was trained on synthetic scenes only, rendered by \
	cook-data synth, and has never seen a photograph. It shows what masks look like before you have a label, and gives \
	cook-train --init starter its first weights. It cannot be relied on in a real kitchen, where it takes handles, bowls, \
	edges of steel and highlights for stirrers, whatever it scores on synthetic scenes: do not let it control an appliance. \
	Train a model on your own labelled frames for that.
SCENES ?= 4

starter: .venv/installed
	rm -rf data/sets/starter runs/starter
	$(BIN)/cook-data synth data/sets/starter --train 12000 --val 120 --test 0 --per-session 2 \
		--size 320x240 --size 256 --seed $(SCENES)
	$(BIN)/cook-train data/sets/starter -o runs/starter --init starter --epochs 2 --batch 16 --lr 0.002 \
		--keep last --no-check
	$(BIN)/cook-export runs/starter -o runs/starter/model.onnx --precision int8 --target avx2 --golden 1 \
		--licence Apache-2.0 --note "$(STARTER_NOTE)"
	cp runs/starter/model.onnx runtime/starter.onnx
	$(BIN)/python -c 'from pathlib import Path; from cookseg.training import checkpoint; \
		checkpoint.save_half(Path("runs/starter"), Path("training/starter.pt"))'

# torch first and by itself, so that no other package may pull another build in
.venv/installed: setup.cfg pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install -c $(CONSTRAINTS) "$(TORCH)"
	$(BIN)/python -m pip install -c $(CONSTRAINTS) --editable ".[dev]"
	touch $@

# mypy and import-linter cannot see an editable install of folders that are mapped to packages
.types/cookseg:
	mkdir -p .types
	ln -s .. $@

clean:
	rm -rf .venv .types build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .node
